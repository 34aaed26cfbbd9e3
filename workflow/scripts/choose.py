"""Choose an arm's tuned settings by the mean validation mAP of its sweep."""

import json

from reidflow.store.atomic import write_text
from reidflow.store.job import running
from reidflow.training.choose import choose

with running(snakemake) as job:
    chosen = choose(job.given["grid"], job.given["points"], job.input.runs, job.results)
    write_text(job.out.chosen, json.dumps(chosen, indent=1))
