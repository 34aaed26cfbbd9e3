"""The figures of every experiment: arms, training curves, tuned hyperparameters, identities and costs."""

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.profiles import profiles
from reidflow.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    SEED,
    SKY,
    VERMILLION,
    Heading,
    need,
)
from reidflow.figures.text import fit, magnitude, number, short_value, signed, text_width
from reidflow.spec.canonical import canonical

METRIC = "validation mAP"
ARMS = ["arm", "baseline", "id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high", "verdict"]
ARMS_NOTE = (
    "Diamonds: mean over seeds. Right: difference from the baseline with its interval, corrected for the number of "
    "arms; colour and shape give the verdict of the corrected test. Grey bars: differences smaller than this "
    "comparison could detect with 80 % power."
)
CONTROLS_NOTE = " Against their controls: the same, corrected for the number of these comparisons alone."


@drawing
def arms(results: pl.DataFrame, heading: Heading) -> Figure:
    """Draw each arm's identity-balanced mAP with its seeds and chance, and its difference from the baseline.

    The highest mAP is on top; arms without one come last and say so. Below, the differences from the controls that arms
    name. `results` needs the columns ARMS; `margin`, `ties_with_best`, `smallest_detectable` and `against...` are optional.
    """
    need(results, ARMS, "arms")
    rows = sorted(results.to_dicts(), key=_by_value)
    values, deltas = [_value(row) for row in rows], [_delta(row) for row in rows]
    controls = [_control(row) for row in rows if row.get("against") is not None]
    heights = [parts.forest_height(part) for part in (values, controls) if part]
    figure, axes = parts.new_figure(
        heading,
        sum(heights) + parts.AXIS * len(heights) + (0.25 if controls else 0),
        ARMS_NOTE + (CONTROLS_NOTE if controls else ""),
        rows=len(heights),
        columns=2,
        width_ratios=[0.55, 0.45],
        height_ratios=heights,
    )
    left, right = axes[0]
    baseline = next((row.value for row in values if row.bold), None)
    parts.forest(
        left, values, point="id_map", xlabel="identity-balanced mAP on test", reference=None, missing="no value"
    )
    margin = rows[0].get("margin")
    parts.forest(right, deltas, xlabel="difference from the baseline", labels=False, margin=margin)
    parts.ticks(left, "chance", {row["arm"]: row["chance"] for row in rows})
    if number(baseline) is not None:
        parts.reference(left, "baseline", x=baseline)
    if controls:
        for each in axes[1]:
            each.remove()
        below = figure.add_subplot(axes[1, 0].get_gridspec()[1, :], label="controls")
        below.set_title("Against their controls", loc="left", size=9, weight="bold")
        parts.forest(below, controls, xlabel="difference from the control", margin=margin)
    tied = [row.filled for row in values if number(row.value) is not None]
    handles = {}
    if any(tied):
        handles["not significantly different from the best"] = parts.dot(INK, "D", 5)
    if not all(tied):
        handles["significantly below the best"] = parts.dot(INK, "D", 5, markerfacecolor="white")
    handles |= {
        "one seed": parts.dot(SEED, size=3),
        "chance": parts.stroke(MUTED, 1.2, linestyle=parts.DOTTED),
        "baseline": parts.stroke(INK, 0.8, linestyle=parts.DASHED),
    }
    if any(number(row.reach) is not None for row in [*deltas, *controls]):
        handles["too small to detect"] = parts.patch(PALE)
    parts.legend(figure, handles | parts.margin_handles(margin))
    return figure


def _value(row: dict) -> Estimate:
    value = number(row["id_map"])
    return Estimate(
        row["arm"],
        value,
        seeds=row["id_map_by_seed"] or (),
        text=None if value is None else f"{value:.3f}",
        marker="D",
        filled=bool(row.get("ties_with_best")),
        bold=row["baseline"],
    )


