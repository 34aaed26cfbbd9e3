"""Evaluated runs: test metrics, values per query, training history and efficiency of the runs of arms."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.evaluation.average_precision import identity_balanced
from reidflow.evaluation.fusion import Reranking, UnfittedError, fit_reranking, needs_validation
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.metrics import ScoredQueries, pooled_metrics
from reidflow.evaluation.ranking import similarity_of
from reidflow.evaluation.retrieval_queries import Retrieval, combine_members, infer
from reidflow.spec.canonical import canonical, short
from reidflow.spec.components import needing
from reidflow.spec.inference import around_ranking, needs_all_pairs, transductive
from reidflow.spec.ranking import Ranking
from reidflow.store.runs import RunStore, verified
from reidflow.store.tables import Contract

if TYPE_CHECKING:
    from reidflow.matching.scores import LocalScores

METRICS = Contract(
    "metrics of runs",
    {
        "arm": pl.String,
        "run": pl.String,
        "seed": pl.Int64,
        "split": pl.Int64,  # which of the experiment's splits; null for a row of all folds together
        **dict.fromkeys(
            ("id_map", "id_map_unfiltered", "id_map_untrained", "chance", "map", "top1", "top5", "top10"), pl.Float64
        ),
        "val_id_map": pl.Float64,
        **dict.fromkeys(("map_at_r", "nmi", "intra", "inter"), pl.Float64),
        **dict.fromkeys(("queries", "skipped", "identities"), pl.Int64),
        "diverged": pl.Boolean,
        **dict.fromkeys(("epochs", "best_epoch", "steps", "train_images", "parameters"), pl.Int64),
        **dict.fromkeys(("trainable_parameters", "loss_parameters", "flops", "train_flops"), pl.Int64),
        **dict.fromkeys(("loss_first", "loss_last", "gradient_norm_max"), pl.Float64),
        "versions": pl.String,
    },
    nullable=frozenset({"split", "val_id_map", "parameters", "flops", "loss_first", "loss_last", "gradient_norm_max"}),
)
PER_QUERY = Contract(
    "queries of runs",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "split": pl.Int64,
        "image": pl.String,
        "identity": pl.String,
        "group": pl.String,
        "flank": pl.String,
        "ap": pl.Float64,
        "ap_unfiltered": pl.Float64,
        "first_hit": pl.Int64,
    },
    nullable=frozenset({"flank", "ap", "ap_unfiltered", "first_hit"}),
)
HISTORY = Contract(
    "history of runs",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "split": pl.Int64,
        "epoch": pl.Int64,
        "loss": pl.Float64,
        "val_id_map": pl.Float64,
        "learning_rate": pl.Float64,
        "gradient_norm": pl.Float64,
        "gradient_norm_max": pl.Float64,
        "steps": pl.Int64,
        **dict.fromkeys(("active", "hardness"), pl.Float64),
        "size": pl.Int64,
        **dict.fromkeys(("curvature", "clipped"), pl.Float64),
    },
    nullable=frozenset(
        {
            "loss",
            "val_id_map",
            "gradient_norm",
            "gradient_norm_max",
            "active",
            "hardness",
            "size",
            "curvature",
            "clipped",
        }
    ),
)
EFFICIENCY = Contract(
    "efficiency of runs",
    {
        "arm": pl.String,
        "seed": pl.Int64,
        "split": pl.Int64,
        "seconds_train": pl.Float64,
        "images_per_second": pl.Float64,
        "peak_memory_mb": pl.Float64,
        "device": pl.String,
    },
    nullable=frozenset({"images_per_second"}),
)


MIRRORED = Contract(
    "embeddings of mirror images", {"run": pl.String, "image": pl.String, "vector": pl.List(pl.Float32)}
)


class TrainedRun(NamedTuple):
    """A finished run of an arm: its key, its folder in the run store, and what is done with its embeddings.

    split: which of the experiment's splits it was trained on.
    members: key -> folder of the runs of an ensemble, itself included; `combine` and `inference` as in the run spec.
    ranking: by several scores, or None; local: the scores of local features among them.
    """

    arm: str
    seed: int
    key: str
    folder: Path
    members: tuple[tuple[str, Path], ...] = ()
    combine: str = ""
    inference: tuple[dict[str, Any], ...] = ()
    split: int = 0
    ranking: Ranking | None = None
    local: "LocalScores | None" = None

    @classmethod
    def of(cls, arm: str, facts: dict[str, Any], store: RunStore, local: "LocalScores | None" = None) -> "TrainedRun":
        """Return the run described by `training.execute.execute`."""
        spec, folders = facts["spec"], tuple((key, store.folder(key)) for key in facts["members"])
        combine = spec["ensemble"]["combine"] if spec["ensemble"] else ""
        members = folders if combine else ()
        how = members, combine, tuple(spec["inference"])
        ranking = Ranking.model_validate(spec["ranking"]) if spec["ranking"] else None
        return cls(arm, facts["seed"], facts["key"], folders[0][1], *how, facts.get("split", 0), ranking, local)

    @property
    def runs(self) -> tuple[tuple[str, Path], ...]:
        """Key and folder of every run behind the arm."""
        return self.members or ((self.key, self.folder),)

    @property
    def plain(self) -> bool:
        """Whether the run is ranked by its own embeddings as they are."""
        return not (self.members or self.inference or self.ranking)

    @property
    def unavailable(self) -> str | None:
        """Why the run cannot be ranked: local features are unavailable."""
        return self.local.unavailable(self.ranking.local) if self.local and self.ranking else None

    @property
    def scored_as(self) -> tuple[str, ...]:
        """What decides the scores on a split: arms that share it are scored once."""
        how = self.ranking.model_dump(mode="json") if self.ranking else None
        members = (key for key, _ in self.members)
        return str(self.split), self.key, *members, self.combine, canonical([self.inference, how])


def evaluate_runs(
    runs: list[TrainedRun],
    splits: Sequence[pl.DataFrame],
    manifest: pl.DataFrame,
    gallery: str,
    mirrored: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the tables `metrics`, `per_query`, `history` and `efficiency` of runs, in their order.

    splits: the split tables of the experiment, of which each run names its own; gallery: `role` (candidates are the
    test images of its split) or `all` (every labelled image). mirrored: MIRRORED of the runs whose inference uses
    mirrored images. What several arms share is scored once. An arm whose seed was trained on several splits, the folds,
    has a row for each of them in `metrics`, and behind them one over all of their queries. Raises ReidflowError where a
    run's embeddings do not cover the test images.
    """
    layouts = [{role: Layout(split, manifest, gallery, role) for role in ("test", "val")} for split in splits]
    shared = {run.scored_as: run for run in runs}
    scored = {key: _scored(layouts[run.split], run, mirrored) for key, run in shared.items()}
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in CONTRACTS}
    of_seeds: dict[tuple[str, int], list[TrainedRun]] = {}
    for run in runs:
        of_seeds.setdefault((run.arm, run.seed), []).append(run)
    for (arm, seed), own in of_seeds.items():
        found = [scored[run.scored_as] for run in own]
        for run, each in zip(own, found, strict=True):
            for name, table in each.tables().items():
                parts[name].append(table.with_columns(_named(arm, seed, run.split)))
        if len(own) > 1:
            parts["metrics"].append(_pooled(found).with_columns(_named(arm, seed, None)))
    return {name: pl.concat(tables).select(list(CONTRACTS[name].columns)) for name, tables in parts.items()}


