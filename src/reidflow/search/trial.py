"""A trial: what was proposed, and what came of it. No search library is needed to read one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.search import Value
from reidflow.store.runs import verified

COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"


@dataclass(frozen=True)
class Proposal:
    """The settings of a trial, axis -> number or label, and attributes that the algorithm stores with it."""

    settings: dict[str, Value]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One trial of a study. outcome: as `outcome_of` returns it, None while the trial is not finished."""

    number: int
    settings: dict[str, Value]
    attributes: dict[str, Any]
    outcome: dict[str, Any] | None = None

    @property
    def course(self) -> dict[int, float]:
        """Epoch -> validation mAP, without the untrained state and epochs that had none."""
        values = enumerate(self.outcome["values"]) if self.outcome else ()
        return {epoch: value for epoch, value in values if epoch and value is not None}

    @property
    def reached(self) -> float:
        """The mAP of the finished trial; the best so far of one that was stopped early."""
        if self.outcome["state"] == PRUNED:
            return max(self.course.values(), default=0.0)
        return self.outcome["value"]


def history_of(folder: Path) -> dict[int, float | None]:
    """Return epoch -> validation mAP of a stored run, the untrained state being epoch 0."""
    history = pl.read_parquet(verified(folder, "history.parquet"), columns=["epoch", "val_id_map"]).sort("epoch")
    return dict(zip(history["epoch"].to_list(), history["val_id_map"].to_list(), strict=True))


def outcome_of(folder: Path, pruned: bool) -> dict[str, Any]:
    """Return what came of a trial, from the files of its run.

    `value` is the validation mAP of the kept checkpoint: 0 for a diverged run, none for one that was stopped early.
    """
    facts = json.loads(verified(folder, "provenance.json").read_text())
    history = history_of(folder)
    state = PRUNED if pruned else DIVERGED if facts["diverged"] else COMPLETE
    value = {PRUNED: None, DIVERGED: 0.0}.get(state, history[facts["best_epoch"]])
    kept = ("epochs", "best_epoch", "steps", "flops", "train_flops", "parameters", "trainable_parameters")
    return {"state": state, "value": value, "values": list(history.values()), **{key: facts[key] for key in kept}}