def _delta(row: dict) -> Estimate:
    if row["baseline"]:
        return Estimate(row["arm"], None, text="baseline", bold=True)
    absent = "unavailable" if row["verdict"] == "unavailable" else None
    return Estimate(
        row["arm"],
        row["delta"],
        row["delta_low"],
        row["delta_high"],
        row["verdict"],
        reach=row.get("smallest_detectable") if number(row["delta"]) is not None else None,
        text=absent if number(row["delta"]) is None else None,
    )


def _control(row: dict) -> Estimate:
    names = ("delta", "low", "high", "verdict", "smallest_detectable")
    delta, low, high, verdict, reach = (row[f"against_{name}"] for name in names)
    return Estimate(row["arm"], delta, low, high, verdict, reach=reach, detail=f"against {row['against']}")


CURVES = ["seed", "epoch", "loss", "val_id_map"]
CURVES_NOTE = (
    "Line: mean over seeds; band: lowest to highest seed; thin: seeds that trained on after another had stopped. Epoch 0 is "
    "before training. Every loss has its own scale, so heights cannot be compared between arms; 'not finite' counts seeds."
)
FALLING = 100.0
"""A loss that shrinks by more than this factor has a logarithmic axis."""


@drawing
def curves(histories: Mapping[str, pl.DataFrame], baseline: str, heading: Heading) -> Figure:
    """Draw validation mAP and training loss per epoch, a panel per arm; without any validation, the losses alone.

    histories: arm -> table with the columns CURVES. Behind each arm's validation mAP stands the baseline's mean.
    """
    for history in histories.values():
        need(history, CURVES, "curves")
    metric = {arm: _by_seed(history, "val_id_map") for arm, history in histories.items()}
    validated = any(np.isfinite(values).any() for values in metric.values())
    many = len(histories) >= parts.MANY
    upper, lower = (0.7, 0.4) if many else (1.05 if len(histories) < 5 else 0.9, 0.55)
    heights = [upper, lower] if validated else [0.7 if many else 1.0]
    figure, panels = parts.small_multiples(
        heading, list(histories), heights, CURVES_NOTE, bold=baseline, xlabel="epoch", sharex=True
    )
    limits = _limits(np.concatenate([values[np.isfinite(values)] for values in metric.values()]))
    last = max(int(history["epoch"].max()) for history in histories.values())
    for arm, panel in panels.items():
        for axes in panel:
            axes.set_xlim(-0.02 * last - 0.1, 1.02 * last + 0.1)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        if validated:
            panel[0].set_ylim(limits)
            if arm != baseline and baseline in metric and np.isfinite(metric[arm]).any():
                mean = _complete(metric[baseline]).mean(axis=0)
                looks = {"colour": MUTED, "linewidth": 1.0, "linestyle": (0, (4, 2))}
                parts.curve(panel[0], "val_id_map", range(len(mean)), mean, part="baseline", **looks)
            _seeds_curve(panel[0], "val_id_map", metric[arm], BLUE, "no validation images")
        _loss(panel[-1], histories[arm])
    handles = {
        "validation mAP": (parts.patch(BLUE, alpha=0.2), parts.stroke(BLUE, 1.6)),
        "the baseline's validation mAP": parts.stroke(MUTED, 1.0, linestyle=(0, (4, 2))),
        "training loss": (parts.patch(ORANGE, alpha=0.2), parts.stroke(ORANGE, 1.6)),
    }
    parts.legend(figure, handles if validated else {"training loss": handles["training loss"]})
    return figure


def _by_seed(history: pl.DataFrame, column: str) -> np.ndarray:
    """Return the values as (runs, epochs from 0), NaN where there is none: a run a seed, or a seed and fold."""
    runs = history.select(name for name in ("seed", "split") if name in history.columns).rows()
    seeds = sorted(set(runs))
    values = np.full((len(seeds), history["epoch"].max() + 1), np.nan)
    rows = [seeds.index(run) for run in runs]
    values[rows, history["epoch"].to_numpy()] = history[column].cast(pl.Float64).to_numpy()
    return values


