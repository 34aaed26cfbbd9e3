"""What wrong first candidates have in common with their queries, in computed sentences."""

import polars as pl

from reidflow.analyses.errors.tables import LESS, MORE
from reidflow.evaluation.error_patterns import CUES
from reidflow.tables.layout import Block, block_of, count, share
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, listed, markdown, probability

ERRORS = "errors"


def sections(errors: pl.DataFrame) -> list[Section]:
    """Return the section of the findings, from the table ERRORS of `tables.errors`."""
    rows = errors.to_dicts()
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    statements = [line for arm in arms for line in _of_arm([row for row in rows if row["arm"] == arm])]
    return [
        Section(
            "What misleads: wrong first candidates",
            [*_shown(rows), *statements, *_against(rows)],
            [_block(rows), _cues()],
            {ERRORS: "How often a wrong first candidate looks more like the query than the best true match"},
        )
    ]


def _shown(rows: list[dict]) -> list[str]:
    """Say which arms are looked at; errors of an arm that was chosen by its test scores would be those of a lucky one."""
    others = [f"**{markdown(arm)}**" for arm in dict.fromkeys(row["arm"] for row in rows if not row["baseline"])]
    if not others:
        return ["The baseline has the highest mean validation mAP, so its errors alone are looked at."]
    return [
        f"Looked at: the baseline, and the arm with the highest mean validation mAP (the test's where a split has no "
        f"validation): {listed(others)}."
    ]


def _of_arm(rows: list[dict]) -> list[str]:
    name, shown = f"**{markdown(rows[0]['arm'])}**", [row for row in rows if row["share"] is not None]
    if not shown:
        return [f"No query of {name} has a wrong first candidate to look at."]
    told = [_told(row) for row in shown]
    first = (
        f"Of the {count(shown[0]['queries'])} queries of {name}, {count(round(shown[0]['wrong'], 1))} have a wrong first "
        f"candidate (mean over seeds). It is closer to the query than the best true match in {'; in '.join(told)}."
    )
    lines = [first]
    for verdict in (MORE, LESS):
        cues = [f"{row['cue']} ({_excess(row)})" for row in shown if row["verdict"] == verdict]
        if cues:
            lines.append(f"With {name}, {verdict} than a random wrong candidate of the same query: {listed(cues)}.")
    level = [row["cue"] for row in shown if row["verdict"] not in (MORE, LESS)]
    if level:
        lines.append(f"With {name}, not told from a random wrong candidate: {listed(level)}.")
    return lines


def _told(row: dict) -> str:
    return f"{row['cue']} for {share(row['share'])}{_ends(row['share_low'], row['share_high'])}, by chance {share(row['chance'])}"


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.0%}, {high:.0%}]"


def _points(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:+.0f} points"


def _excess(row: dict) -> str:
    return _points(row["excess"]) + _signed_ends(row["excess_low"], row["excess_high"])


def _signed_ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{100 * low:+.1f}, {100 * high:+.1f}]"


def _against(rows: list[dict]) -> list[str]:
    """Say in which cues the best arm's wrong candidates are less of their query's looks than the baseline's, or more."""
    lines = []
    compared = [row for row in rows if row["against"] is not None]
    for arm in dict.fromkeys(row["arm"] for row in compared):
        own = [row for row in compared if row["arm"] == arm]
        told = [
            f"{verdict} in "
            + listed(
                [
                    f"{row['cue']} ({_points(row['against'])}{_signed_ends(row['against_low'], row['against_high'])})"
                    for row in own
                    if row["against_verdict"] == verdict
                ]
            )
            for verdict in (MORE, LESS)
            if any(row["against_verdict"] == verdict for row in own)
        ]
        name = f"**{markdown(arm)}**"
        lines.append(
            f"Beyond chance, looks mislead {name} {'; '.join(told)} than the baseline."
            if told
            else f"Whether looks mislead {name} less than the baseline cannot be told in any cue."
        )
    return lines


def _block(rows: list[dict]) -> Block:
    columns = {
        "arm": lambda row: row["arm"],
        "cue": lambda row: row["cue"],
        "queries": lambda row: count(row["queries"]),
        "first is wrong": lambda row: count(round(row["wrong"], 1)),
        "closer than the best true match": lambda row: share(row["share"]),
        "interval": lambda row: _ends(row["share_low"], row["share_high"]).strip() or NOTHING,
        "a random wrong candidate": lambda row: share(row["chance"]),
        "difference": _excess,
        "p_holm": lambda row: probability(row["p_holm"]),
        "verdict": lambda row: row["verdict"],
        "seeds": lambda row: count(row["seeds"]),
    }
    return block_of("Wrong first candidates", columns, rows)


def _cues() -> Block:
    columns = {"cue": lambda row: row[0], "how far two pictures are apart in it": lambda row: row[1]}
    return block_of("Cues, measured within the mask where there is one", columns, CUES.items())
