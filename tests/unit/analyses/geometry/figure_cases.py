"""What the figures of geometries must show of planted tables."""

from collections.abc import Callable

import numpy as np
import polars as pl
from figure_tables import names

from reidflow.analyses.geometry import figures
from reidflow.analyses.geometry.tables import ARMS, RADII, RUNS, Projection
from reidflow.figures.parts import gid
from reidflow.figures.style import Heading

HEADING = Heading("Which <space> is worth $5?", "demo (demo scale)")
SPACES = ("hypersphere", "euclidean", "poincare", "lorentz")


def table(rows: list[dict], contract) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in contract.columns} for row in rows], schema=contract.columns)


def geodesic(count: int) -> tuple:
    arms, runs, expected = [], [], {}
    for i, arm in enumerate(names(count)):
        own, cosine = 0.5 + i / 90, None if i == 1 else 0.4 - i / 70
        arms.append({"arm": arm, "geometry": "poincare", "id_map": own, "id_map_cosine": cosine, "runs": 3})
        runs += [
            {"arm": arm, "seed": seed, "id_map": own + 0.02 * seed, "id_map_cosine": cosine and cosine - 0.03 * seed}
            for seed in range(3)
        ]
        for k, (kind, value, step) in enumerate((("distance", own, 0.02), ("cosine", cosine, -0.03))):
            key, y = f"{arm} {kind}", 2 * i + k
            expected[gid("id_map-text", key)] = "no score" if value is None else f"{value:.3f}"
            if value is not None:
                expected[gid("id_map", key)] = [(value, y)]
                expected[gid("seeds", key)] = [(value + step * seed, y + 0.3) for seed in range(3)]
    return figures.geodesic(table(arms, ARMS), table(runs, RUNS), HEADING), expected


def radii(count: int) -> tuple:
    arms, rows, expected = [], [], {}
    for i, arm in enumerate(names(count)):
        arms.append({"arm": arm, "sharpness": None if i == 1 else 0.1 + i / 100, "rarity": -0.2 - i / 100, "runs": 3})
        images = [
            {"arm": arm, "image": f"{n}", "identity": f"id {n % 4}", "radius": 1.0 + n + i, "sharpness": 10.0**n}
            | {"train_images": 3 + n % 4}
            for n in range(6)
        ]
        rows += [*images, images[0] | {"image": "broken", "radius": None}]
        expected[gid("images", "all", arm)] = [(1.0 + n + i, 10.0**n) for n in range(6)]
        by_identity = [(3.0 + i, 3), (4.0 + i, 4), (3.0 + i, 5), (4.0 + i, 6)]
        expected[gid("identities", "all", arm)] = by_identity
        if i != 1:
            expected[gid("rho", "images", arm)] = f"rho {0.1 + i / 100:.2f}"
        expected[gid("rho", "identities", arm)] = f"rho {-0.2 - i / 100:.2f}"
    return figures.radii(table(arms, ARMS), table(rows, RADII), HEADING), expected


def projections(count: int) -> tuple:
    identities = [f"<b>{i}</b> $x_{i}$" for i in range(12)] * 2
    found, expected = {}, {}
    for i, arm in enumerate(names(count)):
        points = np.random.default_rng(i).uniform(-0.7, 0.7, (24, 2))
        found[arm] = Projection(SPACES[i % 4], points, identities, 0.5 + i / 100)
        for n in range(12):
            expected[gid("identity", identities[n], arm)] = [tuple(points[n]), tuple(points[n + 12])]
        expected[gid("rho", "all", arm)] = f"rho {0.5 + i / 100:.2f}"
    return figures.projections(found, HEADING), expected


BROKEN = table([{"arm": "a", "image": "i", "identity": "x", "sharpness": 1.0, "train_images": 1}], RADII)
CASES: dict[str, Callable[[], tuple]] = {
    **{f"geodesic, {n}": lambda n=n: geodesic(n) for n in (2, 9, 20)},
    **{f"radii, {n}": lambda n=n: radii(n) for n in (2, 9)},
    **{f"projections, {n}": lambda n=n: projections(n) for n in (3, 9)},
    "geodesic, none": lambda: (figures.geodesic(table([{"arm": "a"}], ARMS), RUNS.empty(), HEADING), {}),
    "radii, none": lambda: (figures.radii(table([{"arm": "a"}], ARMS), BROKEN, HEADING), {}),
    "projections, none": lambda: (figures.projections({}, HEADING), {}),
}
