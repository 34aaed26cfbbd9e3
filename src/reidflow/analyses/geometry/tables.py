"""The tables of an experiment on geometries: stability, what ranking by the cosine would lose, radii, Gromov deltas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.dedup.images import sharpness
from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.embedding_space import distances, picture, radii, rank_correlation, relative_delta
from reidflow.evaluation.layout import Layout
from reidflow.spec.experiment import Experiment
from reidflow.spec.seeds import seed_for
from reidflow.store.runs import RunStore
from reidflow.store.tables import Contract

SHOWN = 12
ROUNDING = 1e-3
"""A spread of the radii below this share of their mean says nothing about the images."""
_RUN = dict.fromkeys(
    ("id_map", "id_map_cosine", "clipped", "curvature", "gradient_norm_max", "radius", "radius_spread", "delta"),
    pl.Float64,
)
RUNS = Contract(
    "runs of an experiment on geometries",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "diverged": pl.Boolean,
        # id_map: by the geometry's own distance; id_map_cosine: the same embeddings ranked by the cosine.
        # clipped: share of the training embeddings at the limit of their radius, last epoch. curvature: of the kept weights.
        # radius: mean distance of the test images from the origin, for curvature -1; radius_spread: its standard deviation.
        # delta: relative Gromov delta of the test images.
        **_RUN,
    },
    nullable=frozenset(_RUN),
)
_CORRELATIONS = [f"{of}{end}" for of in ("sharpness", "rarity") for end in ("", "_low", "_high")]
ARMS = Contract(
    "geometries",
    {
        "arm": pl.String,
        "baseline": pl.Boolean,
        "geometry": pl.String,
        "curvature": pl.Float64,  # that training starts from
        "learned": pl.Boolean,
        "clip": pl.Float64,
        "runs": pl.Int64,
        "divergence": pl.Float64,  # share of the runs
        **dict.fromkeys(("id_map", "id_map_cosine"), pl.Float64),
        "cosine_beats": pl.Int64,  # runs whose embeddings the cosine ranks better than their own distance
        **dict.fromkeys(("clipped", "gradient_norm_max", "curvature_low", "curvature_high"), pl.Float64),
        **dict.fromkeys(("radius", "radius_spread", "delta"), pl.Float64),
        **dict.fromkeys(_CORRELATIONS, pl.Float64),  # Spearman of the radius, mean over seeds; 95 % interval
    },
    nullable=frozenset(
        {
            "curvature",
            "learned",
            "clip",
            "divergence",
            *_RUN,
            *_CORRELATIONS,
            "curvature_low",
            "curvature_high",
            "cosine_beats",
        }
    ),
)
RADII = Contract(
    "distances of the test images from the origin",
    {
        "arm": pl.String,
        "image": pl.String,
        "identity": pl.String,
        "radius": pl.Float64,  # mean over the seeds whose embeddings are finite
        "sharpness": pl.Float64,
        "train_images": pl.Int64,  # of the identity
    },
    nullable=frozenset({"radius"}),
)


@dataclass(frozen=True)
class Embedded:
    """The test images of a run in their space; `vectors` (N, D) stand in the order of `Layout.evaluated`."""

    arm: str
    seed: int
    geometry: str
    vectors: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether every embedding is finite."""
        return bool(np.isfinite(self.vectors).all())


def embedded(experiment: Experiment, metrics: pl.DataFrame, layout: Layout, store: RunStore) -> list[Embedded]:
    """Return the test images as the runs of an experiment's metrics left them, in their order."""
    return [
        Embedded(
            row["arm"],
            row["seed"],
            experiment.arms[row["arm"]].spec.model.geometry["name"],
            layout.vectors(store.folder(row["run"]), "final")[layout.evaluated],
        )
        for row in metrics.select("arm", "seed", "run").to_dicts()
    ]


