"""Report an experiment that searches: what was spent, what it found on test, what mattered; statements and figures."""

import json
from pathlib import Path

from reidflow.analyses.search import effects as effects
from reidflow.analyses.search import tables as tables
from reidflow.analyses.search.figures import all as figures
from reidflow.analyses.search.findings import FIGURES, Found, sections
from reidflow.figures.style import Heading
from reidflow.search.trials import TRIALS, TRIALS_EFFICIENCY, axes_of_studies
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    axes, winners = axes_of_studies(experiment.studies.values()), json.loads(Path(job.input.winners).read_text())
    trials, timed = read_table(job.input.trials, TRIALS(axes)), read_table(job.input.timed, TRIALS_EFFICIENCY)
    results, comparisons = read_table(job.input.results, RESULTS), read_table(job.input.comparisons, COMPARISONS)
    found = Found.of(experiment, trials, timed, winners, results, comparisons)
    write_table(found.search, job.out.search, tables.SEARCH)
    write_table(found.progress.drop("seconds"), job.out.progress, tables.PROGRESS)
    write_table(found.efficiency, job.out.search_efficiency, tables.SEARCH_EFFICIENCY)
    write_table(found.importances, job.out.importances, effects.IMPORTANCES)
    write_table(found.effects, job.out.effects, effects.EFFECTS)
    write_sections(job.out.sections, sections(experiment, found))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    out = {name: {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")} for name in FIGURES}
    figures.draw_all(found, axes, heading, out)


if __name__ == "__main__":
    run(main, snakemake)
