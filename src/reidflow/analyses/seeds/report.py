"""Report on an experiment on seeds."""

import json
from pathlib import Path

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.seeds import figures
from reidflow.analyses.seeds.findings import sections
from reidflow.analyses.seeds.tables import CONTRACTS, all_tables, read_results, seeds_table
from reidflow.analyses.seeds.winner import as_yaml, best_of
from reidflow.evaluation.runs import METRICS, SPLIT_RUNS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment = inputs.experiment
    best = best_of(experiment, inputs.trained(), inputs.config.split, inputs.files["audits"])
    ranking = json.loads(Path(inputs.files["best"]).read_text())["ranking"]
    other = inputs.table("split_runs", SPLIT_RUNS) if inputs.files["split_runs"] else None
    seeds = seeds_table(inputs.table("metrics", METRICS), other)
    others = list(zip(inputs.params["others"], inputs.files["other_results"], strict=True))
    tables = all_tables(seeds, ranking, read_results(others), best.arm, best.baseline)
    return Report(
        tables={name: (tables[name], contract) for name, contract in CONTRACTS.items()},
        sections=sections(best, **tables),
        figures={
            "seeds": figures.runs(seeds, tables["spreads"], best.arm, best.baseline, inputs.heading("seeds")),
            "readings": figures.readings(tables["readings"], inputs.heading("readings")),
        },
        files={"best.yaml": as_yaml(ranking[0], best.specs[best.arm], experiment.arms[best.arm].seeds)},
    )
