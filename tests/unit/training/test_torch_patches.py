import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from training_cases import small_data, small_spec

from reidflow.models.determinism import seeded
from reidflow.training.fitting import Fitting
from reidflow.training.loop import train
from reidflow.training.torch_patches import unwrapped_step

SCRIPT = """
import json, sys, tempfile
from pathlib import Path
from training_cases import small_data, small_spec
from reidflow.training.loop import train
with tempfile.TemporaryDirectory() as folder:
    for changes in json.loads(sys.argv[1]):
        train(small_spec(**changes), small_data(), Path(folder) / "work", Path(folder) / "out", "cpu", key=str(changes))
print(json.dumps(sorted(sys.modules)))
"""
RUNS = [
    {"loss": "triplet", "miner": "batch_hard", "sampler": "pk"},
    {"loss": "arcface", "optimizer": "muon", "scheduler": "plateau", "sampler": "balanced"},
    {"loss": "proxy_anchor", "optimizer": "sgd", "scheduler": "onecycle"},
    {"loss": "supcon", "optimizer": "nadam", "scheduler": "step"},
]


HYPERBOLIC = [{"loss": "triplet", "miner": "batch_hard", "model": {"geometry": {"name": "poincare"}}}]
RANK = """
import json, sys
import reidflow.evaluation.runs
from reidflow.evaluation.ranking import similarity_of
for name in ("hypersphere", "euclidean", "poincare", "lorentz"):
    similarity_of(name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded(script: str, *arguments: str) -> set[str]:
    """Return the modules that a process has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_head_run_imports_no_image_library_and_no_compiler():
    modules = loaded(SCRIPT, json.dumps(RUNS))
    for library in (
        "timm",
        "torchvision",
        "kornia",
        "open_clip",
        "torch._dynamo",
        "torch._inductor",
        "sklearn",
        "geoopt",
    ):
        assert library not in modules
    assert "reidflow.models.network" not in modules


def test_a_hyperbolic_run_imports_geoopt_and_nothing_else_of_weight():
    modules = loaded(SCRIPT, json.dumps(HYPERBOLIC))
    assert "geoopt" in modules
    assert not {"timm", "torchvision", "kornia", "torch._dynamo", "torch._inductor", "sklearn"} & modules


COMPILER = """
import sys, torch
from reidflow.training.torch_patches import patch_optimizers, unwrapped_step
if sys.argv[1] == "patched":
    patch_optimizers()
optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
optimizer.param_groups[0]["params"][0].grad = torch.ones(1)
unwrapped_step(optimizer)()
optimizer.load_state_dict(optimizer.state_dict())
optimizer.zero_grad()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(("mode", "imported"), [("patched", "False"), ("plain", "True")])
def test_the_patch_of_optimizers_is_still_needed_and_still_works_with_this_torch(mode, imported):
    """A canary: fails with the first version of torch whose optimizers are written otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILER, mode], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.strip() == imported


def test_a_scheduler_after_an_unwrapped_step_does_not_warn():
    """A canary for the attribute that torch's schedulers read."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    step = unwrapped_step(optimizer)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


GEOOPT = """
import torch
import reidflow.models.geometries._geoopt
from geoopt.manifolds.lorentz import math as hyperboloid
from geoopt.manifolds.stereographic import math as ball
compiled = [isinstance(f, torch.jit.ScriptFunction) for f in (ball.artanh, hyperboloid.arcosh)]
print(compiled, torch.jit._state._enabled.enabled)
"""


def test_geoopts_functions_are_not_compiled_by_this_torch():
    """A canary for torch's private switch of TorchScript."""
    done = subprocess.run([sys.executable, "-c", GEOOPT], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout.strip() == "[False, False] True"


def test_ranking_in_any_geometry_imports_no_torch():
    assert not {"torch", "geoopt"} & loaded(RANK)


def test_within_a_run_the_threads_are_the_specs_and_algorithms_deterministic(tmp_path, monkeypatch):
    seen = []
    step = Fitting._step

    def look(self, images, labels, mixed):
        seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
        return step(self, images, labels, mixed)

    monkeypatch.setattr(Fitting, "_step", look)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    train(small_spec(threads=2), small_data(), tmp_path / "work", tmp_path / "out", "cpu", key="key")
    assert set(seen) == {(2, True)}
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_seeding_leaves_the_global_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(9, "test"):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(9, "test"):
        assert torch.equal(torch.rand(2), inside)
