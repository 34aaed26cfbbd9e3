"""Scores by which candidates are ranked, beside the embedding's, and how they become one."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from reidflow.spec.components import declared, module_name, names
from reidflow.spec.strict import Positive, Strict, component

EMBEDDING = "embedding"


class LocalScore(Strict):
    """A score of two images by their local features."""

    matcher: component("matcher") = Field(description="a file of matching/matchers/: which local features")
    compare: component("comparison") = Field(
        {"name": "lnbnn"},
        description="a file of matching/comparisons/: what the score of two images is",
        validate_default=True,
    )

    @model_validator(mode="after")
    def _fits(self) -> "LocalScore":
        needed = declared("comparison", self.compare["name"], "NEEDS")
        if needed and declared("matcher", self.matcher["name"], needed) is None:
            fitting = ", ".join(name for name in names("matcher") if declared("matcher", name, needed))
            raise ValueError(
                f"comparison '{self.compare['name']}' does not know the features of matcher '{self.matcher['name']}': use "
                f"one of {fitting}, or compare: lnbnn"
            )
        return self


Score = Literal["embedding"] | LocalScore


class Ranking(Strict):
    """How candidates are ranked by several scores."""

    scores: Annotated[list[Score], Field(min_length=1)] = Field(
        description="`embedding`, and local scores: {matcher: ..., compare: ...}"
    )
    shortlist: Annotated[int, Field(ge=1)] | None = Field(
        100,
        description="candidates of each query, the best by the first score, that the other scores rank again; null: all",
    )
    fusion: Literal["calibrated", "sum", "rank"] = Field(
        "calibrated",
        description="calibrated: log odds of the same identity, fitted on validation pairs, are added; sum: z-scores over a "
        "query's candidates; rank: reciprocal ranks",
    )
    calibration: Literal["isotonic", "logistic"] = Field(
        "logistic", description="how a score becomes a probability, where `fusion` is calibrated"
    )
    weights: list[Positive] | None = Field(
        None, description="of the scores, in their order; null: fitted on validation where there is any, else equal"
    )

    @field_validator("scores")
    @classmethod
    def _distinct(cls, scores: list[Score]) -> list[Score]:
        if any(score in scores[:place] for place, score in enumerate(scores)):
            raise ValueError("a score is listed twice")
        return scores

    @model_validator(mode="after")
    def _weighted(self) -> "Ranking":
        if self.weights is not None and len(self.weights) != len(self.scores):
            raise ValueError(f"'weights' are {len(self.weights)}, 'scores' {len(self.scores)}: give each score one")
        return self

    @property
    def local(self) -> list[LocalScore]:
        """The local scores, in their order."""
        return [score for score in self.scores if isinstance(score, LocalScore)]

    def modules(self) -> list[str]:
        """Return the dotted modules of its components, sorted."""
        found = [(kind, getattr(score, key)) for score in self.local for kind, key in _PARTS]
        return sorted({module_name(kind, spec["name"]) for kind, spec in found})


_PARTS = (("matcher", "matcher"), ("comparison", "compare"))
