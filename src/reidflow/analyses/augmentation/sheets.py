"""Contact sheet of an experiment on augmentation: training images as the network sees them in each arm."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reidflow.figures.contact import Row, Tile, write_sheet
from reidflow.figures.style import BLUE, Heading
from reidflow.spec.components import parameters
from reidflow.tables.text import setting


def augmented_sheet(
    samples: Mapping[str, np.ndarray],
    augmentations: Mapping[str, list[dict]],
    heading: Heading,
    out: str | Path,
    *,
    tile: int = 72,
) -> None:
    """Write a sheet with a row per arm: each image plain (framed), then its augmented versions.

    samples: arm -> (images, 1 + versions, S, S, 3) uint8. augmentations: arm -> resolved components, named beside the
    row where they are few.
    """
    rows = []
    for arm, images in samples.items():
        tiles = [Tile(each, "", BLUE if i == 0 else None) for versions in images for i, each in enumerate(versions)]
        rows.append(Row(tiles, [arm, _description(augmentations[arm])]))
    write_sheet(rows, out, heading, tile, [(BLUE, "the image itself; beside it as the first epochs show it")])


def _description(components: list[dict]) -> str:
    """Return the words below an arm's name: of one component its probability and the parameters that are not the default."""
    if not components:
        return "no augmentation"
    if len(components) > 1:
        return f"{len(components)} augmentations"
    (component,) = components
    defaults = {name: default for name, (_, _, default) in parameters("augmentation", component["name"]).items()}
    shown = {key: value for key, value in component.items() if key in ("name", "p") or value != defaults[key]}
    return setting(shown)
