"""The table of an experiment: one row an arm, with the comparison with the baseline and how steadily its runs trained."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from reidflow.evaluation.planning import projected
from reidflow.evaluation.statistics import Comparison
from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.store.tables import Column, Contract
from reidflow.tables.arms import EvaluatedArm, known, mean, same_runs
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import (
    AGAINST,
    BASELINE,
    INCONCLUSIVE,
    LEVEL,
    UNAVAILABLE,
    Paired,
    against_controls,
    best_set,
    controlled,
    improves,
    judge,
    judged,
    pair,
    per_identity,
    profiles,
)
from reidflow.tables.data import DataDescription, mixed_versions
from reidflow.tables.layout import Block, block, with_filters
from reidflow.tables.looks import look_note
from reidflow.tables.quantities import QUANTITIES, beside
from reidflow.tables.text import setting as as_text

GAIN = 0.95
"""Share of a run's gain in validation mAP, and of the best point's validation mAP, that counts as nearly all of it."""
MEANS = (
    "val_id_map", "chance", "id_map_unfiltered", "id_map_untrained", "map", "top1", "top5", "top10", "map_at_r", "nmi",
)  # fmt: skip
COUNTS = ("train_images", "parameters", "trainable_parameters", "loss_parameters", "flops")
QUERIES = ("queries", "skipped", "identities")
RESULTS = Contract(
    "results",
    columns(
        "experiment", "arm", "baseline", "seeds", "id_map", "id_map_std", "delta", "delta_low", "delta_high", "p_adjusted",
        "verdict", "margin", "improvement", "improvement_low", "improvement_high", "ties_with_best", "smallest_detectable",
        "half_width_seeds", "half_width_identities", *AGAINST, "seed_numbers", "id_map_by_seed", *MEANS, "nmi_std", *QUERIES,
        "train_images", "steps", "epochs_to_best", "parameters", "trainable_parameters", "loss_parameters", "flops",
        "divergence", "below_untrained", "gradient_norm", "gradient_norm_max", "epochs_to_95", "train_flops",
        "sensitivity_range", "near_best", "on_edge", "sensitivity", "data_set", "data", "split", "gallery", "filters",
        "leaking", "evaluated", "versions", "versions_mixed", "note",
    ),
    open=True,
)  # fmt: skip
SPEEDS = ("latency_ms", "latency_ms_low", "latency_ms_high", "throughput", "throughput_low", "throughput_high")
"""How fast the arm's backbone embeds: one image, milliseconds; images per second in a batch; medians and quartiles."""
EFFICIENCY = Contract(
    "efficiency",
    columns(
        "experiment", "arm", "seconds_train", "images_per_second", "peak_memory_mb", "device", "seconds_by_seed",
        *SPEEDS, "batch",
    ),
    open=True,
)  # fmt: skip


RESULT = (
    "arm", "id_map", "id_map_std", "delta", "interval", "p_adjusted", "verdict", "improves", "ties_with_best", "smallest_detectable",
    "note",
)  # fmt: skip
SUMMARY = ("arm", "spread", "delta", "interval", "verdict", "improves", column("ties_with_best").but(heading="ties"))
AGAINST_CONTROLS = (
    "arm", "against", "against_delta", "against_interval", "against_p_adjusted", "against_verdict", "against_smallest_detectable",
)  # fmt: skip
SCORES = (
    "arm", "id_map_by_seed", "val_id_map", "chance", "id_map_unfiltered", "id_map_untrained", "map", "top1", "top5", "top10",
    "map_at_r", "nmi_spread",
)  # fmt: skip
TRAINING = (
    "arm",
    "train_images",
    "steps",
    "parameters",
    "trainable_parameters",
    "loss_parameters",
    "flops",
    "train_flops",
)
STABILITY = (
    "arm", "divergence", "below_untrained", "id_map_std", "gradient_norm", "gradient_norm_max", "epochs_to_95",
    "epochs_to_best",
)  # fmt: skip
MEASURED = ("arm", "seconds_train", "images_per_second", "peak_memory_mb", "device")
SPEED = ("arm", "latency_ms", "latency_quartiles", "throughput", "throughput_quartiles", "batch")


class Tables(NamedTuple):
    """What an experiment found: RESULTS, EFFICIENCY (measured on this machine), COMPARISONS (per identity), PROFILES."""

    results: pl.DataFrame
    efficiency: pl.DataFrame
    comparisons: pl.DataFrame
    profiles: pl.DataFrame


