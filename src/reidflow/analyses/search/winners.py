"""The winners of several searches on test, against each other and against tuning the baseline with the same budget."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from reidflow.analyses.search.tables import winner_arms
from reidflow.evaluation.statistics import compare, ties_with_best
from reidflow.spec.experiment import Experiment
from reidflow.tables.comparisons import LEVEL

FIELDS = ("delta", "low", "high", "p_holm", "verdict", "smallest_detectable")


def arms_of_studies(experiment: Experiment) -> tuple[dict[str, str], dict[str, str]]:
    """Return study -> arm of the winners of searches, and of those whose budget is matched to another study's."""
    arms = winner_arms(experiment)
    matched = {study: arm for study, arm in arms.items() if experiment.studies[study].matched_to}
    return {study: arm for study, arm in arms.items() if study not in matched}, matched


def winners_that_tie(experiment: Experiment, comparisons: pl.DataFrame, level: float = LEVEL) -> list[str]:
    """Return the winners of searches that cannot be told from the best of them on test, paired and corrected.

    comparisons: COMPARISONS of the experiment.
    """
    searched, _ = arms_of_studies(experiment)
    found = _differences(comparisons, searched.values())
    return ties_with_best(found, level) if found and all(values.size for values in found.values()) else []


def against_matched(
    experiment: Experiment, comparisons: pl.DataFrame, results: pl.DataFrame, level: float = LEVEL
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (winner, matched) -> FIELDS of winner minus the winner of a study with a matched budget, on test.

    Where the experiment names the one as the other's control, what its results say; else corrected over these pairs.
    """
    searched, matched = arms_of_studies(experiment)
    found = _differences(comparisons, [*searched.values(), *matched.values()])
    told = {row["arm"]: row for row in results.to_dicts()}
    said, pairs = {}, {}
    for arm in searched.values():
        for other in matched.values():
            if told.get(arm, {}).get("against") == other and told[arm]["against_delta"] is not None:
                said[arm, other] = {key: told[arm][f"against_{key}"] for key in FIELDS}
            elif arm in found and other in found and min(found[arm].shape) >= 2:
                pairs[arm, other] = found[arm] - found[other]
    named = {f"{arm}\0{other}": values for (arm, other), values in pairs.items()}
    judged = compare(named, level) if named else {}
    found_here = {pair: judged["\0".join(pair)] for pair in pairs}
    return said | {pair: {key: getattr(each, key) for key in FIELDS} for pair, each in found_here.items()}


def _differences(comparisons: pl.DataFrame, arms: Iterable[str]) -> Mapping[str, np.ndarray]:
    """Return arm -> its differences to the baseline, (identities, seeds), on the identities and seeds that all share.

    Two arms differ by what their differences to the baseline differ by.
    """
    rows = comparisons.filter(pl.col("flank").is_null() & pl.col("delta_by_seed").is_not_null())
    found: dict[str, dict[str, list[float]]] = {}
    for arm, identity, values in rows.select("arm", "identity", "delta_by_seed").iter_rows():
        found.setdefault(arm, {})[identity] = values
    own = {arm: found[arm] for arm in arms if arm in found}
    if not own:
        return {}
    shared = sorted(set.intersection(*(set(values) for values in own.values())))
    seeds = min(len(values) for each in own.values() for values in each.values())
    return {
        arm: np.array([values[identity][:seeds] for identity in shared], dtype=float).reshape(len(shared), seeds)
        for arm, values in own.items()
    }
