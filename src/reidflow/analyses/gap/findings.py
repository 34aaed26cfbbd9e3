"""The findings on an experiment on several splits: what is lost on the way, and which remedies help where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.gap import FIGURES
from reidflow.analyses.gap.tables import GAP, LOST, VALIDATION, effects
from reidflow.tables.columns import column
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of

WHERE, REMEDIES = "From the easiest condition to the experiment's own", "Which remedy helps where"
_SCORES = (
    "arm", "condition", "id_map", "id_map_std", "chance", "val_id_map", "top1", "top5", "top10", "queries", "identities",
    "seeds", "split",
)  # fmt: skip
_KEPT = ("arm", "condition", "above", "above_interval", "kept", "kept_interval", "note")


def sections(gap: pl.DataFrame, lost: pl.DataFrame, transductive: Mapping[str, list[str]]) -> list[Section]:
    """Return the sections of the findings, from the tables GAP and LOST.

    transductive: arm -> its inference components that use the other queries.
    """
    baseline = gap.filter(pl.col("baseline") & (pl.col("condition") != VALIDATION)).to_dicts()
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        baseline=baseline,
        own=next(row for row in baseline if row["own"]),
        kept=lost.filter("baseline").to_dicts(),
        costliest=costliest(lost),
        remedies=by_condition(effects(gap)),
        from_baseline=from_baseline(gap),
        consistent=consistent(effects(gap)),
        transductive=transductive,
    )
    reference = lost["reference"][0] if len(lost) else ""
    scores = [block("mAP in each condition", gap, _SCORES, GAP)]
    scores.append(block(f"Score above chance, and its share of that in {reference}", lost, _KEPT, LOST))
    tables = {WHERE: scores, REMEDIES: [_differences(gap)]}
    return sections_of(text, tables, {WHERE: {"gap": FIGURES["gap"]}, REMEDIES: {"remedies": FIGURES["remedies"]}})


def costliest(lost: pl.DataFrame) -> dict[str, Any] | None:
    """Return which condition between the first and the last costs the baseline most.

    `among`: those conditions. `condition`: the one whose interval of the share kept is below all others', None where
    intervals overlap. None with fewer than two of them.
    """
    rows = lost.filter("baseline").to_dicts()
    between = [row for row in rows[:-1] if row["condition"] != row["reference"] and row["kept"] is not None]
    if len(between) < 2:
        return None
    first = min(between, key=lambda row: row["kept"])
    apart = all(first["kept_high"] < row["kept_low"] for row in between if row is not first)
    return {"among": [row["condition"] for row in between], "condition": first["condition"] if apart else None}


def by_condition(changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per condition: own, the arms that are better, worse, equivalent or unchanged there, and the smallest detectable.

    changed: of `effects`. An arm is unchanged where it scores as its reference in every identity and seed, that is, what
    it changes does not occur there. smallest_detectable: the largest of the arms, None where one is unknown.
    """
    found = []
    for name in dict.fromkeys(row["condition"] for row in changed):
        rows = [row for row in changed if row["condition"] == name]
        seen = [row["smallest_detectable"] for row in rows]
        found.append(
            {
                "condition": name,
                "own": rows[0]["own"],
                "better": [row for row in rows if row["verdict"] == "better"],
                "worse": [row for row in rows if row["verdict"] == "worse"],
                "equivalent": [row for row in rows if row["verdict"] == EQUIVALENT],
                "unchanged": [row for row in rows if row["delta"] == row["low"] == row["high"] == 0],
                "smallest_detectable": None if None in seen else max(seen),
            }
        )
    return found


def from_baseline(gap: pl.DataFrame) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return condition -> verdict -> the arms with a control that are better or worse than the baseline there.

    The table has these verdicts beside those against the control.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    baseline = gap.filter("baseline")["arm"][0]
    for row in gap.filter(pl.col("against").is_not_null(), pl.col("verdict").is_in(["better", "worse"])).to_dicts():
        each = {"arm": row["arm"], "reference": baseline, "delta": row["delta"]}
        each |= {"low": row["delta_low"], "high": row["delta_high"]}
        found.setdefault(row["condition"], {}).setdefault(row["verdict"], []).append(each)
    return found


def consistent(changed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return which arms are better in `every` condition, and which in one alone: arm -> that condition (`one`).

    changed: of `effects`. Only arms that were compared in every condition count, and only where there are several.
    """
    conditions = {row["condition"] for row in changed}
    verdicts: dict[str, dict[str, str]] = {}
    for row in changed:
        verdicts.setdefault(row["arm"], {})[row["condition"]] = row["verdict"]
    better = {
        arm: [condition for condition, verdict in found.items() if verdict == "better"]
        for arm, found in verdicts.items()
        if len(found) == len(conditions) > 1
    }
    return {
        "every": [arm for arm, found in better.items() if len(found) == len(conditions)],
        "one": {arm: found[0] for arm, found in better.items() if len(found) == 1},
    }


def _differences(gap: pl.DataFrame) -> Block:
    baseline = ["arm", "condition", "delta", "interval", "p_adjusted", "verdict", "smallest_detectable"]
    control = [
        column("against"),
        *(column(f"against_{name}") for name in ("delta", "interval", "p_adjusted", "verdict")),
    ]
    named = [each.but(heading=f"{each.heading}, control") for each in control[1:]]
    title = "Difference from the baseline and from the control in the same condition, each corrected over the arms"
    return block(title, gap.filter(~pl.col("baseline")), [*baseline, control[0], *named], GAP)
