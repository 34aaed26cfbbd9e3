"""The tables and statements of a report on several splits, against planted gaps and remedies."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.gap.findings import by_condition, consistent, costliest, sections
from reidflow.analyses.gap.tables import (
    GAP,
    LOST,
    conditions,
    describe_split,
    effects,
    gap_table,
    lost_table,
    own_name,
    quantity_rows,
)
from reidflow.evaluation.runs import ALSO_ON, ALSO_ON_QUERIES, METRICS, PER_QUERY
from reidflow.evaluation.statistics import compare
from reidflow.spec.errors import ReidflowError
from reidflow.spec.quantities import Quantity
from reidflow.tables.comparisons import AGAINST

SEEDS = (0, 1, 2, 3)
OWN = "unseen identities, across domains"
LEVELS = {"closed": 0.62, "disjoint": 0.45, "known, across": 0.31, OWN: 0.15}
CHANCES = {"closed": 0.02, "disjoint": 0.05, "known, across": 0.03, OWN: 0.05}
EFFECT = {
    ("metric_loss", "disjoint"): 0.1,
    ("metric_loss", OWN): 0.05,
    ("paired", OWN): 0.2,
    ("paired", "closed"): -0.1,
    ("coral_*", "closed"): 0.06,
    ("coral_*", "disjoint"): 0.06,
    ("coral_*", "known, across"): 0.06,
    ("coral_*", OWN): 0.06,
}
ARMS = ("as_described", "metric_loss", "paired", "coral_*", "nothing")
_DIVISIONS = {
    "closed": ("closed_set", "within", 0.2),
    "disjoint": ("identity_disjoint", "within", 0.2),
    "known, across": ("closed_set", "across", 0.0),
    OWN: ("identity_disjoint", "across", 0.0),
}
CONFIG = SimpleNamespace(split={"name": "identity_disjoint"}, sides="across")


def experiment() -> SimpleNamespace:
    divisions = {
        label: {"split": {"name": split}, "sides": sides, "queries": queries, "gallery": "role"}
        for label, (split, sides, queries) in _DIVISIONS.items()
    }
    own = divisions.pop(OWN)
    arms = {name: SimpleNamespace(against="metric_loss" if name == "paired" else None) for name in ARMS}
    file = SimpleNamespace(baseline="as_described")
    about = {"name": "remedies", "path": "r.yaml", "equivalence": None, "looks": ()}
    return SimpleNamespace(file=file, arms=arms, also_on=divisions, division=own, **about)


def scores(condition: str, arm: str) -> np.ndarray:
    """Return (identities, seeds): each condition has a number of identities of its own."""
    count = 14 + 2 * list(LEVELS).index(condition)
    generator = np.random.default_rng([ARMS.index(arm), count])
    own = np.linspace(-0.08, 0.08, count)[:, None]
    noise = generator.normal(0, 0.01, (count, len(SEEDS)))
    return LEVELS[condition] + EFFECT.get((arm, condition), 0.0) + own + noise


def runs(condition: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    metrics, queries = [], []
    for arm in ARMS:
        values = scores(condition, arm)
        for s, seed in enumerate(SEEDS):
            known = {"arm": arm, "run": f"{arm}{seed}", "seed": seed, "id_map": values[:, s].mean(), "versions": "-"}
            counts = {"queries": len(values), "identities": len(values), "diverged": False}
            levels = {"chance": CHANCES[condition], "val_id_map": LEVELS[condition] + 0.02}
            row = {name: 0.0 if kind == pl.Float64 else 0 for name, kind in METRICS.columns.items()}
            metrics.append(row | known | counts | levels)
            queries += [
                {
                    "arm": arm,
                    "seed": seed,
                    "split": 0,
                    "image": f"{i}.png",
                    "identity": f"p{i}",
                    "group": f"{i}",
                    "ap": ap,
                }
                for i, ap in enumerate(values[:, s])
            ]
    return pl.DataFrame(metrics, schema=METRICS.columns), pl.DataFrame(queries, schema=PER_QUERY.columns)


def also() -> tuple[pl.DataFrame, pl.DataFrame]:
    found = {label: runs(label) for label in experiment().also_on}
    tables = [
        pl.concat([parts[i].select(pl.lit(label).alias("label"), pl.all()) for label, parts in found.items()])
        for i in (0, 1)
    ]
    return tables[0], tables[1]


def results() -> pl.DataFrame:
    base = scores(OWN, "as_described")
    found = compare({arm: scores(OWN, arm) - base for arm in ARMS[1:]})
    rows = [
        {
            "arm": arm,
            "delta": each.delta,
            "delta_low": each.low,
            "delta_high": each.high,
            "p_adjusted": each.p_adjusted,
            "smallest_detectable": each.smallest_detectable,
            "verdict": each.verdict,
        }
        for arm, each in found.items()
    ]
    beside = compare({"it": scores(OWN, "paired") - scores(OWN, "metric_loss")})["it"]
    known = {"against": "metric_loss", "against_delta": beside.delta, "against_low": beside.low}
    known |= {"against_high": beside.high, "against_verdict": beside.verdict}
    rows = [row | (known if row["arm"] == "paired" else {}) for row in rows]
    rows = [{"arm": ARMS[0], "verdict": "baseline"}, *rows]
    names = ("arm", "delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable", "verdict", *AGAINST)
    columns = {name: GAP.columns[name] for name in names}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)


@pytest.fixture(scope="module")
def found() -> SimpleNamespace:
    ours = conditions(experiment(), CONFIG, runs(OWN), also(), sided=True)
    return SimpleNamespace(
        conditions=ours, gap=gap_table(experiment(), ours, results()), lost=lost_table(experiment(), ours)
    )


def test_conditions_stand_in_the_order_of_the_file_and_the_own_split_last(found):
    assert [(c.name, c.own) for c in found.conditions] == [(name, name == OWN) for name in LEVELS]
    GAP.check(found.gap, "here")
    first = found.gap.filter(pl.col("baseline"))
    assert first["condition"].to_list() == ["validation", *LEVELS]
    assert first["id_map"].to_list() == pytest.approx([LEVELS[OWN] + 0.02, *LEVELS.values()], abs=0.01)
    assert first["chance"].to_list() == [None, *CHANCES.values()]
    assert first["queries"].to_list() == [None, 14, 16, 18, 20]
    assert first["split"][4] == "identity_disjoint, query side against gallery side"
    assert first["split"][1] == "closed_set, query side only, 20% of the test images as queries"


def test_the_own_split_is_named_after_what_it_tests():
    assert own_name(CONFIG, True, []) == OWN
    assert own_name(CONFIG, False, []) == "unseen identities"
    assert own_name(CONFIG, False, ["unseen identities"]) == "unseen identities (own)"
    division = {"split": {"name": "x"}, "sides": "within", "queries": 0.0}
    assert describe_split(division, sided=False) == "x"


def test_differences_are_those_of_the_paired_statistics_in_each_condition(found):
    columns = ("delta", "delta_low", "delta_high", "p_adjusted", "smallest_detectable")
    for condition in LEVELS:
        base = scores(condition, "as_described")
        expected = compare({arm: scores(condition, arm) - base for arm in ARMS[1:]})
        for arm in ARMS[1:]:
            (row,) = found.gap.filter((pl.col("arm") == arm) & (pl.col("condition") == condition)).to_dicts()
            each = expected[arm]
            numbers = [each.delta, each.low, each.high, each.p_adjusted, each.smallest_detectable]
            assert [row[name] for name in columns] == pytest.approx(numbers)
            sign = EFFECT.get((arm, condition), 0.0)
            assert row["verdict"] == ("better" if sign > 0 else "worse" if sign < 0 else "inconclusive")
    validation = found.gap.filter((pl.col("condition") == "validation") & ~pl.col("baseline"))
    assert validation["val_id_map"].to_list() == validation["id_map"].to_list()
    assert validation["verdict"].is_null().all() and validation["delta_low"].is_null().all()


def test_a_remedy_with_a_control_is_compared_with_that(found):
    changed = {(row["arm"], row["condition"]): row for row in effects(found.gap)}
    assert len(changed) == 4 * 4
    for condition in LEVELS:
        each = compare({"it": scores(condition, "paired") - scores(condition, "metric_loss")})["it"]
        row = changed["paired", condition]
        assert row["reference"] == "metric_loss"
        assert [row["delta"], row["low"], row["high"]] == pytest.approx([each.delta, each.low, each.high])
        assert changed["coral_*", condition]["reference"] == "as_described"
    assert [changed["paired", name]["verdict"] for name in LEVELS] == ["worse", "worse", "inconclusive", "better"]


def test_the_share_kept_is_the_quotient_of_the_scores_above_chance(found):
    LOST.check(found.lost, "here")
    rows = {(row["arm"], row["condition"]): row for row in found.lost.to_dicts()}
    for (arm, condition), row in rows.items():
        above = scores(condition, arm).mean() - CHANCES[condition]
        whole = scores("closed", arm).mean() - CHANCES["closed"]
        assert row["above"] == pytest.approx(above)
        assert row["kept"] == pytest.approx(above / whole)
    assert rows["as_described", OWN]["kept"] == pytest.approx(0.1 / 0.6, abs=0.01)
    assert rows["as_described", "closed"]["kept_low"] is None


def test_the_interval_of_the_share_has_its_nominal_coverage():
    generator, covered, count = np.random.default_rng(3), 0, 300
    for _ in range(count):
        arms = [
            SimpleNamespace(scores=lambda values=values: ([], values), metrics=pl.DataFrame({"chance": [0.1]}))
            for values in (
                level
                + generator.normal(0, spread, (20, 1))
                + generator.normal(0, 0.02, (1, 5))
                + generator.normal(0, 0.05, (20, 5))
                for level, spread in ((0.6, 0.15), (0.35, 0.03))
            )
        ]
        ours = [SimpleNamespace(name=str(i), arms={"base": arm}) for i, arm in enumerate(arms)]
        planted = SimpleNamespace(name="e", arms=["base"], file=SimpleNamespace(baseline="base"))
        row = lost_table(planted, ours).to_dicts()[1]
        covered += row["kept_low"] < 0.5 < row["kept_high"]
    assert 0.91 <= covered / count <= 0.995


def test_one_seed_has_a_score_and_no_interval():
    first = pl.col("seed") == SEEDS[0]
    metrics, queries = (table.filter(first) for table in also())
    own = tuple(table.filter(first) for table in runs(OWN))
    ours = conditions(experiment(), CONFIG, own, (metrics, queries), sided=True)
    lost = lost_table(experiment(), ours)
    assert lost["above"].is_null().all() and lost["kept"].is_null().all()
    assert set(lost["note"]) == {"only one seed or one identity: the uncertainty of the scores is unknown"}
    gap = gap_table(experiment(), ours, results())
    closed = gap.filter((pl.col("condition") == "closed") & (pl.col("arm") == "nothing"))
    assert (closed["verdict"][0], closed["delta_low"][0]) == ("inconclusive", None) and closed["delta"][0] is not None
    assert "is undefined: only one seed" in " ".join(sections(gap, lost, {})[0].statements)


def test_an_arm_with_a_run_that_cannot_be_ranked_has_no_mean():
    metrics, queries = also()
    broken = (pl.col("arm") == "nothing") & (pl.col("seed") == 1) & (pl.col("label") == "closed")
    metrics = metrics.with_columns(
        id_map=pl.when(broken).then(float("nan")).otherwise("id_map"),
        queries=pl.when(broken).then(0).otherwise("queries"),
    )
    gap = gap_table(experiment(), conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), True), results())
    (row,) = gap.filter((pl.col("condition") == "closed") & (pl.col("arm") == "nothing")).to_dicts()
    assert (row["id_map"], row["id_map_std"], row["id_map_by_seed"][1]) == (None, None, None)
    assert (row["seeds"], row["queries"]) == (4, 14)


def test_a_score_that_is_not_above_chance_has_no_share(found):
    metrics, queries = also()
    closed = pl.col("label") == "closed"
    metrics = metrics.with_columns(chance=pl.when(closed).then(0.9).otherwise("chance"))
    lost = lost_table(experiment(), conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), sided=True))
    assert lost["kept"].is_null().all()
    assert set(lost["note"]) == {"not above chance in the first condition"}
    statements = " ".join(sections(found.gap, lost, {})[0].statements)
    assert "is undefined: not above chance in the first condition." in statements


def test_the_statements_carry_the_numbers_of_the_tables(found):
    where, remedies = sections(found.gap, found.lost, {"coral_*": ["coral"]})
    base = {row["condition"]: row for row in found.gap.filter("baseline").to_dicts()}
    kept = {row["condition"]: row for row in found.lost.filter("baseline").to_dicts()}
    chain = ", ".join(f"{base[c]['id_map']:.3f} in *{c}* (chance {CHANCES[c]:.3f})" for c in LEVELS)
    share = kept["known, across"]
    assert where.statements == [
        f"The test mAP of the baseline **as_described** is {chain}.",
        f"Its validation mAP in *{OWN}* is 0.170: that, and no easier condition's, is comparable with the test mAP of "
        f"{base[OWN]['id_map']:.3f} there.",
        where.statements[2],
        "Of the conditions in between, *known, across* costs it most: its interval is below the others'.",
    ]
    assert where.statements[2].startswith("Of its mAP above chance in *closed*, the baseline keeps 67% [")
    interval = f"{share['kept']:.0%} [{share['kept_low']:.0%}, {share['kept_high']:.0%}] in *known, across*, "
    assert interval in where.statements[2]
    changed = {(row["arm"], row["condition"]): row for row in effects(found.gap)}
    paired = changed["paired", OWN]
    own = remedies.statements[1]
    assert own.startswith(
        f"In *{OWN}*, the experiment's own condition: better: **metric_loss** than **as_described** (+0.05"
    )
    assert (
        f"**paired** than **metric_loss** ({paired['delta']:+.3f} [{paired['low']:+.3f}, {paired['high']:+.3f}])" in own
    )
    assert "; worse: **paired** than **metric_loss** (-0.10" in next(
        line for line in remedies.statements if line.startswith("In *closed*")
    )
    assert remedies.statements[-3:] == [
        "Better in every condition than its control, or than the baseline: **coral\\_\\***.",
        f"**paired** is better in *{OWN}* alone than its control, or than the baseline: do not expect the gain elsewhere.",
        "**coral\\_\\*** (coral) is transductive: its scores hold for queries that arrive together, not for a single one.",
    ]
    assert "nothing" not in " ".join(remedies.statements)
    assert [len(block.rows) for block in (*where.tables, *remedies.tables)] == [25, 20, 20]
    assert (set(where.figures), set(remedies.figures)) == ({"gap"}, {"remedies"})


def test_which_condition_costs_most_is_left_open_where_intervals_overlap(found):
    assert costliest(found.lost) == {"among": ["disjoint", "known, across"], "condition": "known, across"}
    wide = found.lost.with_columns(kept_low=pl.col("kept") - 0.3, kept_high=pl.col("kept") + 0.3)
    assert costliest(wide)["condition"] is None
    statements = sections(found.gap, wide, {})[0].statements
    assert any("*disjoint* and *known, across* it is undecided which" in line for line in statements)


def test_an_arm_without_any_effect_in_a_condition_is_named():
    """Training on both sides is training on the query side where a split leaves the gallery side out."""
    metrics, queries = also()
    base, arm = (pl.col("arm") == name for name in ("as_described", "nothing"))
    closed = pl.col("label") == "closed"
    same = queries.filter(closed & base).with_columns(arm=pl.lit("nothing"))
    queries = pl.concat([queries.filter(~(closed & arm)), same])
    ours = conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), sided=True)
    gap = gap_table(experiment(), ours, results())
    lines = sections(gap, lost_table(experiment(), ours), {})[1].statements
    assert [line for line in lines if "no effect" in line] == [
        "In *closed* **nothing** scores exactly as the arm compared with: the change has no effect there."
    ]


def test_without_a_difference_the_smallest_detectable_one_is_stated(found):
    quiet = found.gap.with_columns(
        verdict=pl.lit("inconclusive"),
        against_verdict=pl.lit("inconclusive"),
        against_smallest_detectable="smallest_detectable",
    )
    largest = found.gap.filter(pl.col("condition") == "closed")["smallest_detectable"].max()
    assert by_condition(effects(quiet))[0]["smallest_detectable"] == largest
    (line,) = [each for each in sections(quiet, found.lost, {})[1].statements if each.startswith("In *closed*")]
    assert (
        f"no remedy is significantly different from its control, or from the baseline where it names none; differences of {largest:.3f} and more"
        in line
    )
    noisy = quiet.with_columns(smallest_detectable=pl.lit(1.0))
    assert any("noise would hide any" in line for line in sections(noisy, found.lost, {})[1].statements)


def test_arms_compared_in_few_conditions_are_neither_better_everywhere_nor_in_one_alone(found):
    assert consistent(effects(found.gap)) == {"every": ["coral_*"], "one": {"paired": OWN}}
    part = found.gap.filter((pl.col("arm") != "coral_*") | (pl.col("condition") != "closed"))
    assert consistent(effects(part)) == {"every": [], "one": {"paired": OWN}}
    assert consistent(effects(found.gap.filter(pl.col("condition").is_in(["validation", OWN])))) == {
        "every": [],
        "one": {},
    }


def test_a_baseline_that_was_not_run_on_a_split_is_an_error():
    metrics, queries = (
        table.filter((pl.col("arm") != "as_described") | (pl.col("label") != "closed")) for table in also()
    )
    with pytest.raises(ReidflowError, match=r"no runs in 'closed'.*also_on.parquet"):
        conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), sided=True)


def test_the_planted_tables_have_the_contracts_of_the_files():
    metrics, queries = also()
    ALSO_ON.check(metrics, "here")
    ALSO_ON_QUERIES.check(queries, "here")


def test_the_map_of_a_condition_is_a_quantity_with_the_verdict_of_that_condition():
    own = runs(OWN)
    gap = gap_table(experiment(), conditions(experiment(), CONFIG, own, also(), True), results())
    rows = {row["arm"]: row for row in quantity_rows(experiment(), gap, [Quantity("disjoint", "h", "m", "higher")])}
    base = scores("disjoint", "as_described")
    expected = compare({arm: scores("disjoint", arm) - base for arm in ARMS[1:]})
    assert rows["metric_loss"]["verdict"] == "better" and rows["as_described"]["verdict"] == "baseline"
    for arm, found in expected.items():
        assert rows[arm]["value"] == pytest.approx(scores("disjoint", arm).mean())
        assert (rows[arm]["delta"], rows[arm]["verdict"]) == (pytest.approx(found.delta), found.verdict)


def test_a_remedy_that_is_better_than_the_baseline_is_said_to_be_so_where_its_control_ties_with_it(found):
    """The table has the verdict `better` in that row: the findings must say against what nothing is different."""
    quiet = found.gap.with_columns(
        verdict=pl.when(pl.col("arm") == "paired").then("verdict").otherwise(pl.lit("inconclusive")),
        against_verdict=pl.lit("inconclusive"),
    )
    lines = sections(quiet, found.lost, {})[1].statements
    for condition in LEVELS:
        row = quiet.filter((pl.col("arm") == "paired") & (pl.col("condition") == condition)).row(0, named=True)
        own = [line for line in lines if line.startswith(f"In *{condition}*")]
        if condition == "closed":
            assert row["verdict"] == "worse"
        if row["verdict"] == "inconclusive":
            assert not any("compared with the baseline" in line for line in own)
            continue
        assert (
            "no remedy is significantly different from its control, or from the baseline where it names none" in own[0]
        )
        numbers = f"{row['delta']:+.3f} [{row['delta_low']:+.3f}, {row['delta_high']:+.3f}]"
        assert own[1] == (
            f"In *{condition}*, compared with the baseline instead of the control, {row['verdict']}: "
            f"**paired** than **as_described** ({numbers})."
        )
