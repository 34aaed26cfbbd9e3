"""Pictures of networks: what is in a spec stands in its row."""

from itertools import pairwise
from pathlib import Path

import figure_tables as planted
import pytest
from svg_text import shows, words

from reidflow.analyses.architectures.figures import (
    FIXED,
    NARROW,
    ORANGE,
    VERMILLION,
    _cells,
    _columns,
    draw_architectures,
)
from reidflow.figures.style import BLUE, GREEN, SKY, Heading
from reidflow.spec.run import RunSpec

HEADING = Heading("Which <network> is worth $5?", "demo (demo scale)")


def spec(**model) -> dict:
    whole = {"backbone": {"name": "small", "family": "vit"}, "trainable": {"name": "all"}, "size": 32, **model}
    parts = {"loss": "supcon", "sampler": "shuffled", "optimizer": "adamw", "scheduler": "constant"}
    return RunSpec(model=whole, **parts).plain()


def blocks(**settings) -> dict:
    return spec(backbone={"name": "mbconv", **settings})


STRANGE = blocks(
    widths=[8, 320, 16, 8, 16, 8, 8],
    depths=[1, 4, 1, 1, 1, 1, 1],
    kernels=[3, 5, 9, 7, 3, 3, 3],
    expansions=[1] * 7,
    squeeze=[0.0] * 7,
    strides=[1] * 7,
    features=0,
)
HEADS = [
    spec(pooling={"name": "gem", "p": 4.0}, head={"hidden": 64, "depth": 3, "norm": "layer", "dropout": 0.25, "dim": 32}),
    spec(pooling="max", head={"hidden": 256, "norm": "none", "activation": "silu"}),
    spec(),
]  # fmt: skip


def rows(count: int, specs: list[dict]) -> list[tuple]:
    return [(name, specs[i % len(specs)], 0.4, 1234, 5.6e6) for i, name in enumerate(planted.names(count))]


KINDS = {"blocks": [blocks(), STRANGE], "heads": HEADS, "both": [blocks(), HEADS[0]]}


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_stands_in_the_figure_whatever_its_name(kind: str, count: int, tmp_path: Path) -> None:
    draw_architectures(rows(count, KINDS[kind]), HEADING, {"svg": tmp_path / "figure.svg"})
    assert not [name for name in planted.names(count) if not shows(tmp_path / "figure.svg", name)]
    found = words(tmp_path / "figure.svg")
    assert HEADING.title in found and found.count("0.400") == found.count("1.23k") == found.count("5.6M") == count


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        draw_architectures(rows(4, KINDS["both"]), HEADING, tmp_path / copy)
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_a_stage_shows_its_blocks_kernel_expansion_squeeze_and_stride() -> None:
    drawn = _cells(blocks(depths=[1, 3, 2], kernels=[3, 5, 3], expansions=[1, 3, 6], squeeze=[0, 0.25, 0]), 6)
    assert list(drawn) == ["stem", "stage 1", "stage 2", "stage 3", "features"]
    assert [drawn[f"stage {i}"].boxes for i in (1, 2, 3)] == [(16,), (24, 24, 24), (48, 48)]
    assert [drawn[f"stage {i}"].colour for i in (1, 2, 3)] == [SKY, BLUE, SKY]
    assert [drawn[f"stage {i}"].squeezed for i in (1, 2, 3)] == [False, True, False]
    assert [drawn[f"stage {i}"].halved for i in (1, 2, 3)] == [False, True, True]
    assert drawn["stage 1"].height < drawn["stage 2"].height < drawn["stage 3"].height == 1
    assert drawn["stage 2"].words == "3 x 24\ne3 k5 se.25"
    assert "features" not in _cells(STRANGE, 1)
    assert list(_cells(blocks(depths=[1, 0, 2]), 4)) == ["stem", "stage 1", "stage 3", "features"]


def test_a_head_shows_its_layers_in_order() -> None:
    drawn = _cells(HEADS[0], 1)
    assert {name: cell.words for name, cell in drawn.items()} == {
        "pooling": "gem\np=4",
        **{f"hidden {i}": "64\nlayer relu" for i in (1, 2, 3)},
        "dropout": "0.25",
        "embedding": "32",
    }
    assert drawn["hidden 1"].colour == GREEN
    assert list(_cells(HEADS[2], 1)) == ["pooling", "embedding"]
    assert _cells(HEADS[1], 1)["hidden 1"].words == "256\nsilu"


@pytest.mark.parametrize("kind", KINDS)
def test_columns_stand_beside_one_another_within_the_room(kind: str) -> None:
    cells = [_cells(one, 4) for one in KINDS[kind]]
    columns, scale = _columns(cells, 5.0)
    places = list(columns.values())
    assert all(left + width <= right + 1e-9 for (left, width), (right, _) in pairwise(places))
    assert places[-1][0] + places[-1][1] <= 5.0 + 1e-9
    for row in cells:
        for name, cell in row.items():
            room = columns[name][1]
            assert sum(cell.sides(scale, room)) <= room + 1e-9
            if kind != "both":
                assert cell.sides(scale, room) == ([max(NARROW, scale * n) for n in cell.boxes] or [FIXED])


def test_the_legend_names_what_is_drawn_and_nothing_else(tmp_path: Path) -> None:
    draw_architectures(rows(2, [blocks()]), HEADING, {"svg": tmp_path / "plain.svg"})
    plain = words(tmp_path / "plain.svg")
    assert "kernel 3 x 3" in plain and "halves the map" in plain
    assert not {"kernel 5 x 5", "squeeze-excite", "embedding"} & set(plain)
    draw_architectures(rows(2, HEADS), HEADING, {"svg": tmp_path / "heads.svg"})
    heads = words(tmp_path / "heads.svg")
    assert {"hidden layer, layer norm", "hidden layer, no norm", "dropout", "embedding"} <= set(heads)
    assert not {"hidden layer, batch norm", "halves the map"} & set(heads)
    text = (tmp_path / "plain.svg").read_text()
    assert VERMILLION in text and ORANGE not in text


def test_what_is_not_known_is_a_dash_and_no_rows_are_words(tmp_path: Path) -> None:
    draw_architectures([("a", blocks(), None, None, None)], HEADING, {"svg": tmp_path / "a.svg"}, value="test mAP")
    assert words(tmp_path / "a.svg").count("–") == 3
    assert "test mAP" in words(tmp_path / "a.svg")
    draw_architectures([], HEADING, {"svg": tmp_path / "none.svg"})
    assert "No network has been trained." in words(tmp_path / "none.svg")
