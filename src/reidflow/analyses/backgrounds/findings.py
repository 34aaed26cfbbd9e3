"""The findings of tests on other versions of the images: computed statements, tables and figures."""

from collections.abc import Mapping

import polars as pl

from reidflow.tables.layout import Block, block_of
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, probability, signed

BOTH, QUERY = "both", "query"
INCONCLUSIVE, UNDEFINED = "inconclusive", "undefined"
TESTED_ON, QUERY_ONLY, RELIANCE, SHEETS = "tested_on", "query_only", "reliance", "interventions"


def sections(
    matrix: pl.DataFrame, reliance: pl.DataFrame, results: pl.DataFrame, probes: Mapping[str, str], level: float
) -> list[Section]:
    """Return the sections for a TESTED_MATRIX, a RELIANCE table and the experiment's RESULTS."""
    own = pl.col("own") & (pl.col("tested_on") == probes["foreground"]) & (pl.col("mode") == BOTH)
    helped = matrix.filter(own)["arm"].to_list()
    return [
        _trained_and_tested(matrix, probes, level),
        _query_only(matrix, probes, level),
        _reliance(reliance, probes, helped, level),
        Section(
            "What the versions look like",
            [
                "What the arms saw in training and what the probes show, for a few images: a mask's edge that shows the animal, "
                "a halo around it or a patch that repeats would tell more or less than meant."
            ],
            figures={SHEETS: "The interventions and the probes, image by image"},
        ),
        Section("Which intervention to take", _recommended(reliance, results)),
    ]


def _trained_and_tested(matrix: pl.DataFrame, probes: Mapping[str, str], level: float) -> Section:
    rows = matrix.filter(pl.col("mode") == BOTH)
    versions = list(dict.fromkeys(rows["tested_on"]))
    table = [[arm, *(number(row["id_map"]) for row in of)] for arm, of in _by_arm(rows)]
    best = [
        f"{_name(arm)} {signed(own['delta'])} {_interval(own)} ({number(own['id_map'])})"
        for arm, of in _by_arm(rows)
        for own in of
        if own["own"] and own["tested_on"] != probes["original"]
    ]
    statements = [
        "Queries and gallery are in the version named; every difference is to the same arm tested on the unchanged "
        f"images, paired by identity and seed, corrected over all arms and versions at {level:.0%}.",
        *_losses(rows, probes),
    ]
    if best:
        statements.append(f"Tested on the very version that it was trained on, each arm changes by: {listed(best)}.")
    return Section(
        "Trained on, tested on",
        statements,
        [Block("Identity-balanced mAP: trained on (rows), tested on (columns)", ["arm", *versions], table)],
        {
            TESTED_ON: "Trained on (rows), tested on (columns): identity-balanced mAP and its change from the unchanged images"
        },
    )


def _losses(rows: pl.DataFrame, probes: Mapping[str, str]) -> list[str]:
    """Return for each arm the version on which it loses most, and those on which no change can be told.

    Only versions that still show the animal as it is: that without it less is found says nothing of the arm.
    """
    apart = [probes[role] for role in ("original", "background", "control", "silhouette")]
    lines = []
    for arm, of in _by_arm(rows.filter(~pl.col("tested_on").is_in(apart))):
        same = [_name(row["tested_on"]) for row in of if row["verdict"] == INCONCLUSIVE]
        low = min(of, key=lambda row: row["delta"])
        if low["verdict"] == "worse":
            most = f"loses most on {_name(low['tested_on'])}: {signed(low['delta'])} {_interval(low)}, to {number(low['id_map'])}"
        else:
            most = "loses detectably on no version"
        lines.append(f"{_name(arm)} {most}{f'; no change can be told on {listed(same)}' if same else ''}.")
    return lines


