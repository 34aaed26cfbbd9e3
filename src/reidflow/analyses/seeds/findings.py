"""Findings of an experiment on seeds."""

import math
import statistics
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.seeds import FIGURES
from reidflow.analyses.seeds.tables import (
    DIFFERENCE,
    RANKING,
    READINGS,
    SIGNIFICANT,
    SPLIT,
    SPREADS,
    TRAINING,
    by_seed,
    differences,
)
from reidflow.analyses.seeds.winner import Best, settings
from reidflow.store.tables import Column
from reidflow.tables.arms import mean
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import setting

SHOWN = 10
"""Candidates in the table of the findings; the file holds all."""
CLEAR = 2
"""Standard errors from which on a decrease counts as regression to the mean."""
BEST, SEEDS, NOISE = (
    "The best experiment",
    "Over new training seeds and other splits",
    "Differences of the other experiments against this noise",
)
KINDS = {TRAINING: "training seeds", SPLIT: "splits"}


def sections(
    best: Best, seeds: pl.DataFrame, spreads: pl.DataFrame, ranking: pl.DataFrame, readings: pl.DataFrame
) -> list[Section]:
    """Return the sections of the findings, from the tables SEEDS, SPREADS, RANKING and READINGS."""
    rows = readings.to_dicts()
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        best=best,
        first=ranking.row(0, named=True),
        ranked=ranked(ranking),
        same=settings(best.specs[best.arm]) == settings(best.specs[best.baseline]),
        training=spread(best, seeds, spreads, TRAINING),
        splits=spread(best, seeds, spreads, SPLIT),
        regression=regression(best, seeds, ranking),
        noise={"std": rows[0]["noise"] * math.sqrt(rows[0]["seeds"] / 2)} if rows else None,
        sides={
            kind: {side: [row for row in rows if row[kind] is inside] for side, inside in SIDES.items()}
            for kind in ("beyond", "split_beyond")
        },
        counted=counted(rows),
        doubtful=[row for row in rows if row["verdict"] in SIGNIFICANT and not row["beyond"]],
    )
    shown = spreads.with_columns(pl.col("kind").replace(KINDS))
    tables = {
        BEST: [
            configuration_block(best),
            block(f"The first {SHOWN} candidates", ranking.head(SHOWN), _RANKED, RANKING),
        ],
        SEEDS: [
            block("Spread of the balanced mAP on test", shown, SPREADS),
            *(runs_block(best, seeds, kind) for kind in dict.fromkeys(seeds["kind"])),
        ],
        NOISE: [block("Largest difference of each experiment", readings, _READINGS, READINGS)],
    }
    return sections_of(text, tables, {SEEDS: {"seeds": FIGURES["seeds"]}, NOISE: {"readings": FIGURES["readings"]}})


SIDES = {"beyond": True, "within": False}
_RANKED = ("rank", "arm", "experiment", "val_id_map", "seeds", "p_adjusted", "different")
_READINGS = (
    "experiment", "arm", "arms", "seeds", "delta", "interval", "verdict", "noise", "ratio", "limit", "beyond",
    "split_noise", "split_limit", "split_beyond",
)  # fmt: skip


def ranked(ranking: pl.DataFrame) -> dict[str, int]:
    """Return counts of the candidates: arms, configurations, experiments, arms with diverged runs or a single seed, ties.

    ties: configurations other than the first that are not significantly different from it.
    """
    others = ranking.filter(pl.col("configuration") != ranking["configuration"][0])
    return {
        "arms": ranking.height,
        "configurations": ranking["configuration"].n_unique(),
        "experiments": ranking["experiment"].n_unique(),
        "diverged": ranking.filter(pl.col("diverged") > 0).height,
        "single": others["different"].null_count(),
        "ties": others.filter(~pl.col("different"))["configuration"].n_unique(),
    }


