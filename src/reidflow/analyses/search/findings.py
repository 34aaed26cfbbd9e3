"""What a search found, in computed sentences."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

from reidflow.analyses.search.blocks import (
    budget_block,
    effects_block,
    importance_block,
    on_test_block,
    seconds_block,
    ten_block,
    winners_block,
)
from reidflow.analyses.search.effects import FANOVA, FEWEST, LEVEL, PED_ANOVA, PRUNED, pool_name, pool_of
from reidflow.analyses.search.found import Found
from reidflow.analyses.search.space import searched, space_block
from reidflow.analyses.search.tables import value_text
from reidflow.search.trials_table import TEN, axes_of_studies, ten_best
from reidflow.spec.experiment import Experiment
from reidflow.spec.search import Axis
from reidflow.tables.comparisons import UNAVAILABLE
from reidflow.tables.layout import count, magnitude
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, probability, setting, signed

PROGRESS, SLICES, PARALLEL = "progress", "slices", "parallel"
IMPORTANCES, EFFECTS, FRONT = "importances", "effects", "front"
ARMS = "arms"
FIGURES = (PROGRESS, SLICES, PARALLEL, IMPORTANCES, EFFECTS, FRONT)
METHODS = {PED_ANOVA: "PED-ANOVA", FANOVA: "fANOVA"}
_TOLD, _OPEN = {"better": "is better than", "worse": "is worse than"}, "cannot be told from"
MOST = 8
"""So many of the ten best share a choice that is named."""
SCHEDULER = "scheduler"
SAME_RUNS = "the same runs as arm"


def sections(experiment: Experiment, found: Found) -> list[Section]:
    """Return the sections of the findings."""
    rows, axes = found.search.to_dicts(), axes_of_studies(experiment.studies.values())
    told = [
        Section("What was searched", searched(experiment), [space_block(experiment)], {PARALLEL: "All trials"}),
        Section(
            "What the budget bought",
            [*_bought(rows, found.progress), *_same_runs(found.trials), *_luck(rows)],
            [budget_block(rows), winners_block(rows), seconds_block(found.efficiency)],
            {PROGRESS: "Best validation mAP so far, by trial and by seconds", FRONT: "Validation mAP by cost"},
        ),
        Section(
            "Winner against the baseline and the budget-matched baseline",
            [*_against_baseline(rows), *_against_matched(rows, found.matched), *_algorithms(rows, found.tie)],
            [on_test_block(rows)],
            links=[ARMS],
        ),
        Section(
            "What matters",
            _matters(experiment, found.importances),
            [importance_block(found.importances, METHODS)] if found.importances.height else [],
            {IMPORTANCES: "What each axis decides"},
        ),
        Section(
            "Patterns",
            [*_patterns(experiment, found.effects), *_shared(experiment, found.trials)],
            [
                *([effects_block(found.effects)] if found.effects.height else []),
                ten_block(ten_best(experiment.studies.values(), found.trials), axes),
            ],
            {EFFECTS: "Marginal effect of each choice", SLICES: "Validation mAP along each axis"},
        ),
    ]
    return [*told, *_scheduler(experiment, found.importances, found.effects, found.results)]


def _bold(name: str | None) -> str:
    return f"**{markdown(name or NOTHING)}**"


def _bought(rows: list[dict], progress: pl.DataFrame) -> list[str]:
    lines = []
    for row in rows:
        parts = [f"{count(row[state])} {state}" for state in ("complete", "pruned", "diverged") if row[state]]
        first = _first_best(progress.filter(pl.col("study") == row["study"]))
        reached = f", first reached by trial {first}" if first is not None else ""
        lines.append(
            f"{_bold(row['study'])}: {count(row['trials'])} trials ({listed(parts)}), {count(row['steps'])} optimizer steps, "
            f"{magnitude(row['train_flops'])} training FLOPs; best validation mAP {number(row['best_value'])}{reached}{_finalists(row)}."
        )
    return lines


def _same_runs(trials: pl.DataFrame) -> list[str]:
    """Say which studies have trials in common: algorithms that begin with random ones draw the same."""
    runs = {name: set(trials.filter(pl.col("study") == name)["run"]) for name in dict.fromkeys(trials["study"])}
    shared = {(a, b): len(runs[a] & runs[b]) for a, b in combinations(runs, 2)}
    told = [f"{count(number)} of {_bold(a)} and {_bold(b)}" for (a, b), number in shared.items() if number]
    return [f"Trials that are the same run, drawn alike and with the same seed: {listed(told)}."] if told else []


def _finalists(row: dict) -> str:
    runs = row["finalists"] * row["sweep_seeds"]
    return f"; {runs} runs of its finalists ({row['finalists']} trials) come on top" if runs else ""


def _first_best(own: pl.DataFrame) -> int | None:
    best = own["best"].max()
    return None if best is None else own.filter(pl.col("value") == best)["trial"].min()


def _luck(rows: list[dict]) -> list[str]:
    """Say how much of the chosen value was luck: the highest of many noisy values is too high."""
    known = [row for row in rows if row["luck"] is not None]
    if not known:
        return []
    told = []
    for row in known:
        swept = f", {number(row['sweep_value'])} over the sweep seeds" if row["sweep_value"] is not None else ""
        told.append(
            f"{_bold(row['study'])} {number(row['chosen_value'])} when chosen{swept}, {number(row['val_id_map'])} over "
            f"{row['seeds']} fresh seeds ({signed(-row['luck'])})"
        )
    lines = [f"The winner's validation mAP, chosen and then measured anew: {'; '.join(told)}."]
    lucky = [row for row in known if row["luck"] > 0]
    if lucky:
        most = max(lucky, key=lambda row: row["luck"])
        lines.append(
            f"The winner's curse: up to {number(most['luck'])} ({_bold(most['study'])}) of the value when chosen was luck of its "
            "seed. Fresh seeds take that away, but these validation images are still the ones that chose; test is free of both."
        )
    return lines


def _against_baseline(rows: list[dict]) -> list[str]:
    known = [row for row in rows if row["arm"] is not None and row["delta"] is not None]
    lines = []
    for row in known:
        verdict = _TOLD.get(row["verdict"], _OPEN)
        lines.append(
            f"{_bold(row['arm'])}, {_kind(row)}, {verdict} the baseline on test: {number(row['id_map'])}, {_delta(row)}, "
            f"{_p(row['p_holm'])}{_detectable(row)}."
        )
    won = [row for row in known if row["verdict"] == "better" and row["matched_to"] is None]
    if known and not won:
        lines.append("**Nothing was gained**: no winner of a search is detectably better than the baseline on test.")
    missing = [row["study"] for row in rows if row["arm"] is None or row["delta"] is None]
    if missing:
        lines.append(f"Not compared on test: the winners of {listed([_bold(name) for name in missing])}.")
    return lines


def _kind(row: dict) -> str:
    if row["matched_to"]:
        return f"the baseline tuned with the budget of **{markdown(row['matched_to'])}**"
    return f"the winner of `{row['algorithm']}`"


def _delta(row: Mapping[str, Any]) -> str:
    low, high = (row.get(f"delta_{end}", row.get(end)) for end in ("low", "high"))
    return f"{signed(row['delta'])} {interval(low, high)}"


def _p(value: float | None) -> str:
    text = probability(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _detectable(row: Mapping[str, Any]) -> str:
    if row["verdict"] in ("better", "worse", UNAVAILABLE) or not row["smallest_detectable"]:
        return ""
    return f"; the smallest difference that this comparison would find is {number(row['smallest_detectable'])}"


def _against_matched(rows: list[dict], matched: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[str]:
    if not any(row["matched_to"] for row in rows):
        return [
            "No search was matched to a budget: whether tuning the baseline would have bought as much is not known."
        ]
    lines = []
    for (arm, other), found in matched.items():
        words = _TOLD.get(found["verdict"], _OPEN)
        lines.append(
            f"{_bold(arm)} {words} the budget-matched {_bold(other)}: {_delta(found)}, "
            f"{_p(found['p_holm'])}{_detectable(found)}."
        )
    if matched and not any(found["verdict"] == "better" for found in matched.values()):
        lines.append(
            "So the larger space bought nothing that tuning the baseline with a like budget would not have bought, as far as "
            "this comparison can tell."
        )
    return lines


def _algorithms(rows: list[dict], tie: list[str]) -> list[str]:
    arms = {row["arm"]: row for row in rows if row["arm"] and not row["matched_to"]}
    if len(arms) < 2 or not tie:
        return []
    names = listed([_bold(arm) for arm in arms if arm in tie])
    rest = [arm for arm in arms if arm not in tie]
    if not rest:
        return [
            f"The winners tie: {names} cannot be told apart on test, so no algorithm is shown to search better here."
        ]
    best = f"{names} is the best of the winners" if len(tie) == 1 else f"The best of the winners is one of {names}"
    return [
        f"{best} on test; {listed([_bold(arm) for arm in rest])} {'are' if len(rest) > 1 else 'is'} worse, paired and corrected. "
        "One run of an algorithm each: this speaks of these winners, not of the algorithms."
    ]


def _matters(experiment: Experiment, importances: pl.DataFrame) -> list[str]:
    lines = []
    for (study, method), own in importances.group_by(["study", "method"], maintain_order=True):
        ranked = own.sort("share", descending=True, maintain_order=True).to_dicts()
        first = ranked[0]
        stands = f"{first['trials']} trials" + (f", {first[PRUNED]} of them ended early" if first[PRUNED] else "")
        top = listed([f"`{row['axis']}` {row['share']:.0%}" for row in ranked[:3]])
        if method == FANOVA:
            lines.append(f"{METHODS[method]} on {_bold(study)} ({stands}), shares of the variance: {top}.")
            continue
        told = [row["axis"] for row in ranked if row["chance"] <= LEVEL]
        beyond = (
            f"beyond what shuffled trials give: {listed([f'`{axis}`' for axis in told])}"
            if told
            else "none is beyond what shuffled trials give"
        )
        lines.append(f"{METHODS[method]} on {_bold(study)} ({stands}), shares: {top}; {beyond}.")
    if lines:
        lines.append(
            "PED-ANOVA: how much an axis separates the best fifth of the trials from all of them, as a share of the sum over "
            "the axes. fANOVA: the share of the variance over the space that an axis explains by itself, in a random forest, "
            "which also finds some in noise. Shuffled trials are asked of each axis by itself: one in twenty that decides nothing "
            "looks as if it did. Trials of an algorithm that adapts lie where it looked; the space-filling ones "
            "speak of the whole space."
        )
    known = set(importances["study"])
    without = [name for name, study in experiment.studies.items() if name not in known]
    if without:
        names = listed([_bold(name) for name in without])
        lines.append(f"Too few trials, or only one axis, to say what mattered in {names}.")
    return lines


def _patterns(experiment: Experiment, effects: pl.DataFrame) -> list[str]:
    if not pool_of(experiment):
        return [
            "No study draws its trials independently of their results, so no effect can be told from where it looked."
        ]
    name = _bold(pool_name(pool_of(experiment)))
    if effects.is_empty():
        return [f"Fewer than {FEWEST} trials of {name} have a value: no effect is looked for."]
    lines, rows = [], [row for row in effects.to_dicts() if row["effect"] is not None]
    for verdict, verb in (("better", "helps"), ("worse", "harms")):
        own = [row for row in rows if row["verdict"] == verdict and not (verdict == "worse" and _mirrored(row, rows))]
        own = sorted(own, key=lambda row: -abs(row["effect"]))
        if own:
            lines.append(f"On the trials of {name}, {verb}: {listed([_effect(row) for row in own])}.")
    decided = {row["axis"] for row in rows if row["verdict"] in ("better", "worse")}
    rest = [axis for axis in dict.fromkeys(effects["axis"]) if axis not in decided]
    if rest:
        widths = sorted((row["high"] - row["low"]) / 2 for row in rows if row["axis"] in rest)
        where = "any axis" if not decided else listed([f"`{axis}`" for axis in rest])
        reach = f" (its intervals reach ±{number(widths[0], 2)} to ±{number(widths[-1], 2)})" if widths else ""
        lines.append(f"No choice could be told apart along {where}{reach}.")
    return [
        *lines,
        "An effect is the mean share of the trials that those with this choice beat, minus the same for those without it. "
        f"Intervals and verdicts are corrected over all {len(rows)} choices; a trial that was ended early "
        "counts with the best it had reached.",
    ]


def _mirrored(row: dict, rows: list[dict]) -> bool:
    """Return whether an axis has two choices, so that what one loses is what the other gains."""
    return sum(other["axis"] == row["axis"] for other in rows) == 2


def _effect(row: dict) -> str:
    return f"`{row['axis']}` = {markdown(row['label'])} {_size(row)}"


def _size(row: dict) -> str:
    return f"{signed(row['effect'], 2)} {interval(row['low'], row['high'], 2)}"


def _shared(experiment: Experiment, trials: pl.DataFrame) -> list[str]:
    ten = ten_best(experiment.studies.values(), trials)
    if len(ten) < TEN:
        return []
    told = [words for axis in axes_of_studies(experiment.studies.values()) for words in [_common(axis, ten)] if words]
    origins = {row["study"]: sum(other["study"] == row["study"] for other in ten) for row in ten}
    whence = listed([f"{number} from {_bold(study)}" for study, number in origins.items()])
    alike = f"They share {listed(told)}." if told else f"No choice is shared by {MOST} of them."
    return [
        f"The ten best trials ({whence}): {alike} Trials of an algorithm that adapts resemble each other by its doing."
    ]


def _common(axis: Axis, ten: list[dict]) -> str | None:
    """Return what the ten best have in common on an axis: a label of most of them, or a part of a range."""
    values = [row[axis.name] for row in ten if row[axis.name] is not None]
    if axis.kind == "choice":
        label = max(axis.labels, key=values.count)
        return (
            f"`{axis.name}` = {markdown(label)} ({values.count(label)} of 10)" if values.count(label) >= MOST else None
        )
    if len(values) < TEN:
        return None
    low, high = min(values), max(values)
    narrow = (high / low) ** 2 < axis.high / axis.low if axis.log else 2 * (high - low) < axis.high - axis.low
    return f"`{axis.name}` from {value_text(low)} to {value_text(high)}" if narrow else None


def _scheduler(
    experiment: Experiment, importances: pl.DataFrame, effects: pl.DataFrame, results: pl.DataFrame
) -> list[Section]:
    """Return the section on the scheduler's part, where a search touches it or an arm lays another one over a winner."""
    axes = [
        axis.name
        for axis in axes_of_studies(experiment.studies.values())
        if any(_schedules(path) for path in axis.paths())
    ]
    told, whole = {row["arm"]: row for row in results.to_dicts()}, pool_name(pool_of(experiment))
    laid = [arm for arm in experiment.arms.values() if arm.winner_of in experiment.studies and SCHEDULER in arm.over]
    lines = [_share(row) for row in importances.to_dicts() if row["axis"] in axes and row["study"] == whole]
    own = [row for row in effects.to_dicts() if row["axis"] in axes and row["effect"] is not None]
    for verdict, words in (("better", "helps"), ("worse", "harms")):
        some = [row for row in own if row["verdict"] == verdict]
        if some:
            lines.append(f"Over the space, {words}: {listed([_effect(row) for row in some])}.")
    if own and all(row["verdict"] not in ("better", "worse") for row in own):
        lines.append(f"Over the space, no schedule could be told apart: {listed([_effect(row) for row in own])}.")
    lines += [_laid(arm, told[arm.name]) for arm in laid if arm.name in told]
    return [Section("The scheduler's part", lines, links=[IMPORTANCES, EFFECTS, ARMS])] if lines else []


