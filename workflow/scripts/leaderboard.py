"""Lay the experiments' tables side by side, ranked where they can be compared."""

import shutil
import tempfile
from pathlib import Path

from reidflow.figures import leaderboard as figure
from reidflow.figures.style import Heading
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.leaderboard import leaderboard, write_leaderboard


def main(job: Job) -> None:
    given = job.given
    tables = zip(given["experiments"], job.input.tables, strict=True)
    board = leaderboard({name: read_table(path, RESULTS) for name, path in tables})
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / "leaderboard"
        write_leaderboard(board, stem)
        for name, suffix in (("board", ".parquet"), ("csv", ".csv"), ("markdown", ".md")):
            shutil.copyfile(stem.with_name(stem.name + suffix), getattr(job.out, name))
    heading = Heading("Leaderboard", " · ".join(filter(None, [given["title"], given["scale"]])))
    figure.draw(board, heading, {"png": job.out.png, "svg": job.out.svg})


if __name__ == "__main__":
    run(main, snakemake)
