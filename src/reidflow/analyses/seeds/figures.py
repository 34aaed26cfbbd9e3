"""Figures of the best experiment over seeds: every run and its spread, and other experiments' differences beside that."""

from dataclasses import dataclass

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.special import stdtrit

from reidflow.analyses.seeds.tables import DIFFERENCE, SPLIT, TRAINING, by_seed
from reidflow.figures.style import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    SEED,
    VERDICTS,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, signed, text_width

TITLES = {TRAINING: "Training seeds, on the split of all experiments", SPLIT: "Splits"}
ROW, RUN, HEAD, FOOT, NAMES = 0.42, 0.5, 0.3, 0.5, 1.9
MEAN, RUNS = -0.14, 0.2
"""How far from the middle of its row the mean stands, and the runs."""
NOTE = (
    "Thick bars: one standard deviation to either side of the mean; brackets: 95 % interval of the mean over training seeds "
    "(splits share their photographs, so theirs has none). Thin lines join the runs of one seed, or of one split."
)
BAND, BANDS = 2, {"split_noise": "#e9e9e9", "noise": "#cdcdcd"}
READING = (
    "Mark: of each experiment the arm that differs most from its baseline, with its corrected interval; colour and shape give "
    "its verdict. Right: the difference, also in units of the noise of training seeds (sd). Bands: 2 sd of a difference of two "
    "means of as many seeds. Limits: where none is real, the largest of so many differences stays within them in 95 % of cases."
)


@dataclass(frozen=True)
class _Strip:
    """One row: what it is called, its values by seed, and its mean, standard deviation and standard error."""

    label: str
    values: dict[int, float]
    spread: dict
    colour: str
    bold: bool = False


def draw_runs(seeds: pl.DataFrame, spreads: pl.DataFrame, best: str, baseline: str, heading: Heading, out: Out) -> None:
    """Draw SEEDS and SPREADS of `tables.seeds`: each run of the best arm and of the baseline, and their differences."""
    need(seeds, ["kind", "arm", "split_seed", "seed", "id_map"], "seeds")
    found = {(row["kind"], row["arm"]): row for row in spreads.to_dicts()}
    kinds = [kind for kind in (TRAINING, SPLIT) if any(by_seed(seeds, kind, arm) for arm in (best, baseline))]
    if not kinds:
        placeholder("No run has a score.", heading, out)
        return
    names = {best: fit(best, NAMES, 9, lines=2, bold=True), baseline: fit(baseline, NAMES, 9, lines=2)}
    gutter = max(text_width(line, 9, bold=True) for name in names.values() for line in name.split("\n"))
    left = MARGIN + gutter + 0.12
    room = WIDTH - left - MARGIN
    handles, words = _runs_legend(kinds)
    above = legend_height(words)
    each = HEAD + 2 * RUN + FOOT
    parts = {kind: [_strip(seeds, found, kind, arm, names, best) for arm in (best, baseline)] for kind in kinds}
    apart = {kind: _difference(found, kind, *strips) for kind, strips in parts.items()}
    reach = _reach([v for strips in parts.values() for strip in strips for v in _ends(strip)])
    away = _reach([v for strip in apart.values() for v in [0.0, *_ends(strip)]])
    with sheet(heading, above + each * len(kinds) - 0.05, out, NOTE) as page:
        page.legend(handles, words)
        for i, kind in enumerate(kinds):
            top = above + i * each + HEAD
            count = max(len(strip.values) for strip in parts[kind])
            page.text(MARGIN, top - 0.12, f"{TITLES[kind]}: {count}", size=9, weight="bold", va="baseline")
            values = page.axes(left, top, 0.52 * room - 1.05, 2 * RUN)
            deltas = page.axes(left + 0.52 * room + 0.1, top, 0.48 * room - 1.15, 2 * RUN)
            _values(page, values, parts[kind], (left, top), reach, kind)
            _deltas(deltas, apart[kind], away, kind)


def _strip(
    seeds: pl.DataFrame, found: dict[tuple[str, str], dict], kind: str, arm: str, names: dict[str, str], best: str
) -> _Strip:
    values = by_seed(seeds, kind, arm)
    return _Strip(names[arm], values, found.get((kind, arm), {}), BLUE if arm == best else INK, arm == best)


