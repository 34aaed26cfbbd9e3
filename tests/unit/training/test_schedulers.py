import math
import warnings

import numpy as np
import pytest
import torch

from reidflow.spec import components

STEPS, EPOCHS, RATE = 5, 12, 0.3


def build(name: str, optimizer, **parameters):
    spec = components.resolve("scheduler", {"name": name, **parameters})
    return components.call("scheduler", spec, optimizer, STEPS, EPOCHS)


def two_groups() -> torch.optim.SGD:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
    groups[1]["lr"] = RATE / 10
    return torch.optim.SGD(groups, lr=RATE)


def walk(optimizer, schedule, metrics: list[float], start: int = 0) -> list[float]:
    """Return the rate of every step; both groups must keep their proportion."""
    rates = []
    for epoch in range(start, EPOCHS):
        for _ in range(STEPS):
            rates.append(optimizer.param_groups[0]["lr"])
            assert optimizer.param_groups[1]["lr"] == pytest.approx(rates[-1] / 10, abs=1e-12)
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(metrics[epoch])
    return rates


def curve(name: str, **parameters) -> np.ndarray:
    optimizer = two_groups()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.array(walk(optimizer, build(name, optimizer, **parameters), [0.5] * EPOCHS)) / RATE


N = STEPS * EPOCHS
STEP = np.arange(N)


def test_the_schedulers_ship():
    assert components.names("scheduler") == [
        "constant", "cosine", "cosine_restarts", "exponential", "onecycle", "plateau", "polynomial", "step",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("constant", {}, np.ones(N)),
        ("constant", {"warmup": 0.1}, np.minimum(1, (STEP + 1) / 7)),
        ("step", {"every": 5, "factor": 0.2}, 0.2 ** (STEP // STEPS // 5)),
        ("exponential", {"factor": 0.8}, 0.8 ** (STEP // STEPS)),
        ("cosine", {}, (1 + np.cos(np.pi * STEP / N)) / 2),
        ("cosine", {"floor": 0.1}, 0.1 + 0.9 * (1 + np.cos(np.pi * STEP / N)) / 2),
        ("cosine_restarts", {"cycles": 3}, (1 + np.cos(np.pi * (STEP % 20) / 20)) / 2),
        ("polynomial", {"power": 2.0}, (1 - STEP / N) ** 2),
    ],
)
def test_the_curve_is_the_closed_form(name, parameters, expected):
    assert curve(name, **parameters) == pytest.approx(expected, abs=1e-9)


def test_cosine_warms_up_linearly_and_then_falls():
    rates = curve("cosine", warmup=0.2)
    assert rates[:12] == pytest.approx((np.arange(12) + 1) / 13)
    assert rates[12:] == pytest.approx((1 + np.cos(np.pi * np.arange(48) / 48)) / 2)


def test_onecycle_is_torchs_curve():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=RATE)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=1000, pct_start=0.3, div_factor=25, final_div_factor=1e4, cycle_momentum=False
    )
    reference = []
    for _ in range(1000):
        reference.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cycle.step()
    spec = components.resolve("scheduler", {"name": "onecycle", "end": 4e-6})
    own = torch.optim.SGD([parameter], lr=RATE)
    schedule = components.call("scheduler", spec, own, 100, 10)
    rates = []
    for _ in range(1000):
        rates.append(own.param_groups[0]["lr"])
        own.step()
        schedule.after_step()
    # torch places the top one step earlier and the end on the last step.
    assert np.abs(np.array(rates) - np.array(reference)).max() < 0.005 * RATE


def test_plateau_falls_after_patience_epochs_without_a_better_map():
    optimizer = two_groups()
    schedule = build("plateau", optimizer, factor=0.1, patience=2)
    metrics = [0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3]
    rates = np.array(walk(optimizer, schedule, metrics))[::STEPS] / RATE
    assert schedule.needs_metric
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01])


@pytest.mark.parametrize("name", components.names("scheduler"))
def test_going_on_from_the_state_gives_the_same_rates(name):
    metrics = [math.sin(epoch) for epoch in range(EPOCHS)]
    optimizer = two_groups()
    whole = walk(optimizer, build(name, optimizer), metrics)
    optimizer = two_groups()
    schedule = build(name, optimizer)
    for epoch in range(4):
        for _ in range(STEPS):
            optimizer.step()
            schedule.after_step()
        schedule.after_epoch(metrics[epoch])
    saved = optimizer.state_dict(), schedule.state_dict()
    optimizer = two_groups()
    schedule = build(name, optimizer)
    optimizer.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    assert walk(optimizer, schedule, metrics, start=4) == whole[4 * STEPS :]
