"""What the figures of every experiment must show of planted tables."""

from collections.abc import Callable

import figure_tables as planted
import polars as pl

from reidflow.figures import experiment
from reidflow.figures import profiles as profiles_figure
from reidflow.figures.leaderboard import leaderboard
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <loss> costs $5 & gives $x_1$?", "demo (demo scale), 3 seeds")


def signed(value: float) -> str:
    words = f"{value:+.3f}".replace("-", "\u2212")
    return words[1:] if words[1:] == "0.000" else words


def arms(count: int, controlled: bool = False) -> tuple:
    rows = planted.results(count).to_dicts()
    if controlled:
        own = {"against": "base", "against_delta": -0.0321, "against_low": -0.05, "against_high": 0.01}
        own |= {"against_verdict": "worse", "against_smallest_detectable": 0.02}
        rows = [row | (own if i in (1, 2) else dict.fromkeys(own)) for i, row in enumerate(rows)]
        rows[-1] |= dict.fromkeys(["id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high"])
        rows[-1] |= {"verdict": "unavailable"}
        rows = [row | {"margin": 0.02} for row in rows]
        rows[3] |= {"verdict": "equivalent"}
    figure = experiment.arms(pl.DataFrame(rows, infer_schema_length=None), HEADING)
    ranked = sorted(rows, key=lambda row: -1 if row["id_map"] is None else row["id_map"], reverse=True)
    expected = {"reference:baseline": [(0.5, 0), (0.5, 1)]}
    if controlled:
        expected |= {gid("margin", "all", panel): [(-0.02, 0), (0.02, 1)] for panel in ("", "controls")}
    for y, row in enumerate(ranked):
        own = {
            "delta-text": "baseline" if row["baseline"] else "unavailable",
            "id_map-text": "no value",
        }
        if row["id_map"] is not None:
            own["id_map"] = [(row["id_map"], y)]
            own["id_map-text"] = f"{row['id_map']:.3f}"
            own["seeds"] = [(value, y + 0.3) for value in row["id_map_by_seed"]]
            own["chance"] = [(0.1, y - 0.5), (0.1, y + 0.5)]
        if row["delta"] is not None:
            own["delta"] = [(row["delta"], y)]
            own["interval"] = [(row["delta_low"], y), (row["delta_high"], y)]
            own["reach"] = [(-0.03, y), (0.03, y)]
            own["delta-text"] = f"{signed(row['delta'])}  {row['verdict']}"
        expected |= {gid(part, row["arm"]): shown for part, shown in own.items()}
    for y, row in enumerate(row for row in ranked if controlled and row["against"]):
        own = {
            "delta": [(-0.0321, y)],
            "interval": [(-0.05, y), (0.01, y)],
            "reach": [(-0.02, y), (0.02, y)],
            "delta-text": "\u22120.032  worse",
        }
        expected |= {gid(part, row["arm"], "controls"): shown for part, shown in own.items()}
    return figure, expected


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def curves(count: int, validation: bool = True, broken: int = -1) -> tuple:
    histories = {n: planted.history(i, 6, validation, i == broken) for i, n in enumerate(planted.names(count))}
    figure = experiment.curves(histories, "base", HEADING)
    expected = {}
    for arm, history in histories.items():
        for column in ["val_id_map", "loss"] if validation else ["loss"]:
            shown, rest = epochs(history, column)
            own = {f"line:{column}": [(e, mean(found)) for e, found in shown.items()]}
            own[f"band:{column}"] = [(e, min(found)) for e, found in shown.items()]
            own[f"band:{column}"] += [(e, max(found)) for e, found in reversed(shown.items())]
            own |= {f"seed:{column} {seed}": points for seed, points in rest.items()}
            if column == "val_id_map" and arm != "base":
                base, _ = epochs(histories["base"], column)
                own["baseline:val_id_map"] = [(e, mean(found)) for e, found in base.items()]
            expected |= {gid(*part.split(":"), arm): points for part, points in own.items()}
    return figure, expected


