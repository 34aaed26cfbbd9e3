"""The tables of a competition's program as blocks of the findings."""

from typing import Any

import polars as pl

from reidflow.analyses.faces.arms import SIDES
from reidflow.analyses.faces.choices import RULES, picks
from reidflow.analyses.faces.effects import WORDS, setting_text
from reidflow.tables.layout import Block, block_of, count, share, yes
from reidflow.tables.text import NOTHING, interval, number, signed

TEN = 10
THEIRS = "their numbers"


def settings_of(row: dict[str, Any]) -> str:
    """Return a configuration's settings of the training on one line."""
    told = [
        f"{word} {setting_text(name, row[name])}"
        for name, word in (("learning_rate", "rate"), ("epochs", "epochs"), ("batch", "batch"))
        if row[name] is not None
    ]
    told += [setting_text(name, row[name]) for name in ("normalised", "augmented") if not row[name]]
    return ", ".join(told) or NOTHING


def points(value: float | None, std: float | None = None) -> str:
    """Return a score with its spread over seeds."""
    return number(value, 1) if value is None or std is None else f"{number(value, 1)} ± {number(std, 1)}"


_SCORES = {
    **{name: lambda row, name=name: number(row[name]) for name in ("top1", "top5", "top10")},
    "mAP": lambda row: number(row["map"]),
    "id_map": lambda row: number(row["id_map"]),
    "score": lambda row: points(row["score"], row["score_std"]),
    "interval of the mean": lambda row: interval_of(row["score_low"], row["score_high"]),
}
_THEIRS = {
    **{
        f"{THEIRS}: {name}": lambda row, name=name: number(row[f"published_{name}"])
        for name in ("top1", "top5", "top10", "map")
    },
    f"{THEIRS}: score": lambda row: number(row["published_score"], 1),
}


def interval_of(low: float | None, high: float | None) -> str:
    """Return the ends of an interval of a score, which is never negative."""
    return NOTHING if low is None or high is None else f"[{number(low, 1)}, {number(high, 1)}]"


def configurations_block(configurations: pl.DataFrame, side: str) -> Block:
    """Return every configuration of a side, in the order of the experiment."""
    rows = configurations.filter(pl.col("side") == side).to_dicts()
    columns = {
        "configuration": lambda row: row["configuration"],
        "architecture": lambda row: row["architecture"],
        "settings": settings_of,
        "runs of": lambda row: row["arm"] or NOTHING,
        "place": lambda row: number(row["place"]),
        **_SCORES,
        "standard error of one top-1": lambda row: number(row["top1_error"]),
        "of one score": lambda row: number(row["score_error"], 1),
        **_THEIRS,
        "note": lambda row: row["note"],
    }
    return without_silent(block_of(f"All configurations, {side}", columns, rows))


def ten_block(configurations: pl.DataFrame, side: str) -> Block:
    """Return the ten best of a side by score; configurations that are one and the same network are one row."""
    rows = ranked(configurations, side)[:TEN]
    columns = {
        "arm": lambda row: row["arm"],
        "place": lambda row: number(row["place"]),
        "architecture": lambda row: row["architecture"],
        "settings": settings_of if side == SIDES[1] else _any_settings,
        **_SCORES,
        f"{THEIRS}: score": (
            (lambda row: number(row["published_score"], 1)) if side == SIDES[1] else (lambda row: NOTHING)
        ),
    }
    return without_silent(block_of(f"The best {min(TEN, len(rows))}, {side}", columns, rows))


def _any_settings(row: dict[str, Any]) -> str:
    several = f" ({row['configurations']} configurations)" if row["configurations"] > 1 else ""
    return ("any" if row["normalised"] else "any, no normalisation") + several


def ranked(configurations: pl.DataFrame, side: str) -> list[dict[str, Any]]:
    """Return the arms of a side from the highest score down, each with its number of configurations."""
    own = configurations.filter((pl.col("side") == side) & pl.col("score").is_not_null())
    rows: dict[str, dict[str, Any]] = {}
    for row in own.to_dicts():
        rows.setdefault(row["arm"], {**row, "configurations": 0})["configurations"] += 1
    return sorted(rows.values(), key=lambda row: row["place"])


def architectures_block(architectures: pl.DataFrame, side: str) -> Block:
    """Return the architectures of a side under the baseline's settings."""
    columns = {
        "architecture": lambda row: row["architecture"],
        "runs of": lambda row: row["arm"] or NOTHING,
        **_SCORES,
        "of the best": lambda row: share(row["relative_score"]),
        **_THEIRS,
        f"{THEIRS}: of the best": lambda row: share(row["published_relative_score"]),
    }
    rows = architectures.filter(pl.col("side") == side).to_dicts()
    return without_silent(block_of(f"Architectures, {side}", columns, rows))


