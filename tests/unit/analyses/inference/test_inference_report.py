"""The table and the statements of a report on inference, against planted effects and cases worked by hand."""

import numpy as np
import planted_inference as planted
import polars as pl
import pytest

from reidflow.analyses.inference.findings import METHODS, QUERIES, cheapest, sections
from reidflow.analyses.inference.tables import INFERENCE, describe, described, inference_table, preferred
from reidflow.evaluation.statistics import compare
from reidflow.tables.identities import rarity


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return planted.table()


@pytest.fixture(scope="module")
def rows(table: pl.DataFrame) -> dict[str, dict]:
    return {row["arm"]: row for row in table.to_dicts()}


def text(table: pl.DataFrame, title: str, queries_in_gallery: bool = False) -> str:
    found = [section for section in sections(table, queries_in_gallery) if section.title == title]
    return " ".join(line for section in found for line in section.statements)


def test_a_row_has_the_methods_of_its_arm_and_what_they_need(table: pl.DataFrame, rows: dict):
    INFERENCE.check(table, "here")
    assert list(rows) == list(planted.STEPS)
    needs = {arm: (row["kind"], row["transductive"], row["runs"], row["forward_passes"]) for arm, row in rows.items()}
    assert needs == {
        "none": ("plain", False, 1, 1),
        "flip_*": ("single", False, 1, 2),
        "expansion": ("single", False, 1, 1),
        "reciprocal": ("single", True, 1, 1),
        "flip_reciprocal": ("combination", True, 1, 2),
        "flip_expansion": ("combination", False, 1, 2),
        "three_runs": ("ensemble", False, 3, 3),
        "pair": ("ensemble", False, 2, 4),
    }
    assert rows["flip_reciprocal"]["methods"] == "flip, then k reciprocal (k1 20, k2 6, lambda 0.3)"
    assert rows["pair"]["methods"] == "2 runs, embeddings concatenated, then flip"
    assert rows["none"]["methods"] == "none"


def test_an_ensemble_counts_the_runs_of_every_member_with_every_seed():
    ensemble = {"seeds": 2, "members": [{"epochs": 3}, {"epochs": 4}], "combine": "average"}
    found = described({"inference": [], "ensemble": ensemble, "ranking": None})
    assert (found["runs"], found["forward_passes"]) == (6, 6)
    assert found["methods"] == "6 runs, similarities averaged"
    assert describe({"name": "mine.sharper", "strength_": 0.5}) == "sharper (strength 0.5)"


def test_a_method_whose_file_does_not_say_counts_as_transductive(tmp_path, monkeypatch):
    (tmp_path / "own.silent_step.py").write_text("def apply(retrieval):\n    return retrieval\n")
    monkeypatch.setattr("reidflow.spec.components.find_module", lambda name: tmp_path / f"{name}.py")
    assert described({"inference": [{"name": "own.silent_step"}], "ensemble": None, "ranking": None})["transductive"]


def test_queries_that_get_better_and_worse_are_counted_by_hand():
    # Before: 0.5 everywhere. Seed 0: up, rounding, down; seed 1: up, unscored by the arm, rounding.
    before = [(seed, f"{who}{n}", who, 0.5) for seed in (0, 1) for n, who in enumerate(("rare", "rare", "common"))]
    after = [(0, "rare0", 0.6), (0, "rare1", 0.5 + 1e-12), (0, "common2", 0.4), (1, "rare0", 0.9), (1, "rare1", None)]
    after.append((1, "common2", 0.5 - 1e-12))
    rows = [("none", seed, image, who, ap) for seed, image, who, ap in before]
    rows += [("flip", seed, image, image[:-1], ap) for seed, image, ap in after]
    per_query = pl.DataFrame(rows, schema=["arm", "seed", "image", "identity", "ap"], orient="row")
    experiment = planted.experiment()
    experiment.arms = {"none": None, "flip": None}
    specs = {arm: {"inference": [], "ensemble": None, "ranking": None} for arm in experiment.arms}
    results = planted.results().head(0)
    found = inference_table(
        experiment, specs, results, per_query, planted.comparisons().head(0), {"rare": 2, "common": 8}
    )
    names = ("compared", "better", "worse", "few", "compared_few", "better_few", "worse_few")
    # The median of 2 and 8 images is 5: the rare identity has few.
    assert found.filter(pl.col("arm") == "flip").select(names).row(0) == (5, 2, 1, 5, 3, 2, 0)


