"""The tables, statements and figures of a report on several splits, against planted gaps and remedies."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.gap import figures as figures
from reidflow.analyses.gap.findings import sections
from reidflow.analyses.gap.tables import GAP, LOST, conditions, effects, gap_table, lost_table, own_name
from reidflow.evaluation.arm import METRICS, PER_QUERY
from reidflow.evaluation.other_splits import ALSO_ON, ALSO_ON_QUERIES
from reidflow.evaluation.statistics import compare
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError
from reidflow.tables.comparisons import AGAINST
from reidflow.tables.sections import read_sections, write_sections

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
HEADING = Heading("Which <remedy> closes the gap?", "demo (demo scale)")
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
    return SimpleNamespace(name="remedies", path="r.yaml", file=file, arms=arms, also_on=divisions, division=own)


def scores(setting: str, arm: str) -> np.ndarray:
    """Return (identities, seeds): as many identities as no other setting has."""
    count = 14 + 2 * list(LEVELS).index(setting)
    generator = np.random.default_rng([ARMS.index(arm), count])
    own = np.linspace(-0.08, 0.08, count)[:, None]
    noise = generator.normal(0, 0.01, (count, len(SEEDS)))
    return LEVELS[setting] + EFFECT.get((arm, setting), 0.0) + own + noise


def runs(setting: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    metrics, queries = [], []
    for arm in ARMS:
        values = scores(setting, arm)
        for s, seed in enumerate(SEEDS):
            known = {"arm": arm, "run": f"{arm}{seed}", "seed": seed, "id_map": values[:, s].mean(), "versions": "-"}
            counts = {"queries": len(values), "identities": len(values), "diverged": False}
            told = {"chance": CHANCES[setting], "val_id_map": LEVELS[setting] + 0.02}
            row = {name: 0.0 if kind == pl.Float64 else 0 for name, kind in METRICS.columns.items()}
            metrics.append(row | known | counts | told)
            queries += [
                {"arm": arm, "seed": seed, "image": f"{i}.png", "identity": f"p{i}", "group": f"{i}", "ap": ap}
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
            "delta": told.delta,
            "delta_low": told.low,
            "delta_high": told.high,
            "p_holm": told.p_holm,
            "smallest_detectable": told.smallest_detectable,
            "verdict": told.verdict,
        }
        for arm, told in found.items()
    ]
    beside = compare({"it": scores(OWN, "paired") - scores(OWN, "metric_loss")})["it"]
    known = {"against": "metric_loss", "against_delta": beside.delta, "against_low": beside.low}
    known |= {"against_high": beside.high, "against_verdict": beside.verdict}
    rows = [row | (known if row["arm"] == "paired" else {}) for row in rows]
    rows = [{"arm": ARMS[0], "verdict": "baseline"}, *rows]
    columns = {"arm": pl.String, **{n: GAP.columns[n] for n in ("delta", "delta_low", "delta_high", "p_holm")}}
    columns |= {"smallest_detectable": pl.Float64, "verdict": pl.String, **AGAINST}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)


@pytest.fixture(scope="module")
def found() -> SimpleNamespace:
    asked = experiment()
    settings = conditions(asked, CONFIG, runs(OWN), also(), sided=True)
    return SimpleNamespace(
        settings=settings, gap=gap_table(asked, settings, results()), lost=lost_table(asked, settings)
    )


def test_the_settings_stand_from_the_first_of_the_file_to_the_experiments_own(found):
    assert [s.name for s in found.settings] == list(LEVELS)
    assert [s.own for s in found.settings] == [False, False, False, True]
    GAP.check(found.gap, "here")
    first = found.gap.filter(pl.col("baseline"))
    assert first["setting"].to_list() == ["validation", *LEVELS]
    assert first["id_map"].to_list() == pytest.approx([LEVELS[OWN] + 0.02, *LEVELS.values()], abs=0.01)
    assert first["chance"].to_list() == [None, *CHANCES.values()]
    assert first["queries"].to_list() == [None, 14, 16, 18, 20]
    assert first["split"][4] == "identity_disjoint, photographs among images of the side gallery"
    assert first["split"][1] == "closed_set, photographs alone, 20% of them ask"


def test_differences_are_those_of_the_paired_statistics_in_each_setting(found):
    for setting in LEVELS:
        base = scores(setting, "as_described")
        wanted = compare({arm: scores(setting, arm) - base for arm in ARMS[1:]})
        for arm in ARMS[1:]:
            (row,) = found.gap.filter((pl.col("arm") == arm) & (pl.col("setting") == setting)).to_dicts()
            told = [row[c] for c in ("delta", "delta_low", "delta_high", "p_holm", "smallest_detectable")]
            want = wanted[arm]
            assert told == pytest.approx([want.delta, want.low, want.high, want.p_holm, want.smallest_detectable])
            sign = EFFECT.get((arm, setting), 0.0)
            assert row["verdict"] == ("better" if sign > 0 else "worse" if sign < 0 else "inconclusive")
    validation = found.gap.filter((pl.col("setting") == "validation") & ~pl.col("baseline"))
    assert validation["val_id_map"].to_list() == validation["id_map"].to_list()
    assert validation["verdict"].is_null().all() and validation["delta_low"].is_null().all()


def test_a_remedy_is_told_from_the_arm_that_it_stands_on(found):
    changed = {(row["arm"], row["setting"]): row for row in effects(found.gap)}
    assert len(changed) == 4 * 4
    for setting in LEVELS:
        want = compare({"it": scores(setting, "paired") - scores(setting, "metric_loss")})["it"]
        row = changed["paired", setting]
        assert row["beside"] == "metric_loss"
        assert [row["delta"], row["low"], row["high"]] == pytest.approx([want.delta, want.low, want.high])
        assert changed["coral_*", setting]["beside"] == "as_described"
    assert [changed["paired", setting]["verdict"] for setting in LEVELS] == [
        "worse", "worse", "inconclusive", "better",
    ]  # fmt: skip


def test_the_share_kept_is_the_quotient_of_the_scores_above_chance(found):
    LOST.check(found.lost, "here")
    rows = {(row["arm"], row["setting"]): row for row in found.lost.to_dicts()}
    for (arm, setting), row in rows.items():
        above = scores(setting, arm).mean() - CHANCES[setting]
        whole = scores("closed", arm).mean() - CHANCES["closed"]
        assert row["above"] == pytest.approx(above)
        assert row["kept"] == pytest.approx(above / whole)
    assert rows["as_described", OWN]["kept"] == pytest.approx(0.1 / 0.6, abs=0.01)
    assert rows["as_described", "closed"]["kept_low"] is None


def test_the_interval_of_the_share_covers_it_as_often_as_it_says():
    generator, held, whole = np.random.default_rng(3), 0, 300
    for _ in range(whole):
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
        settings = [SimpleNamespace(name=str(i), arms={"base": arm}) for i, arm in enumerate(arms)]
        asked = SimpleNamespace(name="e", arms=["base"], file=SimpleNamespace(baseline="base"))
        row = lost_table(asked, settings).to_dicts()[1]
        held += row["kept_low"] < 0.5 < row["kept_high"]
    assert 0.91 <= held / whole <= 0.995


def test_a_score_that_is_not_above_chance_has_no_share():
    asked = experiment()
    metrics, queries = also()
    closed = pl.col("label") == "closed"
    metrics = metrics.with_columns(chance=pl.when(closed).then(0.9).otherwise("chance"))
    lost = lost_table(asked, conditions(asked, CONFIG, runs(OWN), (metrics, queries), sided=True))
    assert lost["kept"].is_null().all()
    assert set(lost["note"]) == {"not above chance in the first setting"}
    told = " ".join(
        sections(gap_table(asked, conditions(asked, CONFIG, runs(OWN), also(), True), results()), lost, {}, [])[
            0
        ].statements
    )
    assert "not defined: not above chance" in told


def test_the_sentences_name_what_was_planted(found, tmp_path):
    write_sections(tmp_path / "gap.json", sections(found.gap, found.lost, {"coral_*": ["coral"]}, ["coral_*"]))
    where, remedies = read_sections(tmp_path / "gap.json")
    whole = " ".join(where.statements)
    assert "has a test mAP of 0.619 in *closed*" in whole and f"in *{OWN}* (chance 0.050)" in whole
    assert "Its validation mAP is 0.640 in *closed*" in whole
    assert "Of its score above chance in *closed*, the baseline keeps 67%" in whole
    assert "Taken alone, *known, across* costs it most" in whole
    lines = "\n".join(remedies.statements)
    assert "Better in every setting: **coral\\_\\*** " in lines.replace(".", " ")
    assert f"**paired** in *{OWN}*, and worse in *closed* and *disjoint*" in lines
    assert "its difference to the arm that it stands on" in lines and "**paired** with **metric_loss**" in lines
    assert "metric" not in next(line for line in remedies.statements if line.startswith("Better in one setting alone"))
    assert "with the help of the other queries: **coral\\_\\*** (coral). Such scores hold" in lines
    assert all("nothing" not in line for line in remedies.statements[1:])
    assert [len(block.rows) for block in (*where.tables, *remedies.tables)] == [25, 20, 20]


def test_what_costs_most_is_left_open_where_the_intervals_overlap(found):
    wide = found.lost.with_columns(kept_low=pl.col("kept") - 0.3, kept_high=pl.col("kept") + 0.3)
    lines = " ".join(sections(found.gap, wide, {}, [])[0].statements)
    assert "Which of *disjoint* and *known, across* costs it most cannot be told" in lines


def test_arms_that_rank_each_query_by_itself_are_said_to(found):
    lines = " ".join(sections(found.gap, found.lost, {}, ["coral_*"])[1].statements)
    assert "No arm is transductive" in lines


def test_an_arm_that_changes_nothing_in_a_setting_is_named():
    """Training on both sides is training on photographs where a split leaves the other side out."""
    metrics, queries = also()
    base, arm = (pl.col("arm") == name for name in ("as_described", "nothing"))
    closed = pl.col("label") == "closed"
    same = queries.filter(closed & base).with_columns(arm=pl.lit("nothing"))
    queries = pl.concat([queries.filter(~(closed & arm)), same])
    settings = conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), sided=True)
    gap = gap_table(experiment(), settings, results())
    lines = sections(gap, lost_table(experiment(), settings), {}, [])[1].statements
    assert [line for line in lines if "changes nothing" in line] == [
        "**nothing** changes nothing in *closed*: it scores there as **as_described** to the last digit."
    ]


def test_where_nothing_is_found_it_is_said_what_could_have_been(found):
    still = pl.lit("inconclusive")
    quiet = found.gap.with_columns(
        verdict=still, against_verdict=still, against_smallest_detectable="smallest_detectable"
    )
    (line,) = [line for line in sections(quiet, found.lost, {}, [])[1].statements if line.startswith("In *closed*")]
    largest = found.gap.filter(pl.col("setting") == "closed")["smallest_detectable"].max()
    assert line == (
        f"In *closed* no remedy is found to change anything: a change of {largest:.3f} would most likely have been found."
    )
    noisy = quiet.with_columns(smallest_detectable=pl.lit(1.0))
    assert any("the noise hides any" in line for line in sections(noisy, found.lost, {}, [])[1].statements)


def test_the_own_split_is_named_after_what_it_asks():
    assert own_name(CONFIG, True, []) == OWN
    assert own_name(CONFIG, False, []) == "unseen identities"
    assert own_name(CONFIG, False, ["unseen identities"]) == "unseen identities (own)"


def test_a_baseline_that_was_not_run_on_a_split_is_an_error():
    metrics, queries = (
        table.filter((pl.col("arm") != "as_described") | (pl.col("label") != "closed")) for table in also()
    )
    with pytest.raises(ReidflowError, match=r"no runs in 'closed'.*also_on.parquet"):
        conditions(experiment(), CONFIG, runs(OWN), (metrics, queries), sided=True)


def test_what_was_planted_has_the_contracts_of_the_files():
    metrics, queries = also()
    ALSO_ON.check(metrics, "here")
    ALSO_ON_QUERIES.check(queries, "here")


def test_the_figures_show_every_arm_and_setting(found, tmp_path):
    figures.draw_gap(found.gap, HEADING, tmp_path / "gap")
    figures.draw_remedies(found.gap, HEADING, tmp_path / "remedies")
    for name, shown in (("gap", ARMS), ("remedies", ARMS[1:])):
        text = (tmp_path / f"{name}.svg").read_text()
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000
        assert all(arm in text for arm in shown)
        assert all(word in text for setting in LEVELS for word in setting.split())


def test_figures_of_nothing_say_so(tmp_path):
    lone = pl.DataFrame([{**dict.fromkeys(GAP.columns), "arm": "a", "baseline": True}], schema=GAP.columns)
    figures.draw_remedies(lone, HEADING, tmp_path / "remedies")
    assert "No arm can be compared with another one" in (tmp_path / "remedies.svg").read_text()
