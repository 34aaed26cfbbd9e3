"""The table of inference methods: what each adds, for which queries and identities, and what it needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import compare
from reidflow.spec.components import needing
from reidflow.spec.experiment import Experiment
from reidflow.spec.inference import around_ranking, transductive
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import INCONCLUSIVE
from reidflow.tables.identities import rarity
from reidflow.tables.text import NOISE, ranking_words, setting

PLAIN, SINGLE, COMBINATION, ENSEMBLE = "plain", "single", "combination", "ensemble"
_S, _I, _F = pl.String, pl.Int64, pl.Float64
_RESULT = (
    "val_id_map", "id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable", "top1", "top5",
    "top10",
)  # fmt: skip
INFERENCE = Contract(
    "inference of arms",
    [
        *columns("experiment", "arm", "baseline"),
        Column("kind", _S, "kind", "text",
               "plain; single: one method; combination: several; ensemble: of runs, with any methods."),
        Column("methods", _S, "methods", "text", "Inference methods with their parameters, in the order of their use."),
        Column("transductive", pl.Boolean, "transductive", "yes_no",
               "Whether the answer to a query depends on the other queries."),
        Column("runs", _I, "runs", "count", "Runs that are trained for each seed."),
        Column("forward_passes", _I, "forward passes", "count", "Forward passes of an image through a network."),
        *columns(*_RESULT, "interval"),
        column("verdict").but(nullable=True),
        *columns("ties_with_best"),
        Column("compared", _I, "queries", "count", "Queries of all seeds that both the arm and the baseline score."),
        Column("better", _I, "better", "count", "Those that have a higher average precision than with the baseline."),
        Column("worse", _I, "worse", "count", "Those that have a lower average precision than with the baseline."),
        Column("few", _I, "few images", "count",
               "Most images in the gallery that an identity with few images has: the median.", nullable=True),
        Column("compared_few", _I, "queries, few images", "count", "Queries of identities with few images.", nullable=True),
        Column("better_few", _I, "better, few images", "count", "Those that rank better.", nullable=True),
        Column("worse_few", _I, "worse, few images", "count", "Those that rank worse.", nullable=True),
        Column("few_delta", _F, "difference, few images", "signed",
               "Difference from the baseline over the identities with few images.", nullable=True),
        Column("few_low", _F, "lower end", "signed", "Lower end of its interval.", nullable=True),
        Column("few_high", _F, "upper end", "signed", "Upper end of its interval.", nullable=True),
        Span("few_interval", ("few_low", "few_high"), "interval, few images", "interval",
             "Simultaneous 95 % interval of that difference, corrected over the arms."),
        Column("few_p_adjusted", _F, "adjusted p, few images", "probability", "p value of it, corrected over the arms.", nullable=True),
        column("verdict").but(name="few_verdict", heading="verdict, few images", nullable=True),
        Column("many_delta", _F, "difference, more images", "signed",
               "Difference from the baseline over the identities with more images.", nullable=True),
        Column("rho", _F, "trend", "signed2",
               "Spearman's correlation of an identity's difference and its images in the gallery.", nullable=True),
        Column("rho_low", _F, "lower end", "signed2", "Lower end of the correlation's interval.", nullable=True),
        Column("rho_high", _F, "upper end", "signed2", "Upper end of the correlation's interval.", nullable=True),
        Span("rho_interval", ("rho_low", "rho_high"), "interval of the trend", "interval2",
             "95 % interval of the correlation, corrected over the arms."),
        Column("over", _S, "single method", "text",
               "Single method that is best on validation, with which a combination is compared.", nullable=True),
        Column("over_delta", _F, "difference", "signed",
               "Balanced mAP of the combination minus the single method's, paired by identity and seed.", nullable=True),
        Column("over_low", _F, "lower end", "signed", "Lower end of its interval.", nullable=True),
        Column("over_high", _F, "upper end", "signed", "Upper end of its interval.", nullable=True),
        Span("over_interval", ("over_low", "over_high"), "interval", "interval",
             "Simultaneous 95 % interval of that difference, corrected over the combinations."),
        Column("over_p_adjusted", _F, "adjusted p", "probability", "p value of it, corrected over the combinations.", nullable=True),
        column("verdict").but(name="over_verdict", nullable=True),
    ],
)  # fmt: skip


def inference_table(
    experiment: Experiment,
    specs: Mapping[str, Mapping[str, Any]],
    results: pl.DataFrame,
    per_query: pl.DataFrame,
    comparisons: pl.DataFrame,
    images: Mapping[str, int],
    level: float = LEVEL,
) -> pl.DataFrame:
    """Return INFERENCE, a row per arm that was run, in the order of the experiment.

    specs: arm -> the plain spec of one of its runs. results, comparisons, per_query: RESULTS, COMPARISONS and PER_QUERY
    of the experiment. images: identity -> its images in the gallery.
    """
    scores = {row["arm"]: row for row in results.to_dicts()}
    arms = [name for name in experiment.arms if name in specs]
    by_identity, differences = _counted(comparisons, images), _differences(comparisons)
    baseline = per_query.filter((pl.col("arm") == experiment.file.baseline) & pl.col("ap").is_finite())
    known, middle = rarity(by_identity, level), _middle([images.get(i, 0) for i in baseline["identity"].unique()])
    rows = []
    for name in arms:
        own = scores.get(name, {})
        row = {
            "experiment": experiment.name,
            "arm": name,
            "baseline": name == experiment.file.baseline,
            **described(specs[name]),
            **{column: own.get(column) for column in (*_RESULT, "verdict")},
            "ties_with_best": bool(own.get("ties_with_best")),
            **_gains(per_query.filter(pl.col("arm") == name), baseline, images, middle),
        }
        if name in known:
            row |= {"rho": known[name].rho, "rho_low": known[name].low, "rho_high": known[name].high}
        rows.append(row)
    if middle is not None:
        few = {i for i, count in images.items() if count <= middle}
        _compare_few(rows, differences, few, level, experiment.equivalence)
    _compare_combinations(rows, differences, level, experiment.equivalence)
    return pl.DataFrame(
        [{column: row.get(column) for column in INFERENCE.columns} for row in rows], schema=INFERENCE.columns
    )


def described(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inference of a plain run spec: kind, methods, transductive, runs, forward_passes."""
    steps, ensemble = spec["inference"], spec["ensemble"]
    runs = ensemble["seeds"] * (1 + len(ensemble["members"])) if ensemble else 1
    methods = [describe(step) for step in steps]
    if spec["ranking"]:
        before, after = around_ranking(steps)
        methods = [*map(describe, before), f"ranked by {ranking_words(spec['ranking'])}", *map(describe, after)]
    kind = ENSEMBLE if ensemble else (PLAIN, SINGLE, COMBINATION)[min(len(methods), 2)]
    if ensemble:
        how = "similarities averaged" if ensemble["combine"] == "average" else "embeddings concatenated"
        methods.insert(0, f"{runs} runs, {how}")
    return {
        "kind": kind,
        "methods": ", then ".join(methods) or "none",
        "transductive": bool(transductive(steps)),
        "runs": runs,
        "forward_passes": runs * (2 if needing("inference", steps, "flipped") else 1),
    }


