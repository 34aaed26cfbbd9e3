"""Experiments that add seeds to undecided arms: who gets more, and what was spent."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reidflow.evaluation.sequential import LEAST, chances
from reidflow.spec.experiment import Experiment
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import INCONCLUSIVE, LEVEL, judge, pair
from reidflow.tables.text import listed, plural


def look_at(
    experiment: Experiment, arms: Mapping[str, EvaluatedArm], look: int, level: float = LEVEL
) -> dict[str, Any]:
    """Return what a look finds: its `seeds`, the verdict of each `decided` arm, and the arms that get `more` seeds.

    These are the baseline and the undecided arms, but for those that would hardly be decided by more: the chance of a
    verdict at the last look is under LEAST, or there is no spread to judge by.
    """
    baseline = arms[experiment.file.baseline]
    pairs = {name: pair(arm, baseline) for name, arm in arms.items() if arm is not baseline}
    found = judge(pairs, level, margin=experiment.equivalence, looks=experiment.looks)
    differences = {arm: pairs[arm].differences for arm in found}
    chance = chances(differences, experiment.looks, experiment.looks[look], level, experiment.equivalence)
    more = [arm for arm, value in chance.items() if value >= LEAST]
    return {
        "seeds": experiment.looks[look],
        "decided": {arm: one.verdict for arm, one in found.items() if one.verdict != INCONCLUSIVE},
        "chance": {arm: round(value, 3) for arm, value in chance.items()},
        "more": [baseline.name, *more] if more else [],
    }


def look_note(seeds: int, verdict: str, looks: Sequence[int]) -> str:
    """Return at which look an arm was decided or left, for its row of the table; nothing where there are no looks."""
    if seeds not in looks:
        return ""
    where = f"with {seeds} seeds, at look {looks.index(seeds) + 1} of {len(looks)}"
    if verdict != INCONCLUSIVE:
        return f"decided {where}"
    return f"undecided {where}{'' if seeds == looks[-1] else ': more would hardly decide it'}"


def spent(experiment: Experiment, results: pl.DataFrame) -> str:
    """Return in a sentence what the seeds of RESULTS cost, where they were added to undecided arms; else nothing."""
    looks = experiment.looks
    if not looks:
        return ""
    trained = results.filter(pl.col("seeds") > 0)
    compared = trained.filter(~pl.col("baseline"))
    decided = compared.filter(pl.col("verdict") != INCONCLUSIVE)["seeds"].to_list()
    counts = {seeds: decided.count(seeds) for seeds in looks if seeds in decided}
    was = "was" if list(counts.values())[:1] == [1] else "were"
    parts = [
        f"{arms} {was} decided with {seeds} seeds" if not place else f"{arms} with {seeds}"
        for place, (seeds, arms) in enumerate(counts.items())
    ]
    rest = compared.height - len(decided)
    left = compared.filter(pl.col("verdict") == INCONCLUSIVE, pl.col("seeds") < looks[-1]).height
    early = f" ({left} of them left early: more seeds would hardly decide them)" if left else ""
    parts += [f"{rest} stayed undecided{early}"] if rest else []
    return (
        f"Seeds were added to undecided arms: of {plural(compared.height, 'arm')}, {listed(parts)}. "
        f"{trained['seeds'].sum()} runs were trained instead of {trained.height * looks[-1]}."
    )
