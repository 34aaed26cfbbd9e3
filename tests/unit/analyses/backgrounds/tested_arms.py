"""Arms tested on other versions of the images, with planted scores."""

from collections.abc import Mapping

import numpy as np
import polars as pl

VERSIONS = ("original", "gray", "background_only", "unrelated_background", "silhouette")
PROBES = {
    "background": "background_only",
    "control": "unrelated_background",
    "foreground": "gray",
    "silhouette": "silhouette",
}
TESTED = {
    "tested_on": {label: {"background": label} for label in VERSIONS},
    "probes": PROBES,
}
"""The keys of the experiment's file that declare the tests."""
IDENTITIES = [f"cat {n:02d}" for n in range(20)]
CHANCE = 0.1


def a_test(
    means: Mapping[str, float],
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    number: int = 0,
    query: Mapping[str, float] | None = None,
    noise: float = 0.01,
) -> pl.DataFrame:
    """Return a TESTED_ON table: version -> mean AP, plus what an identity gains anywhere and a noise of the arm's own.

    query: version -> mean AP with the query alone in it (0.02 above the other unless given).
    """
    generator = np.random.default_rng(number)
    chance = CHANCE + np.linspace(-0.02, 0.02, len(IDENTITIES))
    rows = []
    for label, base in means.items():
        modes = [("both", base)]
        if label != "original":
            modes.append(("query", (query or {}).get(label, base + 0.02)))
        for mode, value in modes:
            for position, seed in enumerate(seeds):
                own = noise * generator.standard_normal(len(IDENTITIES)) + 0.002 * (position - 1)
                shape = np.linspace(-0.1, 0.1, len(IDENTITIES)) * (value - CHANCE)
                for i, identity in enumerate(IDENTITIES):
                    ap = float(value + shape[i] + own[i] + chance[i] - CHANCE)
                    rows.append((seed, label, mode, identity, ap, float(chance[i])))
    columns = ["seed", "tested_on", "mode", "identity", "ap", "ap_chance"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def means(original: float, gray: float, background: float, control: float = CHANCE, outline: float = 0.2) -> dict:
    return dict(zip(VERSIONS, (original, gray, background, control, outline), strict=True))
