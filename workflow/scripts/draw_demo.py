"""Render the demo's images, and the table of everything planted in them."""

import shutil

from reidflow.ingest.demo.draw import draw
from reidflow.ingest.demo.settings import DemoSettings
from reidflow.store.job import Job, run


def main(job: Job) -> None:
    settings = {key: value for key, value in job.given["source"].items() if key not in ("name", "path")}
    folder = job.results / "data" / "demo"
    draw(folder, DemoSettings(**settings), job.compute["workers"])
    shutil.copyfile(folder / "truth.parquet", job.out.truth)


if __name__ == "__main__":
    run(main, snakemake)