def spread(best: Best, seeds: pl.DataFrame, spreads: pl.DataFrame, kind: str) -> dict[str, Any]:
    """Return the rows of SPREADS of a kind that have scores: `arms`, `difference` (None without), and what they rest on.

    ahead: splits or seeds on which the winner scores higher. trained: training seeds of each. training_std, of each arm:
    its standard deviation over training seeds.
    """
    rows = {(row["kind"], row["arm"]): row for row in spreads.to_dicts() if row["mean"] is not None}
    arms = [rows[kind, arm] for arm in best.arms if (kind, arm) in rows]
    return {
        "arms": [row | {"training_std": rows.get((TRAINING, row["arm"]), {}).get("std")} for row in arms],
        "difference": rows.get((kind, DIFFERENCE)),
        "ahead": sum(value > 0 for value in differences(seeds, kind, best.arm, best.baseline).values()),
        "trained": seeds.filter(pl.col("kind") == kind)["seed"].n_unique(),
    }


def regression(best: Best, seeds: pl.DataFrame, ranking: pl.DataFrame) -> dict[str, Any] | None:
    """Return how the winner's validation mAP changed from the seeds that selected it to new ones.

    kind: `none`, no decrease; `clear`, a decrease of more than CLEAR standard errors; `within`, a smaller one. None with
    fewer than two seeds of either.
    """
    selected = ranking["val_id_map_by_seed"][0].to_list()
    new = list(by_seed(seeds, TRAINING, best.arm, "val_id_map").values())
    if min(len(selected), len(new)) < 2:
        return None
    change = mean(new) - mean(selected)
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in (selected, new)))
    kind = "none" if change >= 0 else "clear" if -change > CLEAR * error else "within"
    counts = {"selected_seeds": len(selected), "new_seeds": len(new)}
    return {"selected": mean(selected), "new": mean(new), "change": change, "error": error, "kind": kind, **counts}


def counted(rows: list[dict[str, Any]]) -> dict[str, int | None]:
    """Return how many arms of all experiments (rows of READINGS) are significantly different, and how many beyond noise."""
    split = [row["significant_split_beyond"] for row in rows if row["significant_split_beyond"] is not None]
    return {
        "significant": sum(row["significant"] for row in rows),
        "beyond": sum(row["significant_beyond"] for row in rows),
        "split_beyond": sum(split) if split else None,
    }


def configuration_block(best: Best) -> Block:
    """Return every setting of the best arm beside the baseline's."""
    ours, theirs = (
        {path: setting(value) for path, value in settings(best.specs[arm]).items()} for arm in (best.arm, best.baseline)
    )
    rows = [
        {"path": path if ours.get(path) == theirs.get(path) else f"{path} *", "ours": ours.get(path), "theirs": theirs.get(path)}
        for path in dict.fromkeys([*ours, *theirs])
    ]  # fmt: skip
    columns = [
        Column(
            "path", pl.String, "setting", "text", "Path of the setting in the run spec; *: differs from the baseline."
        ),
        Column("ours", pl.String, best.arm, "text", "Value in the best arm."),
        Column("theirs", pl.String, best.baseline, "text", "Value in the baseline."),
    ]
    return block("Configuration (* differs from the baseline)", rows, columns)


def runs_block(best: Best, seeds: pl.DataFrame, kind: str) -> Block:
    """Return the scores of each training seed, or of each split."""
    first = "seed" if kind == TRAINING else "split seed"
    columns = [Column("seed", pl.Int64, first, "text", f"The {first}.")]
    values = {}
    for arm in best.arms:
        values[f"test {arm}"] = by_seed(seeds, kind, arm)
        columns.append(Column(f"test {arm}", pl.Float64, f"{arm}, test", "number", "Balanced mAP on test."))
    if len(best.arms) > 1:
        values[DIFFERENCE] = differences(seeds, kind, best.arm, best.baseline)
        columns.append(Column(DIFFERENCE, pl.Float64, "difference", "signed", "Best arm minus baseline, on test."))
    for arm in best.arms:
        values[f"val {arm}"] = by_seed(seeds, kind, arm, "val_id_map")
        columns.append(Column(f"val {arm}", pl.Float64, f"{arm}, validation", "number", "Balanced mAP on validation."))
    keys = dict.fromkeys(key for own in values.values() for key in own)
    rows = [{"seed": key} | {name: own.get(key) for name, own in values.items()} for key in keys]
    return block(f"Each {first}", rows, columns)
