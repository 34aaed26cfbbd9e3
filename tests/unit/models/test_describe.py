import json
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from reidflow.models import describe as descriptions
from reidflow.models.available import unavailable, worth_retrying
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.describe import MEASURED, describe, measure, timed
from reidflow.models.network import count_parameters
from reidflow.spec import plan
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.workflow import startup


def network(size=32, pooling="avg", **backbone):
    return {
        "backbone": resolve("backbone", backbone or {"name": "small", "family": "resnet"}),
        "size": size,
        "pooling": resolve("pooling", pooling),
        "precision": "fp32",
        "threads": 1,
    }


def test_a_network_is_described_as_it_is():
    found, built = describe(network(64, name="timm", model="resnet10t"))
    reference = timm.create_model("resnet10t", num_classes=0)
    assert found["parameters"] == sum(p.numel() for p in reference.parameters())
    assert (found["available"], found["reason"], found["name"], found["size"]) == (True, "", "resnet10t", 64)
    assert (found["features"], found["kind"]) == (512, "map")
    assert found["mean"] == found["std"] == [0.5, 0.5, 0.5]
    assert not built.training and count_parameters(built).total == found["parameters"]


def test_operations_of_a_convolution_are_counted_by_hand(monkeypatch):
    class OneLayer(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 5, 3, bias=False)
            self.dim, self.class_token = 5, False
            self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]))
            self.register_buffer("std", torch.tensor([0.4, 0.5, 0.6]))
            self.after = nn.Identity()

        def normalise(self, pixels):
            return pixels.float()

        def forward(self, images):
            return self.convolution(images)

    class Mean(nn.Module):
        def forward(self, maps):
            return maps.mean((2, 3))

    made = {"backbone": OneLayer(), "pooling": Mean()}
    monkeypatch.setattr(descriptions, "call", lambda kind, *_: made[kind])
    found, _ = describe(network(10))
    assert found["flops"] == 2 * (3 * 3 * 3) * 5 * (8 * 8)
    assert found["mean"] == [0.1, 0.2, 0.3] and found["std"] == [0.4, 0.5, 0.6]


def test_missing_weights_are_a_reason_and_never_a_network(monkeypatch, tmp_path):
    def fail(*_):
        raise MissingWeightsError("the weights of X could not be loaded.")

    monkeypatch.setattr(descriptions, "call", fail)
    found, built = describe(network(name="timm", model="resnet10t", weights="hub"))
    assert built is None and found["available"] is False and found["parameters"] is found["flops"] is None
    assert set(measure(built, 32, device="cpu", threads=1, precision="fp32").values()) == {None}
    file = tmp_path / "x.json"
    file.write_text(json.dumps(found))
    assert unavailable(file).startswith("the weights of X could not be loaded. The next run tries again")
    assert unavailable(file).endswith("snakemake --forcerun backbones_x -- all_tables")


def test_a_failed_download_is_repeated_when_the_network_is_back_or_the_cache_has_grown(monkeypatch, tmp_path):
    def fail(*_):
        raise MissingWeightsError("the weights of X could not be loaded.")

    monkeypatch.setattr(descriptions, "call", fail)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found, _ = describe(network(name="timm", model="resnet10t", weights="hub"))
    offline, online, known = tmp_path / "offline.json", tmp_path / "online.json", tmp_path / "known.json"
    offline.write_text(json.dumps(found))
    online.write_text(json.dumps(found | {"online": True}))
    known.write_text(json.dumps({"available": True, "reason": ""}))
    paths, probes = [offline, online, known, tmp_path / "none.json"], []
    assert worth_retrying(paths) == []
    assert worth_retrying(paths, lambda: not probes.append(1)) == [offline] and len(probes) == 1
    assert worth_retrying([online, known], lambda: pytest.fail("probed in vain")) == []
    (tmp_path / "cache" / "models--timm--resnet10t").mkdir(parents=True)
    assert worth_retrying(paths, lambda: False) == [offline, online]


def test_the_start_of_a_run_removes_what_it_tries_again_and_a_dry_run_does_not(monkeypatch, tmp_path):
    made = plan.make([Path(__file__).parents[3] / "config" / "jaguar.yaml"], root=Path(__file__).parents[3])
    monkeypatch.chdir(tmp_path)
    files = [Path(f) for one in made.backbones().values() for f in startup.Files(made).network(one)]
    files[0].parent.mkdir(parents=True)
    files[0].write_text("{}")
    monkeypatch.setattr(startup, "worth_retrying", lambda paths: [files[0]] if str(files[0]) in [*paths] else [])
    for option, kept in (("-n", True), ("-q", False)):
        monkeypatch.setattr("sys.argv", ["snakemake", option])
        startup._retry_downloads(made)
        assert files[0].exists() == kept


def test_an_available_network_has_no_reason_and_a_damaged_description_is_an_error(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"available": True, "reason": ""}))
    assert unavailable(file) is None
    file.write_text("{}")
    with pytest.raises(ReidflowError, match="does not state whether the network is available"):
        unavailable(file)


def test_a_mistake_of_the_user_is_no_missing_weight():
    for wrong in (
        network(name="timm", model="resnet5o", weights="hub"),
        network(name="timm", model="resnet50.a9_in9k", weights="hub"),
        network(name="timm", model="resnet10t", pooling="cls"),
        network(60, name="small", family="vit"),
    ):
        with pytest.raises(ReidflowError) as error:
            describe(wrong)
        assert not isinstance(error.value, MissingWeightsError)


def test_speed_is_the_median_of_passes_after_a_warm_up():
    seconds = iter([0.0, 9.0] + [0.1] * 200)
    ticks, now, calls = [], 0.0, []

    def clock():
        nonlocal now
        if len(ticks) % 2:
            now += next(seconds)
        ticks.append(now)
        return now

    found = timed(lambda: calls.append(1), lambda: None, clock)
    assert found[:2] == [0.0, 9.0] and len(found) == descriptions.REPEATS[0]
    assert len(calls) == len(found) + descriptions.WARM_UP


def test_a_measurement_states_what_was_measured(monkeypatch):
    monkeypatch.setattr(descriptions, "SECONDS", 0.0)
    _, built = describe(network())
    found = measure(built, 32, device="cpu", threads=1, precision="fp32")
    assert tuple(found) == MEASURED
    assert 0 < found["latency_ms_low"] <= found["latency_ms"] <= found["latency_ms_high"]
    assert 0 < found["throughput_low"] <= found["throughput"] <= found["throughput_high"]
    assert (found["batch"], found["repeats"], found["device"]) == (16, [5, 5], "cpu")
    assert (found["threads"], found["precision"]) == (1, "fp32")
