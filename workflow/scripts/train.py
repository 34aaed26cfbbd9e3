"""Train the runs of one job, or take them from the run store."""

import json

from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.training.execute import chosen_runs, execute


def main(job: Job) -> None:
    given = job.given
    if "specs" in given:
        runs = [RunSpec.model_validate(spec) for spec in given["specs"]]
    else:
        runs = chosen_runs(given["points"], getattr(job.input, "chosen", None), given["seeds"])
    done = execute(runs, job.results, given["gallery"], job.compute["device"], job.confirm_code)
    write_text(job.out.runs, json.dumps(done, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
