"""The table of an experiment on what is done with embeddings before ranking: what it gives, to whom, and what it needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.statistics import compare
from reidflow.spec.components import needing
from reidflow.spec.experiment import Experiment
from reidflow.spec.inference import transductive
from reidflow.store.tables import Contract
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import INCONCLUSIVE
from reidflow.tables.identities import rarity
from reidflow.tables.text import NOISE, setting

PLAIN, SINGLE, COMBINATION, ENSEMBLE = "plain", "single", "combination", "ensemble"
_RESULT = dict.fromkeys(
    (
        *("val_id_map", "id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_holm", "smallest_detectable"),
        *("top1", "top5", "top10"),
    ),
    pl.Float64,
)
_OVER = dict.fromkeys(("over_delta", "over_low", "over_high", "over_p_holm"), pl.Float64)
_FEW = {
    "few": pl.Int64,  # identities with at most so many images in the gallery have few: the median
    **dict.fromkeys(("asked_few", "better_few", "worse_few"), pl.Int64),
    # Mean difference of these identities with its interval and p, corrected over the arms; and that of the others.
    **dict.fromkeys(("few_delta", "few_low", "few_high", "few_p_holm"), pl.Float64),
    "few_verdict": pl.String,
    "many_delta": pl.Float64,
    # Spearman's correlation of an identity's difference with its images in the gallery, corrected over the arms.
    **dict.fromkeys(("rho", "rho_low", "rho_high"), pl.Float64),
}
INFERENCE = Contract(
    "inference of arms",
    {
        "experiment": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        "kind": pl.String,  # plain, single (one method), combination (several), ensemble (of runs, with any methods)
        "methods": pl.String,
        "transductive": pl.Boolean,  # uses the other queries: it answers a set of queries at once
        "runs": pl.Int64,  # trained for each seed
        "forward_passes": pl.Int64,  # of one image through a network
        **_RESULT,  # of the experiment's results
        "verdict": pl.String,
        "ties_with_best": pl.Boolean,
        # Queries of all seeds that both the arm and the baseline score; those whose ap is higher, lower than the baseline's.
        **dict.fromkeys(("asked", "better", "worse"), pl.Int64),
        **_FEW,
        "over": pl.String,  # the single method that a combination is compared with: best on validation
        **_OVER,  # paired by identity and seed, corrected over the combinations
        "over_verdict": pl.String,
    },
    nullable=frozenset({*_RESULT, "verdict", *_FEW, "over", *_OVER, "over_verdict"}),
)


def inference_table(
    experiment: Experiment,
    specs: Mapping[str, Mapping[str, Any]],
    results: pl.DataFrame,
    per_query: pl.DataFrame,
    comparisons: pl.DataFrame,
    images: Mapping[str, int],
    level: float = LEVEL,
) -> pl.DataFrame:
    """Return INFERENCE, a row an arm that was run, in the order of the experiment.

    specs: arm -> the plain spec of one of its runs. results, comparisons, per_query: RESULTS, COMPARISONS and PER_QUERY
    of the experiment. images: identity -> its images in the gallery.
    """
    told = {row["arm"]: row for row in results.to_dicts()}
    arms = [name for name in experiment.arms if name in specs]
    by_identity, differences = _counted(comparisons, images), _differences(comparisons)
    baseline = per_query.filter((pl.col("arm") == experiment.file.baseline) & pl.col("ap").is_finite())
    known, middle = rarity(by_identity, level), _middle([images.get(i, 0) for i in baseline["identity"].unique()])
    rows = []
    for name in arms:
        own = told.get(name, {})
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
        _compare_few(rows, differences, {i for i, count in images.items() if count <= middle}, level)
    _compare_combinations(rows, differences, level)
    return pl.DataFrame(
        [{column: row.get(column) for column in INFERENCE.columns} for row in rows], schema=INFERENCE.columns
    )


def described(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plain run spec does with embeddings: kind, methods in words, transductive, runs, forward_passes."""
    steps, ensemble = spec["inference"], spec["ensemble"]
    runs = ensemble["seeds"] * (1 + len(ensemble["members"])) if ensemble else 1
    kind = ENSEMBLE if ensemble else (PLAIN, SINGLE, COMBINATION)[min(len(steps), 2)]
    words = [in_words(step) for step in steps]
    if ensemble:
        how = "similarities averaged" if ensemble["combine"] == "average" else "embeddings side by side"
        words.insert(0, f"{runs} runs, {how}")
    return {
        "kind": kind,
        "methods": ", then ".join(words) or "none",
        "transductive": bool(transductive(steps)),
        "runs": runs,
        "forward_passes": runs * (2 if needing("inference", steps, "flipped") else 1),
    }


def in_words(step: Mapping[str, Any]) -> str:
    """Return a resolved component in words: `k reciprocal (k1 20, k2 6, lambda 0.3)`."""
    told = [f"{key.rstrip('_')} {setting(value)}" for key, value in step.items() if key != "name"]
    name = step["name"].rpartition(".")[2].replace("_", " ")
    return f"{name} ({', '.join(told)})" if told else name


