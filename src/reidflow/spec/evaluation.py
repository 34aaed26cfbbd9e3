"""On which images an experiment trains, which of them ask, and which they are ranked among."""

from typing import Annotated, Any, Literal

from pydantic import Field

from reidflow.spec.canonical import short
from reidflow.spec.components import resolve
from reidflow.spec.config import Config
from reidflow.spec.errors import ReidflowError
from reidflow.spec.merge import merge
from reidflow.spec.ranges import wrong_shares
from reidflow.spec.run import Strict

Sides = Literal["across", "within"]


class Evaluation(Strict):
    """What an experiment changes of the config's split, and of who asks and is ranked in it."""

    split: dict[str, Any] = Field({}, description="changes to the config's `split`")
    sides: Sides | None = Field(None, description="instead of the config's `sides`")
    queries: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="instead of the config's `queries`")


def evaluated(config: Config, changes: Evaluation) -> Config:
    """Return the config with another split. Raises ReidflowError where there is no such split."""
    told = changes.model_dump(exclude={"split"}, exclude_none=True)
    if changes.split:
        told["split"] = resolve("split", merge({"split": config.split}, {"split": changes.split})["split"])
        if wrong := wrong_shares(told["split"]):
            raise ReidflowError(f"{wrong}. Correct them.")
    return config.model_copy(update=told)


def division(config: Config) -> dict[str, Any]:
    """Return what decides the split table of a config."""
    return {"split": config.split, "sides": config.sides, "queries": config.queries, "gallery": config.gallery}


def reseeded(division: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return what decides the same split drawn with another seed."""
    return {**division, "split": {**division["split"], "seed": seed}}


def split_id(division: dict[str, Any]) -> str:
    """Return the folder name of a split beside the config's own."""
    return f"{division['split']['name']}-{short(division)}"
