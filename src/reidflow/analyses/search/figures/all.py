"""All figures of a report on a search."""

from collections.abc import Callable, Sequence

from reidflow.analyses.search.figures import effects, front, importances, parallel, progress, slices
from reidflow.analyses.search.found import Found
from reidflow.figures.style import Heading, Out
from reidflow.spec.search import Axis


def draw_all(found: Found, axes: Sequence[Axis], heading: Heading) -> dict[str, Callable[[Out], None]]:
    """Return name of a figure -> what draws it into files."""
    base = found.baseline
    value = base["val_id_map"]
    known = {"value": value, "flops": base["flops"], "parameters": base["parameters"]}
    return {
        "progress": lambda out: progress.draw(found.progress, heading, out, value),
        "slices": lambda out: slices.draw(found.trials, axes, heading, out, value),
        "parallel": lambda out: parallel.draw(found.trials, axes, heading, out, value),
        "importances": lambda out: importances.draw(found.importances, heading, out),
        "effects": lambda out: effects.draw(found.effects, heading, out),
        "front": lambda out: front.draw(found.front, heading, out, known),
    }
