"""Figures of a curation experiment: mAP by the share of images that stays, and the scores of kept and dropped images."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.analyses.curation.findings import LENGTHS, typical_share
from reidflow.analyses.curation.tables import Curation, split_scores
from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import clean, fit, magnitude, text_width

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
"""Methods beyond the number of colours get the next style of line."""
MARKERS = {"better": "^", "worse": "v"}
NAMES = 1.35
"""Inches for the names of methods beside their rows."""


def draw_shares(arms: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw test mAP by the share of the training images that stays: a panel for equal epochs, one for equal steps.

    arms: the ARMS table of `tables.curation`. Random choices are a band over their draws, all images a line over the
    width, each other method a line; marks tell where a method differs from random images of the same number.
    """
    need(arms, ["arm", "baseline", "label", "control", "share", "matched", "id_map", "id_map_by_seed"], "shares")
    shown = {m: arms.filter((pl.col("matched") == m) & pl.col("method").is_not_null()) for m in LENGTHS}
    shown = {matched: own for matched, own in shown.items() if own["id_map"].count()}
    if not shown:
        placeholder("No arm that chooses images has a score.", heading, out)
        return
    looks = _looks(arms)
    handles, words = _share_legend(arms, looks)
    above, height = legend_height(words) + 0.3, 3.0
    cell = (WIDTH - 2 * MARGIN) / len(shown)
    limits = _limits(arms)
    note = (
        "Lines: means over seeds. Bands: lowest to highest seed; a random choice is drawn anew for each. Equal epochs: fewer "
        "images are fewer steps. Equal steps: as many optimizer steps as all images take."
    )
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(handles, words)
        for i, (matched, own) in enumerate(shown.items()):
            left = MARGIN + 0.45 + i * cell
            page.text(left, above - 0.08, f"at {LENGTHS[matched]}", va="baseline")
            axes = page.axes(left, above, cell - 0.57, height)
            _share_axes(axes, arms["share"].to_list(), limits)
            if i == 0:
                axes.set_ylabel("identity-balanced mAP, test", labelpad=3)
            _full(axes, arms.row(by_predicate=pl.col("baseline"), named=True))
            _random(axes, own.filter("control"))
            for label, look in looks.items():
                _line(axes, own.filter((pl.col("label") == label) & ~pl.col("control")), look)


def _looks(arms: pl.DataFrame) -> dict[str, dict]:
    chosen = arms.filter(pl.col("method").is_not_null() & ~pl.col("control"))
    labels = chosen["label"].unique(maintain_order=True)
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        for i, label in enumerate(labels)
    }


def _limits(arms: pl.DataFrame) -> tuple[float, float]:
    values = [v for row in arms["id_map_by_seed"].drop_nulls() for v in row if v is not None]
    values += arms["id_map"].drop_nulls().to_list()
    room = max(0.05 * (max(values) - min(values)), 0.005)
    return min(values) - room, max(values) + room


def _share_axes(axes: Axes, shares: list[float], limits: tuple[float, float]) -> None:
    axes.set_ylim(limits)
    axes.set_xlim(min(shares) - 0.05, 1.03)
    ticks = sorted({*shares, 1.0})
    kept = [share for i, share in enumerate(ticks) if i == 0 or share - ticks[i - 1] >= 0.04]
    axes.set_xticks(kept)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("training images that stay", labelpad=2)


def _full(axes: Axes, row: dict) -> None:
    values = [value for value in row["id_map_by_seed"] or [] if value is not None]
    if values:
        axes.axhspan(min(values), max(values), color=INK, alpha=0.08, linewidth=0, zorder=1)
    if row["id_map"] is not None:
        axes.axhline(row["id_map"], color=INK, linewidth=1.1, zorder=2)


def _random(axes: Axes, own: pl.DataFrame) -> None:
    """Draw the band over all draws of all random arms of a share, and their mean."""
    rows = []
    for share in own["share"].unique().sort():
        lists = own.filter(pl.col("share") == share)["id_map_by_seed"].drop_nulls().to_list()
        values = [value for found in lists for value in found if value is not None]
        if values:
            rows.append((share, min(values), sum(values) / len(values), max(values)))
    if rows:
        share, low, mean, high = zip(*rows, strict=True)
        axes.fill_between(share, low, high, color=FAINT, alpha=0.45, linewidth=0, zorder=1.5)
        axes.plot(share, mean, color=MUTED, linewidth=1.2, marker="s", markersize=3, zorder=2.5)
        if len(rows) == 1:
            axes.plot([share[0]] * 2, [low[0], high[0]], color=FAINT, linewidth=5, alpha=0.6, zorder=1.5)


