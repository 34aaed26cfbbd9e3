"""Files that are no config at all are refused with file, line and remedy, and never read into the memory's end."""

import pytest
from config_cases import CONFIG, Planning, planning

__all__ = ["planning"]

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXTS = {
    "a bracket that is not closed": (
        "title: tiny\nseeds: [0, 1\nsplit: closed_set\n",
        "config.yaml, line 3: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence, from line 2",
    ),
    "a text with a colon": (
        "title: jaguars: 2024\n",
        "config.yaml, line 1: not valid YAML: mapping values are not allowed in this context. Put a text that holds ': ' in",
    ),
    "a line that is indented with a tab": (
        "title: tiny\nsplit:\n\tname: closed_set\n",
        "config.yaml, line 3: not valid YAML: found character that cannot start any token. Indent with blanks: tabs are not",
    ),
    "a text that begins with @": ("title: @home\n", "line 1: not valid YAML", "Put a text that begins with '@'"),
    "a key twice": (
        CONFIG + "title: again\n",
        "config.yaml, line 14: the key 'title' is given twice (first in line 2). Rename or remove one of them.",
    ),
    "a key twice further in": (
        "split:\n  name: closed_set\n  name: image_level\n",
        "config.yaml, line 3: the key 'name' is given twice (first in line 2).",
    ),
    "a list": ("- title\n- split\n", "config.yaml: holds a list, not keys with values. Write 'key: value' lines."),
    "a word": ("title\n", "config.yaml: holds a str, not keys with values."),
    "two documents": (
        "title: a\n---\ntitle: b\n",
        "line 2: not valid YAML",
        "Keep one document: remove the line '---'.",
    ),
    "an empty file": (
        "",
        "config.yaml, key 'dataset': this key is missing. Add it; config/README.md describes every key.",
    ),
    "comments alone": ("# nothing\n", "key 'protocol': this key is missing.", "4 errors"),
    "Latin-1": ("title: Jägerin\n".encode("latin-1"), "config.yaml: not UTF-8 text", "Save it as UTF-8."),
    "UTF-16": ("title: tiny\n".encode("utf-16"), "config.yaml: not UTF-8 text", "Save it as UTF-8."),
    "a photograph": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "config.yaml: not UTF-8 text"),
    "a control character": (
        "title: a\nscale: \x00\n",
        "line 2: not valid YAML: it holds a control character. Remove it.",
    ),
    "half a surrogate pair": (
        'title: "\\ud800"\n',
        "line 1: not valid YAML: found invalid Unicode character escape code",
    ),
    "aliases of aliases, a thousand million values": (
        BOMB,
        "config.yaml, line 5: the aliases (*name) up to here expand to over 20000 values. Write out what is meant.",
    ),
    "an alias of itself": ("title: &a [*a]\n", "line 1: the alias *a contains itself. Write"),
    "an alias of nothing": ("title: *a\n", "line 1: not valid YAML: found undefined alias", "Define it above as &name"),
    "brackets without end": ("title: " + "[" * 100_000, "line 1: nested more than 40 levels deep. Check the brackets."),
    "dashes without end": ("title:\n  " + "- " * 5000, "line 2: nested more than 40 levels deep."),
    "a tag that calls a function": (
        "title: !!python/object/apply:os.system ['touch called']\n",
        "line 1: not valid YAML: could not determine a constructor for the tag",
        "Remove the tag",
    ),
    "a merge key": (
        "a: &a {b: 1}\nsplit:\n  <<: *a\n",
        "line 3: not valid YAML: '<<' does not merge here. Write the keys out.",
    ),
    "a list as a key": ("? [a, b]\n: c\n", "line 1: not valid YAML: a key must be a plain word."),
    "nothing as a key": ("~: c\n", "line 1: not valid YAML: a key must be a plain word."),
    "a number as a key": (CONFIG + "3: c\n", "config.yaml, key '3': a key must be a text. Put 3 in quotes."),
    "a number of thousands of digits": (
        CONFIG + f"queries: {'9' * 5000}\n",
        "line 14: not valid YAML: a number of over 100 digits",
    ),
}


CASES = list(TEXTS)


@pytest.mark.parametrize(("text", "said"), [(text, said) for text, *said in TEXTS.values()], ids=TEXTS)
def test_a_file_that_is_no_config_is_refused_with_its_line(planning: Planning, text, said):
    planning.write("config.yaml", text)
    message = planning.said()
    for part in said:
        assert part in message
    assert not (planning.folder / "called").exists()


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(planning: Planning):
    (planning.folder / "config.yaml").unlink()
    assert planning.said() == "config.yaml: there is no such file. Check the path."
    (planning.folder / "config.yaml").mkdir()
    assert planning.said() == "config.yaml: cannot be read (Is a directory). Check the path and its permissions."


@pytest.mark.parametrize("text", ["- a\n", "question: [\n"])
def test_an_experiments_file_that_is_no_yaml_is_named(planning: Planning, text):
    planning.write("config/experiments/losses.yaml", text)
    assert "config/experiments/losses.yaml" in planning.said()


@pytest.mark.parametrize(
    ("written", "value"),
    [("2020-01-01", "2020-01-01"), ("1:30", "1:30"), ("010", "010"), ("1_000", 1000), ("0x10", 16), ("-0.5", -0.5)],
)
def test_what_looks_like_a_date_a_time_or_a_number_with_a_leading_zero_is_a_word(planning: Planning, written, value):
    from reidflow.spec.yaml import load

    assert load(planning.write("a.yaml", f"key: {written}\n")) == {"key": value}
    assert load(planning.write("b.yaml", f"\ufeffkey: {written}\r\n")) == {"key": value}, "a byte order mark, CRLF"
