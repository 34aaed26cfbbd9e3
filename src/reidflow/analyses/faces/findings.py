"""The findings on a face competition's program: scores and their noise, single settings, architectures, choices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reidflow.analyses.faces import FIGURES
from reidflow.analyses.faces.arms import DESCRIBED, KEYS, SIDES, TRAINED, score_error, share_error
from reidflow.analyses.faces.choices import CHOICES, RULES, highest, picks
from reidflow.analyses.faces.tables import (
    ABLATION,
    ARCHITECTURES,
    CONFIGURATIONS,
    CONFIGURATIONS_EFFICIENCY,
    FACTOR_NAMES,
    SIDE,
    Faces,
    changed,
    value_text,
)
from reidflow.spec.experiment_file import ExperimentFile
from reidflow.store.tables import Column
from reidflow.tables.columns import column
from reidflow.tables.comparisons import EQUIVALENT
from reidflow.tables.layout import Block, block
from reidflow.tables.sections import Section, render, sections_of

SCORES, SETTINGS, ARCHITECTURE = "Configurations by score", "Effect of single settings", "Architectures and time"
CHOICE, CLUSTERS, PUBLISHED = "Automatic choice of the architecture", "Clusters", "Published figures"
NOISE = 2.0
"""Standard errors below the highest score within which a score may be as high."""
TEN = 10
_SETTINGS = ("architecture", "learning_rate", "epochs", "batch", "normalised", "augmented")
_SCORE = (*KEYS, "map", "id_map", "score", "score_std", "score_interval")
_PUBLISHED = tuple(f"published_{key}" for key in (*KEYS, "map", "score"))
_COUNT = Column("configurations", pl.Int64, "configurations", "count", "Configurations with these runs.")
_WITHIN = Column(
    "within", pl.Float64, "within / between", "number", "Distance within identities over that between them."
)
_SEEDS = Column("picking", pl.String, "seeds that choose it", "text", "Number of seeds with which the rule chooses it.")


def sections(file: ExperimentFile, faces: Faces, flops: Mapping[str, int], links: Sequence[str] = ()) -> list[Section]:
    """Return the sections of the findings.

    file: of the experiment. flops: arm -> operations of one image. links: figures of other analyses that belong to it.
    """
    sides = [side for side in SIDES if side in set(faces.configurations["side"])]
    text = render(
        Path(__file__).with_name("findings.md.j2"),
        weights=dict(file.score or {}),
        leaders=[leader(faces.configurations, side) for side in sides],
        missing=missing(faces.configurations),
        frozen=frozen(faces.configurations, faces.ablation),
        effects=effects(faces.ablation),
        epochs=epochs(faces.configurations),
        rates=rates(faces.configurations),
        architectures={side: _by_score(faces.architectures, side) for side in sides},
        operations=operations(faces.architectures, flops),
        choices=[
            chosen(faces.choices, side, rule) for side in sides for rule in RULES if picks(faces.choices, side, rule)
        ],
        agreements=[found for side in sides if (found := agreement(faces.choices, side))],
        rules=faces.choices["rule"].n_unique(),
        clusters=[found for side in sides if (found := clusters(faces.configurations, side))],
        published=published(file, faces.configurations),
        number_of=len,
    )
    tables = {
        SCORES: [_ten(faces.configurations, side) for side in sides if ranked(faces.configurations, side)],
        SETTINGS: [_ablation(faces.ablation)] if len(faces.ablation) else [],
        ARCHITECTURE: _architectures(faces),
        CHOICE: _choices(faces.choices) if len(faces.choices) else [],
        CLUSTERS: [_clusters(faces.configurations, sides)],
    }
    tables[SCORES].append(_all(faces.configurations))
    figures = {
        SCORES: ["score_by_rate"],
        SETTINGS: ["score_ablation", "score_by_epochs"],
        ARCHITECTURE: ["score_per_minute", "score_by_time"],
    }
    linked = {
        SCORES: ["arms", *links],
        SETTINGS: ["score_by_rate"],
        CHOICE: ["score_by_rate"],
        CLUSTERS: ["score_by_rate"],
    }
    linked[PUBLISHED] = ["score_by_rate", "score_by_epochs", "score_ablation"]
    return sections_of(
        text, tables, {title: {name: FIGURES[name] for name in names} for title, names in figures.items()}, linked
    )


def ranked(configurations: pl.DataFrame, side: str) -> list[dict[str, Any]]:
    """Return the arms of a side from the highest score down, each with its number of `configurations`."""
    own = configurations.filter((pl.col("side") == side) & pl.col("score").is_not_null())
    rows: dict[str, dict[str, Any]] = {}
    for row in own.to_dicts():
        rows.setdefault(row["arm"], {**row, "configurations": 0})["configurations"] += 1
    return sorted(rows.values(), key=lambda row: row["rank"])


def leader(configurations: pl.DataFrame, side: str) -> dict[str, Any]:
    """Return the arm with the highest score of a side (`best`), and how many of its `arms` are `near` that score.

    Near: within NOISE standard errors of one score, from the number of queries.
    """
    rows = ranked(configurations, side)
    best = rows[0] if rows else None
    known = [row for row in rows if row["score_error"] is not None]
    near = sum(best["score"] - row["score"] <= NOISE * best["score_error"] for row in known) if known else 0
    return {"side": side, "best": best, "near": near, "arms": len(known)}


def missing(configurations: pl.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return reason -> (configuration, side) of those without a score."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = configurations.filter(pl.col("score").is_null()).select("note", "configuration", "side")
    for note, name, side in rows.iter_rows():
        found.setdefault(note, []).append((name, side))
    return found


def frozen(configurations: pl.DataFrame, ablation: pl.DataFrame) -> dict[str, Any] | None:
    """Return how many `configurations` as described are how many `networks`.

    published: the largest difference of published scores between settings that have no effect there; None without one.
    """
    own = configurations.filter((pl.col("side") == DESCRIBED) & pl.col("arm").is_not_null())
    if own.is_empty():
        return None
    same = ablation.filter((pl.col("side") == DESCRIBED) & pl.col("same_runs"))["published_difference"].drop_nulls()
    return {"configurations": len(own), "networks": own["arm"].n_unique(), "published": same.abs().max()}


def effects(ablation: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row per side: its arms that differ from the baseline in one setting, by verdict; architectures apart.

    verdicts: better, worse and equivalent -> rows. other: inconclusive ones. Each row has `changed`: `batch size 8`.
    """
    tested = ablation.filter(pl.col("difference").is_not_null() & ~pl.col("same_runs").fill_null(False))
    found = []
    for side in SIDES:
        rows = [
            row | {"changed": changed(row)}
            for row in tested.filter((pl.col("side") == side) & (pl.col("factor") != "architecture")).to_dicts()
        ]
        if rows:
            shown = {v: [row for row in rows if row["verdict"] == v] for v in ("better", "worse", EQUIVALENT)}
            found.append({"side": side, "verdicts": shown, "other": [r for r in rows if r["verdict"] not in shown]})
    return found


