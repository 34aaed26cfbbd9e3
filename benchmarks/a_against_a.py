"""A real A/A: many seeds of one configuration, cut at random into experiments in which every verdict is wrong.

    python benchmarks/a_against_a.py results --configfile config/config.yaml --runs 30

The configuration is the baseline of an experiment (its arms need not differ). Its runs are trained into the run store of
`results`, which the pipeline has filled before: data, split and features are read there, nothing else is written.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.analyses.a_against_a.tables import EXPERIMENTS, MOST, SEEDS, false_verdicts
from reidflow.evaluation.runs import TrainedRun, evaluate_runs
from reidflow.ingest.manifest import MANIFEST
from reidflow.models.device import resolve_device
from reidflow.spec.plan import Plan, make
from reidflow.splits.split import SPLIT
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table
from reidflow.tables.arms import identity_means
from reidflow.training.execute import OtherSplit, execute


def scores_of(plan: Plan, experiment: str, runs: int) -> np.ndarray:
    """Return the mean average precision of each identity under the seeds 0, 1, ... of the baseline, (identities, runs)."""
    results, own = Path(plan.config.results), plan.experiments[experiment]
    specs = [own.baseline.spec.with_seed(seed) for seed in range(runs)]
    folder = plan.other_split_folder(own.division)
    device, gallery = resolve_device(plan.config.compute.device), plan.config.gallery
    done = execute(specs, results, gallery, device, lambda: None, OtherSplit.at(folder))
    made = [TrainedRun.of("a", facts, RunStore(results / ".store")) for facts in done]
    split = read_table(f"{plan.split_folder(own.division)}/split.parquet", SPLIT)
    manifest = read_table(results / "data" / "manifest.parquet", MANIFEST)
    means = identity_means(evaluate_runs(made, [split], manifest, gallery)["per_query"])
    identities = sorted({identity for identity, _ in means})
    return np.array([[means[identity, seed] for seed in range(runs)] for identity in identities])


def main() -> None:
    """Print the share of experiments with a wrong verdict, by number of arms."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("--configfile", nargs="+", default=["config/config.yaml"])
    parser.add_argument("--experiment", default="a_against_a", help="whose baseline is trained")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each arm")
    parser.add_argument("--most", type=int, default=MOST, help="arms of an experiment, at most")
    parser.add_argument("--experiments", type=int, default=EXPERIMENTS)
    given = parser.parse_args()
    plan, started = make(given.configfile, {"results": given.results}), time.monotonic()
    scores = scores_of(plan, given.experiment, given.runs)
    trained = time.monotonic()
    print(
        f"{given.runs} runs of the baseline of {given.experiment}: {len(scores)} identities, {trained - started:.0f} s;"
    )
    means = scores.mean(axis=0)
    print(f"balanced mAP {means.mean():.3f}, standard deviation over seeds {means.std(ddof=1):.3f}")
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, float_precision=4):
        print(false_verdicts(scores, given.experiments, given.seeds, given.most))
    print(f"verdicts: {time.monotonic() - trained:.0f} s")


if __name__ == "__main__":
    main()
