"""Figures of an experiment on augmentation: the gain of each part alone and among all, and mAP by its strength."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.augmentation.tables import SIDES
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, FAINT, MUTED, ORANGE, SEED, Heading
from reidflow.figures.text import fit

COLOURS = {"add": BLUE, "leave": ORANGE}
CURVES = {"id_map": ("test", BLUE, "-"), "val_id_map": ("validation", ORANGE, (0, (4, 2)))}
PARTS_NOTE = (
    "Points: mean difference of test mAP, to the right in favour of the augmentation. Lines: corrected intervals. Filled: "
    "significantly different from zero."
)
STRENGTHS_NOTE = "The parts were selected by the validation mAP of their own arms; their strengths are shown without a test of the differences."


@drawing
def part_effects(table: pl.DataFrame, heading: Heading, margin: float | None = None) -> Figure:
    """Draw the PARTS table: for each part its gain alone and among all. margin: of equivalence."""
    known = table.filter(pl.col("add_delta").is_not_null() | pl.col("leave_delta").is_not_null())
    if known.is_empty():
        return parts.placeholder("No augmentation of this experiment was compared.", heading)
    rows = [_estimate(row, side) for row in known.to_dicts() for side in SIDES]
    height = parts.forest_height(rows, least=0.2) + parts.AXIS
    figure, grid = parts.new_figure(heading, height, PARTS_NOTE)
    parts.forest(grid[0, 0], rows, xlabel="difference of identity-balanced mAP on test", margin=margin)
    handles = {words: parts.dot(COLOURS[side]) for side, words in SIDES.items()}
    parts.legend(figure, handles | parts.margin_handles(margin))
    return figure


def _estimate(row: dict, side: str) -> Estimate:
    delta, low, high, verdict = (row[f"{side}_{name}"] for name in ("delta", "low", "high", "verdict"))
    looks = {"colour": COLOURS[side], "marker": "o", "filled": verdict in ("better", "worse")}
    label = row["part"] if side == "add" else "among all"
    return Estimate(f"{row['part']} {side}", delta, low, high, verdict, label=label, **looks)


@drawing
def strength_curves(strengths: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the STRENGTHS table: a panel per part, mAP on validation and on test by strength."""
    if strengths.is_empty():
        return parts.placeholder("No augmentation of this experiment was tried at other strengths.", heading)
    names = strengths["part"].unique(maintain_order=True).to_list()
    across = parts.columns_for(len(names))
    figure, panels = parts.small_multiples(heading, names, 2.5, STRENGTHS_NOTE, sharey=True)
    for i, (name, (axes,)) in enumerate(panels.items()):
        own = strengths.filter(pl.col("part") == name).sort("position")
        room = parts.BODY / across / own.height - 0.12
        axes.set_xlim(-0.4, own.height - 0.6)
        axes.set_xticks(own["position"], [_tick(label, room) for label in own["label"]], size=8, color=MUTED)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if i % across == 0:
            axes.set_ylabel("identity-balanced mAP", labelpad=3)
        for row in own.filter("declared").to_dicts():
            x = row["position"]
            band = axes.axvspan(x - 0.12, x + 0.12, color=FAINT, alpha=0.4, linewidth=0, zorder=1)
            parts.mark(band, "declared", row["label"])
        for column, (words, colour, style) in CURVES.items():
            _curve(axes, own, column, words, {"colour": colour, "linestyle": style})
    look = {"marker": "o", "markersize": 4}
    handles = {words: parts.stroke(colour, linestyle=style, **look) for words, colour, style in CURVES.values()}
    parts.legend(
        figure, {**handles, "one seed": parts.dot(SEED, ".", 5), "strength of the arm": parts.patch(FAINT, alpha=0.4)}
    )
    return figure


def _tick(label: str, room: float) -> str:
    return "\n".join(fit(line, max(room, 0.3), 8) for line in label.split(", "))


def _curve(axes: Axes, own: pl.DataFrame, column: str, key: str, look: dict) -> None:
    found = [
        (x, v) for x, values in own.select("position", f"{column}_by_seed").iter_rows() for v in values if v is not None
    ]
    x, y = [list(each) for each in zip(*found, strict=True)] if found else ([], [])
    parts.points(axes, key, x, y, part="seeds", color=look["colour"], alpha=0.45, s=8, zorder=2)
    line = {"marker": "o", "markersize": 4, "zorder": 3, **look}
    parts.curve(axes, key, own["position"].to_list(), own[column].to_list(), **line)
