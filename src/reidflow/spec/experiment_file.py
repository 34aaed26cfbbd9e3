"""The content of an experiment's YAML file, and the checks of what varies and what is tuned in it."""

from math import prod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reidflow.spec.config import Config, Margin
from reidflow.spec.errors import Problems
from reidflow.spec.evaluation import Evaluation, Probes, Version
from reidflow.spec.merge import merge
from reidflow.spec.search import Search
from reidflow.spec.sequential import OwnSeeds
from reidflow.spec.strict import Strict
from reidflow.spec.winners import Candidates


def _named(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty: write a sentence")
    return value


Sentence = Annotated[str, AfterValidator(_named)]


class Interpretation(Strict):
    """What the author says of one table, with the table that it was written for."""

    dataset: str = Field(description="title of the config whose table it interprets")
    table: dict[str, str] = Field({}, description="arm -> 'id_map verdict', as stamped by `reidflow stamp`")
    numbers: dict[str, str] = Field(
        {}, description="number in the text -> 'arm column' of the table that holds it, as stamped by `reidflow stamp`"
    )
    leans_on: list[str] | None = Field(
        None, description="arms whose verdicts the text leans on; those of others may gain or lose significance (all)"
    )
    held: Literal["yes", "no", "partly", "undecided"] = Field(
        description="whether the hypothesis held: yes, no, partly (some of it), or undecided by these data"
    )
    text: Sentence = Field(description="what was learned, why, what next")


class Part(Strict):
    """A component of a list from which arms are made: alone, left out, all together."""

    why: Sentence = Field(description="its purpose; an arm's `why` may quote it as {why}")
    value: str | dict[str, Any] = Field(description="the component: its name, or {name: ..., parameters}")
    strengths: list[Annotated[dict[str, Any], Field(min_length=1)]] = Field(
        [], description="changes of its parameters, weakest first: the best parts are trained with each"
    )

    def stronger(self, strength: dict[str, Any]) -> dict[str, Any]:
        """Return the component with some of its parameters changed."""
        return {**({"name": self.value} if isinstance(self.value, str) else self.value), **strength}


class Published(Strict):
    """Published figures of others, compared with the experiment's own; no result of the experiment depends on them."""

    note: Sentence = Field(description="their source, and what limits the comparison")
    queries: Annotated[int, Field(ge=1)] | None = Field(None, description="number of queries behind each score")
    arms: dict[str, dict[str, float]] = Field(description="arm -> figures: top1, top5, top10, map, score, seconds")


class ExperimentFile(Strict):
    """The content of an experiment's YAML file."""

    question: Sentence = Field(description="one clear question")
    motivation: Sentence = Field(description="why it matters, and why these arms")
    hypothesis: Sentence = Field(description="what is expected, testably")
    varies: Annotated[list[str], Field(min_length=1)] = Field(
        description="the declared factor: dotted paths of the run spec, or seed"
    )
    tuned: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        {}, description="dotted path -> grid; every arm chooses from it on validation"
    )
    baseline: str = Field(description="the arm that the others are compared with")
    arms: dict[str, dict[str, Any]] = Field(
        description="arm -> its changes to the protocol and `why`; optional: `seeds`, `against` (a further arm to compare "
        "with), `each` (dotted path -> values: one arm per value), `add_one`, `leave_out`, `every` (a path of `parts`: one "
        "arm per part alone, one per part left out, one with all), `winner_of` (a study of `search`, or candidates: the "
        "changes apply to its winner)"
    )
    parts: dict[str, Annotated[dict[str, Part], Field(min_length=2)]] = Field(
        {}, description="dotted path of a list in the run spec -> part -> a component of it: what arms are made from"
    )
    search: Search | None = Field(None, description="a space and the studies that search it for an arm's settings")
    candidates: Candidates | None = Field(
        None, description="whose best arm, by mean validation mAP, becomes an arm of this experiment"
    )
    tested_on: dict[str, Version] = Field(
        {}, description="label -> a further version of the test images, on which every run is tested as well"
    )
    probes: Probes | None = Field(None, description="which of `tested_on` measure the reliance on the background")
    evaluation: Evaluation = Field(
        Evaluation(),
        description="the split, queries and gallery of this experiment, where they differ from the config's",
    )
    also_on: dict[str, Evaluation] = Field(
        {}, description="label -> a further split, on which every arm is trained and tested as well"
    )
    flanks: bool = Field(
        False,
        description="whether results are also given for each pair of the query's and the candidates' flank (docs/metric.md)",
    )
    score: dict[Literal["top1", "top5", "top10"], float] | None = Field(
        None, description="weights of a competition's score, reported beside the mAP"
    )
    headline: list[str] = Field(
        [],
        description="quantities that stand beside the balanced mAP in the first table and in the answer: names that the "
        "experiment's analyses declare, `control` (gain over the control) or columns of the table such as `flops`",
    )
    published: Published | None = Field(None, description="published figures of others for the same arms")
    protocol: dict[str, Any] = Field({}, description="changes to the config's protocol, for all arms")
    equivalence: Margin | None = Field(
        None,
        description="margin of equivalence in identity-balanced mAP, where it differs from the config's; 0: no arm is",
    )
    seeds: OwnSeeds | None = Field(
        None,
        description="training seeds, where they differ from the config's; or how many an arm has at least and at most, "
        "where seeds are added to undecided arms (docs/statistics.md)",
    )
    interpretation: list[Interpretation] = Field([], description="the author's interpretation, one per dataset")


