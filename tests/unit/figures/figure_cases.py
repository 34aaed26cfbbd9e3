"""What the figures of every experiment must show of planted tables."""

from collections.abc import Callable

import figure_tables as planted
import polars as pl

from reidflow.figures import experiment
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <loss> costs $5 & gives $x_1$?", "demo (demo scale), 3 seeds")


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\u2212")


def arms(count: int, controlled: bool = False) -> tuple:
    rows = planted.results(count).to_dicts()
    if controlled:
        own = {"against": "base", "against_delta": -0.0321, "against_low": -0.05, "against_high": 0.01}
        own |= {"against_verdict": "worse", "against_smallest_detectable": 0.02}
        rows = [row | (own if i in (1, 2) else dict.fromkeys(own)) for i, row in enumerate(rows)]
        rows[-1] |= dict.fromkeys(["id_map", "id_map_by_seed", "chance", "delta", "delta_low", "delta_high"])
        rows[-1] |= {"verdict": "unavailable"}
    figure = experiment.arms(pl.DataFrame(rows, infer_schema_length=None), HEADING)
    ranked = sorted(rows, key=lambda row: -1 if row["id_map"] is None else row["id_map"], reverse=True)
    expected = {"reference:baseline": [(0.5, 0), (0.5, 1)]}
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


CASES: dict[str, Callable[[], tuple]] = {
    **{f"arms, {count}": lambda count=count: arms(count) for count in (2, 12, 40)},
    "arms with controls": lambda: arms(7, controlled=True),
}