def build_table(
    experiment: Experiment,
    arms: list[EvaluatedArm],
    data: DataDescription,
    *,
    unavailable: Mapping[str, str] | None = None,
    speeds: Mapping[str, Mapping[str, Any]] | None = None,
    level: float = LEVEL,
) -> Tables:
    """Return the tables of an experiment, rows in the order of its file.

    arms: those that were run, in that order. unavailable: arm -> reason, for arms that could not be run; each is a row
    without scores. speeds: arm -> the measured speed of its backbone (SPEEDS and the batch), where it was measured.
    Raises ReidflowError where another arm, or the baseline, was not run.
    """
    unavailable = unavailable or {}
    run = {arm.name for arm in arms}
    missing = [name for name in experiment.arms if name not in run and name not in unavailable]
    if missing or experiment.file.baseline in unavailable:
        raise ReidflowError(
            f"{experiment.path}: no results of {', '.join(missing) or f'the baseline {experiment.file.baseline}'}. "
            "Every arm but an unavailable one must have been run; choose a baseline that can be."
        )
    baseline = next(arm for arm in arms if arm.name == experiment.file.baseline)
    pairs = {arm.name: pair(arm, baseline) for arm in arms if arm is not baseline}
    verdicts = judge(pairs, level, margin=experiment.equivalence, looks=experiment.looks)
    best = set(best_set(arms, level))
    rows = {arm.name: _row(arm, pairs.get(arm.name), verdicts.get(arm.name), arm.name in best) for arm in arms}
    for arm in arms:
        rows[arm.name] |= improves(arm, baseline) if arm is not baseline else {}
    rows |= {name: _missing(reason) for name, reason in unavailable.items()}
    controls = against_controls(experiment, {arm.name: arm for arm in arms}, pairs, level)
    same = same_runs(arms)
    shared = {"experiment": experiment.name, "margin": experiment.equivalence, **data.columns()}
    whole = [{"arm": n, **rows[n], **controls.get(n, {}), **shared} for n in experiment.arms]
    for row in whole:
        name = row["arm"]
        look = look_note(row["seeds"], row["verdict"], experiment.looks) if name in pairs else None
        row["note"] = _note(same.get(name), look, rows[name]["note"], controls.get(name, {}).get("note"))
    return Tables(
        _frame(whole, list(experiment.file.tuned)),
        pl.DataFrame(
            [_efficiency(experiment.name, arm, (speeds or {}).get(arm.name, {})) for arm in arms],
            schema=EFFICIENCY.columns,
        ),
        per_identity(experiment.name, arms, baseline, data.splits),
        profiles(experiment.name, arms),
    )


def _note(*remarks: str | None) -> str:
    return "; ".join(remark for remark in remarks if remark)


def _row(arm: EvaluatedArm, paired: Paired | None, found: Comparison | None, best: bool) -> dict[str, Any]:
    values = [known(value) for value in arm.metrics["id_map"]]
    unscored = [seed for seed, value in zip(arm.seeds, values, strict=True) if value is None]
    whole = not unscored and not (paired and not paired.identities)
    versions = sorted(set(arm.metrics["versions"]))
    notes = [f"no score with seed {seed}: its embeddings cannot be ranked" for seed in unscored]
    row = {
        "baseline": paired is None,
        "seeds": len(arm.seeds),
        "id_map": _mean(values),
        "id_map_std": _std(values),
        "nmi_std": _std(arm.metrics["nmi"]),
        "delta": paired.delta if paired and whole else None,
        "verdict": BASELINE if paired is None else INCONCLUSIVE,
        "ties_with_best": best,
        "seed_numbers": list(arm.seeds),
        "id_map_by_seed": values,
        **{column: _mean(arm.metrics[column]) for column in MEANS},
        **{column: arm.metrics[column].max() for column in [*QUERIES, *COUNTS]},
        "steps": _mean(arm.metrics["steps"]),
        "epochs_to_best": _mean(arm.metrics["best_epoch"]),
        "divergence": _mean(arm.metrics["diverged"].cast(pl.Int64)),
        "below_untrained": _below(values, [known(value) for value in arm.metrics["id_map_untrained"]]),
        **stability(arm),
        "evaluated": arm.evaluated(),
        "versions": "; ".join(versions),
        "versions_mixed": bool(mixed_versions(versions)),
        "note": "; ".join([*notes, *(paired.notes if paired else ())]),
        **_tuned(arm.chosen),
    }
    if found and whole:
        row |= {**judged(found), **({} if arm.folds else _projected(found, paired))}
    return row


def _projected(found: Comparison, paired: Paired) -> dict[str, float | None]:
    """Return the half widths of the interval that more seeds, and more identities, would give."""
    identities, seeds = paired.differences.shape
    return {
        "half_width_seeds": projected(found, (identities, seeds), (identities, 2 * seeds)),
        "half_width_identities": projected(found, (identities, seeds), (2 * identities, seeds)),
    }


