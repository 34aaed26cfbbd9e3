"""Tables of an experiment on image sizes: the training cost of each arm, and its mAP at several sizes."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.image_versions import BOTH
from reidflow.evaluation.statistics import Comparison, compare
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.quantities import Quantity
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import EvaluatedArm, mean
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import LEVEL, in_order, judged, places
from reidflow.tables.experiment import BASELINE, INCONCLUSIVE
from reidflow.tables.quantities import by_cost, described

_RESULT = columns(
    "id_map", "id_map_std", "delta", "delta_low", "delta_high", "interval", "p_adjusted", "smallest_detectable", "verdict",
)  # fmt: skip
RESIZING = Contract(
    "training of arms at several sizes",
    [
        *columns("experiment", "arm", "baseline"),
        column("matched").but(
            heading="matched by", meaning="What is equal to a run at one size: epochs or flops; empty without stages.", nullable=True
        ),
        Column("sizes", pl.List(pl.Int64), "sizes", "setting", "Side of the images in each epoch of the longest run.", "px"),
        Column("epochs", pl.Float64, "epochs", "count", "Epochs of training; mean over seeds."),
        column("train_flops").but(nullable=False),
        Column("share", pl.Float64, "of the baseline's", "share", "Training FLOPs over those of the baseline.", nullable=True),
        *_RESULT[:-1],
        column("verdict").but(nullable=True),
    ],
)  # fmt: skip
SIZES = Contract(
    "arms tested at several sizes",
    [
        *columns("experiment", "arm", "baseline"),
        *columns("tested_on"),
        Column("scale", pl.Float64, "scale", "magnitude", "Side of the tested images over the side of the model's input."),
        Column("size", pl.Int64, "size", "count", "Side of queries and gallery.", "px"),
        *columns("seeds"),
        column("id_map").but(nullable=False),
        *columns("id_map_std"),
        column("chance").but(nullable=False),
        column("id_map_by_seed").but(nullable=False),
        *columns("delta", "delta_low", "delta_high", "interval", "p_adjusted", "smallest_detectable", "verdict"),
        Column("from_full", pl.Float64, "from full size", "signed", "Balanced mAP minus that of the same arm at full size."),
    ],
)  # fmt: skip


def training_table(
    experiment: Experiment, metrics: pl.DataFrame, history: pl.DataFrame, results: pl.DataFrame
) -> pl.DataFrame:
    """Return RESIZING, a row an arm that has results, in the order of the experiment.

    metrics, history: of the experiment's runs. results: its RESULTS.
    """
    known = {row["arm"]: row for row in results.to_dicts()}
    cost = dict(metrics.group_by("arm").agg(pl.col("train_flops").mean()).iter_rows())
    full = cost.get(experiment.file.baseline)
    rows = []
    for name, arm in experiment.arms.items():
        if name not in cost:
            continue
        resizing = arm.spec.resizing
        rows.append(
            {
                "experiment": experiment.name,
                "arm": name,
                "baseline": name == experiment.file.baseline,
                "matched": resizing.matched if resizing else None,
                "sizes": _sizes(history.filter(pl.col("arm") == name)),
                "epochs": metrics.filter(pl.col("arm") == name)["epochs"].mean(),
                "train_flops": cost[name],
                "share": cost[name] / full if full else None,
                **{key: known.get(name, {}).get(key) for each in _RESULT for key in each.fields},
            }
        )
    return pl.DataFrame(rows, schema=RESIZING.columns)


def _sizes(history: pl.DataFrame) -> list[int]:
    """Return the size of the images in each epoch of an arm's longest run."""
    trained = history.filter(pl.col("size").is_not_null())
    runs = [run.sort("epoch")["size"].to_list() for run in trained.partition_by("seed", maintain_order=True)]
    return max(runs, key=len, default=[])


