"""The tables of a face competition's program: configurations on both sides, architectures, cost, single settings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from reidflow.analyses.faces.arms import (
    FACTORS,
    KEYS,
    Entry,
    baseline_of,
    controlled,
    entries,
    score,
    score_error,
    share_error,
    spread,
)
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.arms import by_arm, known, mean
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import UNAVAILABLE

MEANS = ("top1", "top5", "top10", "map", "id_map", "nmi", "intra", "inter")
"""Of METRICS: means over seeds."""
SCORES = ("score", "score_std", "score_low", "score_high")
PUBLISHED = ("top1", "top5", "top10", "map", "score", "seconds")
FACTOR_NAMES = {
    "architecture": "architecture", "learning_rate": "learning rate", "epochs": "epochs", "batch": "batch size",
    "normalised": "normalisation", "augmented": "augmentation",
}  # fmt: skip
_S, _B, _I, _F = pl.String, pl.Boolean, pl.Int64, pl.Float64


def _number(name: str, heading: str, format: str, meaning: str, unit: str = "") -> Column:
    return Column(name, _F, heading, format, meaning, unit, nullable=True)


SIDE = Column("side", _S, "side", "text",
              "as described: features of the frozen network; trained projection: features of a trained head.")  # fmt: skip
_CONFIGURATION = Column("configuration", _S, "configuration", "text", "Arm that defines the configuration.")
_ARM = column("arm").but(
    heading="runs of", meaning="Arm whose runs they are; none where the experiment lacks it.", nullable=True
)
_ARCHITECTURE = Column("architecture", _S, "architecture", "text", "Backbone.")
_SETTINGS = [
    _ARCHITECTURE,
    column("learning_rate").but(nullable=True),
    column("epochs").but(nullable=True),
    Column("batch", _I, "batch size", "count", "Images per batch.", nullable=True),
    Column("normalised", _B, "normalised", "yes_no", "Whether images are normalised as the network expects."),
    Column("augmented", _B, "augmented", "yes_no", "Whether training images are augmented."),
]
_MEASURED = [
    *(column(name).but(nullable=True) for name in ("seeds", "queries", *MEANS)),
    _number("top1_error", "standard error of top-1", "number", "Standard error of one run's top-1 from its number of queries."),
    column("score"),
    _number("score_std", "std over seeds", "number1", "Standard deviation of the score over seeds."),
    _number("score_low", "lower end", "number1", "Lower end of the 95 % interval of the mean score over seeds."),
    _number("score_high", "upper end", "number1", "Upper end of the 95 % interval of the mean score over seeds."),
    Span("score_interval", ("score_low", "score_high"), "95 % interval", "range1", "95 % interval of the mean score over seeds."),
    _number("score_error", "standard error of a score", "number1",
            "Standard error of one run's score from its number of queries."),
    Column("score_by_seed", pl.List(_F), "score of each seed", "numbers", "Score of each seed, in their order.", nullable=True),
]  # fmt: skip
_PUBLISHED = [
    *(_number(f"published_{key}", f"published {column(key).heading}", "number", f"Published {column(key).heading}.")
      for key in PUBLISHED[:4]),
    _number("published_score", "published score", "number1", "Published score, of other data."),
    _number("published_seconds", "published seconds", "seconds", "Published seconds, of another machine.", "s"),
]  # fmt: skip
CONFIGURATIONS = Contract(
    "configurations of a program",
    [
        *columns("experiment"),
        SIDE,
        _CONFIGURATION,
        _ARM,
        column("baseline").but(meaning="Whether it is the configuration of the experiment's baseline."),
        Column("controlled", _B, "baseline's settings", "yes_no",
               "Whether it differs from the baseline in the architecture alone."),
        *_SETTINGS,
        Column("rank", _I, "rank", "count", "Rank by score among the arms of its side.", nullable=True),
        *_MEASURED,
        *_PUBLISHED,
        *columns("note"),
    ],
)  # fmt: skip
ARCHITECTURES = Contract(
    "architectures with the baseline's settings",
    [
        *columns("experiment"),
        SIDE,
        _ARCHITECTURE,
        _CONFIGURATION,
        _ARM,
        *columns("baseline"),
        *_MEASURED,
        _number("relative_score", "of the best", "share", "Score relative to the best of its side."),
        *_PUBLISHED,
        _number("published_relative_score", "published, of the best", "share", "Published score relative to the best."),
    ],
)
CONFIGURATIONS_EFFICIENCY = Contract(
    "seconds of configurations, measured on this machine",
    [
        *columns("experiment"),
        SIDE,
        _CONFIGURATION,
        _ARM,
        _ARCHITECTURE,
        Column("controlled", _B, "baseline's settings", "yes_no",
               "Whether it differs from the baseline in the architecture alone."),
        Column("embedded", _I, "images embedded", "count",
               "Forward passes of images through the frozen network; 0 where training includes them.", nullable=True),
        column("seconds_train").but(heading="training, s"),
        column("images_per_second").but(meaning="Median images per second of the backbone's forward pass in batches."),
        column("latency_ms"),
        _number("seconds_embedding", "embedding, s", "seconds", "Time of embedding; none without a measured speed.", "s"),
        _number("seconds", "total, s", "seconds", "Time of training and embedding.", "s"),
        _number("score_per_minute", "score per minute", "count", "Score over the minutes of training and embedding."),
        _number("relative_speed", "relative speed", "number1",
                "Times as fast as the slowest architecture with the baseline's settings."),
        _number("published_score_per_minute", "published score per minute", "count", "The same of published figures."),
        _number("published_relative_speed", "published relative speed", "number1", "The same of published figures."),
    ],
)  # fmt: skip
_DIFFERENCE = ("difference", "difference_low", "difference_high")
_DELTA = ("delta", "delta_low", "delta_high", "p_adjusted")
ABLATION = Contract(
    "effect of single settings",
    [
        SIDE,
        Column("factor", _S, "setting", "text", "Setting in which the arm differs from the baseline, and in no other."),
        _CONFIGURATION,
        _ARM,
        Column("value", _S, "value", "text", "Value of the setting."),
        Column("same_runs", _B, "same runs", "yes_no",
               "Whether its runs are the baseline's on this side: the setting has no effect.", nullable=True),
        _number("difference", "score difference", "signed1", "Score minus the baseline's, paired by seed."),
        _number("difference_low", "lower end", "signed1", "Lower end of the interval of that difference."),
        _number("difference_high", "upper end", "signed1", "Upper end of the interval of that difference."),
        Span("difference_interval", ("difference_low", "difference_high"), "interval over seeds", "interval1",
             "95 % interval of the mean difference in score over seeds."),
        Column("difference_by_seed", pl.List(_F), "difference of each seed", "numbers", "Difference of each pair of seeds.",
               nullable=True),
        *columns(*_DELTA[:3], "interval", "p_adjusted"),
        column("verdict").but(nullable=True),
        _number("published_difference", "published difference", "signed1", "Difference of the published scores."),
    ],
)  # fmt: skip


class Faces(NamedTuple):
    """The tables of a face competition's program."""

    configurations: pl.DataFrame
    architectures: pl.DataFrame
    efficiency: pl.DataFrame
    ablation: pl.DataFrame
    choices: pl.DataFrame


