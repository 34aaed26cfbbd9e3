"""`findings.md`: what the numbers of an experiment say, each statement computed, then the author's interpretation."""

from collections.abc import Sequence

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.tables.caption import audit_line, data_line, queries_line, split_line
from reidflow.tables.comparisons import INCONCLUSIVE, LEVEL, UNAVAILABLE, controlled
from reidflow.tables.data import DataDescription, versions_line
from reidflow.tables.experiment import BASELINE, Tables
from reidflow.tables.identities import FEWEST, flank_contrasts, flank_means, rarity, reach
from reidflow.tables.interpretation import TOLERANCE, Reading, reading
from reidflow.tables.layout import tuned_paths
from reidflow.tables.sections import Section
from reidflow.tables.stability_sentences import sensitivity, training
from reidflow.tables.text import authored, interval, listed, markdown, number, probability, signed
from reidflow.tables.text import setting as as_text

ARMS, CURVES, IDENTITIES, TUNING = "arms", "curves", "identities", "tuning"
SEVERAL = 8
"""More arms of which nothing can be said are named without their figures, so that the sentence can be read."""
MANY = 12
"""More statements of one kind give way to one sentence for all."""
FIGURES = (ARMS, CURVES, IDENTITIES, TUNING)
"""Names of an experiment's figures: `<folder>/<name>.png` and `.svg`; `tuning` exists where settings are tuned."""


class _Writer:
    """Collects lines; `figure` names the one behind the statements that follow."""

    def __init__(self, figures: str) -> None:
        self.folder = figures
        self.parts: list[str] = []

    def section(self, title: str, statements: list[str], *figures: str) -> None:
        """Add a section whose statements are list items, each with links to its figures."""
        names = ["figure"] if len(figures) == 1 else [markdown(name.replace("_", " ")) for name in figures]
        links = [f"[{n}]({self.folder}/{file}.png)" for n, file in zip(names, figures, strict=True)]
        link = f" ({', '.join(links)})" if links else ""
        if statements:
            self.parts += [f"## {title}", "\n".join(f"- {statement}{link}" for statement in statements)]


def findings(
    experiment: Experiment,
    data: DataDescription,
    tables: Tables,
    figures: str | None = None,
    level: float = LEVEL,
    sections: Sequence[Section] = (),
) -> str:
    """Return the findings of an experiment as Markdown.

    sections: what its analyses add. figures: the folder of its figures, relative to where the text will lie (default
    `../figures/<experiment>`).
    """
    results = tables.results
    out = _Writer(f"../figures/{experiment.name}" if figures is None else figures)
    out.parts = [
        f"# {markdown(experiment.name)}: findings",
        markdown(experiment.file.question.strip()),
        _head(data, results),
    ]
    out.section("Against the baseline", _against_baseline(results, level), ARMS)
    out.section("The best", _best(results, level), ARMS)
    out.section("What could not be told apart", _inconclusive(results), ARMS)
    out.section("Against controls", _against_controls(results, level), ARMS)
    out.section("For which identities", [*_reach(tables), *_rarity(tables, level), *_flanks(tables, level)], IDENTITIES)
    out.section("Tuned settings", _tuned(results), TUNING)
    out.section("Training and stability", training(results), CURVES)
    for section in sections:
        shown = section.statements or [f"{markdown(words)}." for words in section.figures.values()][:1]
        out.section(markdown(section.title), shown, *section.figures, *section.links)
    out.section("Whether to believe it", _trust(data, results))
    read = reading(experiment.file.interpretation, data.title, results)
    return "\n\n".join([*out.parts, _interpretation(read, data)]) + "\n"


def _head(data: DataDescription, results: pl.DataFrame) -> str:
    chance = number(results["chance"].max())
    return (
        f"Data: {markdown(data_line(data))} Identity-balanced mAP on test (gallery: {data.gallery}), chance {chance}."
    )


def _names(arms: list[str]) -> str:
    return listed([f"**{markdown(arm)}**" for arm in arms])


def _compared(results: pl.DataFrame) -> list[dict]:
    return [row for row in results.to_dicts() if row["verdict"] not in (BASELINE, UNAVAILABLE)]


def _against_baseline(results: pl.DataFrame, level: float) -> list[str]:
    base = results.row(by_predicate=pl.col("baseline"), named=True)
    rows = sorted(_compared(results), key=lambda row: -(row["delta"] or 0))
    lines = [f"The baseline {_names([base['arm']])} scores {number(base['id_map'])}{_spread(base)}."]
    lines += [
        f"{_names([row['arm']])} is {row['verdict']}: {number(row['id_map'])}{_spread(row)}, "
        f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}, {_p(row['p_holm'])}."
        for row in rows
        if row["verdict"] != INCONCLUSIVE
    ]
    if len(lines) == 1 and rows:
        lines.append(f"No arm differs from it detectably at {level:.0%}, corrected over {len(rows)} comparisons.")
    missing = results.filter(pl.col("verdict") == UNAVAILABLE)
    lines += [
        f"{_names([arm])} was not run: {markdown(note)}." for arm, note in missing.select("arm", "note").iter_rows()
    ]
    return lines


