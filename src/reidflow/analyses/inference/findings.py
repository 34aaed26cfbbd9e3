"""What an experiment on inference found, in computed sentences."""

from collections.abc import Callable

import polars as pl

from reidflow.analyses.inference.tables import COMBINATION, ENSEMBLE, PLAIN, preferred
from reidflow.tables.layout import Block, block_of, yes
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, signed

METHODS, QUERIES = "methods", "queries"
FIGURES = (METHODS, QUERIES)


def sections(table: pl.DataFrame, queries_in_gallery: bool = False) -> list[Section]:
    """Return the sections of the findings, from the table INFERENCE of `tables.inference`.

    queries_in_gallery: whether the queries are images of the gallery themselves.
    """
    rows = table.to_dicts()
    changed = [row for row in rows if not row["baseline"] and row["delta"] is not None]
    if not changed:
        return []
    found = [
        Section(
            "What is done with the embeddings",
            [*_against_baseline(changed), *_best(rows), *_needs_others(rows, queries_in_gallery)],
            [block_of("Inference", _COLUMNS, rows)],
            {METHODS: "Difference of each method from the baseline"},
        ),
        Section("Combinations", _combinations(rows), _combined_block(rows), {}, [METHODS]),
        Section("Ensembles", _ensembles(changed), [], {}, [METHODS]),
        Section(
            "Which queries gain",
            [*_queries(changed), *_few(changed)],
            [block_of("Queries that gain and lose", _GAINS, changed)],
            {QUERIES: "Average precision of queries before and after"},
        ),
    ]
    return [section for section in found if section.statements]


def marked(row: dict) -> str:
    """Return an arm's name as sentences give it: in bold, and marked where it uses the other queries."""
    return f"**{markdown(row['arm'])}**" + (" (transductive)" if row["transductive"] else "")


def _difference(row: dict) -> str:
    return f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}"


def _all(rows: list[dict], words: Callable[[dict], str] = marked) -> str:
    return listed([words(row) for row in rows])


def _against_baseline(changed: list[dict]) -> list[str]:
    lines = []
    for verdict in ("better", "worse"):
        own = [row for row in changed if row["verdict"] == verdict]
        if own:
            told = _all(own, lambda row: f"{marked(row)} {_difference(row)}")
            lines.append(f"{verdict.capitalize()} than the baseline: {told}.")
    level = [row for row in changed if row["verdict"] not in ("better", "worse")]
    if level:
        lines.append(f"Not told apart from the baseline: {_all(level)}.")
    return lines


def _best(rows: list[dict]) -> list[str]:
    ties = [row for row in rows if row["ties_with_best"]]
    told = (
        "No arm can be told from the best."
        if len(ties) == len(rows)
        else f"Cannot be told from the best: {_all(ties)}."
    )
    lines = [told] if len(ties) > 1 else []
    free = [row for row in ties if not row["transductive"] and row["forward_passes"] == 1]
    plainest = [row for row in free if row["kind"] == PLAIN] or free
    if plainest and len(plainest) < len(ties):
        verb = "needs" if len(plainest) == 1 else "need"
        lines.append(f"Of these {_all(plainest)} {verb} one forward pass an image and no other query.")
    return lines


def _needs_others(rows: list[dict], queries_in_gallery: bool) -> list[str]:
    """Say which arms use the other queries."""
    lines, own = [], [row for row in rows if row["transductive"]]
    if own:
        names = listed([f"**{markdown(row['arm'])}**" for row in own])
        lines.append(
            f"{names} {'uses' if len(own) == 1 else 'use'} the other queries (transductive): a query that comes alone cannot "
            "be answered so, and the gain depends on which queries come together."
        )
    if queries_in_gallery and any(row["kind"] != PLAIN for row in rows):
        lines.append(
            "The queries stand in the gallery here, each for the others: whatever looks at the gallery sees other queries "
            "too, transductive or not."
        )
    return lines


def _combinations(rows: list[dict]) -> list[str]:
    """Say whether combining adds to the best single method."""
    own = [row for row in rows if row["kind"] == COMBINATION and row["over_delta"] is not None]
    if not own:
        return []
    single, best = next(row for row in rows if row["arm"] == own[0]["over"]), preferred(own) or own[0]
    by = "validation" if single["val_id_map"] is not None else "test"
    adds = {"better": "adds to it", "worse": "takes from it"}.get(best["over_verdict"], "cannot be told from it")
    lines = [
        f"The single method that {by} prefers is {marked(single)}. The combination that {by} prefers, {_over(best)}, {adds}."
    ]
    rest = [row for row in own if row is not best]
    for verdict, words in (("better", "better than"), ("worse", "worse than"), ("inconclusive", "not told apart from")):
        told = [row for row in rest if row["over_verdict"] == verdict]
        if told:
            verb = "is" if len(told) == 1 else "are"
            lines.append(f"{_all(told, _over)} {verb} {words} {marked(single)}.")
    return lines


