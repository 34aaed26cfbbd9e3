"""What an experiment on seeds found, in computed sentences."""

import math
import statistics
from collections.abc import Mapping

import polars as pl

from reidflow.analyses.seeds.blocks import (
    Best,
    configuration_block,
    ranking_block,
    readings_block,
    runs_block,
    settings,
    spreads_block,
)
from reidflow.analyses.seeds.tables import DIFFERENCE, SPLIT, TRAINING, by_seed
from reidflow.tables.arms import mean
from reidflow.tables.sections import Section
from reidflow.tables.text import listed, markdown, number, signed

RUNS, READINGS = "seeds", "readings"
FIGURES = (RUNS, READINGS)
CLEAR = 2
"""A change of at least so many standard errors is called one."""


def sections(
    best: Best, seeds: pl.DataFrame, spreads: pl.DataFrame, ranking: pl.DataFrame, readings: pl.DataFrame
) -> list[Section]:
    """Return the sections of the findings, from the tables SEEDS, SPREADS, RANKING and READINGS of `tables.seeds`."""
    rows = {(row["kind"], row["arm"]): row for row in spreads.to_dicts()}
    return [
        Section(
            "The best experiment",
            [*_chosen(ranking), *_ties(ranking), *_same(best)],
            [configuration_block(best), ranking_block(ranking)],
        ),
        Section(
            "Over fresh training seeds, and over splits",
            [*_spread(best, rows, seeds), *_regression(best, seeds, ranking), *_splits(best, rows, seeds)],
            [spreads_block(spreads), *(runs_block(best, seeds, kind) for kind in dict.fromkeys(seeds["kind"]))],
            {RUNS: "Test mAP of each training seed and of each split"},
        ),
        Section(
            "The other experiments, read against this noise",
            _read(readings),
            [readings_block(readings)],
            {READINGS: "Largest difference of each experiment against the noise of its seeds"},
        ),
    ]


def _name(experiment: str, arm: str) -> str:
    return f"**{markdown(arm)}** of {markdown(experiment)}"


def _chosen(ranking: pl.DataFrame) -> list[str]:
    first = ranking.row(0, named=True)
    experiments, configurations = (ranking[column].n_unique() for column in ("experiment", "configuration"))
    gone = ranking.filter(pl.col("diverged") > 0)
    return [
        f"{_name(first['experiment'], first['arm'])} has the highest mean validation mAP, "
        f"{number(first['val_id_map'])} over {first['seeds']} seeds, of {ranking.height} arms ({configurations} "
        f"configurations) in {experiments} experiment{'s' if experiments > 1 else ''}. Test scores were not looked at.",
        *([f"Of {gone.height} arms runs diverged, and counted as 0."] if gone.height else []),
    ]


def _ties(ranking: pl.DataFrame) -> list[str]:
    others = ranking.filter(pl.col("configuration") != ranking["configuration"][0])
    level = others.filter(~pl.col("told_apart"))["configuration"].n_unique()
    unknown = others.filter(pl.col("told_apart").is_null()).height
    lines = [
        f"By their validation seeds alone, {level} other configuration{' ' if level == 1 else 's '}cannot be told from it "
        "(Welch's t, 5 %, corrected over all arms after Holm): which of them comes first is chance."
        if level
        else "By its validation seeds alone it can be told from every other configuration with several seeds (Welch's t, "
        "5 %, corrected over all arms after Holm)."
    ]
    return lines + ([f"{unknown} arms have one seed, and are not judged."] if unknown else [])


def _same(best: Best) -> list[str]:
    if settings(best.specs[best.arm]) == settings(best.specs[best.baseline]):
        return ["It is the baseline's configuration: there is nothing to gain, and every difference below is zero."]
    return []


def _spread(best: Best, rows: Mapping[tuple[str, str], dict], seeds: pl.DataFrame) -> list[str]:
    lines = []
    numbers = list(by_seed(seeds, TRAINING, best.arm))
    for arm in (best.arm, best.baseline):
        row = rows.get((TRAINING, arm))
        if row and row["mean"] is not None:
            lines.append(
                f"**{markdown(arm)}** scores {number(row['mean'])} on test over {row['count']} seeds"
                f"{', none of which chose it' if arm == best.arm else ''}: standard deviation {number(row['std'])}, standard error {number(row['standard_error'])}, between "
                f"{number(row['lowest'])} and {number(row['highest'])}."
            )
    row = rows.get((TRAINING, DIFFERENCE))
    if row and row["mean"] is not None:
        lines.append(
            f"The difference of **{markdown(best.arm)}** to **{markdown(best.baseline)}**, paired by seed, is "
            f"{signed(row['mean'])} with a standard deviation of {number(row['std'])} (between {signed(row['lowest'])} and {signed(row['highest'])})."
        )
    return [f"Seeds: {listed([str(seed) for seed in numbers])}.", *lines] if numbers else lines


