"""What the figures of a face competition's program must show of planted tables."""

from collections.abc import Callable

import figure_tables as planted
import polars as pl

from reidflow.analyses.faces import figures
from reidflow.analyses.faces.arms import DESCRIBED, TRAINED
from reidflow.analyses.faces.tables import ABLATION, CONFIGURATIONS, CONFIGURATIONS_EFFICIENCY
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <one> for $5?", "demo")
RATES, EPOCHS = (0.001, 0.1), (3, 5)


def score(k: int, rate: float = 0.001, epochs: int = 3) -> float:
    return 500.0 + 20 * k - 100 * rate - 7 * epochs


def configurations(architectures: list[str]) -> pl.DataFrame:
    """Return CONFIGURATIONS: both sides, two rates and epochs of each architecture, a third number of epochs of the first."""
    rows = []
    for k, name in enumerate(architectures):
        trials = [(rate, epochs) for rate in RATES for epochs in EPOCHS] + ([(0.001, 8)] if k == 0 else [])
        for rate, epochs in trials:
            common = dict.fromkeys(CONFIGURATIONS.columns) | {
                "architecture": name,
                "configuration": f"{name} {rate} {epochs}",
            }
            common |= {"learning_rate": rate, "epochs": epochs, "batch": 32, "normalised": True, "augmented": True}
            common |= {"baseline": (k, rate, epochs) == (0, 0.001, 3)}
            if epochs == 3:
                common |= {"published_score": 400.0 + 3 * k + 10 * rate, "published_seconds": 60.0 + k}
            still = 300.0 + k
            rows.append(
                common | {"side": DESCRIBED, "arm": f"{name} frozen", "score": still, "score_by_seed": [still] * 2}
            )
            own = score(k, rate, epochs)
            trained = {
                "side": TRAINED,
                "arm": common["configuration"],
                "score": own,
                "score_by_seed": [own - 4, own + 6],
            }
            trained |= {"score_low": own - 9, "score_high": own + 21}
            if (rate, epochs) == (0.1, 5):
                trained |= dict.fromkeys(("score_low", "score_high"))
            rows.append(common | trained)
    return pl.DataFrame(rows, schema=CONFIGURATIONS.columns)


def course(key: str, points: list[tuple[float, float]], panel: str = "", open_end: bool = False) -> dict:
    """Return the marks of one line; open_end: the last point has no interval."""
    known = points[:-1] if open_end else points
    own = {"line": points, "seeds": [(x, y + d) for x, y in points for d in (-4, 6)]}
    own["interval"] = [(x, y + d) for x, y in known for d in (-9, 21)]
    return {gid(part, key, panel): shown for part, shown in own.items()}


def by_rate(count: int) -> tuple:
    names = planted.names(count)
    expected = {}
    for k, name in enumerate(names):
        expected[gid("reference", DESCRIBED, name)] = [(0, 300.0 + k), (1, 300.0 + k)]
        for epochs, shift in zip(EPOCHS, (1.06**-0.5, 1.06**0.5), strict=True):
            points = [(rate * shift, score(k, rate, epochs)) for rate in RATES]
            expected |= course(f"{epochs} epochs", points, name, open_end=epochs == 5)
        theirs = [(rate * 1.06**-0.5, 400.0 + 3 * k + 10 * rate) for rate in RATES]
        expected[gid("published", "3 epochs", name)] = theirs
    return figures.score_by_rate(configurations(names), HEADING), expected


def by_epochs() -> tuple:
    name = planted.LONG
    expected = course(name, [(n, score(0, 0.001, n)) for n in (3, 5, 8)])
    expected[gid("reference", DESCRIBED)] = [(0, 300.0), (1, 300.0)]
    expected[gid("published", name)] = [(3, 400.0 + 0.01)]
    return figures.score_by_epochs(configurations([name, "other"]), HEADING), expected


