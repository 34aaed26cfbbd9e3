"""Figures of an experiment on image sizes: the stages, mAP at each tested size, mAP by training FLOPs."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reidflow.analyses.resizing import findings
from reidflow.analyses.resizing.findings import times
from reidflow.analyses.resizing.tables import BASELINE
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, INK, MARKERS, SEED, VERDICTS, Heading, need
from reidflow.figures.text import fit, number, text_width

ROW, NAMES = 0.32, 2.0
"""Inches: height of a row, width of the names."""
STAGES_NOTE = "Each block is a stage, with the side of its images in pixels where there is room; darker is larger."
SIZES_NOTE = (
    "Small points: seeds. Dashed: baseline. Queries and gallery have the size above the panel. Verdicts: against the baseline at "
    "this size, paired by identity and seed, corrected over the arms."
)
FLOPS_NOTE = (
    "Higher is better, and so is further to the left. Training FLOPs: three times those of a forward pass of every training "
    "image, at its size."
)


@drawing
def stages(training: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the size of the images in each epoch of each arm: a row an arm, a block a stage. training: the RESIZING table."""
    need(training, ["arm", "baseline", "sizes"], "stages")
    rows = [row for row in training.to_dicts() if row["sizes"]]
    if not rows:
        return parts.placeholder("No arm was trained on images, so there are no image sizes.", heading)
    known = sorted({size for row in rows for size in row["sizes"]})
    longest = max(len(row["sizes"]) for row in rows)
    names = [Estimate(row["arm"], None, bold=row["baseline"]) for row in rows]
    height = parts.forest_height(names, NAMES, ROW) + parts.AXIS
    figure, grid = parts.new_figure(heading, height, STAGES_NOTE)
    axes = grid[0, 0]
    parts.forest(axes, names, xlabel="epochs", reference=None, width=NAMES, texts=False)
    axes.set_xlim(0, longest)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    for y, row in enumerate(rows):
        start = 0
        for i, (size, length) in enumerate(findings.stages(row["sizes"]), 1):
            depth = (known.index(size) + 1) / len(known)
            _block(axes, (start, y), length, f"{row['arm']} {i}", str(size), depth)
            start += length
    return figure


def _block(axes: Axes, at: tuple[float, float], length: int, key: str, words: str, depth: float) -> None:
    (x, y), share = at, 0.15 + 0.75 * depth
    colour = tuple(1 - share * (1 - part) for part in to_rgb(BLUE))
    patch = Rectangle((x, y - 0.38), length, 0.76, facecolor=colour, edgecolor="white", linewidth=1, zorder=2)
    parts.mark(axes.add_patch(patch), "stage", f"{key} ({words} px)")
    if text_width(words, 8) + 0.04 < length / axes.get_xlim()[1] * (parts.BODY - NAMES):
        ink = "white" if depth > 0.6 else INK
        axes.text(x + length / 2, y, words, size=8, color=ink, ha="center", va="center_baseline", zorder=3)


@drawing
def sizes(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw mAP at each tested size: a panel a size, a row an arm, with its seeds and its verdict. table: SIZES."""
    rows = table.filter(pl.col("id_map").is_finite()).to_dicts()
    if not rows:
        return parts.placeholder("No arm was tested at another size.", heading)
    scales = sorted({row["scale"] for row in rows})
    arms = {row["arm"]: row["baseline"] for row in rows}
    names = [Estimate(arm, None, bold=bold) for arm, bold in arms.items()]
    height = parts.forest_height(names, NAMES, ROW) + parts.AXIS + 0.2
    figure, grid = parts.new_figure(heading, height, SIZES_NOTE, rows=1, columns=len(scales), sharex=True)
    width = (parts.BODY - NAMES) / len(scales)
    for i, (scale, axes) in enumerate(zip(scales, grid[0], strict=True)):
        own = {row["arm"]: row for row in rows if row["scale"] == scale}
        axes.set_label(times(scale))
        pixels = ", ".join(map(str, sorted({row["size"] for row in own.values()})))
        axes.set_title(fit(f"{times(scale)} ({pixels} px)", width, 8.5), loc="left", size=8.5)
        estimates = [_estimate(arm, bold, own.get(arm)) for arm, bold in arms.items()]
        settings = {"labels": i == 0, "width": NAMES, "reference": None, "texts": False}
        parts.forest(axes, estimates, point="id_map", xlabel=fit("balanced mAP", width, 8.5), **settings)
        axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        base = next((row["id_map"] for row in own.values() if row["baseline"]), None)
        if base is not None:
            parts.reference(axes, "baseline", x=base)
    handles = {BASELINE: parts.dot(INK, "s", 5.5)} if any(arms.values()) else {}
    verdicts = [v for v in VERDICTS if any(row["verdict"] == v for row in rows)]
    handles |= {v: parts.dot(VERDICTS[v], MARKERS[v], 5.5) for v in verdicts}
    parts.legend(figure, {**handles, "seed": parts.dot(SEED, size=3)})
    return figure


def _estimate(arm: str, baseline: bool, row: dict | None) -> Estimate:
    if row is None:
        return Estimate(arm, None, bold=baseline)
    look = {"colour": INK, "marker": "s"} if baseline else {"verdict": row["verdict"]}
    return Estimate(arm, row["id_map"], seeds=row["id_map_by_seed"], bold=baseline, **look)


@drawing
def training_flops(training: pl.DataFrame, heading: Heading) -> Figure:
    """Draw mAP at full size over the training FLOPs, with the Pareto front. training: the RESIZING table."""
    need(training, ["arm", "baseline", "id_map", "train_flops"], "training_flops")
    rows = [row for row in training.to_dicts() if number(row["id_map"]) is not None and row["train_flops"]]
    if not rows:
        return parts.placeholder("No arm has both a score and a count of its training FLOPs.", heading)
    rows.sort(key=lambda row: -row["id_map"])
    figure, grid = parts.new_figure(heading, 3.4 + parts.AXIS, FLOPS_NOTE)
    axes, baselines = grid[0, 0], [row["baseline"] for row in rows]
    axes.set_xlabel("training FLOPs", labelpad=2)
    axes.set_ylabel("identity-balanced mAP at full size, test", labelpad=3)
    parts.legend(figure, parts.front_handles(any(baselines)))
    parts.cost_panel(
        axes,
        [row["arm"] for row in rows],
        [float(row["train_flops"]) for row in rows],
        [row["id_map"] for row in rows],
        labels=[fit(row["arm"], 1.8, 8, lines=2, bold=row["baseline"]) for row in rows],
        baselines=baselines,
    )
    return figure
