"""Figures of a competition's program: score by learning rate and epochs, what a setting is worth, score and time."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from reidflow.analyses.faces.arms import DESCRIBED, TRAINED
from reidflow.analyses.faces.collected import Faces
from reidflow.analyses.faces.effects import WORDS
from reidflow.analyses.faces.findings import ABLATION_PLOT, BY_TIME, EPOCHS, PER_MINUTE, RATES
from reidflow.figures.panels import place
from reidflow.figures.style import (
    BLUE,
    GREEN,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PURPLE,
    SEED,
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
from reidflow.figures.text import fit, number, text_width

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
THEIRS = "their numbers"
SCORE = "score, test"
ROW, NAMES = 0.3, 2.4
NOTE = (
    "Points: mean over seeds with the 95 % interval of the mean; small points: seeds. Hollow: published figures, of other data. "
    "As described, nothing is trained, so that no setting of the training changes the score."
)
Marks = list[tuple[Line2D, str]]


def draw_all(faces: Faces, heading: Heading) -> dict[str, Callable[[Out], None]]:
    """Return name of a figure -> what draws it into files."""
    return {
        RATES: lambda out: draw_rates(faces.configurations, heading, out),
        EPOCHS: lambda out: draw_epochs(faces.configurations, heading, out),
        ABLATION_PLOT: lambda out: draw_ablation(faces.ablation, heading, out),
        PER_MINUTE: lambda out: draw_per_minute(faces.efficiency, heading, out),
        BY_TIME: lambda out: draw_times(faces.configurations, faces.efficiency, heading, out),
    }


def draw_rates(configurations: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the score over the learning rate, a panel an architecture; other settings are the baseline's.

    configurations: CONFIGURATIONS of `tables.faces`.
    """
    need(configurations, ["side", "architecture", "learning_rate", "score"], "score_by_rate")
    rows = _like_baseline(configurations, {"architecture", "learning_rate", "epochs"})
    trained = [row for row in rows if row["side"] == TRAINED and row["learning_rate"]]
    names = list(dict.fromkeys(row["architecture"] for row in trained))
    if not any(number(row["score"]) is not None for row in trained):
        placeholder("No arm with a trained projection has a score.", heading, out)
        return
    epochs = sorted({row["epochs"] for row in trained if _several(trained, row["epochs"])})
    epochs = epochs or sorted({row["epochs"] for row in trained})
    colours = _coloured(epochs)
    marks = [(_line(colours[e], "o"), f"{TRAINED}, {e} epochs") for e in epochs]
    marks += _marks_of(rows, [DESCRIBED, THEIRS])
    drawn = [row for row in rows if row["side"] == DESCRIBED or row["epochs"] in epochs]
    low, high = _limits(drawn)
    above, height = legend_height([words for _, words in marks]), 2.1
    panels, end = place(names, height, above)
    with sheet(heading, end + 0.1, out, NOTE) as page:
        page.legend(*map(list, zip(*marks, strict=True)))
        for name, panel in zip(names, panels, strict=True):
            panel.head(page)
            axes = page.axes(panel.left, panel.top, panel.width, height)
            axes.set_ylim(low, high)
            own = [row for row in drawn if row["architecture"] == name]
            _frozen_line(axes, own)
            for place_, e in enumerate(epochs):
                shift = 1.06 ** (place_ - (len(epochs) - 1) / 2)
                _course(
                    axes,
                    [r for r in own if r["epochs"] == e and r["side"] == TRAINED],
                    "learning_rate",
                    colours[e],
                    shift,
                )
            _rates(axes, sorted({row["learning_rate"] for row in trained}))
            axes.set_xlabel("learning rate", labelpad=1, size=8)
            if panel.first:
                axes.set_ylabel(SCORE, labelpad=2)


