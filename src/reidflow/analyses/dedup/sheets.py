"""Contact sheets of a deduplication experiment: groups at and around a threshold, and suspected label errors."""

from pathlib import Path

import numpy as np
import polars as pl

from reidflow.analyses.dedup.tables import Duplicates
from reidflow.dedup.components import components
from reidflow.dedup.keep import Links, links
from reidflow.figures.contact import Row, Tile, write_sheet
from reidflow.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, Heading

EXAMPLES, GROUP, ACROSS, PAIRS = 6, 5, 8, 12
"""At most: groups of each kind, images of a group, tiles side by side, and pairs of suspects."""
ACROSS_PAIRS = 3
AT, ABOVE = "at the threshold", "just above"
COLOURS = (BLUE, ORANGE, PURPLE, GREEN, VERMILLION, SKY)


def groups_sheet(
    images: np.ndarray, found: Duplicates, arms: pl.DataFrame, heading: Heading, out: str | Path, *, tile: int = 112
) -> None:
    """Write groups of the training images at, just below and just above the threshold of the recommended arm.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. arms: the ARMS table; where validation recommends to
    drop nothing, the arm that it ranks next. A group is shown at the distance of the pair that it is shown for.
    """
    arm = _example_arm(arms)
    if arm is None:
        write_sheet([], out, Heading(heading.title, _joined(heading.subtitle, "no arm drops duplicates")), tile)
        return
    threshold, scope, pairs = arm["threshold"], arm["scope"], found.pairs[arm["method"]]
    loosest = found.loosest[arm["method"]]
    joined = links(found.training, pairs, float("inf"), scope)
    kept = set(found.keep[arm["arm"]].filter("kept")["image"])
    order = np.argsort(joined.distances, kind="stable")
    distances = joined.distances[order]
    kinds = {
        AT: order[distances == threshold],
        "just below": order[distances < threshold][::-1],
        ABOVE: order[distances > threshold],
    }
    rows, shown = [], set()
    for kind, nearest in kinds.items():
        groups = [
            _tiles(images, found, joined, members, distance, kept)
            for distance, members in _examples(joined, nearest, threshold, shown)
        ]
        if not groups and kind == AT:
            continue
        packed = _packed(groups, tile) or [[Tile(_blank(tile))]]
        nothing = f"not searched beyond {loosest:g}" if kind == ABOVE and threshold >= loosest else "no pair"
        words = [kind, "after a name: distance to the first image of its group" if groups else nothing]
        rows += [Row(tiles, words if i == 0 else [""]) for i, tiles in enumerate(packed)]
    words = f"{arm['label']} at {threshold:g} (arm {arm['arm']}; scope {arm['scope']}, keeps {arm['keep']})"
    legend = [(GREEN, "kept"), (VERMILLION, "dropped")]
    write_sheet(rows, out, Heading(heading.title, _joined(heading.subtitle, words)), tile, legend)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part.strip())


def _tiles(
    images: np.ndarray, found: Duplicates, joined: Links, members: list[int], distance: float, kept: set[str]
) -> list[Tile]:
    """Return the first images of a group: the pair that it is shown for with its distance, then the others."""
    tiles = []
    for i, row in enumerate(members[:GROUP]):
        name, who = found.training.row(row)
        words = (
            [f"{who} {Path(name).name}", f"{Path(name).name}: {distance:.4g}"][i]
            if i < 2
            else _apart(joined, row, members[0], name)
        )
        if i == GROUP - 1 and len(members) > GROUP:
            words = f"and {len(members) - GROUP} more"
        tiles.append(Tile(images[found.rows[name]], words, GREEN if name in kept else VERMILLION))
    return tiles


def _apart(joined: Links, row: int, first: int, name: str) -> str:
    own = (joined.pairs == sorted((row, first))).all(axis=1)
    return f"{Path(name).name}: {joined.distances[own][0]:.4g}" if own.any() else f"{Path(name).name}: linked"


def _packed(groups: list[list[Tile]], tile: int) -> list[list[Tile]]:
    """Return the groups in lines of at most ACROSS tiles, an empty tile between two groups."""
    lines: list[list[Tile]] = []
    for group in groups:
        if lines and len(lines[-1]) + 1 + len(group) <= ACROSS:
            lines[-1] += [Tile(_blank(tile)), *group]
        else:
            lines.append(list(group))
    return lines


def _blank(tile: int) -> np.ndarray:
    return np.full((tile, tile, 3), 255, np.uint8)


def _example_arm(arms: pl.DataFrame) -> dict | None:
    trained = [row for row in arms.to_dicts() if row["method"] is not None]
    chosen = [row for row in trained if row["recommended"] == "overall"]
    marked = chosen or [row for row in trained if row["recommended"] == "method"] or trained
    return max(marked, key=lambda row: (row["val_id_map"] or 0.0, row["dropped"]), default=None)


def _examples(joined: Links, nearest: np.ndarray, threshold: float, shown: set[int]) -> list[tuple[float, list[int]]]:
    """Return (distance, training rows) of at most EXAMPLES groups, none with an image shown before.

    nearest: indices into `joined` of the pairs to show. The group is that of the pair at the threshold, or at the pair's
    distance where that is larger; the pair comes first.
    """
    examples = []
    for index in nearest.tolist():
        if len(examples) == EXAMPLES:
            break
        (one, other), distance = joined.pairs[index].tolist(), float(joined.distances[index])
        if one in shown or other in shown:
            continue
        group = components(len(joined.groups), joined.pairs[joined.distances <= max(distance, threshold)])
        members = [
            one,
            other,
            *(row for row in np.flatnonzero(group == group[one]).tolist() if row not in (one, other)),
        ]
        shown.update(members)
        examples.append((distance, members))
    return examples


def suspects_sheet(
    images: np.ndarray, found: Duplicates, suspects: pl.DataFrame, heading: Heading, out: str | Path, *, tile: int = 150
) -> None:
    """Write the pairs of suspected label errors side by side, the likeliest first, or that there are none.

    images: (N, H, W, 3) uint8, row i being row i of the manifest. suspects: the SUSPECTS table.
    """
    pairs = suspects.unique(["image", "other"], maintain_order=True).to_dicts()
    if not pairs:
        words = "suspected label errors: none found"
        write_sheet(
            [Row([Tile(_blank(tile))], ["none found", "no duplicate carries the labels of two identities"])],
            out,
            Heading(heading.title, _joined(heading.subtitle, words)),
            tile,
        )
        return
    tiles = []
    for i, pair in enumerate(pairs[:PAIRS]):
        colour = COLOURS[i % len(COLOURS)]
        tiles.append(Tile(images[found.rows[pair["image"]]], _suspect(pair, "image", "identity"), colour))
        tiles.append(Tile(images[found.rows[pair["other"]]], _suspect(pair, "other", "other_identity"), colour))
    across = 2 * ACROSS_PAIRS
    shown = f"{min(PAIRS, len(pairs))} of {len(pairs)}" if len(pairs) > PAIRS else str(len(pairs))
    words = f"suspected label errors: {shown} {'pair' if len(pairs) == 1 else 'pairs'}; one colour frames the two images of a pair"
    write_sheet(
        [Row(tiles[i : i + across]) for i in range(0, len(tiles), across)],
        out,
        Heading(heading.title, _joined(heading.subtitle, words)),
        tile,
    )


def _suspect(pair: dict, image: str, identity: str) -> str:
    """Return the caption of one of the two images: its identity and name; for the second one, the method and distance too."""
    name = f"{pair[identity]} {Path(pair[image]).name}"
    return name if image == "image" else f"{name}: {pair['label']} {pair['distance']:.4g}"