def configurations_table(experiment: Experiment, metrics: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Return CONFIGURATIONS: those as described, then those with a trained projection, in the order of the file.

    metrics: METRICS of the experiment's runs. results: its RESULTS, with the reasons of unavailable arms.
    """
    found = entries(experiment)
    baseline = baseline_of(found, experiment.file.baseline)
    fixed = {(entry.side, entry.name) for entry in controlled(found, baseline)}
    runs, why = by_arm(metrics), _reasons(results)
    weights = dict(experiment.file.score or {})
    measured = {name: _measured(own, weights) for name, own in runs.items()}
    ranks = _ranks(found, measured)
    rows = [
        {
            "experiment": experiment.name,
            "side": entry.side,
            "configuration": entry.name,
            "arm": entry.arm,
            "baseline": entry.configuration == baseline,
            "controlled": (entry.side, entry.name) in fixed,
            **vars(entry.configuration),
            "rank": ranks.get((entry.side, entry.arm)),
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

    efficiency: the experiment's EFFICIENCY. images: of `embedded_images`.
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
    """Return arm -> forward passes of images through its frozen network; 0 where training on images includes them.

    roles: role -> images. Images of val and test are embedded once, those of train once for each view and once without
    augmentation, where a head is trained on their features.
    """
    found = {}
    for name, arm in experiment.arms.items():
        evaluated = roles.get("val", 0) + roles.get("test", 0)
        trained = roles.get("train", 0) * (1 + arm.spec.views) if arm.spec.model.trainable.name == "head" else 0
        found[name] = evaluated + trained if arm.spec.frozen else 0
    return found


def published(experiment: Experiment, configuration: str) -> dict[str, float | None]:
    """Return the published figures of a configuration by the names of our columns."""
    given = experiment.file.published
    own = given.arms.get(configuration, {}) if given else {}
    return {f"published_{key}": own.get(key) for key in PUBLISHED}


def _measured(runs: pl.DataFrame, weights: Mapping[str, float]) -> dict[str, Any]:
    """Return the scores of an arm's runs; a value that one of them lacks is null."""
    columns = {name: [known(value) for value in runs[name]] for name in MEANS}
    values = {name: None if None in own else mean(own) for name, own in columns.items()}
    queries = int(runs["queries"].max())
    found = {"seeds": len(runs), "queries": queries, **values, "top1_error": share_error(values["top1"], queries)}
    if any(values[key] is None for key in KEYS):
        return found
    scores = [score(weights, run) for run in runs.select(KEYS).to_dicts()]
    return {
        **found,
        **dict(zip(SCORES, spread(scores), strict=True)),
        "score_error": score_error(weights, values, queries),
        "score_by_seed": scores,
    }


def _ranks(found: list[Entry], measured: Mapping[str, dict]) -> dict[tuple[str, str], int]:
    """Return (side, arm) -> rank by score among the arms of that side; equal scores share a rank."""
    ranks = {}
    for side in dict.fromkeys(entry.side for entry in found):
        arms = dict.fromkeys(entry.arm for entry in found if entry.side == side)
        scores = {arm: measured[arm]["score"] for arm in arms if measured.get(arm, {}).get("score") is not None}
        for arm, own in scores.items():
            ranks[side, arm] = 1 + sum(other > own for other in scores.values())
    return ranks


def _reasons(results: pl.DataFrame) -> dict[str, str]:
    return dict(results.filter(pl.col("verdict") == UNAVAILABLE).select("arm", "note").iter_rows())


def _note(entry: Entry, measured: Mapping[str, dict], why: Mapping[str, str]) -> str:
    if entry.arm is None:
        return "no arm leaves this network untrained"
    if entry.arm not in measured:
        return why.get(entry.arm, "not run")
    return "" if "score" in measured[entry.arm] else "a run cannot be ranked"


def _times(cost: Mapping[str, Any], embedded: int | None, measured: bool) -> dict[str, float | None]:
    """Return the times of an arm. measured: whether any speed of embedding was measured; if not, only training counts."""
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


def ablation_table(configurations: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Return ABLATION: by side and setting, in the order of the configurations, without the baseline's own."""
    rows, compared = [], {row["arm"]: row for row in results.to_dicts()}
    for own in configurations.partition_by("side", maintain_order=True):
        base = next((row for row in own.to_dicts() if row["baseline"]), None)
        if base is None:
            continue
        found = [(_factor(row, base), row) for row in own.to_dicts()]
        for factor in FACTORS:
            rows += [_row(row, base, factor, compared) for changed, row in found if changed == factor]
    return _frame(rows, ABLATION)


def value_text(factor: str, value: Any) -> str:
    """Return the value of a setting as text: `0.001`, `no augmentation`."""
    if isinstance(value, bool):
        return ("" if value else "no ") + FACTOR_NAMES[factor]
    return f"{value:g}" if isinstance(value, float) else str(value)


def changed(row: Mapping[str, Any]) -> str:
    """Return the setting of a row of ABLATION with its value: `batch size 8`, `no augmentation`."""
    flag = row["factor"] in ("normalised", "augmented")
    return row["value"] if flag else f"{FACTOR_NAMES[row['factor']]} {row['value']}"


def _factor(row: Mapping[str, Any], base: Mapping[str, Any]) -> str | None:
    """Return the one setting in which a row differs from the baseline; None for no or several ones."""
    changed = [factor for factor in FACTORS if row[factor] != base[factor]]
    return changed[0] if len(changed) == 1 else None


def _row(
    row: dict[str, Any], base: dict[str, Any], factor: str, compared: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    ours, theirs = row["score_by_seed"], base["score_by_seed"]
    found = {
        "side": row["side"],
        "factor": factor,
        "configuration": row["configuration"],
        "arm": row["arm"],
        "value": value_text(factor, row[factor]),
        "same_runs": None if row["arm"] is None else row["arm"] == base["arm"],
        "published_difference": _minus(row["published_score"], base["published_score"]),
        **_compared(compared.get(row["arm"], {}), compared.get(base["arm"], {})),
    }
    if ours and theirs:
        by_seed = [own - other for own, other in zip(ours, theirs, strict=False)]
        mean, _, low, high = spread(by_seed)
        found |= dict(zip(_DIFFERENCE, (mean, low, high), strict=True)) | {"difference_by_seed": by_seed}
    return found


def _compared(result: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return an arm's comparison with the reference of its side: the experiment's baseline, or the arm's own control."""
    if not result or not base or result["arm"] == base["arm"]:
        return {}
    if base["baseline"]:
        return {column: result[column] for column in (*_DELTA, "verdict")}
    if result["against"] == base["arm"]:
        return {column: result[f"against_{column.removeprefix('delta_')}"] for column in (*_DELTA, "verdict")}
    return {}


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _frame(rows: list[dict[str, Any]], contract: Contract) -> pl.DataFrame:
    cells = [{name: row.get(name) for name in contract.columns} for row in rows]
    return pl.DataFrame(cells, schema=contract.columns)
