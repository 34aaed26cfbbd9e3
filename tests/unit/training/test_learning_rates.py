import numpy as np
import polars as pl
import pytest
from training_cases import small_spec

from reidflow.spec import components
from reidflow.training.learning_rates import replay

STEPS, EPOCHS = 4, 6


def history(rates: list[float], scores: list | None = None) -> pl.DataFrame:
    """The epochs of a run whose first steps had these rates."""
    count = len(rates)
    rows = {
        "epoch": list(range(count + 1)),
        "steps": [STEPS * n for n in range(count + 1)],
        "learning_rate": [rates[0], *rates],
        "val_id_map": [0.1, *(scores or [0.2] * count)],
    }
    return pl.DataFrame(rows, schema_overrides={"val_id_map": pl.Float64}, strict=False)


def test_the_curve_is_that_of_the_schedule():
    spec = small_spec(optimizer={"name": "sgd", "learning_rate": 0.2}, scheduler={"name": "cosine"}, epochs=EPOCHS)
    expected = 0.1 * (1 + np.cos(np.pi * np.arange(STEPS * EPOCHS) / (STEPS * EPOCHS)))
    assert replay(spec, history(expected[::STEPS].tolist())) == pytest.approx(expected)


def test_a_schedule_that_follows_the_metric_takes_the_turns_of_the_run():
    plateau = {"name": "plateau", "factor": 0.1, "patience": 1}
    spec = small_spec(optimizer={"name": "sgd", "learning_rate": 1.0}, scheduler=plateau, epochs=EPOCHS)
    rates = replay(spec, history([1, 1, 1, 0.1, 0.1, 0.01], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]))
    assert rates[::STEPS] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])
    assert replay(spec, history([1, 1, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == [1.0] * STEPS * EPOCHS


def test_a_curve_that_is_not_that_of_the_run_is_not_told():
    spec = small_spec(optimizer={"name": "sgd", "learning_rate": 0.2}, scheduler={"name": "constant"}, epochs=EPOCHS)
    assert replay(spec, history([0.2] * EPOCHS)) == pytest.approx([0.2] * STEPS * EPOCHS)
    assert replay(spec, history([0.2] * 3 + [0.1] * 3)) is None


def test_a_run_that_broke_off_has_its_curve_so_far():
    for name in components.names("scheduler"):
        spec = small_spec(optimizer={"name": "sgd", "learning_rate": 0.2}, scheduler={"name": name}, epochs=EPOCHS)
        whole = replay(spec, history([0.2 if name != "onecycle" else 0.2 * 0.04], [None]))
        assert len(whole) == STEPS
