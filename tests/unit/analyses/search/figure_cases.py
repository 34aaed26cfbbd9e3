"""What the figures of a search must show of planted tables."""

from collections.abc import Callable
from math import log10
from statistics import median

import polars as pl
import search_tables as planted

from reidflow.analyses.search import figures
from reidflow.analyses.search.tables import best_so_far, front
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <setting> costs $5?", "demo (demo scale)")
BASELINE = {"val_id_map": 0.585, "flops": 1.3e6, "parameters": 90_000.0}


def aside(index: int) -> float:
    return 2 * ((index * 0.6180339887498949) % 1.0) - 1


def progress(count: int, timed: bool = True) -> tuple:
    trials = planted.trials(count, 3)
    table, expected = best_so_far(trials, planted.seconds(trials)), {}
    if not timed:
        table = table.with_columns(seconds=pl.lit(None, pl.Float64))
    for cost in ("trials", "steps", "train_flops", *(["seconds"] if timed else [])):
        expected[gid("reference", "baseline", cost)] = [(0, 0.585), (1, 0.585)]
        for study in planted.studies(count):
            spent, best, line, points = 0.0, None, [], []
            for row in trials.filter(pl.col("study") == study).sort("trial").to_dicts():
                own = {"trials": 1, "seconds": 0.4 + 0.02 * row["reached"]}
                spent += own.get(cost, row.get(cost))
                best = max((v for v in (best, row["value"]) if v is not None), default=None)
                line += [(spent, best)] if best is not None else []
                points += [(spent, row["value"])] if row["state"] == "complete" else []
            expected[gid("best", study, cost)], expected[gid("trials", study, cost)] = line, points
    return figures.progress(table, HEADING, 0.585), expected


def slices(count: int, space: int) -> tuple:
    trials, expected = planted.trials(count, space), {}
    for axis in planted.axes(space):
        expected[gid("reference", "baseline", axis.name)] = [(0, 0.585), (1, 0.585)]
        by_label: dict[str, list[float]] = {}
        for i, study in enumerate(planted.studies(count)):
            found: dict[str, list] = {"complete": [], "pruned": [], "diverged": []}
            for row in trials.filter(pl.col("study") == study).to_dicts():
                x = row[axis.name]
                if x is None:
                    continue
                if axis.kind == "choice":
                    if row["state"] == "complete":
                        by_label.setdefault(x, []).append(row["value"])
                    x = axis.labels.index(x) + 0.36 * aside(row["trial"] + 7 * i)
                found[row["state"]].append((x, row["value"] if row["state"] == "complete" else 0.03))
                if row["winner"]:
                    expected[gid("winner", study, axis.name)] = [(x, row["value"])]
            expected[gid("trials", study, axis.name)] = found["complete"]
            for state in ("pruned", "diverged"):
                if found[state]:
                    expected[gid(state, study, axis.name)] = found[state]
        for label, values in by_label.items():
            i = axis.labels.index(label)
            expected[gid("median", label, axis.name)] = [(i - 0.42, median(values)), (i + 0.42, median(values))]
    return figures.slices(trials, planted.axes(space), HEADING, 0.585), expected


def parallel(count: int, space: int) -> tuple:
    trials, axes = planted.trials(count, space), planted.axes(space)
    done = trials.filter(pl.col("state") == "complete").sort("value", "study", "trial").to_dicts()
    values = [*(row["value"] for row in done), 0.585]
    room = max(0.03 * (max(values) - min(values)), 0.005)
    low, high = min(values) - room, max(values) + room
    names, lines = sorted({row["study"] for row in done}), []
    for row in done:
        shift = aside(row["trial"] + 7 * names.index(row["study"]))
        for y, axis in enumerate(axes):
            value, left = row[axis.name], 0.15 if any(other[axis.name] is None for other in done) else 0.0
            if value is None:
                x = left * (0.38 + 0.25 * shift)
            elif axis.kind == "choice":
                share = 1 / len(axis.labels)
                x = left + (1 - left) * ((axis.labels.index(value) + 0.5) * share + 0.3 * share * shift)
            else:
                a, b, v = (log10(e) if axis.log else e for e in (axis.low, axis.high, value))
                x = left + (1 - left) * (v - a) / (b - a)
            lines.append((x, y))
        lines.append(((row["value"] - low) / (high - low), len(axes)))
    best = 10 * (len(axes) + 1)
    expected = {"lines:best": lines[-best:], "lines:others": lines[:-best]}
    expected["baseline:baseline"] = [((0.585 - low) / (high - low), len(axes))]
    return figures.parallel(trials, axes, HEADING, 0.585), expected


