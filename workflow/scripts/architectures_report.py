"""List and draw the networks of the best trials of an architecture search."""

from reidflow.analyses.architectures.figures import draw_architectures
from reidflow.analyses.architectures.tables import FIGURE, best_networks, section
from reidflow.figures.style import Heading
from reidflow.search.trials import TRIALS, axes_of_studies
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    trials = read_table(job.input.trials, TRIALS(axes_of_studies(experiment.studies.values())))
    networks = best_networks(experiment, trials)
    write_sections(job.out.sections, [section(networks)])
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    draw_architectures(networks, heading, {suffix: getattr(job.out, f"{FIGURE}_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
