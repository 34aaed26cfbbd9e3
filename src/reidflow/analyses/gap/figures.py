"""Figures of an experiment on several splits: each arm in each condition, and what each remedy changes there."""

from collections.abc import Callable

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidflow.analyses.gap.tables import VALIDATION, effects
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import INK, MUTED, SEED, Heading, need
from reidflow.figures.text import number, signed

MOST = 4
"""Conditions side by side."""
NAMES = 1.8
"""Inches: the widest name of an arm."""
GAP_NOTE = (
    "Conditions in the order of the experiment's file, its own split last. Dots: mean over seeds, with its 95 % interval "
    "over identities and seeds; below it each seed. Hollow: mean on the validation images of the same split."
)
REMEDIES_NOTE = (
    "Differences in identity-balanced mAP on test, paired by identity and seed; interval and verdict are corrected for the "
    "number of arms in each condition. Each arm is compared with its control where it names one, else with the "
    "baseline."
)


@drawing
def gap(gap: pl.DataFrame, lost: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the mAP of each arm, a panel per condition, with chance and validation. gap, lost: the tables GAP and LOST."""
    need(gap, ["arm", "baseline", "condition", "id_map", "id_map_by_seed", "val_id_map", "chance"], "gap")
    need(lost, ["arm", "condition", "above_low", "above_high"], "gap")
    rows = gap.filter(pl.col("id_map").is_finite() & (pl.col("condition") != VALIDATION))
    if rows.is_empty():
        return parts.placeholder("No arm has a score in any condition.", heading)
    rows = rows.join(lost.select("arm", "condition", "above_low", "above_high"), ["arm", "condition"], "left")
    found = {(row["condition"], row["arm"]): row for row in rows.to_dicts()}
    baseline = set(rows.filter("baseline")["arm"])
    conditions, arms = _order(gap, found)

    def estimate(condition: str, arm: str) -> Estimate:
        row = found.get((condition, arm))
        if row is None:
            return Estimate(arm, None, text="", bold=arm in baseline)
        value, chance = row["id_map"], number(row["chance"])
        ends = [
            None if chance is None or number(row[n]) is None else chance + row[n] for n in ("above_low", "above_high")
        ]
        seeds = row["id_map_by_seed"] or ()
        return Estimate(arm, value, *ends, seeds=seeds, text=f"{value:.3f}", bold=arm in baseline)

    def draw(axes: Axes, condition: str, first: bool) -> None:
        own = [estimate(condition, arm) for arm in arms]
        parts.forest(axes, own, point="id_map", reference=None, labels=first, width=NAMES)
        known = {arm: found.get((condition, arm), {}) for arm in arms}
        parts.ticks(axes, "chance", {arm: row.get("chance") for arm, row in known.items()})
        for y, (arm, row) in enumerate(known.items()):
            if number(row.get("val_id_map")) is not None:
                look = {"s": 16, "color": "white", "edgecolor": MUTED, "linewidth": 0.9, "zorder": 3.5}
                parts.points(axes, arm, [row["val_id_map"]], [y - 0.28], part="validation", **look)

    height = parts.forest_height([estimate(conditions[0], arm) for arm in arms], NAMES, least=0.34)
    figure = _by_condition(conditions, height, draw, heading, GAP_NOTE, "identity-balanced mAP")
    handles = {"test": parts.dot(INK), "one seed": parts.dot(SEED, size=3)}
    handles["validation"] = parts.dot(MUTED, size=4, markerfacecolor="white")
    parts.legend(figure, handles | {"chance": parts.stroke(MUTED, 1.2, linestyle=parts.DOTTED)})
    return figure


@drawing
def remedies(gap: pl.DataFrame, heading: Heading, margin: float | None = None) -> Figure:
    """Draw the difference of each arm from its control or the baseline, a panel per condition.

    gap: the table GAP. margin: of equivalence.
    """
    need(gap, ["arm", "baseline", "condition", "delta", "against_delta"], "remedies")
    found = {(row["condition"], row["arm"]): row for row in effects(gap)}
    if not found:
        return parts.placeholder("No arm can be compared with another one.", heading)
    conditions, arms = _order(gap, found)
    details = {row["arm"]: f"against {row['reference']}" for row in found.values()}

    def estimate(condition: str, arm: str) -> Estimate:
        row = found.get((condition, arm))
        if row is None:
            return Estimate(arm, None, text="", detail=details[arm])
        text = signed(row["delta"])
        return Estimate(arm, row["delta"], row["low"], row["high"], row["verdict"], text=text, detail=details[arm])

    def draw(axes: Axes, condition: str, first: bool) -> None:
        parts.forest(axes, [estimate(condition, arm) for arm in arms], labels=first, width=NAMES, margin=margin)

    height = parts.forest_height([estimate(conditions[0], arm) for arm in arms], NAMES)
    figure = _by_condition(conditions, height, draw, heading, REMEDIES_NOTE, "difference")
    handles = parts.verdict_handles([row["verdict"] for row in found.values()])
    parts.legend(figure, handles | parts.margin_handles(margin))
    return figure


def _order(gap: pl.DataFrame, found: dict[tuple[str, str], dict]) -> tuple[list[str], list[str]]:
    """Return the conditions and the arms that occur, in the order of the table."""
    conditions, arms = (list(dict.fromkeys(gap[name])) for name in ("condition", "arm"))
    return [c for c in conditions if any(c == key[0] for key in found)], [
        a for a in arms if any(a == k[1] for k in found)
    ]


def _by_condition(
    conditions: list[str],
    height: float,
    draw: Callable[[Axes, str, bool], None],
    heading: Heading,
    note: str,
    xlabel: str,
) -> Figure:
    """Return a figure with a panel per condition on one scale; draw: (axes, condition, whether it names the rows)."""
    columns = min(MOST, len(conditions))
    figure, panels = parts.small_multiples(
        heading, conditions, height, note, xlabel=xlabel, columns=columns, sharex="all"
    )
    for i, (condition, (axes,)) in enumerate(panels.items()):
        draw(axes, condition, i % columns == 0)
    return figure
