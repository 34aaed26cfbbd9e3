"""A search with planted effects: the rate decides most, one sampler helps, the rest does nothing."""

from functools import cache

import numpy as np
import polars as pl

from reidflow.analyses.search import effects as effect_tables
from reidflow.analyses.search import findings, tables
from reidflow.spec.config import Config
from reidflow.spec.errors import Problems
from reidflow.spec.experiment import Experiment, build
from reidflow.spec.yaml import load
from reidflow.tables.comparisons import COMPARISONS
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import Section

IDENTITIES = [f"cat {n:02d}" for n in range(20)]
SEEDS = (0, 1, 2, 3, 4)
SPACE = {
    "optimizer.learning_rate": {"low": 0.0001, "high": 0.03, "log": True},
    "sampler": [{"name": "pk", "identities": 8, "images": 4}, {"name": "shuffled", "batch": 32}],
    "scheduler": [{"name": "constant"}, {"name": "cosine"}],
    "model.head.dropout": {"low": 0.0, "high": 0.5},
    "neck": {"choices": {"none": {"model": {"head": {"hidden": 0}}}, "wide": {"model": {"head": {"hidden": 256}}}}},
}
EFFECT = {"random": 0.05, "tpe": 0.052, "learning_rate": 0.045, "tpe_constant": -0.05}
CONTENT = {
    "question": "Which <settings> for $5?",
    "motivation": "nobody knows",
    "hypothesis": "the rate",
    "varies": ["optimizer", "scheduler", "sampler", "model.head"],
    "baseline": "default",
    "search": {
        "trials": 60,
        "pruner": {"name": "median", "startup": 10, "warmup": 5},
        "space": SPACE,
        "studies": {
            "random": {"algorithm": "random"},
            "quasi": {"algorithm": "quasi_random"},
            "tpe": {"algorithm": "tpe"},
            "learning_rate": {"algorithm": "random", "only": ["optimizer.learning_rate"], "matched_to": "tpe"},
        },
    },
    "arms": {
        "default": {"why": "start"},
        "random": {"why": "random", "winner_of": "random"},
        "quasi": {"why": "quasi", "winner_of": "quasi"},
        "tpe": {"why": "tpe", "winner_of": "tpe"},
        "learning_rate": {"why": "matched", "winner_of": "learning_rate"},
        "tpe_constant": {"why": "flat", "winner_of": "tpe", "scheduler": {"name": "constant"}, "against": "tpe"},
    },
}


@cache
def experiment() -> Experiment:
    problems = Problems()
    content = {**load("config/config.yaml"), "overrides": {}, "equivalence": None}
    found = build("hpo", "hpo.yaml", CONTENT, Config.model_validate(content), problems)
    assert not problems.found, problems.found
    return found


@cache
def trials(budget: int = 60, planted: bool = True) -> pl.DataFrame:
    """TRIALS: tpe stays near the best rate after its tenth trial; slow ones are pruned, very fast ones diverge."""
    draw, rows = np.random.default_rng(4), []
    axes = experiment().studies["tpe"].axes
    for name, study in experiment().studies.items():
        for number in range(budget):
            near = name == "tpe" and number >= 10
            place = float(draw.normal(0.6, 0.05)) if near else float(draw.uniform())
            own = {
                "optimizer.learning_rate": 0.0001 * 300 ** min(max(place, 0.0), 1.0),
                "sampler": ["pk", "shuffled"][int(draw.integers(2))],
                "scheduler": ["constant", "cosine"][int(draw.integers(2))],
                "model.head.dropout": float(draw.uniform(0, 0.5)),
                "neck": ["none", "wide"][int(draw.integers(2))],
            }
            kept = {axis.name: own[axis.name] if axis in study.axes else None for axis in axes}
            rows.append(_trial(name, number, kept, own, planted, draw))
        best = max((row for row in rows if row["study"] == name), key=lambda row: row["value"] or 0.0)
        best |= {"winner": True, "finalist_value": best["value"] - 0.02}
    kinds = {axis.name: pl.String if axis.kind == "choice" else pl.Float64 for axis in axes}
    return pl.DataFrame(rows, schema_overrides={**kinds, "finalist_value": pl.Float64})