def test_identities_with_few_images_are_judged_by_themselves(rows: dict):
    few = [n for n, name in enumerate(planted.IDENTITIES) if planted.IMAGES[name] <= 5]
    assert {row["compared_few"] for row in rows.values()} == {len(few) * len(planted.SEEDS) * planted.QUERIES}
    differences = planted.differences()
    expected = compare({arm: values[few] for arm, values in differences.items() if arm != "none"})
    for arm, want in expected.items():
        row = rows[arm]
        found = [row[f"few_{part}"] for part in ("delta", "low", "high", "p_adjusted", "verdict")]
        assert found == pytest.approx([want.delta, want.low, want.high, want.p_adjusted, want.verdict])
        assert row["many_delta"] == pytest.approx(np.delete(differences[arm], few, axis=0).mean())
    verdicts = {arm: row["few_verdict"] for arm, row in rows.items() if row["few_verdict"] in ("better", "worse")}
    assert verdicts == {
        "expansion": "worse",
        "reciprocal": "better",
        "flip_reciprocal": "better",
        "flip_expansion": "worse",
        "three_runs": "better",
    }
    assert rows["none"]["few_delta"] is None and rows["none"]["many_delta"] is None


def test_the_correlation_is_with_images_in_the_gallery_not_with_those_trained_on(rows: dict):
    counted = planted.comparisons().with_columns(
        train_images=pl.col("identity").replace_strict(planted.IMAGES, return_dtype=pl.Int64)
    )
    want = rarity(counted)["expansion"]
    assert [rows["expansion"][f"rho{end}"] for end in ("", "_low", "_high")] == [want.rho, want.low, want.high]
    assert rows["expansion"]["rho_low"] > 0.9


def test_where_all_identities_have_equally_many_images_none_has_few():
    level = dict.fromkeys(planted.IDENTITIES, 4)
    found = inference_table(
        planted.experiment(), planted.specs(), planted.results(), planted.per_query(), planted.comparisons(), level
    )
    INFERENCE.check(found, "here")
    assert found["few"].is_null().all() and found["few_delta"].is_null().all() and found["rho"].is_null().all()
    assert found["compared_few"].to_list() == [0] * len(found)
    assert "in the gallery" not in text(found, "Which queries gain")


def test_combinations_are_compared_with_the_single_method_that_validation_prefers(rows: dict):
    differences = planted.differences()
    combined = ("flip_reciprocal", "flip_expansion")
    expected = compare({arm: differences[arm] - differences["reciprocal"] for arm in combined})
    for arm, want in expected.items():
        row = rows[arm]
        assert row["over"] == "reciprocal"
        found = [row[f"over_{part}"] for part in ("delta", "low", "high", "p_adjusted", "verdict")]
        assert found == pytest.approx([want.delta, want.low, want.high, want.p_adjusted, want.verdict])
    assert [rows[arm]["over_verdict"] for arm in combined] == ["better", "worse"]
    assert all(row["over"] is None for arm, row in rows.items() if arm not in combined)


def test_the_preferred_arm_is_that_of_validation_and_of_test_only_without_one():
    def row(arm: str, val: float | None, test: float | None) -> dict:
        return {"arm": arm, "val_id_map": val, "id_map": test}

    rows = [row("a", 0.5, 0.1), row("b", 0.4, 0.9), row("c", 0.5, 0.8), row("lost", 0.9, None)]
    assert preferred(rows)["arm"] == "a"
    assert preferred([{**found, "val_id_map": None} for found in rows])["arm"] == "b"
    assert preferred([]) is None


def test_statements_name_better_worse_and_tied_arms_with_the_numbers_of_the_table(table: pl.DataFrame, rows: dict):
    found = text(table, METHODS)

    def difference(arm: str, name: str) -> str:
        row = rows[arm]
        return f"{name} ({row['delta']:+.3f} [{row['delta_low']:+.3f}, {row['delta_high']:+.3f}])"

    assert f"Better than the baseline: {difference('reciprocal', '**reciprocal** (transductive)')}, " in found
    assert f"{difference('three_runs', '**three_runs**')}." in found
    assert f"Worse than the baseline: {difference('flip_expansion', '**flip_expansion**')}." in found
    assert "Not significantly different from the baseline: **flip\\_\\***, **expansion** and **pair**." in found
    assert "Not significantly different from the best: **flip_reciprocal** (transductive) and **pair**." in found
    assert "prefer" not in found
    level = text(table.with_columns(ties_with_best=pl.lit(True)), METHODS)
    assert "Of these, prefer **none**: one forward pass per image" in level
    quiet = table.with_columns(verdict=pl.lit("inconclusive"))
    assert text(quiet, METHODS).startswith("No method is significantly better than the baseline.")


