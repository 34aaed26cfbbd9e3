"""Train the runs of one job, or take them from the run store."""

import json
from pathlib import Path

from reidflow.models.available import missing_arms
from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import LEFT_OUT, WHOLE
from reidflow.training.execute import chosen_runs, execute_on_splits, winner_specs


def main(job: Job) -> None:
    given = job.given
    missing = missing_arms(given["downloaded"], given["baseline"])
    wanted = [run for run in given.get("specs", given.get("runs")) if run[0] not in missing]
    if undecided := job.input.get("undecided"):
        more = json.loads(Path(undecided).read_text())["more"]
        wanted = [run for run in wanted if run[0] in more]
    if "specs" in given:
        runs = [RunSpec.model_validate(spec) for _, spec, _ in wanted]
    else:
        arms = {arm: points for arm, points in given["arms"].items() if arm not in missing}
        winners = winner_specs(given["winner_arms"], job.input.get("winners"))
        runs = chosen_runs(arms, wanted, job.input.get("chosen"), winners)
    on_splits = [(arm, spec, split) for (arm, _, split), spec in zip(wanted, runs, strict=True)]
    without = LEFT_OUT[given["kept_as"]] if "specs" in given else WHOLE
    where = given["splits"], job.results, given["gallery"], job.compute["device"]
    named = execute_on_splits(on_splits, *where, job.confirm_code, without)
    write_text(job.out.runs, json.dumps({"runs": named, "unavailable": missing}, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
