"""Evaluated runs: test metrics, values per query, training history and efficiency of the runs of arms."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from reidflow.evaluation.asked import Retrieval, infer
from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.codes import integer_codes
from reidflow.evaluation.joined import joined
from reidflow.evaluation.ranking import Similarity
from reidflow.evaluation.retrieval import evaluate_asked
from reidflow.evaluation.similarity import similarity_of
from reidflow.spec.canonical import canonical
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE
from reidflow.store.runs import RunStore
from reidflow.store.tables import Contract

METRICS = Contract(
    "metrics of runs",
    {
        "arm": pl.String,
        "run": pl.String,
        "seed": pl.Int64,
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
    nullable=frozenset({"val_id_map", "parameters", "flops", "loss_first", "loss_last", "gradient_norm_max"}),
)
PER_QUERY = Contract(
    "queries of runs",
    {
        "arm": pl.String,
        "seed": pl.Int64,
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


class Made(NamedTuple):
    """A finished run of an arm: its key, its folder in the run store, and what is done with its embeddings.

    members: key -> folder of the runs of an ensemble, itself included; `combine` and `inference` as in the run spec.
    """

    arm: str
    seed: int
    key: str
    folder: Path
    members: tuple[tuple[str, Path], ...] = ()
    combine: str = ""
    inference: tuple[dict[str, Any], ...] = ()

    @classmethod
    def of(cls, arm: str, told: dict[str, Any], store: RunStore) -> "Made":
        """Return the run that `training.execute.execute` told of."""
        spec, folders = told["spec"], tuple((key, store.folder(key)) for key in told["members"])
        combine = spec["ensemble"]["combine"] if spec["ensemble"] else ""
        members = folders if combine else ()
        return cls(arm, told["seed"], told["key"], folders[0][1], members, combine, tuple(spec["inference"]))

    @property
    def runs(self) -> tuple[tuple[str, Path], ...]:
        """Key and folder of every run behind the arm."""
        return self.members or ((self.key, self.folder),)

    @property
    def plain(self) -> bool:
        """Whether the run is ranked by its own embeddings as they are."""
        return not (self.members or self.inference)

    @property
    def scored_as(self) -> tuple[str, ...]:
        """What decides the scores: arms that share it are scored once."""
        return self.key, *(key for key, _ in self.members), self.combine, canonical(self.inference)


def evaluate_runs(
    runs: list[Made],
    split: pl.DataFrame,
    manifest: pl.DataFrame,
    gallery: str,
    mirrored: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the tables `metrics`, `per_query`, `history` and `efficiency` of runs, in their order.

    split: the split table; gallery: `role` (candidates are the test images) or `all` (every labelled image). mirrored:
    MIRRORED of the runs whose inference looks at mirror images. What several arms share is scored once. Raises
    ReidflowError where a run's embeddings do not cover the test images.
    """
    layouts = {role: Layout(split, manifest, gallery, role) for role in ("test", "val")}
    scored = {run.scored_as: _scored(layouts, run, mirrored) for run in {run.scored_as: run for run in runs}.values()}
    parts: dict[str, list[pl.DataFrame]] = {"metrics": [], "per_query": [], "history": [], "efficiency": []}
    for run in runs:
        for name, table in scored[run.scored_as].items():
            who = {"arm": pl.lit(run.arm, pl.String), "seed": pl.lit(run.seed, pl.Int64)}
            parts[name].append(table.with_columns(**who))
    return {name: pl.concat(tables).select(list(CONTRACTS[name].columns)) for name, tables in parts.items()}


CONTRACTS = {"metrics": METRICS, "per_query": PER_QUERY, "history": HISTORY, "efficiency": EFFICIENCY}


def _scored(layouts: dict[str, "Layout"], run: Made, mirrored: pl.DataFrame | None) -> dict[str, pl.DataFrame]:
    """Return the tables of one run, without its arm and seed."""
    told, layout = _provenance(run.folder), layouts["test"]
    similarity = similarity_of(told["geometry"]["name"])
    history = pl.read_parquet(run.folder / "history.parquet")
    values, per_query = layout.score(asked(layout, run, mirrored))
    untrained = layout.id_map(run.folder, "initial", similarity)
    metrics = {**values, "run": run.key, "id_map_untrained": untrained, **_training(told, history)}
    if not run.plain:
        metrics["val_id_map"] = _validated(layouts["val"], run, mirrored)
    if run.members:
        metrics |= _summed([_training(_provenance(folder), history) for _, folder in run.members], SUMMED)
    efficiency = [_efficiency(folder) for _, folder in run.members] or [_efficiency(run.folder)]
    return {
        "metrics": _row(metrics, METRICS),
        "per_query": per_query,
        "history": history,
        "efficiency": _row({**efficiency[0], **_summed(efficiency, ("seconds_train",))}, EFFICIENCY),
    }


