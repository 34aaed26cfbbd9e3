"""Report an experiment on inference: its tables, its statements, its figures, and how long an answer takes."""

from reidflow.analyses.inference import figures as figures
from reidflow.analyses.inference.findings import sections
from reidflow.analyses.inference.tables import INFERENCE, inference_table
from reidflow.evaluation.answer_time import ANSWERS, answer_times
from reidflow.evaluation.arm import MIRRORED, PER_QUERY, Layout, merged
from reidflow.evaluation.best import specs_of
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    told = (("results", RESULTS), ("per_query", PER_QUERY), ("comparisons", COMPARISONS))
    results, per_query, comparisons = (read_table(job.input[name], contract) for name, contract in told)
    manifest, split = read_table(job.input.manifest, MANIFEST), read_table(job.input.split, SPLIT)
    layout = Layout(split, manifest, job.given["gallery"])
    mirrored = read_table(job.input.mirrored, MIRRORED) if job.input.mirrored else None
    jobs = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store"))
    images = dict(layout.table[layout.gallery].group_by("identity").len().iter_rows())
    table = inference_table(experiment, specs_of(jobs), results, per_query, comparisons, images)
    write_table(table, job.out.inference, INFERENCE)
    write_table(answer_times(experiment.name, jobs.runs, layout, mirrored), job.out.inference_efficiency, ANSWERS)
    write_sections(job.out.sections, sections(table, bool((layout.query_index >= 0).any())))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    figures.draw(table, per_query, heading, job.out)


if __name__ == "__main__":
    run(main, snakemake)