def preferred(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row that validation prefers (test, where none has a validation score); of equals the first."""
    scored = [row for row in rows if row["id_map"] is not None]
    column = "val_id_map" if any(row["val_id_map"] is not None for row in scored) else "id_map"
    found = [row for row in scored if row[column] is not None]
    return max(found, key=lambda row: round(row[column], 12), default=None)


def _middle(counts: list[int]) -> int | None:
    """Return the median up to which an identity has few images; None where all have equally many."""
    return int(np.median(counts)) if len(set(counts)) > 1 else None


def _counted(comparisons: pl.DataFrame, images: Mapping[str, int]) -> pl.DataFrame:
    """Return the comparisons with images in the gallery in the place of training images."""
    counts = pl.col("identity").replace_strict(dict(images), default=0, return_dtype=pl.Int64)
    return comparisons.with_columns(train_images=counts)


def _gains(own: pl.DataFrame, baseline: pl.DataFrame, images: Mapping[str, int], middle: int | None) -> dict[str, Any]:
    """Return how many queries got better and worse, of all identities and of those with few images in the gallery."""
    keys = ["seed", "image"]
    before = baseline.select(*keys, before="ap")
    paired = own.filter(pl.col("ap").is_finite()).join(before, on=keys, how="inner", validate="1:1")
    change = paired.select("identity", change=pl.col("ap") - pl.col("before"))
    few = [] if middle is None else [identity for identity, count in images.items() if count <= middle]
    found = {"few": middle}
    for ending, part in (("", change), ("_few", change.filter(pl.col("identity").is_in(few)))):
        found[f"asked{ending}"] = len(part)
        found[f"better{ending}"] = int((part["change"] > NOISE).sum())
        found[f"worse{ending}"] = int((part["change"] < -NOISE).sum())
    return found


def _compare_few(
    rows: list[dict[str, Any]], differences: Mapping[str, Mapping[str, list[float]]], few: set[str], level: float
) -> None:
    """Lay into the rows how identities with few images differ from the baseline, and the mean of the others."""
    parts: dict[str, np.ndarray] = {}
    for row in rows:
        own = differences.get(row["arm"], {})
        inside, outside = ([values for i, values in own.items() if (i in few) == wanted] for wanted in (True, False))
        row["many_delta"] = float(np.mean(outside)) if outside else None
        if inside:
            parts[row["arm"]] = np.array(inside, float)
    _judge(rows, parts, "few", level)


def _compare_combinations(
    rows: list[dict[str, Any]], differences: Mapping[str, Mapping[str, list[float]]], level: float
) -> None:
    """Lay the comparison with the best single method into the rows of combinations."""
    best = preferred([row for row in rows if row["kind"] == SINGLE])
    combinations = [row for row in rows if row["kind"] == COMBINATION and row["arm"] in differences]
    if best is None or best["arm"] not in differences:
        return
    for row in combinations:
        row["over"] = best["arm"]
    against = differences[best["arm"]]
    _judge(rows, {row["arm"]: _paired(differences[row["arm"]], against) for row in combinations}, "over", level)


def _judge(rows: list[dict[str, Any]], parts: Mapping[str, np.ndarray], prefix: str, level: float) -> None:
    """Lay the comparisons of (identities, seeds) differences into the rows of their arms, corrected over these."""
    found = compare({arm: values for arm, values in parts.items() if min(values.shape) >= 2}, level)
    for row in rows:
        values = parts.get(row["arm"])
        if values is None or not values.size:
            continue
        own = found.get(row["arm"])
        told = {"delta": float(values.mean()), "verdict": INCONCLUSIVE}
        if own is not None:
            told = {"delta": own.delta, "low": own.low, "high": own.high, "p_holm": own.p_holm, "verdict": own.verdict}
        row |= {f"{prefix}_{name}": value for name, value in told.items()}


def _differences(comparisons: pl.DataFrame) -> dict[str, dict[str, list[float]]]:
    """Return arm -> identity -> its differences to the baseline by seed, over all queries."""
    own = comparisons.filter(pl.col("flank").is_null() & pl.col("delta_by_seed").is_not_null())
    found: dict[str, dict[str, list[float]]] = {}
    for arm, identity, values in own.select("arm", "identity", "delta_by_seed").iter_rows():
        found.setdefault(arm, {})[identity] = values
    return found


def _paired(ours: Mapping[str, list[float]], theirs: Mapping[str, list[float]]) -> np.ndarray:
    """Return (identities, seeds): one arm minus another, both as differences to the same baseline."""
    shared = [identity for identity in ours if identity in theirs]
    seeds = min((min(len(ours[i]), len(theirs[i])) for i in shared), default=0)
    values = [np.subtract(ours[i][:seeds], theirs[i][:seeds]) for i in shared]
    return np.array(values, float).reshape(len(shared), seeds)
