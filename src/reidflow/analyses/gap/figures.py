"""Figures of an experiment on several splits: each arm from the easiest setting to the hardest, and each difference."""

from math import sqrt

import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.special import stdtrit

from reidflow.analyses.gap.tables import VALIDATION, effects
from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MARGIN,
    MARKERS,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    SEED,
    SKY,
    VERDICTS,
    VERMILLION,
    WIDTH,
    Heading,
    Out,
    Sheet,
    legend_height,
    need,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, text_width

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, SEED)
SHAPES = ("o", "^", "D", "v", "P", "X")
ROW, HEAD, FOOT = 0.36, 0.36, 0.45
"""Inches: an arm's row, what stands above and below a band of panels."""
MOST = 4
"""Panels of settings side by side."""
SIZES, RIGHT = (8.5, 7.5), {"ha": "right", "va": "center_baseline"}
LEVEL = 0.05
GAP_NOTE = (
    "Settings as they stand in the experiment's file, its own last. Points: mean over seeds, with its 95 % interval over "
    "seeds alone; what else is uncertain, such as which individuals are tested, stands in the tables. Hollow: mean on the "
    "validation images of the same split."
)
REMEDIES_NOTE = (
    "Differences in identity-balanced mAP on test, paired by identity and seed; interval and verdict are corrected for the "
    "number of arms in each setting (Holm). Each arm is compared with its control where it names one, else with the baseline."
)