def sizes_table(experiment: Experiment, tested: pl.DataFrame | None, level: float = LEVEL) -> pl.DataFrame:
    """Return SIZES: arms in the order of the experiment, versions from the smallest to the largest.

    tested: the TESTED_ON table of all arms, None where nothing was tested. The differences at a size are corrected over
    the arms, as those at full size in the experiment's results. Raises ReidflowError where an arm was not tested.
    """
    versions = {label: v for label, v in experiment.file.tested_on.items() if v.unchanged or v.resized}
    if tested is None or not versions:
        return SIZES.empty()
    labels = sorted(versions, key=lambda label: versions[label].scale)
    full = next(label for label in labels if versions[label].unchanged)
    cubes = {name: _Cube(tested, name, labels, experiment.path) for name in _tested_arms(experiment, tested)}
    found = {label: _judged(cubes, experiment, label, level) for label in labels}
    rows = []
    for name, cube in cubes.items():
        baseline = name == experiment.file.baseline
        for label in labels:
            values = [mean(column) for column in cube.scores[label].T.tolist()]
            size = versions[label].size(experiment.arms[name].spec.model.size)
            row = {
                "experiment": experiment.name,
                "arm": name,
                "baseline": baseline,
                "tested_on": label,
                "scale": versions[label].scale,
                "size": size,
                "seeds": len(values),
                "id_map": mean(values),
                "id_map_std": statistics.stdev(values) if len(values) > 1 else None,
                "id_map_by_seed": values,
                "chance": cube.chance,
                "verdict": BASELINE if baseline else INCONCLUSIVE,
                "from_full": mean((cube.scores[label] - cube.scores[full]).ravel().tolist()),
            }
            rows.append(row | _difference(found[label].get(name)))
    return pl.DataFrame([{key: row.get(key) for key in SIZES.columns} for row in rows], schema=SIZES.columns)


def quantity_rows(
    experiment: Experiment, evaluated: Mapping[str, EvaluatedArm], sizes: pl.DataFrame, quantities: Sequence[Quantity]
) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES. sizes: of `sizes_table`. quantities: those of the module."""
    per_operation, *at = quantities
    rows = by_cost(per_operation, experiment, evaluated, "train_flops", 1e12)
    differences = ("delta", "delta_low", "delta_high", "p_adjusted", "verdict")
    for quantity in at:
        own = sizes.filter(pl.col("tested_on") == quantity.name.removeprefix("at "))
        rows += described(
            quantity,
            (
                {
                    "arm": row["arm"],
                    "value": row["id_map"],
                    "std": row["id_map_std"],
                    "reference": None if row["baseline"] else experiment.file.baseline,
                    **{key: row[key] for key in differences},
                }
                for row in own.to_dicts()
            ),
        )
    return rows


class _Cube:
    """An arm's tests: `scores` label -> (I, S), identities sorted, seeds in order."""

    def __init__(self, tested: pl.DataFrame, arm: str, labels: list[str], where: str) -> None:
        own = tested.filter((pl.col("arm") == arm) & (pl.col("mode") == BOTH))
        self.identities = own["identity"].unique().sort().to_list()
        self.seeds = own["seed"].unique(maintain_order=True).to_list()
        self.chance = own["ap_chance"].mean()
        ap = {tuple(key): value for *key, value in own.select("tested_on", "identity", "seed", "ap").iter_rows()}
        try:
            self.scores = {
                label: np.array([[ap[label, identity, seed] for seed in self.seeds] for identity in self.identities])
                for label in labels
            }
        except KeyError as error:
            raise ReidflowError(
                f"{where}: the arm '{arm}' was not tested on {error}. Delete the experiment's tested_on.parquet and run "
                "again."
            ) from error


def _tested_arms(experiment: Experiment, tested: pl.DataFrame) -> Iterator[str]:
    known = set(tested["arm"])
    if experiment.file.baseline not in known:
        raise ReidflowError(f"{experiment.path}: the baseline {experiment.file.baseline} was not tested. Run it.")
    return (name for name in experiment.arms if name in known)


def _judged(
    cubes: Mapping[str, _Cube], experiment: Experiment, label: str, level: float
) -> dict[str, Comparison | float]:
    """Return arm -> its comparison with the baseline at a size; the mean difference where there are too few seeds or identities."""
    base, differences = cubes[experiment.file.baseline], {}
    for name, cube in cubes.items():
        if name == experiment.file.baseline:
            continue
        shared = in_order(cube.identities, base.identities)
        seeds = min(len(cube.seeds), len(base.seeds))
        ours, theirs = (places(own.identities, shared) for own in (cube, base))
        differences[name] = cube.scores[label][ours, :seeds] - base.scores[label][theirs, :seeds]
    enough = {name: values for name, values in differences.items() if min(values.shape) >= 2}
    known = {name: float(values.mean()) for name, values in differences.items() if values.size}
    return known | compare(enough, level, margin=experiment.equivalence)


def _difference(found: Comparison | float | None) -> dict[str, Any]:
    if not isinstance(found, Comparison):
        return {} if found is None else {"delta": found}
    return {"delta": found.delta, **judged(found)}
