"""Arms that differ in a value alone are written once."""

import pytest

from reidflow.spec.errors import Problems
from reidflow.spec.expansion import expand

SHARES = {
    "why": "{name} at {share}.",
    "curation": {"method": "random"},
    "each": {"curation.method.name": ["random", "quality"], "curation.share": [0.25, 0.5]},
    "against": "all_{share}",
}


def found(arms):
    problems = Problems()
    return expand(arms, "file.yaml", problems), problems.found


def test_one_arm_is_made_for_each_combination_the_first_path_slowest():
    arms, problems = found({"all": {"why": "x"}, "{name}_{share}": SHARES})
    assert not problems
    assert list(arms) == ["all", "random_0.25", "random_0.5", "quality_0.25", "quality_0.5"]
    assert arms["quality_0.25"] == {
        "why": "quality at 0.25.",
        "curation": {"method": {"name": "quality"}, "share": 0.25},
        "against": "all_0.25",
    }


def test_what_is_written_is_not_changed():
    found({"{name}_{share}": SHARES})
    assert "each" in SHARES and SHARES["curation"] == {"method": "random"}


@pytest.mark.parametrize(
    ("name", "each", "message"),
    [
        ("a_{share}", [], "dotted paths to lists"),
        ("a_{share}", {"curation.share": 0.5}, "dotted paths to lists"),
        ("a", {"curation.share": [0.5]}, "{share}"),
        ("a_{other}", {"curation.share": [0.5]}, "{share}"),
        ("a_{name}", {"x.name": ["b"], "y.name": ["c"]}, "{name}"),
        ("a_{loss}", {"loss": [{"name": "triplet"}]}, "plain number"),
    ],
)
def test_a_mistake_is_named(name, each, message):
    arms, problems = found({name: {"why": "x", "each": each}})
    assert not arms and len(problems) == 1 and message in str(problems[0])


def test_two_arms_of_one_name_are_a_mistake():
    _, problems = found({"a_0.5": {"why": "x"}, "a_{share}": {"why": "x", "each": {"curation.share": [0.5]}}})
    assert len(problems) == 1 and "two arms" in str(problems[0])
