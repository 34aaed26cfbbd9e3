"""Report the best experiment over training seeds and splits: its tables, statements and configuration."""

import json
from pathlib import Path

from reidflow.evaluation.arm import METRICS, merged
from reidflow.evaluation.other_splits import SPLIT_RUNS
from reidflow.spec.plan import rebuild
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables import seeds as tables
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections
from reidflow.tables.seeds_blocks import as_yaml, best_of
from reidflow.tables.seeds_sections import sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    jobs = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store"))
    specs = {made.arm: spec for made, spec in zip(jobs.runs, jobs.specs, strict=True)}
    best, ranked = best_of(experiment, specs, config.split), json.loads(Path(job.input.best).read_text())["ranking"]
    other = read_table(job.input.split_runs, SPLIT_RUNS) if job.input.split_runs else None
    seeds = tables.seeds_table(read_table(job.input.metrics, METRICS), other)
    spreads, ranking = tables.spreads_table(seeds, best.arm, best.baseline), tables.ranking_table(ranked)
    results = {name: read_table(path, RESULTS) for name, path in job.given["others"]}
    readings = tables.readings_table(results, tables.noise_of(seeds, best.arm, best.baseline))
    found = {"seeds": seeds, "spreads": spreads, "ranking": ranking, "readings": readings}
    for name, table in found.items():
        write_table(table, getattr(job.out, name), getattr(tables, name.upper()))
    write_text(job.out.best, as_yaml(ranked[0], specs[best.arm], experiment.arms[best.arm].seeds))
    write_sections(job.out.sections, sections(best, seeds, spreads, ranking, readings))


if __name__ == "__main__":
    run(main, snakemake)