def _regression(best: Best, seeds: pl.DataFrame, ranking: pl.DataFrame) -> list[str]:
    """Say how the winner's validation mAP changed from the seeds that chose it to fresh ones."""
    chose = ranking["val_id_map_by_seed"][0].to_list()
    fresh = list(by_seed(seeds, TRAINING, best.arm, "val_id_map").values())
    if min(len(chose), len(fresh)) < 2:
        return []
    change = mean(fresh) - mean(chose)
    error = math.sqrt(sum(statistics.variance(values) / len(values) for values in (chose, fresh)))
    if change >= 0:
        words = "not lower, so luck with the seeds that chose it does not show"
    elif -change > CLEAR * error:
        words = "lower, as the first of many is when part of its lead was luck (regression to the mean)"
    else:
        words = "lower, as regression to the mean lets expect of the first of many, but within what these seeds vary"
    return [
        f"On validation it scored {number(mean(chose))} with the {len(chose)} seeds that chose it and scores "
        f"{number(mean(fresh))} with {len(fresh)} fresh ones: {signed(change)}, standard error {number(error)}; {words}."
    ]


def _splits(best: Best, rows: Mapping[tuple[str, str], dict], seeds: pl.DataFrame) -> list[str]:
    if best.missing:
        return [f"Other splits were not tried: {best.missing}"]
    if (SPLIT, best.arm) not in rows:
        return ["No run on another split has a score."]
    trained = seeds.filter(pl.col("kind") == SPLIT)["seed"].n_unique()
    lines = []
    for arm in (best.arm, best.baseline):
        row, own = rows[SPLIT, arm], rows.get((TRAINING, arm), {})
        lines.append(
            f"Over {row['count']} other splits **{markdown(arm)}** scores {number(row['mean'])} with a standard deviation of "
            f"{number(row['std'])} (between {number(row['lowest'])} and {number(row['highest'])}); over training seeds it "
            f"is {number(own.get('std'))}."
        )
    row = rows[SPLIT, DIFFERENCE]
    ahead = sum(value > 0 for value in _differences(best, seeds).values())
    lines += [
        f"The difference, paired by split, is {signed(row['mean'])} with a standard deviation of {number(row['std'])}: "
        f"**{markdown(best.arm)}** is ahead on {ahead} of {row['count']} splits.",
        f"Every split trains {trained} seed{'s' if trained > 1 else ''} of each, so its spread holds that of training seeds; "
        "the splits share their photographs, so it says nothing of other animals. The best was chosen on none of them, but "
        "on a split that shares their photographs.",
        f"**Warning:** the audit finds a leak in the splits with the seeds {listed([str(n) for n in best.leaking])}."
        if best.leaking
        else "The leak audit of these splits finds none.",
    ]
    return lines


def _differences(best: Best, seeds: pl.DataFrame) -> dict[int, float]:
    ours, theirs = (by_seed(seeds, SPLIT, arm) for arm in (best.arm, best.baseline))
    return {key: ours[key] - theirs[key] for key in ours if key in theirs}


def _read(readings: pl.DataFrame) -> list[str]:
    rows = readings.to_dicts()
    if not rows:
        return ["There is no noise to read other experiments against, or no other experiment compares anything."]
    lines = [_definition(rows[0]), *_sides(rows, "carried", "noise of training seeds")]
    split = [row for row in rows if row["split_carried"] is not None]
    if split:
        lines += _sides(split, "split_carried", "noise of the split and of training seeds together")
    judged = sum(row["judged"] for row in rows)
    if judged:
        carried = sum(row["judged_carried"] for row in rows)
        line = f"Of {judged} arms judged better or worse than their baseline, {carried} lie beyond the noise of training seeds"
        if split:
            line += f", {sum(row['judged_split_carried'] for row in split)} beyond that of the split as well"
        lines.append(f"{line}.")
    doubtful = [row for row in rows if row["verdict"] in ("better", "worse") and not row["carried"]]
    if doubtful:
        told = [f"{_name(row['experiment'], row['arm'])} ({row['verdict']})" for row in doubtful]
        lines.append(
            f"A verdict that this noise does not carry: {listed(told)}. The verdict takes the noise from that experiment's own "
            "few runs."
        )
    return lines


def _definition(row: dict) -> str:
    std = row["noise"] * math.sqrt(row["seeds"] / 2)
    return (
        f"A run differs from itself with another seed by {number(std)} (standard deviation, root mean square over the best "
        f"and the baseline), so two means of {row['seeds']} seeds do by {number(row['noise'])}. An experiment's largest "
        "difference is carried where it lies beyond what the largest of so many arms reaches by this noise alone in 5 % of "
        "cases (Student's t, after Bonferroni). Arms that vary more than these two do would ask for more; and the verdict, "
        "unlike this noise, also asks whether the difference holds for other identities."
    )


def _sides(rows: list[dict], key: str, noise: str) -> list[str]:
    lines = []
    for side, words in ((True, "is larger than chance explains"), (False, "may be chance")):
        own = [row for row in rows if row[key] is side]
        if own:
            told = [f"{markdown(row['experiment'])} ({signed(row['delta'])})" for row in own]
            lines.append(f"Against the {noise}, the largest difference {words} in {listed(told)}.")
    return lines