# Mappings whose keys are names: an override removes an entry of one of them by null.
NAMED = (
    "arms",
    "parts",
    "parts.*",
    "tested_on",
    "also_on",
    "tuned",
    "published.arms",
    "search.space",
    "search.studies",
)


def override(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the content of an experiment's file merged with a config's changes to it; null removes a named entry."""
    merged = merge(content, changes)
    for path in NAMED:
        merged = _without_null(merged, path.split("."))
    return merged


def _without_null(tree: Any, path: list[str]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if not path:
        return {key: value for key, value in tree.items() if value is not None}
    head, *rest = path
    return {key: _without_null(value, rest) if head in (key, "*") else value for key, value in tree.items()}


SEED = "seed"
LARGEST_GRID = 1000


def points_of(tuned: dict[str, list[Any]]) -> int:
    """Return how many settings an arm chooses from."""
    return prod(map(len, tuned.values()))


def check_factor(file: ExperimentFile, config: Config, where: str, problems: Problems) -> None:
    """Report what is wrong with `varies` and `tuned`."""
    spec = config.protocol.plain()
    for path in file.varies:
        if path != SEED and not _exists(spec, path):
            problems.add(
                f"{where}, key 'varies'", f"a run has no setting '{path}'.", f"Settings are: {', '.join(spec)}."
            )
    for path in file.tuned:
        if path == SEED or path in file.varies:
            problems.add(
                f"{where}, key 'tuned'", f"'{path}' cannot be both the factor and tuned.", "Remove it from one."
            )
    for path, grid in file.tuned.items():
        if len({repr(value) for value in grid}) < len(grid):
            problems.add(f"{where}, key 'tuned.{path}'", "a value is listed twice.", "Remove one of them.")
    points = points_of(file.tuned)
    if points > LARGEST_GRID:
        problems.add(
            f"{where}, key 'tuned'",
            f"the grid has {points} points, each of which every arm trains with every sweep seed.",
            f"At most {LARGEST_GRID} are allowed; `search` samples a larger space.",
        )
    if file.tuned and _two_roles(config):
        problems.add(
            f"{where}, key 'tuned'",
            "the split has no validation images, so no setting can be chosen.",
            "Give the split a share for 'val', or remove 'tuned'.",
        )


def _two_roles(config: Config) -> bool:
    return config.split.get("val") == 0


def _exists(tree: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True