def describe(step: Mapping[str, Any]) -> str:
    """Return a resolved component with its parameters: `k reciprocal (k1 20, k2 6, lambda 0.3)`."""
    parameters = [f"{key.rstrip('_')} {setting(value)}" for key, value in step.items() if key != "name"]
    name = step["name"].rpartition(".")[2].replace("_", " ")
    return f"{name} ({', '.join(parameters)})" if parameters else name


def preferred(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row with the highest validation mAP (test mAP where none has one); of equals the first."""
    scored = [row for row in rows if row["id_map"] is not None]
    column = "val_id_map" if any(row["val_id_map"] is not None for row in scored) else "id_map"
    found = [row for row in scored if row[column] is not None]
    return max(found, key=lambda row: round(row[column], 12), default=None)


def _middle(counts: list[int]) -> int | None:
    """Return the median up to which an identity has few images; None where all have equally many."""
    return int(np.median(counts)) if len(set(counts)) > 1 else None


def _counted(comparisons: pl.DataFrame, images: Mapping[str, int]) -> pl.DataFrame:
    """Return the comparisons with images in the gallery in place of training images."""
    counts = pl.col("identity").replace_strict(dict(images), default=0, return_dtype=pl.Int64)
    return comparisons.with_columns(train_images=counts)


def _gains(own: pl.DataFrame, baseline: pl.DataFrame, images: Mapping[str, int], middle: int | None) -> dict[str, Any]:
    """Return how many queries rank better and worse, of all identities and of those with few images in the gallery."""
    keys = ["seed", "image"]
    before = baseline.select(*keys, before="ap")
    paired = own.filter(pl.col("ap").is_finite()).join(before, on=keys, how="inner", validate="1:1")
    change = paired.select("identity", change=pl.col("ap") - pl.col("before"))
    few = [] if middle is None else [identity for identity, count in images.items() if count <= middle]
    found = {"few": middle}
    for ending, part in (("", change), ("_few", change.filter(pl.col("identity").is_in(few)))):
        found[f"compared{ending}"] = len(part)
        found[f"better{ending}"] = int((part["change"] > NOISE).sum())
        found[f"worse{ending}"] = int((part["change"] < -NOISE).sum())
    return found


def _compare_few(
    rows: list[dict[str, Any]],
    differences: Mapping[str, Mapping[str, list[float]]],
    few: set[str],
    level: float,
    margin: float | None,
) -> None:
    """Add to the rows the difference of identities with few images from the baseline, and the mean of the others."""
    parts: dict[str, np.ndarray] = {}
    for row in rows:
        own = differences.get(row["arm"], {})
        inside, outside = ([values for i, values in own.items() if (i in few) == wanted] for wanted in (True, False))
        row["many_delta"] = float(np.mean(outside)) if outside else None
        if inside:
            parts[row["arm"]] = np.array(inside, float)
    _judge(rows, parts, "few", level, margin)


def _compare_combinations(
    rows: list[dict[str, Any]],
    differences: Mapping[str, Mapping[str, list[float]]],
    level: float,
    margin: float | None,
) -> None:
    """Add the comparison with the best single method to the rows of combinations."""
    best = preferred([row for row in rows if row["kind"] == SINGLE])
    combinations = [row for row in rows if row["kind"] == COMBINATION and row["arm"] in differences]
    if best is None or best["arm"] not in differences:
        return
    for row in combinations:
        row["over"] = best["arm"]
    against = differences[best["arm"]]
    pairs = {row["arm"]: _paired(differences[row["arm"]], against) for row in combinations}
    _judge(rows, pairs, "over", level, margin)


def _judge(
    rows: list[dict[str, Any]], parts: Mapping[str, np.ndarray], prefix: str, level: float, margin: float | None
) -> None:
    """Add comparisons of (identities, seeds) differences to the rows of their arms, corrected over these."""
    found = compare({arm: values for arm, values in parts.items() if min(values.shape) >= 2}, level, margin=margin)
    for row in rows:
        values = parts.get(row["arm"])
        if values is None or not values.size:
            continue
        own = found.get(row["arm"])
        compared = {"delta": float(values.mean()), "verdict": INCONCLUSIVE}
        if own is not None:
            compared = {
                "delta": own.delta,
                "low": own.low,
                "high": own.high,
                "p_adjusted": own.p_adjusted,
                "verdict": own.verdict,
            }
        row |= {f"{prefix}_{name}": value for name, value in compared.items()}


def _differences(comparisons: pl.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return arm -> identity -> its differences from the baseline by seed, over all queries."""
    own = comparisons.filter(pl.col("flank").is_null() & pl.col("delta_by_seed").is_not_null())
    found: dict[str, dict[str, list[float]]] = {}
    for arm, identity, values in own.select("arm", "identity", "delta_by_seed").iter_rows():
        found.setdefault(arm, {})[identity] = values
    return found


def _paired(ours: Mapping[str, list[float]], theirs: Mapping[str, list[float]]) -> np.ndarray:
    """Return (identities, seeds): one arm minus another, both as differences from the same baseline."""
    shared = [identity for identity in ours if identity in theirs]
    seeds = min((min(len(ours[i]), len(theirs[i])) for i in shared), default=0)
    values = [np.subtract(ours[i][:seeds], theirs[i][:seeds]) for i in shared]
    return np.array(values, float).reshape(len(shared), seeds)
