"""Tables of a deduplication experiment: methods by threshold, suspected label errors, and what each arm drops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.curation.subset import KEEP
from reidflow.dedup.detection import detection, threshold_table
from reidflow.dedup.images import DUPLICATES
from reidflow.dedup.keep import suspects
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.experiment import Experiment
from reidflow.spec.quantities import Quantity
from reidflow.splits.candidates import labelled
from reidflow.splits.roles import ASIDE
from reidflow.splits.split import SPLIT
from reidflow.store.tables import Column, Contract, read_table
from reidflow.tables.columns import column, columns
from reidflow.tables.parameters import component_labels
from reidflow.tables.quantities import plain

FINE = 40
"""Steps of the grid of thresholds where distances are not a few whole numbers."""
FOREIGN = "suspected label error"
"""How the reason of a keep list begins where an image was dropped for its likeness to another identity."""
THRESHOLD = Column("threshold", pl.Float64, "threshold", "magnitude", "Largest distance that counts as a duplicate.")
_DETECTED = [
    Column("precision", pl.Float64, "precision", "number", "Share of the pairs found that are copies of one original.", nullable=True),
    Column("recall", pl.Float64, "recall", "number", "Share of the pairs of planted copies that are found.", nullable=True),
    Column("f1", pl.Float64, "F1", "number", "Harmonic mean of precision and recall.", nullable=True),
    Column("group_precision", pl.Float64, "precision of groups", "number", "Precision of the pairs that groups imply.", nullable=True),
    Column("group_recall", pl.Float64, "recall of groups", "number", "Recall of the pairs that groups imply.", nullable=True),
    Column("group_f1", pl.Float64, "F1 of groups", "number", "F1 of the pairs that groups imply.", nullable=True),
]  # fmt: skip
METHODS = Contract(
    "duplicates by method and threshold",
    [
        *columns("method", "label"),
        THRESHOLD,
        Column("arm", pl.Boolean, "of an arm", "yes_no", "Whether an arm has this threshold."),
        Column("pairs", pl.Int64, "pairs", "count", "Pairs among all labelled images."),
        Column("cross_pairs", pl.Int64, "across identities", "count", "Pairs of two identities."),
        Column("groups", pl.Int64, "groups", "count", "Groups of duplicates within an identity among the training images."),
        Column("largest_group", pl.Int64, "largest group", "count", "Images of the largest group; 1: no image has a duplicate."),
        Column("dropped", pl.Int64, "dropped", "count", "Training images dropped; one of each group is kept."),
        Column("share", pl.Float64, "share", "share1", "Share of the training images that is dropped."),
        *_DETECTED,
    ],
)  # fmt: skip
SUSPECTS = Contract(
    "suspected label errors",
    [
        *columns("image"),
        Column("other", pl.String, "other image", "text", "Id of the other image of the pair."),
        *columns("identity"),
        Column("other_identity", pl.String, "its identity", "text", "Identity of the other image."),
        Column("role", pl.String, "role", "text", "Role of the image in the split."),
        Column("other_role", pl.String, "its role", "text", "Role of the other image in the split."),
        *columns("method", "label"),
        Column("distance", pl.Float64, "distance", "magnitude", "Distance of the two images by the method."),
        THRESHOLD.but(meaning="Loosest threshold of the method's arms."),
        Column("found_by", pl.Int64, "methods", "count", "Number of methods that call the two images duplicates."),
    ],
)  # fmt: skip
_COPIED = columns(
    "id_map", "delta", "delta_low", "delta_high", "against_delta", "against_low", "against_high", "verdict", "against",
    "against_verdict", "smallest_detectable", "val_id_map", "steps", "epochs_to_best",
)  # fmt: skip
DYNAMICS = [
    *columns("loss_last", "gradient_norm"),
    Column("active", pl.Float64, "active terms", "number",
           "Share of the loss's terms above 0 (of the mined triplets those that still train); mean over epochs and seeds.",
           nullable=True),
    Column("hardness", pl.Float64, "hardness", "number", "Mean of the loss's terms above 0; mean over epochs and seeds.",
           nullable=True),
]  # fmt: skip
ARMS = Contract(
    "arms of a deduplication experiment",
    [
        *columns("arm", "baseline"),
        column("method").but(nullable=True),
        column("label").but(nullable=True),
        THRESHOLD.but(nullable=True),
        Column("scope", pl.String, "scope", "text", "identity: duplicates within an identity; all: across identities too.",
               nullable=True),
        Column("keep", pl.String, "keep", "text", "Which image of a group is kept.", nullable=True),
        *columns("matched"),
        Column("kept", pl.Int64, "kept", "count", "Number of training images."),
        Column("dropped", pl.Int64, "dropped", "count", "Number of training images dropped as duplicates."),
        Column("share", pl.Float64, "share", "share1", "Share of the training images that is dropped."),
        Column("dropped_across", pl.Int64, "dropped across identities", "count",
               "Number of training images dropped for their likeness to another identity."),
        *_COPIED,
        *DYNAMICS,
        *columns("same_as"),
        Column("recommended", pl.String, "recommended", "text",
               "method: highest validation mAP of the method's arms; overall: of all arms.", nullable=True),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Duplicates:
    """What the methods found among all labelled images, and which training images each arm keeps.

    methods: id -> resolved component; thresholds: id -> those of the arms, sorted; pairs: id -> pairs up to the
    method's loosest threshold; keep: arm -> its keep list; truth: planted copies (image, duplicate_of), if known.
    """

    methods: Mapping[str, dict[str, Any]]
    thresholds: Mapping[str, list[float]]
    loosest: Mapping[str, float]
    pairs: Mapping[str, pl.DataFrame]
    keep: Mapping[str, pl.DataFrame]
    manifest: pl.DataFrame
    split: pl.DataFrame
    truth: pl.DataFrame | None = None

    @cached_property
    def labels(self) -> dict[str, str]:
        """Method id -> its name, with the parameters in which it differs from others of that name."""
        return component_labels(self.methods)

    @cached_property
    def training(self) -> pl.DataFrame:
        """The training images, with their identities, in the order of the split."""
        return self.split.filter(pl.col("role") == "train").select("image", "identity")

    @cached_property
    def rows(self) -> dict[str, int]:
        """Image -> its row of the manifest."""
        return {image: row for row, image in enumerate(self.manifest["image"])}

    def id_of(self, component: dict[str, Any]) -> str:
        """Return the id of a resolved duplicates method."""
        return next(name for name, method in self.methods.items() if method == component)


def read_duplicates(params: Mapping[str, Any], files: Mapping[str, Any]) -> Duplicates:
    """Return pairs and keep lists, without distractors and the images that the split sets aside.

    The folder of a pairs file is its method's id, that of a keep file its subset's.
    """
    keep = {Path(path).parent.name: read_table(path, KEEP) for path in files["keep"]}
    split = labelled(read_table(files["split"], SPLIT)).filter(pl.col("role") != ASIDE)
    used = pl.col("image").is_in(split["image"].implode()) & pl.col("other").is_in(split["image"].implode())
    truth = list(files["truth"]) if not isinstance(files["truth"], str) else [files["truth"]]
    return Duplicates(
        params["methods"],
        params["thresholds"],
        params["loosest"],
        {Path(path).parent.name: read_table(path, DUPLICATES).filter(used) for path in files["pairs"]},
        {arm: keep[subset] for arm, subset in params["subsets"].items()},
        read_table(files["manifest"], MANIFEST),
        split,
        pl.read_parquet(truth[0]) if truth else None,
    )


def grid(found: Duplicates, method: str) -> list[float]:
    """Return the thresholds at which a method is counted: its few distances or an even grid, and those of its arms."""
    distances = found.pairs[method]["distance"].unique().sort().to_list()
    loosest = found.loosest[method]
    even = [loosest * step / FINE for step in range(FINE + 1)] if loosest > 0 else [0.0]
    if loosest <= 2 * FINE and all(float(distance).is_integer() for distance in distances) and loosest >= 1:
        even = [float(step) for step in range(int(loosest) + 1)]
    return sorted({*even, *found.thresholds.get(method, [])})


def methods_table(found: Duplicates) -> pl.DataFrame:
    """Return METHODS: every method at every threshold of its grid."""
    return pl.concat([_by_threshold(found, method) for method in found.methods])


def _by_threshold(found: Duplicates, method: str) -> pl.DataFrame:
    pairs, thresholds = found.pairs[method], grid(found, method)
    counted = [pairs.filter(pl.col("distance") <= threshold) for threshold in thresholds]
    trained = threshold_table(pairs, found.training, thresholds, "identity").rename({"share_dropped": "share"})
    detected = {column.name: [None] * len(thresholds) for column in _DETECTED}
    if found.truth is not None:
        detected = detection(pairs, found.truth, thresholds, found.split["image"].to_list())
    return pl.DataFrame(
        {
            "method": [method] * len(thresholds),
            "label": [found.labels[method]] * len(thresholds),
            "threshold": thresholds,
            "arm": [threshold in found.thresholds.get(method, []) for threshold in thresholds],
            "pairs": [close.height for close in counted],
            "cross_pairs": [int((~close["same_identity"]).sum()) for close in counted],
            "groups": trained["groups"],
            "largest_group": trained["largest_group"].clip(1),
            "dropped": trained["dropped"],
            "share": trained["share"],
            **{column.name: detected[column.name] for column in _DETECTED},
        },
        schema=METHODS.columns,
    )


def suspects_table(found: Duplicates) -> pl.DataFrame:
    """Return SUSPECTS: pairs of two identities within the loosest threshold of a method's arms.

    First those that most methods find, then the closest, as a share of the threshold. A method without an arm counts
    up to its loosest threshold.
    """
    roles = found.split.select("image", "role")
    parts = []
    for method, pairs in found.pairs.items():
        threshold = float(max(found.thresholds.get(method) or [found.loosest[method]]))
        near = suspects(pairs, threshold, found.split).join(roles, on="image", maintain_order="left")
        near = near.join(roles.rename({"image": "other", "role": "other_role"}), on="other", maintain_order="left")
        own = {"method": method, "label": found.labels[method], "threshold": threshold}
        parts.append(near.with_columns(**{name: pl.lit(value) for name, value in own.items()}))
    frame = pl.concat(
        [SUSPECTS.empty().drop("found_by"), *(part.select(list(SUSPECTS.columns)[:-1]) for part in parts)]
    )
    frame = frame.with_columns(found_by=pl.len().over("image", "other").cast(pl.Int64))
    tight = pl.when(pl.col("threshold") > 0).then(pl.col("distance") / pl.col("threshold")).otherwise(0.0)
    nearest = tight.min().over("image", "other")
    return frame.sort(-pl.col("found_by"), nearest, "image", "other", tight, "method")


def arms_table(
    experiment: Experiment, found: Duplicates, results: pl.DataFrame, histories: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Return ARMS: the baseline and the arms that drop duplicates, in the order of the experiment.

    histories: arm -> its history over all seeds.
    """
    known = {row["arm"]: row for row in results.to_dicts()}
    rows, seen = [], {}
    for name, arm in experiment.arms.items():
        if arm.spec.dedup is None and name != experiment.file.baseline:
            continue
        result, dropped = known[name], frozenset(_dropped(found, name, arm.spec.dedup)["image"])
        same = seen.setdefault((dropped, arm.spec.matched if dropped else ""), name)
        rows.append(
            {
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "matched": arm.spec.matched,
                **_counts(found, name, arm.spec.dedup),
                **{column.name: result.get(column.name) for column in _COPIED},
                **dynamics(histories.get(name)),
                "same_as": same if same != name else None,
                "recommended": None,
            }
        )
    for row, level in recommended(rows).items():
        rows[row]["recommended"] = level
    return pl.DataFrame(rows, schema=ARMS.columns)


