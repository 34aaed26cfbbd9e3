"""Tables, statements and sheet of planted runs, in which new individuals are known."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from reidflow.analyses.open_set import quantities, tables
from reidflow.analyses.open_set.findings import sections
from reidflow.analyses.open_set.sheets import suspects_sheet
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.runs import TrainedRun
from reidflow.figures.contact import ImageRows
from reidflow.figures.style import Heading
from reidflow.tables.quantities import compared

KNOWN, NEW, GROUPS = 20, 8, 5
EXPERIMENT = SimpleNamespace(name="planted", arms={"good": None, "bad": None}, file=SimpleNamespace(baseline="bad"))


def split() -> pl.DataFrame:
    """Return a split of known and new individuals: every image is a group."""
    rows = []
    for role in ("val", "test"):
        rows += [(f"{role}-k{i}-{g}", f"k{i:02}", role, None) for i in range(KNOWN) for g in range(GROUPS)]
        rows += [(f"{role}-n{i}-{g}", f"{role}-n{i}", role, "query") for i in range(NEW) for g in range(GROUPS)]
    table = pl.DataFrame(rows, schema=dict.fromkeys(("image", "identity", "role", "side"), pl.String), orient="row")
    return table.with_columns(group=pl.col("image"))


def embedded(layout: Layout, noise: float) -> np.ndarray:
    """Return vectors of the split's images, near to their individual's."""
    rng = np.random.default_rng(0)
    centre = {name: rng.standard_normal(24) for name in layout.table["identity"].unique().sort()}
    return np.stack([centre[name] + noise * rng.standard_normal(24) for name in layout.table["identity"]])


@pytest.fixture(scope="module")
def planted():
    table = split()
    layout = Layout(table, table.with_columns(flank=pl.lit(None, pl.String)), "role")
    vectors = {"good": embedded(layout, 0.25), "bad": embedded(layout, 1.0)}
    runs = [TrainedRun(arm, seed, f"{arm}{seed}", None) for arm in EXPERIMENT.arms for seed in (0, 1)]

    def retrieval(own, run, mirrored):
        found = vectors[run.arm]
        return own.retrieval(found[own.query], found[own.gallery], None)

    patch = pytest.MonkeyPatch()
    patch.setattr(tables, "arm_retrieval", retrieval)
    patch.setattr(tables, "left_out_retrieval", lambda own, *more: retrieval(own.leaving_out(), *more))
    made = tables.decided(layout, runs, None)
    rates = tables.rates_table(EXPERIMENT, made)
    found = SimpleNamespace(
        layout=layout,
        made=made,
        rates=rates,
        arms=tables.arms_table(EXPERIMENT, made, rates),
        curves=tables.curves_table(EXPERIMENT, made),
        linked=tables.linked(EXPERIMENT, layout, made, None),
    )
    patch.undo()
    return found


def test_rows_of_arms_are_the_means_of_their_seeds_and_follow_the_contracts(planted):
    tables.OPEN_SET.check(planted.arms, "here")
    tables.RATES.check(planted.rates, "here")
    tables.CURVES.check(planted.curves, "here")
    good, bad = planted.arms.to_dicts()
    assert (good["arm"], good["seeds"], good["new_val"], good["new_test"]) == ("good", 2, NEW, NEW)
    assert good["baks"] > 0.95 and good["auroc"] > 0.99 and good["geometric"] > bad["geometric"]
    at = planted.rates.filter((pl.col("arm") == "bad") & (pl.col("promised") == 0.05))
    assert bad["false_match"] == pytest.approx(at["false_match"].mean()) and bad["baus"] == 1 - bad["false_match"]
    for arm in ("good", "bad"):
        own = planted.rates.filter((pl.col("arm") == arm) & (pl.col("seed") == 0)).sort("promised")
        assert own["false_match"].is_sorted() and own["threshold"].is_sorted(descending=True)
    assert bad["best_geometric"] >= bad["geometric"]


def test_quantities_are_the_measures_of_the_table_by_individual(planted):
    names = dict(zip(planted.layout.identity.tolist(), planted.layout.table["identity"], strict=True))
    values = tables.values_of(tables.by_arm(EXPERIMENT, planted.made), names)
    for quantity in quantities(EXPERIMENT):
        rows = {row["arm"]: row for row in compared(quantity, values[quantity.name], "bad", largest=1)}
        for row in planted.arms.to_dicts():
            assert rows[row["arm"]]["value"] == pytest.approx(row[quantity.name])
        assert rows["good"]["delta"] == pytest.approx(rows["good"]["value"] - rows["bad"]["value"])
    nobody = {arm: ([], np.empty((0, 2))) for arm in EXPERIMENT.arms}
    assert compared(quantities(EXPERIMENT)[0], nobody, "bad", largest=1) == []
    assert len(values["baks"]["good"][0]) == KNOWN and set(values["baus"]["good"][0]) == {
        f"test-n{i}" for i in range(NEW)
    }


def test_new_individuals_are_put_together_and_named(planted):
    linking, unknowns = planted.linked
    tables.LINKING.check(linking, "here")
    tables.UNKNOWNS.check(unknowns, "here")
    for row in linking.filter(pl.col("arm") == "good").to_dicts():
        assert row["ari"] > 0.95 and abs(row["found"] - row["true"]) <= 1
    own = unknowns.filter((pl.col("arm") == "good") & pl.col("new"))
    assert own.height >= 0.9 * NEW * GROUPS and own["probability"].min() > 0.5
    assert own.group_by("suspected").agg(pl.col("identity").n_unique())["identity"].max() == 1


def test_statements_name_the_promise_and_what_it_costs(planted):
    measured = [{"arm": "good", "reference": "bad", "verdict": "better", "heading": "BAKS", "delta": 0.5, "delta_low": 0.4, "delta_high": 0.6}]  # fmt: skip
    found = {
        one.title: " ".join(one.statements)
        for one in sections(planted.arms, planted.rates, planted.linked[0], measured)
    }
    assert (
        "8 individuals are new in validation" in found["Promised and measured"]
        and "5% were promised" in found["Promised and measured"]
    )
    assert "**good** is significantly better than **bad** in BAKS: +0.500" in found["What a decision costs"]
    assert "connected components: 8 suspected individuals in 40 groups" in found["Suspected individuals"]
    far = planted.arms.with_columns(false_match=pl.lit(0.2), attainable=pl.lit(0.1), left_out_seeds=pl.lit(0))
    lower = planted.rates.with_columns(alike=pl.when(arm="bad").then(0.01).otherwise(0.5))
    said = sections(far, lower, planted.linked[0], [])[0].text
    assert "More false matches than promised" in said and "can promise 10.0%" in said
    assert "some seeds of **bad**, and are no trials there" in said and "no trials of **good**: what they" in said
    lost = planted.rates.with_columns(threshold=pl.when(arm="good").then(None).otherwise("threshold"))
    said = sections(far, lost, planted.linked[0], [])[0].text
    assert "No threshold can be chosen with some seeds of **good**" in said and "promised: **bad** (20.0%)" in said
    assert sections(far.with_columns(false_match=pl.lit(None, pl.Float64)), planted.rates, planted.linked[0], []) == []


def test_the_sheet_shows_a_row_for_each_suspected_individual(planted, tmp_path):
    unknowns = planted.linked[1]
    pictures = np.zeros((len(planted.layout.table), 8, 8, 3), np.uint8)
    suspects_sheet(
        ImageRows.of(pictures, planted.layout.table),
        unknowns,
        ["good"],
        Heading("Who?", ""),
        tmp_path / "a.png",
        tile=20,
    )
    suspects_sheet(
        ImageRows.of(pictures, planted.layout.table), unknowns, [], Heading("Who?", ""), tmp_path / "b.png", tile=20
    )
    sizes = [Image.open(tmp_path / f"{name}.png").size for name in "ab"]
    assert sizes[0][1] > sizes[1][1] + 7 * 20
