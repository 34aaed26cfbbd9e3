"""No pickle is ever loaded: none of the project's code could, and one planted in any place runs nothing."""

import ast
import hashlib
import io
import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import forbidden
import numpy as np
import pytest
import torch
from bad_cases import check_said, good_folder, read, write
from ruamel.yaml.constructor import SafeConstructor

from reidflow.features.shards import stored
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.rawdigest import snapshot
from reidflow.retrieval.embedder import read_spec
from reidflow.retrieval.gallery import open_gallery
from reidflow.retrieval.index import read_index
from reidflow.search.study_storage import storage
from reidflow.spec.components import call, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.network_names import unknown_network
from reidflow.spec.yaml import _Constructor, load
from reidflow.store.tables import read_table
from reidflow.training.checkpoint import Checkpoints
from reidflow.training.embedding import restore

ROOT = Path(__file__).parents[3]
PYTHON = sorted(path for part in ("src", "workflow", "benchmarks", "docs") for path in (ROOT / part).rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]


def test_no_file_of_the_project_could_load_a_pickle_or_run_what_a_file_says():
    found = {str(path.relative_to(ROOT)): forbidden.in_python(path.read_text()) for path in PYTHON}
    found |= {str(path.relative_to(ROOT)): forbidden.in_rules(path) for path in RULES}
    assert len(found) > 300 and {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "import pandas as pd",
        "import torch\ntorch.load('x.pt')",
        "from torch import load as fetch\nfetch('x.pt')",
        "import torch\ntorch.load('x.pt', weights_only=False)",
        "import torch\nsafe = False\ntorch.load('x.pt', weights_only=safe)",
        "import torch\ntorch.hub.load('a/b', 'c')",
        "from torch import hub",
        "import torch\ntorch.jit.load('x.pt')",
        "import numpy as np\nnp.load('x.npy', allow_pickle=True)",
        "from numpy import load\nload('x.npy', allow_pickle=1)",
        "import timm\ntimm.create_model('resnet18', checkpoint_path='x.pt')",
        "from timm.models import load_checkpoint",
        "import open_clip\nopen_clip.create_model('ViT-B-32', weights_only=False)",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import yaml\nyaml.load(text, Loader=getattr(yaml, 'CLoader', yaml.SafeLoader))",
        "from yaml import unsafe_load",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
        "from ruamel.yaml import YAML\nYAML(typ='full')",
        "import optuna\noptuna.storages.RDBStorage('sqlite:///x')",
        "import polars as pl\npl.DataFrame.deserialize('x')",
        "eval(text)",
        "import subprocess\nsubprocess.run(command, shell=True)",
    ],
)
def test_the_search_for_such_code_finds_it(code):
    assert len(forbidden.in_python(code)) == 1


def test_the_search_for_such_code_lets_safe_code_pass(tmp_path):
    code = (
        "import ast, numpy as np, torch, yaml\nfrom safetensors.torch import load_file\n"
        "torch.load('x.pt', weights_only=True)\nnp.load('x.npy', mmap_mode='r')\nnp.load('x.npy', allow_pickle=False)\n"
        "yaml.safe_load(text)\nyaml.load(text, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))\n"
        "network.eval()\nast.literal_eval(text)\nload_file('x.safetensors')\n"
    )
    assert forbidden.in_python(code) == []
    assert forbidden.in_rules(write(tmp_path / "x.smk", "rule a:\n    params: x=pickle.load(f)\n")) == ["2: pickle"]


def test_the_loader_of_configs_and_the_libraries_of_networks_are_safe_by_default():
    assert issubclass(_Constructor, SafeConstructor)
    # Read, not imported, which takes seconds.
    for package, file, function in (
        ("open_clip", "factory.py", "create_model"),
        ("timm", "models/_hub.py", "load_state_dict_from_hf"),
    ):
        place = Path(next(iter(find_spec(package).submodule_search_locations))) / file
        [found] = [
            n for n in ast.parse(place.read_text()).body if isinstance(n, ast.FunctionDef) and n.name == function
        ]
        arguments = [*found.args.args, *found.args.kwonlyargs]
        defaults = [*found.args.defaults, *found.args.kw_defaults]
        given = dict(zip([a.arg for a in arguments][-len(defaults) :], defaults, strict=True))
        assert given["weights_only"].value is True


class Bomb:
    """Pickled, it makes whoever loads it create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.fixture
def target(tmp_path):
    """Return the file that a loaded pickle would create, and check that none did."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


def pickled(target: Path, protocol: int = pickle.DEFAULT_PROTOCOL) -> bytes:
    return pickle.dumps({"state": Bomb(target)}, protocol)


def torch_file(target: Path, content: object = None, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(content or {"weight": Bomb(target)}, buffer, **options)
    return buffer.getvalue()


def objects(target: Path, archive: bool = False) -> bytes:
    """Return numpy's file of an array of objects, which is a pickle in disguise."""
    buffer, array = io.BytesIO(), np.array([Bomb(target)], dtype=object)
    np.savez(buffer, digests=array, features=array) if archive else np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [pickled, torch_file, objects], ids=["pickle", "torch", "numpy"])
def test_the_planted_files_would_run_code(tmp_path, make):
    data = io.BytesIO(make(tmp_path / "ran"))
    loaders = {pickled: pickle.load, objects: lambda file: np.load(file, allow_pickle=True)}
    loaders.get(make, lambda file: torch.load(file, weights_only=False))(data)
    assert (tmp_path / "ran").exists()


