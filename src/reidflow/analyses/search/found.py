"""Everything that a report on a search prints and draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from reidflow.analyses.search.effects import effects_table, importances_table
from reidflow.analyses.search.tables import best_so_far, budget_table, efficiency_table, front
from reidflow.analyses.search.winners import against_matched, winners_that_tie
from reidflow.spec.experiment import Experiment


@dataclass(frozen=True)
class Found:
    """The tables of a search, with TRIALS and RESULTS that they are made of.

    progress: with seconds. tie: the winners that cannot be told from the best of them. matched: (winner, matched) -> the
    difference on test to the winner of a study with a matched budget. baseline: the baseline's row of the results.
    """

    trials: pl.DataFrame
    results: pl.DataFrame
    search: pl.DataFrame
    progress: pl.DataFrame
    efficiency: pl.DataFrame
    importances: pl.DataFrame
    effects: pl.DataFrame
    front: pl.DataFrame
    tie: list[str]
    matched: Mapping[tuple[str, str], Mapping[str, Any]]

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        trials: pl.DataFrame,
        efficiency: pl.DataFrame,
        winners: Mapping[str, Any],
        results: pl.DataFrame,
        comparisons: pl.DataFrame,
    ) -> "Found":
        """Return what was found. efficiency: TRIALS_EFFICIENCY. winners: the content of winners.json."""
        return cls(
            trials=trials,
            results=results,
            search=budget_table(experiment, trials, winners, results),
            progress=best_so_far(trials, efficiency),
            efficiency=efficiency_table(experiment, efficiency),
            importances=importances_table(experiment, trials),
            effects=effects_table(experiment, trials),
            front=front(trials),
            tie=winners_that_tie(experiment, comparisons),
            matched=against_matched(experiment, comparisons, results),
        )

    @property
    def baseline(self) -> dict[str, Any]:
        """The baseline's row of the results."""
        return self.results.row(by_predicate=pl.col("baseline"), named=True)
