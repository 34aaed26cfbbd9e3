"""The differences that a plan reports between two documents, two closures of code and two sets of images."""

import pytest

from reidflow.commands.plan_reasons import changes, code_changes, few, image_changes, run_changes, sentence, shown


def said(old, new):
    return [sentence(change) for change in changes(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"loss": {"margin": 0.5}}, {"loss": {"margin": 0.3}}, ["loss.margin 0.5 -> 0.3"]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": True}, ["a 1 -> true"]),
        ({"a": 1}, {"a": 1.0}, ["a 1 -> 1.0"]),
        ({"a": None}, {"a": "b c"}, ["a none -> b c"]),
        ({"a": 1}, {"a": 1, "b": [2]}, ["b is new: [2]"]),
        ({"a": 1, "b": [2]}, {"a": 1}, ["b is removed (was [2])"]),
        (
            {"loss": {"name": "arcface", "margin": 0.5}},
            {"loss": {"name": "triplet"}},
            ["loss arcface (margin 0.5) -> triplet"],
        ),
        ({"runs": [["x", {"k": 1}], ["y", 1]]}, {"runs": [["x", {"k": 2}], ["y", 1]]}, ["runs.x.k 1 -> 2"]),
        ({"runs": [["x", 1], ["y", 2]]}, {"runs": [["y", 2], ["x", 1]]}, ["runs.order [x, y] -> [y, x]"]),
        ({"list": [{"k": 1}, {"k": 2}]}, {"list": [{"k": 1}, {"k": 3}]}, ["list.2.k 2 -> 3"]),
        ({"arms": {"a": 1, "b": 2}}, {"arms": {"b": 2, "a": 1}}, ["arms.order [a, b] -> [b, a]"]),
        ({"arms": {"a": 1, "b": 2}}, {"arms": {"b": 3, "a": 1}}, ["arms.b 2 -> 3"]),
        ({"seeds": [0, 1]}, {"seeds": [0, 1, 2]}, ["seeds [0, 1] -> [0, 1, 2]"]),
    ],
)
def test_a_change_is_named_by_its_key_with_what_was_and_what_is(old, new, expected):
    assert said(old, new) == expected


def test_a_long_text_is_shown_from_where_it_differs():
    old, new = "a" * 200 + "old end" + "z" * 100, "a" * 200 + "new end" + "z" * 100
    (text,) = said({"why": old}, {"why": new})
    assert "old end" in text and "new end" in text and len(text) < 160


def test_control_characters_of_a_name_do_not_reach_the_terminal():
    assert shown("a\x1b[2Jb\n") == '"a\\u001b[2Jb\\n"'


def test_a_few_names_and_how_many_more():
    assert (few("ab"), few("abcd"), few("abcde")) == ("a, b", "a, b, c, d", "a, b, c and 2 more")


def spec(margin, rate=0.1):
    return {"loss": {"name": "arcface", "margin": margin}, "optimizer": {"rate": rate}, "seed": 0}


def train(arms, seeds=(0, 1)):
    return {"arms": {arm: [[{}, given]] for arm, given in arms.items()}, "runs": [[a, s] for a in arms for s in seeds]}


def test_an_arm_that_moved_to_another_batch_is_no_change():
    old = [train({"a": spec(1), "b": spec(2)}), train({"c": spec(3)})]
    new = [train({"a": spec(1)}), train({"b": spec(2), "c": spec(3)})]
    assert run_changes(old, new) == []


def test_new_and_removed_arms_values_and_seeds_are_named_by_arm():
    old = [train({"a": spec(1), "b": spec(2), "c": spec(3)})]
    new = [train({"a": spec(1, 0.2), "b": spec(5, 0.2), "d": spec(3)}, seeds=(0, 1, 2))]
    assert run_changes(old, new) == [
        "new arms: d",
        "removed arms: c",
        "all arms: optimizer.rate 0.1 -> 0.2",
        "all arms: new seed 2",
        "b: loss.margin 2 -> 5",
    ]


@pytest.mark.parametrize("folds", [(0,), (0, 1)])
def test_a_wider_grid_counts_the_further_values_to_try(folds):
    old = {"specs": [["a", spec(margin), fold] for margin in (1, 2) for fold in folds]}
    new = {"specs": [["a", spec(margin), fold] for margin in (1, 2, 3) for fold in folds]}
    assert run_changes([old], [new]) == ["a: tuned values: 1 more to try"]
    old, new = (
        {"runs": [["a", seed, fold] for seed in seeds for fold in folds], "arms": {"a": []}} for seeds in ([0], [0, 1])
    )
    assert run_changes([old], [new]) == ["a: new seed 1"]


def test_the_code_file_that_changed_is_named():
    old = {"reidflow/a.py": "1", "reidflow/b.py": "1", "workflow/scripts/train.py": "1"}
    new = {"reidflow/a.py": "2", "reidflow/c.py": "1", "workflow/scripts/train.py": "2"}
    changed = ["src/reidflow/a.py changed", "workflow/scripts/train.py changed"]
    assert code_changes(old, new, same_roots=False) == changed
    further = ["src/reidflow/c.py is executed too", "src/reidflow/b.py is no longer executed"]
    assert code_changes(old, new, same_roots=True) == changed + further


def test_images_are_counted_and_tables_named():
    old = {"a.jpg": "1", "b.jpg": "1", "c.jpg": "1", "meta.csv": "1"}
    new = {"b.jpg": "2", "c.jpg": "1", "d.jpg": "1", "e.png": "1", "meta.csv": "2"}
    assert image_changes(old, new) == "images: 2 new, 1 changed, 1 removed; meta.csv changed"