def _over(row: dict) -> str:
    return f"{marked(row)} ({signed(row['over_delta'])} {interval(row['over_low'], row['over_high'])})"


def _ensembles(changed: list[dict]) -> list[str]:
    """Say what several runs give against one, and what they cost."""
    lines = []
    for row in (row for row in changed if row["kind"] == ENSEMBLE):
        told = {"better": "better than", "worse": "worse than"}.get(row["verdict"], "not told apart from")
        lines.append(
            f"{marked(row)} ({markdown(row['methods'])}) is {told} the baseline, {_difference(row)}: for {row['runs']} times "
            f"the training and {row['forward_passes']} forward passes an image."
        )
    return lines


def _queries(changed: list[dict]) -> list[str]:
    """Say how many queries the best method helps and harms."""
    best = preferred(changed)
    if best is None or not best["asked"]:
        return []
    same = best["asked"] - best["better"] - best["worse"]
    by = "validation prefers" if best["val_id_map"] is not None else "the test images prefer"
    return [
        f"With {marked(best)}, which {by} among all but the baseline, {best['better']:,} of {best['asked']:,} queries (those of every seed counted) "
        f"rank better than with the baseline ({_share(best['better'], best['asked'])}), {best['worse']:,} worse "
        f"({_share(best['worse'], best['asked'])}), {same:,} as before."
    ]


def _few(changed: list[dict]) -> list[str]:
    """Say which methods cost identities with few images in the gallery, and whose gain goes with their number."""
    known = [row for row in changed if row["few_delta"] is not None]
    if not known:
        return []
    who = f"identities with at most {known[0]['few']} images in the gallery"
    lines = []
    for verdict, verb in (("worse", "lose"), ("better", "gain")):
        own = [row for row in known if row["few_verdict"] == verdict]
        told = [f"{marked(row)} ({signed(row['few_delta'])} {_few_interval(row)})" for row in own]
        lines += [f"{who.capitalize()} {verb} with {listed(told)}."] if own else []
    if not any(row["few_verdict"] == "worse" for row in known):
        lines.append(f"With no method do {who} lose detectably.")
    for row in known:
        if row["rho"] is not None and (row["rho_low"] > 0 or row["rho_high"] < 0):
            more, rho = "more" if row["rho"] > 0 else "fewer", signed(row["rho"], 2)
            lines.append(
                f"{marked(row)} does more for identities with {more} images: {signed(row['few_delta'])} with at most "
                f"{row['few']}, {signed(row['many_delta'])} with more (Spearman {rho} "
                f"{interval(row['rho_low'], row['rho_high'], 2)})."
            )
    return lines


def _few_interval(row: dict) -> str:
    return interval(row["few_low"], row["few_high"])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else NOTHING


_COLUMNS: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "methods": lambda row: row["methods"],
    "uses the other queries": lambda row: yes(row["transductive"]),
    "runs": lambda row: str(row["runs"]),
    "forward passes": lambda row: str(row["forward_passes"]),
    "id_map": lambda row: number(row["id_map"]),
    "delta": lambda row: NOTHING if row["baseline"] else _difference(row),
    "verdict": lambda row: row["verdict"] or NOTHING,
    "top-1": lambda row: number(row["top1"]),
    "top-5": lambda row: number(row["top5"]),
    "top-10": lambda row: number(row["top10"]),
}
_GAINS: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "queries": lambda row: f"{row['asked']:,}",
    "better": lambda row: _share(row["better"], row["asked"]),
    "worse": lambda row: _share(row["worse"], row["asked"]),
    "better, few images": lambda row: _share(row["better_few"] or 0, row["asked_few"] or 0),
    "worse, few images": lambda row: _share(row["worse_few"] or 0, row["asked_few"] or 0),
    "delta, few images": lambda row: f"{signed(row['few_delta'])} {_few_interval(row)}",
    "delta, more images": lambda row: signed(row["many_delta"]),
}
_AGAINST: dict[str, Callable[[dict], str]] = {
    "arm": lambda row: row["arm"],
    "against": lambda row: row["over"],
    "delta": lambda row: signed(row["over_delta"]),
    "interval": lambda row: interval(row["over_low"], row["over_high"]),
    "verdict": lambda row: row["over_verdict"],
}


def _combined_block(rows: list[dict]) -> list[Block]:
    own = [row for row in rows if row["over"] is not None]
    return [block_of("Against the best single method", _AGAINST, own)] if own else []
