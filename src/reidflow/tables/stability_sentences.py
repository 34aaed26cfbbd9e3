"""What the findings say of stability: who diverged, who varies between seeds, who is fast, whom a wrong rate costs most."""

import polars as pl

from reidflow.tables.layout import count, magnitude, share
from reidflow.tables.text import listed, markdown, number

FEW = 8
"""More arms than these are told by their extremes."""
SPIKE = 10.0
"""A largest gradient this many times the mean one is worth a word."""


def training(results: pl.DataFrame) -> list[str]:
    """Return statements on how the runs of a RESULTS table trained."""
    run = results.filter(pl.col("seeds") > 0)
    return [*_divergence(run), *_below(run), *_spread(run), *_speed(run), *_gradients(run), *_steps(run)]


def sensitivity(results: pl.DataFrame) -> list[str]:
    """Return statements on how much each arm depends on its tuned settings; none where nothing is tuned."""
    rows = results.filter(pl.col("sensitivity_range").is_not_null()).sort("sensitivity_range", maintain_order=True)
    if rows.is_empty():
        return []
    told = [
        f"{markdown(row['arm'])} {number(row['sensitivity_range'])} ({row['near_best']} of {len(row['sensitivity'])})"
        for row in rows.to_dicts()
    ]
    if len(told) > FEW:
        told = [*told[:3], *told[-3:]]
        which = f"the three least and the three most sensitive of {rows.height} arms"
    else:
        which = "from the least sensitive arm to the most"
    return [
        "What a wrong choice costs, best minus worst point of the grid in mean validation mAP (and how many points reach 95 % "
        f"of the best), {which}: {listed(told)}."
    ]


def _divergence(run: pl.DataFrame) -> list[str]:
    diverged = [f"{markdown(a)} {share(v)}" for a, v in run.select("arm", "divergence").iter_rows() if v]
    if not diverged:
        return ["No run diverged."]
    return [f"Diverged (loss not finite, or higher at the end than at the start), share of seeds: {listed(diverged)}."]


def _below(run: pl.DataFrame) -> list[str]:
    below = [f"{markdown(a)} {share(v)}" for a, v in run.select("arm", "below_untrained").iter_rows() if v]
    if not below:
        return ["No run ranks worse than the same network before training."]
    return [f"**Warning:** ranks worse than the same network before training, share of seeds: {listed(below)}."]


def _spread(run: pl.DataFrame) -> list[str]:
    rows = run.filter(pl.col("id_map_std").is_not_null()).sort("id_map_std", maintain_order=True).to_dicts()
    if len(rows) < 2 or rows[0]["id_map_std"] == rows[-1]["id_map_std"]:
        return []
    steady, unsteady = rows[0], rows[-1]
    return [
        f"Between seeds {_arm(steady)} varies least (std {number(steady['id_map_std'])}) and {_arm(unsteady)} most "
        f"({number(unsteady['id_map_std'])}); a std over few seeds is itself uncertain."
    ]


def _speed(run: pl.DataFrame) -> list[str]:
    rows = run.filter(pl.col("epochs_to_95").is_not_null()).sort("epochs_to_95", maintain_order=True).to_dicts()
    lines = []
    if rows:
        ends = [rows[0]["epochs_to_95"], rows[-1]["epochs_to_95"]]
        first, last = (_at(rows, end) for end in ends)
        span = (
            f"{first} after {count(ends[0])} epochs, {last} after {count(ends[1])}"
            if ends[0] < ends[1]
            else f"all after {count(ends[0])} epochs"
        )
        lines.append(
            "Of the gain in validation mAP, from before training to the weights that were kept, 95 % is made by "
            f"{span} (mean over seeds)."
        )
    still = run.filter(pl.col("epochs_to_95").is_null() & pl.col("val_id_map").is_not_null())["arm"].to_list()
    if still:
        names = listed([f"**{markdown(arm)}**" for arm in still])
        lines.append(f"Not every seed of {names} rises above its validation mAP before training.")
    return lines


def _at(rows: list[dict], epochs: float) -> str:
    return listed([_arm(row) for row in rows if row["epochs_to_95"] == epochs])


def _gradients(run: pl.DataFrame) -> list[str]:
    told = run.filter(pl.col("gradient_norm") > 0, pl.col("gradient_norm_max").is_not_null()).to_dicts()
    spikes = [
        f"{markdown(row['arm'])} {magnitude(row['gradient_norm_max'])} against {magnitude(row['gradient_norm'])}"
        for row in told
        if row["gradient_norm_max"] > SPIKE * row["gradient_norm"]
    ]
    if not told:
        return []
    if not spikes:
        return [f"No step of any arm had a gradient more than {SPIKE:.0f} times the arm's mean norm."]
    return [
        f"Steps with a gradient more than {SPIKE:.0f} times the arm's mean norm, largest against mean: {listed(spikes)}."
    ]


def _steps(run: pl.DataFrame) -> list[str]:
    steps = run["steps"].drop_nulls()
    if steps.n_unique() <= 1:
        return []
    return [f"The arms took between {count(steps.min())} and {count(steps.max())} optimizer steps."]


def _arm(row: dict) -> str:
    return f"**{markdown(row['arm'])}**"
