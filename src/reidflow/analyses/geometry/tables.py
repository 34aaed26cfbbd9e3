"""Tables of an experiment on geometries: stability, ranking by the cosine, distances from the origin, Gromov deltas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.dedup.images import sharpness
from reidflow.evaluation.average_precision import identity_balanced
from reidflow.evaluation.embedding_space import distances, picture, radii, rank_correlation, relative_delta, spaced
from reidflow.evaluation.layout import Layout
from reidflow.spec.experiment import Experiment
from reidflow.spec.seeds import seed_for
from reidflow.store.runs import RunStore
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import column, columns

SHOWN = 12
"""Identities in the projections."""
DRAWN = 1500
"""Images in a projection, at most: it takes the distances of all pairs."""
ROUNDING = 1e-3
"""A spread of the radii below this share of their mean says nothing about the images."""
F = pl.Float64
_ID_MAP = column("id_map").but(heading="by its distance", meaning="Balanced mAP on test by the distance of the space.")
_SHARED = [
    Column("id_map_cosine", F, "by the cosine", "number", "Balanced mAP on test of the same embeddings by the cosine.",
           nullable=True),
    Column("clipped", F, "at the limit", "share",
           "Share of the training embeddings at the limit of their radius, in the last epoch.", nullable=True),
    Column("gradient_norm_max", F, "largest gradient norm", "magnitude", "Largest norm of the gradient at any step.",
           nullable=True),
    Column("radius", F, "mean distance", "number",
           "Mean distance of the test images from the origin, for curvature -1; on the hypersphere the length of the head's "
           "output.", nullable=True),
    Column("radius_spread", F, "spread", "number", "Standard deviation of that distance over the test images.",
           nullable=True),
    Column("gromov_delta", F, "Gromov delta", "number2",
           "Gromov's delta of the test images relative to half the diameter: 0 for distances along a tree, 1 at most.",
           nullable=True),
]  # fmt: skip
RUNS = Contract(
    "runs of an experiment on geometries",
    [
        *columns("arm", "seed"),
        Column("diverged", pl.Boolean, "diverged", "yes_no", "Whether the run diverged."),
        _ID_MAP,
        *_SHARED,
        Column("curvature", F, "curvature", "number", "Curvature of the weights that were kept.", nullable=True),
    ],
)


def _correlation(name: str, other: str) -> list[Column | Span]:
    meaning = f"Spearman's correlation of the distance from the origin, mean over seeds, with {other}"
    return [
        Column(name, F, f"rho with {other}", "signed2", f"{meaning}.", nullable=True),
        Column(f"{name}_low", F, "lower end", "signed2", "Lower end of its 95 % interval.", nullable=True),
        Column(f"{name}_high", F, "upper end", "signed2", "Upper end of its 95 % interval.", nullable=True),
        Span(f"{name}_interval", (f"{name}_low", f"{name}_high"), f"interval, {other}", "interval2",
             f"95 % interval of the correlation with {other}, from a bootstrap over identities."),
    ]  # fmt: skip


ARMS = Contract(
    "geometries",
    [
        *columns("arm", "baseline"),
        Column("geometry", pl.String, "space", "text", "Space of the embeddings."),
        Column("curvature", F, "curvature at first", "number", "Curvature that training starts from.", nullable=True),
        Column("learned", pl.Boolean, "learned", "yes_no", "Whether the curvature is learned.", nullable=True),
        Column("clip", F, "clip", "magnitude", "Clipping radius of the features.", nullable=True),
        Column("runs", pl.Int64, "runs", "count", "Number of runs."),
        *columns("divergence"),
        _ID_MAP,
        *_SHARED,
        Column("cosine_better", pl.Int64, "cosine better", "count",
               "Number of runs that score higher by the cosine than by their own distance.", nullable=True),
        Column("curvature_low", F, "lowest", "number", "Lowest curvature of the kept weights of any run.", nullable=True),
        Column("curvature_high", F, "highest", "number", "Highest curvature of the kept weights of any run.", nullable=True),
        *_correlation("sharpness", "sharpness"),
        *_correlation("rarity", "training images"),
    ],
)  # fmt: skip
RADII = Contract(
    "distances of the test images from the origin",
    [
        *columns("arm", "image", "identity"),
        Column("radius", F, "distance", "number",
               "Distance from the origin, mean over the seeds whose embeddings are finite.", nullable=True),
        Column("sharpness", F, "sharpness", "magnitude", "Sharpness of the image."),
        column("train_images").but(meaning="Number of training images of the identity.", nullable=False),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Embedded:
    """Test images of a run in their space. vectors: (N, D), in the order of `Layout.evaluated`."""

    arm: str
    seed: int
    geometry: str
    vectors: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether every embedding is finite."""
        return bool(np.isfinite(self.vectors).all())