def _line(axes: Axes, own: pl.DataFrame, look: dict) -> None:
    rows = sorted((row for row in own.to_dicts() if row["id_map"] is not None), key=lambda row: row["share"])
    axes.plot([row["share"] for row in rows], [row["id_map"] for row in rows], linewidth=1.4, zorder=3, **look)
    for row in rows:
        mark = MARKERS.get(row["against_verdict"], "o")
        told = row["against_verdict"] in MARKERS
        axes.plot(
            row["share"],
            row["id_map"],
            mark,
            color=look["color"],
            markersize=7 if told else 5,
            markerfacecolor=look["color"] if told else "white",
            zorder=4,
        )


def _share_legend(arms: pl.DataFrame, looks: dict[str, dict]) -> tuple[list, list[str]]:
    pairs: list[tuple] = [((Patch(color=INK, alpha=0.08), Line2D([], [], color=INK, linewidth=1.1)), "all images")]
    if arms["control"].any():
        band = (Patch(color=FAINT, alpha=0.45), Line2D([], [], color=MUTED, marker="s", markersize=3, linewidth=1.2))
        pairs.append((band, "random images"))
    pairs += [(Line2D([], [], linewidth=1.4, **look), fit(label, 2.2, 8.5)) for label, look in looks.items()]
    plain = {"linestyle": "none", "color": MUTED}
    pairs += [
        (Line2D([], [], marker="^", markersize=7, **plain), "better than random"),
        (Line2D([], [], marker="v", markersize=7, **plain), "worse than random"),
        (Line2D([], [], marker="o", markersize=5, markerfacecolor="white", **plain), "cannot be told from it"),
    ]
    return [handle for handle, _ in pairs], [label for _, label in pairs]


def draw_distributions(found: Curation, contrasts: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw each score of the kept and of the dropped images: a panel per score, a row per method.

    contrasts: the CONTRASTS table; the share nearest to one half is shown. Lines run over the middle half of the images,
    dots stand at the median.
    """
    share = typical_share(contrasts)
    if share is None or not found.names:
        placeholder("No arm chooses images by scores that are known.", heading, out)
        return
    own = contrasts.filter(pl.col("share") == share)
    arms = {row["label"]: row["arm"] for row in own.unique("label", maintain_order=True).to_dicts()}
    words = ["kept", "dropped"]
    handles = [_bar(BLUE), _bar(ORANGE)]
    across = min(3, len(found.names))
    names = min(NAMES, max(text_width(clean(label), 8) for label in arms) + 0.1)
    cell = (WIDTH - 2 * MARGIN - names) / across
    height = 0.26 * len(arms) + 0.1
    above, pitch = legend_height(words), height + 0.62
    rows = -(-len(found.names) // across)
    note = (
        f"At {share:.0%} of the images. Line: the middle half of the images; dot: their median. Images of which a score is not "
        "known are left out. Of several draws, all count."
    )
    with sheet(heading, above + rows * pitch, out, note) as page:
        page.legend(handles, words)
        for i, score in enumerate(found.names):
            left, top = MARGIN + names + (i % across) * cell, above + 0.28 + (i // across) * pitch
            page.text(left, top - 0.07, score.replace("_", " "), va="baseline")
            axes = page.axes(left, top, cell - 0.25, height)
            _score_panel(axes, found, list(arms.values()), score)
            if i % across == 0:
                for place, label in enumerate(arms):
                    y = top + height * (place + 0.5) / len(arms)
                    page.text(MARGIN, y, fit(label, names - 0.05, 8), size=8, va="center")


def _bar(colour: str) -> Line2D:
    return Line2D([], [], color=colour, linewidth=2.2, marker="o", markersize=4.5)


def _score_panel(axes: Axes, found: Curation, arms: list[str], score: str) -> None:
    for place, arm in enumerate(arms):
        for values, shift, colour in zip(split_scores(found, arm, score), (-0.16, 0.16), (BLUE, ORANGE), strict=True):
            if len(values):
                ends = [values.quantile(q, "linear") for q in (0.25, 0.75)]
                axes.plot(ends, [place + shift] * 2, color=colour, linewidth=2.2, zorder=2, solid_capstyle="butt")
                axes.plot(values.median(), place + shift, "o", color=colour, markersize=4.5, zorder=3)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_yticks(range(len(arms)), [""] * len(arms))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
    axes.tick_params(labelsize=8, pad=2)