def importances(count: int, space: int) -> tuple:
    """The last axis decides most in the pooled trials alone, so it stands on top."""
    table, names = planted.importances(count, space), [axis.name for axis in planted.axes(space)]
    share = pl.when(pl.col("pooled") & (pl.col("axis") == names[-1])).then(0.99).otherwise("share").alias("share")
    table, order, expected = table.with_columns(share), [names[-1], *names[:-1]], {}
    for row in table.to_dicts():
        y = order.index(row["axis"]) + (-0.19 if row["method"] == "ped_anova" else 0.19)
        key = gid("share", f"{row['axis']} {row['method']}", row["study"])
        expected[key] = [(0, y - 0.17), (row["share"], y + 0.17)]
    return figures.importances(table, HEADING), expected


def effects(space: int) -> tuple:
    table, expected, y = planted.effects(space), {}, 0
    sizes = [own.height + 1 for own in table.partition_by("axis", maintain_order=True)]
    cut = len(sizes)
    if table.height >= 22:
        cut = min(range(1, len(sizes)), key=lambda n: max(sum(sizes[:n]), sum(sizes[n:])))
    for i, own in enumerate(table.partition_by("axis", maintain_order=True)):
        y = 0 if i == cut else y
        expected[gid("effect-text", own["axis"][0])] = ""
        for n, row in enumerate(own.to_dicts(), start=y + 1):
            key = f"{row['axis']} = {row['label']}"
            mean = "–" if row["mean"] is None else f"{row['mean']:.3f}"
            expected[gid("effect-text", key)] = f"{mean}  ({row['trials']})"
            if row["effect"] is not None:
                expected[gid("effect", key)] = [(100 * row["effect"], n)]
                expected[gid("interval", key)] = [(100 * row["low"], n), (100 * row["high"], n)]
        y += own.height + 1
    return figures.effects(table, HEADING), expected


def pareto(count: int) -> tuple:
    table, expected = front(planted.trials(count, 12)), {}
    rows = table.to_dicts()
    for cost in ("flops", "parameters"):
        points = [(row[cost], row["value"]) for row in rows]
        on = [not any(v >= b and c <= a and (c, v) != (a, b) for c, v in points) for a, b in points]
        expected[gid("front", "all", cost)] = sorted(p for p, kept in zip(points, on, strict=True) if kept)
        expected[gid("reference", "baseline", cost)] = [(0, 0.585), (1, 0.585)]
        expected[gid("point", "baseline", cost)] = [(BASELINE[cost], 0.585)]
        for study in planted.studies(count):
            for part, side in (("on-front", True), ("behind", False)):
                own = [(p, kept) for p, kept, row in zip(points, on, rows, strict=True) if row["study"] == study]
                if some := [p for p, kept in own if kept is side]:
                    expected[gid(part, study, cost)] = some
        for point, row in zip(points, rows, strict=True):
            if row["winner"]:
                expected[gid("winner", row["study"], cost)] = [point]
    return figures.front(table, HEADING, BASELINE), expected


PRUNED = planted.trials(1, 3).with_columns(state=pl.lit("pruned"), value=pl.lit(None, pl.Float64))
CASES: dict[str, Callable[[], tuple]] = {
    **{f"progress, {n}": lambda n=n: progress(n) for n in (1, 5)},
    "progress, not timed": lambda: progress(2, timed=False),
    **{f"slices, {n} x {m}": lambda n=n, m=m: slices(n, m) for n, m in ((2, 3), (5, 12))},
    **{f"parallel, {n} x {m}": lambda n=n, m=m: parallel(n, m) for n, m in ((2, 3), (5, 12))},
    **{f"importances, {n} x {m}": lambda n=n, m=m: importances(n, m) for n, m in ((1, 3), (5, 12))},
    **{f"effects, {m}": lambda m=m: effects(m) for m in (3, 12)},
    **{f"front, {n}": lambda n=n: pareto(n) for n in (1, 5)},
    "progress, none": lambda: (figures.progress(best_so_far(PRUNED, planted.seconds(PRUNED)), HEADING), {}),
    "slices, none": lambda: (figures.slices(PRUNED, planted.axes(3), HEADING), {}),
    "parallel, none": lambda: (figures.parallel(PRUNED, planted.axes(3), HEADING), {}),
    "importances, none": lambda: (figures.importances(planted.importances(1, 2).clear(), HEADING), {}),
    "effects, none": lambda: (figures.effects(planted.effects(2).clear(), HEADING), {}),
    "front, none": lambda: (figures.front(front(PRUNED), HEADING), {}),
}
