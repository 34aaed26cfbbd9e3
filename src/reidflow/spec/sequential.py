"""Seeds that are added to the arms of an experiment as long as these are undecided."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, create_model, model_validator

from reidflow.spec.components import needing
from reidflow.spec.config import Config, Seeds
from reidflow.spec.errors import Problems
from reidflow.spec.strict import Strict

if TYPE_CHECKING:
    from reidflow.spec.experiment import Arm
    from reidflow.spec.experiment_file import ExperimentFile

MOST_LOOKS = 10


class _Looks(Strict):
    @property
    def looks(self) -> tuple[int, ...]:
        """How many seeds an arm has at each look; the last one adds what is left."""
        first, last = getattr(self, "from"), self.to
        return (*range(first, last - self.step + 1, self.step), last)

    def numbers(self, first: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the seeds that each look adds: those of a config, then the numbers that follow its highest."""
        seeds = [*first, *range(max(first) + 1, max(first) + 1 + self.to)]
        return [tuple(seeds[start:end]) for start, end in zip((0, *self.looks), self.looks, strict=False)]

    @model_validator(mode="after")
    def _fits(self) -> "_Looks":
        if getattr(self, "from") + self.step > self.to:
            raise ValueError("'to', the largest number of seeds, must be at least 'from' + 'step'")
        if len(self.looks) > MOST_LOOKS:
            raise ValueError(f"it has {len(self.looks)} looks, at most {MOST_LOOKS} are allowed: write a larger 'step'")
        return self


# `from` is a keyword of Python, which a class body cannot declare.
SequentialSeeds = create_model(
    "SequentialSeeds",
    __base__=_Looks,
    __doc__="Seeds that are added to arms as long as they are undecided.",
    **{
        "from": (Annotated[int, Field(ge=2)], Field(description="seeds of every arm at the first look")),
        "to": (Annotated[int, Field(le=100)], Field(description="seeds of an arm at most")),
        "step": (Annotated[int, Field(ge=1)], Field(2, description="seeds that each further look adds")),
        "until": (
            Literal["decided"],
            Field(
                description="decided: arms with a verdict get no more seeds, nor do those that more would hardly decide"
            ),
        ),
    },
)


def _written(value: Any) -> str:
    return "[list]" if isinstance(value, list) else "[keys]"


OwnSeeds = Annotated[
    Annotated[Seeds, Tag("[list]")] | Annotated[SequentialSeeds, Tag("[keys]")], Discriminator(_written)
]
"""The seeds of an experiment: a list, or how many. The tags are in `config_errors.NO_KEYS`."""


def seeds_of_looks(
    own: Any, file: "ExperimentFile", config: Config, where: str, problems: Problems
) -> list[tuple[int, ...]]:
    """Return the seeds that each look at an arm adds: one look unless seeds are added to undecided arms.

    own: the seeds that the arm gives as written. Errors are added to `problems`.
    """
    if isinstance(file.seeds, SequentialSeeds):
        looks = file.seeds.numbers(config.seeds)
        if own is not None:
            problems.add(
                where,
                "it has seeds of its own although the experiment adds seeds to undecided arms.",
                "Remove them, or give the experiment a list of seeds.",
            )
    else:
        seeds = own or file.seeds or config.seeds
        whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
        if not whole or len(set(seeds)) != len(seeds):
            problems.add(where, "'seeds' is not a list of different numbers from 0.", "Write e.g. seeds: [0, 1, 2].")
            return [()]
        looks = [tuple(seeds)]
    if file.tuned and any(seed in config.sweep_seeds for look in looks for seed in look):
        problems.add(
            where, "a seed is also one of sweep_seeds.", "A setting must not be reported on a seed that chose it."
        )
    return looks


def check_mirroring(file: "ExperimentFile", arms: Mapping[str, "Arm"], where: str, problems: Problems) -> None:
    """Report arms that rank by mirror images too, which are embedded once all runs are there, though looks need them."""
    for arm in arms.values():
        if isinstance(file.seeds, SequentialSeeds) and any(
            needing("inference", spec.inference, "flipped") for _, spec in arm.points
        ):
            problems.add(
                f"{where}, arm '{arm.name}', key 'inference'",
                "it ranks by mirror images, which are embedded after all seeds are trained.",
                "Give the experiment a list of seeds.",
            )
