"""A job loads the experiment that its param names by digest, and nothing else."""

import copy
import gzip
import json
from pathlib import Path

import pytest

from reidflow.spec import plan
from reidflow.spec.canonical import canonical
from reidflow.spec.description import digest_of
from reidflow.spec.errors import ReidflowError
from reidflow.store import digests
from reidflow.store.experiments import EXPERIMENTS, load_experiment, save_experiments

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def planned():
    return plan.make([ROOT / "config" / "tiny.yaml"], root=ROOT)


def test_a_job_loads_what_the_main_process_saved(planned, tmp_path):
    name = next(iter(planned.experiments))
    named = planned.experiment_params(name, "question", "why")
    save_experiments(tmp_path, [canonical({"experiment": named}), canonical({"title": "x"})], planned.descriptions)
    config, experiment = load_experiment(tmp_path, json.loads(canonical(named)))
    own = planned.experiments[name]
    assert experiment.arms == own.arms and list(experiment.arms) == list(own.arms)
    assert config.split == planned.config.split
    assert (experiment.file.question, experiment.file.motivation) == (own.file.question, "-")


def test_a_description_that_is_missing_damaged_or_altered_is_an_error(planned, tmp_path):
    named = planned.experiment_params(next(iter(planned.experiments)))
    path = digests.record_file(tmp_path, EXPERIMENTS, named["digest"])
    with pytest.raises(ReidflowError, match="is missing or unreadable"):
        load_experiment(tmp_path, named)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut short")
    with pytest.raises(ReidflowError, match="is missing or unreadable"):
        load_experiment(tmp_path, named)
    altered = {**planned.descriptions[named["digest"]], "path": "elsewhere.yaml"}
    path.write_bytes(gzip.compress(json.dumps(altered).encode()))
    with pytest.raises(ReidflowError, match="is not as it was written"):
        load_experiment(tmp_path, named)


def test_the_digest_follows_texts_that_are_printed_and_the_order_of_arms_but_of_no_other_keys(planned):
    name = next(iter(planned.experiments))
    digests_of = {planned.experiment_params(name, *texts)["digest"] for texts in ((), ("question",), ("why",))}
    assert len(digests_of) == 3
    description = planned.descriptions[planned.experiment_params(name)["digest"]]
    swapped = copy.deepcopy(description)
    swapped["file"]["arms"] = dict(reversed(swapped["file"]["arms"].items()))
    assert digest_of(swapped) != digest_of(description)


def test_the_order_of_an_arms_settings_means_nothing(tmp_path):
    found = []
    for keys in (("loss", "miner"), ("miner", "loss")):
        content = (ROOT / "config" / "experiments" / "tiny_losses.yaml").read_text()
        path = tmp_path / "config" / "experiments"
        path.mkdir(parents=True, exist_ok=True)
        settings = {"loss": "triplet", "miner": "multi_similarity"}
        arm = ", ".join(f"{key}: {settings[key]}" for key in keys)
        (path / "tiny_losses.yaml").write_text(content.replace("arms:\n", f"arms:\n  mined: {{why: x, {arm}}}\n"))
        made = plan.make([ROOT / "config" / "tiny.yaml"], {"experiments": ["tiny_losses"]}, root=tmp_path)
        found.append({**made.descriptions[made.experiment_params("tiny_losses")["digest"]], "path": "x"})
    assert digest_of(found[0]) == digest_of(found[1])
