"""Write what people read of an experiment: exported tables, findings, figures, and a page with everything."""

from reidflow.pages.browse import browse
from reidflow.pages.publish import publish
from reidflow.store.experiments import load_experiment
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.arms import HISTORY, by_arm
from reidflow.tables.comparisons import COMPARISONS, PROFILES
from reidflow.tables.data import read_description
from reidflow.tables.experiment import EFFICIENCY, RESULTS, Tables
from reidflow.tables.parameters import parameters_section, with_winners
from reidflow.tables.sections import read_all


def main(job: Job) -> None:
    read, (config, experiment) = job.input, load_experiment(job.results, job.given["experiment"])
    experiment = with_winners(experiment, read.get("winners"))
    contracts = {"results": RESULTS, "efficiency": EFFICIENCY, "comparisons": COMPARISONS, "profiles": PROFILES}
    publish(
        config,
        experiment,
        read_description(config, read.splits, read.audits, read.images),
        Tables(**{name: read_table(read[name], contract) for name, contract in contracts.items()}),
        by_arm(read_table(read.history, HISTORY)),
        job.out,
        quantities=read.get("quantities", []),
        sections=[parameters_section(experiment), *read_all(read.get("sections", []))],
        figures=read.get("figures", []),
        siblings=job.given["experiments"],
        browsed=browse(read.browsing, read.thumbnails),
    )


if __name__ == "__main__":
    run(main, snakemake)
