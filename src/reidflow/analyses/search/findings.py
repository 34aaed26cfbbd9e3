"""The findings on a search: whether it beats the baseline, what the budget gave, and what mattered."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.search import FIGURES
from reidflow.analyses.search.effects import EFFECTS, FANOVA, FEWEST, LEVEL, PED_ANOVA, pool_name, pool_of
from reidflow.analyses.search.tables import (
    BUDGETS,
    SEARCH,
    SEARCH_EFFICIENCY,
    SPACE_FILLING,
    against_matched,
    arms_of_studies,
    value_text,
    winners_that_tie,
)
from reidflow.search.trial import COMPLETE, DIVERGED, PRUNED
from reidflow.search.trials_table import TEN, axes_of_studies, ten_best
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Axis, Study
from reidflow.store.tables import Column
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import NOTHING, markdown, probability, setting, share

WINNER = "Winner against the baseline and the budget-matched baseline"
SEARCHED, BUDGET, MATTERS, PATTERNS = "What was searched", "What the budget gave", "What matters", "Patterns"
SCHEDULER_PART = "The scheduler's part"
METHODS = {PED_ANOVA: "PED-ANOVA", FANOVA: "fANOVA"}
MOST = 8
"""Trials of the ten best that have a choice in common, for it to be named."""
SCHEDULER = "scheduler"
SAME_RUNS = "the same runs as arm"
_BUDGET = (
    "study", "algorithm", "axes", "matched_to", "trials", COMPLETE, PRUNED, DIVERGED, "steps", "train_flops", "finalists",
)  # fmt: skip
_WINNERS = (
    "study", "winner", "winner_settings", "best_value", "chosen_value", "sweep_value", "val_id_map", "luck", "id_map",
)  # fmt: skip
_BUDGETS = (
    "study", "other", "budget", "amount", "trials", "other_trials", "value", "other_value", "gain", "winners_within",
)  # fmt: skip
_TEST = ("arm", "study", "algorithm", "id_map", "id_map_std", "delta", "interval", "p_adjusted", "verdict")
_EFFECTS = (
    "axis", "label", "trials", PRUNED, "mean", "best", "mean_rank", "standing", "effect", "effect_interval", "p", "verdict",
)  # fmt: skip


def sections(
    experiment: Experiment,
    trials: pl.DataFrame,
    results: pl.DataFrame,
    comparisons: pl.DataFrame,
    tables: Mapping[str, pl.DataFrame],
) -> list[Section]:
    """Return the sections of the findings. tables: those of the report by name, `search` and the others."""
    studies, axes = list(experiment.studies.values()), axes_of_studies(experiment.studies.values())
    search, importances, effects = (tables[name] for name in ("search", "importances", "effects"))
    compared = [
        row | {"low": row["delta_low"], "high": row["delta_high"]}
        for row in search.to_dicts()
        if row["arm"] is not None and row["delta"] is not None
    ]
    gained = [row["arm"] for row in compared if row["verdict"] == "better" and row["matched_to"] is None]
    matched = against_matched(experiment, comparisons, results)
    winners, ties = arms_of_studies(experiment)[0], winners_that_tie(experiment, comparisons)
    studied = [row | _spent(row, tables["progress"]) for row in search.to_dicts()]
    lucky = [row for row in studied if row["luck"] is not None and row["luck"] > 0]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        gained=gained,
        beyond=[arm for arm in gained if all(r["verdict"] == "better" for r in matched if r["arm"] == arm)],
        compared=compared,
        missing=[row["study"] for row in studied if row["arm"] is None or row["delta"] is None],
        budget_matched=any(study.matched_to for study in studies),
        matched=matched,
        budgets=tables["budgets"].to_dicts(),
        ties=[arm for arm in winners if arm in ties] if len(winners) > 1 else [],
        behind=[arm for arm in winners if arm not in ties],
        axes=len(axes),
        baseline=experiment.file.baseline,
        studies=[_study(study, len(axes)) for study in studies],
        pruner=None if studies[0].pruner["name"] == "none" else setting(studies[0].pruner),
        first=studies[0],
        sweep_seeds=[str(seed) for seed in studies[0].sweep_seeds],
        studied=studied,
        shared=shared_runs(trials),
        luckiest=max(lucky, key=lambda row: row["luck"], default=None),
        importances=_ranked(importances),
        unweighed=[study.name for study in studies if study.name not in set(importances["study"])],
        pool=pool_name(pool_of(experiment)),
        fewest=FEWEST,
        **patterns(effects),
        ten=_ten(ten_best(studies, trials), axes),
        scheduler=_scheduler(experiment, axes, importances, effects, results),
    )
    best = [row | {axis.name: _shown(row[axis.name]) for axis in axes} for row in ten_best(studies, trials)]
    columns = [Column(axis.name, pl.String, axis.name, "text", f"Value of {axis.name}.") for axis in axes]
    blocks = {
        WINNER: [block("On test", search, _TEST, SEARCH)],
        SEARCHED: [space_block(experiment)],
        BUDGET: [
            block("Budget", search, _BUDGET, SEARCH),
            block("Winners", search, _WINNERS, SEARCH),
            *([block("At equal budgets", tables["budgets"], _BUDGETS, BUDGETS)] if len(tables["budgets"]) else []),
            block("Measured on this machine", tables["search.efficiency"], SEARCH_EFFICIENCY),
        ],
        MATTERS: [_importances_block(importances)] if len(importances) else [],
        PATTERNS: [
            *([block("Marginal effects", effects, _EFFECTS, EFFECTS)] if len(effects) else []),
            block("The ten best trials", best, [SEARCH.shown["study"], _TRIAL, _VALUE, *columns]),
        ],
    }
    figures = {SEARCHED: ["parallel"], BUDGET: ["progress", "front"], MATTERS: ["importances"]}
    figures |= {PATTERNS: ["effects", "slices"]}
    return sections_of(
        text,
        blocks,
        {heading: {name: FIGURES[name] for name in names} for heading, names in figures.items()},
        {WINNER: ["arms"], SCHEDULER_PART: ["importances", "effects", "arms"]},
    )


_TRIAL = Column("trial", pl.Int64, "trial", "text", "Number of the trial.")
_VALUE = Column("value", pl.Float64, "value", "number", "Validation mAP of the trial.")


def _study(study: Study, axes: int) -> dict[str, Any]:
    return {
        "name": study.name,
        "algorithm": setting(study.algorithm),
        "axes": [] if len(study.axes) == axes else [{"axis": axis.name} for axis in study.axes],
        "adaptive": study.algorithm["name"] not in SPACE_FILLING,
        "trials": study.trials,
        "generation": study.generation,
        "matched_to": study.matched_to,
    }


def _spent(row: Mapping[str, Any], progress: pl.DataFrame) -> dict[str, Any]:
    """Return the states of a study's trials as texts, and the first trial that reached the best value."""
    best = progress.filter((pl.col("study") == row["study"]) & (pl.col("value") == row["best_value"]))
    states = [f"{row[state]:,} {state}" for state in (COMPLETE, PRUNED, DIVERGED) if row[state]]
    return {"states": states, "first": best["trial"].min()}


