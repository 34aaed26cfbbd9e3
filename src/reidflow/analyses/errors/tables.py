"""The table of what wrong first candidates have in common with their queries, for the baseline and the best arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.arm import Layout, Made, asked
from reidflow.evaluation.error_patterns import CUES, LOOKS, error_patterns, looks, shares, sums
from reidflow.evaluation.statistics import Comparison, compare, interval, mean_difference
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Contract
from reidflow.tables.arms import known, mean
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import INCONCLUSIVE

MORE, LESS = "more often", "less often"
FEWEST = 5
"""Identities with a wrong first candidate from which on an interval is given: of fewer it would promise too much."""
VERDICTS = {"better": MORE, "worse": LESS, "inconclusive": INCONCLUSIVE}
_SHARE = dict.fromkeys(("share", "share_low", "share_high", "chance"), pl.Float64)
_EXCESS = dict.fromkeys(("excess", "excess_low", "excess_high", "p_holm"), pl.Float64)
_AGAINST = dict.fromkeys(("against", "against_low", "against_high", "against_p_holm"), pl.Float64)
ERRORS = Contract(
    "what wrong first candidates have in common with their queries",
    {
        "experiment": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        "cue": pl.String,  # of CUES
        "seeds": pl.Int64,
        "queries": pl.Int64,  # that ask
        "wrong": pl.Float64,  # of these, with a wrong first candidate whose cue is known; mean over seeds
        **_SHARE,  # share: the wrong first is closer than the best true match; chance: of a random wrong candidate
        **_EXCESS,  # share minus chance, corrected over arms and cues
        "verdict": pl.String,
        **_AGAINST,  # excess minus the baseline's, corrected over the cues
        "against_verdict": pl.String,
    },
    nullable=frozenset({*_SHARE, *_EXCESS, *_AGAINST, "against_verdict"}),
)


def compared_arms(experiment: Experiment, metrics: pl.DataFrame) -> list[str]:
    """Return the baseline and the arm with the highest mean validation mAP; by the test's where there is no validation.

    metrics: METRICS of the experiment's runs. An arm with a run without a score does not count; of equals the first does.
    """
    column = "id_map" if metrics["val_id_map"].is_null().all() else "val_id_map"
    means: dict[str, float] = {}
    for name in experiment.arms:
        values = [known(value) for value in metrics.filter(pl.col("arm") == name)[column]]
        if values and None not in values:
            means[name] = round(mean(values), 12)
    best = [max(means, key=lambda name: means[name])] if means else []
    return list(dict.fromkeys([experiment.file.baseline, *best]))


def looks_of(layout: Layout, manifest: pl.DataFrame, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the looks (images of the split, 4) of the images that are evaluated, NaN of the others.

    images, masks: rows as in the manifest.
    """
    place = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([place[image] for image in layout.table["image"]])[layout.evaluated]
    found = np.full((len(layout.table), len(LOOKS)), np.nan)
    found[layout.evaluated] = looks(images, masks, rows, (manifest["mask"] != "none").to_numpy()[rows])
    return found


@dataclass(frozen=True)
class _Counted:
    """Of an arm and a cue, by identity and seed: wrong first candidates that are closer, expected by chance, and all."""

    closer: np.ndarray
    chance: np.ndarray
    wrong: np.ndarray

    @property
    def misled(self) -> np.ndarray:
        """(I,) bool: which identities have a wrong first candidate at all; the others say nothing of them."""
        return self.wrong.any(axis=1)

    @property
    def enough(self) -> bool:
        """Whether it can be told how sure a share is: several seeds and identities, and not all candidates alike."""
        several = self.misled.sum() >= FEWEST and self.wrong.shape[1] >= 2
        return bool(several and 0 < self.closer.sum() < self.wrong.sum())

    def share(self, level: float) -> dict[str, float]:
        if not self.wrong.any():
            return {}
        value, influence = shares(self.closer[self.misled], self.wrong[self.misled])
        chance = float(self.chance.sum() / self.wrong.sum())
        told = {"share": value, "chance": chance, "excess": value - chance}
        if self.enough:
            low, high = np.clip(interval(mean_difference(value + influence), level), 0, 1)
            told |= {"share_low": float(low), "share_high": float(high)}
        return told

    def excess(self, identities: np.ndarray) -> np.ndarray:
        """Return (I, S): how much more often than by chance, a mean over the given identities, (I,) bool, and seeds."""
        value, influence = shares((self.closer - self.chance)[identities], self.wrong[identities])
        return value + influence