def _mean(values: pl.Series | list) -> float | None:
    """Return the mean over seeds; None where a seed has no value: a mean over the others would flatter the arm."""
    found = [known(value) for value in values]
    return None if None in found else mean(found)


def _std(values: pl.Series | list) -> float | None:
    """Return the standard deviation over seeds; None with one seed, or where a seed has no value."""
    found = [known(value) for value in values]
    return statistics.stdev(found) if None not in found and len(found) > 1 else None


def _below(trained: list[float | None], untrained: list[float | None]) -> float | None:
    """Return the share of seeds that rank worse than the same network before training; None where one has no score."""
    if None in trained or None in untrained:
        return None
    return mean(float(after < before) for after, before in zip(trained, untrained, strict=True))


def _tuned(chosen: dict[str, Any] | None) -> dict[str, Any]:
    if chosen is None:
        return {}
    points = [{"point": _point(p["values"]), "val_id_map": p["val_id_map"]} for p in chosen["points"]]
    return {
        "on_edge": any(chosen["on_edge"].values()),
        "sensitivity": points,
        **{f"chosen_{path}": value for path, value in chosen["values"].items()},
        **{f"on_edge_{path}": bool(value) for path, value in chosen["on_edge"].items()},
    }


def _point(values: dict[str, Any]) -> str:
    return ", ".join(f"{path}={as_text(value)}" for path, value in values.items())


def _missing(reason: str) -> dict[str, Any]:
    return {
        "baseline": False,
        "seeds": 0,
        "verdict": UNAVAILABLE,
        "ties_with_best": False,
        "seed_numbers": [],
        "versions_mixed": False,
        "note": reason,
    }


def _frame(rows: list[dict[str, Any]], tuned: list[str]) -> pl.DataFrame:
    frame = pl.DataFrame([{c: row.get(c) for c in RESULTS.columns} for row in rows], schema=RESULTS.columns)
    for path in tuned:
        values = [row.get(f"chosen_{path}") for row in rows]
        edges = [row.get(f"on_edge_{path}") for row in rows]
        frame = frame.with_columns(
            _chosen_column(f"chosen_{path}", values), pl.Series(f"on_edge_{path}", edges, dtype=pl.Boolean)
        )
    return frame


