"""What a competition hands in, and what it tells of how it came about."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl

from reidflow.retrieval.competition import FEATURES, PROJECTION, Competition
from reidflow.retrieval.competition_workspace import Workspace
from reidflow.retrieval.held_out import HeldOutResult, clustered_error

HEAD = "| Network | Embedding | Top-1 | Top-5 | Top-10 | mAP | Score | ± | To the choice |"
RULE = "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: |"
SIDES = ("query", "gallery")
WORDS = {FEATURES: "frozen features", PROJECTION: "projection trained on the other identities"}


def submission(course: Competition, manifest: pl.DataFrame, folders: Mapping[str, str]) -> dict[str, list[str]]:
    """Return query -> its best of the gallery, best first.

    folders: side -> its folder in the data set. Names are paths relative to it, or to the data set for a side without.
    """
    names = {
        side: np.array([_within(image, folders.get(side)) for image in manifest["image"]], dtype=object)
        for side in SIDES
    }
    gallery = names["gallery"][course.entries.gallery]
    pairs = zip(names["query"][course.entries.queries], course.ranked, strict=True)
    return {query: gallery[rows].tolist() for query, rows in pairs}


def report(course: Competition, setting: Workspace) -> dict[str, Any]:
    """Return how the submission came about: nothing in it is a measured time."""
    who, (place, kind) = course.entries, course.choice
    chosen = course.judged.get(course.choice)
    return {
        "queries": len(who.queries),
        "gallery": len(who.gallery),
        "k": int(course.ranked.shape[1]),
        "training": {
            "images": len(who.training),
            "identities": setting.manifest[who.training.tolist()]["identity"].n_unique(),
        },
        "held_out": _held_out(course, setting),
        "choice": {"network": course.candidates[place].name, "embedding": kind, "judged": chosen is not None},
        "inference": course.inference,
        "candidates": [
            {
                "name": candidate.name,
                "network": candidate.network,
                "left_out": candidate.left_out,
                "operations": candidate.flops,
                "judged": {
                    kind: _told(course.judged[place, kind], chosen)
                    for kind in (FEATURES, PROJECTION)
                    if (place, kind) in course.judged
                },
            }
            for place, candidate in enumerate(course.candidates)
        ],
        "skipped": course.skipped,
    }


def efficiency(course: Competition, setting: Workspace) -> dict[str, Any]:
    """Return all that depends on time: seconds of the steps, speeds, predictions."""
    return {
        "budget_seconds": setting.budget.seconds,
        "seconds_since_start": round(setting.budget.spent(), 3),
        "steps": {step: round(seconds, 3) for step, seconds in course.seconds.items()},
        "candidates": {
            course.candidates[place].name: {
                "seconds_per_image": course.candidates[place].seconds,
                "predicted_training_seconds": round(cost.training, 3),
                "predicted_query_and_gallery_seconds": round(cost.asked, 3),
            }
            for place, cost in sorted(course.costs.items())
        },
    }


def markdown(told: dict[str, Any], title: str) -> str:
    """Return the report for a reader."""
    choice, held = told["choice"], told["held_out"]
    lines = [
        f"# Submission: {title}",
        "",
        f"{told['queries']} queries, each with the best {told['k']} of {told['gallery']} images of the gallery. "
        f"Trained on {told['training']['images']} images of {told['training']['identities']} identities.",
        "",
        f"Chosen: **{choice['network']}**, {_embedding(choice)}.",
    ]
    if told["inference"]:
        lines += ["", f"Before the ranking: {', '.join(told['inference'])}, as the protocol says; it was not judged."]
    if held and choice["judged"]:
        lines += ["", _how(held), "", HEAD, RULE, *_rows(told)]
    left_out = [candidate for candidate in told["candidates"] if candidate["left_out"]]
    if left_out:
        lines += ["", "Left out:", "", *(f"- {candidate['name']}: {candidate['left_out']}" for candidate in left_out)]
    if told["skipped"]:
        lines += ["", "Skipped:", "", *(f"- {sentence}" for sentence in told["skipped"])]
    lines += ["", "Seconds are in `efficiency.json`."]
    return "\n".join(lines) + "\n"


def _within(image: str, folder: str | None) -> str:
    return image.removeprefix(f"{PurePosixPath(folder)}/") if folder else image


def _held_out(course: Competition, setting: Workspace) -> dict[str, Any] | None:
    if course.held is None:
        return None
    held, training = course.held, setting.manifest[course.entries.training.tolist()]
    rendered = (training["side"][held.gallery.tolist()] == "gallery").fill_null(False)
    return {
        "identities": training["identity"][held.queries.tolist()].n_unique(),
        "queries": len(held.queries),
        "gallery": len(held.gallery),
        "across_sides": bool(rendered.any()),
        "seed": setting.protocol.seed,
    }


def _told(judged: HeldOutResult, chosen: HeldOutResult | None) -> dict[str, Any]:
    """Return held-out figures, with the paired difference to the choice and the standard errors of both."""
    found = {name: round(float(value), 6) for name, value in judged.metrics.items()}
    found |= {"score": round(judged.score, 3), "standard_error": _rounded(judged.standard_error)}
    if chosen is not None:
        paired = judged.scores - chosen.scores
        found["difference"] = round(float(paired.mean()), 3)
        found["difference_standard_error"] = _rounded(clustered_error(paired, judged.identity))
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _embedding(choice: dict[str, Any]) -> str:
    if not choice["judged"]:
        return "its frozen features, not judged"
    return "a projection trained on all identities" if choice["embedding"] == PROJECTION else "its frozen features"


def _how(held: dict[str, Any]) -> str:
    gap = (
        "photographs among renders, as in the competition"
        if held["across_sides"]
        else "training images are of one side, so the gap between the two sides is not in these figures"
    )
    return (
        f"Judged on {held['identities']} identities that nothing was trained on, {held['queries']} queries among "
        f"{held['gallery']} images ({gap}). Score = 600 top-1 + 300 top-5 + 100 top-10; ± is its standard error over "
        "identities. The last column is the difference to the choice, with its own: below twice that, the order of the "
        "two is chance. The highest of several scores is a little too high: it was chosen for being so."
    )


def _rows(told: dict[str, Any]) -> list[str]:
    found = [(c["name"], kind, values) for c in told["candidates"] for kind, values in c["judged"].items()]
    found.sort(key=lambda row: -row[2]["score"])
    return [_row(name, kind, values, told["choice"]) for name, kind, values in found]


def _row(name: str, kind: str, values: dict[str, Any], choice: dict[str, Any]) -> str:
    ours = (name, kind) == (choice["network"], choice["embedding"])
    against = f"{values['difference']:+.1f} ± {_error(values['difference_standard_error'])}"
    cells = [f"{values[name]:.3f}" for name in ("top1", "top5", "top10", "map")]
    cells += [f"{values['score']:.1f}", _error(values["standard_error"]), "chosen" if ours else against]
    return f"| {name} | {WORDS[kind]} | {' | '.join(cells)} |"


def _error(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"
