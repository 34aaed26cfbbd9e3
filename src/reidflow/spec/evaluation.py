"""What an experiment trains and tests on: its split, its queries and gallery, and further versions of the test images."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from reidflow.spec.canonical import short
from reidflow.spec.components import is_given, resolve
from reidflow.spec.config import FOLDS, CandidateFilter, Config, Facets, fitting, ignored_and_shared, without_folds
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.merge import merge
from reidflow.spec.run import ORIGINAL, scaled_side
from reidflow.spec.strict import Strict, component

Sides = Literal["across", "within"]


class Evaluation(Strict):
    """What an experiment changes of the config's split, queries and gallery."""

    split: dict[str, Any] = Field({}, description="changes to the config's `split`; `{folds: 0}`: no folds")
    split_seed: Literal["fixed", "each"] | None = Field(None, description="instead of the config's `split_seed`")
    sides: Sides | None = Field(None, description="instead of the config's `sides`")
    queries: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="instead of the config's `queries`")
    ignore: Facets | None = Field(None, description="instead of the config's `ignore`")
    candidates: CandidateFilter | None = Field(None, description="instead of the config's `candidates`")
    distractors: bool | None = Field(None, description="instead of the config's `distractors`")


def evaluated(config: Config, changes: Evaluation) -> Config:
    """Return the config with another split. Raises ReidflowError where there is no such split."""
    given = {name: getattr(changes, name) for name in Evaluation.model_fields if name != "split"}
    update = {name: value for name, value in given.items() if value is not None}
    if changes.split:
        changed = merge({"split": config.split}, {"split": changes.split})["split"]
        update["split"] = fitting(resolve("split", changed))
    other = config.model_copy(update=update)
    contradiction = ignored_and_shared(other.ignore, other.candidates.same)
    if contradiction:
        raise ReidflowError(f"{contradiction}.")
    return other


def division(config: Config) -> dict[str, Any]:
    """Return what decides the split table of a config: without folds."""
    split = without_folds(config.split)
    candidates = {"ignore": config.ignore, "same": config.candidates.same, "distractors": config.distractors}
    chosen = {key: value for key, value in candidates.items() if value}
    # The sides of a given split are the data's, whatever the config says.
    sides = "across" if is_given(split) else config.sides
    return {"split": split, "sides": sides, "queries": config.queries, "gallery": config.gallery, **chosen}


def divisions(config: Config, seeds: Sequence[int]) -> tuple[dict[str, Any], ...]:
    """Return what decides each split that an experiment runs on: one, one a fold, or one for each of its training seeds."""
    main = division(config)
    if FOLDS in config.split:
        return tuple({**main, "split": config.split, "fold": fold} for fold in range(config.split[FOLDS]))
    return tuple(reseeded(main, seed) for seed in seeds) if config.split_seed == "each" else (main,)


def reseeded(division: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return what decides the same split with another seed."""
    return {**division, "split": {**division["split"], "seed": seed}}


def split_id(division: dict[str, Any]) -> str:
    """Return the folder name of a split beside the config's own."""
    return f"{division['split']['name']}-{short(division)}"


class Version(Strict):
    """Another version of the evaluated images, which trained runs are also tested on."""

    background: component("background") = Field(
        ORIGINAL, description="a file of backgrounds/interventions/", validate_default=True
    )
    scale: Annotated[float, Field(gt=0, le=8)] = Field(
        1.0, description="side of the images as a multiple of `model.size`; query and gallery alike"
    )

    @property
    def resized(self) -> bool:
        """Whether the images have another size than the network is tested at otherwise."""
        return self.scale != 1.0

    @property
    def unchanged(self) -> bool:
        """Whether these are the images that the headline is measured on."""
        return self.background == ORIGINAL and not self.resized

    def size(self, full: int) -> int:
        """Return the side in pixels for a network whose `model.size` is `full`."""
        return scaled_side(self.scale, full)


class Probes(Strict):
    """Which versions measure the reliance on the background: keys of `tested_on`."""

    background: str = Field(description="the label of the background without the animal")
    control: str = Field(
        description="the label of an unrelated background in the same shape: it must score at chance level"
    )
    foreground: str = Field(description="the label of the animal without its background")
    silhouette: str = Field(description="the label of the animal's outline alone")


def check_versions(tested_on: dict[str, Version], probes: Probes | None, where: str, problems: Problems) -> None:
    """Report what is wrong with the versions that runs are tested on, and with the probes among them."""
    altered = [label for label, version in tested_on.items() if version.background != ORIGINAL]
    if bool(altered) != bool(probes):
        problems.add(
            f"{where}, keys 'tested_on' and 'probes'",
            "versions with another background and probes are given without each other.",
            "Give both: the versions to test on, and which of them measure the reliance on the background.",
        )
    unchanged = [label for label, version in tested_on.items() if version.unchanged]
    if tested_on and len(unchanged) != 1:
        problems.add(
            f"{where}, key 'tested_on'",
            f"the unchanged images are listed {len(unchanged)} times.",
            "Name them once: original: {background: original}.",
        )
    for label, version in tested_on.items():
        if version.resized and version.background != ORIGINAL:
            problems.add(
                f"{where}, key 'tested_on.{label}'",
                "changes background and size at once, so their effects cannot be separated.",
                "Make two versions of it.",
            )
    for role, label in (probes.model_dump() if probes else {}).items():
        if label not in tested_on:
            problems.add(
                f"{where}, key 'probes.{role}'",
                f"'{label}' is not one of 'tested_on'.",
                f"Known: {', '.join(tested_on) or 'none'}.",
            )
