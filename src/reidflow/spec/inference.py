"""What may follow what before a ranking, and in which geometry; nothing is imported."""

from collections.abc import Sequence
from typing import Any

from reidflow.spec.components import context, declared

FLAT_SPACES = ("hypersphere", "euclidean")


def problem(steps: list[dict[str, Any]], geometry: str) -> str | None:
    """Return what is wrong with inference steps in a geometry and what to do about it; None if nothing is.

    steps: resolved components of the kind `inference`, in order. Their modules say what they need: FLAT, that embeddings
    can be averaged; LAST, that nothing but a ranking comes after, or what FOLLOWS on similarities; and the input `flipped`, that
    nothing comes before.
    """
    follows = [bool(declared("inference", step["name"], "FOLLOWS")) for step in steps]
    for place, name in enumerate(step["name"] for step in steps):
        if declared("inference", name, "FLAT") and geometry not in FLAT_SPACES:
            return (
                f"inference '{name}' averages embeddings, which the geometry '{geometry}' does not allow: use "
                "k_reciprocal, which needs distances alone"
            )
        if declared("inference", name, "LAST") and not all(follows[place + 1 :]):
            return f"inference '{name}' leaves similarities instead of embeddings: put it last"
        if place and "flipped" in context("inference", name):
            return f"inference '{name}' uses the images themselves: put it first"
    return None


def around_ranking(steps: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the steps before a ranking by several scores, which work on embeddings, and those after it.

    After it come those whose file declares SIMILARITIES: they need no more than what two images score.
    """
    after = [step for step in steps if declared("inference", step["name"], "SIMILARITIES")]
    return [step for step in steps if step not in after], after


def needs_all_pairs(after: Sequence[dict[str, Any]]) -> bool:
    """Return whether a step after a ranking by several scores needs those of all images, not of queries and candidates alone."""
    return not all(declared("inference", step["name"], "FOLLOWS") for step in after)


def transductive(steps: list[dict[str, Any]]) -> list[str]:
    """Return the names of the steps that look at the other queries; one whose file does not say is taken to."""
    return [step["name"] for step in steps if declared("inference", step["name"], "TRANSDUCTIVE") is not False]
