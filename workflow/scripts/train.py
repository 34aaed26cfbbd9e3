"""Train the runs of one job, or take them from the run store."""

import json
from pathlib import Path

from reidflow.models.available import missing_arms
from reidflow.spec.run import RunSpec
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.runs import LEFT_OUT, WHOLE
from reidflow.training.execute import OtherSplit, chosen_runs, execute, winner_specs


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
    named = []
    for number, folder in enumerate(given["splits"]):
        own = [(arm, spec) for (arm, _, on), spec in zip(wanted, runs, strict=True) if on == number]
        if not own:
            continue
        done = execute(
            [spec for _, spec in own],
            job.results,
            given["gallery"],
            job.compute["device"],
            job.confirm_code,
            OtherSplit.at(folder),
            arms=[arm for arm, _ in own],
            without=LEFT_OUT["sweep"] if "specs" in given else WHOLE,
        )
        named += [{"arm": arm, "split": number, **made} for (arm, _), made in zip(own, done, strict=True)]
    write_text(job.out.runs, json.dumps({"runs": named, "unavailable": missing}, indent=1))


if __name__ == "__main__":
    run(main, snakemake)
