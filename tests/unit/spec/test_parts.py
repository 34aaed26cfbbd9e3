"""Arms are made from a list of components that is written once."""

import copy

import pytest

from reidflow.spec import plan
from reidflow.spec.canonical import canonical
from reidflow.spec.config import Config
from reidflow.spec.description import rebuild
from reidflow.spec.errors import Problems
from reidflow.spec.expansion import expand, roles
from reidflow.spec.experiment import build
from reidflow.spec.part_strengths import candidates

PARTS = {
    "augmentation": {
        "rotation": {"why": "A tilted camera.", "value": {"name": "rotation", "degrees": 10.0}},
        "flip": {"why": "The other flank.", "value": "flip", "strengths": [{"p": 0.25}, {"p": 0.5}]},
        "blur": {"why": "A missed focus.", "value": {"name": "blur"}},
    }
}
ARMS = {
    "none": {"why": "Nothing.", "augmentation": []},
    "only_{part}": {"why": "{why} Alone.", "add_one": "augmentation"},
    "without_{part}": {"why": "All but {part}.", "leave_out": "augmentation", "against": "all"},
    "all": {"why": "All {of them}.", "every": "augmentation"},
}
CONFIG = {
    "dataset": {"source": {"name": "demo"}},
    "split": {"name": "closed_set"},
    "protocol": {
        "model": {"backbone": {"name": "small", "family": "resnet"}, "size": 32, "trainable": {"name": "all"}},
        "loss": "supcon",
        "sampler": "pk",
        "optimizer": "adamw",
        "scheduler": "cosine",
    },
    "experiments": ["augmentation"],
}


def file(**changes):
    words = dict.fromkeys(("question", "motivation", "hypothesis"), "Words.")
    content = {**words, "varies": ["augmentation"], "baseline": "none", "arms": ARMS, "parts": PARTS}
    return copy.deepcopy(content) | changes


def made(content):
    problems = Problems()
    return build("augmentation", "file.yaml", content, Config.model_validate(CONFIG), problems), problems.found


def test_each_part_makes_an_arm_alone_and_one_without_it():
    experiment, problems = made(file())
    assert not problems
    names = {arm.name: [a["name"] for a in arm.spec.augmentation] for arm in experiment.arms.values()}
    assert names == {
        "none": [],
        "only_rotation": ["rotation"],
        "only_flip": ["flip"],
        "only_blur": ["blur"],
        "without_rotation": ["flip", "blur"],
        "without_flip": ["rotation", "blur"],
        "without_blur": ["rotation", "flip"],
        "all": ["rotation", "flip", "blur"],
    }
    assert list(experiment.arms) == list(names), "in the order in which arms and parts are written"
    assert experiment.arms["only_flip"].why == "The other flank. Alone."
    assert experiment.arms["without_flip"].why == "All but flip." and experiment.arms["without_flip"].against == "all"
    assert experiment.arms["only_rotation"].spec.augmentation[0]["degrees"] == 10.0
    assert roles(experiment.file.arms, experiment.file.parts)["without_blur"] == ("leave_out", "augmentation", "blur")


def test_nested_paths_are_reached():
    parts = {"model.head.list": {"a": {"why": "x", "value": 1}, "b": {"why": "y", "value": 2}}}
    problems = Problems()
    arms = expand({"{part}": {"why": "x", "add_one": "model.head.list"}}, "f", problems, parts)
    assert not problems.found and arms["b"] == {"why": "x", "model": {"head": {"list": [2]}}}


@pytest.mark.parametrize(
    ("name", "arm", "message"),
    [
        ("only", {"add_one": "augmentation"}, "{part}"),
        ("all_{part}", {"every": "augmentation"}, "no braces"),
        ("{part}_{why}", {"add_one": "augmentation"}, "{part}"),
        ("{part", {"add_one": "augmentation"}, "{part}"),
        ("{part}", {"add_one": "loss"}, "no parts of 'loss'"),
        ("{part}", {"add_one": "augmentation", "leave_out": "augmentation"}, "in one way"),
        ("{part}", {"add_one": "augmentation", "each": {"epochs": [1]}}, "in one way"),
        ("{part}", {"add_one": "augmentation", "augmentation": ["flip"]}, "itself as well"),
        ("{part}", {"add_one": "augmentation", "why": "{because}"}, "mean nothing"),
        ("{part}", {"add_one": "augmentation", "against": "{why}"}, "mean nothing"),
    ],
)
def test_a_mistake_is_named(name, arm, message):
    problems = Problems()
    arms = expand({name: {"why": "x", **arm}}, "file.yaml", problems, PARTS)
    assert not arms and len(problems.found) == 1 and message in str(problems.found[0])


def test_a_part_that_no_run_can_have_is_named_with_its_arm():
    parts = {"augmentation": {**PARTS["augmentation"], "bad": {"why": "x", "value": {"name": "flip", "q": 1}}}}
    _, problems = made(file(parts=parts))
    assert any("only_bad" in str(problem) and "no parameter 'q'" in str(problem) for problem in problems)


def strengths(*found):
    return {"augmentation": {**PARTS["augmentation"], "blur": {"why": "x", "value": "blur", "strengths": list(found)}}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([{"p": 0.5}], "two strengths"),
        ([{"p": 0.5}, {"p": 0.5}], "all different"),
        ([{"p": 0.5}, {"power": 2}], "no parameter 'power'"),
    ],
)
def test_a_strength_that_makes_no_curve_is_named(found, message):
    _, problems = made(file(parts=strengths(*found)))
    assert len(problems) == 1 and message in str(problems[0])


def test_the_strengths_of_a_part_are_runs_that_differ_in_it_alone():
    experiment, _ = made(file(parts=strengths({"p": 0.1}, {"p": 0.3})))
    flip, blur = candidates(experiment)
    assert (flip.part, flip.arm, flip.seeds) == ("flip", "only_flip", (0, 1, 2))
    assert [tried.label for tried in flip.tried] == ["p = 0.25", "p = 0.5"]
    assert [tried.spec.augmentation for tried in flip.tried] == [[{"name": "flip", "p": p}] for p in (0.25, 0.5)]
    assert [tried.declared for tried in flip.tried] == [False, True]
    assert flip.tried[1].spec == experiment.arms["only_flip"].spec
    assert [tried.spec.augmentation[0]["p"] for tried in blur.tried] == [0.1, 0.3]
    assert flip.arm_of(flip.tried[0]) == "only_flip, p = 0.25"


def test_a_job_rebuilds_parts_in_their_order_and_has_none_of_the_texts():
    config = Config.model_validate(CONFIG)
    experiment, _ = made(file())
    planned = plan.Plan(config, {"augmentation": experiment}, "x")
    description = planned.descriptions[planned.experiment_params("augmentation")["digest"]]
    assert "A tilted camera" not in canonical(description)
    _, rebuilt = rebuild(description)
    assert list(rebuilt.arms) == list(experiment.arms)
    assert [arm.spec for arm in rebuilt.arms.values()] == [arm.spec for arm in experiment.arms.values()]
