"""Draw the demo's animals, with everything planted in a table."""

from pathlib import Path

from reidflow.ingest.demo.draw import DemoSettings, draw
from reidflow.store.job import running

with running(snakemake) as job:
    settings = {k: v for k, v in job.given["source"].items() if k not in ("name", "path")}
    draw(Path(job.out.final["truth"]).parent, DemoSettings(**settings), job.compute["workers"])
