import csv
import io
import re

import polars as pl
import pytest
from arms_folder import AUDIT, Spec, a_description, a_table, an_experiment, build_table, scores, write_arm

from reidflow.spec.experiment import Arm
from reidflow.tables import text
from reidflow.tables.caption import audit_line, caption, fixed_settings
from reidflow.tables.experiment import blocks
from reidflow.tables.export import csv_table, latex_block, latex_table, markdown_block, markdown_table
from reidflow.tables.layout import block
from reidflow.tables.text import interval, latex, markdown, number, setting, signed, visible

NASTY = [
    "=1+1",
    "+x",
    "-x",
    "@x",
    "\tx",
    'a,"b"',
    "line\nbreak",
    "pipe|bar",
    "50% $\\alpha$_{x}^2~#&",
    "<b>*b*</b>",
    "ジャガー 🐆",
]


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    return a_table(tmp_path_factory.mktemp("nasty"), {"base": 0.0, **dict.fromkeys(NASTY, 0.05)})


def test_csv_keeps_every_name_and_no_cell_is_a_formula(nasty):
    _, tables = nasty
    rows = list(csv.DictReader(io.StringIO(csv_table(tables.results, tables.efficiency))))
    assert [row["arm"].removeprefix("'") for row in rows] == ["base", *NASTY]
    cells = [
        (key, value) for row in rows for key, value in row.items() if value[:1] in ("=", "+", "-", "@", "\t", "\r")
    ]
    assert all(re.fullmatch(r"-[0-9.e-]+", value) for _, value in cells)
    assert float(rows[1]["delta"]) == tables.results["delta"][1]
    assert [float(v) for v in rows[1]["id_map_by_seed"].split("; ")] == tables.results["id_map_by_seed"][1].to_list()
    assert float(rows[1]["peak_memory_mb"]) == 502.0


def test_every_markdown_row_has_the_cells_of_its_heading(nasty):
    experiment, tables = nasty
    text = markdown_table(
        "x", blocks(tables.results, tables.efficiency), caption(experiment, a_description(), tables.results)
    )
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 5 * (2 + 1 + len(NASTY))
    cells = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    per_block = 2 + 1 + len(NASTY)
    for start in range(0, len(cells), per_block):
        assert len(set(cells[start : start + per_block])) == 1
    assert r"\<b\>\*b\*\</b\>" in text
    assert r"line\\nbreak" in text


def test_latex_has_no_bare_special_character(nasty):
    experiment, tables = nasty
    text = latex_table(
        "x_y", blocks(tables.results, tables.efficiency), caption(experiment, a_description(), tables.results)
    )
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 5 * (1 + 1 + len(NASTY))
    for row in rows:
        bare = re.sub(r"\\[_%&#${}]|\\[a-z]+\{\}|\{\\char34\}|\{[-*\[\]]\}|\$\\pm\$", "", row.removesuffix(r"\\"))
        assert not re.search(r"[%#$_^~\\{}]", bare)
    separators = [row.count(" & ") for row in rows]
    assert [separators[n] for n in range(0, len(rows), 2 + len(NASTY))] == [9, 11, 7, 7, 4]
    assert all(len(set(separators[n : n + 2 + len(NASTY)])) == 1 for n in range(0, len(rows), 2 + len(NASTY)))
    depth = 0
    for character in re.sub(r"\\[{}]", "", text):
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0


def test_names_that_would_hide_are_shown():
    assert visible("a\u202eb\x07\u200d") == "a\\u202eb\\x07\u200d"
    assert markdown("a_b _c_ [x](y)") == r"a_b \_c\_ \[x\](y)"
    assert latex("*") == "{*}"


def test_a_rounded_interval_stays_on_its_side_of_zero():
    assert interval(0.00004, 0.1) == "[+4.0e-05, +0.100]"
    assert interval(-0.1, -0.00004) == "[-0.100, -4.0e-05]"
    assert interval(-1e-17, 0.1) == "[0.000, +0.100]"
    assert (signed(0.0304), signed(-0.0304), signed(-0.0)) == ("+0.030", "-0.030", "0.000")
    assert (number(None), number(float("nan")), number(12)) == ("–", "–", "12")
    assert interval(None, 0.1) == "–"


def test_settings_are_printed_on_one_line():
    assert setting({"name": "adamw", "lr": 1e-4, "betas": [0.9, 0.99]}) == "adamw(lr=0.0001, betas=[0.9, 0.99])"
    assert (setting(None), setting(True), setting({"name": "avg"})) == ("none", "true", "avg")


def test_the_caption_holds_everything_that_decides_the_numbers(tmp_path):
    experiment = an_experiment(["base", "arm"], tuned={"optimizer.lr": [0.1]})
    chosen = {"values": {"optimizer.lr": 0.1}, "points": [], "on_edge": {"optimizer.lr": False}}
    folders = {n: write_arm(tmp_path / n, scores(0.5, i), chosen=chosen) for i, n in enumerate(experiment.arms)}
    results = build_table(experiment, folders, a_description()).results
    text = dict(caption(experiment, a_description(), results))
    assert text["Data"] == "demo (demo scale)."
    assert "gallery: role" in text["Metric"]
    assert "Chance: 0.050" in text["Metric"]
    assert text["Queries"].startswith("80 used, 20 skipped, of 20 identities, the same for every arm")
    assert "230 train and 80 test images" in text["Split"]
    assert text["Leak audit"].startswith("no leak found; in two roles: 0 groups, 0 near-duplicate pairs. 2 ident")
    assert "[0, 1, 2]" in text["Seeds"]
    assert "[100, 101]" in text["Seeds"]
    assert "over 1 comparison at 5%" in text["Statistics"]
    assert "the 20 tested here" in text["Population"]
    assert "optimizer.lr from [0.1]" in text["Tuned"]
    assert text["Software"] == "device cpu, timm 1.0.31, torch 2.15.0."


