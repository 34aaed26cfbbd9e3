"""Validation mAP over the grid of tuned settings: what each arm chose, and whether the grid was too small for it."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from reidflow.figures.panels import MANY, Panel, place
from reidflow.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SEED,
    SKY,
    VERMILLION,
    Heading,
    Out,
    Sheet,
    legend_height,
    placeholder,
    sheet,
)
from reidflow.figures.text import fit, number, short_value, text_width
from reidflow.spec.canonical import canonical

LINES = [BLUE, GREEN, PURPLE, SKY, ORANGE]
NOTE = (
    "Line: mean over the sweep's seeds; small dots: one seed each. A choice on the edge of the grid says that a better "
    "value may lie outside it."
)
HEIGHT, LOW = 1.15, 0.85


def draw(choices: Mapping[str, Mapping[str, Any]], heading: Heading, out: Out) -> None:
    """Draw arm -> the content of its chosen.json, a panel per arm, on a common scale.

    The longest axis of the grid runs along x; every combination of the others is a line of its own.
    """
    if not choices or not any(choice["points"] for choice in choices.values()):
        placeholder("No arm of this experiment has settings that are tuned.", heading, out)
        return
    axis, rest = _axes_of(choices)
    series = _series(choices, rest)
    colours = {key: LINES[i % len(LINES)] if len(series) <= len(LINES) else BLUE for i, key in enumerate(series)}
    handles, labels = _legend(choices, series, colours)
    above = legend_height(labels)
    height = HEIGHT if len(choices) < MANY else LOW
    places, end = place(list(choices), height, above)
    values = [v for choice in choices.values() for p in choice["points"] for v in _numbers(p)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.1 * max(high - low, 0.01)
    ticks = _ticks(choices, axis)
    name = axis if text_width(axis, 8) <= places[0].width else fit(axis.rpartition(".")[2], places[0].width, 8)
    with sheet(heading, end + 0.1, out, NOTE) as page:
        page.legend(handles, labels)
        for arm, panel in zip(choices, places, strict=True):
            axes = page.axes(panel.left, panel.top, panel.width, height)
            axes.set_ylim(low - room, high + (3 if height == HEIGHT else 4.5) * room)
            axes.set_xlim(-0.4, len(ticks) - 0.6)
            axes.set_xticks(range(len(ticks)), _thinned(list(ticks), panel.width), size=8)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
            axes.tick_params(pad=2)
            if panel.last:
                axes.set_xlabel(name, labelpad=1, size=8)
            _head(page, panel, choices[arm])
            for key in series:
                _line(axes, choices[arm], axis, rest, key, ticks, colours[key])
            _chosen(axes, choices[arm], axis, ticks)


def _numbers(point: Mapping[str, Any]) -> list[float]:
    found = [point["val_id_map"], *(point.get("seeds") or {}).values()]
    return [v for v in map(number, found) if v is not None]


def _axes_of(choices: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Return the setting with the most values and the other settings, in the grid's order."""
    points = [p["values"] for choice in choices.values() for p in choice["points"]]
    names = list(dict.fromkeys(name for p in points for name in p))
    sizes = {name: len({canonical(p[name]) for p in points if name in p}) for name in names}
    axis = max(names, key=lambda name: sizes[name])
    return axis, [name for name in names if name != axis]


def _rest(point: Mapping[str, Any], rest: list[str]) -> str:
    return canonical([point["values"].get(name) for name in rest])


def _series(choices: Mapping[str, Mapping[str, Any]], rest: list[str]) -> dict[str, str]:
    """Return the combinations of the settings that are not on x: key -> what the legend calls it."""
    found = {}
    for choice in choices.values():
        for point in choice["points"]:
            words = ", ".join(f"{n.rpartition('.')[2]} {short_value(point['values'].get(n))}" for n in rest)
            found[_rest(point, rest)] = fit(words, 2.6, 8.5) if rest else ""
    return found