def _difference(found: dict[tuple[str, str], dict], kind: str, ours: _Strip, theirs: _Strip) -> _Strip:
    values = {key: ours.values[key] - theirs.values[key] for key in ours.values if key in theirs.values}
    return _Strip("difference", values, found.get((kind, DIFFERENCE), {}), BLUE)


def _interval(strip: _Strip) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean, None where the runs cannot tell one."""
    middle, error = (number(strip.spread.get(key)) for key in ("mean", "standard_error"))
    count = strip.spread.get("count") or 0
    if middle is None or error is None or count < 2:
        return None
    half = float(stdtrit(count - 1, 0.975)) * error
    return middle - half, middle + half


def _ends(strip: _Strip) -> list[float]:
    middle, std = (number(strip.spread.get(key)) for key in ("mean", "std"))
    around = [] if middle is None or std is None else [middle - std, middle + std]
    return [*strip.values.values(), *around, *(_interval(strip) or ())]


def _reach(values: list[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max(0.07 * (high - low), 0.002)
    return low - room, high + room


def _values(
    page: Sheet,
    axes: Axes,
    strips: list[_Strip],
    place: tuple[float, float],
    reach: tuple[float, float],
    kind: str,
) -> None:
    left, top = place
    _prepare(axes, reach, len(strips))
    axes.set_xlabel("identity-balanced mAP, test", labelpad=2)
    for key, value in strips[0].values.items():
        if key in strips[1].values:
            axes.plot(
                [value, strips[1].values[key]],
                [0.5 + RUNS, 1.5 + RUNS],
                color=FAINT,
                linewidth=0.6,
                alpha=0.7,
                zorder=1,
            )
    for y, strip in enumerate(strips):
        weight = "bold" if strip.bold else "normal"
        page.text(left - 0.1, top + RUN * (y + 0.5), strip.label, size=9, ha="right", va="center", weight=weight)
        _draw(axes, y + 0.5, strip)
        _beside(axes, y + 0.5, strip, signed_mean=False)


def _deltas(axes: Axes, strip: _Strip, reach: tuple[float, float], kind: str) -> None:
    _prepare(axes, reach, 2)
    axes.set_xlabel(f"best minus baseline, by {'seed' if kind == TRAINING else 'split'}", labelpad=2)
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
    _draw(axes, 1.0, strip)
    _beside(axes, 1.0, strip, signed_mean=True)


def _prepare(axes: Axes, reach: tuple[float, float], rows: int) -> None:
    axes.set(xlim=reach, ylim=(rows, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _draw(axes: Axes, y: float, strip: _Strip) -> None:
    middle, std = (number(strip.spread.get(key)) for key in ("mean", "std"))
    if middle is not None and std is not None:
        bar = {"color": strip.colour, "alpha": 0.22, "linewidth": 9, "solid_capstyle": "butt", "zorder": 1.5}
        axes.plot([middle - std, middle + std], [y + MEAN] * 2, **bar)
    interval = _interval(strip)
    if interval:
        axes.plot(interval, [y + MEAN] * 2, color=strip.colour, linewidth=1.1, marker="|", markersize=8, zorder=3)
    values = list(strip.values.values())
    runs = {"s": 14, "color": SEED, "edgecolor": "white", "linewidth": 0.4, "zorder": 3.5}
    axes.scatter(values, [y + RUNS] * len(values), **runs)
    if middle is not None:
        mean = {"s": 34, "marker": "D", "color": strip.colour, "edgecolor": "white", "linewidth": 0.8, "zorder": 4}
        axes.scatter([middle], [y + MEAN], **mean)


def _beside(axes: Axes, y: float, strip: _Strip, signed_mean: bool) -> None:
    middle, std = (number(strip.spread.get(key)) for key in ("mean", "std"))
    words = "no score" if middle is None else signed(middle) if signed_mean else f"{middle:.3f}"
    words += f" ± {std:.3f}" if middle is not None and std is not None else ""
    right = {"xycoords": axes.get_yaxis_transform(), "xytext": (7, 0), "textcoords": "offset points"}
    axes.annotate(words, (1.0, y), va="center_baseline", size=8.5, annotation_clip=False, **right)


def _runs_legend(kinds: list[str]) -> tuple[list, list[str]]:
    def mark(**settings: object) -> Line2D:
        return Line2D([], [], linestyle="none", **settings)

    pairs = [
        (mark(marker="D", color=BLUE, markersize=5.5), "mean of the best experiment's arm"),
        (mark(marker="D", color=INK, markersize=5.5), "mean of the baseline"),
        (mark(marker="o", color=SEED, markersize=3.5), "one seed, or one split" if SPLIT in kinds else "one seed"),
        (Patch(color=MUTED, alpha=0.25), "± standard deviation"),
    ]
    return [handle for handle, _ in pairs], [words for _, words in pairs]


def draw_readings(readings: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw READINGS of `tables.seeds`: a row an experiment, those on top that lie furthest beyond the noise."""
    if readings.is_empty():
        placeholder("There is no noise to read other experiments against, or none compares anything.", heading, out)
        return
    need(
        readings,
        ["experiment", "arm", "delta", "noise", "ratio", "limit", "split_noise", "split_limit", "verdict"],
        "readings",
    )
    rows = sorted(readings.to_dicts(), key=lambda row: (-(number(row["ratio"]) or 0.0), row["experiment"]))
    split = any(number(row["split_noise"]) is not None for row in rows)
    names = [(fit(row["experiment"], NAMES, 9, bold=True), fit(row["arm"], NAMES, 8)) for row in rows]
    gutter = max(max(text_width(a, 9, bold=True), text_width(b, 8)) for a, b in names)
    left = MARGIN + gutter + 0.12
    handles, words = _readings_legend(rows, split)
    above, height = legend_height(words), ROW * len(rows)
    with sheet(heading, above + height + FOOT - 0.05, out, READING) as page:
        page.legend(handles, words)
        axes = page.axes(left, above, WIDTH - left - MARGIN - 1.4, height)
        axes.set(ylim=(len(rows), 0), yticks=[])
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.set_xlabel("difference of identity-balanced mAP from the experiment's baseline, test", labelpad=2)
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (5, 3)), zorder=1)
        for y, (row, (experiment, arm)) in enumerate(zip(rows, names, strict=True)):
            middle = above + ROW * (y + 0.5)
            page.text(left - 0.1, middle - 0.07, experiment, size=9, ha="right", va="center_baseline", weight="bold")
            page.text(left - 0.1, middle + 0.09, arm, size=8, ha="right", va="center_baseline", color=MUTED)
            _reading(axes, y + 0.5, row)
        axes.margins(x=0.04)


