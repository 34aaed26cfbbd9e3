"""The arms of all experiments, ranked within the groups whose numbers may be compared."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from matplotlib.lines import Line2D

from reidflow.figures.style import (
    BLUE,
    MARGIN,
    MUTED,
    SEED,
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
from reidflow.figures.text import clean, fit, number, text_width

COLUMNS = ["group", "rank", "experiment", "arm", "baseline", "id_map", "id_map_std", "chance", "comparable"]
ROW, FOOT = 0.21, 0.5
NOTE = (
    "Only rows of one group may be compared: they share data set, split, gallery and evaluated images. "
    "Ranks are by mean and claim nothing: which arms differ is said by the table of each experiment."
)


@dataclass(frozen=True)
class _Group:
    title: str
    remark: str
    rows: list[dict]
    left_out: int

    @property
    def head(self) -> float:
        return 0.46 if self.remark else 0.3


def draw(board: pl.DataFrame, heading: Heading, out: Out, most: int = 25) -> None:
    """Draw a leaderboard table, the best `most` rows of each group; rows without a group (no score) are counted."""
    need(board, COLUMNS, "leaderboard")
    groups = list(_groups(board.filter(pl.col("group").is_not_null()), most))
    if not groups:
        placeholder("No arm of any experiment has a score.", heading, out)
        return
    gutter = max(text_width(_label(row), 8.5, bold=True) for g in groups for row in g.rows)
    handles, words = _legend()
    above = legend_height(words)
    ends = [v for g in groups for row in g.rows for v in _ends(row)]
    room = 0.04 * max(max(ends) - min(ends), 0.01)
    unscored = board["group"].null_count()
    note = f"{NOTE} Without a score, and not drawn: {unscored}." if unscored else NOTE
    with sheet(heading, above + sum(g.head + ROW * len(g.rows) + FOOT for g in groups), out, note) as page:
        page.legend(handles, words)
        top = above
        for g in groups:
            page.text(MARGIN, top + 0.04, fit(g.title, WIDTH - 2 * MARGIN, 9, bold=True), size=9, weight="bold")
            if g.remark:
                page.text(MARGIN, top + 0.22, fit(g.remark, WIDTH - 2 * MARGIN, 8), size=8, color=MUTED)
            _draw(page, g, top + g.head, gutter, (min(ends) - room, max(ends) + room))
            top += g.head + ROW * len(g.rows) + FOOT


def _groups(board: pl.DataFrame, most: int) -> Iterator[_Group]:
    for (group,), rows in board.group_by("group", maintain_order=True):
        ranked = rows.sort("rank", "experiment", "arm").to_dicts()
        first = ranked[0]
        where = ", gallery: ".join(clean(first[c]) for c in ("data_set", "gallery") if first.get(c))
        leak = ". The split leaks: every score is too high." if any(r.get("leaking") for r in ranked) else ""
        title = f"Group {group}: {where}{leak}" if where else f"Group {group}{leak}"
        remark = f"Comparable {first['comparable']}" if ";" in first["comparable"] else ""
        yield _Group(title, remark, ranked[:most], len(ranked) - len(ranked[:most]))


def _label(row: dict) -> str:
    return f"{fit(row['experiment'], 1.3, 8.5)} · {fit(row['arm'], 2.1, 8.5)}"


def _ends(row: dict) -> list[float]:
    mean, spread = number(row["id_map"]) or 0.0, number(row["id_map_std"]) or 0.0
    found = [mean - spread, mean + spread, number(row["chance"])]
    return [v for v in found if v is not None]


def _draw(page: Sheet, group: _Group, top: float, gutter: float, limits: tuple[float, float]) -> None:
    left = MARGIN + 0.32 + gutter + 0.12
    axes = page.axes(left, top, WIDTH - left - 0.6 - MARGIN, ROW * len(group.rows))
    axes.set_ylim(len(group.rows) - 0.5, -0.5)
    axes.set_xlim(limits)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for y, row in enumerate(group.rows):
        middle = top + (y + 0.5) * ROW
        weight = "bold" if row["baseline"] else "normal"
        mean, chance, spread = (number(row[c]) for c in ("id_map", "chance", "id_map_std"))
        page.text(MARGIN + 0.22, middle, str(row["rank"]), size=8.5, color=MUTED, ha="right", va="center_baseline")
        page.text(MARGIN + 0.32, middle, _label(row), size=8.5, weight=weight, va="center_baseline")
        page.text(WIDTH - MARGIN, middle, f"{mean:.3f}", size=8.5, weight=weight, ha="right", va="center_baseline")
        if chance is not None:
            axes.plot([chance, chance], [y - 0.5, y + 0.5], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2)
        if spread is not None:
            axes.plot([mean - spread, mean + spread], [y, y], color=SEED, linewidth=1.4, zorder=2)
        colour, mark = (VERMILLION, "s") if row["baseline"] else (BLUE, "o")
        axes.scatter([mean], [y], s=22, marker=mark, color=colour, linewidth=0, zorder=4)
    below = f"  ({group.left_out} lower rows not drawn)" if group.left_out else ""
    axes.set_xlabel(f"identity-balanced mAP on test{below}", labelpad=2)


def _legend() -> tuple[list, list[str]]:
    pairs = [
        (Line2D([], [], marker="o", linestyle="none", markersize=4.5, color=BLUE), "arm, mean over seeds"),
        (Line2D([], [], marker="s", linestyle="none", markersize=4.5, color=VERMILLION), "its experiment's baseline"),
        (Line2D([], [], color=SEED, linewidth=1.4), "standard deviation over seeds"),
        (Line2D([], [], color=MUTED, linestyle=(0, (1, 1.5)), linewidth=1.2), "chance"),
    ]
    return [handle for handle, _ in pairs], [label for _, label in pairs]
