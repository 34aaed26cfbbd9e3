"""Report an experiment on several splits: its tables, its statements and its figures."""

from reidflow.analyses.gap import figures as figures
from reidflow.analyses.gap import tables as tables
from reidflow.analyses.gap.findings import sections
from reidflow.evaluation.arm import METRICS, PER_QUERY
from reidflow.evaluation.other_splits import ALSO_ON, ALSO_ON_QUERIES
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    sided = bool((read_table(job.input.manifest, MANIFEST)["side"] == "gallery").any())
    own = read_table(job.input.metrics, METRICS), read_table(job.input.per_query, PER_QUERY)
    also = read_table(job.input.also_on, ALSO_ON), read_table(job.input.also_on_queries, ALSO_ON_QUERIES)
    found = tables.conditions(experiment, config, own, also, sided)
    gap = tables.gap_table(experiment, found, read_table(job.input.results, RESULTS))
    lost = tables.lost_table(experiment, found)
    write_table(gap, job.out.gap, tables.GAP)
    write_table(lost, job.out.lost, tables.LOST)
    inferred = [name for name, arm in experiment.arms.items() if arm.spec.inference]
    write_sections(job.out.sections, sections(gap, lost, tables.transductive_arms(experiment), inferred))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    for name, draw in (("gap", figures.draw_gap), ("remedies", figures.draw_remedies)):
        draw(gap, heading, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