def _query_only(matrix: pl.DataFrame, probes: Mapping[str, str], level: float) -> Section:
    rows = matrix.filter(pl.col("mode") == QUERY)
    if rows.is_empty():
        return Section("Queries alone", ["No version but the original was tested."])
    versions = list(dict.fromkeys(rows["tested_on"]))
    cells = [
        [arm, *(f"{signed(row['delta'])}{'' if row['verdict'] == INCONCLUSIVE else ' *'}" for row in of)]
        for arm, of in _by_arm(rows)
    ]
    return Section(
        "Altered queries before an unchanged gallery",
        [
            "The gallery stays as it is and the query alone is altered, as when a photograph comes from another place: "
            "a loss is what the arm does not find without the query's own background.",
            *_losses(rows, probes),
        ],
        [
            Block(
                f"Change of mAP when the query alone is altered (* detectable at {level:.0%}, corrected)",
                ["arm", *versions],
                cells,
            )
        ],
        {QUERY_ONLY: "The query alone altered, the gallery unchanged: mAP and its change"},
    )


def _reliance(table: pl.DataFrame, probes: Mapping[str, str], helped: list[str], level: float) -> Section:
    base = table.row(by_predicate=pl.col("baseline"), named=True)
    others = table.filter(~pl.col("baseline")).to_dicts()
    lines = [
        f"Reliance = (mAP on {_name(probes['background'])} - chance) / (mAP on {_name(probes['foreground'])} - chance), "
        "chance for each identity: 0 where the background alone says nothing, 1 where it says as much as the animal.",
        *_control(table, probes["control"], level),
        _own(base),
    ]
    if base["together_delta"] is not None and len(others) > 1:
        words = {"lower": "rely less", "higher": "rely more"}.get(base["together_verdict"], "cannot be told apart")
        lines.append(
            f"All {len(others)} interventions together, one comparison by itself, {words} "
            f"{'from' if words.startswith('cannot') else 'than'} the baseline: mean difference {signed(base['together_delta'])} "
            f"{interval(base['together_low'], base['together_high'])}, {_p(base['together_p'])}."
        )
    told = [row for row in others if row["verdict"] in ("lower", "higher")]
    lines += [
        f"{_name(row['arm'])} relies {'less' if row['verdict'] == 'lower' else 'more'} on the background than the baseline: "
        f"{_value(row)}, difference {signed(row['delta'])} {_interval(row)}, "
        f"{_p(row['p_holm'])}."
        for row in sorted(told, key=lambda row: row["delta"])
    ]
    same = [
        f"{_name(row['arm'])} ({number(row['reliance'])}, difference {signed(row['delta'])} {_interval(row)})"
        for row in others
        if row["verdict"] == INCONCLUSIVE
    ]
    if same:
        lines.append(f"Cannot be told from the baseline's reliance: {listed(same)}.")
    lines += [_own(row) for row in others if row["verdict"] == UNDEFINED]
    if helped:
        lines.append(
            f"{listed([_name(arm) for arm in helped])} was trained on the very version that shows the foreground only, which raises its foreground mAP "
            "and so lowers its reliance; the other arms have no such help."
        )
    return Section(
        "Reliance on the background",
        lines,
        [_block(table)],
        {RELIANCE: "What is found by the background alone and by the animal alone, and their ratio with its interval"},
    )


def _value(row: dict) -> str:
    return f"{number(row['reliance'])} {_range(row)}"


def _range(row: dict) -> str:
    return NOTHING if row["low"] is None else f"[{number(row['low'])}, {number(row['high'])}]"


def _own(row: dict) -> str:
    who = f"The baseline {_name(row['arm'])}" if row["baseline"] else _name(row["arm"])
    if not row["defined"]:
        return f"The reliance of {'the baseline ' if row['baseline'] else ''}{_name(row['arm'])} is not defined: {row['note']}."
    return (
        f"{who} has a reliance of {_value(row)}: mAP "
        f"{number(row['background'])} with the background only, {number(row['foreground'])} with the animal only, "
        f"{number(row['silhouette'])} with its silhouette, chance {number(row['chance'])}."
    )


