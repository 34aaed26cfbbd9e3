"""Figures of an experiment on seeds: every run and its spread, and other experiments' differences beside the noise."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.special import stdtrit

from reidflow.analyses.seeds.tables import DIFFERENCE, SPLIT, TRAINING, by_seed, differences
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, FAINT, INK, MUTED, SEED, VERDICTS, Heading, need
from reidflow.figures.text import number, signed

TITLES = {TRAINING: "Training seeds, on the split of all experiments", SPLIT: "Splits"}
RUN = 0.5
"""Inches of a row with its runs."""
NOTE = (
    "Thick bars: one standard deviation to either side of the mean; lines: 95 % interval of the mean over training seeds "
    "(splits share their images, so theirs has none). Thin lines join the runs of one seed, or of one split."
)
LIMITS = {"split_limit": ("split-limit", "#e9e9e9", 17), "limit": ("limit", "#cdcdcd", 11)}
"""Column of READINGS -> part of its band's gid, colour, and points of its height."""
READING = (
    "Of each experiment the arm that differs most from its baseline, with its corrected interval. Bands: where no difference "
    "is real, the largest of so many stays within them in 95 % of cases. Right: the difference, also in standard deviations "
    "(sd) of a difference by training seeds alone."
)


@drawing
def runs(seeds: pl.DataFrame, spreads: pl.DataFrame, best: str, baseline: str, heading: Heading) -> Figure:
    """Draw SEEDS and SPREADS: each run of the best arm and of the baseline, and their differences."""
    need(seeds, ["kind", "arm", "split_seed", "seed", "id_map"], "seeds")
    arms = list(dict.fromkeys((best, baseline)))
    values = {(kind, arm): by_seed(seeds, kind, arm) for kind in TITLES for arm in arms}
    kinds = [kind for kind in TITLES if any(values[kind, arm] for arm in arms)]
    if not kinds:
        return parts.placeholder("No run has a score.", heading)
    moments = {(row["kind"], row["arm"]): row for row in spreads.to_dicts()}
    looks = {baseline: {"colour": INK}} | {best: {"colour": BLUE, "bold": True}}
    height = len(kinds) * (RUN * len(arms) + parts.AXIS + 0.32)
    shape = {"rows": len(kinds), "columns": 2, "sharex": "col", "width_ratios": [1.15, 1]}
    figure, grid = parts.new_figure(heading, height, NOTE, **shape)
    for kind, (left, right) in zip(kinds, grid, strict=True):
        left.set_label(f"{kind} runs")
        right.set_label(f"{kind} differences")
        count = max(len(values[kind, arm]) for arm in arms)
        parts.section(left, f"{TITLES[kind]}: {count}")
        if len(arms) == 2:
            _join(left, *(values[kind, arm] for arm in arms))
        rows = [_estimate(arm, values[kind, arm], moments.get((kind, arm), {}), **looks[arm]) for arm in arms]
        _forest(left, rows, moments, kind, "identity-balanced mAP on test")
        apart = differences(seeds, kind, best, baseline)
        row = _estimate(DIFFERENCE, apart, moments.get((kind, DIFFERENCE), {}), change=True, colour=BLUE)
        words = f"best minus baseline, by {'seed' if kind == TRAINING else 'split'}"
        _forest(right, [row], moments, kind, words, reference=0.0, labels=False)
    handles = {
        "mean of the best arm": parts.dot(BLUE, "D", 5.5),
        "mean of the baseline": parts.dot(INK, "D", 5.5),
        "one seed, or one split" if SPLIT in kinds else "one seed": parts.dot(SEED, size=3.5),
        "± standard deviation": parts.patch(MUTED, alpha=0.25),
    }
    parts.legend(figure, handles)
    return figure


def _estimate(arm: str, values: dict[int, float], moments: dict, change: bool = False, **looks: object) -> Estimate:
    middle, std, error = (number(moments.get(key)) for key in ("mean", "std", "standard_error"))
    words = "no score" if middle is None else signed(middle) if change else f"{middle:.3f}"
    words += f" ± {std:.3f}" if middle is not None and std is not None else ""
    half = None if middle is None or error is None else float(stdtrit(moments["count"] - 1, 0.975)) * error
    ends = (None, None) if half is None else (middle - half, middle + half)
    return Estimate(arm, middle, *ends, seeds=list(values.values()), text=words, marker="D", **looks)


def _forest(
    axes: Axes,
    rows: list[Estimate],
    moments: dict,
    kind: str,
    xlabel: str,
    reference: float | None = None,
    labels: bool = True,
) -> None:
    for y, row in enumerate(rows):
        std = number(moments.get((kind, row.key), {}).get("std"))
        if row.value is not None and std is not None:
            bar = {"color": row.colour, "alpha": 0.22, "linewidth": 9, "solid_capstyle": "butt", "zorder": 1.5}
            parts.mark(axes.plot([row.value - std, row.value + std], [y, y], **bar)[0], "std", row.key)
    parts.forest(axes, rows, point="mean", xlabel=xlabel, reference=reference, labels=labels, shade=False, width=1.9)
    axes.xaxis.set_tick_params(labelbottom=True)


def _join(axes: Axes, ours: dict[int, float], theirs: dict[int, float]) -> None:
    """Join the runs of one seed, or of one split."""
    lines = [[(value, 0.3), (theirs[key], 1.3)] for key, value in ours.items() if key in theirs]
    parts.mark(axes.add_collection(LineCollection(lines, color=FAINT, linewidth=0.6, zorder=1)), "pairs", "all")


@drawing
def readings(table: pl.DataFrame, heading: Heading) -> Figure:
    """Draw READINGS: a row per experiment, those on top that lie furthest beyond the noise."""
    if table.is_empty():
        return parts.placeholder(
            "There is no noise to compare with, or no other experiment compares anything.", heading
        )
    need(table, ["experiment", "arm", "delta", "ratio", *LIMITS, "verdict"], "readings")
    found = sorted(table.to_dicts(), key=lambda row: (-(number(row["ratio"]) or 0.0), row["experiment"]))
    rows = [_reading(row) for row in found]
    figure, grid = parts.new_figure(heading, parts.forest_height(rows, least=0.36) + parts.AXIS, READING)
    axes = grid[0, 0]
    for y, row in enumerate(found):
        for i, (column, (part, colour, height)) in enumerate(LIMITS.items()):
            limit = number(row[column])
            if limit is not None:
                band = {"color": colour, "linewidth": height, "solid_capstyle": "butt", "zorder": 0.5 + i / 10}
                parts.mark(axes.plot([-limit, limit], [y, y], **band)[0], part, row["experiment"])
    parts.forest(axes, rows, xlabel="difference of identity-balanced mAP from the experiment's baseline on test")
    handles = parts.verdict_handles([row.verdict for row in rows])
    handles["limit: training seeds"] = parts.patch(LIMITS["limit"][1])
    if any(number(row["split_limit"]) is not None for row in found):
        handles["limit: split and training seeds"] = parts.patch(LIMITS["split_limit"][1])
    parts.legend(figure, handles)
    return figure


def _reading(row: dict) -> Estimate:
    ratio = number(row["ratio"])
    words = signed(row["delta"]) + ("" if ratio is None else f"  {ratio:.1f} sd")
    colour = VERDICTS.get(row["verdict"], MUTED)
    ends = (row["delta_low"], row["delta_high"])
    return Estimate(
        row["experiment"], row["delta"], *ends, row["verdict"], text=words, detail=row["arm"], colour=colour
    )
