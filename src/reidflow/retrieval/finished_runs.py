"""Finished runs in a project's results: their folders, and what their split's validation says about ranking by them."""

from pathlib import Path

from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun, local_scores
from reidflow.ingest.manifest import MANIFEST
from reidflow.retrieval.fitted_ranking import PLAIN, FittedRanking, fit_ranking
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.plan import Plan, local_bank_id
from reidflow.spec.run import RunSpec
from reidflow.splits.split import SPLIT
from reidflow.store.runs import RunStore, readable_name
from reidflow.store.tables import read_table

SHOWN = 20


def run_folder(results: Path, name: str) -> Path:
    """Return the folder of a finished run: experiment/arm/seed-0 below the results, or a path. Raises ReidflowError."""
    experiments = results / "experiments"
    for folder in (experiments / name, Path(name)):
        if folder.is_dir():
            return folder
    known = sorted(path.parent.relative_to(experiments).as_posix() for path in experiments.glob("*/*/seed-*/run.yaml"))
    some = "\n".join(f"  {one}" for one in known[:SHOWN])
    more = f"\n  and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    raise ReidflowError(f"there is no run '{name}' in {experiments}. Finished runs:\n{some or '  none'}{more}")


def fitted_of(plan: Plan, runs: list[tuple[Path, RunSpec]], promised: float) -> FittedRanking:
    """Return what the validation images say about ranking by finished runs, whose embeddings stand side by side.

    runs: readable folder and spec of each. It is fitted without the arm's inference, which a gallery does not do.
    promised: rate of queries of new individuals that are answered with a known one. Nothing is said where the runs are
    not of the plan's experiments, or were trained on different splits. Raises ReidflowError where they are ranked by
    several scores then, or lack what these are made of.
    """
    (first, spec), ranking = runs[0], next((spec.ranking for _, spec in runs if spec.ranking), None)
    places = [_place(plan, folder) for folder, _ in runs]
    splits = {plan.split_folder(experiment.divisions[number]) for experiment, number in filter(None, places)}
    if ranking and any(one.ranking != ranking for _, one in runs):
        raise ReidflowError(
            f"{first}: runs of arms with different rankings cannot stand side by side. Index runs of one arm."
        )
    if None in places or len(splits) > 1:
        if ranking:
            raise ReidflowError(
                f"{first}: its arm is ranked by several scores, which are calibrated on the validation images of one split of "
                "the config's experiments. Name runs of one split as experiment/arm/seed-0, and their config by --configfile."
            )
        return PLAIN
    results = Path(plan.config.results)
    banks = [
        results / "local" / local_bank_id(score.matcher) / "local.json" for score in (ranking.local if ranking else [])
    ]
    if missing := [path for path in banks if not path.is_file()]:
        raise ReidflowError(f"{missing[0]}: not there yet. Run the pipeline with this config first.")
    members = tuple((str(folder), folder) for folder, _ in runs) if len(runs) > 1 else ()
    local = local_scores(list(dict.fromkeys(map(str, banks))), RunStore(results / ".store"))
    run = TrainedRun(
        first.parent.name, spec.seed, str(first), first, members, "concatenate", ranking=ranking, local=local
    )
    if run.unavailable:
        raise ReidflowError(f"{first}: its arm cannot be ranked. {run.unavailable}")
    split, manifest = Path(splits.pop()) / "split.parquet", results / "data" / "manifest.parquet"
    if not (split.is_file() and manifest.is_file()):
        raise ReidflowError(f"{split}: not there yet. Run the pipeline with this config first.")
    layout = Layout(read_table(split, SPLIT), read_table(manifest, MANIFEST), plan.config.gallery)
    return fit_ranking(run, layout.validation, promised)


def _place(plan: Plan, folder: Path) -> tuple[Experiment, int] | None:
    """Return the experiment of a readable folder and which of its splits the run has; None where it is of none."""
    experiments = Path(plan.config.results).resolve() / "experiments"
    try:
        name, slug, run = folder.resolve().relative_to(experiments).parts
        experiment = plan.experiments[name]
        arm = next(arm for arm in experiment.arms.values() if arm.slug == slug)
    except (ValueError, KeyError, StopIteration):
        return None
    folded = bool(experiment.folds)
    named = {
        readable_name(seed, number if folded else None): number for seed, number in experiment.runs(arm.possible_seeds)
    }
    return (experiment, named[run]) if run in named else None
