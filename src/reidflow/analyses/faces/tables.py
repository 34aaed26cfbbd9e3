"""The tables of a competition's program: every configuration on both sides, the architectures, and what they cost."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from reidflow.analyses.faces.arms import Entry, baseline_of, controlled, entries
from reidflow.analyses.faces.score import KEYS, score, score_error, share_error, spread
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Contract
from reidflow.tables.arms import by_arm, known, mean
from reidflow.tables.comparisons import UNAVAILABLE

MEANS = ("top1", "top5", "top10", "map", "id_map", "nmi", "intra", "inter")
"""Of METRICS: means over seeds."""
SCORES = ("score", "score_std", "score_low", "score_high")
PUBLISHED = ("top1", "top5", "top10", "map", "score", "seconds")
_PUBLISHED = {f"published_{key}": pl.Float64 for key in PUBLISHED}
_SETTINGS = {
    "architecture": pl.String,
    "learning_rate": pl.Float64,
    "epochs": pl.Int64,
    "batch": pl.Int64,
    "normalised": pl.Boolean,
    "augmented": pl.Boolean,
}
_MEASURED = {
    "seeds": pl.Int64,
    "queries": pl.Int64,  # scored, of a run
    **dict.fromkeys(MEANS, pl.Float64),
    "top1_error": pl.Float64,  # standard error of one run's top-1 from the number of its queries
    **dict.fromkeys(SCORES, pl.Float64),  # mean over seeds, their spread, and the 95 % interval of the mean
    "score_error": pl.Float64,  # standard error of one run's score from the number of its queries
    "score_by_seed": pl.List(pl.Float64),
}
CONFIGURATIONS = Contract(
    "configurations of a program",
    {
        "experiment": pl.String,
        "side": pl.String,
        "configuration": pl.String,
        "arm": pl.String,  # whose runs it is; null where the experiment has none for it
        "baseline": pl.Boolean,  # whether it is the configuration of the experiment's baseline
        "controlled": pl.Boolean,  # whether it differs from that in the architecture alone
        **_SETTINGS,
        "place": pl.Int64,  # by score among the arms of its side, from 1
        **_MEASURED,
        **_PUBLISHED,
        "note": pl.String,
    },
    nullable=frozenset({"arm", "learning_rate", "epochs", "batch", "place", *_MEASURED, *_PUBLISHED}),
)
ARCHITECTURES = Contract(
    "architectures under the baseline's settings",
    {
        "experiment": pl.String,
        "side": pl.String,
        "architecture": pl.String,
        "configuration": pl.String,
        "arm": pl.String,
        "baseline": pl.Boolean,
        **_MEASURED,
        "relative_score": pl.Float64,  # to the best of its side
        **_PUBLISHED,
        "published_relative_score": pl.Float64,
    },
    nullable=frozenset({"arm", *_MEASURED, "relative_score", *_PUBLISHED, "published_relative_score"}),
)
_TIMES = ("seconds_train", "images_per_second", "latency_ms", "seconds_embedding", "seconds", "score_per_minute")
_RELATIVE = ("relative_speed", "published_score_per_minute", "published_relative_speed")
CONFIGURATIONS_EFFICIENCY = Contract(
    "seconds of configurations, measured on this machine",
    {
        "experiment": pl.String,
        "side": pl.String,
        "configuration": pl.String,
        "arm": pl.String,
        "architecture": pl.String,
        "controlled": pl.Boolean,
        "embedded": pl.Int64,  # passes of images through the frozen network; 0 where training does them itself
        **dict.fromkeys(_TIMES, pl.Float64),  # seconds: training and embedding; null without a measured speed
        **dict.fromkeys(_RELATIVE, pl.Float64),  # speed to the slowest architecture under the baseline's settings
    },
    nullable=frozenset({"arm", "embedded", *_TIMES, *_RELATIVE}),
)


def configurations_table(experiment: Experiment, metrics: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Return CONFIGURATIONS: those as described, then those with a trained projection, in the order of the file.

    metrics: of the experiment's runs. results: its RESULTS, which tell why an arm could not be run.
    """
    found = entries(experiment)
    baseline = baseline_of(found, experiment.file.baseline)
    fixed = {(entry.side, entry.name) for entry in controlled(found, baseline)}
    runs, why = by_arm(metrics), _reasons(results)
    weights = dict(experiment.file.score or {})
    measured = {name: _measured(own, weights) for name, own in runs.items()}
    places = _places(found, measured)
    rows = [
        {
            "experiment": experiment.name,
            "side": entry.side,
            "configuration": entry.name,
            "arm": entry.arm,
            "baseline": entry.configuration == baseline,
            "controlled": (entry.side, entry.name) in fixed,
            **vars(entry.configuration),
            "place": places.get((entry.side, entry.arm)),
            **measured.get(entry.arm, {}),
            **published(experiment, entry.name),
            "note": _note(entry, measured, why),
        }
        for entry in found
    ]
    return _frame(rows, CONFIGURATIONS)


def architectures_table(configurations: pl.DataFrame) -> pl.DataFrame:
    """Return ARCHITECTURES: the configurations that differ from the baseline in the architecture alone, by side."""
    rows = configurations.filter("controlled").to_dicts()
    best = _best(rows, "score")
    theirs = max((row["published_score"] for row in rows if row["published_score"] is not None), default=None)
    for row in rows:
        row["relative_score"] = _ratio(row["score"], best.get(row["side"]))
        row["published_relative_score"] = _ratio(row["published_score"], theirs)
    return _frame(rows, ARCHITECTURES)


