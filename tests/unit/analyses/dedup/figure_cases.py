"""What the figures of deduplication must show of planted tables."""

from collections.abc import Callable

import dedup_tables as planted

from reidflow.analyses.dedup import figures
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <hash> costs $5 & gives $x_1$?", "demo (demo scale)")


def by_method(rows: list[dict]) -> dict[str, list[dict]]:
    return {name: [row for row in rows if row["method"] == name] for name in dict.fromkeys(r["method"] for r in rows)}


def precision_recall(count: int) -> tuple:
    table = planted.methods(count)
    figure, expected = figures.detection(table, HEADING), {}
    for name, rows in by_method(table.to_dicts()).items():
        known = [row for row in rows if row["precision"] is not None]
        if known:
            best = max(known, key=lambda row: row["f1"])
            expected[f"{name}/line:method"] = [(row["recall"], row["precision"]) for row in known]
            expected[f"{name}/point:arms"] = [(row["recall"], row["precision"]) for row in known if row["arm"]]
            expected[f"{name}/point:best"] = [(best["recall"], best["precision"])]
            expected[f"{name}/f1:best"] = f"F1 {best['f1']:.2f} at {best['threshold']:.3g}"
    return figure, expected


def pairs(count: int) -> tuple:
    table = planted.methods(count, truth=False)
    figure, expected = figures.detection(table, HEADING), {}
    for name, rows in by_method(table.to_dicts()).items():
        expected[f"{name}/line:one identity"] = [(r["threshold"], r["pairs"] - r["cross_pairs"]) for r in rows]
        expected[f"{name}/line:two identities"] = [(r["threshold"], r["cross_pairs"]) for r in rows]
        expected[f"{name}/thresholds:arms"] = [(r["threshold"], 0) for r in rows if r["arm"]]
    return figure, expected


def thresholds(count: int) -> tuple:
    methods, arms = planted.methods(count), planted.dedup_arms(count)
    figure, expected = figures.thresholds(methods, arms, HEADING), {}
    for name, rows in by_method(methods.to_dicts()).items():
        expected[f"{name}/line:dropped"] = [(r["threshold"], 100 * r["share"]) for r in rows]
        expected[f"{name}/line:groups"] = [(r["threshold"], r["groups"]) for r in rows]
        for panel in (name, f"{name} difference"):
            expected[f"{panel}/thresholds:arms"] = [(r["threshold"], 0) for r in rows if r["arm"]]
        expected[f"{name} difference/reference:zero"] = [(0, 0), (1, 0)]
        own = [row for row in arms.to_dicts() if row["method"] == name]
        for row in own:
            same = [other["arm"] for other in own if other["threshold"] == row["threshold"]]
            step = 0.035 * max(r["threshold"] for r in rows)
            x = row["threshold"] + (same.index(row["arm"]) - (len(same) - 1) / 2) * step
            expected[gid("delta", row["arm"], f"{name} difference")] = [(x, row["delta"])]
            if row["delta_low"] is not None:
                expected[gid("interval", row["arm"], f"{name} difference")] = [
                    (x, row["delta_low"]),
                    (x, row["delta_high"]),
                ]
            if row["recommended"]:
                expected[gid("recommended", row["arm"], f"{name} difference")] = [(x, row["delta"])]
    return figure, expected


def dynamics(count: int, recorded: tuple[str, ...]) -> tuple:
    arms = planted.dedup_arms(count)
    figure = figures.dynamics({arm: planted.history(recorded) for arm in arms["arm"]}, arms, HEADING)
    curves = {name: [(epoch, (k + 1.5) / epoch) for epoch in range(1, 5)] for k, name in enumerate(recorded)}
    return figure, {gid("line", arm, name): curve for name, curve in curves.items() for arm in arms["arm"]}


CASES: dict[str, Callable[[], tuple]] = {
    **{f"precision and recall, {count}": lambda count=count: precision_recall(count) for count in (2, 16)},
    **{f"pairs, {count}": lambda count=count: pairs(count) for count in (2, 16)},
    **{f"thresholds, {count}": lambda count=count: thresholds(count) for count in (2, 16)},
    "dynamics": lambda: dynamics(14, ("loss", "gradient_norm", "active", "hardness")),
    "dynamics, two quantities": lambda: dynamics(3, ("loss", "gradient_norm")),
}
