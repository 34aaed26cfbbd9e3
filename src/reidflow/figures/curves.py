"""Training curves: validation mAP and loss per epoch, a small panel per arm."""

from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullFormatter

from reidflow.figures.panels import MANY, place
from reidflow.figures.style import (
    BLUE,
    MUTED,
    ORANGE,
    VERMILLION,
    Heading,
    Out,
    legend_height,
    need,
    sheet,
)
from reidflow.figures.text import magnitude

NOTE = (
    "Line: mean over seeds; band: lowest to highest seed; thin: seeds that went on when another had stopped. Epoch 0 is "
    "before training. Every loss has a scale of its own, so its heights cannot be compared between arms; 'not finite' counts seeds."
)
COLUMNS = ["seed", "epoch", "loss", "val_id_map"]
FALLING = 100.0
"""A loss that shrinks by more than this factor is drawn on a logarithmic axis."""


def draw(histories: Mapping[str, pl.DataFrame], baseline: str, heading: Heading, out: Out) -> None:
    """Draw the histories (arm -> table with COLUMNS) in their order; without any val_id_map, the losses alone.

    The baseline's mean validation mAP stands behind that of every other arm.
    """
    for history in histories.values():
        need(history, COLUMNS, "curves")
    metric = {arm: _matrix(history, "val_id_map") for arm, history in histories.items()}
    loss = {arm: _matrix(history, "loss") for arm, history in histories.items()}
    shown = any(np.isfinite(values).any() for values in metric.values())
    upper, lower = _heights(len(histories)) if shown else (0.0, 1.0 if len(histories) < MANY else 0.7)
    height = upper + lower + (0.13 if shown else 0)
    handles, labels = _legend(shown)
    places, end = place(list(histories), height, legend_height(labels), baseline)
    limits = _limits(metric.values())
    last = max(values.shape[1] for values in loss.values()) - 1
    with sheet(heading, end + 0.1, out, NOTE) as page:
        page.legend(handles, labels)
        for arm, panel in zip(histories, places, strict=True):
            panel.head(page, weight="bold" if arm == baseline else "normal")
            if shown:
                axes = page.axes(panel.left, panel.top, panel.width, upper)
                axes.set_ylim(limits)
                _epochs(axes, last, labelled=False, named=False)
                if arm != baseline and baseline in metric and np.isfinite(metric[arm]).any():
                    _mean(axes, metric[baseline], MUTED, linewidth=1.0, linestyle=(0, (4, 2)))
                _curve(axes, metric[arm], BLUE, "no validation images")
            below = page.axes(panel.left, panel.top + height - lower, panel.width, lower)
            _epochs(below, last, labelled=True, named=panel.last)
            _loss(below, loss[arm], _diverged(histories[arm]))


def _heights(panels: int) -> tuple[float, float]:
    """Return the heights of the validation mAP and of the loss in a panel."""
    return (0.7, 0.4) if panels >= MANY else (1.05 if panels < 5 else 0.9, 0.55)


def _matrix(history: pl.DataFrame, column: str) -> np.ndarray:
    """Return the values as (seeds, epochs from 0), NaN where there is none."""
    seeds = history["seed"].unique().sort().to_list()
    values = np.full((len(seeds), history["epoch"].max() + 1), np.nan)
    rows = [seeds.index(seed) for seed in history["seed"]]
    values[rows, history["epoch"].to_numpy()] = history[column].cast(pl.Float64).to_numpy()
    return values


def _limits(metric: list[np.ndarray]) -> tuple[float, float]:
    finite = np.concatenate([values[np.isfinite(values)] for values in metric] + [np.array([])])
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = max(0.06 * (high - low), 0.005)
    return low - room, high + room


def _epochs(axes: Axes, last: int, labelled: bool, named: bool) -> None:
    axes.set_xlim(-0.02 * last - 0.1, last * 1.02 + 0.1)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(3 if labelled else 4, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="both", labelsize=8, pad=2)
    if not labelled:
        axes.xaxis.set_major_formatter(NullFormatter())
        axes.tick_params(axis="x", length=0)
    if named:
        axes.set_xlabel("epoch", labelpad=1, size=8)


def _complete(values: np.ndarray) -> int:
    """Return one past the last epoch at which every seed that has values at all has one."""
    present = np.isfinite(values)
    trained = present[present.any(axis=1)]
    full = np.flatnonzero(trained.all(axis=0)) if len(trained) else np.array([])
    return int(full[-1]) + 1 if full.size else 0


def _mean(axes: Axes, values: np.ndarray, colour: str, **settings: object) -> None:
    end = _complete(values)
    if end:
        present = values[np.isfinite(values).any(axis=1)]
        axes.plot(np.arange(end), present[:, :end].mean(axis=0), color=colour, zorder=2, **settings)


def _curve(axes: Axes, values: np.ndarray, colour: str, absent: str) -> None:
    if not np.isfinite(values).any():
        axes.set_yticks([])
        axes.text(0.5, 0.5, absent, transform=axes.transAxes, ha="center", va="center", size=8, color=MUTED)
        return
    end = _complete(values)
    present = values[np.isfinite(values).any(axis=1)]
    epochs = np.arange(values.shape[1])
    axes.fill_between(
        epochs[:end],
        present[:, :end].min(axis=0),
        present[:, :end].max(axis=0),
        color=colour,
        alpha=0.2,
        linewidth=0,
        zorder=2,
    )
    _mean(axes, values, colour, linewidth=1.6, marker="o" if end == 1 else "", markersize=3)
    rest = max(end - 1, 0)
    for seed in present:
        if np.isfinite(seed[end:]).any():
            axes.plot(epochs[rest:], seed[rest:], color=colour, linewidth=0.8, alpha=0.7, zorder=2)


def _diverged(history: pl.DataFrame) -> int:
    """Return the number of seeds with a loss that is not finite; a loss that is null was not measured."""
    return history.filter(~pl.col("loss").is_finite())["seed"].n_unique()


def _loss(axes: Axes, values: np.ndarray, broken: int) -> None:
    _curve(axes, values, ORANGE, "" if broken else "no loss recorded")
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() / finite.min() > FALLING:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: magnitude(value).replace("-", "\u2212"))
    if broken:
        axes.text(
            0.98,
            0.94,
            f"not finite: {broken} of {len(values)}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            size=8,
            color=VERMILLION,
        )


def _legend(shown: bool) -> tuple[list, list[str]]:
    pairs = [
        ((Patch(color=BLUE, alpha=0.2), Line2D([], [], color=BLUE, linewidth=1.6)), "validation mAP"),
        (Line2D([], [], color=MUTED, linewidth=1.0, linestyle=(0, (4, 2))), "the baseline's validation mAP"),
        ((Patch(color=ORANGE, alpha=0.2), Line2D([], [], color=ORANGE, linewidth=1.6)), "training loss"),
    ]
    pairs = pairs if shown else pairs[2:]
    return [handle for handle, _ in pairs], [label for _, label in pairs]