def efficiency_table(configurations: pl.DataFrame, efficiency: pl.DataFrame, images: Mapping[str, int]) -> pl.DataFrame:
    """Return CONFIGURATIONS_EFFICIENCY, rows as in `configurations`.

    efficiency: the experiment's EFFICIENCY. images: arm -> passes of images through its frozen network: 0 for an arm
    that trains on images, whose seconds hold them.
    """
    timed = {row["arm"]: row for row in efficiency.to_dicts()}
    measured = any(row["throughput"] is not None for row in timed.values())
    rows = []
    for row in configurations.to_dicts():
        cost = timed.get(row["arm"], {})
        times = _times(cost, images.get(row["arm"]), measured)
        rows.append({**row, **times, "score_per_minute": _per_minute(row["score"], times["seconds"])})
        rows[-1]["published_score_per_minute"] = _per_minute(row["published_score"], row["published_seconds"])
    for ours, seconds in (("relative_speed", "seconds"), ("published_relative_speed", "published_seconds")):
        slowest = _best([row for row in rows if row["controlled"]], seconds)
        for row in rows:
            row[ours] = _ratio(slowest.get(row["side"]), row[seconds])
    return _frame(rows, CONFIGURATIONS_EFFICIENCY)


def embedded_images(experiment: Experiment, roles: Mapping[str, int]) -> dict[str, int]:
    """Return arm -> how many passes through its network the experiment needs: arguments of `efficiency_table`.

    roles: role -> images. The images of val and test are passed once, those of train as often as there are views and
    once as they are, where a head is trained on their features.
    """
    found = {}
    for name, arm in experiment.arms.items():
        evaluated = roles.get("val", 0) + roles.get("test", 0)
        trained = roles.get("train", 0) * (1 + arm.spec.views) if arm.spec.model.trainable.name == "head" else 0
        found[name] = evaluated + trained if arm.spec.frozen else 0
    return found


def published(experiment: Experiment, configuration: str) -> dict[str, float | None]:
    """Return others' figures for a configuration under the names of our columns."""
    told = experiment.file.published
    own = told.arms.get(configuration, {}) if told else {}
    return {f"published_{key}": own.get(key) for key in PUBLISHED}


def _measured(runs: pl.DataFrame, weights: Mapping[str, float]) -> dict[str, Any]:
    """Return the scores of an arm's runs; a value that one of them lacks is null."""
    columns = {name: [known(value) for value in runs[name]] for name in MEANS}
    values = {name: None if None in own else mean(own) for name, own in columns.items()}
    queries = int(runs["queries"].max())
    told = {"seeds": len(runs), "queries": queries, **values, "top1_error": share_error(values["top1"], queries)}
    if any(values[key] is None for key in KEYS):
        return told
    scores = [score(weights, run) for run in runs.select(KEYS).to_dicts()]
    return {
        **told,
        **dict(zip(SCORES, spread(scores), strict=True)),
        "score_error": score_error(weights, values, queries),
        "score_by_seed": scores,
    }


def _places(found: list[Entry], measured: Mapping[str, dict]) -> dict[tuple[str, str], int]:
    """Return (side, arm) -> place by score among the arms of that side; equal scores share a place."""
    places = {}
    for side in dict.fromkeys(entry.side for entry in found):
        arms = dict.fromkeys(entry.arm for entry in found if entry.side == side)
        scores = {arm: measured[arm]["score"] for arm in arms if measured.get(arm, {}).get("score") is not None}
        for arm, own in scores.items():
            places[side, arm] = 1 + sum(other > own for other in scores.values())
    return places


def _reasons(results: pl.DataFrame) -> dict[str, str]:
    return dict(results.filter(pl.col("verdict") == UNAVAILABLE).select("arm", "note").iter_rows())


def _note(entry: Entry, measured: Mapping[str, dict], why: Mapping[str, str]) -> str:
    if entry.arm is None:
        return "no arm leaves this network untrained"
    if entry.arm not in measured:
        return why.get(entry.arm, "not run")
    return "" if "score" in measured[entry.arm] else "a run cannot be ranked"


def _times(cost: Mapping[str, Any], embedded: int | None, measured: bool) -> dict[str, float | None]:
    """Return what an arm took. measured: whether the speed of embedding was measured at all; if not, training counts alone."""
    speed, train = cost.get("throughput"), cost.get("seconds_train")
    embedding = 0.0 if embedded == 0 or not measured else _ratio(embedded, speed)
    return {
        "embedded": embedded if cost else None,
        "seconds_train": train,
        "images_per_second": speed,
        "latency_ms": cost.get("latency_ms"),
        "seconds_embedding": embedding if cost and measured else None,
        "seconds": None if train is None or embedding is None else train + embedding,
    }


def _best(rows: list[dict], column: str) -> dict[str, float]:
    """Return side -> highest value of a column."""
    found: dict[str, float] = {}
    for row in rows:
        if row[column] is not None:
            found[row["side"]] = max(row[column], found.get(row["side"], row[column]))
    return found


def _per_minute(value: float | None, seconds: float | None) -> float | None:
    return _ratio(value, None if seconds is None else seconds / 60)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _frame(rows: list[dict[str, Any]], contract: Contract) -> pl.DataFrame:
    cells = [{column: row.get(column) for column in contract.columns} for row in rows]
    return pl.DataFrame(cells, schema=contract.columns)