def draw_epochs(configurations: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the score of the baseline's architecture over the epochs that it was trained."""
    need(configurations, ["side", "baseline", "epochs", "score"], "score_by_epochs")
    rows = _like_baseline(configurations, {"epochs"})
    trained = sorted((row for row in rows if row["side"] == TRAINED and row["epochs"]), key=lambda row: row["epochs"])
    if not any(number(row["score"]) is not None for row in trained):
        placeholder("No arm with a trained projection and the baseline's settings has a score.", heading, out)
        return
    marks = [(_line(BLUE, "o"), f"{TRAINED}, {trained[0]['architecture']}"), *_marks_of(rows, [DESCRIBED, THEIRS])]
    above, height = legend_height([words for _, words in marks]) + 0.05, 2.9
    with sheet(heading, above + height + 0.45, out, NOTE) as page:
        page.legend(*map(list, zip(*marks, strict=True)))
        axes = page.axes(MARGIN + 0.55, above, WIDTH - 2 * MARGIN - 0.6, height)
        axes.set_ylim(*_limits(rows))
        _frozen_line(axes, rows)
        _course(axes, trained, "epochs", BLUE)
        axes.xaxis.set_major_locator(FixedLocator([row["epochs"] for row in trained]))
        axes.set_xlim(trained[0]["epochs"] - 0.4, trained[-1]["epochs"] + 0.4)
        axes.set_xlabel("epochs", labelpad=2)
        axes.set_ylabel(SCORE, labelpad=3)


def draw_ablation(ablation: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw what batch size, normalisation and augmentation are worth in score against the baseline.

    ablation: ABLATION of `tables.faces_effects`.
    """
    wanted = pl.col("factor").is_in(["batch", "normalised", "augmented"])
    rows = ablation.filter(wanted).to_dicts()
    names = list(dict.fromkeys((row["factor"], row["value"]) for row in rows))
    values = [v for row in rows for v in _differences(row)]
    if not values:
        placeholder(
            "No arm differs from the baseline in batch size, normalisation or augmentation alone.", heading, out
        )
        return
    labels = {key: fit(_label(*key), NAMES, 8.5) for key in names}
    left = MARGIN + max(text_width(words, 8.5) for words in labels.values()) + 0.12
    marks = [(_line(BLUE, "o", ""), TRAINED), (_line(MUTED, "s", ""), DESCRIBED), (_hollow(), THEIRS)]
    marks = [
        mark for mark in marks if mark[1] != THEIRS or any(row["published_difference"] is not None for row in rows)
    ]
    above = legend_height([words for _, words in marks]) + 0.05
    room = 0.08 * max(max(values) - min(values), 1.0)
    note = (
        "Against the baseline's score, paired by seed: mean with its 95 % interval over seeds; small points: seeds. Hollow: the "
        "same difference of published figures. As described, batch size and augmentation leave every bit as it is."
    )
    height = 2 * ROW * len(names)
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(*map(list, zip(*marks, strict=True)))
        axes = page.axes(left, above, WIDTH - left - MARGIN, height)
        axes.set(xlim=(min([*values, 0.0]) - room, max([*values, 0.0]) + room), ylim=(len(names), 0), yticks=[])
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        axes.set_xlabel("difference in score, test", labelpad=2)
        for y, key in enumerate(names):
            page.text(left - 0.1, above + (y + 0.5) * 2 * ROW, labels[key], size=8.5, ha="right", va="center_baseline")
            for row in rows:
                if (row["factor"], row["value"]) == key:
                    _difference(axes, row, y)


def draw_per_minute(efficiency: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the points of score per minute of each architecture with the baseline's settings.

    efficiency: CONFIGURATIONS_EFFICIENCY of `tables.faces`.
    """
    rows = [row for row in efficiency.filter("controlled").to_dicts() if number(row["score_per_minute"])]
    if not rows:
        placeholder("No architecture has both a score and measured seconds.", heading, out)
        return
    order = sorted({row["architecture"] for row in rows}, key=lambda name: -_highest(rows, name))
    labels = {name: fit(name, NAMES, 8.5) for name in order}
    left = MARGIN + max(text_width(words, 8.5) for words in labels.values()) + 0.12
    theirs = any(number(row["published_score_per_minute"]) for row in rows)
    marks = [
        (_line(BLUE, "o", ""), TRAINED),
        (_line(MUTED, "s", ""), DESCRIBED),
        *([(_hollow(), THEIRS)] if theirs else []),
    ]
    above, height = legend_height([words for _, words in marks]) + 0.05, 1.6 * ROW * len(order)
    note = (
        "Further to the right is better; the axis is logarithmic. Seconds of training and of embedding, measured on this machine; "
        "hollow: published figures, of another machine."
    )
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(*map(list, zip(*marks, strict=True)))
        axes = page.axes(left, above, WIDTH - left - MARGIN, height)
        axes.set(ylim=(len(order), 0), yticks=[], xscale="log")
        axes.set_xlabel("points of score per minute", labelpad=2)
        for y, name in enumerate(order):
            page.text(
                left - 0.1, above + (y + 0.5) * 1.6 * ROW, labels[name], size=8.5, ha="right", va="center_baseline"
            )
            for row in rows:
                if row["architecture"] == name:
                    _rate(axes, row, y + 0.5)
        _plain_logs(axes)


def draw_times(configurations: pl.DataFrame, efficiency: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the score of every configuration over the seconds that it took, a colour an architecture."""
    timed = {(row["side"], row["configuration"]): row["seconds"] for row in efficiency.to_dicts()}
    rows = [{**row, "seconds": timed.get((row["side"], row["configuration"]))} for row in configurations.to_dicts()]
    ours = [row for row in rows if number(row["score"]) is not None and number(row["seconds"])]
    if not ours:
        placeholder("No configuration has both a score and measured seconds.", heading, out)
        return
    shown = {(row["side"], row["arm"]): row for row in reversed(ours)}
    theirs = {
        row["configuration"]: row for row in rows if number(row["published_score"]) and number(row["published_seconds"])
    }
    colours = _coloured(list(dict.fromkeys(row["architecture"] for row in [*ours, *theirs.values()])))
    marks = [(_line(colour, "D", ""), name) for name, colour in colours.items()]
    marks += [
        (_line(MUTED, "o", ""), TRAINED),
        (_line(MUTED, "s", ""), DESCRIBED),
        *([(_hollow(), THEIRS)] if theirs else []),
    ]
    above, height = legend_height([words for _, words in marks]) + 0.05, 3.4
    note = (
        "Higher is better, and so is further to the left; the axis of seconds is logarithmic. Seconds of training and of embedding, "
        "measured on this machine; hollow: published figures, of another machine. Bars: 95 % interval of the mean over seeds."
    )
    with sheet(heading, above + height + 0.45, out, note) as page:
        page.legend(*map(list, zip(*marks, strict=True)))
        axes = page.axes(MARGIN + 0.55, above, WIDTH - 2 * MARGIN - 0.6, height)
        axes.set_xscale("log")
        for row in reversed(shown.values()):
            marker = "o" if row["side"] == TRAINED else "s"
            _bar(axes, row["seconds"], row, colours[row["architecture"]])
            axes.scatter(
                [row["seconds"]], [row["score"]], s=26, marker=marker, color=colours[row["architecture"]], zorder=3
            )
        for row in theirs.values():
            _point(axes, row["published_seconds"], row["published_score"], colours[row["architecture"]])
        axes.set_xlabel("seconds", labelpad=2)
        axes.set_ylabel(SCORE, labelpad=3)
        axes.yaxis.set_major_locator(MaxNLocator(7))
        _plain_logs(axes)


def _like_baseline(configurations: pl.DataFrame, free: set[str]) -> list[dict]:
    """Return the rows that share all settings with the baseline but those in `free`."""
    base = configurations.filter("baseline").to_dicts()
    if not base:
        return []
    fixed = [name for name in WORDS if name not in free]
    return configurations.filter(*(pl.col(name).eq_missing(base[0][name]) for name in fixed)).to_dicts()


def _several(rows: Sequence[dict], epochs: int) -> bool:
    return len({row["learning_rate"] for row in rows if row["epochs"] == epochs}) > 1


def _coloured(keys: Iterable) -> dict:
    return {key: COLOURS[place % len(COLOURS)] for place, key in enumerate(keys)}


def _marks_of(rows: Sequence[dict], kinds: Sequence[str]) -> Marks:
    """Return the marks of what is drawn beside the trained projection."""
    found = []
    if DESCRIBED in kinds and any(row["side"] == DESCRIBED and number(row["score"]) is not None for row in rows):
        found.append((Line2D([], [], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2))), DESCRIBED))
    if THEIRS in kinds and any(number(row["published_score"]) is not None for row in rows):
        found.append((_hollow(), THEIRS))
    return found


def _line(colour: str, marker: str, style: str = "-") -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle=style, markersize=5.5, linewidth=1.4)


def _hollow() -> Line2D:
    return Line2D([], [], marker="o", linestyle="none", markerfacecolor="none", markeredgecolor=INK, markersize=5.5)


def _point(axes: Axes, x: float, y: float, colour: str) -> None:
    axes.scatter([x], [y], s=30, facecolor="white", edgecolor=colour, linewidth=1.2, zorder=4)


def _limits(rows: Sequence[dict]) -> tuple[float, float]:
    names = ("score", "score_low", "score_high", "published_score")
    values = [number(row[name]) for row in rows for name in names]
    values += [number(value) for row in rows for value in row["score_by_seed"] or []]
    known = [value for value in values if value is not None]
    room = max(0.06 * (max(known) - min(known)), 2.0)
    return min(known) - room, max(known) + room


def _frozen_line(axes: Axes, rows: Sequence[dict]) -> None:
    """Draw the score of the frozen network as a line: it is the same whatever is trained."""
    known = [row["score"] for row in rows if row["side"] == DESCRIBED and number(row["score"]) is not None]
    if known:
        axes.axhline(known[0], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)


def _course(axes: Axes, rows: Sequence[dict], column: str, colour: str, shift: float = 1.0) -> None:
    """Draw scores over a setting, and the published ones at the same settings."""
    rows = sorted(rows, key=lambda row: row[column])
    ours = [row for row in rows if number(row["score"]) is not None]
    axes.plot([r[column] * shift for r in ours], [r["score"] for r in ours], color=colour, linewidth=1.4, zorder=2)
    for row in ours:
        x = row[column] * shift
        seeds = row["score_by_seed"]
        axes.scatter([x] * len(seeds), seeds, s=7, color=SEED, linewidth=0, zorder=2)
        _bar(axes, x, row, colour)
        axes.scatter([x], [row["score"]], s=26, color=colour, zorder=3)
    theirs = [row for row in rows if number(row["published_score"]) is not None]
    axes.plot(
        [r[column] * shift for r in theirs],
        [r["published_score"] for r in theirs],
        color=colour,
        linewidth=0.7,
        alpha=0.6,
        zorder=1,
    )
    for row in theirs:
        _point(axes, row[column] * shift, row["published_score"], colour)


def _bar(axes: Axes, x: float, row: dict, colour: str) -> None:
    if number(row["score_low"]) is not None:
        axes.plot([x, x], [row["score_low"], row["score_high"]], color=colour, linewidth=1.1, alpha=0.8, zorder=2)


def _rates(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 2)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _label(factor: str, value: str) -> str:
    return value if factor in ("normalised", "augmented") else f"{WORDS[factor]} {value}"


def _differences(row: dict) -> list[float]:
    names = ("difference", "difference_low", "difference_high", "published_difference")
    values = [*(row[name] for name in names), *(row["difference_by_seed"] or [])]
    return [value for value in values if number(value) is not None]


def _difference(axes: Axes, row: dict, y: int) -> None:
    height = y + (0.35 if row["side"] == TRAINED else 0.65)
    colour, marker = (BLUE, "o") if row["side"] == TRAINED else (MUTED, "s")
    if number(row["difference"]) is not None:
        seeds = row["difference_by_seed"] or []
        axes.scatter(seeds, [height] * len(seeds), s=7, color=SEED, linewidth=0, zorder=2)
        if number(row["difference_low"]) is not None:
            ends = [row["difference_low"], row["difference_high"]]
            axes.plot(ends, [height, height], color=colour, linewidth=1.3, zorder=2)
        axes.scatter([row["difference"]], [height], s=28, marker=marker, color=colour, zorder=3)
    if row["side"] == TRAINED and number(row["published_difference"]) is not None:
        _point(axes, row["published_difference"], y + 0.5, INK)


def _highest(rows: Sequence[dict], architecture: str) -> float:
    return max(row["score_per_minute"] for row in rows if row["architecture"] == architecture)


def _rate(axes: Axes, row: dict, y: float) -> None:
    colour, marker, shift = (BLUE, "o", -0.15) if row["side"] == TRAINED else (MUTED, "s", 0.15)
    axes.scatter([row["score_per_minute"]], [y + shift], s=32, marker=marker, color=colour, zorder=3)
    if row["side"] == TRAINED and number(row["published_score_per_minute"]):
        _point(axes, row["published_score_per_minute"], y, INK)


def _plain_logs(axes: Axes) -> None:
    """Label a logarithmic axis in plain numbers, 1, 2 and 5 of each power where there are few powers."""
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [step * 10.0**power for power in range(-3, 9) for step in steps]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}" if value < 1e6 else f"{value:,.0f}")
    axes.set_xlim(low, high)
