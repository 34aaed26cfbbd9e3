"""Rank the arms of all experiments where they can be compared."""

from reidflow.figures.leaderboard import leaderboard as draw
from reidflow.figures.parts import save
from reidflow.figures.style import Heading
from reidflow.pages.index import write_leaderboard
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.export import csv_of
from reidflow.tables.leaderboard import LEADERBOARD, NO_CLAIM, leaderboard, leaderboard_groups, leaderboard_markdown


def main(job: Job) -> None:
    given = job.given
    files = zip(given["experiments"], job.input.tables, strict=True)
    table = leaderboard({name: read_table(path, RESULTS) for name, path in files})
    heading = Heading("Leaderboard", " · ".join(filter(None, [given["title"], given["scale"]])))
    write_table(table, job.out.table, LEADERBOARD, {"code": given["code"]})
    write_text(job.out.csv, csv_of(table))
    write_text(job.out.markdown, leaderboard_markdown(table))
    groups = leaderboard_groups(table)
    write_leaderboard("Leaderboard", heading.subtitle, NO_CLAIM, groups, given["experiments"], job.out.page)
    save(draw(table, heading), {"png": job.out.png, "svg": job.out.svg})


if __name__ == "__main__":
    run(main, snakemake)
