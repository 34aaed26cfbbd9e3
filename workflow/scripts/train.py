"""Train the runs of one job, or take them from the run store."""

import json

from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.training.execute import chosen_runs, execute


def main(job: Job) -> None:
    given = job.given
    if "specs" in given:
        arms, runs = [arm for arm, _ in given["specs"]], [RunSpec.model_validate(spec) for _, spec in given["specs"]]
    else:
        arms = [arm for arm, _ in given["runs"]]
        runs = chosen_runs(given["arms"], given["runs"], job.input.get("chosen"))
    done = execute(runs, job.results, given["gallery"], job.compute["device"], job.confirm_code)
    named = [{"arm": arm, **made} for arm, made in zip(arms, done, strict=True)]
    write_text(job.out.runs, json.dumps(named, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