def shared_runs(trials: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the pairs of studies with trials in common: algorithms that begin with random trials select the same."""
    runs = {name: set(trials.filter(pl.col("study") == name)["run"]) for name in dict.fromkeys(trials["study"])}
    pairs = [{"a": a, "b": b, "trials": len(runs[a] & runs[b])} for a, b in combinations(runs, 2)]
    return [pair for pair in pairs if pair["trials"]]


def _ranked(importances: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row per study and method: its three most important axes, and those beyond chance (None for fANOVA)."""
    found = []
    for (_, method), own in importances.group_by(["study", "method"], maintain_order=True):
        ranked = own.sort("share", descending=True, maintain_order=True).to_dicts()
        beyond = None if method == FANOVA else [row for row in ranked if row["chance"] <= LEVEL]
        found.append(ranked[0] | {"method": METHODS[method], "top": ranked[:3], "beyond": beyond})
    return found


def patterns(effects: pl.DataFrame) -> dict[str, Any]:
    """Return the choices that help (`better`) and harm (`worse`), strongest first, and the axes without either.

    tested: number of choices with an effect. widths: half-widths of the intervals along the undecided axes. Of an axis
    with two choices, only the one that helps is listed: the other loses what it gains.
    """
    rows = [row for row in effects.to_dicts() if row["effect"] is not None]
    choices = [row["axis"] for row in rows]
    significant = [row for row in rows if row["verdict"] in ("better", "worse")]
    significant.sort(key=lambda row: -abs(row["effect"]))
    decided = {row["axis"] for row in significant}
    return {
        "better": [row for row in significant if row["verdict"] == "better"],
        "worse": [row for row in significant if row["verdict"] == "worse" and choices.count(row["axis"]) != 2],
        "undecided": [{"axis": axis} for axis in dict.fromkeys(effects["axis"]) if axis not in decided],
        "widths": [(row["high"] - row["low"]) / 2 for row in rows if row["axis"] not in decided],
        "tested": len(rows),
    }


def _ten(ten: list[dict[str, Any]], axes: Sequence[Axis]) -> dict[str, Any] | None:
    """Return from which studies the ten best trials are, and what they have in common; None for fewer than ten."""
    if len(ten) < TEN:
        return None
    studies = [row["study"] for row in ten]
    origins = [{"study": name, "trials": studies.count(name)} for name in dict.fromkeys(studies)]
    return {"origins": origins, "common": list(filter(None, (in_common(axis, ten) for axis in axes)))}


def in_common(axis: Axis, ten: list[dict[str, Any]]) -> str | None:
    """Return what the ten best trials have in common on an axis: a label of at least MOST, or a part of a range."""
    values = [row[axis.name] for row in ten if row[axis.name] is not None]
    if axis.kind == "choice":
        label = max(axis.labels, key=values.count)
        shared = values.count(label)
        return f"`{axis.name}` = {markdown(label)} ({shared} of {TEN})" if shared >= MOST else None
    if len(values) < TEN:
        return None
    low, high = min(values), max(values)
    narrow = (high / low) ** 2 < axis.high / axis.low if axis.log else 2 * (high - low) < axis.high - axis.low
    return f"`{axis.name}` from {value_text(low)} to {value_text(high)}" if narrow else None


def _scheduler(
    experiment: Experiment,
    axes: Sequence[Axis],
    importances: pl.DataFrame,
    effects: pl.DataFrame,
    results: pl.DataFrame,
) -> dict[str, Any]:
    """Return what is known of the scheduler: shares and effects of its axes over the space, and arms that change it alone."""
    own = [axis.name for axis in axes if any(f"{path}.".startswith(f"{SCHEDULER}.") for path in axis.paths())]
    whole = (pl.col("study") == pool_name(pool_of(experiment))) & pl.col("axis").is_in(own)
    found = effects.filter(pl.col("axis").is_in(own) & pl.col("effect").is_not_null()).to_dicts()
    significant = [row for row in found if row["verdict"] in ("better", "worse")]
    changed = [arm for arm in experiment.arms.values() if arm.winner_of in experiment.studies and SCHEDULER in arm.over]
    rows = {row["arm"]: row for row in results.to_dicts()}
    return {
        "shares": importances.filter(whole).to_dicts(),
        "effects": significant or found,
        "significant": bool(significant),
        "arms": [_changed(arm, rows[arm.name]) for arm in changed if arm.name in rows],
    }


def _changed(arm: Arm, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the difference of an arm, which changes the winner of a study, from its control."""
    against = {key.removeprefix("against_"): value for key, value in row.items() if key.startswith("against")}
    changes = ", ".join(f"`{key}: {setting(value)}`" for key, value in arm.over.items())
    return against | {"arm": arm.name, "study": arm.winner_of, "changes": changes, "same": SAME_RUNS in row["note"]}


def space_block(experiment: Experiment) -> Block:
    """Return the axes of the space with their values and the baseline's value."""
    plain = experiment.baseline.spec.plain()
    rows = [
        {"axis": axis.name, "values": values_text(axis), "baseline": _baseline(axis, plain), "sets": _sets(axis)}
        for axis in axes_of_studies(experiment.studies.values())
    ]
    meanings = {
        "axis": "Path in the run spec, or a name for several settings that move together.",
        "values": "Values that the axis may take.",
        "baseline": "Value of the baseline.",
        "sets": "Settings behind each named choice.",
    }
    return block("Space", rows, [Column(name, pl.String, name, "text", words) for name, words in meanings.items()])


def values_text(axis: Axis) -> str:
    """Return the values that an axis may take."""
    if axis.kind == "choice":
        return ", ".join(axis.labels)
    kind = "integers" if axis.kind == "int" else "numbers"
    step = f" in steps of {axis.step}" if axis.step is not None else ", logarithmic" if axis.log else ""
    return f"{kind} from {setting(axis.low)} to {setting(axis.high)}{step}"


def _baseline(axis: Axis, plain: dict[str, Any]) -> str:
    """Return the baseline's value on an axis, as a label where it has one."""
    own = [label for label in axis.labels if RunSpec.model_validate(axis.apply(plain, label)).plain() == plain]
    if own or axis.named:
        return own[0] if own else NOTHING
    value: Any = plain
    for part in axis.name.split("."):
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return NOTHING
    return value_text(value)


def _sets(axis: Axis) -> str:
    """Return what each named choice sets; nothing where the axis is a path of the run spec."""
    if not axis.named:
        return NOTHING
    return "; ".join(f"{label}: {setting(value)}" for label, value in zip(axis.labels, axis.settings, strict=True))


def _shown(value: Any) -> str:
    return NOTHING if value is None else value_text(value)


def _importances_block(importances: pl.DataFrame) -> Block:
    """Return the share of each axis by study and method, with the share of shuffled trials that give as much."""
    axes: dict[str, dict[str, str]] = {}
    columns = {"axis": Column("axis", pl.String, "axis", "text", "Axis of the space.")}
    for row in importances.to_dicts():
        key = f"{row['study']}: {METHODS[row['method']]}"
        columns[key] = Column(key, pl.String, key, "text", "Share; p: share of shuffled trials that give as much.")
        chance = "" if row["chance"] is None else f" (p {probability(row['chance'])})"
        axes.setdefault(row["axis"], {"axis": row["axis"]})[key] = share(row["share"]) + chance
    rows = [{key: row.get(key, NOTHING) for key in columns} for row in axes.values()]
    return block("Importances", rows, list(columns.values()))
