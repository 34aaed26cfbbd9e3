"""The submission of a competition, and the report on how it was made."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import polars as pl

from reidflow.retrieval.competition import FEATURES, PROJECTION, Competition
from reidflow.retrieval.competition_workspace import Workspace
from reidflow.retrieval.held_out import HeldOutResult, clustered_error

HEAD = "| Network | Embedding | Top-1 | Top-5 | Top-10 | mAP | Score | ± | Difference to the choice |"
RULE = "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: |"
SIDES = ("query", "gallery")
EMBEDDINGS = {FEATURES: "frozen features", PROJECTION: "projection trained on the other identities"}


def submission(state: Competition, manifest: pl.DataFrame, folders: Mapping[str, str]) -> dict[str, list[str]]:
    """Return query -> its best of the gallery, best first.

    folders: side -> its folder in the data set. Names are paths relative to it, or to the data set for a side without.
    """
    names = {
        side: np.array([_within(image, folders.get(side)) for image in manifest["image"]], dtype=object)
        for side in SIDES
    }
    gallery = names["gallery"][state.rows.gallery]
    pairs = zip(names["query"][state.rows.queries], state.ranked, strict=True)
    return {query: gallery[rows].tolist() for query, rows in pairs}


def report(state: Competition, workspace: Workspace) -> dict[str, Any]:
    """Return how the submission came about: nothing in it is a measured time."""
    rows, (position, kind) = state.rows, state.choice
    chosen = state.results.get(state.choice)
    return {
        "queries": len(rows.queries),
        "gallery": len(rows.gallery),
        "k": int(state.ranked.shape[1]),
        "training": {
            "images": len(rows.training),
            "identities": workspace.manifest[rows.training.tolist()]["identity"].n_unique(),
        },
        "held_out": _held_out(state, workspace),
        "choice": {"network": state.candidates[position].name, "embedding": kind, "evaluated": chosen is not None},
        "inference": state.inference,
        "candidates": [
            {
                "name": candidate.name,
                "network": candidate.network,
                "left_out": candidate.left_out,
                "operations": candidate.flops,
                "evaluated": {
                    kind: _figures(state.results[position, kind], chosen)
                    for kind in (FEATURES, PROJECTION)
                    if (position, kind) in state.results
                },
            }
            for position, candidate in enumerate(state.candidates)
        ],
        "skipped": state.skipped,
    }


def efficiency(state: Competition, workspace: Workspace) -> dict[str, Any]:
    """Return the measured times: the budget and the seconds of each step."""
    return {
        "budget_seconds": workspace.budget.seconds,
        "seconds_since_start": round(workspace.budget.spent(), 3),
        "steps": {step: round(seconds, 3) for step, seconds in state.seconds.items()},
    }


def markdown(report: dict[str, Any], title: str) -> str:
    """Return the report for a reader."""
    choice, held = report["choice"], report["held_out"]
    lines = [
        f"# Submission: {title}",
        "",
        f"{report['queries']} queries, each with the best {report['k']} of {report['gallery']} images of the gallery. "
        f"Trained on {report['training']['images']} images of {report['training']['identities']} identities.",
        "",
        f"Chosen: **{choice['network']}**, {_embedding(choice)}.",
    ]
    if report["inference"]:
        lines += [
            "",
            f"Before the ranking: {', '.join(report['inference'])}, as the protocol says; not evaluated on held-out identities.",
        ]
    if held and choice["evaluated"]:
        lines += ["", _how(held), "", HEAD, RULE, *_rows(report)]
    left_out = [candidate for candidate in report["candidates"] if candidate["left_out"]]
    if left_out:
        lines += ["", "Left out:", "", *(f"- {candidate['name']}: {candidate['left_out']}" for candidate in left_out)]
    if report["skipped"]:
        lines += ["", "Skipped:", "", *(f"- {sentence}" for sentence in report["skipped"])]
    lines += ["", "Seconds are in `efficiency.json`."]
    return "\n".join(lines) + "\n"


def _within(image: str, folder: str | None) -> str:
    return image.removeprefix(f"{PurePosixPath(folder)}/") if folder else image


def _held_out(state: Competition, workspace: Workspace) -> dict[str, Any] | None:
    if state.held is None:
        return None
    held, training = state.held, workspace.manifest[state.rows.training.tolist()]
    rendered = (training["side"][held.gallery.tolist()] == "gallery").fill_null(False)
    return {
        "identities": training["identity"][held.queries.tolist()].n_unique(),
        "queries": len(held.queries),
        "gallery": len(held.gallery),
        "across_sides": bool(rendered.any()),
        "seed": workspace.protocol.seed,
    }


def _figures(result: HeldOutResult, chosen: HeldOutResult | None) -> dict[str, Any]:
    """Return held-out figures, with the paired difference to the choice and the standard errors of both."""
    found = {name: round(float(value), 6) for name, value in result.metrics.items()}
    found |= {"score": round(result.score, 3), "standard_error": _rounded(result.standard_error)}
    if chosen is not None:
        paired = result.scores - chosen.scores
        found["difference"] = round(float(paired.mean()), 3)
        found["difference_standard_error"] = _rounded(clustered_error(paired, result.identity))
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _embedding(choice: dict[str, Any]) -> str:
    if not choice["evaluated"]:
        return "its frozen features, not evaluated"
    return "a projection trained on all identities" if choice["embedding"] == PROJECTION else "its frozen features"


def _how(held: dict[str, Any]) -> str:
    gap = (
        "photographs among renders, as in the competition"
        if held["across_sides"]
        else "training images are of one side, so the gap between the two sides is not in these figures"
    )
    return (
        f"Evaluated on {held['identities']} identities that nothing was trained on, {held['queries']} queries among "
        f"{held['gallery']} images ({gap}). Score = 600 top-1 + 300 top-5 + 100 top-10; ± is its standard error over "
        "identities. The last column is the difference to the choice, with its own: below twice that, the two are not "
        "significantly different. The highest of several scores is biased upwards, having been selected."
    )


def _rows(report: dict[str, Any]) -> list[str]:
    found = [(c["name"], kind, values) for c in report["candidates"] for kind, values in c["evaluated"].items()]
    found.sort(key=lambda row: -row[2]["score"])
    return [_row(name, kind, values, report["choice"]) for name, kind, values in found]


def _row(name: str, kind: str, values: dict[str, Any], choice: dict[str, Any]) -> str:
    ours = (name, kind) == (choice["network"], choice["embedding"])
    against = f"{values['difference']:+.1f} ± {_error(values['difference_standard_error'])}"
    cells = [f"{values[name]:.3f}" for name in ("top1", "top5", "top10", "map")]
    cells += [f"{values['score']:.1f}", _error(values["standard_error"]), "chosen" if ours else against]
    return f"| {name} | {EMBEDDINGS[kind]} | {' | '.join(cells)} |"


def _error(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}"
