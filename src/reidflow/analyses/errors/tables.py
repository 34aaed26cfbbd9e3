"""The table of wrong first candidates of the baseline and of the arm that is best on validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.error_patterns import CUES, LOOKS, error_patterns, looks, shares, sums
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
from reidflow.evaluation.statistics import Comparison, compare, interval, mean_difference
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import FEWEST, LEVEL
from reidflow.tables.experiment import INCONCLUSIVE

MORE, LESS = "more often", "less often"
VERDICTS = {"better": MORE, "worse": LESS, "inconclusive": INCONCLUSIVE}
_F = pl.Float64
ERRORS = Contract(
    "wrong first candidates",
    [
        *columns("experiment", "arm", "baseline"),
        Column("cue", pl.String, "cue", "text", "Property of appearance in which images are compared."),
        *columns("seeds"),
        column("queries").but(meaning="Number of queries of the split.", nullable=False),
        Column("wrong", _F, "wrong", "count",
               "Queries with a wrong first candidate whose cue is known; mean over seeds."),
        Column("share", _F, "closer than the best match", "share",
               "Share of them in which the wrong first candidate is closer to the query in the cue than the true match that "
               "ranks highest.", nullable=True),
        Column("share_low", _F, "lower end", "share", "Lower end of its 95 % interval.", nullable=True),
        Column("share_high", _F, "upper end", "share", "Upper end of its 95 % interval.", nullable=True),
        Span("share_interval", ("share_low", "share_high"), "interval", "interval_share",
             "95 % interval of the share over identities and seeds."),
        column("chance").but(heading="by chance", format="share",
                             meaning="The same share for a random wrong candidate of the same query, computed exactly."),
        Column("excess", _F, "excess, points", "points", "Share minus chance, percentage points.", nullable=True),
        Column("excess_low", _F, "lower end", "points", "Lower end of the interval of the excess.", nullable=True),
        Column("excess_high", _F, "upper end", "points", "Upper end of the interval of the excess.", nullable=True),
        Span("excess_interval", ("excess_low", "excess_high"), "its interval", "interval_points",
             "Simultaneous 95 % interval of the excess, corrected over arms and cues."),
        column("p_adjusted").but(meaning="p value of the excess, corrected over arms and cues."),
        column("verdict").but(meaning="more often, less often: significantly different from chance; else inconclusive."),
        Column("against", _F, "excess minus baseline's, points", "points",
               "Excess minus that of the baseline, paired by identity and seed, percentage points.", nullable=True),
        Column("against_low", _F, "lower end", "points", "Lower end of the interval of that difference.", nullable=True),
        Column("against_high", _F, "upper end", "points", "Upper end of the interval of that difference.", nullable=True),
        Span("against_interval", ("against_low", "against_high"), "its interval", "interval_points",
             "Simultaneous 95 % interval of that difference, corrected over the cues."),
        column("against_p_adjusted").but(meaning="p value of that difference, corrected over the cues."),
        column("against_verdict").but(meaning="Verdict on the excess compared with the baseline's.", nullable=True),
    ],
)  # fmt: skip


def looks_of(layout: Layout, manifest: pl.DataFrame, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return the looks (images of the split, 4) of the images that are evaluated, NaN of the others.

    images, masks: rows as in the manifest.
    """
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    rows = np.array([row_of[image] for image in layout.table["image"]])[layout.evaluated]
    found = np.full((len(layout.table), len(LOOKS)), np.nan)
    found[layout.evaluated] = looks(images, masks, rows, (manifest["mask"] != "none").to_numpy()[rows])
    return found


@dataclass(frozen=True)
class _Counted:
    """Counts of an arm and a cue, (identities, seeds): wrong first candidates that are closer, by chance, and all."""

    closer: np.ndarray
    chance: np.ndarray
    wrong: np.ndarray

    @property
    def misled(self) -> np.ndarray:
        """(I,) bool: which identities have a wrong first candidate at all."""
        return self.wrong.any(axis=1)

    @property
    def enough(self) -> bool:
        """Whether the uncertainty of a share can be estimated: several seeds and identities, a share above 0 and below 1."""
        several = self.misled.sum() >= FEWEST and self.wrong.shape[1] >= 2
        return bool(several and 0 < self.closer.sum() < self.wrong.sum())

    def share(self, level: float) -> dict[str, float]:
        if not self.wrong.any():
            return {}
        value, influence = shares(self.closer[self.misled], self.wrong[self.misled])
        chance = float(self.chance.sum() / self.wrong.sum())
        row = {"share": value, "chance": chance, "excess": value - chance}
        if self.enough:
            low, high = np.clip(interval(mean_difference(value + influence), level), 0, 1)
            row |= {"share_low": float(low), "share_high": float(high)}
        return row

    def excess(self, identities: np.ndarray) -> np.ndarray:
        """Return (I, S) whose mean is the excess over chance. identities: (I,) bool, those that count."""
        value, influence = shares((self.closer - self.chance)[identities], self.wrong[identities])
        return value + influence


def errors_table(
    experiment: Experiment,
    layout: Layout,
    runs: Mapping[str, Sequence[TrainedRun]],
    seen: np.ndarray,
    mirrored: pl.DataFrame | None = None,
    level: float = LEVEL,
) -> pl.DataFrame:
    """Return ERRORS: arms in the order given, cues in that of CUES.

    runs: arm -> its runs, the baseline's first. seen: of `looks_of`. mirrored: MIRRORED of the runs, where an arm's
    inference uses mirrored images.
    """
    counted = {
        (arm, cue): found for arm, own in runs.items() for cue, found in _counted(layout, own, seen, mirrored).items()
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
        compared = _compared("excess", "", verdicts.get((arm, cue)))
        compared |= _compared("against", "against_", against.get((arm, cue)))
        rows.append(row | found.share(level) | compared)
    return pl.DataFrame([{column: row.get(column) for column in ERRORS.columns} for row in rows], schema=ERRORS.columns)


def _counted(
    layout: Layout, runs: Sequence[TrainedRun], seen: np.ndarray, mirrored: pl.DataFrame | None
) -> dict[str, _Counted]:
    """Return cue -> counts; identities are those of all queries, so that arms can be paired."""
    identity, other = layout.identity[layout.query], layout.identity[layout.gallery]
    _, codes = np.unique(identity, return_inverse=True)
    sides = seen[layout.query], seen[layout.gallery]
    tables = [error_patterns(arm_retrieval(layout, run, mirrored), identity, other, *sides) for run in runs]
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
    """Return (arm, cue) -> comparison of its excess with the baseline's, paired by identity and position of the seed."""
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


def _compared(what: str, prefix: str, found: Comparison | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        what: found.delta,
        f"{what}_low": found.low,
        f"{what}_high": found.high,
        f"{prefix}p_adjusted": found.p_adjusted,
        f"{prefix}verdict": VERDICTS[found.verdict],
    }
