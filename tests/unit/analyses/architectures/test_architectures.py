"""Figure of networks: what is in a spec stands in its row."""

from pathlib import Path

import pytest
from networks import HEADS, STRANGE, blocks
from svg_text import words

from reidflow.analyses.architectures.figures import architectures, cells
from reidflow.analyses.architectures.tables import Network
from reidflow.figures.parts import save
from reidflow.figures.style import BLUE, GREEN, SKY, Heading


def test_a_stage_shows_its_blocks_kernel_expansion_squeeze_and_stride() -> None:
    found = cells(blocks(depths=[1, 3, 2], kernels=[3, 5, 3], expansions=[1, 3, 6], squeeze=[0, 0.25, 0]), 6)
    assert list(found) == ["stem", "stage 1", "stage 2", "stage 3", "features"]
    assert [found[f"stage {i}"].boxes for i in (1, 2, 3)] == [(16,), (24, 24, 24), (48, 48)]
    assert [found[f"stage {i}"].colour for i in (1, 2, 3)] == [SKY, BLUE, SKY]
    assert [found[f"stage {i}"].squeezed for i in (1, 2, 3)] == [False, True, False]
    assert [found[f"stage {i}"].halved for i in (1, 2, 3)] == [False, True, True]
    assert found["stage 1"].height < found["stage 2"].height < found["stage 3"].height == 1
    assert found["stage 2"].words == "3 x 24\ne3 k5\nse.25"
    assert "features" not in cells(STRANGE, 1)
    assert list(cells(blocks(depths=[1, 0, 2]), 4)) == ["stem", "stage 1", "stage 3", "features"]


def test_a_head_shows_its_layers_in_order() -> None:
    found = cells(HEADS[0], 1)
    assert {name: cell.words for name, cell in found.items()} == {
        "pooling": "gem\np=4",
        **{f"hidden {i}": "64\nlayer\nrelu" for i in (1, 2, 3)},
        "dropout": "0.25",
        "embedding": "32",
    }
    assert found["hidden 1"].colour == GREEN
    assert list(cells(HEADS[2], 1)) == ["pooling", "embedding"]
    assert cells(HEADS[1], 1)["hidden 1"].words == "256\nsilu"


@pytest.mark.parametrize(
    ("specs", "named", "absent"),
    [
        ([blocks()], {"kernel 3 x 3", "halves the feature map"}, {"kernel 5 x 5", "squeeze-excite", "embedding"}),
        (
            HEADS,
            {"hidden layer, layer norm", "hidden layer, no norm", "dropout", "embedding"},
            {"hidden layer, batch norm", "halves the feature map"},
        ),
    ],
)
def test_the_legend_names_what_is_drawn_and_nothing_else(specs, named, absent, tmp_path: Path) -> None:
    networks = [Network(f"{i}", spec, 0.4, 1234, 5.6e6) for i, spec in enumerate(specs)]
    save(architectures(networks, Heading("Which?")), {"svg": tmp_path / "figure.svg"})
    found = set(words(tmp_path / "figure.svg"))
    assert named <= found and not absent & found