SUMMED = ("steps", "parameters", "trainable_parameters", "loss_parameters", "flops", "train_flops")


def _summed(members: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the runs of an ensemble cost together; None where one of them does not know."""
    values = {name: [member[name] for member in members] for name in names}
    return {name: None if None in found else sum(found) for name, found in values.items()}


def _provenance(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "provenance.json").read_text())


def _validated(layout: "Layout", run: Made, mirrored: pl.DataFrame | None) -> float | None:
    """Return the validation score of what is ranked; None without validation images that have a positive."""
    if not len(layout.query):
        return None
    score = layout.score(asked(layout, run, mirrored))[0]["id_map"]
    return None if np.isnan(score) else score


def asked(layout: "Layout", run: Made, mirrored: pl.DataFrame | None = None) -> Retrieval:
    """Return the queries and the gallery of a run's arm: of its ensemble's runs together, after its inference.

    mirrored: MIRRORED of the runs, where the inference looks at mirror images.
    """
    return answered(run, *embedded(layout, run, mirrored))


def embedded(
    layout: "Layout", run: Made, mirrored: pl.DataFrame | None = None
) -> tuple[list[Retrieval], list[Retrieval]]:
    """Return what each run behind an arm embeds, and, where its inference asks for it, the same seen in a mirror."""
    own = [_retrieval(layout, layout.vectors(folder, "final"), folder) for _, folder in run.runs]
    if mirrored is None or not needing("inference", run.inference, "flipped"):
        return own, []
    other = [(mirrored.filter(pl.col("run") == key), folder) for key, folder in run.runs]
    return own, [_retrieval(layout, layout.spread(table, folder), folder) for table, folder in other]


def answered(run: Made, own: list[Retrieval], seen: list[Retrieval]) -> Retrieval:
    """Return what an arm ranks, from what its runs embed (`embedded`): joined, then after its inference."""
    flipped = joined(seen, run.combine) if seen else None
    return infer(joined(own, run.combine), list(run.inference), flipped)


def _retrieval(layout: "Layout", vectors: np.ndarray, folder: Path) -> Retrieval:
    similarity = similarity_of(_provenance(folder)["geometry"]["name"])
    return Retrieval(vectors[layout.query], vectors[layout.gallery], **layout.places(), similarity=similarity)


def _row(values: dict[str, Any], contract: Contract) -> pl.DataFrame:
    named = {name: kind for name, kind in contract.columns.items() if name in values}
    return pl.DataFrame([{name: values[name] for name in named}], schema=named)


class Layout:
    """Which images of a role ask, and which images they are ranked among."""

    def __init__(self, split: pl.DataFrame, manifest: pl.DataFrame, gallery: str, role: str = "test") -> None:
        flanks = manifest.select("image", "flank")
        self.table = split.join(flanks, on="image", how="left", maintain_order="left")
        test = (split["role"] == role).to_numpy()
        sides = split["side"].to_list()
        candidates = test if gallery == "role" else (split["role"] != ASIDE).to_numpy()
        self.query = np.flatnonzero(test & np.array([side != "gallery" for side in sides]))
        self.gallery = np.flatnonzero(candidates & np.array([side != "query" for side in sides]))
        place = {row: position for position, row in enumerate(self.gallery)}
        self.query_index = np.array([place.get(row, -1) for row in self.query])
        (self.identity,), (self.group,) = integer_codes(split["identity"]), integer_codes(split["group"])

    @property
    def evaluated(self) -> np.ndarray:
        """Rows of the split that ask or are ranked, sorted."""
        return np.union1d(self.query, self.gallery)

    def rules(self) -> dict[str, np.ndarray]:
        """Return what decides the positives and the candidates of each query: arguments of `evaluate`, by name."""
        return {
            "query_identity": self.identity[self.query],
            "gallery_identity": self.identity[self.gallery],
            "query_index": self.query_index,
            "query_group": self.group[self.query],
            "gallery_group": self.group[self.gallery],
        }

    def places(self) -> dict[str, np.ndarray]:
        """Return what decides the candidates of each query: fields of `Retrieval`, by name."""
        return {name: codes for name, codes in self.rules().items() if not name.endswith("identity")}

    def score(self, asked: Retrieval) -> tuple[dict[str, float | int], pl.DataFrame]:
        """Return the metrics of a retrieval of this layout, and its table per query."""
        values, per_query = evaluate_asked(asked, self.identity[self.query], self.identity[self.gallery])
        described = self.table[self.query].select("image", "identity", "group", "flank")
        return values, pl.concat([described, per_query], how="horizontal")

    def id_map(self, folder: Path, stage: str, similarity: Similarity | None = None) -> float:
        """Return the headline alone: the identity-balanced mAP of a run's embeddings of one stage."""
        vectors, rules = self.vectors(folder, stage), self.rules()
        ap = average_precisions(vectors[self.query], vectors[self.gallery], **rules, similarity=similarity)
        return float(identity_balanced(ap, rules["query_identity"]))

    def vectors(self, folder: Path, stage: str) -> np.ndarray:
        """Return (images of the split, dim) float32; rows that the run did not embed are never read."""
        return self.spread(pl.read_parquet(folder / "embeddings.parquet").filter(pl.col("stage") == stage), folder)

    def spread(self, table: pl.DataFrame, folder: Path) -> np.ndarray:
        """Return (images of the split, dim) float32 of a table (image, vector) of the run in a folder."""
        row_of = {image: row for row, image in enumerate(self.table["image"])}
        rows = [row_of[image] for image in table["image"]]
        if not set(self.evaluated.tolist()) <= set(rows):
            raise ReidflowError(f"{folder}: lacks embeddings of images that are evaluated. Remove it and run again.")
        stored = np.stack(table["vector"].to_numpy()).astype(np.float32)
        vectors = np.zeros((len(self.table), stored.shape[1]), np.float32)
        vectors[rows] = stored
        return vectors


def _training(told: dict[str, Any], history: pl.DataFrame) -> dict[str, Any]:
    losses = history.filter(pl.col("loss").is_not_null())["loss"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(told["versions"].items()))
    return {
        "val_id_map": _validation(told["best_epoch"], history),
        "diverged": told["diverged"],
        "epochs": told["epochs"],
        "best_epoch": told["best_epoch"],
        "steps": told["steps"],
        "train_images": told["train_images"],
        "parameters": told["parameters"],
        "trainable_parameters": told["trainable_parameters"],
        "loss_parameters": told["loss_parameters"],
        "flops": told["flops"],
        "train_flops": told["train_flops"],
        "loss_first": losses[0] if len(losses) else None,
        "loss_last": losses[-1] if len(losses) else None,
        "gradient_norm_max": history["gradient_norm_max"].max(),
        "versions": f"{versions}, device {told['device']}",
    }


def _validation(kept: int, history: pl.DataFrame) -> float | None:
    """Return the validation score of the weights that the run kept; None without validation."""
    scores = history.filter(pl.col("epoch") == kept)["val_id_map"]
    return scores[0] if len(scores) else None


def _efficiency(folder: Path) -> dict[str, Any]:
    told = json.loads((folder / "efficiency.json").read_text())
    return {
        "seconds_train": told["seconds"],
        "images_per_second": told["images_per_second"],
        "peak_memory_mb": told["peak_memory_mb"],
        "device": told["device"],
    }


class Jobs(NamedTuple):
    """What an experiment's jobs say: the runs in the order of its arms, their plain specs, and arm -> why it has none."""

    runs: list[Made]
    specs: list[dict[str, Any]]
    unavailable: dict[str, str]


def merged(job_files: list[str], order: list[str], store: RunStore) -> Jobs:
    """Return what an experiment's jobs say; `order`: its arms."""
    contents = [json.loads(Path(file).read_text()) for file in job_files]
    told = sorted((run for content in contents for run in content["runs"]), key=lambda run: order.index(run["arm"]))
    runs = [Made.of(run["arm"], run, store) for run in told]
    missing = {arm: reason for content in contents for arm, reason in content["unavailable"].items()}
    return Jobs(runs, [run["spec"] for run in told], missing)
