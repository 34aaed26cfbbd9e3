"""Time a study of frozen features: one worker against two, and what a trial costs beyond its training.

A worker is a separate process that imports, joins the study in a fresh folder, and works until the study is finished.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = time.perf_counter()


def study_of(arguments: argparse.Namespace):
    """Return the study: three axes of a head, a median pruner."""
    from head_run import spec_of

    from reidflow.spec.components import resolve
    from reidflow.spec.search import Search, Study, axes_of

    space = {
        "optimizer.learning_rate": {"low": 0.0001, "high": 0.03, "log": True},
        "model.head.hidden": [0, 128, 256],
        "model.head.dropout": {"low": 0.0, "high": 0.5},
    }
    written = Search.model_validate({"trials": 2, "space": space, "studies": {"one": {"algorithm": "random"}}})
    head = argparse.Namespace(
        hidden=0, dim=128, loss="arcface", miner=None, sampler="shuffled", optimizer="adamw", epochs=arguments.epochs
    )
    return Study(
        experiment="benchmark",
        name="one",
        algorithm=resolve("algorithm", arguments.algorithm),
        pruner=resolve("pruner", arguments.pruner),
        trials=arguments.trials,
        matched_to=None,
        generation=arguments.generation,
        finalists=0,
        seed=0,
        first_seed=1000,
        sweep_seeds=(100, 101),
        base=spec_of(head, 0),
        axes=axes_of(written.space),
    )


class Made:
    """Features of 24 clusters instead of a pipeline's data."""

    def __init__(self) -> None:
        from head_run import data_of

        self.data = data_of(argparse.Namespace(images=500, identities=24, features=1280))

    def key(self, spec) -> str:
        """Return the key of a run."""
        from reidflow.store.runs import run_key

        return run_key(spec.apart_from_data(), "code", "data")

    def load(self, spec):
        """Return the features."""
        return self.data


def join(arguments: argparse.Namespace) -> None:
    """Work on the study in a folder; print what this worker's part took, as the last line."""
    from reidflow.search.worker import StudyRuns, run_study
    from reidflow.store.runs import RunStore
    from reidflow.training import loop

    trained = [0.0]

    def timed(*given, **named):
        start = time.perf_counter()
        try:
            return plain(*given, **named)
        finally:
            trained[0] += time.perf_counter() - start

    plain, loop.train = loop.train, timed
    study, source, results = study_of(arguments), Made(), Path(arguments.folder)
    ready = StudyRuns(study, source, RunStore(results / ".store"), "cpu", results, lambda: None)
    ready._get_ready()
    start = time.perf_counter()
    record = run_study(study, source, RunStore(results / ".store"), "cpu", results, lambda: None)
    report = {"import": start - START, "work": time.perf_counter() - start, "training": trained[0]}
    report["processor"] = time.process_time()
    print(json.dumps({**report, "states": [trial["state"] for trial in record["trials"]]}))


def timed_workers(arguments: argparse.Namespace, count: int) -> tuple[float, list[dict]]:
    """Return the seconds until `count` workers, started together, have finished the study, and the report of each."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".store").mkdir()
        command = [sys.executable, __file__, *sys.argv[1:], "--folder", folder]
        start = time.perf_counter()
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        reports = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
        return time.perf_counter() - start, reports


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, default in (("trials", 60), ("generation", 10), ("epochs", 30), ("repeats", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--algorithm", default="tpe")
    parser.add_argument("--pruner", default="none")
    parser.add_argument("--folder", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        join(arguments)
        return
    found, busiest = {1: [], 2: []}, {}
    for _ in range(arguments.repeats):
        for count, times in found.items():
            seconds, reports = timed_workers(arguments, count)
            times.append(seconds)
            beyond = sum(worker["work"] - worker["training"] for worker in reports) / arguments.trials
            busiest[count] = max(worker["processor"] for worker in reports)
            started = max(worker["import"] for worker in reports)
            pruned = reports[0]["states"].count("pruned")
            print(
                f"{count} workers: {seconds:.1f} s, of which {started:.1f} s until the imports are done; "
                f"{pruned} of {arguments.trials} trials pruned; {beyond:.3f} worker-seconds a trial beyond training"
            )
    print(f"two workers take {min(found[2]) / min(found[1]):.2f} times as long as one")
    print(f"processor time of the busier one, as on idle cores: {busiest[2] / busiest[1]:.2f} of that of one alone")


if __name__ == "__main__":
    main()
