"""Tell what the tests on other versions of the images say: matrix, reliance, figures and statements."""

from reidflow.analyses.backgrounds import figures as figures
from reidflow.analyses.backgrounds.tables import RELIANCE, TESTED_MATRIX, report
from reidflow.evaluation.tested_on import TESTED_ON
from reidflow.figures.style import Heading
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.arms import by_arm
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    tested = by_arm(read_table(job.input.tested, TESTED_ON))
    results = read_table(job.input.results, RESULTS)
    matrix, reliance, sections = report(experiment, tested, results, probes=job.given["probes"])
    write_table(matrix, job.out.matrix, TESTED_MATRIX)
    write_table(reliance, job.out.reliance, RELIANCE)
    write_sections(job.out.sections, sections)
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    for name, draw, table in (
        ("tested_on", figures.draw_tested_on, matrix),
        ("query_only", figures.draw_query_only, matrix),
        ("reliance", figures.draw_reliance, reliance),
    ):
        draw(table, heading, {suffix: getattr(job.out, f"{name}_{suffix}") for suffix in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
