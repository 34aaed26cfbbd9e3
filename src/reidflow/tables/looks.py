"""Experiments that add seeds to undecided arms: who gets more, and what was spent."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reidflow.evaluation.sequential import chance_of_verdict
from reidflow.spec.experiment import Experiment
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import INCONCLUSIVE, LEVEL, judge, pair
from reidflow.tables.text import listed, plural

LEAST = 0.1
"""Chance of a verdict at the last look from which on an undecided arm gets more seeds."""


def look_at(
    experiment: Experiment, arms: Mapping[str, EvaluatedArm], look: int, level: float = LEVEL
) -> dict[str, Any]:
    """Return what a look finds: its `seeds`, the verdict of each `decided` arm, and the arms that get `more` seeds.

    These are the baseline and the undecided arms, but for those that would hardly be decided by more: the chance of a
    verdict at the last look is under LEAST, or there is no spread to judge by.
    """
    baseline = arms[experiment.file.baseline]
    pairs = {name: pair(arm, baseline) for name, arm in arms.items() if arm is not baseline}
    found = judge(pairs, level, looks=experiment.looks)
    undecided = [arm for arm, comparison in found.items() if comparison.verdict == INCONCLUSIVE]
    candidates = [arm for arm in undecided if len(arms[arm].seeds) == experiment.looks[look]]
    chances = {
        arm: chance_of_verdict(pairs[arm].differences, experiment.looks, len(candidates), level) for arm in candidates
    }
    more = [arm for arm, chance in chances.items() if chance >= LEAST]
    return {
        "seeds": experiment.looks[look],
        "decided": {arm: comparison.verdict for arm, comparison in found.items() if arm not in undecided},
        "chance": {arm: round(chance, 3) for arm, chance in chances.items()},
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