def ablation() -> tuple:
    rows, expected, y = [], {}, 0
    for i, (factor, value, words) in enumerate(
        [("batch", "8", "batch size 8"), ("normalised", "no normalisation", "no normalisation"), ("epochs", "5", "")]
    ):
        for side in (DESCRIBED, TRAINED):
            row = dict.fromkeys(ABLATION.columns) | {"factor": factor, "value": value, "side": side}
            difference = (-30.0 if side == TRAINED else 12.0) + 2 * i
            row |= {"difference": difference, "difference_by_seed": [difference - 1, difference + 2]}
            row |= {
                "difference_low": difference - 5,
                "difference_high": difference + 9,
                "published_difference": -7.0 - i,
            }
            rows.append(row)
        for side in (TRAINED, DESCRIBED) if words else ():
            difference, key = (-30.0 if side == TRAINED else 12.0) + 2 * i, f"{words}, {side}"
            own = {"difference": [(difference, y)], "interval": [(difference - 5, y), (difference + 9, y)]}
            own["seeds"] = [(difference - 1, y + 0.3), (difference + 2, y + 0.3)]
            own["difference-text"] = f"{difference:+.1f}".replace("-", "\u2212")
            own |= {"published": [(-7.0 - i, y - 0.25)]} if side == TRAINED else {}
            expected |= {gid(part, key): shown for part, shown in own.items()}
            y += 1
    return figures.score_ablation(pl.DataFrame(rows, schema=ABLATION.columns), HEADING), expected


def efficiency(architectures: list[str]) -> pl.DataFrame:
    rows = []
    for i, row in enumerate(configurations(architectures).to_dicts()):
        own = {name: row.get(name) for name in CONFIGURATIONS_EFFICIENCY.columns} | {"seconds": 1.5 * (i + 1)}
        own |= {"controlled": (row["learning_rate"], row["epochs"]) == (0.001, 3), "score_per_minute": 40.0 + 900 * i}
        rows.append(own | {"published_score_per_minute": 35.0 + i})
    return pl.DataFrame(rows, schema=CONFIGURATIONS_EFFICIENCY.columns)


def per_minute(count: int) -> tuple:
    names = planted.names(count)
    table = efficiency(names)
    rows, expected = table.filter("controlled").to_dicts(), {}
    fastest = {row["architecture"]: row["score_per_minute"] for row in rows}
    for place, name in enumerate(sorted(names, key=lambda name: -fastest[name])):
        for part, side in enumerate((TRAINED, DESCRIBED)):
            (row,) = [row for row in rows if row["architecture"] == name and row["side"] == side]
            y, value = 2 * place + part, row["score_per_minute"]
            own = {"score": [(value, y)], "score-text": f"{value:,.0f}"}
            own |= {"published": [(row["published_score_per_minute"], y - 0.25)]} if side == TRAINED else {}
            expected |= {gid(key, f"{name}, {side}"): shown for key, shown in own.items()}
    return figures.score_per_minute(table, HEADING), expected


def by_time(count: int) -> tuple:
    names = planted.names(count)
    table, seconds, expected = configurations(names), efficiency(names)["seconds"].to_list(), {}
    # Configurations that share an arm are drawn once: the last of them.
    last = {(row["side"], row["arm"]): (row, at) for row, at in zip(table.to_dicts(), seconds, strict=True)}
    for (side, arm), (row, at) in last.items():
        expected[gid("point", f"{arm}, {side}")] = [(at, row["score"])]
        if row["score_low"] is not None:
            expected[gid("interval", f"{arm}, {side}")] = [(at, row["score_low"]), (at, row["score_high"])]
    for row in table.to_dicts():
        if row["published_score"] is not None:
            shown = [(row["published_seconds"], row["published_score"])]
            expected[gid("published", row["configuration"])] = shown
    return figures.score_by_time(table, efficiency(names), HEADING), expected


def empty(name: str, *contracts) -> tuple:
    return getattr(figures, name)(*(contract.empty() for contract in contracts), HEADING), {}


CASES: dict[str, Callable[[], tuple]] = {
    **{f"score by rate, {n} architectures": lambda n=n: by_rate(n) for n in (1, 3, 8)},
    "score by epochs": by_epochs,
    "ablation": ablation,
    **{f"score per minute, {n} architectures": lambda n=n: per_minute(n) for n in (1, 8)},
    **{f"score by time, {n} architectures": lambda n=n: by_time(n) for n in (2, 8)},
    "no ablation": lambda: empty("score_ablation", ABLATION),
    "no score per minute": lambda: empty("score_per_minute", CONFIGURATIONS_EFFICIENCY),
    "no score by time": lambda: empty("score_by_time", CONFIGURATIONS, CONFIGURATIONS_EFFICIENCY),
}