def quantity_rows(arms: pl.DataFrame, methods: pl.DataFrame, quantities: Sequence[Quantity]) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES: what each arm drops, and the F1 of its method at its threshold; the baseline drops nothing."""
    dropped, f1 = quantities
    known = {
        (method, threshold): value
        for method, threshold, value in methods.select("method", "threshold", "f1").iter_rows()
    }
    rows = arms.select("arm", "share", "method", "threshold").to_dicts()
    return [
        *plain(dropped, {row["arm"]: row["share"] for row in rows}),
        *plain(f1, {row["arm"]: known.get((row["method"], row["threshold"])) for row in rows}),
    ]


def _dropped(found: Duplicates, arm: str, dedup: Any) -> pl.DataFrame:
    """Return the rows of the keep list that an arm drops; of several lists, those of the first seed."""
    keep = found.keep[arm] if dedup is not None else KEEP.empty()
    first = keep["seed"].drop_nulls().min()
    return keep.filter(~pl.col("kept") & (pl.col("seed").is_null() | pl.col("seed").eq_missing(first)))


def _counts(found: Duplicates, arm: str, dedup: Any) -> dict[str, Any]:
    dropped, total = _dropped(found, arm, dedup), found.training.height
    counts = {
        "kept": total - dropped.height,
        "dropped": dropped.height,
        "share": dropped.height / max(1, total),
        "dropped_across": int(dropped["reason"].fill_null("").str.starts_with(FOREIGN).sum()),
    }
    if dedup is None:
        return counts
    method = found.id_of(dedup.method)
    return counts | {
        "method": method,
        "label": found.labels[method],
        "threshold": float(dedup.threshold),
        "scope": dedup.scope,
        "keep": dedup.keep,
    }


def recommended(rows: list[dict[str, Any]]) -> dict[int, str]:
    """Return row -> `method` or `overall`: the highest validation score of a method's arms, and of all arms.

    Of arms that score the same, the one that drops fewer images; all images where nothing scores higher.
    """
    scored = [(row["val_id_map"], -row["dropped"], -i) for i, row in enumerate(rows) if row["val_id_map"] is not None]
    best: dict[str, tuple] = {}
    for key in scored:
        method = rows[-key[2]].get("method")
        if method is not None and key > best.get(method, (-1.0,)):
            best[method] = key
    found = {-key[2]: "method" for key in best.values()}
    return found | ({-max(scored)[2]: "overall"} if scored else {})


def dynamics(history: pl.DataFrame | None) -> dict[str, float | None]:
    """Return DYNAMICS of an arm's history (seed, epoch, loss, ...): loss of the last epoch, means over epochs of the others.

    All are means over seeds; None for what was not recorded or is not finite.
    """
    if history is None or history.is_empty():
        return {column.name: None for column in DYNAMICS}
    trained = history.filter(pl.col("epoch") > 0)
    last = trained.filter(pl.col("epoch") == pl.col("epoch").max().over("seed"))
    found = {"loss_last": _mean(last, "loss")}
    return found | {column.name: _mean(trained, column.name) for column in DYNAMICS[1:]}


def _mean(history: pl.DataFrame, column: str) -> float | None:
    """Return the mean over seeds of the mean over epochs."""
    if column not in history.columns:
        return None
    values = history.filter(pl.col(column).cast(pl.Float64).is_finite())
    means = values.group_by("seed").agg(pl.col(column).mean()).sort("seed")[column].to_list()
    return float(sum(means) / len(means)) if means else None
