import polars as pl
from arms_folder import a_description, a_table, an_experiment, build_table, scores, write_arm

from reidflow.store.tables import read_table, write_table
from reidflow.tables.data import mixed_versions
from reidflow.tables.export import csv_of
from reidflow.tables.leaderboard import LEADERBOARD, leaderboard, leaderboard_markdown


def results_of(folder, name, effects, setting=None, unavailable=None):
    experiment = an_experiment([*effects, *(unavailable or {})])
    folders = {arm: write_arm(folder / f"{name}{n}", scores(0.5 + e, n)) for n, (arm, e) in enumerate(effects.items())}
    tables = build_table(experiment, folders, setting or a_description(), unavailable=unavailable)
    return tables.results.with_columns(experiment=pl.lit(name))


def test_rows_are_ranked_within_what_may_be_compared(tmp_path):
    table = leaderboard(
        {
            "losses": results_of(tmp_path, "losses", {"base": 0.0, "up": 0.1}),
            "other gallery": results_of(tmp_path, "other gallery", {"base": 0.3}, a_description(gallery="all")),
            "backbones": results_of(tmp_path, "backbones", {"base": 0.05}),
            "nyala": results_of(tmp_path, "nyala", {"base": 0.3}, a_description(title="nyala", digest="d2")),
        }
    )
    rows = [(r["group"], r["rank"], r["experiment"], r["arm"]) for r in table.to_dicts()]
    assert rows == [
        ("A", 1, "losses", "up"),
        ("A", 2, "backbones", "base"),
        ("A", 3, "losses", "base"),
        ("B", 1, "other gallery", "base"),
        ("C", 1, "nyala", "base"),
    ]
    reasons = table.unique("group", maintain_order=True)["comparable"].to_list()
    assert reasons[1] == (
        "within group B; not with A (another split and gallery); not with C (another data set, split and gallery)"
    )
    assert "not with C (another data set)" in reasons[0]


def test_other_evaluated_images_are_another_group(tmp_path):
    one = results_of(tmp_path, "one", {"base": 0.0})
    two = results_of(tmp_path, "two", {"base": 0.0}).with_columns(evaluated=pl.lit("other"))
    assert leaderboard({"one": one, "two": two})["group"].to_list() == ["A", "B"]


def test_equal_means_share_a_rank(tmp_path):
    one, two = (results_of(tmp_path, name, {"base": 0.0, "down": -0.1}) for name in ("one", "two"))
    assert leaderboard({"one": one, "two": two})["rank"].to_list() == [1, 1, 3, 3]


def test_arms_without_a_score_are_listed_without_rank(tmp_path):
    table = leaderboard({"x": results_of(tmp_path, "x", {"base": 0.0}, unavailable={"dino|v3": "no weights here"})})
    last = table.row(-1, named=True)
    assert (last["arm"], last["group"], last["rank"]) == ("dino|v3", None, None)
    assert last["comparable"] == "with none: no weights here"
    text = leaderboard_markdown(table)
    assert r"| dino\|v3 | x | with none: no weights here |" in text
    assert "no differences are taken across experiments" in text


def test_a_leaking_split_and_mixed_versions_are_warned_of(tmp_path):
    leaking = a_description(audit={"leaks": True})
    one = results_of(tmp_path, "one", {"base": 0.0}, leaking)
    two = results_of(tmp_path, "two", {"base": 0.0}, leaking).with_columns(versions=pl.lit("torch 2.11.0"))
    text = leaderboard_markdown(leaderboard({"one": one, "two": two}))
    assert "**Warning:** the split leaks" in text
    assert "**Warning:** the runs come from different software versions" in text


def test_csv_and_parquet_hold_the_same_rows(tmp_path):
    table = leaderboard({"x": a_table(tmp_path / "x", {"base": 0.0, "=up": 0.1})[1].results})
    write_table(table, tmp_path / "leaderboard.parquet", LEADERBOARD)
    assert read_table(tmp_path / "leaderboard.parquet", LEADERBOARD).equals(table)
    assert pl.read_csv(csv_of(table).encode())["arm"].to_list() == ["'=up", "base"]
    assert leaderboard_markdown(table).startswith("# Leaderboard")


def test_runs_that_used_other_libraries_besides_agree_unless_one_has_two_versions():
    assert mixed_versions(["torch 2.15.0, device cpu", "timm 1.0.31, torch 2.15.0, device cpu"]) == []
    assert mixed_versions(["torch 2.15.0, device cpu", "torch 2.15.0, device NVIDIA H200"]) == ["device"]
    assert mixed_versions(["torch 2.15.0", None, "torch 2.11.0; torch 2.15.0"]) == ["torch"]
