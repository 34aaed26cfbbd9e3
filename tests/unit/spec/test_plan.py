"""A config and its experiments are checked while planning; every error is named with file, key and remedy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reidflow.commands import generate
from reidflow.spec import code, plan, yaml
from reidflow.spec.components import KINDS, names, parameters, resolve
from reidflow.spec.description import rebuild
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import Version
from reidflow.spec.yaml import load

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path):
    """Return a function that plans a config with one experiment, each changed by a dict of dotted paths."""
    config = {**load(ROOT / "config" / "config.yaml"), "overrides": None}
    config |= {"experiments": ["losses"], "seeds": [0, 1, 2]}
    experiment = {
        "question": "Which?",
        "motivation": "Because.",
        "hypothesis": "One.",
        "varies": ["loss", "miner"],
        "tuned": {"optimizer.learning_rate": [0.1, 0.2]},
        "baseline": "a",
        "arms": {"a": {"why": "base"}, "b": {"why": "other", "loss": {"name": "triplet"}}},
    }

    def make(in_config=(), in_experiment=()):
        for tree, changes in ((config, dict(in_config)), (experiment, dict(in_experiment))):
            for path, value in changes.items():
                *parents, last = path.split("/")
                branch = tree
                for part in parents:
                    branch = branch.setdefault(part, {})
                if value is None:
                    branch.pop(last)
                else:
                    branch[last] = value
        (tmp_path / "config" / "experiments").mkdir(parents=True, exist_ok=True)
        (tmp_path / "config.yaml").write_text(yaml.dumps(config))
        (tmp_path / "config" / "experiments" / "losses.yaml").write_text(yaml.dumps(experiment))
        return plan.make([tmp_path / "config.yaml"], root=tmp_path)

    return make


def test_arms_are_the_protocol_with_their_own_settings_at_every_point_of_the_grid(project):
    arm = project().experiments["losses"].arms["b"]
    assert [point for point, _ in arm.points] == [{"optimizer.learning_rate": 0.1}, {"optimizer.learning_rate": 0.2}]
    spec = arm.points[1][1]
    assert spec.loss["name"] == "triplet" and spec.optimizer["learning_rate"] == 0.2
    assert spec.model == project().config.protocol.model


PROBES = dict.fromkeys(("background", "control", "foreground", "silhouette"), "x")
VERSIONS = {"x": "original", "c": "gray", "a": "black"}
LOCAL = {"scores": ["embedding", {"matcher": "rootsift"}]}
RANKED = {"why": "local", "ranking": LOCAL}
ERRORS = [
    (
        {"split/val": 0, "split/train": 0.7, "protocol/checkpoint": "last"},
        {"varies": ["ranking"], "tuned": None, "arms/b": RANKED},
        r"arm 'b', key 'ranking.fusion': scores are calibrated on validation .* Set fusion: sum, or fusion: rank",
    ),
    (
        {},
        {"varies": ["ranking"], "tuned": None, "arms/b": RANKED, "tested_on": {"x": {}, "y": {"scale": 0.5}}},
        r"arm 'b', key 'ranking': local features are those of the images as they are",
    ),
    (
        {},
        {
            "varies": ["ranking", "inference"],
            "tuned": {"ranking.shortlist": [5, 10]},
            "arms/b": {**RANKED, "inference": ["flip"]},
        },
        r"arm 'b', key 'inference': it ranks by mirror images, .* tune no setting of 'inference' and 'ranking'",
    ),
    (
        {},
        {"varies": ["ranking"], "tuned": None, "arms/b": {"why": "w", "ranking": {**LOCAL, "weights": [1.0]}}},
        r"'weights' are 1, 'scores' 2: give each score one",
    ),
    (
        {"protocol/epoch": 3},
        {},
        r"config\.yaml, key 'protocol\.epoch': this key is unknown\. Known here: background, dedup",
    ),
    ({"colour": 3}, {}, r"key 'colour': this key is unknown"),
    (
        {"protocol/loss": {"name": "arcfase"}},
        {},
        r"no loss 'arcfase'. Did you mean 'arcface'\? Choose one of: arcface, ",
    ),
    ({"protocol/loss": {"name": "arcface", "m": 1}}, {}, r"loss 'arcface' has no parameter 'm'. It takes: .*margin"),
    ({"protocol/loss": {"name": "arcface", "margin": "big"}}, {}, r"'margin': 'big' is not of the type float"),
    ({"protocol/epochs": "many"}, {}, r"key 'protocol\.epochs'.*'many'"),
    ({"protocol/epochs": 0}, {}, r"key 'protocol\.epochs'"),
    ({"split": None}, {}, r"key 'split': this key is missing"),
    ({"seeds": [1, 1]}, {}, r"key 'seeds': holds a value twice"),
    ({"sweep_seeds": [0]}, {}, r"share \[0\]"),
    ({"results": "/etc"}, {}, r"key 'results': must be a folder below"),
    ({"results": "a/../../b"}, {}, r"key 'results': must be a folder below"),
    ({"split": {"name": "closed_set", "train": 0.5, "val": 0, "test": 0.5}}, {}, r"no validation images"),
    ({"experiments": ["nothing"]}, {}, r"nothing\.yaml: there is no such file"),
    (
        {},
        {"arms/b": {"why": "x", "epochs": 3}},
        r"arm 'b': differs from the baseline 'a' in epochs, which is not declared",
    ),
    ({}, {"arms/b": {"why": "x", "los": {"name": "triplet"}}}, r"arm 'b', key 'los': a run has no such setting"),
    ({}, {"arms/b": {"why": "x"}}, r"arm 'b': the arm is empty"),
    ({}, {"arms/b": {"loss": {"name": "triplet"}}}, r"arm 'b': 'why' is missing"),
    ({}, {"arms/c": {"why": "x", "loss": {"name": "triplet"}}}, r"arm 'c': is the same as arm 'b'"),
    ({}, {"arms/b": {"why": "x", "loss": {"name": "no_loss"}}}, r"arm 'b', key 'loss': there is no loss 'no_loss'"),
    ({}, {"baseline": "z"}, r"key 'baseline': there is no arm 'z'. Choose one of: a, b"),
    ({}, {"varies": ["los"]}, r"key 'varies': a run has no setting 'los'"),
    ({}, {"varies": ["loss"], "arms/b/miner": {"name": "batch_hard"}}, r"arm 'b': differs .* in miner"),
    ({}, {"tuned": {"optimizer.rate": [1.0]}}, r"no setting 'optimizer\.rate' to tune|no setting .* to tune"),
    ({}, {"question": " "}, r"key 'question': is empty"),
    ({}, {"arms/b/against": "z"}, r"arm 'b', key 'against': 'z' is not another arm. Choose one of: a"),
    ({}, {"arms/b/against": "b"}, r"arm 'b', key 'against': 'b' is not another arm"),
    ({}, {"tested_on": {"x": {}, "y": {"background": "gray"}}}, r"'tested_on' and 'probes': versions with another"),
    ({}, {"tested_on": {"x": {}}, "probes": PROBES}, r"and probes are given without each other"),
    ({}, {"tested_on": {"x": {"background": "gray"}}, "probes": PROBES}, r"unchanged images are listed 0 times"),
    ({}, {"tested_on": {"x": {}, "y": {"scale": 1.0}}}, r"unchanged images are listed 2 times"),
    ({}, {"tested_on": {"x": {}, "y": {"background": "gray", "scale": 0.5}}}, r"changes background and size at once"),
    ({}, {"tested_on": {"x": {}, "y": {"scale": 0}}}, r"key 'tested_on.y.scale': .* greater than 0"),
    (
        {},
        {"tested_on": {"y": {"background": "original"}}, "probes": PROBES},
        r"'x' is not one of 'tested_on'. Known: y",
    ),
    ({}, {"tested_on": {"x": {"background": "grey"}}}, r"no background 'grey'. Did you mean 'gray'"),
    ({"backgrounds": {"without_mask": "skip"}}, {}, r"key 'backgrounds\.without_mask'"),
    ({}, {"arms/b/dedup": {"method": "phash", "threshold": -1}}, r"arm 'b', key 'dedup\.threshold'"),
    ({}, {"arms/b/curation": {"method": "randon", "share": 0.5}}, r"no curation 'randon'. Did you mean 'random'"),
    ({}, {"arms/b/seeds": [7]}, r"arm 'b': 'seeds' differ although 'seed' is not declared"),
]


@pytest.mark.parametrize(("in_config", "in_experiment", "message"), ERRORS, ids=[m[2][:40] for m in ERRORS])
def test_an_error_is_named_with_file_key_and_remedy(project, in_config, in_experiment, message):
    with pytest.raises(ReidflowError, match=message):
        project(in_config, in_experiment)


def test_all_errors_of_a_config_are_reported_at_once(project):
    with pytest.raises(ReidflowError) as error:
        project({}, {"arms/b": {"loss": {"name": "no_loss"}}, "baseline": "z", "varies": ["los"]})
    text = str(error.value)
    for message in ("'why' is missing", "there is no loss 'no_loss'", "there is no arm 'z'", "no setting 'los'"):
        assert message in text
    assert f"{text.count(chr(10) * 2)} errors" in text


def test_seeds_may_be_the_factor(project):
    arms = {"a": {"why": "x"}, "b": {"why": "x", "seeds": [7, 8, 9]}}
    made = project({}, {"varies": ["seed"], "tuned": {}, "arms": arms}).experiments["losses"]
    assert made.arms["a"].seeds == (0, 1, 2) and made.arms["b"].seeds == (7, 8, 9)


def test_names_of_arms_become_safe_folders_that_differ(project):
    awkward = ["a/b", "../../x", "$(touch y)", "a b", "A b", "ж", "=1+1", "x" * 300, "line\nbreak"]
    arms = {"a": {"why": "x"}}
    for number, name in enumerate(awkward):
        arms[name] = {"why": "x", "loss": {"name": "triplet", "margin": 0.01 * (number + 1)}}
    slugs = [arm.slug for arm in project({}, {"arms": arms}).experiments["losses"].arms.values()]
    assert len({slug.lower() for slug in slugs}) == len(arms)
    assert all(
        len(slug) <= 80 and set(slug) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
        for slug in slugs
    )
    assert not any(slug.startswith((".", "-")) for slug in slugs)


def described(made, experiment, *texts):
    return made.descriptions[made.experiment_params(experiment, *texts)["digest"]]


def test_a_job_rebuilds_the_experiment_with_everything_in_the_order_of_its_file(project):
    made = project(
        {},
        {
            "varies": ["loss", "epochs", "matched"],
            "arms/{matched}_{epochs}": {"why": "x", "each": {"matched": ["steps", "epochs"], "epochs": [9, 3]}},
            "tested_on": {name: {"background": {"name": own}} for name, own in VERSIONS.items()},
            "probes": PROBES,
            "tuned": {"optimizer.weight_decay": [0.1, 0.0], "optimizer.learning_rate": [0.1, 0.2]},
        },
    )
    planned = made.experiments["losses"]
    _, rebuilt = rebuild(json.loads(json.dumps(described(made, "losses"))))
    assert list(rebuilt.arms) == list(planned.arms) == ["a", "b", "steps_9", "steps_3", "epochs_9", "epochs_3"]
    assert list(rebuilt.file.tested_on) == list(VERSIONS)
    assert [point for point, _ in rebuilt.arms["b"].points] == [point for point, _ in planned.arms["b"].points]


def test_an_arm_that_takes_unchanged_images_needs_no_variants(project):
    made = project({}, {"arms/b": {"why": "x", "loss": {"name": "triplet"}}})
    assert not made.backgrounds() and not made.subsets() and not made.duplicates()
    assert len(made.banks()) == 1


def test_variants_are_found_wherever_they_are_needed(project):
    made = project(
        {},
        {
            "varies": ["loss", "background", "dedup", "curation"],
            "arms/b": {"why": "x", "background": "noise"},
            "arms/c": {"why": "x", "dedup": {"method": "phash", "threshold": 4}},
            "arms/d": {"why": "x", "dedup": {"method": "phash", "threshold": 8}, "curation": {"method": "random"}},
            "tested_on": {"x": {"background": "original"}, "y": {"background": "silhouette"}},
            "probes": PROBES,
        },
    )
    assert {background["name"] for background in made.backgrounds().values()} == {"noise", "silhouette"}
    assert [(method["name"], loosest) for method, loosest in made.duplicates().values()] == [("phash", 12.0)]
    assert len(made.subsets()) == 2
    assert {bank["background"]["name"] for bank in made.banks().values()} == {"original", "noise", "silhouette"}


def test_versions_of_another_size_need_no_probes_and_are_stored_and_embedded_at_their_size(project):
    made = project(
        {},
        {"tested_on": {"full": {}, "half": {"scale": 0.5}, "large": {"scale": 1.5}}},
    )
    spec = made.experiments["losses"].baseline.spec
    full = spec.model.size
    assert made.store_size() == 1.5 * full
    banks = {bank.get("seen", bank["size"]): bank for bank in made.banks().values()}
    assert sorted(banks) == [full // 2, full, 1.5 * full]
    # Built for one size whatever it sees, so that a network with position embeddings is the same one.
    assert {bank["size"] for bank in banks.values()} == {full}
    assert plan.tested_bank(spec, size=full) == plan.tested_bank(spec) == banks[full]


@pytest.mark.parametrize(
    ("full", "scale", "side"),
    [(48, 0.5, 24), (48, 1.5, 72), (224, 0.5, 112), (224, 1.5, 336), (56, 0.5, 32), (99, 0.5, 50), (16, 0.1, 8)],
)
def test_a_version_of_another_size_falls_into_patches_of_8_where_the_full_size_does(full, scale, side):
    assert Version(scale=scale).size(full) == side


def test_images_are_stored_at_the_largest_size_of_any_stage_or_version(project):
    stages = [{"scale": 2, "share": 0.5}, {"scale": 0.4, "share": 0.5}]
    arm = {"why": "x", "model": {"trainable": {"name": "all"}}, "resizing": {"stages": stages}}
    made = project({}, {"varies": ["model.trainable", "resizing"], "arms/b": arm})
    assert made.store_size() == 2 * made.config.protocol.model.size


def test_a_config_changes_the_protocol_of_one_experiment_for_all_its_arms(project):
    plain = project({}, {"protocol": {"epochs": 7, "views": 0}})
    changed = project({"overrides": {"losses": {"protocol": {"epochs": 3, "model": {"size": 96}}}}})
    for name, arm in changed.experiments["losses"].arms.items():
        assert arm.spec.epochs == 3 and arm.spec.model.size == 96
        assert arm.spec.loss == plain.experiments["losses"].arms[name].spec.loss
    _, again = rebuild(described(changed, "losses"))
    assert again.arms["a"].spec == changed.experiments["losses"].arms["a"].spec
    assert plain.experiments["losses"].arms["a"].spec.epochs == 7


def test_settings_of_a_ranking_are_tuned_on_one_run_and_arms_that_differ_in_it_share_theirs(project):
    tuned = {
        "ranking.shortlist": [5, 10, None],
        "ranking.fusion": ["sum", "rank"],
        "optimizer.learning_rate": [0.1, 0.2],
    }
    made = project({"sweep_seeds": [100]}, {"varies": ["ranking"], "tuned": tuned, "arms/b": {**RANKED}})
    arms = made.experiments["losses"].arms
    assert len(arms["b"].points) == 12 and {spec.ranking.shortlist for _, spec in arms["b"].points} == {5, 10, None}
    assert all(spec.ranking is None for _, spec in arms["a"].points)
    tried = [run for job in made.sweep("losses") for run in job]
    assert [(arm, spec.optimizer["learning_rate"]) for arm, spec, _ in tried] == [
        (arm, rate) for arm in "ab" for rate in (0.1, 0.2)
    ]
    assert tried[0][1] == tried[2][1]


def test_remedies_of_rankings_work(project):
    ranked = {"why": "w", "ranking": {**LOCAL, "fusion": "sum"}}
    no_val = {"split/val": 0, "split/train": 0.7, "protocol/checkpoint": "last"}
    assert project(no_val, {"varies": ["ranking"], "tuned": None, "arms/b": ranked})


def test_runs_are_cut_into_as_few_jobs_as_allowed_of_equal_size(project):
    cut = project({"seeds": [*range(5)], "compute": {"feature_runs_per_job": 4}})
    runs = [run for job in cut.training("losses") for run in job]
    assert [len(job) for job in cut.training("losses")] == [4, 4, 2]
    assert runs == [(arm, seed, 0) for arm in "ab" for seed in range(5)]
    even = project({"seeds": [*range(5)], "compute": {"feature_runs_per_job": 9}})
    assert [len(job) for job in even.training("losses")] == [5, 5]


ADDED = {"from": 2, "to": 7, "step": 2, "until": "decided"}


def test_seeds_that_are_added_to_undecided_arms_follow_those_of_the_config_and_have_jobs_of_their_own(project):
    made = project({"seeds": [5, 6, 9], "compute": {"feature_runs_per_job": 3}}, {"seeds": ADDED})
    experiment = made.experiments["losses"]
    assert experiment.looks == (2, 4, 7)
    assert all(arm.looks == ((5, 6), (9, 10), (11, 12, 13)) for arm in experiment.arms.values())
    jobs = made.training("losses")
    assert [made.look_of("losses", batch) for batch in range(len(jobs))] == [0, 0, 1, 1, 2, 2]
    assert [run for job in jobs[2:4] for run in job] == [(arm, seed, 0) for arm in "ab" for seed in (9, 10)]
    _, again = rebuild(described(made, "losses"))
    assert again.looks == experiment.looks and again.arms["b"].looks == experiment.arms["b"].looks


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        ({}, {"seeds": {**ADDED, "to": 3}}, r"key 'seeds'.*'to', the largest number of seeds, must be at least"),
        ({}, {"seeds": {"from": 2, "to": 9}}, r"key 'seeds\.until': this key is missing"),
        ({}, {"seeds": {**ADDED, "up": 3}}, r"key 'seeds\.up': this key is unknown\. Known here: from, to, step, until"),
        ({}, {"seeds": "many"}, r"key 'seeds': must be keys with values"),
        ({"sweep_seeds": [4]}, {"seeds": ADDED}, r"a seed is also one of sweep_seeds"),
        ({}, {"seeds": ADDED, "varies": ["loss", "miner", "seed"], "arms/b/seeds": [7, 8]}, r"has seeds of its own although"),
        ({}, {"seeds": ADDED, "arms/b/inference": ["flip"], "varies": ["loss", "miner", "inference"]}, r"ranks by mirror"),
    ],
)  # fmt: skip
def test_mistakes_in_seeds_that_are_added_are_named(project, config, changes, message):
    with pytest.raises(ReidflowError, match=message):
        project(config, changes)


def test_a_config_removes_named_entries_of_an_experiment_by_null_and_keeps_other_nulls(project):
    arms = {"arms/c": {"why": "x", "loss": {"name": "circle"}, "against": "b"}}
    changes = {"losses": {"arms": {"b": {"loss": {"name": "supcon"}}, "c": None}, "protocol": {"gradient_clip": None}}}
    changed = project({"overrides": changes, "protocol/gradient_clip": 1.0}, arms).experiments["losses"].arms
    assert list(changed) == ["a", "b"]
    assert changed["b"].spec.loss["name"] == "supcon" and changed["b"].spec.gradient_clip is None
    whole = project({"overrides": {"losses": None}}).experiments["losses"].arms
    assert list(whole) == ["a", "b", "c"] and whole["b"].spec.gradient_clip == 1.0


def test_a_protocol_of_an_experiment_that_is_not_there_is_an_error(project):
    with pytest.raises(ReidflowError, match=r"overrides\.nowhere.*there is no such experiment"):
        project({"overrides": {"nowhere": {"protocol": {"epochs": 3}}}})


def test_generated_files_are_up_to_date():
    for name, content in generate.files().items():
        assert (ROOT / name).read_text() == content, f"{name} has drifted from its models: run `make generated`"


def test_generated_defaults_agree_with_the_models():
    defaults = load(ROOT / "config" / "defaults.yaml")
    required = load(ROOT / "config" / "config.yaml")
    for key in ("title", "scale", "results", "gallery", "seeds", "sweep_seeds", "groups", "compute"):
        required.pop(key, None)
    from reidflow.spec.config import Config

    given = {**required, **{k: v for k, v in defaults.items() if k not in required}}
    assert Config.model_validate(given) == Config.model_validate(required)


def test_the_conda_environment_and_the_project_agree_with_the_lock():
    locked = generate.lock_versions((ROOT / "requirements.lock").read_text())
    environment = yaml.loads((ROOT / "envs" / "reidflow.yaml").read_text())
    pins = dict(pin.split("==") for pin in environment["dependencies"][-1]["pip"])
    assert pins and all(locked[name] == version for name, version in pins.items())
    assert all(
        "--hash=sha256:" in block for block in (ROOT / "requirements.lock").read_text().split("\n\n") if "==" in block
    )


def test_every_component_has_typed_parameters_and_says_what_it_is():
    for kind in KINDS:
        for name in names(kind):
            for parameter, (annotation, required, default) in parameters(kind, name).items():
                assert annotation != "Any", f"{kind} {name}: {parameter} has no type"
                if not required and default is not None:
                    resolve(kind, {"name": name, **_needed(kind, name), parameter: default})


def _needed(kind, name):
    samples = {"str": "x", "float": 1.0, "int": 1}
    return {
        key: samples.get(annotation, annotation.split("'")[1] if "'" in annotation else "x")
        for key, (annotation, required, _) in parameters(kind, name).items()
        if required
    }


def test_a_users_own_component_is_named_by_its_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("raise RuntimeError('planning must not import')\n")
    (tmp_path / "lab" / "loss.py").write_text("def build(dim, classes, *, power: float = 2.0):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve("loss", {"name": "lab.loss", "power": 3}) == {"name": "lab.loss", "power": 3.0}


def test_planning_imports_neither_torch_nor_other_heavy_libraries():
    program = (
        "import sys; from reidflow.spec import plan, code; from reidflow.ingest import rawdata; "
        "from reidflow.store import digests, gpus, invocation; from reidflow.workflow import startup; p = plan.make(['config/config.yaml']); p.banks(); "
        "code.digest('workflow/scripts/train.py', 'reidflow.training.loop'); "
        "heavy = {'torch', 'timm', 'open_clip', 'skimage', 'kornia', 'scipy', 'polars', 'numpy', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy)) if heavy else None"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=600)


def test_the_cache_of_augmented_features_depends_on_the_code_that_augments():
    plain = {"backbone": {"name": "small"}, "pooling": {"name": "avg"}, "augmentation": [], "views": 0}
    drawn = {**plain, "augmentation": [{"name": "flip"}], "views": 2}
    augment = "reidflow/training/augment.py"
    assert augment in code.closure(*plan.bank_code(drawn)) and augment not in code.closure(*plan.bank_code(plain))


def test_the_documentation_has_every_key_of_the_config_and_of_experiments():
    page = (ROOT / "config" / "README.md").read_text()
    for schema in ("schema.json", "experiment.schema.json"):
        for key in json.loads((ROOT / "config" / schema).read_text())["properties"]:
            assert f"| `{key}` |" in page
    for key in ("protocol.model.head.dim", "submission.runs[].seeds", "search.studies.*.algorithm", "also_on.*.sides"):
        assert f"| `{key}` |" in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert all(cell.strip() for row in rows for cell in (row.split(" | ")[1], row.split(" | ")[-1].rstrip("| ")))


def test_what_a_plan_derives_is_computed_once_and_its_repr_is_short(project):
    made = project()
    assert made.banks() is made.banks() and made.backbones() is made.backbones() and made.subsets() is made.subsets()
    # Snakemake takes the `repr` of bound methods that rules are given: that of a whole plan took longer than planning.
    assert len(repr(made.banks)) < 200