def draw_gap(gap: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw mAP over the settings, a line an arm, with chance; `gap` is the table GAP of `tables.gap`."""
    need(gap, ["arm", "baseline", "setting", "id_map", "id_map_by_seed", "val_id_map", "chance"], "gap")
    rows = gap.filter(pl.col("id_map").is_finite() & (pl.col("setting") != VALIDATION)).to_dicts()
    settings = [s for s in dict.fromkeys(gap["setting"]) if any(row["setting"] == s for row in rows)]
    if not settings:
        placeholder("No arm has a score in any setting.", heading, out)
        return
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    base = {row["arm"] for row in rows if row["baseline"]}
    styles = _styles(arms, base)
    words = [*(fit(arm, 2.0, 8.5) for arm in arms), "validation", "chance"]
    handles = [
        *(Line2D([], [], color=c, marker=m, markersize=5, linewidth=1.2) for c, m in styles.values()),
        Line2D([], [], color=MUTED, marker="o", markersize=4, markerfacecolor="white", linestyle="none"),
        Line2D([], [], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.4),
    ]
    above, height = legend_height(words) + 0.1, 3.6
    left, width = MARGIN + 0.5, WIDTH - 2 * MARGIN - 0.5
    names = [fit(setting, width / len(settings) - 0.1, 8.5, lines=3) for setting in settings]
    with sheet(heading, above + height + 0.12 + 0.16 * (1 + max(n.count("\n") for n in names)), out, GAP_NOTE) as page:
        page.legend(handles, words)
        axes = page.axes(left, above, width, height)
        axes.set(xlim=(-0.5, len(settings) - 0.5), xticks=[])
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("identity-balanced mAP", labelpad=3)
        for x, name in enumerate(names):
            page.text(left + (x + 0.5) / len(settings) * width, above + height + 0.08, name, size=8.5, ha="center")
            if x % 2:
                axes.axvspan(x - 0.5, x + 0.5, color=PALE, alpha=0.5, zorder=0, linewidth=0)
            _chance(axes, x, [row["chance"] for row in rows if row["setting"] == settings[x]])
        for place, arm in enumerate(arms):
            own = {row["setting"]: row for row in rows if row["arm"] == arm}
            places = {setting: x + (place + 0.6) / len(arms) * 0.86 - 0.43 for x, setting in enumerate(settings)}
            _validation(axes, places, own, styles[arm], 0.3 / len(arms))
            _line(axes, places, own, styles[arm], arm in base)
        axes.set_ylim(bottom=0.0)


def _styles(arms: list[str], base: set[str]) -> dict[str, tuple[str, str]]:
    """Return arm -> colour and shape: the baseline is black, of the others no two are alike while they last."""
    found = {}
    for arm in arms:
        place = sum(other not in base for other in found)
        turn = place + place // len(COLOURS)
        found[arm] = (INK, "s") if arm in base else (COLOURS[place % len(COLOURS)], SHAPES[turn % len(SHAPES)])
    return found


def _chance(axes: Axes, x: int, values: list[float | None]) -> None:
    known = [value for value in map(number, values) if value is not None]
    if known:
        level = sum(known) / len(known)
        axes.plot([x - 0.47, x + 0.47], [level, level], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.4, zorder=2)


def _validation(
    axes: Axes, places: dict[str, float], rows: dict[str, dict], style: tuple[str, str], before: float
) -> None:
    known = [setting for setting in places if setting in rows and number(rows[setting]["val_id_map"]) is not None]
    x, y = [places[setting] - before for setting in known], [rows[setting]["val_id_map"] for setting in known]
    axes.scatter(x, y, s=14, marker=style[1], facecolor="white", edgecolor=style[0], linewidth=0.9, zorder=4)


def _line(axes: Axes, places: dict[str, float], rows: dict[str, dict], style: tuple[str, str], base: bool) -> None:
    (colour, shape), known = style, [setting for setting in places if setting in rows]
    x, y = [places[setting] for setting in known], [rows[setting]["id_map"] for setting in known]
    halves = [_half(rows[setting]["id_map_by_seed"]) for setting in known]
    reach = [
        [min(h, v) for h, v in zip(halves, y, strict=True)],
        [min(h, 1 - v) for h, v in zip(halves, y, strict=True)],
    ]
    axes.plot(x, y, color=colour, linewidth=1.6 if base else 0.9, alpha=0.75, zorder=3)
    axes.errorbar(x, y, reach, fmt="none", ecolor=colour, elinewidth=1.1, zorder=4)
    axes.scatter(x, y, s=24, marker=shape, color=colour, linewidth=0, zorder=5)


def _half(values: list[float | None]) -> float:
    """Return half the 95 % interval of a mean over seeds; nothing where there is one seed."""
    known = [value for value in map(number, values) if value is not None]
    if len(known) < 2:
        return 0.0
    centre = sum(known) / len(known)
    variance = sum((value - centre) ** 2 for value in known) / (len(known) - 1)
    return float(stdtrit(len(known) - 1, 1 - LEVEL / 2)) * sqrt(variance / len(known))


def draw_remedies(gap: pl.DataFrame, heading: Heading, out: Out) -> None:
    """Draw the difference of each arm to what it stands on: a panel a tested setting, a row an arm."""
    need(gap, ["arm", "baseline", "setting", "delta", "against_delta"], "remedies")
    rows = effects(gap)
    if not rows:
        placeholder("No arm can be compared with another one.", heading, out)
        return
    arms, settings = (list(dict.fromkeys(row[key] for row in rows)) for key in ("arm", "setting"))
    labels = {row["arm"]: (fit(row["arm"], 2.0, 8.5), fit(f"against {row['beside']}", 2.0, 7.5)) for row in rows}
    left = (
        MARGIN
        + max(text_width(words, size) for both in labels.values() for words, size in zip(both, SIZES, strict=True))
        + 0.12
    )
    bands = [settings[start : start + MOST] for start in range(0, len(settings), MOST)]
    cell = (WIDTH - left - MARGIN) / max(map(len, bands))
    ends = [v for row in rows for v in (row["delta"], row["low"], row["high"]) if number(v) is not None]
    room = max(0.05 * (max(ends) - min(ends)), 0.005)
    limits = (min(0.0, *ends) - room, max(0.0, *ends) + room)
    verdicts = [verdict for verdict in VERDICTS if any(row["verdict"] == verdict for row in rows)]
    handles = [Line2D([], [], color=VERDICTS[v], marker=MARKERS[v], markersize=5.5, linewidth=1.8) for v in verdicts]
    above, tall = legend_height(verdicts), HEAD + ROW * len(arms) + FOOT
    with sheet(heading, above + tall * len(bands), out, REMEDIES_NOTE) as page:
        page.legend(handles, verdicts)
        for number_of, band in enumerate(bands):
            top = above + number_of * tall + HEAD
            for y, arm in enumerate(arms):
                for words, size, place, colour in zip(labels[arm], SIZES, (0.34, 0.74), (INK, MUTED), strict=True):
                    page.text(left - 0.1, top + (y + place) * ROW, words, size=size, color=colour, **RIGHT)
            for i, setting in enumerate(band):
                own = {row["arm"]: row for row in rows if row["setting"] == setting}
                _panel(page, (left + i * cell, top, cell - 0.18), setting, [own.get(arm) for arm in arms], limits)


def _panel(
    page: Sheet,
    place: tuple[float, float, float],
    setting: str,
    rows: list[dict | None],
    limits: tuple[float, float],
) -> None:
    left, top, width = place
    head = fit(setting, width, 8.5, lines=2)
    page.text(left, top - 0.08, head, size=8.5, va="bottom")
    axes = page.axes(left, top, width, ROW * len(rows))
    axes.set(xlim=limits, ylim=(len(rows), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel("difference", labelpad=2)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=1)
    for y, row in enumerate(rows):
        if row is None:
            continue
        colour = VERDICTS.get(row["verdict"], MUTED)
        low, high = number(row["low"]), number(row["high"])
        if low is not None and high is not None:
            axes.plot([low, high], [y + 0.5] * 2, color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
        marker = MARKERS.get(row["verdict"], "o")
        axes.scatter([row["delta"]], [y + 0.5], s=30, marker=marker, color=colour, linewidth=0, zorder=4)
