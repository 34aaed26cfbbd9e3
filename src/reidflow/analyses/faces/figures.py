"""Figures of a face competition's program: score by learning rate, epochs and time, and the effect of single settings."""

from collections.abc import Iterable, Sequence

import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from reidflow.analyses.faces.arms import DESCRIBED, SIDES, TRAINED
from reidflow.analyses.faces.tables import FACTOR_NAMES, changed
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SEED, SKY, VERMILLION, Heading, need
from reidflow.figures.text import fit, number, signed

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
LOOKS = {TRAINED: (BLUE, "o"), DESCRIBED: (MUTED, "s")}
PUBLISHED, SCORE = "published", "score, test"
HOLLOW = {"s": 30, "color": "white", "linewidth": 1.2, "zorder": 4}
NOTE = (
    "Points: mean over seeds with the 95 % interval of the mean; small points: seeds. Hollow: published figures, of other data. "
    "As described, nothing is trained, so that no training parameter changes the score."
)
ABLATION_NOTE = (
    "Score minus the baseline's, paired by seed: mean with its 95 % interval over seeds; small points: seeds. Hollow: the same "
    "difference of published figures. As described, batch size and augmentation have no effect."
)
MINUTE_NOTE = (
    "Further to the right is better; the axis is logarithmic. Time of training and embedding, measured on this machine; "
    "hollow: published figures, of another machine."
)
TIME_NOTE = (
    "Higher is better, and so is further to the left; the axis of seconds is logarithmic. Time of training and embedding, "
    "measured on this machine; hollow: published figures, of another machine. Bars: 95 % interval of the mean over seeds."
)