def runs_table(embedded: list[Embedded], layout: Layout, metrics: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    """Return RUNS, in the order of `embedded`. metrics, history: of the experiment, with the columns arm and seed."""
    measured = {(row["arm"], row["seed"]): row for row in metrics.to_dicts()}
    asking = np.searchsorted(layout.evaluated, layout.query)
    ranked = np.searchsorted(layout.evaluated, layout.gallery)
    rows = []
    for run in embedded:
        own = measured[run.arm, run.seed]
        epochs = history.filter((pl.col("arm") == run.arm) & (pl.col("seed") == run.seed))
        kept = epochs.filter(pl.col("epoch") == own["best_epoch"])
        ap = average_precisions(run.vectors[asking], run.vectors[ranked], **layout.rules())
        row = {
            "arm": run.arm,
            "seed": run.seed,
            "diverged": own["diverged"],
            "id_map": own["id_map"],
            "id_map_cosine": identity_balanced(ap, layout.identity[layout.query]),
            "clipped": _last(epochs["clipped"]),
            "curvature": _last(kept["curvature"]),
            "gradient_norm_max": own["gradient_norm_max"],
        }
        rows.append(row | (_shape(run) if run.finite else {}))
    return pl.DataFrame(rows, schema=RUNS.columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _last(values: pl.Series) -> float | None:
    known = values.drop_nulls()
    return known[-1] if len(known) else None


def _shape(run: Embedded) -> dict[str, float]:
    lengths = radii(run.geometry, run.vectors)
    return {
        "radius": lengths.mean(),
        "radius_spread": lengths.std(),
        "delta": relative_delta(distances(run.geometry, run.vectors)),
    }


def radii_table(embedded: list[Embedded], layout: Layout, sharpness: np.ndarray) -> pl.DataFrame:
    """Return RADII, arms in the order of `embedded`. sharpness: (N,) of the images `layout.evaluated`."""
    shown = layout.table[layout.evaluated].select("image", "identity")
    counts = dict(layout.table.filter(pl.col("role") == "train")["identity"].value_counts().iter_rows())
    described = shown.with_columns(
        sharpness=pl.Series(sharpness, dtype=pl.Float64),
        train_images=pl.Series([counts.get(name, 0) for name in shown["identity"]], dtype=pl.Int64),
    )
    parts = []
    for arm in dict.fromkeys(run.arm for run in embedded):
        found = [radii(run.geometry, run.vectors) for run in embedded if run.arm == arm and run.finite]
        mean = np.mean(found, axis=0) if found else np.full(len(shown), np.nan)
        radius = pl.Series(mean, dtype=pl.Float64).fill_nan(None)
        parts.append(described.with_columns(arm=pl.lit(arm), radius=radius).select(list(RADII.columns)))
    return pl.concat(parts)


def arms_table(experiment: Experiment, runs: pl.DataFrame, lengths: pl.DataFrame) -> pl.DataFrame:
    """Return ARMS, in the order of the experiment, from RUNS and RADII."""
    rows = []
    for name, arm in experiment.arms.items():
        own = runs.filter(pl.col("arm") == name)
        both = own.filter(pl.col("id_map").is_not_null() & pl.col("id_map_cosine").is_not_null())
        geometry = arm.spec.model.geometry
        rows.append(
            {
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "geometry": geometry["name"],
                **{key: geometry.get(key) for key in ("curvature", "learned", "clip")},
                "runs": own.height,
                "divergence": own["diverged"].mean(),
                "cosine_beats": both.filter(pl.col("id_map_cosine") > pl.col("id_map")).height,
                **{
                    key: own[key].mean()
                    for key in ("id_map", "id_map_cosine", "clipped", "radius", "radius_spread", "delta")
                },
                "gradient_norm_max": own["gradient_norm_max"].max(),
                "curvature_low": own["curvature"].min(),
                "curvature_high": own["curvature"].max(),
                **_correlations(lengths.filter(pl.col("arm") == name)),
            }
        )
    return pl.DataFrame(rows, schema=ARMS.columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _correlations(lengths: pl.DataFrame) -> dict[str, Any]:
    """Return how the radius goes with the sharpness of an image, and with the training images of an identity.

    Nothing where all lie equally far out: the rest is rounding.
    """
    known = lengths.filter(pl.col("radius").is_not_null())
    if known.is_empty() or known["radius"].std(ddof=0) <= ROUNDING * known["radius"].mean():
        return {}
    by_identity = known.group_by("identity", maintain_order=True).agg(
        pl.col("radius").mean(), pl.col("train_images").first()
    )
    of = {"sharpness": (known, "sharpness"), "rarity": (by_identity, "train_images")}
    found: dict[str, Any] = {}
    for name, (table, column) in of.items():
        codes = np.unique(table["identity"].to_numpy(), return_inverse=True)[1]
        values = [table[key].cast(pl.Float64).to_numpy() for key in ("radius", column)]
        found |= zip(
            (name, f"{name}_low", f"{name}_high"), rank_correlation(*values, codes, seed_for(0, name)), strict=True
        )
    return found


def _rows(layout: Layout, manifest: pl.DataFrame) -> np.ndarray:
    """Return where the images `layout.evaluated` stand in the manifest."""
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    return np.array([row_of[image] for image in layout.table["image"].gather(layout.evaluated)])


def sharpness_of(layout: Layout, manifest: pl.DataFrame, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the sharpness of the images `layout.evaluated`: of the animal where all have masks, else of all they show."""
    rows = _rows(layout, manifest)
    masked = bool((manifest["mask"].gather(rows) != "none").all())
    return sharpness(images, rows, masks if masked else None)


def features_of(layout: Layout, manifest: pl.DataFrame, files: list[str]) -> Mapping[str, float] | None:
    """Return `feature_deltas` of the frozen features (images, 1 + views, D) in a file; None where there is none."""
    if not files:
        return None
    return feature_deltas(np.load(files[0], mmap_mode="r")[_rows(layout, manifest), 0])


def pictures(embedded: list[Embedded], layout: Layout) -> dict[str, tuple[str, np.ndarray, list[str], float]]:
    """Return for each arm, of its first run with finite embeddings, what `figures.geometry.Picture` holds.

    Of the identities with most test images, `SHOWN` are drawn.
    """
    names = layout.table["identity"].gather(layout.evaluated)
    counts = names.value_counts().sort("count", "identity", descending=[True, False])
    ranked = counts["identity"].head(SHOWN).to_list()
    rows = np.flatnonzero(names.is_in(ranked).to_numpy())
    found = {}
    for run in embedded:
        if run.arm not in found and run.finite:
            points, near = picture(run.geometry, distances(run.geometry, run.vectors[rows]))
            found[run.arm] = (run.geometry, points, names.gather(rows).to_list(), near)
    return found


def feature_deltas(features: np.ndarray) -> Mapping[str, float]:
    """Return the relative Gromov delta of frozen features (N, D) by Euclidean distance, and of shuffled ones.

    Shuffled: each column in an order of its own, which leaves every column's values and destroys what images have in
    common. Distances that are all alike have a small delta too, tree or no tree; this tells how small.
    """
    random = np.random.Generator(np.random.PCG64(seed_for(0, "shuffled features")))
    shuffled = random.permuted(np.asarray(features, dtype=np.float64), axis=0)
    return {
        "features": relative_delta(distances("euclidean", features)),
        "shuffled": relative_delta(distances("euclidean", shuffled)),
    }