def epochs(history: pl.DataFrame, column: str) -> tuple[dict[int, list[float]], dict[int, list[tuple[int, float]]]]:
    """Return epoch -> values of all seeds, as long as all have one, and what each seed has from there on."""
    of = {
        (r["seed"], r["epoch"]): r[column]
        for r in history.to_dicts()
        if r[column] is not None and r[column] == r[column]
    }
    seeds = sorted({seed for seed, _ in of})
    shared = [e for e in range(20) if all((seed, e) in of for seed in seeds)]
    rest = {seed: [(e, of[seed, e]) for e in range(shared[-1], 20) if (seed, e) in of] for seed in seeds}
    together = {e: [of[seed, e] for seed in seeds] for e in shared}
    return together, {seed: points for seed, points in rest.items() if len(points) > 1}


def profiles(count: int) -> tuple:
    """The baseline, arm 0, and the two arms with the largest shares have bands; a band needs both of its ends."""
    table = planted.profiles(count)
    arms = planted.names(count)
    expected = {}
    for i, arm in enumerate(arms):
        points = [(t, (0.3 + i / 100) ** t) for t in (0.0, 0.25, 0.5, 1.0)]
        expected[gid("line", arm)] = points
        if i != 1 and (i == 0 or i >= count - 2):
            low = [(t, 0.9 * 0.2**t) for t in (0.0, 0.25, 0.5, 1.0)]
            expected[gid("band", arm)] = low + [(t, (0.6 + i / 200) ** t) for t in (1.0, 0.5, 0.25, 0.0)]
    return profiles_figure.profiles(table, "base", HEADING), expected


def tuning(count: int) -> tuple:
    choices = planted.choices(count)
    expected = {}
    for arm, choice in choices.items():
        values = [point["val_id_map"] for point in choice["points"]]
        chosen = values.index(max(values))
        own = {"line:validation mAP": [*enumerate(values)], "chosen:validation mAP": [(chosen, values[chosen])]}
        own["seeds:validation mAP"] = [(i, seed) for i in range(4) for seed in (0.5, 0.4)]
        expected |= {gid(*part.split(":"), arm): points for part, points in own.items()}
        choice["points"].reverse()
    return experiment.tuning(choices, HEADING), expected


def tuning_of_two() -> tuple:
    """Two hyperparameters, the second as lines; one of its points diverged."""
    points = [
        {"values": {"lr": rate, "loss.margin": margin}, "val_id_map": value, "seeds": {"9": value}}
        for margin, scores in ((0.1, (0.3, 0.6, 0.5)), (None, (0.2, None, 0.4)))
        for rate, value in zip((3, 1, 2), scores, strict=True)
    ]
    choice = {"values": points[1]["values"], "points": points, "on_edge": {"lr": True, "loss.margin": False}}
    expected = {
        "base/line:margin 0.1": [(0, 0.6), (1, 0.5), (2, 0.3)],
        "base/seeds:margin 0.1": [(0, 0.6), (1, 0.5), (2, 0.3)],
        "base/line:margin none": [(1, 0.4), (2, 0.2)],
        "base/seeds:margin none": [(1, 0.4), (2, 0.2)],
        "base/missing:margin none": [(0, 0.06)],
        "base/chosen:validation mAP": [(0, 0.6)],
    }
    return experiment.tuning({"base": choice}, HEADING), expected


def identities(count: int, alike: bool = False) -> tuple:
    """Up to nine arms: a panel each."""
    table = planted.comparisons(count)
    if alike:
        table = table.with_columns(train_images=pl.lit(0))
    rows = table.filter(pl.col("arm") != "base").to_dicts()
    order = sorted({row["identity"] for row in rows})
    expected = {}
    for arm in planted.names(count)[1:]:
        own = [row for row in rows if row["arm"] == arm]
        points = [(order.index(row["identity"]) + 1 if alike else row["train_images"], row["delta"]) for row in own]
        expected[gid("point", "delta", arm)] = points
        halves = {"all": points} if alike else {"rare": points[:6], "common": points[6:]}
        for key, half in halves.items():
            x, level = [p[0] for p in half], mean([p[1] for p in half])
            expected[gid("mean", key, arm)] = [(min(x) - 0.4, level), (max(x) + 0.4, level)]
            expected[gid("mean-text", key, arm)] = signed(level)
    return experiment.identities(table, HEADING), expected