@drawing
def score_by_rate(configurations: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the score by learning rate, a panel per architecture; other settings are the baseline's. table: CONFIGURATIONS."""
    need(configurations, ["side", "architecture", "learning_rate", "score"], "score_by_rate")
    rows = _like_baseline(configurations, {"architecture", "learning_rate", "epochs"})
    trained = [row for row in rows if row["side"] == TRAINED and row["learning_rate"]]
    if not any(number(row["score"]) is not None for row in trained):
        return parts.placeholder("No arm with a trained projection has a score.", heading)
    epochs = sorted({row["epochs"] for row in trained if _several(trained, row["epochs"])})
    epochs = epochs or sorted({row["epochs"] for row in trained})
    colours = _coloured(epochs)
    names = list(dict.fromkeys(row["architecture"] for row in trained))
    figure, panels = parts.small_multiples(heading, names, 2.1, NOTE, xlabel="learning rate", sharey=True)
    for i, (name, (axes,)) in enumerate(panels.items()):
        own = [row for row in rows if row["architecture"] == name]
        _frozen(axes, own)
        for k, count in enumerate(epochs):
            shift = 1.06 ** (k - (len(epochs) - 1) / 2)
            points = [row for row in own if row["side"] == TRAINED and row["epochs"] == count]
            _course(axes, f"{count} epochs", points, "learning_rate", colours[count], shift)
        _log_axis(axes, sorted({row["learning_rate"] for row in trained}))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if i % parts.columns_for(len(names)) == 0:
            axes.set_ylabel(SCORE, labelpad=2)
    handles = {f"{TRAINED}, {n} epochs": parts.stroke(colours[n], marker="o", markersize=5.5) for n in epochs}
    parts.legend(figure, handles | _handles_of(rows))
    return figure


@drawing
def score_by_epochs(configurations: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the score of the baseline's architecture by the epochs of its training. configurations: CONFIGURATIONS."""
    need(configurations, ["side", "baseline", "epochs", "score"], "score_by_epochs")
    rows = _like_baseline(configurations, {"epochs"})
    trained = [row for row in rows if row["side"] == TRAINED and row["epochs"]]
    if not any(number(row["score"]) is not None for row in trained):
        return parts.placeholder("No arm with a trained projection and the baseline's settings has a score.", heading)
    figure, grid = parts.new_figure(heading, 3.2, NOTE, 1, 1)
    axes, name = grid[0, 0], trained[0]["architecture"]
    _frozen(axes, rows)
    _course(axes, name, trained, "epochs", BLUE)
    tried = sorted({row["epochs"] for row in trained})
    axes.xaxis.set_major_locator(FixedLocator(tried))
    axes.set_xlim(tried[0] - 0.4, tried[-1] + 0.4)
    axes.set_xlabel("epochs", labelpad=2)
    axes.set_ylabel(SCORE, labelpad=3)
    handles = {f"{TRAINED}, {name}": parts.stroke(BLUE, marker="o", markersize=5.5)}
    parts.legend(figure, handles | _handles_of(rows))
    return figure


@drawing
def score_ablation(ablation: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the effect of batch size, normalisation and augmentation on the score. ablation: ABLATION."""
    rows = ablation.filter(pl.col("factor").is_in(["batch", "normalised", "augmented"])).to_dicts()
    rows = [row for row in rows if any(number(row[n]) is not None for n in ("difference", "published_difference"))]
    if not rows:
        words = "No arm differs from the baseline in batch size, normalisation or augmentation alone."
        return parts.placeholder(words, heading)
    names = list(dict.fromkeys((row["factor"], row["value"]) for row in rows))
    rows.sort(key=lambda row: (names.index((row["factor"], row["value"])), row["side"] != TRAINED))
    estimates = [_difference(row) for row in rows]
    figure, grid = parts.new_figure(heading, parts.forest_height(estimates) + parts.AXIS, ABLATION_NOTE, 1, 1)
    axes = grid[0, 0]
    for y, row in enumerate(rows):
        if row["side"] == TRAINED and number(row["published_difference"]) is not None:
            published = [row["published_difference"]]
            parts.points(axes, estimates[y].key, published, [y - 0.25], part=PUBLISHED, edgecolor=INK, **HOLLOW)
    parts.forest(axes, estimates, point="difference", xlabel="difference in score, test", missing="")
    parts.legend(figure, _sides(rows, "published_difference"))
    return figure


@drawing
def score_per_minute(efficiency: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the score per minute of each architecture with the baseline's settings. efficiency: CONFIGURATIONS_EFFICIENCY."""
    rows = [row for row in efficiency.filter("controlled").to_dicts() if number(row["score_per_minute"])]
    if not rows:
        return parts.placeholder("No architecture has both a score and measured seconds.", heading)
    highest: dict[str, float] = {}
    for row in rows:
        highest[row["architecture"]] = max(row["score_per_minute"], highest.get(row["architecture"], 0.0))
    rows.sort(key=lambda row: (-highest[row["architecture"]], row["architecture"], row["side"] != TRAINED))
    estimates = [_rate(row) for row in rows]
    figure, grid = parts.new_figure(heading, parts.forest_height(estimates) + parts.AXIS, MINUTE_NOTE, 1, 1)
    axes = grid[0, 0]
    axes.set_xscale("log")
    for y, row in enumerate(rows):
        if row["side"] == TRAINED and number(row["published_score_per_minute"]):
            published = [row["published_score_per_minute"]]
            parts.points(axes, estimates[y].key, published, [y - 0.25], part=PUBLISHED, edgecolor=INK, **HOLLOW)
    parts.forest(axes, estimates, point="score", xlabel="score per minute", reference=None)
    _log_axis(axes)
    parts.legend(figure, _sides(rows, "published_score_per_minute"))
    return figure


@drawing
def score_by_time(configurations: pl.DataFrame, efficiency: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the score of every arm by the seconds of its training and embedding, a colour per architecture."""
    timed = {(row["side"], row["configuration"]): row["seconds"] for row in efficiency.to_dicts()}
    rows = [{**row, "seconds": timed.get((row["side"], row["configuration"]))} for row in configurations.to_dicts()]
    ours = [row for row in rows if number(row["score"]) is not None and number(row["seconds"])]
    if not ours:
        return parts.placeholder("No configuration has both a score and measured seconds.", heading)
    published = {
        row["configuration"]: row for row in rows if number(row["published_score"]) and number(row["published_seconds"])
    }
    colours = _coloured(dict.fromkeys(row["architecture"] for row in [*ours, *published.values()]))
    figure, grid = parts.new_figure(heading, 3.7, TIME_NOTE, 1, 1)
    axes = grid[0, 0]
    axes.set_xscale("log")
    for (side, arm), row in {(row["side"], row["arm"]): row for row in ours}.items():
        colour, key = colours[row["architecture"]], f"{arm}, {side}"
        if number(row["score_low"]) is not None:
            lines = axes.vlines(
                row["seconds"], row["score_low"], row["score_high"], color=colour, linewidth=1.1, alpha=0.8
            )
            parts.mark(lines, "interval", key)
        parts.points(axes, key, [row["seconds"]], [row["score"]], s=26, marker=LOOKS[side][1], color=colour)
    for name, row in published.items():
        look = {"edgecolor": colours[row["architecture"]], **HOLLOW}
        parts.points(axes, name, [row["published_seconds"]], [row["published_score"]], part=PUBLISHED, **look)
    axes.set_xlabel("seconds", labelpad=2)
    axes.set_ylabel(SCORE, labelpad=3)
    axes.yaxis.set_major_locator(MaxNLocator(7))
    _log_axis(axes)
    handles = {fit(name, 2.3, 8.5): parts.dot(colour, "D", 5.5) for name, colour in colours.items()}
    handles |= {
        side: parts.dot(MUTED, LOOKS[side][1], 5.5) for side in SIDES if any(row["side"] == side for row in ours)
    }
    parts.legend(figure, handles | ({PUBLISHED: _hollow()} if published else {}))
    return figure


def _like_baseline(configurations: pl.DataFrame, free: set[str]) -> list[dict]:
    """Return the rows that share all settings with the baseline but those in `free`."""
    base = configurations.filter("baseline").to_dicts()
    if not base:
        return []
    fixed = [name for name in FACTOR_NAMES if name not in free]
    return configurations.filter(*(pl.col(name).eq_missing(base[0][name]) for name in fixed)).to_dicts()


def _several(rows: Sequence[dict], epochs: int) -> bool:
    return len({row["learning_rate"] for row in rows if row["epochs"] == epochs}) > 1


def _coloured(keys: Iterable) -> dict:
    return {key: COLOURS[i % len(COLOURS)] for i, key in enumerate(keys)}


def _hollow() -> Artist:
    return parts.dot(INK, size=5.5, markerfacecolor="white")


def _handles_of(rows: Sequence[dict]) -> dict[str, Artist]:
    """Return the legend of the frozen features and the published figures, where there are any."""
    found: dict[str, Artist] = {}
    if any(row["side"] == DESCRIBED and number(row["score"]) is not None for row in rows):
        found[DESCRIBED] = parts.stroke(MUTED, 1.2, linestyle=parts.DASHED)
    if any(number(row["published_score"]) is not None for row in rows):
        found[PUBLISHED] = _hollow()
    return found


def _sides(rows: Sequence[dict], published: str) -> dict[str, Artist]:
    found = {side: parts.dot(*LOOKS[side], 5.5) for side in LOOKS if any(row["side"] == side for row in rows)}
    shown = any(row["side"] == TRAINED and number(row[published]) is not None for row in rows)
    return found | ({PUBLISHED: _hollow()} if shown else {})


def _frozen(axes: Axes, rows: Sequence[dict]) -> None:
    """Draw the score of the frozen features as a line: nothing in the training changes it."""
    known = [row["score"] for row in rows if row["side"] == DESCRIBED and number(row["score"]) is not None]
    if known:
        parts.reference(axes, DESCRIBED, y=known[0], color=MUTED, linewidth=1.2)


def _course(axes: Axes, key: str, rows: Sequence[dict], column: str, colour: str, shift: float = 1.0) -> None:
    """Draw scores over a setting as line:<key> with interval:<key> and seeds:<key>, and published:<key> beside them."""
    rows = sorted(rows, key=lambda row: row[column])
    ours = [row for row in rows if number(row["score"]) is not None]
    if ours:
        x = [row[column] * shift for row in ours]
        parts.curve(
            axes, key, x, [row["score"] for row in ours], colour=colour, marker="o", markersize=5, linewidth=1.4
        )
        seeds = [(at, value) for at, row in zip(x, ours, strict=True) for value in row["score_by_seed"]]
        parts.points(axes, key, *zip(*seeds, strict=True), part="seeds", s=7, color=SEED, zorder=2)
        ends = [(at, row["score_low"], row["score_high"]) for at, row in zip(x, ours, strict=True)]
        ends = [each for each in ends if number(each[1]) is not None]
        if ends:
            bars = axes.vlines(*zip(*ends, strict=True), color=colour, linewidth=1.1, alpha=0.8, zorder=2)
            parts.mark(bars, "interval", key)
    theirs = [row for row in rows if number(row["published_score"]) is not None]
    if theirs:
        x, y = [row[column] * shift for row in theirs], [row["published_score"] for row in theirs]
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.6, zorder=1)
        parts.points(axes, key, x, y, part=PUBLISHED, edgecolor=colour, **HOLLOW)


def _difference(row: dict) -> Estimate:
    colour, marker = LOOKS[row["side"]]
    name = changed(row)
    value = number(row["difference"])
    return Estimate(
        f"{name}, {row['side']}",
        value,
        row["difference_low"],
        row["difference_high"],
        seeds=row["difference_by_seed"] or (),
        text="" if value is None else signed(value, 1),
        label=name,
        detail=row["side"],
        colour=colour,
        marker=marker,
    )


def _rate(row: dict) -> Estimate:
    colour, marker = LOOKS[row["side"]]
    value, key = row["score_per_minute"], f"{row['architecture']}, {row['side']}"
    look = {"label": row["architecture"], "detail": row["side"], "colour": colour, "marker": marker}
    return Estimate(key, value, text=f"{value:,.0f}", **look)


def _log_axis(axes: Axes, ticks: Sequence[float] = ()) -> None:
    """Label a logarithmic x axis in plain numbers: ticks, or 1, 2 and 5 of each power where there are few powers."""
    axes.set_xscale("log")
    if ticks:
        axes.set_xlim(min(ticks) / 2, max(ticks) * 2)
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = ticks or [step * 10.0**power for power in range(-3, 9) for step in steps]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}" if value < 1e6 else f"{value:,.0f}")
    axes.set_xlim(low, high)