def _ticks(choices: Mapping[str, Mapping[str, Any]], axis: str) -> dict[str, int]:
    """Return value, as written below the axis -> position; numbers in their order, other values in the grid's."""
    values = {}
    for choice in choices.values():
        for point in choice["points"]:
            values.setdefault(short_value(point["values"][axis]), point["values"][axis])
    ordered = list(values)
    if all(number(v) is not None and not isinstance(v, bool) for v in values.values()):
        ordered.sort(key=lambda text: values[text])
    return {text: i for i, text in enumerate(ordered)}


def _thinned(words: list[str], width: float) -> list[str]:
    """Return the tick labels with as many left out, at even distances, as it takes for them not to touch."""
    room = width / max(len(words), 1)
    shown = [fit(word, max(room, 0.5), 8) for word in words]
    step = max(1, -(-max(int(100 * (text_width(w, 8) + 0.08)) for w in shown) // int(100 * room)))
    return [word if i % step == 0 else "" for i, word in enumerate(shown)]


def _edges(choice: Mapping[str, Any]) -> list[str]:
    return [name.rpartition(".")[2] for name, flag in (choice.get("on_edge") or {}).items() if flag]


def _head(page: Sheet, panel: Panel, choice: Mapping[str, Any]) -> None:
    panel.head(page)
    if _edges(choice):
        page.text(panel.left + panel.width, panel.top + 0.02, "on the edge", size=8, color=VERMILLION, ha="right")


def _line(
    axes: Axes, choice: Mapping[str, Any], axis: str, rest: list[str], key: str, ticks: dict[str, int], colour: str
) -> None:
    points = [p for p in choice["points"] if _rest(p, rest) == key]
    points.sort(key=lambda p: ticks[short_value(p["values"][axis])])
    x = [ticks[short_value(p["values"][axis])] for p in points]
    y = [number(p["val_id_map"]) for p in points]
    axes.plot(x, [float("nan") if v is None else v for v in y], color=colour, linewidth=1.4, zorder=2)
    for place_, point in zip(x, points, strict=True):
        seeds = [v for v in map(number, (point.get("seeds") or {}).values()) if v is not None]
        axes.scatter([place_] * len(seeds), seeds, s=8, color=SEED, linewidth=0, zorder=3)
        if number(point["val_id_map"]) is None:
            axes.text(place_, 0.04, "×", transform=axes.get_xaxis_transform(), ha="center", size=9, color=VERMILLION)


def _chosen(axes: Axes, choice: Mapping[str, Any], axis: str, ticks: dict[str, int]) -> None:
    for point in choice["points"]:
        value = number(point["val_id_map"])
        if canonical(point["values"]) == canonical(choice["values"]) and value is not None:
            colour = VERMILLION if _edges(choice) else INK
            axes.scatter(
                [ticks[short_value(point["values"][axis])]],
                [value],
                s=52,
                facecolor="white",
                edgecolor=colour,
                linewidth=1.6,
                zorder=4,
            )


def _legend(
    choices: Mapping[str, Mapping[str, Any]], series: dict[str, str], colours: dict[str, str]
) -> tuple[list, list[str]]:
    def ring(colour: str) -> Line2D:
        return Line2D([], [], marker="o", linestyle="none", markersize=7, color="white", markeredgecolor=colour)

    pairs = [(ring(INK), "chosen"), (ring(VERMILLION), "chosen, on the edge of the grid")]
    if not any(_edges(choice) for choice in choices.values()):
        del pairs[1]
    pairs.append((Line2D([], [], marker="o", linestyle="none", markersize=3, color=SEED), "one seed"))
    if any(number(p["val_id_map"]) is None for choice in choices.values() for p in choice["points"]):
        pairs.append((Line2D([], [], marker="x", linestyle="none", markersize=5, color=VERMILLION), "no finite value"))
    if len(series) == 1:
        pairs.append((Line2D([], [], color=BLUE, linewidth=1.4), "validation mAP"))
    elif len(series) <= len(LINES):
        pairs += [(Line2D([], [], color=colours[key], linewidth=1.4), words) for key, words in series.items()]
    else:
        pairs.append((Line2D([], [], color=MUTED, linewidth=1.4), f"{len(series)} combinations of the other settings"))
    return [handle for handle, _ in pairs], [label for _, label in pairs]