def _control(table: pl.DataFrame, label: str, level: float) -> list[str]:
    """Return whether the probe is sound: unrelated backgrounds with the same holes must say nothing."""
    rows = table.to_dicts()
    unknown = [_name(row["arm"]) for row in rows if row["control_verdict"] is None]
    leaking = [
        f"{_name(row['arm'])} ({signed(row['control'] - row['chance'])} {interval(row['control_low'], row['control_high'])})"
        for row in rows
        if row["control_verdict"] == "better"
    ]
    below = [_name(row["arm"]) for row in rows if row["control_verdict"] == "worse"]
    known = [row for row in rows if row["control_verdict"] is not None]
    lines = []
    if leaking:
        lines.append(
            f"**Warning:** the control {_name(label)}, the same holes in unrelated backgrounds, ranks above chance: "
            f"{listed(leaking)} above it. The holes tell identities apart, so the probe leaks and the reliance of these arms "
            "is not to be believed."
        )
    elif known:
        most = max(row["control_high"] for row in known)
        every = "every arm" if not unknown else f"{len(known)} of {len(rows)} arms"
        lines.append(
            f"The control {_name(label)}, the same holes in unrelated backgrounds, is not detectably above chance for {every} "
            f"(at {level:.0%}, corrected; the upper ends of its intervals are at most {signed(most)} above it): what the probe "
            "shows is background."
        )
    if below:
        lines.append(f"The control ranks below chance for {listed(below)}.")
    if unknown:
        lines.append(
            f"Whether the control is at chance cannot be said for {listed(unknown)}: too few seeds or identities."
        )
    return lines


def _block(table: pl.DataFrame) -> Block:
    columns = {
        "arm": lambda row: row["arm"],
        **{
            name: lambda row, name=name: number(row[name])
            for name in ("background", "control", "foreground", "silhouette")
        },
        "chance": lambda row: number(row["chance"]),
        "reliance": lambda row: number(row["reliance"]),
        "interval": _range,
        "delta": lambda row: signed(row["delta"]),
        "delta's interval": lambda row: interval(row["delta_low"], row["delta_high"]),
        "p_holm": lambda row: probability(row["p_holm"]),
        "verdict": lambda row: row["verdict"],
        "note": lambda row: row["note"],
    }
    return block_of("Reliance on the background", columns, table.to_dicts())


def _recommended(table: pl.DataFrame, results: pl.DataFrame) -> list[str]:
    """Return which interventions lower reliance most among those that cost no detectable foreground mAP."""
    rows = table.filter(~pl.col("baseline")).to_dicts()
    lower = sorted((row for row in rows if row["verdict"] == "lower"), key=lambda row: row["delta"])
    best = [row for row in lower if row["recommended"]]
    costly = [row for row in lower if row["foreground_verdict"] == "worse"]
    behind = [row for row in lower if row not in best and row not in costly]
    if not lower:
        return ["No intervention lowers reliance detectably, so none is recommended."]
    lines = []
    if best:
        told = [
            f"{_name(row['arm'])} ({signed(row['delta'])} {_interval(row)}; foreground {_foreground(row)})"
            for row in best
        ]
        whom = "is" if len(best) == 1 else "is one of these, which cannot be told apart:"
        lines.append(
            "The intervention that lowers reliance most, of those with no detectable loss of foreground mAP, "
            f"{whom} {listed(told)}."
        )
        lines += [line for row in best for line in _headline(row["arm"], results)]
    else:
        lines.append("Every intervention that lowers reliance detectably also costs foreground mAP, so none is free.")
    for which, words in (
        (behind, "Lower reliance by less, as free"),
        (costly, "Lower reliance at a loss of foreground mAP"),
    ):
        if which:
            each = [f"{_name(row['arm'])} ({signed(row['delta'])}; foreground {_foreground(row)})" for row in which]
            lines.append(f"{words}: {listed(each)}.")
    return lines


def _foreground(row: dict) -> str:
    return f"{signed(row['foreground_delta'])} {interval(row['foreground_low'], row['foreground_high'])}"


def _headline(arm: str, results: pl.DataFrame) -> list[str]:
    row = results.row(by_predicate=pl.col("arm") == arm, named=True)
    if row["delta"] is None:
        return []
    return [
        f"On unchanged test images {_name(arm)} scores {number(row['id_map'])}, {signed(row['delta'])} {_interval(row)} from "
        f"the baseline ({row['verdict']})."
    ]


def _by_arm(rows: pl.DataFrame) -> list[tuple[str, list[dict]]]:
    return [(arm, of.to_dicts()) for (arm,), of in rows.group_by(["arm"], maintain_order=True)]


def _interval(row: dict) -> str:
    return interval(row["delta_low"], row["delta_high"])


def _p(value: float) -> str:
    text = probability(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _name(name: str) -> str:
    return f"**{markdown(name)}**"