def _reading(axes: Axes, y: float, row: dict) -> None:
    for key, colour in BANDS.items():
        noise = number(row[key])
        if noise is not None:
            band = [-BAND * noise, BAND * noise]
            axes.plot(band, [y, y], color=colour, linewidth=18, solid_capstyle="butt", zorder=0.5)
    for key, colour in (("split_limit", FAINT), ("limit", INK)):
        limit = number(row[key])
        if limit is not None:
            ticks = {"marker": "|", "markersize": 17, "linestyle": "none", "color": colour, "zorder": 1.5}
            axes.plot([-limit, limit], [y, y], **ticks)
    delta, low, high = (number(row[key]) for key in ("delta", "delta_low", "delta_high"))
    colour = VERDICTS.get(row["verdict"], MUTED)
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
    marker = MARKERS.get(row["verdict"], "o")
    axes.scatter([delta], [y], s=38, marker=marker, color=colour, edgecolor="white", linewidth=0.5, zorder=4)
    ratio = number(row["ratio"])
    words = signed(delta) + ("" if ratio is None else f"   {ratio:.1f} sd")
    right = {"xycoords": axes.get_yaxis_transform(), "xytext": (8, 0), "textcoords": "offset points"}
    axes.annotate(words, (1.0, y), va="center_baseline", size=8.5, color=colour, annotation_clip=False, **right)


def _readings_legend(rows: list[dict], split: bool) -> tuple[list, list[str]]:
    pairs = [
        (Line2D([], [], color=VERDICTS[v], marker=MARKERS[v], linewidth=1.8, markersize=5.5), v)
        for v in VERDICTS
        if any(row["verdict"] == v for row in rows)
    ]
    tick = {"marker": "|", "markersize": 10, "linestyle": "none"}
    pairs.append((Patch(color=BANDS["noise"]), "2 sd: training seeds"))
    pairs.append((Line2D([], [], color=INK, **tick), "limit: training seeds"))
    if split:
        pairs.append((Patch(color=BANDS["split_noise"]), "2 sd: split and seeds"))
        pairs.append((Line2D([], [], color=FAINT, **tick), "limit: split and seeds"))
    return [handle for handle, _ in pairs], [words for _, words in pairs]
