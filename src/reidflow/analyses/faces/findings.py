"""What a competition's program found, in computed sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from reidflow.analyses.faces.arms import DESCRIBED, SIDES, TRAINED
from reidflow.analyses.faces.blocks import (
    ablation_block,
    agreement_block,
    architectures_block,
    choices_block,
    clusters_block,
    configurations_block,
    interval_of,
    points,
    ranked,
    speed_block,
    ten_block,
    times,
    whole,
    within,
)
from reidflow.analyses.faces.choices import HELD_OUT, RULES, level
from reidflow.analyses.faces.collected import Faces
from reidflow.analyses.faces.effects import WORDS, setting_text
from reidflow.analyses.faces.published import published_section
from reidflow.spec.experiment_file import ExperimentFile
from reidflow.tables.layout import magnitude, share
from reidflow.tables.sections import Section
from reidflow.tables.text import interval, listed, markdown, number, signed

RATES, EPOCHS, ABLATION_PLOT = "score_by_rate", "score_by_epochs", "score_ablation"
PER_MINUTE, BY_TIME = "score_per_minute", "score_by_time"
FIGURES = (RATES, EPOCHS, ABLATION_PLOT, PER_MINUTE, BY_TIME)
ARMS = "arms"
NOISE = 2.0
"""Scores within so many standard errors of the highest are not told from it."""
SEVERAL = 8
"""More arms than these are counted, not named."""
_KEYS = {"top1": "top-1", "top5": "top-5", "top10": "top-10"}


def sections(file: ExperimentFile, faces: Faces, results: pl.DataFrame, links: Sequence[str] = ()) -> list[Section]:
    """Return the sections of the findings.

    file: of the experiment. results: its RESULTS. links: names of figures of other analyses that belong to it.
    """
    sides = [side for side in SIDES if side in set(faces.configurations["side"])]
    found = [
        Section(
            "Configurations by score",
            [*_weights(file), *_best(faces.configurations, sides, results), *_noise(faces.configurations, sides)],
            [
                *(ten_block(faces.configurations, side) for side in sides if ranked(faces.configurations, side)),
                *(configurations_block(faces.configurations, side) for side in sides),
            ],
            {RATES: "Score by learning rate"},
            [ARMS, *links],
        ),
        Section(
            "What the settings of the training are worth",
            [*_cannot(faces.configurations, faces.ablation), *_settings(faces.ablation), *_course(faces)],
            [ablation_block(faces.ablation, side) for side in sides if side in set(faces.ablation["side"])],
            {ABLATION_PLOT: "What one setting is worth", EPOCHS: "Score by epochs"},
            [RATES],
        ),
        Section(
            "Architectures and time",
            [*_architectures(faces.architectures, sides), *_time(faces, results)],
            [
                *(architectures_block(faces.architectures, side) for side in sides if _any(faces.architectures, side)),
                *([speed_block(faces.efficiency)] if faces.efficiency["controlled"].any() else []),
            ],
            {PER_MINUTE: "Score per minute", BY_TIME: "Score by time"},
        ),
    ]
    if not faces.choices.is_empty():
        found.append(
            Section(
                "Automatic choice of the architecture",
                _choices(faces.choices),
                [block for block in (choices_block(faces.choices), agreement_block(faces.choices)) if block.rows],
                links=[RATES],
            )
        )
    found.append(
        Section(
            "Clusters", _clusters(faces.configurations, sides), [clusters_block(faces.configurations)], links=[RATES]
        )
    )
    return found + published_section(file, faces.configurations, [RATES, EPOCHS, ABLATION_PLOT])


def _any(table: pl.DataFrame, side: str) -> bool:
    return side in set(table["side"])


def _bold(name: str) -> str:
    return f"**{markdown(name)}**"


def _weights(file: ExperimentFile) -> list[str]:
    told = [f"{file.score[key]:g} {words}" for key, words in _KEYS.items() if key in (file.score or {})]
    return [f"Score = {' + '.join(told)}, so at most {sum((file.score or {}).values()):g}."]


def _spread(row: Mapping) -> str:
    """Return a mean score with its noise over seeds."""
    if row["score_std"] is None:
        return f"{points(row['score'])} with one seed"
    if row["side"] == DESCRIBED and not row["score_std"]:
        return f"{points(row['score'])}, which no seed changes"
    span = interval_of(row["score_low"], row["score_high"])
    return f"{points(row['score'], row['score_std'])} over {row['seeds']} seeds, 95 % interval of the mean {span}"


def _best(configurations: pl.DataFrame, sides: list[str], results: pl.DataFrame) -> list[str]:
    lines = []
    for side in sides:
        rows = ranked(configurations, side)
        if not rows:
            lines.append(f"{side.capitalize()}, no configuration has a score.")
            continue
        lines.append(
            f"{side.capitalize()}, the highest mean score is that of {_bold(rows[0]['arm'])}: {_spread(rows[0])}."
        )
    missing = configurations.filter(pl.col("score").is_null())
    for (note,), own in missing.partition_by("note", as_dict=True, maintain_order=True).items():
        names = listed([f"{_bold(name)} ({side})" for name, side in own.select("configuration", "side").iter_rows()])
        lines.append(f"Without a score: {names}: {markdown(note)}.")
    ties = results.filter("ties_with_best")["arm"].to_list()
    if len(ties) > SEVERAL:
        scored = results["id_map"].count()
        lines.append(f"By mAP, paired and corrected, {len(ties)} of {scored} arms cannot be told from the best one.")
    elif len(ties) > 1:
        names = listed([_bold(name) for name in ties])
        lines.append(f"By mAP, paired by identity and seed and corrected, {names} cannot be told from the best arm.")
    elif ties:
        lines.append(f"By mAP, {_bold(ties[0])} is the best: every other arm is worse, paired and corrected.")
    return lines


def _noise(configurations: pl.DataFrame, sides: list[str]) -> list[str]:
    """Say how much of the differences in score the number of queries explains."""
    lines = []
    for side in sides:
        rows = [row for row in ranked(configurations, side) if row["score_error"] is not None]
        if not rows:
            continue
        best = rows[0]
        near = sum(best["score"] - row["score"] <= NOISE * best["score_error"] for row in rows)
        lines.append(
            f"{side.capitalize()}, the {best['queries']} queries alone give one run of {_bold(best['arm'])} a standard error "
            f"of {number(best['top1_error'])} in top-1 and of {points(best['score_error'])} in score: {near} of {len(rows)} "
            f"{'arms lie' if len(rows) > 1 else 'arm lies'} within {NOISE:g} of it below the highest score."
        )
    return lines


def _cannot(configurations: pl.DataFrame, ablation: pl.DataFrame) -> list[str]:
    """Say that nothing of a training can change features for which nothing was trained."""
    own = configurations.filter((pl.col("side") == DESCRIBED) & pl.col("arm").is_not_null())
    if own.is_empty():
        return []
    arms = own["arm"].n_unique()
    words = (
        f"As described, learning rate, epochs, batch size and augmentation cannot change anything: the backbone is frozen, its "
        f"batch statistics too, and the features before the head are ranked. Its {len(own)} configurations are {arms} "
        f"network{'' if arms == 1 else 's'}."
    )
    same = ablation.filter((pl.col("side") == DESCRIBED) & pl.col("same_runs"))
    stated = [abs(value) for value in same["published_difference"].drop_nulls()]
    if stated:
        words += f" Their numbers differ by up to {number(max(stated), 1)} points where these settings alone differ."
    return [words]


def _settings(ablation: pl.DataFrame) -> list[str]:
    """Say for each setting and side what its arms are worth against the baseline."""
    lines = []
    for side in SIDES:
        for factor, words in WORDS.items():
            wanted = (pl.col("side") == side) & (pl.col("factor") == factor) & pl.col("difference").is_not_null()
            rows = ablation.filter(wanted, ~pl.col("same_runs").fill_null(False)).to_dicts()
            if not rows or factor == "architecture":
                continue
            told = [f"{_bold(row['configuration'])} {_worth(row)}" for row in rows]
            lines.append(f"{words.capitalize()}, {side}: {listed(told)}. {_mattered(rows)}")
    return lines


def _worth(row: Mapping) -> str:
    span, noisy = interval(row["difference_low"], row["difference_high"], 1), len(set(row["difference_by_seed"])) > 1
    score = f"{signed(row['difference'], 1)} points" + (f" {span} over seeds" if noisy else "")
    if row["verdict"] is None:
        return f"({score})"
    return f"({score}; mAP {signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}, {row['verdict']})"


def _mattered(rows: Sequence[Mapping]) -> str:
    judged = [row for row in rows if row["verdict"] is not None]
    if not judged:
        return "Whether it mattered was not tested."
    found = [row["value"] for row in judged if row["verdict"] in ("better", "worse")]
    if not found:
        return "By mAP it cannot be shown to have mattered."
    return f"By mAP it mattered: {listed([markdown(value) for value in found])} can be told from the baseline."


def _course(faces: Faces) -> list[str]:
    """Say where the score is highest over epochs, and what the worst learning rate costs each architecture."""
    own = faces.configurations.filter((pl.col("side") == TRAINED) & pl.col("score").is_not_null())
    base = own.filter("baseline").to_dicts()
    if not base:
        return []
    lines, alone = [], along(faces.configurations, TRAINED, "epochs")
    if len(alone) > 1:
        best, last = max(alone, key=lambda row: row["score"]), alone[-1]
        lines.append(
            f"{_bold(base[0]['architecture'])} scores highest after {best['epochs']} of the {listed([str(r['epochs']) for r in alone])} "
            f"epochs tried ({points(best['score'], best['score_std'])})"
            + (
                "."
                if best is last
                else f", {points(best['score'] - last['score'])} points above {last['epochs']} epochs."
            )
        )
    for architecture in own["architecture"].unique(maintain_order=True):
        rows = along(faces.configurations, TRAINED, "learning_rate", architecture)
        if len(rows) > 1:
            best, worst = (pick(rows, key=lambda row: row["score"]) for pick in (max, min))
            lost = (best["score"] - worst["score"]) / best["score"] if best["score"] else 0.0
            lines.append(
                f"{_bold(architecture)}, trained with each learning rate: highest with "
                f"{setting_text('learning_rate', best['learning_rate'])} ({points(best['score'])}), lowest with "
                f"{setting_text('learning_rate', worst['learning_rate'])} ({points(worst['score'])}, {share(lost)} less)."
            )
    return lines


def along(configurations: pl.DataFrame, side: str, factor: str, architecture: str | None = None) -> list[dict]:
    """Return the rows with a score that share all but one setting with the baseline, by that setting, lowest first.

    architecture: another one than the baseline's.
    """
    own = configurations.filter(pl.col("side") == side)
    base = own.filter("baseline").to_dicts()
    if not base:
        return []
    fixed = {"architecture": architecture or base[0]["architecture"]}
    fixed |= {name: base[0][name] for name in WORDS if name not in ("architecture", factor)}
    same = [pl.col(name).eq_missing(value) for name, value in fixed.items()]
    rows = own.filter(pl.col("score").is_not_null() & pl.col(factor).is_not_null(), *same)
    return rows.sort(factor).to_dicts()


def _architectures(architectures: pl.DataFrame, sides: list[str]) -> list[str]:
    lines = []
    for side in sides:
        own = architectures.filter((pl.col("side") == side) & pl.col("score").is_not_null()).to_dicts()
        rows = sorted(own, key=lambda row: -row["score"])
        if len(rows) > 1:
            told = [
                f"{_bold(row['architecture'])} {points(row['score'])} ({share(row['relative_score'])})" for row in rows
            ]
            lines.append(f"{side.capitalize()}, with the settings of the baseline, by score: {listed(told)}.")
    return lines


def _time(faces: Faces, results: pl.DataFrame) -> list[str]:
    """Say what the architectures cost in operations; what was measured on one machine stands in the tables alone."""
    lines = [
        "Seconds, points per minute, relative speed and images per second are measured on one machine: they stand in the last "
        "table of this section, not here. A frozen backbone embeds every image once for all epochs, so that further epochs "
        "cost next to nothing."
    ]
    flops = dict(results.select("arm", "flops").iter_rows())
    trained = faces.architectures.filter(pl.col("side") == TRAINED).select("architecture", "arm").iter_rows()
    known = {name: flops[arm] for name, arm in trained if flops.get(arm)}
    if len(known) > 1:
        least = min(known.values())
        told = [
            f"{_bold(name)} {times(value / least)}" for name, value in sorted(known.items(), key=lambda pair: pair[1])
        ]
        lines.append(
            f"Operations of one image, on any machine, against the fewest ({magnitude(least)} FLOPs): {listed(told)}."
        )
    theirs = faces.efficiency.filter("controlled", pl.col("published_score_per_minute").is_not_null())
    each = {row["configuration"]: row for row in theirs.sort("published_score_per_minute", descending=True).to_dicts()}
    if each:
        told = [f"{_bold(row['architecture'])} {whole(row['published_score_per_minute'])}" for row in each.values()]
        lines.append(f"Their numbers, points per minute with the settings of the baseline: {listed(told)}.")
    return lines


def _choices(choices: pl.DataFrame) -> list[str]:
    lines = []
    for side in choices["side"].unique(maintain_order=True):
        chosen = {rule: found for rule in RULES if (found := level(choices, side, rule))}
        scored = choices.filter((pl.col("side") == side) & pl.col("seed").is_null() & pl.col("score").is_not_null())
        highest = max(scored["score"], default=None)
        lines += [_picked(side, rule, found, highest) for rule, found in chosen.items()]
        if len(chosen) == len(RULES):
            lines.append(_agreement(side, *chosen.values()))
    if HELD_OUT not in set(choices["rule"]):
        lines.append("The experiment is not trained on a split with held-out identities, so one rule alone chooses.")
    return lines


def _picked(side: str, rule: str, found: Mapping[int | None, list[dict]], highest: float | None) -> str:
    """Say what a rule picks; which of several equal ones the measured latency picks stands in the table."""
    on_mean = found[None]
    value = f"on the mean over seeds ({number(on_mean[0]['value'])})"
    what = f"picks {_tie(on_mean)} {value}" if len(on_mean) == 1 else f"finds {_tie(on_mean)} {value}"
    scores = listed([points(row["score"]) for row in on_mean if row["score"] is not None])
    best = (
        ", the highest of all"
        if any(row["score"] == highest for row in on_mean)
        else f"; the highest is {points(highest)}"
    )
    test = f": {scores} on test{best}" if scores else ""
    counts = Counter(_tie(rows) for seed, rows in found.items() if seed is not None)
    each = listed([f"{own} with {times_}" for own, times_ in counts.items()])
    ties = " A latency decides between equals, in the table." if any(len(rows) > 1 for rows in found.values()) else ""
    return f"{side.capitalize()}, {rule} {what}{test}. Of {sum(counts.values())} seeds: {each}.{ties}"


def _tie(rows: list[dict]) -> str:
    names = listed([_bold(row["architecture"]) for row in rows])
    return names if len(rows) == 1 else f"a tie of {names}"


def _agreement(side: str, first: Mapping[int | None, list[dict]], second: Mapping[int | None, list[dict]]) -> str:
    """Say whether two rules agree; where one of them leaves several level, whether the other's choice is among them."""
    told = {seed: _agree(first[seed], second[seed]) for seed in first if seed in second}
    seeds = Counter(words for seed, words in told.items() if seed is not None)
    each = listed([f"{words} with {count_}" for words, count_ in seeds.items()])
    tied = (
        " They tie where one choice leaves several level and the other picks one of these."
        if "tie" in told.values()
        else ""
    )
    return f"{side.capitalize()}, the two choices {told[None]} on the mean over seeds; of {sum(seeds.values())} seeds they {each}.{tied}"


def _agree(first: list[dict], second: list[dict]) -> str:
    ours, theirs = ({row["arm"] for row in rows} for rows in (first, second))
    if not ours & theirs:
        return "disagree"
    return "agree" if ours == theirs and len(ours) == 1 else "tie"


def _clusters(configurations: pl.DataFrame, sides: list[str]) -> list[str]:
    lines = []
    for side in sides:
        rows = [row for row in ranked(configurations, side) if row["nmi"] is not None]
        if not rows:
            continue
        best = max(rows, key=lambda row: row["nmi"])
        words = f"{side.capitalize()}, the clusters of {_bold(best['arm'])} agree best with the identities (NMI {number(best['nmi'])})"
        near = [row for row in rows if within(row) is not None]
        if near:
            tight = min(near, key=within)
            words += (
                f"; those of {_bold(tight['arm'])} are tightest: images of one identity lie {number(within(tight), 2)} times as far "
                "apart as those of two"
            )
        lines.append(f"{words}.")
    return lines