def identity_matrix(count: int) -> tuple:
    table = planted.comparisons(count).filter((pl.col("identity") != "animal 3") | (pl.col("arm") != "arm_09"))
    flank = table.with_columns(pl.lit("left").alias("flank"), pl.lit(0.9).alias("delta"))
    delta = {(row["arm"], row["identity"]): row["delta"] for row in table.to_dicts()}
    columns = [f"animal {i}" for i in range(12)]
    expected = {gid("bar", c): [(i - 0.4, 0), (i + 0.4, 3 * i + 1)] for i, c in enumerate(columns)}
    cells = []
    for y, arm in enumerate(planted.names(count)[1:]):
        own = [(x, y, delta[arm, c]) for x, c in enumerate(columns) if (arm, c) in delta]
        expected[gid("mean-text", arm)] = signed(mean([value for *_, value in own]))
        cells += own
    expected["cells:all"] = cells
    return experiment.identities(pl.concat([table, flank]), HEADING), expected


def pareto(count: int) -> tuple:
    table = planted.results(count).with_columns(
        throughput=pl.Series([[40.0, 10.0, 30.0, 20.0][i % 4] + i / 10 for i in range(count)])
    )
    expected = {}
    for cost, sign in (("parameters", 1), ("flops", 1), ("throughput", -1)):
        points = {row["arm"]: (row[cost], row["id_map"]) for row in table.to_dicts() if row[cost] is not None}
        if len(points) < 2:
            continue  # nothing differs
        expected |= {gid("point", arm, cost): [point] for arm, point in points.items()}
        beaten = {
            p
            for p in points.values()
            for q in points.values()
            if sign * q[0] <= sign * p[0] and q[1] >= p[1] and p != q
        }
        expected[f"{cost}/front:all"] = sorted(set(points.values()) - beaten, key=lambda p: sign * p[0])
    return experiment.pareto(table, HEADING), expected


def ranking(count: int, most: int = 25) -> tuple:
    other = planted.board(3).with_columns(group=pl.lit("B"), leaking=pl.lit(True), chance=pl.lit(0.2))
    other = other.with_columns(comparable=pl.lit("within group B; not with A (another split)"))
    unscored = other.head(1).with_columns(group=pl.lit(None, pl.String), id_map=pl.lit(None, pl.Float64))
    tables = [planted.board(count), other, unscored]
    expected = {}
    for group, table in zip("AB", tables, strict=False):
        for y, row in enumerate(sorted(table.to_dicts(), key=lambda row: row["rank"])[:most]):
            own = {
                "id_map": [(row["id_map"], y)],
                "interval": [(row["id_map"] - 0.01, y), (row["id_map"] + 0.01, y)],
                "chance": [(row["chance"], y - 0.5), (row["chance"], y + 0.5)],
                "id_map-text": f"{row['id_map']:.3f}",
            }
            expected |= {gid(part, f"losses · {row['arm']}", group): shown for part, shown in own.items()}
    return leaderboard(pl.concat(tables, how="diagonal"), HEADING, most), expected


COUNTS = (2, 12, 40)
CASES: dict[str, Callable[[], tuple]] = {
    f"{name}, {count}": lambda draw=draw, count=count: draw(count)
    for name, draw in {
        "arms": arms,
        "curves": curves,
        "profiles": profiles,
        "tuning": tuning,
        "pareto": pareto,
        "leaderboard": ranking,
    }.items()
    for count in COUNTS
} | {
    "arms with controls": lambda: arms(7, controlled=True),
    "curves without validation": lambda: curves(3, validation=False),
    "curves with a seed that diverged": lambda: curves(3, broken=1),
    "tuning of two hyperparameters": tuning_of_two,
    "identities, 2": lambda: identities(2),
    "identities, 9": lambda: identities(9),
    "identities with equally many images": lambda: identities(4, alike=True),
    "identities, 12": lambda: identity_matrix(12),
    "identities, 40": lambda: identity_matrix(40),
    "leaderboard of the best": lambda: ranking(9, most=4),
}
