"""Renders show the demo's animals in a second style, beside photographs that they leave as they are."""

import csv
import hashlib
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from reidflow.ingest.demo.coat import coat
from reidflow.ingest.demo.draw import draw
from reidflow.ingest.demo.settings import DemoSettings
from reidflow.ingest.demo.studio import GREYS, painted, render, renders
from reidflow.ingest.sources.demo import open_source
from reidflow.spec.errors import ReidflowError

SMALL = {"identities": 3, "images": 12, "size": 64, "seed": 5}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("renders")
    draw(folder / "without", DemoSettings(**SMALL))
    draw(folder / "with", DemoSettings(**SMALL, renders=4))
    return folder


def digests(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_renders_change_no_file_of_the_photographs(rendered):
    without, both = digests(rendered / "without"), digests(rendered / "with")
    assert {name: both[name] for name in without} == without
    added = sorted(set(both) - set(without))
    assert added == ["gallery.csv", *(f"gallery/gallery_{k:04d}.png" for k in range(1, 13))]
    assert len({both[name] for name in added}) == 13


def test_renders_are_listed_as_the_gallery_side_of_their_animals(rendered):
    listing = open_source(path=str(rendered / "with"))
    listed = csv.DictReader(io.StringIO((rendered / "with" / "gallery.csv").read_text()))
    labels = {f"gallery/{row['filename']}": row["ground_truth"] for row in listed}
    found = {row.image: row.identity for row in listing.rows if row.side == "gallery"}
    assert found == labels and Counter(labels.values()) == {"J01": 4, "J02": 4, "J03": 4}
    assert not listing.faults
    photographs = [row for row in listing.rows if row.side is None]
    assert photographs == open_source(path=str(rendered / "without")).rows


def test_both_flanks_are_rendered_by_turns_and_every_pose_is_another():
    settings = DemoSettings(**SMALL, renders=6)
    for identity in range(3):
        plans = renders(settings, identity)
        assert Counter(plan.flank for plan in plans) == {"left": 3, "right": 3}
        masks = [render(settings, plan)[..., 3].tobytes() for plan in plans]
        assert len(set(masks)) == 6
    assert {renders(DemoSettings(identities=30, images=60, renders=1), k)[0].flank for k in range(30)} == {
        "left",
        "right",
    }


def test_a_render_is_an_animal_in_other_colours_before_an_even_ground(rendered):
    paths = sorted((rendered / "with" / "gallery").iterdir())
    assert paths
    for path in paths:
        pixels = np.asarray(Image.open(path)).astype(float) / 255
        assert pixels.shape[2] == 4 and 0.08 < (pixels[..., 3] > 0.5).mean() < 0.5
        animal, ground = pixels[pixels[..., 3] == 1], pixels[pixels[..., 3] == 0]
        assert (animal[:, 2] >= animal[:, 0]).all()
        rows = np.abs(np.diff(pixels[:3, :, :3], axis=1))
        assert rows.max() < 0.03 and ground[:, :3].min() > 0.3


def test_the_pattern_is_the_animals_own_and_its_colours_are_not():
    random = np.random.default_rng(0)
    points = random.uniform(-0.5, 0.4, 4000) + 1j * random.uniform(-0.2, 0.12, 4000)
    means = []
    for identity in range(6):
        fur = coat(0, identity, "left", 1.4, 96.0)
        tone, drawn_tone = fur.at(points) @ GREYS, painted(fur, points) @ GREYS
        assert np.corrcoef(tone, drawn_tone)[0, 1] > 0.9
        light = painted(fur, points)[tone > np.median(fur.colours @ GREYS) * 0.97]
        means.append(np.median(light, axis=0))
    assert np.ptp(means, axis=0).max() < 0.1


def test_a_negative_number_of_renders_is_refused():
    with pytest.raises(ReidflowError, match="renders: -1 is negative"):
        DemoSettings(**SMALL, renders=-1)