def test_the_leak_audit_names_every_kind_of_leak_that_was_looked_for():
    looked_for = {
        "straddling_groups": (1, "1 groups"),
        "straddling_joined_pairs": (2, "2 near-duplicate pairs"),
        "straddling_bytes": (3, "3 equal files"),
        "straddling_pixels": (4, "4 equal images"),
        "cross_identity_straddling": (5, "5 suspected duplicates across identities"),
    }
    audit = {**{key: found for key, (found, _) in looked_for.items()}, "leaks": True}
    line = audit_line(a_description(audit=audit))
    assert all(text in line for _, text in looked_for.values()) and line.startswith("LEAKING")


def test_numbers_are_aligned_to_the_right_and_words_to_the_left():
    rows = [{"arm": "1", "id_map": 0.5, "verdict": "better", "on_edge": True}]
    part = block("", rows, ["arm", "id_map", "verdict", "on_edge"])
    assert "| --- | ---: | --- | --- |" in markdown_block(part)
    assert r"\begin{tabular}{lrll}" in latex_block(part, "")


def test_leaks_and_mixed_versions_are_warned_of(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "arm": 0.0})
    leaking = a_description(audit={**AUDIT, "straddling_groups": 7, "leaks": True})
    mixed = tables.results.with_columns(versions=pl.Series(["torch 2.15.0", "torch 2.11.0"]))
    text = dict(caption(experiment, leaking, mixed))
    assert "LEAKING" in text["Leak audit"]
    assert "7 groups" in text["Leak audit"]
    assert "WARNING" in text["Software"]


def test_arms_scored_on_other_images_are_warned_of(tmp_path):
    experiment = an_experiment(["base", "arm"])
    folders = {n: write_arm(tmp_path / n, scores(0.5, i)) for i, n in enumerate(experiment.arms)}
    path = folders["arm"] / "per_query.parquet"
    pl.read_parquet(path).with_columns(pl.col("image").str.replace("/0.png", "/9.png")).write_parquet(path)
    results = build_table(experiment, folders, a_description()).results
    assert "not the same images" in dict(caption(experiment, a_description(), results))["Queries"]


def test_what_stays_fixed_is_derived_from_the_specs():
    trees = [
        {"loss": {"name": "a", "margin": 0.2}, "optimizer": {"name": "sgd", "lr": 0.1, "nesterov": True}, "epochs": 3, "seed": 0},
        {"loss": {"name": "b", "margin": 0.2}, "optimizer": {"name": "sgd", "lr": 0.2, "nesterov": True}, "epochs": 3, "seed": 0},
    ]  # fmt: skip
    experiment = an_experiment(["base"])
    arms = {str(i): Arm(str(i), str(i), "", None, (0,), (({}, Spec(tree)),)) for i, tree in enumerate(trees)}
    varied = type(experiment)(experiment.name, experiment.path, experiment.file, arms, ())
    assert fixed_settings(varied) == ["optimizer.name=sgd", "optimizer.nesterov=true", "epochs=3"]
    same = type(experiment)(experiment.name, experiment.path, experiment.file, {"0": arms["0"]}, ())
    assert fixed_settings(same) == ["loss=a(margin=0.2)", "optimizer=sgd(lr=0.1, nesterov=true)", "epochs=3"]


def test_markdown_that_a_person_wrote_keeps_its_formatting_and_holds_no_html():
    written = "**Better** <script>x</script> p <0.001, <https://a.b>\x1b[2J\n\n- <!-- c -->"
    assert text.authored(written) == (
        "**Better** &lt;script>x&lt;/script> p <0.001, <https://a.b>\\x1b[2J\n\n- &lt;!-- c -->"
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("One ends.\nTwo (ends).\nThree\ngoes on", "One ends.\n\nTwo (ends).\n\nThree\ngoes on"),
        ("A list:\n- one.\n- two.\n1. three.\n2. four.", None),
        ("Wrapped.\nHere.\n\nSecond", None),
    ],
)
def test_the_paragraphs_of_a_folded_text_are_kept(written, shown):
    assert text.authored(written) == (shown or written)


def test_of_many_names_the_first_are_given_and_the_others_counted():
    assert text.bold_names("abcd", 3) == "**a**, **b**, **c** and **d**"
    assert text.bold_names("abcde", 3) == "**a**, **b**, **c** and 2 more"


def test_no_beginning_that_a_spreadsheet_computes_is_left():
    for name in ("=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20a"):
        assert text.csv(name) == f"'{name}"
    for name in ("a=1", "'=1", "", "1-2", "\u2212 minus"):
        assert text.csv(name) == name