def _schedules(path: str) -> bool:
    return path == SCHEDULER or path.startswith(f"{SCHEDULER}.")


def _share(row: dict) -> str:
    chance = "" if row["chance"] is None else f" (as much or more in {row['chance']:.0%} of shuffled trials)"
    of = "the variance" if row["method"] == FANOVA else "what separates the best fifth"
    return (
        f"`{row['axis']}` has {row['share']:.0%} of {of} by {METHODS[row['method']]} on {_bold(row['study'])}{chance}."
    )


def _laid(arm: Any, row: dict) -> str:
    """Say what another schedule does to a winner whose other settings stay as they are."""
    over = ", ".join(f"`{key}: {setting(value)}`" for key, value in arm.over.items())
    if SAME_RUNS in row["note"]:
        return f"The winner of {_bold(arm.winner_of)} has {over} already: {_bold(arm.name)} is the same runs."
    if row["against_delta"] is None:
        return f"{_bold(arm.name)}, the winner of {_bold(arm.winner_of)} with {over} laid over it, was not compared with it."
    verdict = _TOLD.get(row["against_verdict"], _OPEN)
    found = f"{signed(row['against_delta'])} {interval(row['against_low'], row['against_high'])}"
    small = {"verdict": row["against_verdict"], "smallest_detectable": row["against_smallest_detectable"]}
    return (
        f"{_bold(arm.name)}, the winner of {_bold(arm.winner_of)} with {over} laid over it, {verdict} it on test: {found}, "
        f"{_p(row['against_p_holm'])}{_detectable(small)} (against {_bold(row['against'])}, all else equal)."
    )
