"""All figures of a report on a search."""

from collections.abc import Mapping, Sequence

from reidflow.figures import search_effects, search_front, search_importances, search_parallel, search_progress
from reidflow.figures import search_slices as slices
from reidflow.figures.style import Heading, Out
from reidflow.spec.search import Axis
from reidflow.tables.search_found import Found


def draw_all(found: Found, axes: Sequence[Axis], heading: Heading, out: Mapping[str, Out]) -> None:
    """Draw every figure of a search. out: name of the figure -> its files."""
    base = found.baseline
    value = base["val_id_map"]
    search_progress.draw(found.progress, heading, out["progress"], value)
    slices.draw(found.trials, axes, heading, out["slices"], value)
    search_parallel.draw(found.trials, axes, heading, out["parallel"], value)
    search_importances.draw(found.importances, heading, out["importances"])
    search_effects.draw(found.effects, heading, out["effects"])
    known = {"value": value, "flops": base["flops"], "parameters": base["parameters"]}
    search_front.draw(found.front, heading, out["front"], known)
