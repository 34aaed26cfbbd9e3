"""Report the best experiment over training seeds and splits: tables, statements, configuration and figures."""

import json
from pathlib import Path

from reidflow.analyses.seeds import figures as figures
from reidflow.analyses.seeds.blocks import as_yaml, best_of
from reidflow.analyses.seeds.findings import FIGURES, sections
from reidflow.analyses.seeds.tables import CONTRACTS, all_tables, read_results, seeds_table
from reidflow.evaluation.arm import METRICS, merged
from reidflow.evaluation.other_splits import SPLIT_RUNS
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    jobs = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store"))
    best = best_of(experiment, jobs, config.split, job.input.audits)
    ranking = json.loads(Path(job.input.best).read_text())["ranking"]
    other = read_table(job.input.split_runs, SPLIT_RUNS) if job.input.split_runs else None
    seeds = seeds_table(read_table(job.input.metrics, METRICS), other)
    tables = all_tables(seeds, ranking, read_results(job.given["others"]), best.arm, best.baseline)
    for name, contract in CONTRACTS.items():
        write_table(tables[name], getattr(job.out, name), contract)
    write_text(job.out.best, as_yaml(ranking[0], best.specs[best.arm], experiment.arms[best.arm].seeds))
    write_sections(job.out.sections, sections(best, **tables))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    runs, read = ({"png": getattr(job.out, f"{n}_png"), "svg": getattr(job.out, f"{n}_svg")} for n in FIGURES)
    figures.draw_runs(seeds, tables["spreads"], best.arm, best.baseline, heading, runs)
    figures.draw_readings(tables["readings"], heading, read)


if __name__ == "__main__":
    run(main, snakemake)
