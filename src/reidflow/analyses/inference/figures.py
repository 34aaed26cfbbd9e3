"""Figures of inference methods: the difference that each makes, and which queries it helps and harms."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reidflow.analyses.inference.tables import preferred
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, FAINT, INK, MUTED, PALE, VERMILLION, Heading, need
from reidflow.figures.text import fit, number
from reidflow.tables.text import NOISE, plural

METHODS_NOTE = (
    "Difference of the identity-balanced mAP on test from the baseline, with its interval, corrected for the number of arms. "
    "Hollow: transductive, the method uses the other queries, so a single query cannot be answered with it. Grey "
    "bars: differences smaller than this comparison could detect with 80 % power."
)
QUERIES_NOTE = (
    "Left: a point per query, its average precision, mean over seeds; triangles point up where it rises and down where it "
    "falls. Right: share of the queries of all seeds that rank better and worse than with the baseline; the rest is unchanged."
)


@drawing
def methods(table: pl.DataFrame, heading: Heading, margin: float | None = None) -> Figure:
    """Draw the difference of each arm from the baseline, the highest on top. table: INFERENCE. margin: of equivalence."""
    need(table, ["arm", "baseline", "delta", "verdict", "transductive", "forward_passes"], "methods")
    rows = _by_delta(table)
    if not rows:
        return parts.placeholder("No arm can be compared with the baseline.", heading)
    estimates = [_estimate(row) for row in rows]
    figure, axes = parts.new_figure(heading, parts.forest_height(estimates) + parts.AXIS, METHODS_NOTE, 1, 1)
    parts.forest(axes[0, 0], estimates, xlabel="difference from the baseline", margin=margin)
    handles = parts.verdict_handles([row["verdict"] for row in rows])
    if any(row["transductive"] for row in rows):
        handles["transductive"] = parts.dot(MUTED, markerfacecolor="white")
    if any(number(row["smallest_detectable"]) is not None for row in rows):
        handles["too small to detect"] = parts.patch(PALE)
    parts.legend(figure, handles | parts.margin_handles(margin))
    return figure


@drawing
def queries(table: pl.DataFrame, per_query: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the average precision of queries before and after the method that is best on validation, and shares of all.

    table: INFERENCE. per_query: PER_QUERY of the experiment.
    """
    rows = [row for row in _by_delta(table) if row["compared"]]
    best = preferred(rows)
    if best is None:
        return parts.placeholder("No arm can be compared with the baseline query by query.", heading)
    height = max(3.2, 0.24 * len(rows)) + parts.AXIS + 0.2
    figure, axes = parts.new_figure(heading, height, QUERIES_NOTE, 1, 2, width_ratios=[0.47, 0.53])
    left, right = axes[0]
    baseline = table.filter("baseline")["arm"][0]
    _scatter(left, before_after(per_query, baseline, best["arm"]), baseline, best)
    _shares(right, rows)
    handles = {"better": parts.dot(BLUE, "^"), "worse": parts.dot(VERMILLION, "v"), "unchanged": parts.dot(FAINT)}
    parts.legend(figure, handles)
    return figure


def _by_delta(table: pl.DataFrame) -> list[dict]:
    rows = [row for row in table.to_dicts() if not row["baseline"] and number(row["delta"]) is not None]
    return sorted(rows, key=lambda row: (-row["delta"], row["arm"]))


def _estimate(row: dict) -> Estimate:
    detail = plural(row["forward_passes"], "forward pass", "forward passes")
    return Estimate(
        row["arm"],
        row["delta"],
        row["delta_low"],
        row["delta_high"],
        row["verdict"],
        reach=row["smallest_detectable"],
        detail=f"{detail}, transductive" if row["transductive"] else detail,
        filled=not row["transductive"],
    )


def _scatter(axes: Axes, points: pl.DataFrame, baseline: str, best: dict) -> None:
    change = pl.col("after") - pl.col("before")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=parts.DASHED, zorder=1)
    for part, marker, colour, inside in (
        ("unchanged", "o", FAINT, change.abs() <= NOISE),
        ("better", "^", BLUE, change > NOISE),
        ("worse", "v", VERMILLION, change < -NOISE),
    ):
        own, look = points.filter(inside), {"s": 16, "marker": marker, "color": colour, "alpha": 0.6}
        if len(own):
            parts.points(axes, best["arm"], own["before"], own["after"], part=part, **look)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), box_aspect=1, anchor="N")
    axes.set_title(fit(best["arm"], 3.4, 8.5), loc="left", size=8.5, pad=4)
    axes.set_xlabel(fit(f"average precision with {baseline}", 3.2, 8.5), labelpad=2)
    axes.set_ylabel("average precision after", labelpad=3)


def _shares(axes: Axes, rows: list[dict]) -> None:
    arms = [row["arm"] for row in rows]
    for part, colour, side in (("better", BLUE, 1), ("worse", VERMILLION, -1)):
        shares = [side * row[part] / row["compared"] for row in rows]
        parts.bars(axes, arms, shares, horizontal=True, width=0.6, part=f"share {part}", color=colour)
    axes.set_yticks(range(len(arms)), [fit(arm, 1.7, 8.5) for arm in arms], size=8.5, color=INK)
    for y, row in enumerate(rows):
        better, worse = (row[part] / row["compared"] for part in ("better", "worse"))
        parts.beside(axes, y, f"{worse:.0%} worse, {better:.0%} better", row["arm"], "shares", MUTED)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=3)
    axes.set_xlabel("share of queries: worse and better", labelpad=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")


def before_after(per_query: pl.DataFrame, baseline: str, arm: str) -> pl.DataFrame:
    """Return `before` and `after` of each query that both arms score: average precision, means over the seeds of both."""
    keys = ["seed", "image"]
    scored = per_query.filter(pl.col("ap").is_finite())
    before = scored.filter(pl.col("arm") == baseline).select(*keys, before="ap")
    after = scored.filter(pl.col("arm") == arm).select(*keys, after="ap")
    paired = before.join(after, on=keys, how="inner", maintain_order="left")
    return paired.group_by("image", maintain_order=True).agg(pl.col("before", "after").mean()).sort("image")