def epochs(configurations: pl.DataFrame) -> dict[str, Any] | None:
    """Return the rows with the highest score (`best`) and most epochs (`last`) with the baseline's other settings."""
    rows = along(configurations, TRAINED, "epochs")
    if len(rows) < 2:
        return None
    tried = [str(row["epochs"]) for row in rows]
    return {"best": max(rows, key=lambda row: row["score"]), "last": rows[-1], "tried": tried}


def rates(configurations: pl.DataFrame) -> list[dict[str, Any]]:
    """Return a row per architecture: its `best` and `worst` learning rate, their scores, and the share lost (`lost`)."""
    own = configurations.filter((pl.col("side") == TRAINED) & pl.col("score").is_not_null())
    found = []
    for name in own["architecture"].unique(maintain_order=True):
        rows = along(configurations, TRAINED, "learning_rate", name)
        if len(rows) > 1:
            best, worst = (pick(rows, key=lambda row: row["score"]) for pick in (max, min))
            lost = (best["score"] - worst["score"]) / best["score"] if best["score"] else 0.0
            named = {
                key: value_text("learning_rate", row["learning_rate"])
                for key, row in (("best", best), ("worst", worst))
            }
            found.append({"architecture": name, **named, "score": best["score"], "lost": lost})
    return found


def along(
    configurations: pl.DataFrame, side: str, factor: str, architecture: str | None = None
) -> list[dict[str, Any]]:
    """Return the scored rows that share all settings but one with the baseline, by that one, lowest first.

    architecture: another one than the baseline's.
    """
    own = configurations.filter(pl.col("side") == side)
    base = own.filter("baseline").to_dicts()
    if not base:
        return []
    fixed = {name: base[0][name] for name in FACTOR_NAMES if name != factor}
    fixed["architecture"] = architecture or base[0]["architecture"]
    same = [pl.col(name).eq_missing(value) for name, value in fixed.items()]
    rows = own.filter(pl.col("score").is_not_null() & pl.col(factor).is_not_null(), *same)
    return rows.sort(factor).to_dicts()


