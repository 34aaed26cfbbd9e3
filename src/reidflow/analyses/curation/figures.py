"""Figures of a curation experiment: mAP by the share of images kept, and the scores of kept and dropped images."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reidflow.analyses.curation.findings import LENGTHS, typical_share
from reidflow.analyses.curation.tables import Curation, split_scores
from reidflow.figures import parts
from reidflow.figures.parts import drawing
from reidflow.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SKY, VERMILLION, Heading, need
from reidflow.figures.text import fit, magnitude

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)
STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
"""Methods beyond the number of colours get the next style of line."""
MARKERS = {
    "better": ("^", "significantly better than random"),
    "worse": ("v", "significantly worse than random"),
    "equivalent": ("D", "equivalent to random"),
    "inconclusive": ("o", "not significantly different from random"),
}
SHARES_NOTE = (
    "Lines: means over seeds. Bands: lowest to highest seed; random images are sampled again for each. Equal epochs: fewer "
    "images mean fewer steps. Equal steps: as many optimizer steps as training on all images."
)
_PAIR = (("kept", -0.16, BLUE), ("dropped", 0.16, ORANGE))


@drawing
def shares(arms: pl.DataFrame, heading: Heading) -> Figure:
    """Draw test mAP by the share of training images kept: a panel for equal epochs, one for equal steps.

    arms: the ARMS table. Random images are a band over their samples, all images a line with a band, each other method a
    line; markers give its verdict against random images of the same number.
    """
    need(arms, ["arm", "baseline", "label", "control", "share", "matched", "id_map", "id_map_by_seed"], "shares")
    panels = {m: arms.filter((pl.col("matched") == m) & pl.col("method").is_not_null()) for m in LENGTHS}
    panels = {matched: own for matched, own in panels.items() if own["id_map"].count()}
    if not panels:
        return parts.placeholder("No arm that selects images has a score.", heading)
    labels = arms.filter(pl.col("method").is_not_null() & ~pl.col("control"))["label"].unique(maintain_order=True)
    looks = {
        label: {"colour": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        for i, label in enumerate(labels)
    }
    figure, axes_of = parts.small_multiples(
        heading, list(panels), 3.0, SHARES_NOTE, titles=LENGTHS, xlabel="share of training images kept",
        sharex=True, sharey=True,
    )  # fmt: skip
    full = arms.row(by_predicate=pl.col("baseline"), named=True)
    ticks = sorted({*arms["share"], 1.0})
    ticks = [share for i, share in enumerate(ticks) if i == 0 or share - ticks[i - 1] >= 0.04]
    for matched, own in panels.items():
        (axes,) = axes_of[matched]
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        _spread(axes, "all images", [(share, [full]) for share in (ticks[0], 1.0)], {"colour": INK, "linewidth": 1.1})
        control = own.filter("control")
        by_share = [(s, control.filter(pl.col("share") == s).to_dicts()) for s in control["share"].unique().sort()]
        _spread(axes, "random images", by_share, {"colour": MUTED, "linewidth": 1.2, "marker": "s", "markersize": 3})
        for label, look in looks.items():
            _method(axes, label, own.filter((pl.col("label") == label) & ~pl.col("control")), look)
    axes_of[next(iter(panels))][0].set_ylabel("identity-balanced mAP on test", labelpad=3)
    parts.legend(figure, _handles(looks, control=arms["control"].any()))
    return figure


def _spread(axes: Axes, key: str, by_share: list[tuple[float, list[dict]]], look: dict) -> None:
    """Draw the mean of all seeds' mAP with a band from the lowest to the highest; a single share gets a vertical line."""
    values = {
        share: [v for row in rows for v in row["id_map_by_seed"] or [] if v is not None] for share, rows in by_share
    }
    found = {share: own for share, own in values.items() if own}
    low, high = [min(own) for own in found.values()], [max(own) for own in found.values()]
    parts.curve(axes, key, list(found), [sum(own) / len(own) for own in found.values()], low, high, **look)
    if len(found) == 1:
        axes.vlines(list(found), low, high, color=look["colour"], linewidth=5, alpha=0.2)