def speed_block(efficiency: pl.DataFrame) -> Block:
    """Return what the architectures took under the baseline's settings."""
    columns = {
        "architecture": lambda row: row["architecture"],
        "side": lambda row: row["side"],
        "training, s": lambda row: number(row["seconds_train"], 2),
        "passes of images": lambda row: count(row["embedded"]),
        "images per second": lambda row: whole(row["images_per_second"]),
        "latency of one image, ms": lambda row: number(row["latency_ms"], 2),
        "embedding, s": lambda row: number(row["seconds_embedding"], 2),
        "together, s": lambda row: number(row["seconds"], 2),
        "score per minute": lambda row: whole(row["score_per_minute"]),
        "relative speed": lambda row: times(row["relative_speed"]),
        f"{THEIRS}: score per minute": lambda row: whole(row["published_score_per_minute"]),
        f"{THEIRS}: relative speed": lambda row: times(row["published_relative_speed"]),
    }
    rows = efficiency.filter("controlled").to_dicts()
    return without_silent(block_of("Seconds, measured on this machine", columns, rows))


def whole(value: float | None) -> str:
    """Return a rate in whole numbers, thousands set apart."""
    return count(None if value is None else round(value))


def times(value: float | None) -> str:
    """Return a factor: `6.3×`."""
    return NOTHING if value is None else f"{value:.1f}×"


def ablation_block(ablation: pl.DataFrame, side: str) -> Block:
    """Return what each single setting is worth on a side."""
    columns = {
        "setting": lambda row: WORDS[row["factor"]],
        "value": lambda row: row["value"],
        "arm": lambda row: row["configuration"],
        "score": lambda row: "the same runs" if row["same_runs"] else signed(row["difference"], 1),
        "interval over seeds": lambda row: (
            NOTHING if row["same_runs"] else interval(row["difference_low"], row["difference_high"], 1)
        ),
        "id_map": lambda row: signed(row["delta"]),
        "its interval": lambda row: interval(row["delta_low"], row["delta_high"]),
        "verdict": lambda row: row["verdict"] or NOTHING,
        f"{THEIRS}: score": lambda row: signed(row["published_difference"], 1),
    }
    rows = ablation.filter(pl.col("side") == side).to_dicts()
    return without_silent(block_of(f"Against the baseline's settings, {side}", columns, rows))


def choices_block(choices: pl.DataFrame) -> Block:
    """Return what each rule saw of each architecture, on the mean over seeds, and how many seeds pick it."""
    rows = []
    for row in choices.filter(pl.col("seed").is_null()).to_dicts():
        same = [pl.col(name) == row[name] for name in ("side", "rule", "arm")]
        seeds = choices.filter(pl.col("seed").is_not_null(), *same)
        rows.append({**row, "picking": f"{seeds['picked'].sum()} of {len(seeds)}"})
    columns = {
        "architecture": lambda row: row["architecture"],
        "side": lambda row: row["side"],
        "chosen by": lambda row: f"{row['rule']} ({'top-10' if row['rule'] == RULES[0] else 'mAP'})",
        "value": lambda row: number(row["value"]),
        "tied": lambda row: yes(row["tied"]),
        "latency, ms": lambda row: number(row["latency_ms"], 2),
        "picked": lambda row: yes(row["picked"]),
        "seeds that pick it": lambda row: row["picking"],
        "score on test": lambda row: points(row["score"]),
    }
    return block_of("Automatic choice, on the mean over seeds", columns, rows)


def agreement_block(choices: pl.DataFrame) -> Block:
    """Return whether the two rules pick the same architecture, ties decided by the measured latency."""
    rows = []
    for side in choices["side"].unique(maintain_order=True):
        first, second = (picks(choices, side, rule) for rule in RULES)
        shared = [seed for seed in first if seed in second]
        same = {seed: first[seed]["arm"] == second[seed]["arm"] for seed in shared}
        if same:
            seeds = [own for seed, own in same.items() if seed is not None]
            rows.append({"side": side, "mean": same[None], "seeds": f"{sum(seeds)} of {len(seeds)}"})
    columns = {
        "side": lambda row: row["side"],
        "the same on the mean over seeds": lambda row: yes(row["mean"]),
        "with seeds": lambda row: row["seeds"],
    }
    return block_of("Agreement of the two choices, with the latency of this machine", columns, rows)


def clusters_block(configurations: pl.DataFrame) -> Block:
    """Return how the embeddings of each arm lie."""
    columns = {
        "arm": lambda row: row["arm"],
        "side": lambda row: row["side"],
        "NMI": lambda row: number(row["nmi"]),
        "distance within identities": lambda row: number(row["intra"]),
        "distance between identities": lambda row: number(row["inter"]),
        "within over between": lambda row: number(within(row)),
    }
    rows = [row for side in SIDES for row in ranked(configurations, side)]
    return block_of("Clusters and distances", columns, rows)


def within(row: dict[str, Any]) -> float | None:
    """Return the distance within identities as a share of that between them: smaller is tighter."""
    return None if row["intra"] is None or not row["inter"] else row["intra"] / row["inter"]


def without_silent(block: Block) -> Block:
    """Return a block without the columns that say nothing in any row."""
    keep = [i for i in range(len(block.headings)) if any(row[i] not in (NOTHING, "") for row in block.rows)]
    return Block(block.title, [block.headings[i] for i in keep], [[row[i] for i in keep] for row in block.rows])
