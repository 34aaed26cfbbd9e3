"""Performance profiles: of each arm, the share of identities with at least a mean average precision."""

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, Heading, need
from reidflow.figures.text import fit

COLUMNS = ["arm", "threshold", "share", "share_low", "share_high"]
COLOURS = [BLUE, ORANGE, GREEN, PURPLE, SKY]
"""Of the arms with the largest areas beside the baseline, the largest first; the others are grey lines."""
BANDS = 2
"""So many of them have a band, as has the baseline: more would cover each other."""
NOTE = (
    "Share of identities with at least the mean average precision on the x axis, mean over seeds; a higher line is better, and "
    "the area below it is the balanced mAP. Bands of the baseline and of the two best arms: pointwise 95 %, by a bootstrap over identities and seeds."
)


@drawing
def profiles(shares: pl.DataFrame, baseline: str, heading: Heading) -> Figure:
    """Draw the profile of every arm; the baseline's and those with the largest areas have colours, a few of them bands.

    shares: the table PROFILES.
    """
    if shares.is_empty():
        return parts.placeholder("No identity is scored with every seed of an arm.", heading)
    need(shares, COLUMNS, "profiles")
    arms = shares.group_by("arm", maintain_order=True).agg(pl.col(c) for c in COLUMNS[1:])
    ranked = sorted(arms.to_dicts(), key=lambda row: -sum(row["share"]))
    rivals = [row["arm"] for row in ranked if row["arm"] != baseline][: len(COLOURS)]
    colours = {baseline: INK, **dict(zip(rivals, COLOURS, strict=False))}
    figure, axes = parts.new_figure(heading, 2.9, NOTE)
    axes = axes[0, 0]
    for row in sorted(ranked, key=lambda row: row["arm"] in colours):
        shown = row["arm"] in colours
        ends = (row["share_low"], row["share_high"]) if row["arm"] in [baseline, *rivals[:BANDS]] else (None, None)
        looks = {"colour": colours.get(row["arm"], FAINT), "linewidth": 1.6 if shown else 0.7}
        parts.curve(axes, row["arm"], row["threshold"], row["share"], *ends, **looks)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("mean average precision of an identity, at least", labelpad=2)
    axes.set_ylabel("identities", labelpad=3)
    named = [row["arm"] for row in ranked if row["arm"] in colours]
    handles = {fit(name, 2.6, 8.5): parts.stroke(colours[name]) for name in named}
    if len(ranked) > len(named):
        handles["other arms"] = parts.stroke(FAINT, 0.7)
    parts.legend(figure, handles)
    return figure
