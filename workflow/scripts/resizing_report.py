"""Report an experiment on the size of images: its tables, its statements and its figures."""

from reidflow.analyses.resizing import figures as figures
from reidflow.analyses.resizing import tables as tables
from reidflow.analyses.resizing.findings import sections
from reidflow.evaluation.arm import HISTORY, METRICS
from reidflow.evaluation.tested_on import TESTED_ON
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    metrics, history = read_table(job.input.metrics, METRICS), read_table(job.input.history, HISTORY)
    tested = read_table(job.input.tested, TESTED_ON) if job.input.tested else None
    training = tables.training_table(experiment, metrics, history, read_table(job.input.results, RESULTS))
    sizes = tables.sizes_table(experiment, tested)
    write_table(training, job.out.resizing, tables.RESIZING)
    write_table(sizes, job.out.sizes, tables.SIZES)
    write_sections(job.out.sections, sections(training, sizes))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    for name, draw, table in (
        ("stages", figures.draw_stages, training),
        ("sizes", figures.draw_sizes, sizes),
        ("training_flops", figures.draw_training_flops, training),
    ):
        draw(table, heading, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