def operations(architectures: pl.DataFrame, flops: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the trained architectures by their FLOPs of one image, with the factor (`times`) over the fewest."""
    own = architectures.filter(pl.col("side") == TRAINED).select("architecture", "arm").iter_rows()
    known = {name: flops[arm] for name, arm in own if flops.get(arm)}
    least = min(known.values(), default=1)
    rows = [{"architecture": name, "flops": value, "times": value / least} for name, value in known.items()]
    return sorted(rows, key=lambda row: row["flops"])


def chosen(choices: pl.DataFrame, side: str, rule: str) -> dict[str, Any]:
    """Return the rows with a rule's highest value on the mean over seeds (`best`), and whether one has the highest score."""
    best = highest(choices, side, rule)[None]
    scored = choices.filter((pl.col("side") == side) & pl.col("seed").is_null())["score"].drop_nulls()
    top = scored.max()
    return {"side": side, "rule": rule, "best": best, "top": top, "reached": any(row["score"] == top for row in best)}


def agreement(choices: pl.DataFrame, side: str) -> dict[str, Any] | None:
    """Return whether the two rules agree on the mean over seeds (`mean`), and with how many `seeds` each.

    They tie where latency would decide: a rule has several highest values, and the rules share one of them.
    """
    first, second = (highest(choices, side, rule) for rule in RULES)
    found = {seed: _agree(first[seed], second[seed]) for seed in first if seed in second}
    if None not in found:
        return None
    mean = found.pop(None)
    return {"side": side, "mean": mean, "seeds": dict(Counter(found.values()))}


def _agree(first: list[dict], second: list[dict]) -> str:
    ours, theirs = ({row["arm"] for row in rows} for rows in (first, second))
    if not ours & theirs:
        return "disagree"
    return "agree" if ours == theirs and len(ours) == 1 else "tie"


def clusters(configurations: pl.DataFrame, side: str) -> dict[str, Any] | None:
    """Return the arm with the highest NMI (`best`) and the one with the tightest identities (`tight`, may be None)."""
    rows = [row | {"within": within(row)} for row in ranked(configurations, side) if row["nmi"] is not None]
    if not rows:
        return None
    known = [row for row in rows if row["within"] is not None]
    tight = min(known, key=lambda row: row["within"], default=None)
    return {"side": side, "best": max(rows, key=lambda row: row["nmi"]), "tight": tight}


def within(row: Mapping[str, Any]) -> float | None:
    """Return the distance within identities over that between them: smaller is tighter."""
    return None if row["intra"] is None or not row["inter"] else row["intra"] / row["inter"]


def published(file: ExperimentFile, configurations: pl.DataFrame) -> dict[str, Any] | None:
    """Return what the published figures are worth: the note, their noise, and their difference from ours.

    noise: queries, and the standard errors of top-1 and score of the first arm with all accuracies; scores, span: of all
    published scores. gaps: by side, ours minus theirs, lowest and highest. unknown: arms that no configuration has.
    """
    given = file.published
    if given is None:
        return None
    known = set(configurations["configuration"])
    found = {
        "note": given.note.strip(),
        "noise": None,
        "gaps": [],
        "unknown": [n for n in given.arms if n not in known],
    }
    rows = [(name, own) for name, own in given.arms.items() if all(key in own for key in KEYS)]
    if given.queries and rows:
        name, own = rows[0]
        scores = [each["score"] for each in given.arms.values() if "score" in each]
        error = score_error(dict(file.score or {}), own, given.queries)
        found["noise"] = {"arm": name, "queries": given.queries, "top1": own["top1"], "error": error}
        found["noise"] |= {"top1_error": share_error(own["top1"], given.queries), "scores": len(scores)}
        found["noise"]["span"] = max(scores) - min(scores) if len(scores) > 1 else None
    for side in SIDES:
        gaps = configurations.filter(pl.col("side") == side).select(gap=pl.col("score") - pl.col("published_score"))
        values = gaps["gap"].drop_nulls()
        if len(values):
            found["gaps"].append({"side": side, "low": values.min(), "high": values.max(), "count": len(values)})
    return found


def _by_score(architectures: pl.DataFrame, side: str) -> list[dict[str, Any]]:
    own = architectures.filter((pl.col("side") == side) & pl.col("score").is_not_null())
    return own.sort("score", descending=True, maintain_order=True).to_dicts()


def _ten(configurations: pl.DataFrame, side: str) -> Block:
    rows = ranked(configurations, side)[:TEN]
    settings = ["architecture", "normalised", _COUNT] if side == DESCRIBED else _SETTINGS
    theirs = [] if side == DESCRIBED else ["published_score"]
    return block(f"Highest scores, {side}", rows, ["arm", "rank", *settings, *_SCORE, *theirs], CONFIGURATIONS)


def _all(configurations: pl.DataFrame) -> Block:
    errors = ("top1_error", "score_error")
    names = ["configuration", "side", *_SETTINGS, "arm", "rank", *_SCORE, *errors, *_PUBLISHED, "note"]
    return block("All configurations", configurations, names, CONFIGURATIONS)


def _ablation(ablation: pl.DataFrame) -> Block:
    named = ablation.with_columns(factor=pl.col("factor").replace_strict(FACTOR_NAMES))
    names = ["configuration", "side", "factor", "value", "same_runs", "difference", "difference_interval"]
    names += ["delta", "interval", "p_adjusted", "verdict", "published_difference"]
    shown = [ABLATION.shown[name] if name in ABLATION.shown else column(name) for name in names]
    shown[7:9] = [each.but(heading=f"mAP {each.heading}") for each in shown[7:9]]
    return block("Difference from the baseline in one setting", named, shown)


def _architectures(faces: Faces) -> list[Block]:
    names = ["architecture", "side", "arm", *_SCORE, "relative_score", *_PUBLISHED, "published_relative_score"]
    found = []
    if len(faces.architectures):
        found.append(block("With the baseline's settings", faces.architectures, names, ARCHITECTURES))
    cost = ["architecture", "side", "seconds_train", "embedded", "images_per_second", "latency_ms", "seconds_embedding"]
    cost += ["seconds", "score_per_minute", "relative_speed", "published_score_per_minute", "published_relative_speed"]
    timed = faces.efficiency.filter("controlled")
    if len(timed):
        found.append(block("Time, measured on this machine", timed, cost, CONFIGURATIONS_EFFICIENCY))
    return found


def _choices(choices: pl.DataFrame) -> list[Block]:
    rows = []
    for row in choices.filter(pl.col("seed").is_null()).to_dicts():
        same = [pl.col(name) == row[name] for name in ("side", "rule", "arm")]
        seeds = choices.filter(pl.col("seed").is_not_null(), *same)["picked"]
        rows.append(row | {"picking": f"{seeds.sum()} of {len(seeds)}"})
    names = ["architecture", "side", "rule", "value", "tied", "latency_ms", "picked", _SEEDS, "score"]
    return [block("On the mean over seeds, ties by the latency of this machine", rows, names, CHOICES)]


def _clusters(configurations: pl.DataFrame, sides: Sequence[str]) -> Block:
    rows = [row | {"within": within(row)} for side in sides for row in ranked(configurations, side)]
    return block("Clusters and distances", rows, ["arm", SIDE, "nmi", "intra", "inter", _WITHIN], CONFIGURATIONS)
