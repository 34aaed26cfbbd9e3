"""Figures of a search: how it advanced, its trials along each axis, what each axis and choice does, and value by cost."""

from collections.abc import Mapping, Sequence
from math import log10

import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from reidflow.analyses.search.effects import FANOVA, LEVEL, PED_ANOVA
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SEED,
    SKY,
    VERMILLION,
    Heading,
    need,
)
from reidflow.figures.text import clean, fit, magnitude, number, short_value
from reidflow.search.trial import COMPLETE, DIVERGED, PRUNED
from reidflow.spec.search import Axis

METRIC = "validation mAP"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, SEED)
MARKS = ("o", "^", "D", "v", ">", "<")
SPENT = {
    "trials": "trials",
    "steps": "optimizer steps",
    "train_flops": "training FLOPs",
    "seconds": "seconds of training",
}
COSTS = {"flops": "forward FLOPs per image", "parameters": "parameters"}
METHODS = {
    PED_ANOVA: ("PED-ANOVA: share of what separates the best fifth", BLUE, -0.19),
    FANOVA: ("fANOVA: share of the variance of all values", ORANGE, 0.19),
}
BEST = 10
"""Trials that parallel coordinates emphasise."""
MANY = 22
"""From so many choices on, effects stand in two columns."""
ALIKE = 1.05
"""Where the most expensive trial costs less than so many times the cheapest, there is no front."""
PROGRESS_NOTE = (
    "Lines: best validation mAP of the trials so far, which includes luck. Points: single trials; the lowest tenth may lie "
    "below the axes. Not shown, for want of a value: {} pruned and {} diverged trials. Seconds are summed over workers and "
    "were measured on this machine."
)
SLICES_NOTE = (
    "A point per trial; within a choice, points are spread sideways. Bars: median of the trials with a choice. Pruned and "
    "diverged trials have no value and stand at the lower edge."
)
PARALLEL_NOTE = (
    "A line per trial, read from the top down to its validation mAP. Within a choice, lines are spread sideways. Left of an "
    "axis: trials whose study keeps the baseline's value. Not shown: {} pruned and diverged trials."
)
IMPORTANCES_NOTE = (
    "Share of each axis by itself. Pale: shuffled trials give as much in more than 5 % of cases (PED-ANOVA alone). A study "
    "that learns from its trials (such as TPE) samples where values are good, so its shares are of that region."
)
EFFECTS_NOTE = (
    "Effect: by how many percentage points more of all trials a trial with the choice beats, on average, than one without. "
    "Lines: intervals corrected for the number of choices. Right: mean validation mAP and number of the trials with the "
    "choice, of {}."
)
FRONT_NOTE = (
    "A point per trial, by its single run; higher is better, and so is further to the left. The line joins the trials that "
    "no other one beats in both."
)


