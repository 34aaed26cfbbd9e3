"""What an experiment on geometries found, in computed sentences."""

from collections.abc import Callable, Mapping

import polars as pl

from reidflow.spec.run import HYPERSPHERE
from reidflow.tables.layout import block_of, count, magnitude, share, yes
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, signed

GEODESIC, RADII, PROJECTIONS = "geodesic", "radii", "projections"
SPHERE = HYPERSPHERE["name"]
CROWDED = 0.9
"""From this share of embeddings at the limit of their radius on, the space is a sphere in all but name."""
SAME = 0.0005
"""A smaller difference in mAP is not seen with three decimals."""


def sections(arms: pl.DataFrame, features: Mapping[str, float] | None) -> list[Section]:
    """Return the sections of the findings, from ARMS of `tables.geometry` and the deltas of the frozen features."""
    rows = [row for row in arms.to_dicts() if row["runs"]]
    return [
        Section(
            "Stability of the spaces",
            [*_divergence(rows), *_gradients(rows), *_crowding(rows), *_curvatures(rows)],
            [block_of("Spaces and their stability", _STABILITY, rows)],
        ),
        Section(
            "Ranked by their distance, and by the cosine",
            _cosine(rows),
            [block_of("The same embeddings, ranked in two ways", _RANKING, rows)],
            {GEODESIC: "Test mAP by the distance of the space, and by the cosine"},
        ),
        Section(
            "What the distance from the origin tells",
            [*_told(rows, "sharpness"), *_told(rows, "rarity"), _LENGTHS],
            [block_of("Distance of test images from the origin", _ORIGIN, rows)],
            {RADII: "Distance from the origin, sharpness and training images"},
        ),
        Section(
            "How tree-like",
            _trees(rows, features),
            [],
            {PROJECTIONS: "A dozen identities in each space, projected within it"},
        ),
    ]


_LENGTHS = (
    "Spearman's correlations of the mean over seeds, intervals from a bootstrap over identities, for each arm on its own. On "
    "the hypersphere the length is that of the head's output, which neither loss nor ranking looks at."
)


def _names(rows: list[dict]) -> str:
    return listed([f"**{markdown(row['arm'])}**" for row in rows])


def _divergence(rows: list[dict]) -> list[str]:
    gone = [row for row in rows if row["divergence"]]
    if not gone:
        return ["No run diverged."]
    told = [f"**{markdown(row['arm'])}** ({share(row['divergence'])} of its runs)" for row in gone]
    return [f"Diverged, at the learning rate chosen for them: {listed(told)}."]


def _gradients(rows: list[dict]) -> list[str]:
    known = [row for row in rows if row["gradient_norm_max"] is not None]
    if len(known) < 2:
        return []
    low, high = (pick(known, key=lambda row: row["gradient_norm_max"]) for pick in (min, max))
    return [
        f"The largest gradient norm lies between {magnitude(low['gradient_norm_max'])} (**{markdown(low['arm'])}**) and "
        f"{magnitude(high['gradient_norm_max'])} (**{markdown(high['arm'])}**)."
    ]


def _crowding(rows: list[dict]) -> list[str]:
    limited = [row for row in rows if row["clipped"] is not None]
    crowded = [row for row in limited if row["clipped"] >= CROWDED]
    free = [row for row in limited if row["clipped"] < CROWDED]
    lines = []
    if crowded:
        lines.append(
            f"At the end of training at least {CROWDED:.0%} of the embeddings lie at the limit of their radius with "
            f"{_names(crowded)}: all are equally far out, and there hyperbolic distance and cosine give one order."
        )
    if free:
        told = [f"**{markdown(row['arm'])}** {share(row['clipped'])}" for row in free]
        lines.append(f"At the limit of their radius at the end: {listed(told)} of the training embeddings.")
    return lines


def _curvatures(rows: list[dict]) -> list[str]:
    return [
        f"The curvature of **{markdown(row['arm'])}** went from {number(row['curvature'])} to between "
        f"{number(row['curvature_low'])} and {number(row['curvature_high'])}."
        for row in rows
        if row["learned"] and row["curvature_low"] is not None
    ]