def as_table(name: str, protocol: int = 4):
    def attack(folder: Path, target: Path) -> None:
        path = write(folder / "data" / name, pickled(target, protocol))
        read(folder / "data", folder / "out", {"name": "table", "path": str(path)})

    return attack


def as_config(folder: Path, target: Path) -> None:
    tag = "tag:yaml.org,2002:python/object/apply:pathlib.Path"
    load(write(folder / "config.yaml", f"seeds: !<{tag}.touch> [!<{tag}> ['{target}']]\n"))


def as_spec(folder: Path, target: Path) -> None:
    write(folder / "run.yaml", f"seed: !!python/object/apply:os.mkdir ['{target}']\n")
    read_spec(folder)


def as_gallery(folder: Path, target: Path) -> None:
    from reidflow.retrieval.gallery import update
    from reidflow.retrieval.image_embedder import ImageEmbedder
    from reidflow.retrieval.image_files import Framing

    class Colours:
        dim = 3

        def identity(self) -> str:
            return "colours"

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            return pixels.mean((1, 2)).astype(np.float32)

    good_folder(folder / "images")
    maker = ImageEmbedder(Colours(), Framing({"name": "squash"}, 8, 10**6), "colours")
    update(folder / "images", folder / "gallery", maker, {"name": "flat"})
    write(folder / "gallery" / "vectors.npy", objects(target))
    open_gallery(folder / "gallery")


def as_weights(folder: Path, target: Path) -> None:
    write(folder / "model.safetensors", torch_file(target))
    restore(torch.nn.Linear(2, 2), folder)


def as_journal(folder: Path, target: Path) -> None:
    write(folder / "journal.log", pickled(target) + b"\n")
    storage(folder / "journal.log")


def as_network(folder: Path, target: Path) -> None:
    write(folder / "net" / "config.json", json.dumps({"architecture": "resnet10t", "num_classes": 2}))
    write(folder / "net" / "pytorch_model.bin", torch_file(target))
    call(
        "backbone", resolve("backbone", {"name": "timm", "model": f"local-dir:{folder / 'net'}", "weights": "hub"}), 64
    )


PLACES = {
    "a table of the data set": (
        as_table("t.csv"),
        "t.csv: this is a Python pickle, which is never read, since reading one",
    ),
    "a table called .parquet": (as_table("t.parquet"), "t.parquet: this is a Python pickle, which is never read"),
    "a table that is a pickle in letters": (as_table("t.csv", 0), "t.csv: there is no column 'path'."),
    "a config": (as_config, "config.yaml, line 1: not valid YAML"),
    "the spec of a run": (as_spec, "run.yaml, line 1: not valid YAML: could not determine a constructor"),
    "the weights of a run": (as_weights, "model.safetensors: not readable ("),
    "the weights of a network": (as_network, "could not be loaded"),
    "the vectors of a gallery": (as_gallery, "gallery: a damaged gallery ("),
    "the index of a gallery": (
        lambda folder, target: read_index(write(folder / "index.faiss", pickled(target))),
        "index.faiss: not an index that can be read. Rebuild the gallery with --rebuild.",
    ),
    "the manifest": (
        lambda folder, target: read_table(write(folder / "manifest.parquet", pickled(target)), MANIFEST),
        "manifest.parquet: not readable as Parquet (",
    ),
    "the journal of a search": (as_journal, "journal.log: damaged ("),
}


@pytest.mark.parametrize(("attack", "said"), PLACES.values(), ids=PLACES)
def test_a_pickle_planted_anywhere_is_refused_and_runs_nothing(attack, said, tmp_path, target, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ReidflowError) as caught:
        attack(tmp_path, target)
    check_said((said,), str(caught.value), tmp_path)


def test_a_pickle_called_jpg_is_left_out_and_runs_nothing(tmp_path, target):
    source = good_folder(tmp_path / "data")
    write(tmp_path / "data" / "leo" / "9.jpg", pickled(target))
    [line] = read(tmp_path / "data", tmp_path / "out", source).quarantined
    assert line.startswith("leo/9.jpg: unreadable: no image format begins like that: b'\\x80")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [pickled, torch_file], ids=["pickle", "torch"])
def test_a_pickle_for_a_checkpoint_is_named_and_runs_nothing(tmp_path, target, content, capfd):
    data = content(target)
    write(tmp_path / "work" / "checkpoint.pt", hashlib.sha256(data).digest() + data)
    assert Checkpoints(tmp_path / "work", "key", 0).read("cpu") is None
    assert "checkpoint.pt: it cannot be read (UnpicklingError); training starts at epoch 0" in capfd.readouterr().err


def test_pickles_among_kept_features_and_file_stats_are_passed_over_and_run_nothing(tmp_path, target):
    write(tmp_path / "bank" / "0.npz", objects(target, archive=True))
    assert stored(tmp_path / "bank") == {} and not (tmp_path / "bank" / "0.npz").exists()
    good_folder(tmp_path / "data")
    fresh = snapshot(tmp_path / "data", tmp_path / "fresh.json")
    assert snapshot(tmp_path / "data", write(tmp_path / "raw.json", pickled(target))) == fresh


@pytest.mark.parametrize("library", ["timm", "open_clip"])
def test_a_network_in_a_file_is_refused_while_planning(library):
    wrong = unknown_network({"name": library, "model": "local-dir:/data/net"})
    assert wrong.startswith("'local-dir:/data/net' names weights in a file, which are not read:")
    assert "a backbone of your own that reads safetensors" in wrong


CASES = list(PLACES)