def _trial(study: str, number: int, kept: dict, own: dict, planted: bool, draw: np.random.Generator) -> dict:
    rate = np.log10(own["optimizer.learning_rate"])
    value = 0.5 + float(draw.normal(0, 0.01))
    if planted:
        value += -0.1 * (rate + 2.5) ** 2 + (0.08 if own["sampler"] == "pk" else 0.0)
    state = (
        "diverged" if planted and rate > -1.6 else "pruned" if planted and number >= 10 and value < 0.35 else "complete"
    )
    epochs = 20 if state == "complete" else 6
    return {
        "study": study,
        "trial": number,
        "generation": number // 10,
        "seed": 1000 + number,
        "state": state,
        "value": {"complete": value, "pruned": None, "diverged": 0.0}[state],
        "values": [0.1 + (value - 0.1) * (1 - np.exp(-epoch / 2)) for epoch in range(epochs + 1)],
        "reached": epochs,
        "best_epoch": epochs if state == "complete" else None,
        "steps": 10 * epochs,
        "flops": 1000 + (500 if own["neck"] == "wide" else 0),
        "train_flops": 10**6 * epochs,
        "parameters": 50_000,
        "trainable_parameters": 10_000,
        "run": f"{study}-{number}",
        "finalist_value": None,
        "winner": False,
        **kept,
    }


def efficiency() -> pl.DataFrame:
    return trials().select("study", "trial", seconds=pl.lit(0.5), device=pl.lit("cpu"))


def winners() -> dict:
    """As in winners.json."""
    found = {}
    for row in trials().filter("winner").to_dicts():
        study = experiment().studies[row["study"]]
        settings = {axis.name: row[axis.name] for axis in study.axes}
        values = {key: row[key] for key in ("trial", "value", "finalist_value")}
        found[row["study"]] = {**values, "settings": settings, "spec": study.spec(settings, 0).plain()}
    return found


def results(effects: dict[str, float] | None = None) -> pl.DataFrame:
    """RESULTS: each arm better or worse by what was planted, quasi as good as the baseline."""
    rows = []
    for name, arm in experiment().arms.items():
        effect = (EFFECT if effects is None else effects).get(name, 0.0)
        row = dict.fromkeys(RESULTS.columns) | {"experiment": "hpo", "arm": name, "baseline": name == "default"}
        row |= {"seeds": 5, "id_map": 0.4 + effect, "id_map_std": 0.01, "val_id_map": 0.45 + effect, "note": ""}
        row |= dict.fromkeys(("data_set", "data", "split", "gallery"), "demo") | {
            "filters": "",
            "leaking": False,
            "versions_mixed": False,
        }
        row |= {"verdict": "baseline", "ties_with_best": name in ("random", "tpe"), "seed_numbers": list(SEEDS)}
        if name != "default":
            verdict = "better" if effect > 0 else "worse" if effect < 0 else "inconclusive"
            row |= {"delta": effect, "delta_low": effect - 0.01, "delta_high": effect + 0.01, "verdict": verdict}
            row |= {"p_adjusted": 0.0004 if effect else 0.6, "smallest_detectable": 0.015}
        if arm.against:
            row |= {"against": arm.against, "against_delta": -0.102, "against_low": -0.12, "against_high": -0.08}
            row |= {"against_p_adjusted": 0.001, "against_verdict": "worse", "against_smallest_detectable": 0.02}
        rows.append(row)
    return pl.DataFrame(rows, schema=RESULTS.columns)


def comparisons(effects: dict[str, float] | None = None) -> pl.DataFrame:
    """COMPARISONS: the planted effects on every identity, with a little noise of each arm's own."""
    draw, rows = np.random.default_rng(9), []
    for name in experiment().arms:
        if name == "default":
            continue
        effect = (EFFECT if effects is None else effects).get(name, 0.0)
        for identity in IDENTITIES:
            values = (effect + draw.normal(0, 0.01, len(SEEDS))).tolist()
            mean = float(np.mean(values))
            for flank, more in ((None, 0.0), ("left", 0.3)):
                seen = [value + more * (name == "tpe") for value in values]
                rows.append(["hpo", name, flank, identity, 10, 0.4 + mean, mean, seen])
    return pl.DataFrame(rows, schema=COMPARISONS.columns, orient="row")


@cache
def frames(budget: int = 60) -> dict[str, pl.DataFrame]:
    """All tables of the report by name."""
    made = trials(budget)
    progress = tables.best_so_far(made, efficiency())
    return {
        "search": tables.budget_table(experiment(), made, winners(), results()),
        "search.efficiency": tables.efficiency_table(experiment(), efficiency()),
        "budgets": tables.budgets_table(experiment(), progress, winners()),
        "progress": progress,
        "importances": effect_tables.importances_table(experiment(), made),
        "effects": effect_tables.effects_table(experiment(), made),
    }


def sections(
    of: Experiment | None = None,
    planted: dict[str, float] | None = None,
    made: pl.DataFrame | None = None,
    rows: pl.DataFrame | None = None,
    **changed: pl.DataFrame,
) -> list[Section]:
    """The findings. planted: effects of the arms on test. made: TRIALS. rows: RESULTS. changed: tables to replace."""
    made, rows = trials() if made is None else made, results(planted) if rows is None else rows
    search = tables.budget_table(experiment(), trials(), winners(), rows)
    return findings.sections(
        of or experiment(), made, rows, comparisons(planted), frames() | {"search": search} | changed
    )