def errors_table(
    experiment: Experiment,
    layout: Layout,
    runs: Mapping[str, Sequence[Made]],
    seen: np.ndarray,
    mirrored: pl.DataFrame | None = None,
    level: float = LEVEL,
) -> pl.DataFrame:
    """Return ERRORS: arms in the order given, cues in that of CUES.

    runs: arm -> its runs, the baseline's first. seen: of `looks_of`. mirrored: MIRRORED of the runs, where an arm's
    inference looks at mirror images.
    """
    counted = {
        (arm, cue): found for arm, made in runs.items() for cue, found in _counted(layout, made, seen, mirrored).items()
    }
    sure = {key: found for key, found in counted.items() if found.enough}
    verdicts = compare({key: found.excess(found.misled) for key, found in sure.items()}, level)
    against = _against(sure, experiment.file.baseline, level)
    rows = []
    for (arm, cue), found in counted.items():
        row = {
            "experiment": experiment.name,
            "arm": arm,
            "baseline": arm == experiment.file.baseline,
            "cue": cue,
            "seeds": found.wrong.shape[1],
            "queries": len(layout.query),
            "wrong": float(found.wrong.sum() / found.wrong.shape[1]),
            "verdict": INCONCLUSIVE,
        }
        told = _told("excess", "", verdicts.get((arm, cue))) | _told("against", "against_", against.get((arm, cue)))
        rows.append(row | found.share(level) | told)
    return pl.DataFrame([{column: row.get(column) for column in ERRORS.columns} for row in rows], schema=ERRORS.columns)


def _counted(
    layout: Layout, runs: Sequence[Made], seen: np.ndarray, mirrored: pl.DataFrame | None
) -> dict[str, _Counted]:
    """Return cue -> what was counted, (identities, seeds); identities of all queries, so that arms can be paired."""
    identity, other = layout.identity[layout.query], layout.identity[layout.gallery]
    _, codes = np.unique(identity, return_inverse=True)
    sides = seen[layout.query], seen[layout.gallery]
    tables = [error_patterns(asked(layout, made, mirrored), identity, other, *sides) for made in runs]
    found = {}
    for cue in CUES:
        columns = [_columns(table, cue, codes) for table in tables]
        found[cue] = _Counted(*(np.stack(values, axis=1) for values in zip(*columns, strict=True)))
    return found


def _columns(table: pl.DataFrame, cue: str, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return three (I,) sums of a run: closer, by chance, wrong."""
    counts = table.filter(pl.col(cue).is_not_nan() & pl.col(f"{cue} by chance").is_not_nan())
    who, identities = codes[counts["query"].to_numpy()], int(codes.max(initial=-1)) + 1
    parts = (counts[cue], counts[f"{cue} by chance"], np.ones(len(counts)))
    return tuple(sums(part, who, identities) for part in parts)


def _against(sure: dict[tuple[str, str], _Counted], baseline: str, level: float) -> dict[tuple, Comparison]:
    """Return (arm, cue) -> how its excess compares with the baseline's, paired by identity and by place of the seed."""
    found: dict[tuple, Comparison] = {}
    for name in dict.fromkeys(arm for arm, _ in sure if arm != baseline):
        pairs = {
            (arm, cue): _paired(counted, sure[baseline, cue])
            for (arm, cue), counted in sure.items()
            if arm == name and (baseline, cue) in sure
        }
        found |= compare(pairs, level, largest=2.0)
    return found


def _paired(ours: _Counted, theirs: _Counted) -> np.ndarray:
    either, seeds = ours.misled | theirs.misled, min(ours.wrong.shape[1], theirs.wrong.shape[1])
    return ours.excess(either)[:, :seeds] - theirs.excess(either)[:, :seeds]


def _told(what: str, prefix: str, found: Comparison | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        what: found.delta,
        f"{what}_low": found.low,
        f"{what}_high": found.high,
        f"{prefix}p_holm": found.p_holm,
        f"{prefix}verdict": VERDICTS[found.verdict],
    }
