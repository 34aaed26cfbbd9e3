"""What a run is trained on can differ from what it is evaluated on: other backgrounds, images left out."""

from dataclasses import replace

import numpy as np
import pytest
from training_cases import small_data, small_spec, stored_bytes

from reidflow.spec.errors import ReidflowError
from reidflow.training.building import build_module
from reidflow.training.feature_inputs import FeatureInputs
from reidflow.training.fitting import Fitting
from reidflow.training.loop import train


@pytest.fixture
def run(tmp_path):
    count = iter(range(100))

    def trained(spec, data):
        folder = tmp_path / str(next(count))
        train(spec, data, folder / "work", folder / "out", "cpu", key="key")
        return stored_bytes(folder / "out")

    return trained


def left_out(data, role):
    """Return the data with every third training image in `role`."""
    rows = set(data.rows("train")[::3].tolist())
    return replace(data, roles=[role if i in rows else r for i, r in enumerate(data.roles)])


def test_training_features_take_the_place_of_the_plain_ones_in_training_alone(run):
    spec, data = small_spec(), small_data()
    other = data.features[::-1].copy()
    plain, same, different = (run(spec, replace(data, trained_on=x)) for x in (None, data.features.copy(), other))
    assert plain == same
    assert different["model.safetensors"] != plain["model.safetensors"]
    moved = other.copy()
    moved[data.rows("val", "test")] = 0
    assert run(spec, replace(data, trained_on=moved)) == different, "rows that are not trained on must not matter"


def test_an_image_left_out_is_as_if_it_had_no_role(run):
    spec, data = small_spec(), small_data()
    dropped, unused = run(spec, left_out(data, "dropped")), run(spec, left_out(data, "unused"))
    assert dropped["model.safetensors"] == unused["model.safetensors"]


def test_matched_steps_are_those_of_all_training_images():
    data, steps = small_data(), {}
    for matched in ("epochs", "steps"):
        spec = small_spec(matched=matched)
        for name, given in (("all", data), ("fewer", left_out(data, "dropped"))):
            module, dim = build_module(spec, data.features.shape[2], "cpu")
            inputs = FeatureInputs(given.features, spec, "cpu")
            steps[matched, name] = Fitting(spec, given, module, inputs, dim, "cpu").sampler.steps
    assert steps["steps", "fewer"] == steps["steps", "all"] == steps["epochs", "all"] > steps["epochs", "fewer"]


def test_features_of_another_number_of_views_are_refused(run):
    data = small_data()
    views = np.repeat(data.features, 2, axis=1)
    with pytest.raises(ReidflowError, match="views"):
        run(small_spec(), replace(data, trained_on=views))
