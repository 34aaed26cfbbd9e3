"""The panel of value over cost, for figures made with `style.sheet`."""

from matplotlib.axes import Axes

from reidflow.figures import parts


def draw_panel(axes: Axes, rows: list[dict], column: str, names: dict[str, str], size: tuple[float, float]) -> None:
    """Draw id_map over a column of cost, with the front; names: arm -> label of its point."""
    x, y = ([float(row[name]) for row in rows] for name in (column, "id_map"))
    labels, baselines = [names[row["arm"]] for row in rows], [row["baseline"] for row in rows]
    parts.cost_panel(axes, [row["arm"] for row in rows], x, y, labels=labels, baselines=baselines)


def front_legend(baseline: bool) -> tuple[list, list[str]]:
    """Return handles and labels of the marks of `draw_panel`."""
    handles = parts.front_handles(baseline)
    return list(handles.values()), list(handles)