def _method(axes: Axes, label: str, own: pl.DataFrame, look: dict) -> None:
    rows = own.filter(pl.col("id_map").is_not_null()).sort("share")
    parts.curve(axes, label, rows["share"].to_list(), rows["id_map"].to_list(), linewidth=1.4, **look)
    for verdict, (marker, _) in MARKERS.items():
        at = rows.filter(pl.col("against_verdict").fill_null("inconclusive") == verdict)
        if at.height:
            face = {"facecolor": "white", "s": 22} if verdict == "inconclusive" else {"s": 45}
            settings = {
                "color": None,
                "edgecolor": look["colour"],
                "facecolor": look["colour"],
                "linewidth": 1,
                "zorder": 4,
            }
            x, y = at["share"].to_list(), at["id_map"].to_list()
            parts.points(axes, label, x, y, part=verdict, marker=marker, **settings | face)  # fmt: skip


def _handles(looks: dict[str, dict], control: bool) -> dict:
    found = {"all images": (parts.patch(INK, alpha=0.2), parts.stroke(INK, 1.1))}
    if control:
        found["random images"] = (parts.patch(MUTED, alpha=0.2), parts.stroke(MUTED, 1.2, marker="s", markersize=3))
    for label, look in looks.items():
        found[fit(label, 2.2, 8.5)] = parts.stroke(look["colour"], linestyle=look["linestyle"])
    for verdict, (marker, words) in MARKERS.items():
        found[words] = parts.dot(MUTED, marker, 6, markerfacecolor="white" if verdict == "inconclusive" else MUTED)
    return found


@drawing
def distributions(found: Curation, contrasts: pl.DataFrame, heading: Heading) -> Figure:
    """Draw each score of the kept and the dropped images: a panel per score, a row per method.

    contrasts: the CONTRASTS table; the share closest to one half is shown. Lines span the middle half of the images,
    dots are at the median.
    """
    share = typical_share(contrasts)
    if share is None or not found.names:
        return parts.placeholder("No arm selects images by known scores.", heading)
    arms = dict(contrasts.filter(pl.col("share") == share).unique("label", maintain_order=True)["label", "arm"].rows())
    note = (
        f"At {share:.0%} of the images. Line: the middle half of the images; dot: their median. Images with an unknown score "
        "are left out. Random samples of all seeds are pooled."
    )
    titles = {score: score.replace("_", " ") for score in found.names}
    figure, axes_of = parts.small_multiples(
        heading, found.names, 0.3 * len(arms) + 0.1, note, titles=titles, columns=min(3, len(found.names)), sharey=True
    )
    for score, (axes,) in axes_of.items():
        for y, (label, arm) in enumerate(arms.items()):
            _quartiles(axes, y, label, split_scores(found, arm, score))
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_yticks(range(len(arms)), [fit(label, 1.35, 8) for label in arms], size=8, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
        axes.tick_params(axis="x", labelsize=8, pad=2)
    look = {"marker": "o", "markersize": 4.5}
    parts.legend(figure, {part: parts.stroke(colour, 2.2, **look) for part, _, colour in _PAIR})
    return figure


def _quartiles(axes: Axes, y: int, label: str, scores: tuple[pl.Series, pl.Series]) -> None:
    for values, (part, shift, colour) in zip(scores, _PAIR, strict=True):
        if len(values):
            ends = [values.quantile(q, "linear") for q in (0.25, 0.75)]
            line = axes.plot(ends, [y + shift] * 2, color=colour, linewidth=2.2, zorder=2, solid_capstyle="butt")
            parts.mark(line[0], f"{part} half", label)
            parts.points(axes, label, [values.median()], [y + shift], part=f"{part} median", color=colour, s=20)