def _p(value: float) -> str:
    text = probability(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _spread(row: dict) -> str:
    return "" if row["id_map_std"] is None else f" ± {number(row['id_map_std'])} over {row['seeds']} seeds"


def _best(results: pl.DataFrame, level: float) -> list[str]:
    ties = results.filter("ties_with_best")["arm"].to_list()
    if not ties:
        return ["No arm has a score."]
    if results["id_map"].count() == 1:
        return [f"Only {_names(ties)} has a score."]
    if len(ties) == 1:
        return [f"The best is {_names(ties)}: every other arm is worse at {level:.0%}, paired and corrected."]
    whole = " That is every arm with a score." if len(ties) == results["id_map"].count() else ""
    return [f"The best is one of {_names(ties)}: these {len(ties)} cannot be told apart from the highest mean.{whole}"]


def _inconclusive(results: pl.DataFrame) -> list[str]:
    lines = []
    for row in _open(_compared(results)):
        reason = f" ({markdown(row['note'])})" if row["note"] else ""
        found = _undecided(row["delta"], row["delta_low"], row["delta_high"], row["smallest_detectable"])
        lines.append(f"{_names([row['arm']])} against the baseline: {found}{reason}.")
    return _folded(lines, "from the baseline", [row["smallest_detectable"] for row in _open(_compared(results))])


def _open(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["verdict"] == INCONCLUSIVE]


def _folded(lines: list[str], what: str, detectable: list[float | None]) -> list[str]:
    """Return the lines, or where they are too many to be read one sentence for all: the table holds each.

    Nothing can be found between equal runs, so a smallest difference of zero says nothing.
    """
    known = [value for value in detectable if value]
    if len(lines) <= MANY or not known:
        return lines
    return [
        f"{len(lines)} arms cannot be told {what}; the smallest differences that these comparisons would find lie "
        f"between {number(min(known))} and {number(max(known))}, each in the table."
    ]


def _undecided(delta: float | None, low: float | None, high: float | None, detectable: float | None) -> str:
    if detectable is None:
        return f"difference {signed(delta)}, its noise unknown"
    return (
        f"{signed(delta)} {interval(low, high)}; the smallest difference that this comparison would find is "
        f"{number(detectable)}"
    )


def _against_controls(results: pl.DataFrame, level: float) -> list[str]:
    rows = controlled(results).to_dicts()
    differ, same, missing = [], [], []
    for row in rows:
        who = f"{_names([row['arm']])} against its control {_names([row['against']])}"
        delta, low, high = (row[f"against_{part}"] for part in ("delta", "low", "high"))
        if row["against_verdict"] == UNAVAILABLE:
            missing.append(f"{who} was not compared: one of them was not run.")
        elif row["against_verdict"] == INCONCLUSIVE:
            same.append(f"{who}: {_undecided(delta, low, high, row['against_smallest_detectable'])}.")
        else:
            found = f"{signed(delta)} {interval(low, high)}, {_p(row['against_p_holm'])}"
            differ.append(f"{who} is {row['against_verdict']}: {found}.")
    if rows and not differ:
        compared = len(rows) - len(missing)
        differ = [f"No arm differs from its control detectably at {level:.0%}, corrected over {compared} comparisons."]
    undecided = [row["against_smallest_detectable"] for row in rows if row["against_verdict"] == INCONCLUSIVE]
    return [*differ, *_folded(same, "from their controls", undecided), *missing]


def _reach(tables: Tables) -> list[str]:
    """Say whether a difference is one of many identities or of a few."""
    found = reach(tables.comparisons)
    if not found:
        return []
    if len(found) <= SEVERAL:
        each = listed([f"{_names([arm])} on {higher} of {total}" for arm, (higher, total) in found.items()])
        return [f"Identities that score higher than with the baseline: {each}."]
    shares = {arm: higher / total for arm, (higher, total) in found.items()}
    widest, narrowest = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
    ends = [f"{_names([arm])} on {found[arm][0]} of {found[arm][1]}" for arm in (narrowest, widest)]
    return [
        f"Identities that score higher than with the baseline: from {ends[0]} to {ends[1]}, over {len(found)} arms."
    ]


def _rarity(tables: Tables, level: float) -> list[str]:
    found = rarity(tables.comparisons, level)
    if not found and _compared(tables.results):
        return [
            "Whether rare or common identities gain cannot be said: all tested identities have equally many training "
            f"images, there are fewer than {FEWEST} of them, or every difference is the same."
        ]
    lines, flat = [], []
    for arm, r in found.items():
        rho = f"{signed(r.rho, 2)} {interval(r.low, r.high, 2)}"
        if r.low <= 0 <= r.high:
            flat.append((arm, rho, r.rho))
            continue
        lines.append(
            f"{_names([arm])}: {'common' if r.low > 0 else 'rare'} identities gain more; Spearman's correlation of the "
            f"difference with the training images of the identity is {rho}; mean difference {signed(r.rare)} with at most "
            f"{r.middle} training images, {signed(r.common)} with more."
        )
    if flat:
        who, span = _many(flat, " {}", 2)
        lines.append(f"No trend from rare to common identities is shown for {who} (Spearman's correlation{span}).")
    return lines


def _many(found: list[tuple[str, str, float]], form: str, digits: int) -> tuple[str, str]:
    """Return arms with their figures in a sentence, and what to add to it.

    found: (arm, figures as text, value). Of more than SEVERAL the names alone are listed and their lowest and highest value.
    """
    if len(found) <= SEVERAL:
        return listed([f"{_names([arm])}{form.format(figures)}" for arm, figures, _ in found]), ""
    values = [value for *_, value in found]
    span = f" from {signed(min(values), digits)} to {signed(max(values), digits)}"
    return f"{len(found)} arms: {_names([arm for arm, *_ in found])}", span


def _flanks(tables: Tables, level: float) -> list[str]:
    means, lines, same = flank_means(tables.comparisons), [], []
    for (arm, flank), contrast in flank_contrasts(tables.comparisons, level).items():
        against = f"{markdown(flank)} minus the rest {signed(contrast.delta)} {interval(contrast.low, contrast.high)}"
        if contrast.verdict == INCONCLUSIVE:
            same.append((arm, against, contrast.delta))
            continue
        each = listed([f"{markdown(name)} {signed(value)}" for name, value in means[arm].items()])
        lines.append(f"{_names([arm])} depends on the flank: difference {each}; {against}.")
    if same:
        who, span = _many(same, " ({})", 3)
        lines.append(f"The flanks cannot be told apart for {who}{f' (a flank minus the rest:{span})' if span else ''}.")
    return lines


def _tuned(results: pl.DataFrame) -> list[str]:
    lines = []
    for path in tuned_paths(results):
        rows = results.filter(pl.col(f"chosen_{path}").is_not_null())
        values = rows.select("arm", f"chosen_{path}").iter_rows()
        chosen = listed([f"{markdown(arm)} {markdown(as_text(value))}" for arm, value in values])
        lines.append(f"`{path}` was chosen on validation: {chosen}.")
        edge = rows.filter(f"on_edge_{path}")["arm"].to_list()
        if edge:
            lines.append(
                f"**Warning:** {_names(edge)} chose a value at the edge of the grid of `{path}`: a better one may lie beyond. "
                "Extend the grid."
            )
    return [*lines, *sensitivity(results)]


def _trust(data: DataDescription, results: pl.DataFrame) -> list[str]:
    low = results.filter(pl.col("id_map") <= pl.col("chance"))["arm"].to_list()
    warning = "**Warning:** " if data.leaks else ""
    lines = [
        f"Leak audit: {warning}{markdown(audit_line(data))}",
        f"Split: {markdown(split_line(data))}",
        f"Queries: {markdown(queries_line(results))}",
        f"Software: {markdown(versions_line(results['versions']))}",
    ]
    return [*lines, f"**Warning:** {_names(low)} ranks no better than chance."] if low else lines


def _interpretation(read: Reading, data: DataDescription) -> str:
    title = "## The author's interpretation"
    if read.state == "missing":
        return f"{title}\n\nState: **missing**. Nobody has interpreted this table yet."
    if read.state == "of another data set":
        return (
            f"{title}\n\nState: **of another data set**. The experiment's file interprets other data; nothing in it speaks of "
            f"{markdown(data.title)}."
        )
    if read.state == "stale":
        reasons = "\n".join(f"- {markdown(reason)}" for reason in read.reasons)
        return f"{title}\n\nState: **stale**. The table has changed since this was written:\n\n{reasons}\n\n{authored(read.text)}"
    return (
        f"{title}\n\nState: **fits** (same arms and verdicts, every id_map within {TOLERANCE} of the table that it was written "
        f"for).\n\n{authored(read.text)}"
    )
