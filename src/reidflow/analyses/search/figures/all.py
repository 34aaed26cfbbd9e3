"""All figures of a report on a search."""

from collections.abc import Mapping, Sequence

from reidflow.analyses.search.figures import effects, front, importances, parallel, progress, slices
from reidflow.analyses.search.found import Found
from reidflow.figures.style import Heading, Out
from reidflow.spec.search import Axis


def draw_all(found: Found, axes: Sequence[Axis], heading: Heading, out: Mapping[str, Out]) -> None:
    """Draw every figure of a search. out: name of the figure -> its files."""
    base = found.baseline
    value = base["val_id_map"]
    progress.draw(found.progress, heading, out["progress"], value)
    slices.draw(found.trials, axes, heading, out["slices"], value)
    parallel.draw(found.trials, axes, heading, out["parallel"], value)
    importances.draw(found.importances, heading, out["importances"])
    effects.draw(found.effects, heading, out["effects"])
    known = {"value": value, "flops": base["flops"], "parameters": base["parameters"]}
    front.draw(found.front, heading, out["front"], known)
