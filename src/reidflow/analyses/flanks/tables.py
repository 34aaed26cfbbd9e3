"""The table of pairs of flanks: how well queries of one are found among candidates of another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import expected_average_precision
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import chance_level, top_k
from reidflow.evaluation.ranking import tie_groups
from reidflow.evaluation.retrieval_queries import Retrieval, ranked_blocks
from reidflow.evaluation.runs import TrainedRun, arm_retrieval
from reidflow.evaluation.statistics import compare
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import FEWEST, LEVEL
from reidflow.tables.experiment import INCONCLUSIVE

SAME, OTHER, UNKNOWN = "same flank", "other flank", "unknown"
ABOVE, BELOW = "above chance", "below chance"
VERDICTS = {"better": ABOVE, "worse": BELOW, "inconclusive": INCONCLUSIVE}
_S, _F = pl.String, pl.Float64
FLANKS = Contract(
    "pairs of flanks",
    [
        *columns("experiment", "arm", "baseline"),
        Column("pair", _S, "query - candidates", "text",
               "Flank of the queries and flank of the candidates; same flank, other flank: all queries of known flank among "
               "candidates of their own flank, or of other known ones."),
        *columns("seeds"),
        column("queries").but(meaning="Queries of the flank that have a positive among these candidates.", nullable=False),
        column("identities").but(meaning="Number of their identities.", nullable=False),
        Column("candidates", _F, "candidates", "count", "Candidates of a query; mean over these queries."),
        column("id_map").but(meaning="Balanced mAP of these queries among these candidates alone; mean over seeds."),
        column("chance").but(meaning="Expected balanced mAP of a random ranking of these candidates."),
        column("top1").but(meaning="Share of these queries whose first candidate of this flank is a positive."),
        Column("excess", _F, "mAP - chance", "signed", "Balanced mAP minus chance.", nullable=True),
        Column("excess_low", _F, "lower end", "signed", "Lower end of its interval.", nullable=True),
        Column("excess_high", _F, "upper end", "signed", "Upper end of its interval.", nullable=True),
        Span("excess_interval", ("excess_low", "excess_high"), "interval", "interval",
             "Simultaneous 95 % interval of mAP minus chance, over identities and seeds, corrected over arms and pairs."),
        column("p_adjusted").but(meaning="p value of it, corrected over arms and pairs."),
        column("verdict").but(meaning="above chance, below chance: significantly different from chance; else inconclusive."),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Queries of one flank and candidates of one. queries, candidates: codes of flanks, below 0 the unknown one."""

    name: str
    queries: np.ndarray
    candidates: np.ndarray

    def inside(self, query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """Return (q, G): which images of the gallery are candidates of queries, by their flanks."""
        allowed = np.isin(query, self.queries)[:, None] & np.isin(gallery, self.candidates)
        if self.name == SAME:
            return allowed & (query[:, None] == gallery)
        return allowed & (query[:, None] != gallery) if self.name == OTHER else allowed


def pairs_of(layout: Layout) -> list[Pair]:
    """Return all pairs of flanks of a layout's queries and gallery; none where fewer than two flanks are known.

    First those of the same flank and of other ones together, then each, the most frequent flanks first, unknown ones last.
    """
    names = {int(code): name or UNKNOWN for code, name in zip(layout.flank, layout.table["flank"], strict=True)}
    seen = np.concatenate([layout.flank[layout.query], layout.flank[layout.gallery]])
    codes, counts = np.unique(seen, return_counts=True)
    order = sorted(zip(codes.tolist(), counts.tolist(), strict=True), key=lambda one: (one[0] < 0, -one[1], one[0]))
    known = np.array([code for code, _ in order if code >= 0])
    if len(known) < 2:
        return []
    each = [(a, b) for a, _ in order for b, _ in order]
    single = [Pair(f"{names[a]} - {names[b]}", np.array([a]), np.array([b])) for a, b in each]
    return [Pair(SAME, known, known), Pair(OTHER, known, known), *single]


@dataclass(frozen=True)
class Found:
    """What the queries of one pair find with each run of an arm.

    ap, top1: (Q, S), NaN without a positive. chance, candidates: (Q,).
    """

    ap: np.ndarray
    top1: np.ndarray
    chance: np.ndarray
    candidates: np.ndarray
    identity: list[str]

    def by_identity(self, values: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Return the identities that are scored and the mean of (Q, S) values of each, (I, S)."""
        scored = np.flatnonzero(np.isfinite(self.chance))
        names, codes = np.unique(np.array(self.identity, dtype=object)[scored], return_inverse=True)
        sums = np.zeros((len(names), values.shape[1]))
        np.add.at(sums, codes, values[scored])
        return names.tolist(), sums / np.bincount(codes, minlength=len(names))[:, None]

    @property
    def excess(self) -> np.ndarray:
        """(I, S): average precision minus chance, mean of each identity."""
        return self.by_identity(self.ap - self.chance[:, None])[1]


def found_by(layout: Layout, retrievals: Sequence[Retrieval], pairs: Sequence[Pair]) -> dict[str, Found]:
    """Return pair -> what queries find with each of an arm's retrievals."""
    columns: dict[str, list[list[np.ndarray]]] = {pair.name: [] for pair in pairs}
    query, gallery = layout.flank[layout.query], layout.flank[layout.gallery]
    for retrieval in retrievals:
        masks = retrieval.masks(layout.identity[layout.query], layout.identity[layout.gallery])
        parts: dict[str, list[list[np.ndarray]]] = {pair.name: [] for pair in pairs}
        for rows, steps in ranked_blocks(retrieval):
            excluded, positive = masks.excluded(rows), masks.positive(rows)
            for pair in pairs:
                inside = pair.inside(query[rows], gallery)
                left_out = ~inside if excluded is None else ~inside | excluded
                groups = tie_groups(steps, positive, left_out)
                candidates = (~left_out).sum(axis=1)
                values = [expected_average_precision(groups), top_k(groups, 1)]
                parts[pair.name].append([*values, chance_level(groups.positives, candidates), candidates])
        for name, blocks in parts.items():
            columns[name].append([np.concatenate(one) for one in zip(*blocks, strict=True)])
    who = layout.table["identity"].gather(layout.query).to_list()
    return {
        name: Found(*(np.stack([run[i] for run in runs], axis=1) for i in (0, 1)), runs[0][2], runs[0][3], who)
        for name, runs in columns.items()
    }


def flanks_table(
    experiment: Experiment, found: Mapping[str, Mapping[str, Found]], level: float = LEVEL
) -> pl.DataFrame:
    """Return FLANKS: arms in their order, of each the pairs with a query that has a positive. found: arm -> pair -> `found_by`."""
    excess = {(arm, name): one.excess for arm, own in found.items() for name, one in own.items()}
    sure = {key: values for key, values in excess.items() if len(values) >= FEWEST and values.shape[1] >= 2}
    judged = compare(sure, level)
    rows = []
    for (arm, name), values in excess.items():
        if not len(values):
            continue
        one, verdict = found[arm][name], judged.get((arm, name))
        scored = np.isfinite(one.chance)
        row: dict[str, Any] = {
            "experiment": experiment.name,
            "arm": arm,
            "baseline": arm == experiment.file.baseline,
            "pair": name,
            "seeds": one.ap.shape[1],
            "queries": int(scored.sum()),
            "identities": len(values),
            "candidates": float(one.candidates[scored].mean()),
            "id_map": float(one.by_identity(one.ap)[1].mean()),
            "chance": float(one.by_identity(one.chance[:, None])[1].mean()),
            "top1": float(one.top1[scored].mean()),
            "excess": float(values.mean()),
            "verdict": INCONCLUSIVE if verdict is None else VERDICTS[verdict.verdict],
        }
        if verdict is not None:
            row |= {"excess_low": verdict.low, "excess_high": verdict.high, "p_adjusted": verdict.p_adjusted}
        rows.append(row)
    return pl.DataFrame([{name: row.get(name) for name in FLANKS.columns} for row in rows], schema=FLANKS.columns)


def found_by_arms(
    layout: Layout, runs: Mapping[str, Sequence[TrainedRun]], mirrored: pl.DataFrame | None = None
) -> dict[str, dict[str, Found]]:
    """Return arm -> pair -> what queries find; arms in the order given.

    Whatever `candidates.same` says, arms rank candidates of all flanks: where local features or neighbours decide the order, that
    of candidates of the query's own flank alone says nothing of others. mirrored: MIRRORED of the runs, where an arm needs it.
    """
    layout = layout.unshared
    pairs = pairs_of(layout)
    return {
        arm: found_by(layout, [arm_retrieval(layout, run, mirrored) for run in own], pairs)
        for arm, own in runs.items()
        if pairs
    }
