"""`findings.md`: what the numbers of an experiment say, each statement computed, then the author's interpretation."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.spec.experiment import Experiment
from reidflow.spec.experiment_splits import takes_folds
from reidflow.tables.answer import answer, equivalent, more_certainty
from reidflow.tables.caption import audit_line, data_line, population_line, queries_line, split_line
from reidflow.tables.comparisons import EQUIVALENT, INCONCLUSIVE, LEVEL, UNAVAILABLE, controlled
from reidflow.tables.data import DataDescription, versions_line
from reidflow.tables.design import TITLE as DESIGN
from reidflow.tables.design import design
from reidflow.tables.experiment import BASELINE, Tables, tuned_paths
from reidflow.tables.identities import FEWEST, flank_contrasts, flank_means, rarity, reach
from reidflow.tables.interpretation import Reading, reading
from reidflow.tables.layout import gallery_rule
from reidflow.tables.looks import spent
from reidflow.tables.quantities import QUANTITIES
from reidflow.tables.sections import Section, render, sections_of
from reidflow.tables.text import authored, markdown

ARMS, CURVES, IDENTITIES, PROFILES, TUNING = "arms", "curves", "identities", "profiles", "tuning"
"""Names of figures: `<folder>/<name>.png` and `.svg`; `tuning` exists where settings are tuned."""
TEMPLATE = Path(__file__).with_name("findings.md.j2")
SEVERAL = 8
"""Of more arms than these a sentence gives the names or the extremes alone."""
NAMED = 5
"""Of more arms than these a sentence names the first; the table has all."""
MANY = 12
"""More statements of one kind give way to one sentence for all."""
SPIKE = 10.0
"""A largest gradient this many times the mean one is reported."""
LIMITS, INTERPRETATION = "Limits", "The author's interpretation"
_FIGURES_OF = {
    "Answer": [ARMS],
    "Not significantly different": [ARMS],
    "Against controls": [ARMS],
    "For which identities": [PROFILES, IDENTITIES],
    "Tuned settings": [TUNING],
    "Training and stability": [CURVES],
}
Row = dict[str, Any]


def findings(
    experiment: Experiment,
    data: DataDescription,
    tables: Tables,
    figures: str | None = None,
    level: float = LEVEL,
    sections: Sequence[Section] = (),
    quantities: pl.DataFrame | None = None,
) -> str:
    """Return the findings of an experiment as Markdown: answer, evidence, design, limits, next steps, interpretation.

    sections: what its analyses add, placed before the design and the limits. quantities: QUANTITIES of its headline.
    figures: the folder of its figures, relative to where
    the text will be (default `../figures/<experiment>`).
    """
    read = reading(experiment.file.interpretation, data.title, tables.results, quantities)
    own = sections_of(render(TEMPLATE, **_context(experiment, data, tables, level, quantities), state=read.state))
    own = [replace(section, links=_FIGURES_OF.get(section.title, [])) for section in own]
    end = next(index for index, section in enumerate(own) if section.title == LIMITS)
    folder = f"../figures/{experiment.name}" if figures is None else figures
    parts = [
        f"# {markdown(experiment.name)}: findings",
        markdown(experiment.file.question.strip()),
        f"Data: {markdown(data_line(data))} Metric: identity-balanced mAP on test (gallery: {gallery_rule(data.gallery, data.filters)}).",
        *(_written(section, folder) for section in [*own[:end], *sections]),
        f"## {DESIGN}\n\n{design(experiment, data).markdown}",
        *(_written(section, folder) for section in own[end:]),
        f"## {INTERPRETATION}\n\n{_interpretation(read, data)}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _written(section: Section, folder: str) -> str:
    """Return a section with links to its figures; without a text, the caption of its first figure replaces it."""
    text = section.text or next((f"- {markdown(caption)}." for caption in section.figures.values()), "")
    names = [*section.figures, *section.links]
    links = ", ".join(f"[{markdown(name.replace('_', ' '))}]({folder}/{name}.png)" for name in names)
    figures = f"\n\n{'Figure' if len(names) == 1 else 'Figures'}: {links}" if names else ""
    return f"## {markdown(section.title)}\n\n{text}{figures}" if text else ""


def _context(
    experiment: Experiment, data: DataDescription, tables: Tables, level: float, quantities: pl.DataFrame | None
) -> Row:
    """Return the numbers behind the statements, as the template names them."""
    results = tables.results
    rows = results.to_dicts()
    compared = [row for row in rows if row["verdict"] not in (BASELINE, UNAVAILABLE)]
    undecided = [row for row in compared if row["verdict"] == INCONCLUSIVE]
    different = [row for row in compared if row["verdict"] not in (INCONCLUSIVE, EQUIVALENT)]
    return {
        "several": SEVERAL,
        "named": NAMED,
        "many": MANY,
        "spike": SPIKE,
        "fewest": FEWEST,
        "level": level,
        "data": data,
        "answer": answer(results, data, QUANTITIES.empty() if quantities is None else quantities),
        "base": next(row for row in rows if row["baseline"]),
        "chance": results["chance"].max(),
        "compared": len(compared),
        "different": sorted(different, key=lambda row: -row["delta"]),
        "spent": spent(experiment, results),
        "equivalent": equivalent(rows),
        "undecided_arms": undecided,
        "detectable": _known(row["smallest_detectable"] for row in undecided),
        "plan": more_certainty(results, takes_folds(experiment)),
        "ties": results.filter("ties_with_best").sort("id_map", descending=True, maintain_order=True)["arm"].to_list(),
        "highest": max(rows, key=lambda row: row["id_map"] or 0.0)["arm"],
        "scored": results["id_map"].count(),
        "missing": [row for row in rows if row["verdict"] == UNAVAILABLE],
        "controls": _controls(controlled(results).to_dicts()),
        **_identities(tables, level, bool(compared)),
        "tuned": _tuned(results),
        "sensitive": results.filter(pl.col("sensitivity_range").is_not_null())
        .sort("sensitivity_range", maintain_order=True)
        .to_dicts(),
        **_training(results.filter(pl.col("seeds") > 0)),
        "audit": audit_line(data),
        "split": split_line(data),
        "queries": queries_line(results),
        "population": population_line(results, data),
        "software": versions_line(results["versions"]),
        "no_better_than_chance": results.filter(pl.col("id_map") <= pl.col("chance"))["arm"].to_list(),
    }


def _known(values: Iterable[float | None]) -> list[float]:
    """Return the detectable differences that say something: nothing can be found between equal runs, where it is 0."""
    return [value for value in values if value]


def _controls(rows: list[Row]) -> Row:
    missing = [row for row in rows if row["against_verdict"] == UNAVAILABLE]
    undecided = [row for row in rows if row["against_verdict"] == INCONCLUSIVE]
    alike = [row for row in rows if row["against_verdict"] == EQUIVALENT]
    return {
        "all": len(rows),
        "missing": missing,
        "undecided": undecided,
        "equivalent": alike,
        "different": [row for row in rows if row not in [*missing, *undecided, *alike]],
        "detectable": _known(row["against_smallest_detectable"] for row in undecided),
    }


def _identities(tables: Tables, level: float, compared: bool) -> Row:
    """Return for which identities arms differ: how many gain, rare or common ones, and which flank."""
    higher = [{"name": arm, "higher": n, "total": total} for arm, (n, total) in reach(tables.comparisons).items()]
    if len(higher) > SEVERAL:
        higher.sort(key=lambda arm: arm["higher"] / arm["total"])
    trends = [{"name": arm, "value": r.rho, **vars(r)} for arm, r in rarity(tables.comparisons, level).items()]
    means = flank_means(tables.comparisons)
    sides = [
        {
            "name": arm,
            "flank": flank,
            "value": found.delta,
            "low": found.low,
            "high": found.high,
            "verdict": found.verdict,
            "means": [{"flank": name, "delta": value} for name, value in means[arm].items()],
        }
        for (arm, flank), found in flank_contrasts(tables.comparisons, level).items()
    ]
    return {
        "reach": higher,
        "rarity_unknown": compared and not trends,
        "trends": [arm for arm in trends if not arm["low"] <= 0 <= arm["high"]],
        "flat": [arm for arm in trends if arm["low"] <= 0 <= arm["high"]],
        "sided": [side for side in sides if side["verdict"] != INCONCLUSIVE],
        "even": [side for side in sides if side["verdict"] == INCONCLUSIVE],
    }


def _tuned(results: pl.DataFrame) -> list[Row]:
    found = []
    for path in tuned_paths(results):
        rows = results.filter(pl.col(f"chosen_{path}").is_not_null())
        chosen = rows.select("arm", pl.col(f"chosen_{path}").alias("value")).to_dicts()
        found.append({"path": path, "chosen": chosen, "edge": rows.filter(f"on_edge_{path}")["arm"].to_list()})
    return found


def _training(run: pl.DataFrame) -> Row:
    """Return how the runs trained. run: the rows of RESULTS that were run."""
    spread = run.filter(pl.col("id_map_std").is_not_null()).sort("id_map_std", maintain_order=True).to_dicts()
    varied = len(spread) > 1 and spread[0]["id_map_std"] < spread[-1]["id_map_std"]
    gained = run.filter(pl.col("epochs_to_95").is_not_null())
    by_epochs = sorted(gained.rows_by_key("epochs_to_95", include_key=True, named=True).items())
    ends = [{"epochs": epochs, "arms": [row["arm"] for row in own]} for epochs, own in by_epochs]
    return {
        "diverged": run.filter(pl.col("divergence") > 0).to_dicts(),
        "below": run.filter(pl.col("below_untrained") > 0).to_dicts(),
        "steady": spread[0] if varied else None,
        "unsteady": spread[-1] if varied else None,
        "fast": ends[0] if ends else None,
        "slow": ends[-1] if ends else None,
        "flat_on_validation": run.filter(pl.col("epochs_to_95").is_null(), pl.col("val_id_map").is_not_null())[
            "arm"
        ].to_list(),
        "spikes": run.filter(
            pl.col("gradient_norm") > 0, pl.col("gradient_norm_max") > SPIKE * pl.col("gradient_norm")
        ).to_dicts(),
        "steps": run["steps"].drop_nulls().to_list() if run["steps"].drop_nulls().n_unique() > 1 else [],
    }


def _interpretation(read: Reading, data: DataDescription) -> str:
    explained = {
        "missing": "Nobody has interpreted this table yet.",
        "of another data set": "The experiment's file interprets other data; nothing in it is about "
        f"{markdown(data.title)}.",
        "stale": "The table has changed since this was written:",
        "fits": "Same arms, the verdicts that it leans on, and every mAP within its uncertainty of the table that it was "
        "written for.",
    }[read.state]
    reasons = "\n".join(f"- {markdown(reason)}" for reason in read.reasons)
    held = f"The hypothesis held: **{read.held}**." if read.held else ""
    return "\n\n".join(filter(None, [f"State: **{read.state}**. {explained}", reasons, held, authored(read.text)]))
