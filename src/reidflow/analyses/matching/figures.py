"""The figure of ranking by local features: what each arm gains, and what a query costs with it."""

import polars as pl
from matplotlib.figure import Figure

from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import FAINT, Heading, need
from reidflow.figures.text import fit, number

COST_NOTE = (
    "Across: time of a query on this machine: extracting its local features, searching by the embedding, comparing it with "
    "candidates; embedding it is left out. Up: difference of the identity-balanced mAP from the baseline, with its interval, "
    "corrected for the number of arms. The line joins arms that no other beats in both."
)


@drawing
def cost(table: pl.DataFrame, costs: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the gain of each arm against the time of a query. table: MATCHING. costs: COST."""
    need(table, ["arm", "baseline", "delta", "delta_low", "delta_high"], "cost")
    times = dict(costs.select("arm", "query_ms").iter_rows())
    rows = [row for row in table.to_dicts() if row["baseline"] or number(row["delta"]) is not None]
    rows = [row for row in rows if number(times.get(row["arm"])) is not None]
    if len(rows) < 2:
        return parts.placeholder("No arm can be compared with the baseline.", heading)
    figure, axes = parts.new_figure(heading, 3.6 + parts.AXIS, COST_NOTE, 1, 1)
    panel = axes[0, 0]
    panel.set_xlabel("milliseconds of a query", labelpad=2)
    panel.set_ylabel("difference of the balanced mAP", labelpad=3)
    handles = parts.front_handles(any(row["baseline"] for row in rows))
    parts.legend(figure, handles | {"interval": parts.stroke(FAINT, 1.2)})
    x = [float(times[row["arm"]]) for row in rows]
    y = [0.0 if row["baseline"] else float(row["delta"]) for row in rows]
    for row, cost in zip(rows, x, strict=True):
        low, high = number(row["delta_low"]), number(row["delta_high"])
        if not row["baseline"] and low is not None and high is not None:
            line = panel.plot([cost, cost], [low, high], color=FAINT, linewidth=1.2, zorder=1.5)[0]
            parts.mark(line, "interval", row["arm"])
    ends = [value for row in rows for value in (row["delta_low"], row["delta_high"]) if number(value) is not None]
    parts.cost_panel(
        panel,
        [row["arm"] for row in rows],
        x,
        y,
        labels=[fit(row["arm"], 1.6, 8, lines=2, bold=row["baseline"]) for row in rows],
        baselines=[row["baseline"] for row in rows],
        also=ends,
    )
    return figure