def _complete(values: np.ndarray) -> np.ndarray:
    """Return the seeds with any value, up to the last epoch at which each of them has one."""
    present = np.isfinite(values)
    kept = present.any(axis=1)
    full = np.flatnonzero(present[kept].all(axis=0)) if kept.any() else np.array([])
    return values[kept, : int(full[-1]) + 1 if full.size else 0]


def _limits(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    room = max(0.06 * float(np.ptp(values)), 0.005)
    return float(values.min()) - room, float(values.max()) + room


def _seeds_curve(axes: Axes, key: str, values: np.ndarray, colour: str, absent: str) -> None:
    if not np.isfinite(values).any():
        parts.empty(axes, absent)
        return
    shared = _complete(values)
    end = shared.shape[1]
    if end:
        low, mean, high = shared.min(axis=0), shared.mean(axis=0), shared.max(axis=0)
        looks = {"colour": colour, "marker": "o" if end == 1 else "", "markersize": 3}
        parts.curve(axes, key, range(end), mean, low, high, **looks)
    for i, seed in enumerate(values):
        if np.isfinite(seed[end:]).any():
            rest = range(max(end - 1, 0), len(seed))
            looks = {"colour": colour, "linewidth": 0.8, "alpha": 0.7, "part": "seed"}
            parts.curve(axes, f"{key} {i}", rest, seed[rest.start :], **looks)


def _loss(axes: Axes, history: pl.DataFrame) -> None:
    values = _by_seed(history, "loss")
    # A loss that is null was not measured; one that is not finite has diverged.
    diverged = history.filter(~pl.col("loss").is_finite())["seed"].n_unique()
    _seeds_curve(axes, "loss", values, ORANGE, "" if diverged else "no loss recorded")
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() > FALLING:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
    if diverged:
        words = f"not finite: {diverged} of {len(values)}"
        inside = {"transform": axes.transAxes, "ha": "right", "va": "top", "size": 8, "color": VERMILLION}
        axes.text(0.98, 0.94, words, **inside)


TUNING_NOTE = (
    "Line: mean over the sweep's seeds; small dots: one seed each. A choice on the edge of the grid means that a better "
    "value may be outside it."
)
SERIES = [BLUE, GREEN, PURPLE, SKY, ORANGE]


@drawing
def tuning(choices: Mapping[str, Mapping[str, Any]], heading: Heading) -> Figure:
    """Draw validation mAP over the grid of tuned hyperparameters (arm -> content of its chosen.json), a panel per arm.

    The hyperparameter with the most values runs along x; each combination of the others is a line.
    """
    if not any(choice["points"] for choice in choices.values()):
        return parts.placeholder("No arm of this experiment has tuned hyperparameters.", heading)
    grid = [point for choice in choices.values() for point in choice["points"]]
    names = list(dict.fromkeys(name for point in grid for name in point["values"]))
    axis = max(names, key=lambda name: len({canonical(p["values"][name]) for p in grid if name in p["values"]}))
    others = [name for name in names if name != axis]
    series = list(dict.fromkeys(_combination(point, others) for point in grid))
    colours = {name: SERIES[i] if len(series) <= len(SERIES) else BLUE for i, name in enumerate(series)}
    positions = _positions([point["values"][axis] for point in grid])
    low, high = _limits(np.array([v for point in grid for v in _scores(point)]))
    tall = len(choices) < parts.MANY
    figure, panels = parts.small_multiples(
        heading,
        list(choices),
        1.15 if tall else 0.85,
        TUNING_NOTE,
        xlabel=axis if text_width(axis, 8) < 1.3 else axis.rpartition(".")[2],
        sharex=True,
        sharey=True,
    )
    for arm, (axes,) in panels.items():
        _tuned(axes, choices[arm], axis, others, colours, positions)
        axes.set_ylim(low, high + (0.25 if tall else 0.4) * (high - low))
    width = parts.BODY / parts.columns_for(len(choices)) - 0.2
    axes.set_xlim(-0.4, len(positions) - 0.6)
    axes.set_xticks(range(len(positions)), _thinned(list(positions), width), size=8)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    parts.legend(figure, _tuning_handles(choices, colours))
    return figure


def _combination(point: Mapping[str, Any], others: list[str]) -> str:
    """Return the values of the hyperparameters that are not on x, as a line is called."""
    values = [f"{name.rpartition('.')[2]} {short_value(point['values'].get(name))}" for name in others]
    return ", ".join(values) or METRIC


def _positions(values: list[Any]) -> dict[str, int]:
    """Return value, as written below the axis -> position; numbers in their order, other values in the grid's."""
    found = {short_value(value): value for value in values}
    ordered = list(found)
    if all(number(value) is not None and not isinstance(value, bool) for value in found.values()):
        ordered.sort(key=found.get)
    return {words: i for i, words in enumerate(ordered)}


def _thinned(words: list[str], width: float) -> list[str]:
    """Return tick labels of which as many are left out, at even distances, as it takes for them not to touch."""
    room = width / max(len(words), 1)
    shown = [fit(word, max(room, 0.5), 8) for word in words]
    step = ceil(max(text_width(word, 8) + 0.08 for word in shown) / room)
    return [word if i % step == 0 else "" for i, word in enumerate(shown)]


def _scores(point: Mapping[str, Any]) -> list[float]:
    values = map(number, [point["val_id_map"], *(point.get("seeds") or {}).values()])
    return [value for value in values if value is not None]


def _on_edge(choice: Mapping[str, Any]) -> bool:
    return any((choice.get("on_edge") or {}).values())


def _tuned(
    axes: Axes,
    choice: Mapping[str, Any],
    axis: str,
    others: list[str],
    colours: Mapping[str, str],
    positions: Mapping[str, int],
) -> None:
    def position(point: Mapping[str, Any]) -> int:
        return positions[short_value(point["values"][axis])]

    for name, colour in colours.items():
        line = sorted((p for p in choice["points"] if _combination(p, others) == name), key=position)
        if not line:
            continue
        parts.curve(axes, name, [*map(position, line)], [p["val_id_map"] for p in line], colour=colour, linewidth=1.4)
        seeds = [(position(p), v) for p in line for v in map(number, (p.get("seeds") or {}).values()) if v is not None]
        if seeds:
            parts.points(axes, name, *zip(*seeds, strict=True), part="seeds", s=8, color=SEED)
        missing = [position(p) for p in line if number(p["val_id_map"]) is None]
        if missing:
            low = {"transform": axes.get_xaxis_transform(), "marker": "x", "linewidth": 1.2, "color": VERMILLION}
            parts.points(axes, name, missing, [0.06] * len(missing), part="missing", **low)
    edge = _on_edge(choice)
    for point in choice["points"]:
        value = number(point["val_id_map"])
        if canonical(point["values"]) == canonical(choice["values"]) and value is not None:
            ring = {"s": 52, "color": "white", "edgecolor": VERMILLION if edge else INK, "linewidth": 1.6, "zorder": 4}
            parts.points(axes, METRIC, [position(point)], [value], part="chosen", **ring)
    if edge:
        inside = {"transform": axes.transAxes, "ha": "right", "va": "top", "size": 8, "color": VERMILLION}
        axes.text(1.0, 0.98, "on the edge", **inside)


def _tuning_handles(choices: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str]) -> dict[str, Artist]:
    ring = {"marker": "o", "size": 7, "colour": "white"}
    handles = {"chosen": parts.dot(**ring, markeredgecolor=INK)}
    if any(map(_on_edge, choices.values())):
        handles["chosen, on the edge of the grid"] = parts.dot(**ring, markeredgecolor=VERMILLION)
    handles["one seed"] = parts.dot(SEED, size=3)
    if any(number(point["val_id_map"]) is None for choice in choices.values() for point in choice["points"]):
        handles["no finite value"] = parts.dot(VERMILLION, "x")
    if len(colours) > len(SERIES):
        return handles | {f"{len(colours)} combinations of the other hyperparameters": parts.stroke(BLUE)}
    return handles | {fit(name, 2.6, 8.5): parts.stroke(colour) for name, colour in colours.items()}