def embedded(experiment: Experiment, metrics: pl.DataFrame, layout: Layout, store: RunStore) -> list[Embedded]:
    """Return the test images' embeddings of the runs of an experiment's metrics, in their order."""
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
    queries = np.searchsorted(layout.evaluated, layout.query)
    gallery = np.searchsorted(layout.evaluated, layout.gallery)
    rows = []
    for run in embedded:
        own = measured[run.arm, run.seed]
        epochs = history.filter((pl.col("arm") == run.arm) & (pl.col("seed") == run.seed))
        kept = epochs.filter(pl.col("epoch") == own["best_epoch"])
        ap = layout.average_precisions(run.vectors[queries], run.vectors[gallery])
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
        "gromov_delta": relative_delta(distances(run.geometry, run.vectors[spaced(len(run.vectors))])),
    }


def radii_table(embedded: list[Embedded], layout: Layout, sharpness: np.ndarray) -> pl.DataFrame:
    """Return RADII without distractors, arms in the order of `embedded`. sharpness: (N,) of the images `layout.evaluated`."""
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
    return pl.concat(parts).filter(pl.col("identity").is_not_null())


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
                "cosine_better": both.filter(pl.col("id_map_cosine") > pl.col("id_map")).height,
                **{
                    key: own[key].mean()
                    for key in ("id_map", "id_map_cosine", "clipped", "radius", "radius_spread", "gromov_delta")
                },
                "gradient_norm_max": own["gradient_norm_max"].max(),
                "curvature_low": own["curvature"].min(),
                "curvature_high": own["curvature"].max(),
                **_correlations(lengths.filter(pl.col("arm") == name)),
            }
        )
    return pl.DataFrame(rows, schema=ARMS.columns).with_columns(pl.col(pl.Float64).fill_nan(None))


def _correlations(lengths: pl.DataFrame) -> dict[str, Any]:
    """Return the correlations of the radius with the sharpness of images and with the training images of identities.

    Empty where all radii are equal up to rounding.
    """
    known = lengths.filter(pl.col("radius").is_not_null())
    if known.is_empty() or known["radius"].std(ddof=0) <= ROUNDING * known["radius"].mean():
        return {}
    by_identity = known.group_by("identity", maintain_order=True).agg(
        pl.col("radius").mean(), pl.col("train_images").first()
    )
    of = {"sharpness": (known, "sharpness"), "rarity": (by_identity, "train_images")}
    found: dict[str, Any] = {}
    for name, (table, other) in of.items():
        codes = np.unique(table["identity"].to_numpy(), return_inverse=True)[1]
        values = [table[key].cast(pl.Float64).to_numpy() for key in ("radius", other)]
        found |= zip(
            (name, f"{name}_low", f"{name}_high"), rank_correlation(*values, codes, seed_for(0, name)), strict=True
        )
    return found


def _rows(layout: Layout, manifest: pl.DataFrame) -> np.ndarray:
    """Return the rows of the manifest with the images `layout.evaluated`."""
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


@dataclass(frozen=True)
class Projection:
    """Embeddings of some identities in two dimensions.

    points: (N, 2). identities: N names. rho: rank correlation of projected and true distances.
    """

    geometry: str
    points: np.ndarray
    identities: list[str]
    rho: float


def projections(embedded: list[Embedded], layout: Layout) -> dict[str, Projection]:
    """Return for each arm the projection of its first run with finite embeddings.

    It shows the SHOWN identities with the most test images; of more than DRAWN images, that many evenly spaced ones.
    """
    names = layout.table["identity"].gather(layout.evaluated)
    counts = names.drop_nulls().value_counts().sort("count", "identity", descending=[True, False])
    rows = np.flatnonzero(names.is_in(counts["identity"].head(SHOWN).to_list()).to_numpy())
    rows = rows[spaced(len(rows), DRAWN)]
    found = {}
    for run in embedded:
        if run.arm not in found and run.finite:
            points, rho = picture(run.geometry, distances(run.geometry, run.vectors[rows]))
            found[run.arm] = Projection(run.geometry, points, names.gather(rows).to_list(), rho)
    return found


def feature_deltas(features: np.ndarray) -> Mapping[str, float]:
    """Return the relative Gromov delta of frozen features (N, D) by Euclidean distance, and of shuffled ones.

    Shuffled: each column in an order of its own, which keeps the values of every column and destroys the structure.
    Distances that are all alike have a small delta too; the shuffled features show how small.
    """
    random = np.random.Generator(np.random.PCG64(seed_for(0, "shuffled features")))
    shuffled = random.permuted(np.asarray(features, dtype=np.float64), axis=0)
    rows = spaced(len(features))
    return {
        "features": relative_delta(distances("euclidean", features[rows])),
        "shuffled": relative_delta(distances("euclidean", shuffled[rows])),
    }
