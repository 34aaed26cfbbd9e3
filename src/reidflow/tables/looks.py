"""Experiments that add seeds to undecided arms: who gets more, and what was spent."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.comparisons import INCONCLUSIVE, LEVEL, judge, pair
from reidflow.tables.text import listed, plural


def look_at(
    experiment: Experiment, arms: Mapping[str, EvaluatedArm], look: int, level: float = LEVEL
) -> dict[str, Any]:
    """Return what a look finds: its `seeds`, the verdict of each `decided` arm, and the arms that get `more` seeds.

    These are the undecided ones and the baseline. An arm without any spread to judge by gets none: it would stay so.
    """
    baseline = arms[experiment.file.baseline]
    pairs = {name: pair(arm, baseline) for name, arm in arms.items() if arm is not baseline}
    found = judge(pairs, level, looks=experiment.looks)
    undecided = [arm for arm, comparison in found.items() if comparison.verdict == INCONCLUSIVE]
    return {
        "seeds": experiment.looks[look],
        "decided": {arm: comparison.verdict for arm, comparison in found.items() if arm not in undecided},
        "more": [baseline.name, *undecided] if undecided else [],
    }


def look_note(seeds: int, verdict: str, looks: Sequence[int]) -> str:
    """Return at which look an arm was decided, for its row of the table; nothing where there are no looks."""
    if seeds not in looks:
        return ""
    where = f"at look {looks.index(seeds) + 1} of {len(looks)}"
    return f"{'undecided' if verdict == INCONCLUSIVE else 'decided'} with {seeds} seeds, {where}"


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
    parts += [f"{rest} stayed undecided with {looks[-1]}"] if rest else []
    return (
        f"Seeds were added to undecided arms: of {plural(compared.height, 'arm')}, {listed(parts)}. "
        f"{trained['seeds'].sum()} runs were trained instead of {trained.height * looks[-1]}."
    )
