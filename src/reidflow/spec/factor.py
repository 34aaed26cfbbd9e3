"""What varies in an experiment and what is tuned in it, checked: paths that exist, grids that can be tried."""

from math import prod
from typing import TYPE_CHECKING, Any

from reidflow.spec.config import Config
from reidflow.spec.errors import Problems

if TYPE_CHECKING:
    from reidflow.spec.experiment_file import ExperimentFile

SEED = "seed"
LARGEST_GRID = 1000


def points_of(tuned: dict[str, list[Any]]) -> int:
    """Return how many settings an arm chooses from."""
    return prod(map(len, tuned.values()))


def check_factor(file: "ExperimentFile", config: Config, where: str, problems: Problems) -> None:
    """Note what is wrong with `varies` and `tuned`."""
    spec = config.protocol.plain()
    for path in file.varies:
        if path != SEED and not _exists(spec, path):
            problems.add(
                f"{where}, key 'varies'", f"a run has no setting '{path}'.", f"Settings are: {', '.join(spec)}."
            )
    for path in file.tuned:
        if path == SEED or path in file.varies:
            problems.add(
                f"{where}, key 'tuned'", f"'{path}' cannot be both the factor and tuned.", "Remove it from one."
            )
    for path, grid in file.tuned.items():
        if len({repr(value) for value in grid}) < len(grid):
            problems.add(f"{where}, key 'tuned.{path}'", "a value stands twice.", "Remove one of them.")
    points = points_of(file.tuned)
    if points > LARGEST_GRID:
        problems.add(
            f"{where}, key 'tuned'",
            f"the grid has {points} points, each of which every arm trains with every sweep seed.",
            f"At most {LARGEST_GRID} are allowed; `search` looks at a part of a larger space.",
        )
    if file.tuned and _two_roles(config):
        problems.add(
            f"{where}, key 'tuned'",
            "the split has no validation images, so no setting can be chosen.",
            "Give the split a share for 'val', or remove 'tuned'.",
        )


def _two_roles(config: Config) -> bool:
    return config.split.get("val") == 0


def _exists(tree: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True