def test_the_cheapest_of_the_best_needs_one_pass_and_no_other_query():
    def row(arm: str, kind: str, passes: int, transductive: bool = False) -> dict:
        needs = {"kind": kind, "forward_passes": passes, "transductive": transductive}
        return {"arm": arm, "ties_with_best": arm != "worst", **needs}

    rows = [row("flip", "single", 2), row("reciprocal", "single", 1, True), row("expansion", "single", 1)]
    assert [each["arm"] for each in cheapest([*rows, row("worst", "plain", 1)])] == ["expansion"]
    assert [each["arm"] for each in cheapest([*rows, row("none", "plain", 1)])] == ["none"]
    assert cheapest(rows[2:]) == []


def test_transductive_arms_are_marked_wherever_they_are_named(table: pl.DataFrame):
    lines = [line for section in sections(table) for line in section.statements]
    for line in lines:
        bare = line.replace("**reciprocal** (transductive)", "").replace("**flip_reciprocal** (transductive)", "")
        assert "reciprocal**" not in bare or "are transductive: scores depend" in bare
    (shown,) = [block for section in sections(table) for block in section.tables if block.title == "Inference"]
    at = shown.headings.index("transductive")
    assert {row[0] for row in shown.rows if row[at] == "yes"} == {"reciprocal", "flip_reciprocal"}
    assert "The queries are in the gallery here" not in " ".join(lines)
    assert "The queries are in the gallery here" in text(table, METHODS, True)


def test_statements_say_whether_combining_adds_and_what_ensembles_cost(table: pl.DataFrame, rows: dict):
    found, row = text(table, METHODS), rows["flip_reciprocal"]
    numbers = f"{row['over_delta']:+.3f} [{row['over_low']:+.3f}, {row['over_high']:+.3f}]"
    assert (
        "The best combination on validation, **flip_reciprocal** (transductive), is better than the best single method, "
        f"**reciprocal** (transductive): {numbers}."
    ) in found
    blocks = {block.title: block for section in sections(table) for block in section.tables}
    against = blocks["Combinations against the best single method"]
    assert [line[0] for line in against.rows] == ["flip_reciprocal", "flip_expansion"]
    assert "**three_runs** costs 3 training runs and 3 forward passes per image." in found
    assert "**pair** costs 2 training runs and 4 forward passes per image." in found


def test_statements_say_who_gains_and_who_loses(table: pl.DataFrame, rows: dict):
    found, row = text(table, QUERIES), rows["expansion"]
    assert "With **flip_reciprocal** (transductive), the best method on validation, 100% of the queries" in found
    assert "(192 of 192) and 0% worse." in found
    few = f"{row['few_delta']:+.3f} [{row['few_low']:+.3f}, {row['few_high']:+.3f}]"
    assert f"Identities with at most 5 images in the gallery lose with **expansion** ({few})" in found
    trend = f"{row['few_delta']:+.3f} with at most 5, {row['many_delta']:+.3f} with more"
    assert f"**expansion** does more for identities with more images: {trend}" in found
    calm = table.with_columns(few_verdict=pl.lit("inconclusive"))
    assert "images in the gallery lose significantly with no method." in text(calm, QUERIES)
    (shown,) = [block for section in sections(table) for block in section.tables if "gain and" in block.title]
    line = dict(zip(shown.headings, next(r for r in shown.rows if r[0] == "expansion"), strict=True))
    assert line["better"] == f"{row['better'] / row['compared']:.0%}"
    assert line["worse, few images"] == f"{row['worse_few'] / row['compared_few']:.0%}"


def test_without_combinations_or_ensembles_nothing_is_said_of_them(table: pl.DataFrame):
    singles = table.filter(pl.col("kind").is_in(["plain", "single"]))
    assert "combination" not in text(singles, METHODS) and "training runs" not in text(singles, METHODS)
    assert [section.title for section in sections(singles)] == [METHODS, QUERIES]
    assert sections(table.filter("baseline")) == []
