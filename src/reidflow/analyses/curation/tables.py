"""The tables of a curation experiment: what each arm kept and what that was worth, and how kept and dropped differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.curation.scores import SCORES
from reidflow.curation.subset import KEEP
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract, read_table
from reidflow.tables.columns import column, columns
from reidflow.tables.parameters import component_labels

RANDOM = "random"
"""The method that samples from all training images: the control of the others."""
SHARE_KEPT = Column("share", pl.Float64, "share", "share", "Share of the training images that is kept; 1: all images.")
_RESULT = columns(
    "id_map", "id_map_std", "delta", "delta_low", "delta_high", "smallest_detectable", "verdict",
    "against", "against_delta", "against_low", "against_high", "against_p_adjusted", "against_verdict",
    "id_map_by_seed", "val_id_map", "steps",
)  # fmt: skip
ARMS = Contract(
    "arms of a curation experiment",
    [
        *columns("arm", "baseline"),
        column("method").but(meaning="Name of the curation method; empty: all images.", nullable=True),
        column("label").but(nullable=True),
        Column("control", pl.Boolean, "control", "yes_no", "Whether the images are a random sample."),
        SHARE_KEPT,
        *columns("matched"),
        Column("kept", pl.Float64, "images", "count", "Number of training images kept; mean over samples."),
        Column("identities", pl.Float64, "identities", "count", "Number of identities with a training image; mean over samples."),
        Column("lost_identities", pl.List(pl.String), "lost identities", "setting",
               "Identities without a training image in every sample."),
        Column("draws", pl.Int64, "samples", "count", "Number of samples: 1, or one for each training seed."),
        *_RESULT,
        Column("steps_saved", pl.Float64, "steps saved", "share", "Share of the baseline's optimizer steps that is saved.",
               nullable=True),
        *columns("same_as"),
    ],
)  # fmt: skip
CONTRASTS = {
    "arm": pl.String,
    "label": pl.String,
    "random": pl.Boolean,
    "share": pl.Float64,
    "score": pl.String,
    "kept_mean": pl.Float64,
    "dropped_mean": pl.Float64,
    "difference": pl.Float64,
}


@dataclass(frozen=True)
class Curation:
    """The training images with their scores, and which of them each arm keeps.

    scores: a row per training image: image, identity and a Float64 column per score (null: unknown). keep: arm ->
    its keep list.
    """

    scores: pl.DataFrame
    keep: Mapping[str, pl.DataFrame]
    manifest: pl.DataFrame

    @cached_property
    def names(self) -> list[str]:
        """The scores that are known for at least one image, in the order of their table."""
        numeric = [name for name, kind in self.scores.schema.items() if kind == pl.Float64]
        return [name for name in numeric if self.scores[name].drop_nulls().drop_nans().len()]

    @cached_property
    def rows(self) -> dict[str, int]:
        """Image -> its row of the manifest."""
        return {image: row for row, image in enumerate(self.manifest["image"])}

    def draws(self, arm: str) -> list[pl.DataFrame]:
        """Return the keep lists of an arm: one, or one for each training seed that has its own sample."""
        keep = self.keep[arm]
        seeds = keep["seed"].drop_nulls().unique().sort().to_list()
        return [keep.filter(pl.col("seed") == seed) for seed in seeds] or [keep]


def read_curation(params: Mapping[str, Any], files: Mapping[str, Any]) -> Curation:
    """Return the scores and keep lists; the folder of a keep file is its subset's id."""
    keep = {Path(path).parent.name: read_table(path, KEEP) for path in files["keep"]}
    return Curation(
        read_table(files["scores"], SCORES),
        {arm: keep[subset] for arm, subset in params["subsets"].items()},
        read_table(files["manifest"], MANIFEST),
    )


def arms_table(experiment: Experiment, found: Curation, results: pl.DataFrame) -> pl.DataFrame:
    """Return ARMS: the baseline and the arms that choose images, in the order of the experiment."""
    known = {row["arm"]: row for row in results.to_dicts()}
    full = known[experiment.file.baseline].get("steps")
    labels = component_labels(
        {name: arm.spec.curation.method for name, arm in experiment.arms.items() if arm.spec.curation is not None}
    )
    rows, seen = [], {}
    for name, arm in experiment.arms.items():
        curation, steps = arm.spec.curation, known[name].get("steps")
        if curation is None and name != experiment.file.baseline:
            continue
        method = curation.method["name"] if curation else None
        kept = (
            found.draws(name)
            if curation
            else [found.scores.select("image", "identity").with_columns(kept=pl.lit(True))]
        )
        key = (arm.spec.matched, *(tuple(draw.filter("kept")["image"].to_list()) for draw in kept))
        rows.append(
            {
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "method": method,
                "label": labels.get(name),
                "control": method == RANDOM,
                "share": curation.share if curation else 1.0,
                "matched": arm.spec.matched,
                **_kept(kept),
                **{column.name: known[name].get(column.name) for column in _RESULT},
                "steps_saved": 1 - steps / full if steps is not None and full else None,
                "same_as": seen.get(key),
            }
        )
        seen.setdefault(key, name)
    return pl.DataFrame(rows, schema=ARMS.columns)


def _kept(draws: list[pl.DataFrame]) -> dict[str, Any]:
    kept = [draw.filter("kept") for draw in draws]
    everyone = set(draws[0]["identity"])
    lost = set.intersection(*(everyone - set(own["identity"]) for own in kept))
    return {
        "kept": sum(own.height for own in kept) / len(kept),
        "identities": sum(own["identity"].n_unique() for own in kept) / len(kept),
        "lost_identities": sorted(lost),
        "draws": len(kept),
    }


def contrasts_table(found: Curation, arms: pl.DataFrame) -> pl.DataFrame:
    """Return CONTRASTS: for each method, share and score, the means of the kept and the dropped images.

    Rows follow the arms. random: a new sample for every seed; all samples count. difference: kept minus dropped, in
    standard deviations of the score over all training images. Of arms that differ in what they match alone, the first counts.
    """
    rows, seen = [], set()
    for arm in arms.filter(pl.col("method").is_not_null()).to_dicts():
        key = (arm["label"], arm["share"])
        if key in seen or arm["arm"] not in found.keep:
            continue
        seen.add(key)
        own = {name: arm[name] for name in ("arm", "label", "share")} | {"random": arm["draws"] > 1}
        rows += [{**own, "score": score, **_contrast(found, arm["arm"], score)} for score in found.names]
    return pl.DataFrame(rows, schema=CONTRASTS)


def split_scores(found: Curation, arm: str, score: str) -> tuple[pl.Series, pl.Series]:
    """Return the known values of a score of the images that an arm keeps and drops, over its samples."""
    known = found.scores.select("image", value=pl.col(score)).filter(pl.col("value").is_finite())
    keep = pl.concat(draw.select("image", "kept") for draw in found.draws(arm))
    values = keep.join(known, on="image", maintain_order="left")
    return values.filter("kept")["value"], values.filter(~pl.col("kept"))["value"]


def _contrast(found: Curation, arm: str, score: str) -> dict[str, float | None]:
    kept, dropped = split_scores(found, arm, score)
    spread = found.scores[score].drop_nulls().drop_nans().std()
    both = len(kept) and len(dropped)
    return {
        "kept_mean": kept.mean(),
        "dropped_mean": dropped.mean(),
        "difference": (kept.mean() - dropped.mean()) / spread if both and spread else None,
    }