def _looks(studies: pl.Series) -> dict[str, tuple[str, str]]:
    """Return study -> colour and marker, no two alike among the first 36."""
    names = list(dict.fromkeys(studies))
    n = len(COLOURS)
    return {name: (COLOURS[i % n], MARKS[(i + i // n) % len(MARKS)]) for i, name in enumerate(names)}


def _handles(looks: Mapping[str, tuple[str, str]], winner: bool, baseline: object) -> dict:
    """Return the legend of studies, winners and the baseline."""
    found = {name: parts.dot(colour, mark) for name, (colour, mark) in looks.items()}
    star = parts.dot("white", "*", 10, markeredgecolor=INK, markeredgewidth=0.9)
    found |= {"winner of its study": star} if winner else {}
    return found | (
        {"baseline": parts.stroke(INK, 0.9, linestyle=parts.DASHED)} if number(baseline) is not None else {}
    )


def _winner(axes: Axes, study: str, x: float, y: float, colour: str) -> None:
    star = {"s": 110, "marker": "*", "edgecolor": INK, "linewidth": 0.9, "zorder": 6, "clip_on": False}
    parts.points(axes, study, [x], [y], part="winner", color=colour, **star)


def _baseline(axes: Axes, value: float | None) -> None:
    if number(value) is not None:
        parts.reference(axes, "baseline", y=value, zorder=1.5)


def finished(trials: pl.DataFrame) -> pl.DataFrame:
    """Return the trials with a value that training reached: neither pruned nor diverged."""
    return trials.filter((pl.col("state") == COMPLETE) & pl.col("value").is_finite())


def spread(index: int) -> float:
    """Return an offset in [-1, 1) for the index-th of several marks at one position, by the golden ratio."""
    return 2 * ((index * 0.6180339887498949) % 1.0) - 1


def searched(axes: Sequence[Axis], trials: pl.DataFrame) -> list[Axis]:
    """Return the axes of which any trial has a value."""
    return [a for a in axes if a.name in trials.columns and trials[a.name].null_count() < len(trials)]


@drawing
def progress(table: pl.DataFrame, heading: Heading, baseline: float | None = None) -> Figure:
    """Draw PROGRESS with its seconds: the best value so far, a line per study, a panel per cost. baseline: its mAP."""
    need(table, ["study", "state", "value", "best", "trials"], "progress")
    if table["best"].null_count() == len(table):
        return parts.placeholder("No trial of this search has a value.", heading)
    spent = [c for c in SPENT if c in table.columns and table[c].null_count() < len(table)]
    looks, done = _looks(table["study"]), finished(table)
    ended = [(table["state"] == state).sum() for state in (PRUNED, DIVERGED)]
    shape = {"columns": len(spent), "sharey": True}
    figure, grid = parts.new_figure(heading, 3.1, PROGRESS_NOTE.format(*ended), **shape)
    for axes, column in zip(grid[0], spent, strict=True):
        axes.set_label(column)
        axes.set_xlabel(SPENT[column], labelpad=2)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(magnitude))
        _baseline(axes, baseline)
        for study, (colour, mark) in looks.items():
            own = table.filter((pl.col("study") == study) & pl.col(column).is_not_null()).sort("trials")
            line = {"part": "best", "colour": colour, "drawstyle": "steps-post", "zorder": 3}
            parts.curve(axes, study, own[column].to_list(), own["best"].to_list(), **line)
            single, look = finished(own), {"s": 8, "color": colour, "marker": mark, "alpha": 0.35}
            parts.points(axes, study, single[column].to_list(), single["value"].to_list(), part="trials", **look)
    grid[0, 0].set_ylabel(f"best {METRIC} so far", labelpad=3)
    low = done["value"].quantile(0.1) if len(done) else 0.0
    known = [v for v in (low, table["best"].max(), number(baseline)) if v is not None]
    room = max(0.06 * (max(known) - min(known)), 0.005)
    grid[0, 0].set_ylim(min(known) - room, max(known) + room)
    parts.legend(figure, _handles(looks, False, baseline))
    return figure


@drawing
def slices(trials: pl.DataFrame, axes: Sequence[Axis], heading: Heading, baseline: float | None = None) -> Figure:
    """Draw TRIALS over the axes of their space: validation mAP against the value on each axis, a panel per axis."""
    need(trials, ["study", "trial", "state", "value", "winner"], "slices")
    shown, looks = searched(axes, trials), _looks(trials["study"])
    if not shown or finished(trials).is_empty():
        return parts.placeholder("No trial of this search was trained to its end.", heading)
    columns = min(3, len(shown))
    figure, panels = parts.small_multiples(
        heading, [axis.name for axis in shown], 1.45, SLICES_NOTE, columns=columns, sharey=True
    )
    for i, (axis, (panel,)) in enumerate(zip(shown, panels.values(), strict=True)):
        _slice(panel, trials, axis, looks, parts.BODY / columns - 0.35)
        _baseline(panel, baseline)
        panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if i % columns == 0:
            panel.set_ylabel(METRIC, labelpad=3, size=8)
    handles = _handles(looks, bool(trials["winner"].any()), baseline)
    for state, colour in ((PRUNED, MUTED), (DIVERGED, VERMILLION)):
        if (trials["state"] == state).any():
            handles[state] = parts.dot(colour, "x", 4)
    parts.legend(figure, handles)
    return figure


def _slice(panel: Axes, trials: pl.DataFrame, axis: Axis, looks: Mapping[str, tuple[str, str]], width: float) -> None:
    choice = axis.kind == "choice"
    if choice:
        room = width / len(axis.labels) - 0.05
        labels = [fit(clean(label).replace("(", " ("), room, 7, lines=3) for label in axis.labels]
        panel.set_xlim(-0.5, len(labels) - 0.5)
        panel.set_xticks(range(len(labels)), labels, size=7, linespacing=1.0)
        panel.grid(visible=False, axis="x")
    elif axis.log:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if axis.high / axis.low > 300 else (1.0, 3.0)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_value(float(f"{value:.3g}"))))
        panel.xaxis.set_minor_formatter(NullFormatter())
    else:
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    for i, (study, (colour, mark)) in enumerate(looks.items()):
        own = trials.filter((pl.col("study") == study) & pl.col(axis.name).is_not_null()).to_dicts()
        spots = [
            axis.labels.index(row[axis.name]) + 0.36 * spread(row["trial"] + 7 * i) if choice else row[axis.name]
            for row in own
        ]
        placed = list(zip(spots, own, strict=True))
        for state, look in ((PRUNED, colour), (DIVERGED, VERMILLION)):
            at = [x for x, row in placed if row["state"] == state]
            rug = {"s": 12, "marker": "x", "linewidth": 0.8, "transform": panel.get_xaxis_transform()}
            if at:
                parts.points(panel, study, at, [0.03] * len(at), part=state, color=look, **rug)
        done = [(x, row) for x, row in placed if row["state"] == COMPLETE and number(row["value"]) is not None]
        edge = {"s": 15, "marker": mark, "color": colour, "linewidth": 0.3, "edgecolor": "white", "alpha": 0.75}
        parts.points(panel, study, [x for x, _ in done], [row["value"] for _, row in done], part="trials", **edge)
        for x, row in done:
            if row["winner"]:
                _winner(panel, study, x, row["value"], colour)
    for i, label in enumerate(axis.labels if choice else ()):
        median = finished(trials).filter(pl.col(axis.name) == label)["value"].median()
        if median is not None:
            bar = {"color": INK, "linewidth": 1.6, "alpha": 0.8, "zorder": 4}
            parts.mark(panel.plot([i - 0.42, i + 0.42], [median] * 2, **bar)[0], "median", label)


def position(axis: Axis, value: object) -> float | None:
    """Return where a value lies on an axis, between 0 and 1: a label in the middle of its share; None without a value."""
    if value is None:
        return None
    if axis.kind == "choice":
        return (axis.labels.index(str(value)) + 0.5) / len(axis.labels)
    low, high, here = (log10(v) if axis.log else v for v in (axis.low, axis.high, value))
    return (here - low) / (high - low)


def ticks(axis: Axis) -> list[float]:
    """Return the values at which a numeric axis is labelled."""
    locators = [MaxNLocator(5, integer=axis.kind == "int", steps=[1, 2, 5, 10])]
    if axis.log and axis.high / axis.low >= 8:
        wide = axis.high / axis.low > 1000
        locators.insert(0, LogLocator(10, subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=99))
    for locator in locators:
        found = [
            v for v in locator.tick_values(axis.low, axis.high) if axis.low * (1 - 1e-9) <= v <= axis.high * (1 + 1e-9)
        ]
        if len(found) > 1:
            return found
    return [axis.low, axis.high]


ASIDE = 0.15
"""Left share of an axis that some studies do not search, for the trials of these."""


@drawing
def parallel(trials: pl.DataFrame, axes: Sequence[Axis], heading: Heading, baseline: float | None = None) -> Figure:
    """Draw the finished TRIALS as parallel coordinates, from axis to axis down to their validation mAP.

    The axes lie across the page, one below the other, so that labels of any length stand beside each other.
    """
    need(trials, ["study", "trial", "state", "value"], "parallel coordinates")
    done, shown = finished(trials).sort("value", "study", "trial"), searched(axes, trials)
    if not shown or done.is_empty():
        return parts.placeholder("No trial of this search was trained to its end.", heading)
    figure, grid = parts.new_figure(heading, 0.66 * len(shown) + 0.5, PARALLEL_NOTE.format(len(trials) - len(done)))
    panel = grid[0, 0]
    values = [v for v in (*done["value"], number(baseline)) if v is not None]
    room = max(0.03 * (max(values) - min(values)), 0.005)
    low, high = min(values) - room, max(values) + room
    names = [fit(axis.name, 1.9, 8.5, lines=2) for axis in shown]
    panel.set(xlim=(0, 1), ylim=(len(shown) + 0.1, -0.3))
    panel.set_yticks(range(len(shown) + 1), [*names, METRIC], size=8.5, color=INK)
    panel.grid(visible=False)
    panel.spines["left"].set_visible(False)
    located = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    panel.set_xticks([(v - low) / (high - low) for v in located if low <= v <= high],
                     [f"{v:.3g}" for v in located if low <= v <= high])  # fmt: skip
    studies = done["study"].unique().sort().to_list()
    lines = []
    for row in done.to_dicts():
        aside = spread(row["trial"] + 7 * studies.index(row["study"]))
        x = [_across(axis, row[axis.name], bool(done[axis.name].null_count()), aside) for axis in shown]
        lines.append([*zip(x, range(len(shown)), strict=True), ((row["value"] - low) / (high - low), len(shown))])
    for part, own, look in (
        ("others", lines[:-BEST], {"colors": SKY, "linewidths": 0.7, "alpha": 0.4}),
        ("best", lines[-BEST:], {"colors": BLUE, "linewidths": 1.8, "alpha": 0.95}),
    ):
        if own:
            parts.mark(panel.add_collection(LineCollection(own, zorder=2, **look)), "lines", part)
    for y, axis in enumerate(shown):
        _labels(panel, y, axis, bool(done[axis.name].null_count()))
    handles = {
        f"the best {min(BEST, len(done))} trials of {len(done)}": parts.stroke(BLUE, 2),
        "other trials": parts.stroke(SKY),
    }
    if number(baseline) is not None:
        at = {"part": "baseline", "color": INK, "marker": "v", "s": 34, "zorder": 6, "clip_on": False}
        parts.points(panel, "baseline", [(baseline - low) / (high - low)], [len(shown)], **at)
        handles["baseline"] = parts.dot(INK, "v", 6)
    parts.legend(figure, handles)
    return figure


def _across(axis: Axis, value: object, lacking: bool, aside: float) -> float:
    """Return where a trial crosses an axis, between 0 and 1."""
    room, here = (ASIDE if lacking else 0.0), position(axis, value)
    if here is None:
        return room * (0.38 + 0.25 * aside)
    share = 1 / len(axis.labels) if axis.kind == "choice" else 0.0
    return room + (1 - room) * (here + 0.3 * share * aside)


def _labels(panel: Axes, y: int, axis: Axis, lacking: bool) -> None:
    room = ASIDE if lacking else 0.0
    panel.plot([room, 1], [y, y], color=FAINT, linewidth=1.0, zorder=3)
    words = [(0.38 * room, "not searched")] if lacking else []
    if axis.kind == "choice":
        width = 6.2 * (1 - room) / len(axis.labels) - 0.06
        texts = [fit(clean(label).replace("(", " ("), max(width, 0.2), 7.5, lines=2) for label in axis.labels]
        found = [(position(axis, label), text) for label, text in zip(axis.labels, texts, strict=True)]
    else:
        found = [(position(axis, value), short_value(float(f"{value:.3g}"))) for value in ticks(axis)]
    words += [(room + (1 - room) * x, text) for x, text in found]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.82}
    look = {"size": 7.5, "va": "top", "ha": "center", "linespacing": 1.0, "zorder": 5, "bbox": box, "in_layout": False}
    for x, text in words:
        panel.text(x, y + 0.08, text, color=MUTED if text == "not searched" else INK, **look)