def _cosine(rows: list[dict]) -> list[str]:
    finite = [row for row in rows if row["radius"] is not None]
    others = [row for row in finite if row["geometry"] != SPHERE and row["id_map"] is not None]
    apart = [row for row in others if abs(row["id_map_cosine"] - row["id_map"]) >= SAME]
    lines = [
        f"**{markdown(row['arm'])}** scores {number(row['id_map'])} by its own distance; the cosine of the same embeddings would "
        f"give {number(row['id_map_cosine'])}, better in {row['cosine_beats']} of {row['runs']} runs."
        for row in sorted(apart, key=lambda row: row["id_map"] - row["id_map_cosine"])
    ]
    same = [row for row in others if row not in apart]
    if same:
        lines.append(f"The cosine would change the mean mAP of {_names(same)} by less than {SAME:g}.")
    if others:
        lines.append("All tables rank by the distance of the space.")
    return lines


def _told(rows: list[dict], of: str) -> list[str]:
    lines = []
    for sign, where in ((1, "farther out"), (-1, "nearer to the origin")):
        own = [row for row in rows if _beyond_zero(row, of) == sign]
        if own:
            told = [
                f"**{markdown(row['arm'])}** ({signed(row[of], 2)} {interval(row[f'{of}_low'], row[f'{of}_high'], 2)})"
                for row in own
            ]
            lines.append(f"{_SUBJECTS[of]} lie {where} in {listed(told)}.")
    if not lines and any(row[of] is not None for row in rows):
        lines.append(f"In no arm does the distance from the origin show a relation to {_WORDS[of]}.")
    return lines


_SUBJECTS = {"sharpness": "Sharper test images", "rarity": "Test images of identities with more training images"}
_WORDS = {"sharpness": "the sharpness of an image", "rarity": "the number of training images of an identity"}


def _beyond_zero(row: dict, of: str) -> int:
    low, high = row[f"{of}_low"], row[f"{of}_high"]
    return 0 if low is None or high is None else int(low > 0) - int(high < 0)


def _trees(rows: list[dict], features: Mapping[str, float] | None) -> list[str]:
    lines = ["Gromov's delta relative to half the diameter: 0 for the distances along a tree, 1 at most."]
    if features:
        lines.append(
            f"Of the frozen features of the test images it is {number(features['features'], 2)}; with every column of the "
            f"features shuffled, which leaves no structure, {number(features['shuffled'], 2)}."
        )
    known = [row for row in rows if row["delta"] is not None]
    if known:
        told = [f"**{markdown(row['arm'])}** {number(row['delta'], 2)}" for row in known]
        lines.append(f"Of the trained embeddings, each by the distance of its space: {listed(told)}.")
    return lines


_STABILITY: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "space": lambda row: row["geometry"],
    "clip": lambda row: NOTHING if row["clip"] is None else f"{row['clip']:g}",
    "divergence": lambda row: share(row["divergence"]),
    "at the limit": lambda row: share(row["clipped"]),
    "gradient_norm_max": lambda row: magnitude(row["gradient_norm_max"]),
    "curvature at first": lambda row: number(row["curvature"]),
    "learned": lambda row: yes(row["learned"]),
    "lowest": lambda row: number(row["curvature_low"]),
    "highest": lambda row: number(row["curvature_high"]),
}
_RANKING: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "by its distance": lambda row: number(row["id_map"]),
    "by the cosine": lambda row: number(row["id_map_cosine"]),
    "runs": lambda row: count(row["runs"]),
    "cosine better": lambda row: count(row["cosine_beats"]),
}
_ORIGIN: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "mean": lambda row: number(row["radius"]),
    "spread": lambda row: number(row["radius_spread"]),
    "with sharpness": lambda row: signed(row["sharpness"], 2),
    "its interval": lambda row: interval(row["sharpness_low"], row["sharpness_high"], 2),
    "with training images": lambda row: signed(row["rarity"], 2),
    "interval": lambda row: interval(row["rarity_low"], row["rarity_high"], 2),
    "Gromov delta": lambda row: number(row["delta"], 2),
}
