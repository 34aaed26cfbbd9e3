"""`make times`: the recorded times of the demo's jobs, from which the first estimate on another machine is made."""

import json
import sys
from collections.abc import Iterable
from statistics import mean

from reidflow.commands.plan_dag import PlannedJob, Request, read_dag
from reidflow.spec.errors import ReidflowError
from reidflow.store.atomic import write_text
from reidflow.workflow.estimates import SHIPPED, demo_images


def times(jobs: Iterable[PlannedJob], images: int) -> dict:
    """Return the content of times.json: rule -> experiment ('' for jobs that serve all) -> mean seconds of its jobs."""
    found: dict[str, dict[str, list[float]]] = {}
    for job in jobs:
        if job.seconds_before is not None:
            found.setdefault(job.rule, {}).setdefault(job.experiment, []).append(job.seconds_before)
    seconds = {
        rule: {name: round(mean(own), 1) for name, own in sorted(groups.items())}
        for rule, groups in sorted(found.items())
    }
    return {"images": images, "seconds": seconds}


def main(files: list[str]) -> int:
    """Write times.json from the records of the last run of a demo's config, and return the exit status."""
    try:
        dag = read_dag(Request(files, [], everything=True))
        images = demo_images(dag.plan.config)
        if images is None:
            raise ReidflowError(f"{', '.join(files)}: not a config of the demo, whose times are shipped.")
        write_text(SHIPPED, json.dumps(times(dag.jobs, images), indent=1) + "\n")
    except ReidflowError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["config/config.yaml"]))