IDENTITIES = ["arm", "identity", "delta", "train_images"]
IDENTITIES_NOTE = "Difference in average precision from the baseline, mean over queries and seeds."
PANELS, NAMED = 9, 60
"""More arms are drawn as a heat map; with more identities its columns have no names."""
DIVERGING = LinearSegmentedColormap.from_list("delta", [VERMILLION, "#f0b08a", "#f7f7f7", "#8fc1e0", BLUE])


SINGLE = 1000
"""Identities beyond which their marks are pixels in an SVG too: its size, and that of the page, must not grow with them."""


@drawing
def identities(comparisons: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the differences from the baseline by identity, against the identity's number of training images.

    A panel per arm, or for many arms a heat map of arms and identities. Rows for one flank alone and rows without a
    difference (the baseline's) are left out.
    """
    need(comparisons, IDENTITIES, "identities")
    if "flank" in comparisons.columns:
        comparisons = comparisons.filter(pl.col("flank").is_null())
    deltas = comparisons.filter(pl.col("delta").is_finite()).select(IDENTITIES)
    if deltas.is_empty():
        words = "No arm shares an identity with the baseline, so there is no difference to draw."
        return parts.placeholder(words, heading)
    arms = deltas["arm"].unique(maintain_order=True).to_list()
    return (_identity_panels if len(arms) <= PANELS else _identity_matrix)(deltas, arms, heading)


def _identity_panels(deltas: pl.DataFrame, arms: list[str], heading: Heading) -> Figure:
    counts = deltas.unique("identity").sort("train_images", "identity").select("identity", "train_images")
    alike = counts["train_images"].n_unique() == 1
    if alike:
        # All identities were trained on equally often, or never: they stand side by side.
        order = {identity: i for i, identity in enumerate(counts["identity"], 1)}
        deltas = deltas.with_columns(pl.col("identity").replace_strict(order).alias("train_images"))
    middle = float(len(counts) if alike else counts["train_images"].median())
    across = f"identities, all with {counts['train_images'][0]} training images" if alike else "training images"
    settings = {"xlabel": across, "sharex": True, "sharey": True}
    figure, panels = parts.small_multiples(heading, arms, 1.7 if len(arms) < 5 else 1.45, IDENTITIES_NOTE, **settings)
    for arm, (axes,) in panels.items():
        _identity_panel(axes, deltas.filter(pl.col("arm") == arm), middle, alike)
    reach, most = 1.12 * max(float(deltas["delta"].abs().max()), 0.01), int(deltas["train_images"].max())
    axes.set_ylim(-1.25 * reach, reach)
    axes.set_xlim(-0.03 * most - 0.3, 1.03 * most + 0.3)
    axes.xaxis.set_major_locator(NullLocator() if alike else MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    halves = f"mean of those with at most {middle:g} training images, and of the others"
    handles = {
        "an identity that gains": parts.dot(BLUE, size=4.5),
        "one that loses": parts.dot(VERMILLION, size=4.5),
        "mean over identities" if alike else halves: parts.stroke(INK, 1.8),
    }
    parts.legend(figure, handles)
    return figure


def _identity_panel(axes: Axes, rows: pl.DataFrame, middle: float, alike: bool) -> None:
    axes.axhline(0, color=INK, linewidth=0.8, linestyle=parts.DASHED, zorder=1)
    images, delta = rows["train_images"].to_numpy(), rows["delta"].to_numpy()
    colours = [BLUE if d > 0 else VERMILLION if d < 0 else MUTED for d in delta]
    look = {"s": 18 if len(delta) <= 100 else 8, "color": colours, "alpha": 0.75, "rasterized": len(delta) > SINGLE}
    parts.points(axes, "delta", images, delta, **look)
    for key, inside, x, side in (
        ("rare", images <= middle, 0.015, "left"),
        ("common", images > middle, 0.985, "right"),
    ):
        if not inside.any():
            continue
        mean, ends = float(delta[inside].mean()), (images[inside].min() - 0.4, images[inside].max() + 0.4)
        key = "all" if alike else key
        line = {"color": INK, "linewidth": 1.8, "solid_capstyle": "butt", "zorder": 4}
        parts.mark(axes.plot(ends, [mean, mean], **line)[0], "mean", key)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        place = {"transform": axes.transAxes, "ha": side, "va": "bottom", "size": 8, "weight": "bold", "bbox": box}
        parts.mark(axes.text(x, 0.03, signed(mean), **place), "mean-text", key)


def _identity_matrix(deltas: pl.DataFrame, arms: list[str], heading: Heading) -> Figure:
    people = deltas.unique("identity").sort("train_images", "identity")
    names, images = people["identity"].to_list(), people["train_images"].to_list()
    delta = {(arm, identity): value for arm, identity, value in deltas.select(IDENTITIES[:3]).iter_rows()}
    values = np.array([[delta.get((arm, name), np.nan) for name in names] for arm in arms])
    labels = [fit(name, 0.9, 8) for name in names] if len(names) <= NAMED else []
    body = parts.ROW * len(arms)
    foot = max((text_width(label, 8) for label in labels), default=0.0)
    note = f"{IDENTITIES_NOTE} Identities from few to many training images (bars); right: mean over identities."
    if np.isnan(values).any():
        note += " Cells with a dot: not scored in the arm or in the baseline."
    ratios = {"height_ratios": [0.5, body], "sharex": True}
    figure, grid = parts.new_figure(heading, 0.5 + body + foot + 0.95, note, rows=2, **ratios)
    above, axes = grid[:, 0]
    if len(names) > SINGLE:
        above.stairs(images, np.arange(len(names) + 1) - 0.5, fill=True, color=FAINT, rasterized=True)
    else:
        parts.bars(above, names, images, width=0.8 if labels else 1.0, color=FAINT)
    above.set_ylabel("training\nimages", rotation=0, ha="right", va="center", size=8)
    above.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    above.yaxis.set_major_formatter(magnitude)
    above.tick_params(labelbottom=False, bottom=False)
    reach = max(float(np.nanquantile(np.abs(values), 0.98)), 1e-3)
    rows = [fit(arm, 2.0, 8.5, lines=1) for arm in arms]
    looks = {"colours": DIVERGING, "scale": Normalize(-reach, reach)}
    mesh = parts.matrix(axes, arms, names, values, labels=(rows, labels), **looks)
    for y, mean in enumerate(np.nanmean(values, axis=1)):
        parts.beside(axes, y, signed(float(mean)), arms[y], "mean-text", colour=BLUE if mean > 0 else VERMILLION)
    settings = {"location": "bottom", "shrink": 0.4, "aspect": 22, "anchor": (0.0, 0.5), "pad": 0.01}
    key = figure.colorbar(mesh, ax=axes, extend="both", label="difference from the baseline", **settings)
    key.outline.set_visible(False)
    key.ax.grid(visible=False)
    key.ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    return figure


COSTS = {
    "parameters": "parameters",
    "trainable_parameters": "trainable parameters",
    "flops": "operations per image (forward FLOPs)",
    "latency_ms": "latency of one image, ms",
    "throughput": "images per second, forward",
    "images_per_second": "images per second, training",
}
"""Column -> label of its axis; of images per second more is better, of everything else less."""
MORE_IS_BETTER = ("throughput", "images_per_second")
DIRECT = 10
"""Up to this many arms have their names beside their points; more have numbers and a key below."""
PARETO_NOTE = (
    "Higher is better, and so is further to the left; for images per second, to the right. "
    "The line joins the arms that no other one beats in both."
)


def costs(results: pl.DataFrame) -> list[str]:
    """Return the columns of cost in which arms with an id_map differ: without any, there is nothing to draw."""
    valued = results.filter(pl.col("id_map").is_finite())
    return [c for c in COSTS if c in results.columns and valued[c].drop_nulls().n_unique() > 1]


@drawing
def pareto(results: pl.DataFrame, heading: Heading) -> Figure:
    """Draw identity-balanced mAP over each cost in which arms differ; `results` may be joined with its efficiency."""
    need(results, ["arm", "baseline", "id_map"], "pareto")
    found = costs(results)
    if not found:
        arms = ", ".join(fit(arm, 3, 9) for arm in results["arm"])
        return parts.placeholder(f"The arms do not differ in parameters, operations or speed: {arms}.", heading)
    ranked = sorted(results.to_dicts(), key=_by_value)
    across = 2 if len(found) in (2, 4) else min(3, len(found))
    direct = len(ranked) <= DIRECT and across < 3
    names = {row["arm"]: str(i) for i, row in enumerate(ranked, 1)}
    key = [] if direct else [_key_line(row, names[row["arm"]]) for row in ranked]
    if direct:
        names = {row["arm"]: fit(row["arm"], 1.6, 8, lines=2, bold=row["baseline"]) for row in ranked}
    without = [fit(row["arm"], 3, 8) for row in ranked if number(row["id_map"]) is None]
    note = PARETO_NOTE + (f" Without a value: {', '.join(without)}." if without and direct else "")
    rows, lines = ceil(len(found) / across), ceil(len(key) / 3)
    heights = [2.9 if across < 3 else 2.3] * rows + [0.155 * lines + 0.1] * bool(key)
    height = sum(heights) + 0.55 * rows
    figure, grid = parts.new_figure(heading, height, note, len(heights), across, height_ratios=heights)
    for axes in grid.flat[len(found) :]:
        axes.remove()
    if key:
        below = figure.add_subplot(grid[-1, 0].get_gridspec()[-1, :])
        below.set_axis_off()
        for i, words in enumerate(key):
            place = {"transform": below.transAxes, "size": 8, "va": "top"}
            below.text((i // lines) / 3, 1 - (i % lines) / lines, words, **place)
    baselines = any(row["baseline"] for row in ranked)
    parts.legend(figure, parts.front_handles(baselines))
    panels = list(zip(found, grid.flat, strict=False))
    for i, (column, axes) in enumerate(panels):
        axes.set_label(column)
        axes.set_xlabel(COSTS[column], labelpad=2)
        if i % across == 0:
            axes.set_ylabel("identity-balanced mAP", labelpad=3)
    for column, axes in panels:
        points = [row for row in ranked if number(row["id_map"]) is not None and number(row[column]) is not None]
        parts.cost_panel(
            axes,
            [row["arm"] for row in points],
            [float(row[column]) for row in points],
            [float(row["id_map"]) for row in points],
            labels=[names[row["arm"]] for row in points],
            baselines=[row["baseline"] for row in points],
            more_is_better=column in MORE_IS_BETTER,
        )
    return figure


def _by_value(row: dict) -> tuple:
    value = number(row["id_map"])
    return value is None, -(value or 0.0), row["arm"]


def _key_line(row: dict, name: str) -> str:
    value = number(row["id_map"])
    return f"{name}  {fit(row['arm'], parts.BODY / 3 - 1.2, 8)}  {'no value' if value is None else f'{value:.3f}'}"


def figures_of_arms(
    results: pl.DataFrame,
    efficiency: pl.DataFrame,
    comparisons: pl.DataFrame,
    shares: pl.DataFrame,
    histories: Mapping[str, pl.DataFrame],
    baseline: str,
    headings: Mapping[str, Heading],
) -> dict[str, Figure]:
    """Return the figures that every experiment has, by their names in `kinds.TITLES`.

    results, efficiency, comparisons: the experiment's tables of these names; shares: PROFILES. histories: arm -> HISTORY of its runs.
    """
    joined = results.join(efficiency.drop("experiment"), on="arm", how="left", maintain_order="left")
    return {
        "arms": arms(results, headings["arms"]),
        "profiles": profiles(shares, baseline, headings["profiles"]),
        "curves": curves(histories, baseline, headings["curves"]),
        "identities": identities(comparisons, headings["identities"]),
        "pareto": pareto(joined, headings["pareto"]),
    }
