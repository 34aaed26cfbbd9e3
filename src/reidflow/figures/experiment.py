"""The figures of every experiment: its arms, training curves, identities, tuned hyperparameters and costs."""

import polars as pl
from matplotlib.figure import Figure

from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import INK, MUTED, PALE, SEED, Heading, need
from reidflow.figures.text import number

ARMS = ["arm", "baseline", "id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high", "verdict"]
ARMS_NOTE = (
    "Diamonds: mean over seeds. Right: difference from the baseline with its interval, corrected for the number of "
    "arms (Holm); colour and shape give the verdict of the corrected test. Grey bars: differences smaller than this "
    "comparison could detect with 80 % power."
)
CONTROLS_NOTE = " Against their controls: the same, corrected for the number of these comparisons alone."


@drawing
def arms(results: pl.DataFrame, heading: Heading) -> Figure:
    """Draw each arm's identity-balanced mAP with its seeds and chance, and its difference from the baseline.

    The highest mAP is on top; arms without one come last and say so. Below, the differences from the controls that arms
    name. `results` needs the columns ARMS; `ties_with_best`, `smallest_detectable` and `against...` are optional.
    """
    need(results, ARMS, "arms")
    rows = sorted(
        results.to_dicts(), key=lambda row: (number(row["id_map"]) is None, -(number(row["id_map"]) or 0), row["arm"])
    )
    values, deltas = [_value(row) for row in rows], [_delta(row) for row in rows]
    controls = [_control(row) for row in rows if row.get("against") is not None]
    heights = [parts.forest_height(part) for part in (values, controls) if part]
    figure, axes = parts.new_figure(
        heading,
        sum(heights) + parts.AXIS * len(heights) + (0.25 if controls else 0),
        ARMS_NOTE + (CONTROLS_NOTE if controls else ""),
        rows=len(heights),
        columns=2,
        width_ratios=[0.55, 0.45],
        height_ratios=heights,
    )
    left, right = axes[0]
    baseline = next((row.value for row in values if row.bold), None)
    parts.forest(
        left, values, point="id_map", xlabel="identity-balanced mAP on test", reference=None, missing="no value"
    )
    parts.forest(right, deltas, xlabel="difference from the baseline", labels=False)
    parts.ticks(left, "chance", {row["arm"]: row["chance"] for row in rows})
    if number(baseline) is not None:
        parts.reference(left, "baseline", x=baseline)
    if controls:
        for each in axes[1]:
            each.remove()
        below = figure.add_subplot(axes[1, 0].get_gridspec()[1, :], label="controls")
        below.set_title("Against their controls", loc="left", size=9, weight="bold")
        parts.forest(below, controls, xlabel="difference from the control")
    tied = [row.filled for row in values if number(row.value) is not None]
    handles = {}
    if any(tied):
        handles["not significantly different from the best"] = parts.dot(INK, "D", 5)
    if not all(tied):
        handles["significantly below the best"] = parts.dot(INK, "D", 5, markerfacecolor="white")
    handles |= {
        "one seed": parts.dot(SEED, size=3),
        "chance": parts.stroke(MUTED, 1.2, linestyle=parts.DOTTED),
        "baseline": parts.stroke(INK, 0.8, linestyle=parts.DASHED),
    }
    if any(number(row.reach) is not None for row in [*deltas, *controls]):
        handles["too small to detect"] = parts.patch(PALE)
    parts.legend(figure, handles)
    return figure


def _value(row: dict) -> Estimate:
    value = number(row["id_map"])
    return Estimate(
        row["arm"],
        value,
        seeds=row["id_map_by_seed"] or (),
        text=None if value is None else f"{value:.3f}",
        marker="D",
        filled=bool(row.get("ties_with_best")),
        bold=row["baseline"],
    )


def _delta(row: dict) -> Estimate:
    if row["baseline"]:
        return Estimate(row["arm"], None, text="baseline", bold=True)
    absent = "unavailable" if row["verdict"] == "unavailable" else None
    return Estimate(
        row["arm"],
        row["delta"],
        row["delta_low"],
        row["delta_high"],
        row["verdict"],
        reach=row.get("smallest_detectable") if number(row["delta"]) is not None else None,
        text=absent if number(row["delta"]) is None else None,
    )


def _control(row: dict) -> Estimate:
    names = ("delta", "low", "high", "verdict", "smallest_detectable")
    delta, low, high, verdict, reach = (row[f"against_{name}"] for name in names)
    return Estimate(row["arm"], delta, low, high, verdict, reach=reach, detail=f"against {row['against']}")