def _chosen_column(name: str, values: list[Any]) -> pl.Series:
    """Return numbers as numbers, anything else as canonical JSON."""
    if all(value is None or type(value) in (int, float) for value in values):
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    texts = [value if value is None or isinstance(value, str) else canonical(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def _efficiency(experiment: str, arm: EvaluatedArm, speed: Mapping[str, Any]) -> dict[str, Any]:
    rows = arm.efficiency
    peaks = [value for value in rows["peak_memory_mb"] if value is not None]
    return {
        "experiment": experiment,
        "arm": arm.name,
        "seconds_train": _mean(rows["seconds_train"]),
        "images_per_second": _mean(rows["images_per_second"]),
        "peak_memory_mb": max(peaks, default=None),
        "device": "; ".join(sorted(set(rows["device"].drop_nulls()))),
        "seconds_by_seed": list(rows["seconds_train"]),
        **{column: speed.get(column) for column in (*SPEEDS, "batch")},
    }


def stability(arm: EvaluatedArm) -> dict[str, Any]:
    """Return how steadily the runs of an arm trained, as columns of RESULTS; None for what was not recorded.

    gradient_norm: before clipping, mean over the steps of each epoch, then over epochs, then over runs;
    gradient_norm_max: the largest of any step. Both leave out what is not finite, which counts as divergence.
    epochs_to_95: see `epochs_to_gain`, mean over runs; None where one run has none, since a mean over the others would
    flatter the arm. train_flops: mean over seeds.
    sensitivity_range, near_best: of the grid of tuned settings, see `grid_spread`.
    """
    trained = arm.history.filter(pl.col("epoch") > 0)
    epochs = [epochs_to_gain(history, kept) for history, kept in arm.histories()]
    flops = arm.metrics["train_flops"].to_list() if "train_flops" in arm.metrics.columns else [None]
    return {
        "gradient_norm": _mean_of_runs(trained, "gradient_norm"),
        "gradient_norm_max": max(_finite(trained, "gradient_norm_max"), default=None),
        "epochs_to_95": None if None in epochs else mean(epochs),
        "train_flops": None if None in flops else mean(flops),
        **(grid_spread(arm.chosen["points"]) if arm.chosen else {}),
    }


def epochs_to_gain(history: pl.DataFrame, kept: float | None, gain: float = GAIN) -> int | None:
    """Return the first epoch of a run at which `gain` of its gain in validation mAP was made.

    The gain is that from epoch 0, before training, to `kept`, the validation mAP of the weights that the run kept; to the
    highest of the run, where a ranking by more than its embeddings has a higher one. None without validation, and for a run that does not rise above epoch 0.
    """
    scores = {epoch: known(value) for epoch, value in history.select("epoch", "val_id_map").sort("epoch").iter_rows()}
    start = scores.get(0)
    if start is None or kept is None:
        return None
    kept = min(kept, max(value for value in scores.values() if value is not None))
    if kept <= start:
        return None
    wanted = start + gain * (kept - start)
    return next((epoch for epoch, value in scores.items() if value is not None and value >= wanted), None)


def grid_spread(points: list[dict[str, Any]]) -> dict[str, float | int | None]:
    """Return how much a choice on the grid matters.

    sensitivity_range: the highest minus the lowest mean validation mAP over the grid, diverged runs counting as 0.
    near_best: the number of points with at least 95 % of the highest.
    """
    found = [point["val_id_map"] for point in points if known(point["val_id_map"]) is not None]
    if not found:
        return {"sensitivity_range": None, "near_best": None}
    best = max(found)
    return {"sensitivity_range": best - min(found), "near_best": sum(value >= GAIN * best for value in found)}


def _mean_of_runs(history: pl.DataFrame, column: str) -> float | None:
    runs = [
        _finite(run, column)
        for _, run in history.sort("seed", "split").group_by(["seed", "split"], maintain_order=True)
    ]
    means = [mean(values) for values in runs if values]
    return mean(means) if means else None


def _finite(history: pl.DataFrame, column: str) -> list[float]:
    return [value for value in history[column] if value is not None and math.isfinite(value)]


def summary(results: pl.DataFrame, quantities: pl.DataFrame | None = None) -> Block:
    """Return the columns of the table RESULTS that answer the question, the highest score first.

    quantities: QUANTITIES of its headline, which stand behind the verdict.
    """
    ordered = results.sort("id_map", descending=True, nulls_last=True, maintain_order=True)
    return with_filters(_result(ordered, SUMMARY, quantities), results)


def _result(results: pl.DataFrame, names: Sequence[Any], quantities: pl.DataFrame | None) -> Block:
    place = names.index("improves") + 1
    table, shown = beside(results, QUANTITIES.empty() if quantities is None else quantities)
    return block("Result", table, [*names[:place], *shown, *names[place:]])


def blocks(results: pl.DataFrame, efficiency: pl.DataFrame, quantities: pl.DataFrame | None = None) -> list[Block]:
    """Return the blocks of an experiment's tables RESULTS and EFFICIENCY, in the order in which they are read.

    quantities: QUANTITIES of its headline, which stand in the first block behind the verdict.
    """
    found = [_result(results, RESULT, quantities)]
    compared = controlled(results)
    if compared.height:
        found.append(block("Against their controls", compared, AGAINST_CONTROLS))
    found += [block("Scores", results, SCORES), block("Training and size", results, TRAINING)]
    found.append(block("Stability", results, STABILITY))
    paths = tuned_paths(results)
    if paths:
        found.append(block("Tuned settings, chosen on validation", results, _tuned_columns(paths)))
    found = [with_filters(part, results) for part in found]
    found.append(block("Measured on this machine", efficiency, MEASURED))
    timed = efficiency.filter(pl.col("latency_ms").is_not_null())
    if timed.height:
        found.append(block("Speed of the backbone on this machine, forward, medians after a warm-up", timed, SPEED))
    return found


def tuned_paths(results: pl.DataFrame) -> list[str]:
    """Return the dotted paths of the tuned settings of a results table, in the order of the experiment."""
    return [column.removeprefix("chosen_") for column in results.columns if column.startswith("chosen_")]


def _tuned_columns(paths: list[str]) -> list[str | Column]:
    found: list[str | Column] = ["arm"]
    for path in paths:
        chosen = f"Value of `{path}` that the arm chose on validation."
        edge = f"Whether that value of `{path}` is at the edge of its grid, so that a better one may be beyond it."
        found.append(Column(f"chosen_{path}", pl.String, path, "setting", chosen, nullable=True))
        found.append(Column(f"on_edge_{path}", pl.Boolean, f"{path} on the grid's edge", "yes_no", edge, nullable=True))
    return [*found, "sensitivity_range", "near_best_of", "sensitivity"]
