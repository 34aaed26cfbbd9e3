"""The arms of all experiments, ranked within the groups whose numbers may be compared."""

import polars as pl
from matplotlib.figure import Figure

from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, MUTED, VERMILLION, Heading, need
from reidflow.figures.text import clean, fit, number

COLUMNS = ["group", "rank", "experiment", "arm", "baseline", "id_map", "id_map_std", "chance", "comparable"]
NOTE = (
    "Only rows of one group may be compared: they share data set, split, gallery, filters and evaluated images. "
    "Ranks are by mean and claim nothing: each experiment's own table says which arms differ."
)


@drawing
def leaderboard(table: pl.DataFrame, heading: Heading, most: int = 25) -> Figure:
    """Draw the leaderboard, the best `most` rows of each group; rows without a group (no score) are counted."""
    need(table, COLUMNS, "leaderboard")
    scored = table.filter(pl.col("group").is_not_null())
    if scored.is_empty():
        return parts.placeholder("No arm of any experiment has a score.", heading)
    groups = {
        name: rows.sort("rank", "experiment", "arm").to_dicts()
        for (name,), rows in scored.group_by("group", maintain_order=True)
    }
    heights = [parts.ROW * min(len(rows), most) for rows in groups.values()]
    sections = sum(0.48 if _remark(rows) else 0.32 for rows in groups.values())
    unscored = table["group"].null_count()
    note = f"{NOTE} Without a score, and not shown: {unscored}." if unscored else NOTE
    height = sum(heights) + sections + parts.AXIS * len(groups)
    shared = {"height_ratios": heights, "sharex": True}
    figure, grid = parts.new_figure(heading, height, note, rows=len(groups), **shared)
    for (name, rows), axes in zip(groups.items(), grid[:, 0], strict=True):
        axes.set_label(name)
        parts.section(axes, _title(name, rows), _remark(rows))
        shown = [_estimate(row) for row in rows[:most]]
        below = f"  ({len(rows) - most} lower rows not shown)" if len(rows) > most else ""
        xlabel = f"identity-balanced mAP on test{below}"
        parts.forest(axes, shown, point="id_map", xlabel=xlabel, reference=None, width=4.0, shade=False)
        chances = {row.key: source["chance"] for row, source in zip(shown, rows, strict=False)}
        parts.ticks(axes, "chance", chances)
        axes.tick_params(labelbottom=True)
    handles = {
        "arm, mean over seeds": parts.dot(BLUE),
        "its experiment's baseline": parts.dot(VERMILLION, "s", 4.5),
        "standard deviation over seeds": (parts.stroke(BLUE, 1.8), parts.stroke(VERMILLION, 1.8)),
        "chance": parts.stroke(MUTED, 1.2, linestyle=parts.DOTTED),
    }
    parts.legend(figure, handles)
    return figure


def _title(group: str, rows: list[dict]) -> str:
    source = ", gallery: ".join(clean(rows[0][c]) for c in ("data_set", "gallery") if rows[0].get(c))
    leaking = ". The split leaks: every score is too high." if any(row.get("leaking") for row in rows) else ""
    return f"Group {group}{': ' if source else ''}{source}{leaking}"


def _remark(rows: list[dict]) -> str:
    """Return with which other groups the rows cannot be compared, where there are any."""
    comparable = rows[0]["comparable"]
    return f"Comparable {comparable}" if ";" in comparable else ""


def _estimate(row: dict) -> Estimate:
    mean, spread = number(row["id_map"]), number(row["id_map_std"])
    name = f"{fit(row['experiment'], 1.3, 8.5)} · {fit(row['arm'], 2.1, 8.5)}"
    return Estimate(
        f"{row['experiment']} · {row['arm']}",
        mean,
        None if spread is None else mean - spread,
        None if spread is None else mean + spread,
        text=f"{mean:.3f}",
        label=f"{name} #{row['rank']}",
        colour=VERMILLION if row["baseline"] else BLUE,
        marker="s" if row["baseline"] else "o",
        bold=row["baseline"],
    )