@drawing
def importances(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw IMPORTANCES: a panel per study, and one of the pooled ones; the axes that decide most on top."""
    if table.is_empty():
        return parts.placeholder("No study has enough trials, on two axes or more, for importances.", heading)
    need(table, ["study", "pooled", "method", "axis", "share", "chance", "trials"], "importances")
    pooled = table.filter("pooled")
    order = (table if pooled.is_empty() else pooled).group_by("axis", maintain_order=True).agg(pl.mean("share"))
    ranked = order.sort("share", descending=True, maintain_order=True)["axis"].to_list()
    axes = [*ranked, *(axis for axis in dict.fromkeys(table["axis"]) if axis not in ranked)]
    studies = list(dict.fromkeys(table["study"]))
    width = (parts.BODY - 2.3) / len(studies) - 0.1
    figure, grid = parts.new_figure(
        heading, 0.36 * len(axes) + parts.AXIS + 0.7, IMPORTANCES_NOTE, columns=len(studies), sharey=True, sharex=True
    )
    for panel, study in zip(grid[0], studies, strict=True):
        own = table.filter(pl.col("study") == study)
        panel.set_label(study)
        most, fewer = own["trials"].max(), own.filter(pl.col("method") == FANOVA)["trials"].max()
        counted = f"{most} trials" if fewer in (None, most) else f"{most} trials (fANOVA {fewer})"
        name = f"{study} (pooled)" if own["pooled"][0] else study
        panel.set_title(
            f"{fit(name, width, 8.5, lines=2, bold=True)}\n{fit(counted, width, 7.5, lines=2)}", loc="left", size=8
        )
        panel.grid(visible=False, axis="y")
        panel.xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
        panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        for row in own.to_dicts():
            _, colour, shift = METHODS[row["method"]]
            pale = row["chance"] is not None and row["chance"] > LEVEL
            bar = {"height": 0.34, "color": colour, "alpha": 0.3 if pale else 1.0, "linewidth": 0}
            (drawn,) = panel.barh([axes.index(row["axis"]) + shift], [row["share"]], **bar)
            parts.mark(drawn, "share", f"{row['axis']} {row['method']}")
    first = grid[0, 0]
    first.set_ylim(len(axes) - 0.5, -0.5)
    first.set_yticks(range(len(axes)), [fit(axis, 2.0, 8.5, lines=2) for axis in axes], size=8.5, color=INK)
    parts.legend(figure, {words: parts.patch(colour) for words, colour, _ in METHODS.values()})
    return figure


@drawing
def effects(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw EFFECTS: the effect of each choice with its interval, axes and choices in the order of the space."""
    if table.is_empty() or table["effect"].null_count() == len(table):
        return parts.placeholder("No study that covers the space evenly has enough trials for effects.", heading)
    need(table, ["pool", "axis", "label", "trials", "mean", "effect", "low", "high", "verdict"], "effects")
    blocks = [_block(own) for own in table.partition_by("axis", maintain_order=True)]
    columns = [blocks]
    if table.height >= MANY and len(blocks) > 1:
        sizes = [len(block) for block in blocks]
        cut = min(range(1, len(blocks)), key=lambda n: max(sum(sizes[:n]), sum(sizes[n:])))
        columns = [blocks[:cut], blocks[cut:]]
    rows = [[row for block in column for row in block] for column in columns]
    most, wide = max(map(len, rows)), 2.3 if len(rows) == 1 else 1.5
    pools = fit(", ".join(dict.fromkeys(table["pool"])), 4, 8)
    height = 0.26 * most + parts.AXIS
    figure, grid = parts.new_figure(heading, height, EFFECTS_NOTE.format(pools), columns=len(rows), sharex=True)
    for axes, own in zip(grid[0], rows, strict=True):
        parts.forest(axes, own, point="effect", xlabel="effect, percentage points", shade=False, width=wide)
        axes.set_ylim(most - 0.5, -0.5)
    parts.legend(figure, parts.verdict_handles(table.filter(pl.col("effect").is_not_null())["verdict"].to_list()))
    return figure


def _block(own: pl.DataFrame) -> list[Estimate]:
    """Return the name of an axis, then its choices."""
    found = [Estimate(own["axis"][0], None, text="", bold=True)]
    for row in own.to_dicts():
        ends = [None if row[key] is None else 100 * row[key] for key in ("effect", "low", "high")]
        mean = "–" if number(row["mean"]) is None else f"{row['mean']:.3f}"
        label = fit(clean(row["label"]), 2.0, 8.5)
        key = f"{row['axis']} = {row['label']}"
        found.append(Estimate(key, *ends, row["verdict"], text=f"{mean}  ({row['trials']})", label=label))
    return found


def costs(front: pl.DataFrame) -> list[str]:
    """Return the costs in which trials differ enough for a front: FLOPs or parameters, both or none."""
    known = {cost: front[cost].drop_nulls() for cost in COSTS}
    return [cost for cost, own in known.items() if len(own) and own.min() > 0 and own.max() / own.min() > ALIKE]


@drawing
def front(table: pl.DataFrame, heading: Heading, baseline: Mapping[str, float | None] | None = None) -> Figure:
    """Draw the trials of `tables.front`, a panel for each of `costs`.

    baseline: its row of the results.
    """
    if not costs(table):
        return parts.placeholder("The trials of this search do not differ in FLOPs or parameters.", heading)
    need(table, ["study", "winner", "value", *COSTS], "front")
    base, looks = baseline or {}, _looks(table["study"])
    figure, grid = parts.new_figure(heading, 3.6, FRONT_NOTE, columns=len(costs(table)), sharey=True)
    for axes, cost in zip(grid[0], costs(table), strict=True):
        axes.set_label(cost)
        axes.set_xlabel(COSTS[cost], labelpad=2)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        _baseline(axes, base.get("val_id_map"))
        own = table.filter(pl.col(cost).is_not_null())
        best = own.filter(pl.col(f"front_{cost}")).sort(cost, "value")
        line = {"color": INK, "linewidth": 1.1, "drawstyle": "steps-post", "alpha": 0.75, "zorder": 2}
        parts.mark(axes.plot(best[cost], best["value"], **line)[0], "front", "all")
        for study, (colour, mark) in looks.items():
            for on, look in ((False, {"s": 15, "alpha": 0.5}), (True, {"s": 38, "edgecolor": INK, "linewidth": 0.9})):
                some = own.filter((pl.col("study") == study) & (pl.col(f"front_{cost}") == on))
                look = {
                    "color": colour,
                    "marker": mark,
                    "zorder": 3 + on,
                    "part": "on-front" if on else "behind",
                    **look,
                }
                if len(some):
                    parts.points(axes, study, some[cost].to_list(), some["value"].to_list(), **look)
        for row in own.filter("winner").to_dicts():
            _winner(axes, row["study"], row[cost], row["value"], looks[row["study"]][0])
        values = own[cost].to_list()
        if number(base.get("val_id_map")) is not None and number(base.get(cost)) is not None:
            square = {"s": 60, "marker": "s", "color": INK, "edgecolor": "white", "zorder": 7}
            parts.points(axes, "baseline", [base[cost]], [base["val_id_map"]], **square)
            values.append(base[cost])
        parts.cost_axis(axes, values)
    grid[0, 0].set_ylabel(METRIC, labelpad=4)
    handles = _handles(looks, bool(table["winner"].any()), base.get("val_id_map"))
    on = parts.stroke(INK, 1.1, marker="o", markerfacecolor="white", markersize=6)
    parts.legend(figure, handles | {"on the front": on})
    return figure