CONTRACTS = {"metrics": METRICS, "per_query": PER_QUERY, "history": HISTORY, "efficiency": EFFICIENCY}


def _named(arm: str, seed: int, split: int | None) -> list[pl.Expr]:
    numbers = {"seed": seed, "split": split}
    return [pl.lit(arm, pl.String).alias("arm"), *(pl.lit(n, pl.Int64).alias(name) for name, n in numbers.items())]


def of_seeds(metrics: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each arm and seed of METRICS: of all folds together, where there are any."""
    alone = pl.len().over("arm", "seed") == 1
    return metrics.filter(pl.col("split").is_null() | alone)


def of_runs(metrics: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each run of METRICS, without those of several folds together."""
    return metrics.filter(pl.col("split").is_not_null())


def of_split(table: pl.DataFrame, split: int = 0) -> pl.DataFrame:
    """Return the rows of a table of evaluated runs whose runs were trained on one of the experiment's splits."""
    return table.filter(pl.col("split") == split)


@dataclass(frozen=True)
class _Scored:
    """A scored run: facts of METRICS that are not scores, what its queries find before and after training,
    and tables.
    """

    facts: dict[str, Any]
    queries: ScoredQueries
    untrained: np.ndarray
    per_query: pl.DataFrame
    history: pl.DataFrame
    efficiency: pl.DataFrame

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables of the run, without its arm, seed and split."""
        metrics = _row({**self.facts, **_scores_of([self])}, METRICS)
        names = ("per_query", "history", "efficiency")
        return {"metrics": metrics, **{name: getattr(self, name) for name in names}}


def _scores_of(parts: Sequence[_Scored]) -> dict[str, float | int]:
    """Return the scores of METRICS over the queries of runs, each ranked in its own gallery."""
    untrained = np.concatenate([part.untrained for part in parts])
    identity = np.concatenate([part.queries.identity for part in parts])
    before = float(identity_balanced(untrained, identity))
    return {**pooled_metrics([part.queries for part in parts]), "id_map_untrained": before}


LARGEST = ("epochs", "gradient_norm_max")
"""Facts of runs of which their folds together have the largest; of the others they have the mean."""


def _pooled(folds: Sequence[_Scored]) -> pl.DataFrame:
    """Return the row of METRICS of runs that share arm and seed: scores over all queries, else means over the runs."""
    facts: dict[str, Any] = {
        "run": short([fold.facts["run"] for fold in folds]),
        "diverged": any(fold.facts["diverged"] for fold in folds),
        "versions": "; ".join(dict.fromkeys(fold.facts["versions"] for fold in folds)),
    }
    for name in folds[0].facts.keys() - facts.keys():
        values = [fold.facts[name] for fold in folds]
        together = None if None in values else max(values) if name in LARGEST else statistics.fmean(values)
        whole = together is not None and METRICS.columns[name] == pl.Int64
        facts[name] = round(together) if whole else together
    return _row({**facts, **_scores_of(folds)}, METRICS)


def _scored(layouts: dict[str, Layout], run: TrainedRun, mirrored: pl.DataFrame | None) -> _Scored:
    facts, layout = _provenance(run.folder), layouts["test"]
    similarity = similarity_of(facts["geometry"]["name"])
    history = pl.read_parquet(verified(run.folder, "history.parquet"))
    queries, per_query = layout.score(arm_retrieval(layout, run, mirrored))
    known = {"run": run.key, **_training(facts, history)}
    if not run.plain or layouts["val"].shared is not None:
        known["val_id_map"] = validated(layouts["val"], run, mirrored)
    if run.members:
        known |= _summed([_training(_provenance(folder), history) for _, folder in run.members], SUMMED)
    efficiency = [_efficiency(folder) for _, folder in run.members] or [_efficiency(run.folder)]
    measured = _row({**efficiency[0], **_summed(efficiency, ("seconds_train",))}, EFFICIENCY)
    untrained = layout.precisions(run.folder, "initial", similarity)
    return _Scored(known, queries, untrained, per_query, history, measured)


SUMMED = ("steps", "parameters", "trainable_parameters", "loss_parameters", "flops", "train_flops")


def _summed(members: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the runs of an ensemble cost together; None where one of them does not know."""
    values = {name: [member[name] for member in members] for name in names}
    return {name: None if None in found else sum(found) for name, found in values.items()}


def _provenance(folder: Path) -> dict[str, Any]:
    return json.loads(verified(folder, "provenance.json").read_text())


def validated(layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None) -> float | None:
    """Return the validation score of what is ranked; None without validation images that have a positive."""
    if not len(layout.query):
        return None
    score = pooled_metrics([layout.score(arm_retrieval(layout, run, mirrored))[0]])["id_map"]
    return None if np.isnan(score) else score


def arm_retrieval(layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None = None) -> Retrieval:
    """Return the queries and the gallery of a run's arm: of its ensemble's runs together, after its inference.

    mirrored: MIRRORED of the runs, where the inference uses mirrored images.
    """
    return combined_retrieval(run, *member_retrievals(layout, run, mirrored), reranking(layout, run, mirrored))


def member_retrievals(
    layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None = None
) -> tuple[list[Retrieval], list[Retrieval]]:
    """Return the retrieval of each run behind an arm, and, where its inference needs them,
    those of the mirrored images.
    """
    own = [_retrieval(layout, layout.vectors(folder, "final"), folder) for _, folder in run.runs]
    if mirrored is None or not needing("inference", run.inference, "flipped"):
        return own, []
    other = [(mirrored.filter(pl.col("run") == key), folder) for key, folder in run.runs]
    return own, [_retrieval(layout, layout.spread(table, folder), folder) for table, folder in other]


def combined_retrieval(
    run: TrainedRun, own: list[Retrieval], seen: list[Retrieval], rerank: Reranking | None = None
) -> Retrieval:
    """Return what an arm ranks: the retrievals of its runs (`member_retrievals`) combined, then after its inference.

    rerank: its ranking by several scores (`reranking`), where it has one.
    """
    flipped = combine_members(seen, run.combine) if seen else None
    steps, after = around_ranking(run.inference) if run.ranking else (list(run.inference), [])
    retrieval = infer(combine_members(own, run.combine), steps, flipped)
    return infer(rerank(retrieval, needs_all_pairs(after)), after) if rerank else retrieval


def reranking(layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None = None) -> Reranking | None:
    """Return the ranking of a run's arm by several scores, fitted on its split's validation; None where it has none."""
    if run.ranking is None:
        return None
    validation = layout.validation
    needed = needs_validation(run.ranking) and len(validation.query)
    embedded = combined_retrieval(run, *member_retrievals(validation, run, mirrored)) if needed else None
    try:
        return fit_reranking(run.ranking, layout, embedded, run.local)
    except UnfittedError as error:
        raise UnfittedError(f"arm '{run.arm}', seed {run.seed}: {error}") from error


def left_out_retrieval(
    layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None = None, rerank: Reranking | None = None
) -> Retrieval | None:
    """Return what a run's arm ranks were the identity of each query not in the gallery.

    None where a step of its inference looks at all queries at once: what it makes of a query without its identity would
    have to be computed for each identity. rerank: `reranking` of the same, where it is there already.
    """
    if transductive(list(run.inference)):
        return None
    rerank = rerank or reranking(layout, run, mirrored)
    return combined_retrieval(run, *member_retrievals(layout.leaving_out(), run, mirrored), rerank)


def _retrieval(layout: Layout, vectors: np.ndarray, folder: Path) -> Retrieval:
    similarity = similarity_of(_provenance(folder)["geometry"]["name"])
    return layout.retrieval(vectors[layout.query], vectors[layout.gallery], similarity)


def _row(values: dict[str, Any], contract: Contract) -> pl.DataFrame:
    named = {name: kind for name, kind in contract.columns.items() if name in values}
    return pl.DataFrame([{name: values[name] for name in named}], schema=named)


def _training(facts: dict[str, Any], history: pl.DataFrame) -> dict[str, Any]:
    losses = history.filter(pl.col("loss").is_not_null())["loss"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(facts["versions"].items()))
    return {
        "val_id_map": _validation(facts["best_epoch"], history),
        "diverged": facts["diverged"],
        "epochs": facts["epochs"],
        "best_epoch": facts["best_epoch"],
        "steps": facts["steps"],
        "train_images": facts["train_images"],
        "parameters": facts["parameters"],
        "trainable_parameters": facts["trainable_parameters"],
        "loss_parameters": facts["loss_parameters"],
        "flops": facts["flops"],
        "train_flops": facts["train_flops"],
        "loss_first": losses[0] if len(losses) else None,
        "loss_last": losses[-1] if len(losses) else None,
        "gradient_norm_max": history["gradient_norm_max"].max(),
        "versions": f"{versions}, device {facts['device']}",
    }


def _validation(kept: int, history: pl.DataFrame) -> float | None:
    """Return the validation score of the weights that the run kept; None without validation."""
    scores = history.filter(pl.col("epoch") == kept)["val_id_map"]
    return scores[0] if len(scores) else None


def _efficiency(folder: Path) -> dict[str, Any]:
    facts = json.loads(verified(folder, "efficiency.json").read_text())
    return {
        "seconds_train": facts["seconds"],
        "images_per_second": facts["images_per_second"],
        "peak_memory_mb": facts["peak_memory_mb"],
        "device": facts["device"],
    }


class JobResults(NamedTuple):
    """What an experiment's jobs say: the runs in the order of its arms, their plain specs, and arm -> why it has none.

    local: the scores of local features by which the runs are ranked, where they are needed.
    """

    runs: list[TrainedRun]
    specs: list[dict[str, Any]]
    unavailable: dict[str, str]
    local: "LocalScores | None" = None


def read_jobs(
    job_files: list[str], order: list[str], store: RunStore, local_digests: Sequence[str] = (), workers: int = 1
) -> JobResults:
    """Return what an experiment's jobs say; arms whose local features are unavailable have no runs either.

    order: its arms. local_digests: of the banks of local features by which they rank, where their scores are needed;
    workers: threads that compute these.
    """
    contents = [json.loads(Path(file).read_text()) for file in job_files]
    facts = sorted((run for content in contents for run in content["runs"]), key=lambda run: order.index(run["arm"]))
    local = local_scores(local_digests, store, workers)
    runs = [TrainedRun.of(run["arm"], run, store, local) for run in facts]
    missing = {arm: reason for content in contents for arm, reason in content["unavailable"].items()}
    missing |= {run.arm: reason for run in runs if (reason := run.unavailable)}
    runs, specs = [run for run in runs if run.arm not in missing], [f["spec"] for f in facts if f["arm"] not in missing]
    return JobResults(runs, specs, missing, local)


def local_scores(digests: Sequence[str], store: RunStore, workers: int = 1) -> "LocalScores | None":
    """Return the scores of local features, kept in the run store; None where there is no bank.

    digests: `local.json` of each bank. workers: threads, which change no score.
    """
    if not digests:
        return None
    from reidflow.matching.scores import LocalScores

    folders = [Path(digest).parent for digest in digests]
    return LocalScores({folder.name: folder for folder in folders}, store.root, workers=workers)


SPLIT_RUNS = Contract(
    "metrics of runs on other splits", {"split_seed": pl.Int64, **METRICS.columns}, nullable=METRICS.nullable
)
ALSO_ON = Contract(
    "metrics of runs on further splits", {"label": pl.String, **METRICS.columns}, nullable=METRICS.nullable
)
ALSO_ON_QUERIES = Contract(
    "queries of runs on further splits", {"label": pl.String, **PER_QUERY.columns}, nullable=PER_QUERY.nullable
)


def evaluate_split_runs(
    split_seed: int, runs: list[TrainedRun], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> pl.DataFrame:
    """Return SPLIT_RUNS of the runs of one split, in their order; arguments as of `evaluate_runs`."""
    found = evaluate_runs(runs, [split], manifest, gallery)["metrics"]
    return found.select(pl.lit(split_seed, pl.Int64).alias("split_seed"), *METRICS.columns)


def evaluate_further_split(
    label: str, runs: list[TrainedRun], split: pl.DataFrame, manifest: pl.DataFrame, gallery: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ALSO_ON and ALSO_ON_QUERIES of the runs of one further split, in their order.

    label: what the experiment calls the split; the other arguments as of `evaluate_runs`.
    """
    found = evaluate_runs(runs, [split], manifest, gallery)
    named = pl.lit(label, pl.String).alias("label")
    return (
        found["metrics"].select(named, *METRICS.columns),
        found["per_query"].select(named, *PER_QUERY.columns),
    )


_SCORES = ("top1", "top5", "top10", "id_map")
VALIDATED = Contract(
    "validation of runs",
    {"arm": pl.String, "seed": pl.Int64, "queries": pl.Int64, **dict.fromkeys(_SCORES, pl.Float64)},
    nullable=frozenset(_SCORES),
)


def validate_runs(
    runs: Iterable[TrainedRun],
    split: pl.DataFrame,
    manifest: pl.DataFrame,
    gallery: str,
    mirrored: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return VALIDATED, a row a run in their order; without validation queries, no rows.

    split, manifest, gallery, mirrored: as in `evaluate_runs`. The embeddings are those of the weights that the run
    kept.
    """
    layout = Layout(split, manifest, gallery, role="val")
    if not len(layout.query):
        return VALIDATED.empty()
    found: dict[tuple, dict[str, float | int | None]] = {}
    for run in (runs := list(runs)):
        if run.scored_as not in found:
            found[run.scored_as] = _scores(layout, run, mirrored)
    rows = [{"arm": run.arm, "seed": run.seed, **found[run.scored_as]} for run in runs]
    return pl.DataFrame(rows, schema=VALIDATED.columns)


def _scores(layout: Layout, run: TrainedRun, mirrored: pl.DataFrame | None) -> dict[str, float | int | None]:
    values = pooled_metrics([layout.score(arm_retrieval(layout, run, mirrored))[0]])
    facts = {name: None if np.isnan(values[name]) else values[name] for name in _SCORES}
    return {"queries": values["queries"], **facts}


def specs_of(jobs: JobResults) -> dict[str, dict[str, Any]]:
    """Return arm -> the plain spec of one of its runs, for every arm that was trained;
    they differ in the seed alone.
    """
    return {made.arm: spec for made, spec in zip(jobs.runs, jobs.specs, strict=True)}
