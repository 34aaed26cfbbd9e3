import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.spec.merge import differences, merge, put
from reidflow.spec.yaml import load


def test_a_named_component_replaces_the_whole_component():
    base = {"loss": {"name": "arcface", "margin": 0.3}}
    assert merge(base, {"loss": {"name": "cosface"}}) == {"loss": {"name": "cosface"}}
    assert merge(base, {"loss": "cosface"}) == {"loss": "cosface"}


def test_parameters_without_a_name_change_the_component_below():
    assert merge({"loss": {"name": "arcface", "margin": 0.3}}, {"loss": {"margin": 0.5}}) == {
        "loss": {"name": "arcface", "margin": 0.5}
    }
    assert merge({"loss": "arcface"}, {"loss": {"margin": 0.5}}) == {"loss": {"name": "arcface", "margin": 0.5}}


def test_differences_names_the_dotted_paths():
    one = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    assert differences(one, {"a": {"b": 2, "c": [1, 2]}, "d": {"e": 1}}) == ["a.b", "d", "d.e"]
    assert differences(one, one) == []


def test_put_changes_a_copy_and_refuses_an_unknown_path():
    tree = {"a": {"b": 1}}
    assert put(tree, "a.b", 2) == {"a": {"b": 2}} and tree == {"a": {"b": 1}}
    with pytest.raises(KeyError):
        put(tree, "a.x", 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5", 1.5),
        ("3", 3),
        (".5", 0.5),
        ("no", "no"),
        ("off", "off"),
        ("true", True),
        ("1.2.3", "1.2.3"),
    ],
)
def test_yaml_values_are_what_people_mean(tmp_path, text, value):
    (tmp_path / "a.yaml").write_text(f"key: {text}\n")
    assert load(tmp_path / "a.yaml") == {"key": value}
    assert type(load(tmp_path / "a.yaml")["key"]) is type(value)


def test_a_key_given_twice_is_an_error_that_names_both_lines(tmp_path):
    (tmp_path / "a.yaml").write_text("arms:\n  a: {why: x}\n  b: {why: x}\n  a: {why: y}\n")
    with pytest.raises(ReidflowError, match=r"a\.yaml, line 4: the key 'a' is given twice \(first in line 2\)"):
        load(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["a: [1", "- a\n- b", "\x00", "a: !!python/object/apply:os.system [ls]"])
def test_files_that_are_no_mapping_are_refused_with_their_name(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ReidflowError, match=r"a\.yaml"):
        load(tmp_path / "a.yaml")
