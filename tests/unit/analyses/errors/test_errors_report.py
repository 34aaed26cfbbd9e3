"""The table and statements of wrong first candidates, for networks that rank by what was planted."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.errors import tables
from reidflow.analyses.errors.findings import by_arm, sections
from reidflow.analyses.errors.tables import ERRORS, LESS, MORE, errors_table, looks_of
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.evaluation.statistics import compare

SEEDS, IDENTITIES, IMAGES = (0, 1, 2), 18, 4
COUNT = IDENTITIES * IMAGES
EXPERIMENT = SimpleNamespace(name="faces", file=SimpleNamespace(baseline="dull"), arms=["other", "dull", "keen"])


def split() -> pl.DataFrame:
    rows = [
        {"image": f"{i}.png", "identity": f"p{i % IDENTITIES}", "group": f"{i}", "role": "test", "side": None}
        for i in range(COUNT)
    ]
    schema = dict.fromkeys(("image", "identity", "group", "role", "side"), pl.String)
    return pl.DataFrame([*rows, {**rows[0], "image": "t.png", "role": "train"}], schema=schema)


def layout() -> Layout:
    table = split()
    return Layout(table, table.select("image", pl.lit(None, pl.String).alias("flank")), "role")


def seen() -> np.ndarray:
    """Return random looks in which each individual has a brightness of its own; no image has a mask."""
    generator = np.random.default_rng(8)
    values = generator.normal(0, 10, (COUNT + 1, 4))
    values[:, 0] += 3 * np.append(np.arange(COUNT) % IDENTITIES, 0)
    values[:, 3] = np.nan
    return values


def retrieval(arm: str, seed: int, sharp: float = 1.0) -> Retrieval:
    """Return the ranking of the dull network, by brightness, or of the keen one, by identity, both with noise."""
    generator = np.random.default_rng([seed, len(arm)])
    light, who = seen()[:COUNT, 0], np.arange(COUNT) % IDENTITIES
    noise = generator.normal(0, 1, (COUNT, COUNT))
    if arm == "dull":
        matrix = -np.abs(light[:, None] - light) / 5 + noise * 0.2
    else:
        matrix = sharp * 1.5 * (who[:, None] == who) + noise
    vectors = np.zeros((COUNT, 1), np.float32)
    return Retrieval(vectors, vectors, np.arange(COUNT), matrix=matrix.astype(np.float32))


def report(monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, ...] = SEEDS, sharp: float = 1.0) -> pl.DataFrame:
    monkeypatch.setattr(tables, "arm_retrieval", lambda _, run, mirrored: retrieval(run.arm, run.seed, sharp))
    runs = {arm: [SimpleNamespace(arm=arm, seed=seed) for seed in seeds] for arm in ("dull", "keen")}
    found = errors_table(EXPERIMENT, layout(), runs, seen())
    ERRORS.check(found, "here")
    return found


def test_a_network_that_ranks_by_brightness_is_detected(monkeypatch):
    rows = {(row["arm"], row["cue"]): row for row in report(monkeypatch).to_dicts()}
    dull, keen = rows["dull", "brightness"], rows["keen", "brightness"]
    assert dull["verdict"] == MORE and dull["excess_low"] > 0.2
    assert dull["share"] == pytest.approx(dull["chance"] + dull["excess"])
    assert dull["share_low"] < dull["share"] < dull["share_high"]
    assert keen["verdict"] == "inconclusive" and keen["excess_low"] < 0 < keen["excess_high"]
    assert rows["dull", "colour"]["verdict"] == rows["keen", "colour"]["verdict"] == "inconclusive"
    assert keen["against_verdict"] == LESS and keen["against_high"] < 0
    assert dull["against"] is None and rows["keen", "colour"]["against_verdict"] == "inconclusive"
    assert rows["dull", "framing"]["share"] is None and rows["dull", "framing"]["wrong"] == 0


def test_the_share_is_that_of_all_wrong_queries_of_all_seeds(monkeypatch):
    (row,) = report(monkeypatch).filter((pl.col("arm") == "keen") & (pl.col("cue") == "brightness")).to_dicts()
    light, who, closer, wrong = seen()[:COUNT, 0], np.arange(COUNT) % IDENTITIES, 0, 0
    for seed in SEEDS:
        matrix = retrieval("keen", seed).matrix.astype(float)
        np.fill_diagonal(matrix, -np.inf)
        for q in range(COUNT):
            first = matrix[q].argmax()
            true = np.where(who == who[q], matrix[q], -np.inf).argmax()
            if who[first] != who[q]:
                wrong += 1
                closer += abs(light[q] - light[first]) < abs(light[q] - light[true])
    assert row["wrong"] == wrong / 3 and row["share"] == pytest.approx(closer / wrong)
    assert row["queries"] == COUNT and row["seeds"] == 3


def test_random_rankings_are_rarely_significant():
    """At most 7 % of random rankings have an excess with a verdict."""
    light, trials, blamed = seen()[:COUNT, 0], 150, 0
    for trial in range(trials):
        generator = np.random.default_rng([trial, 77])
        counted = []
        for _ in SEEDS:
            matrix = generator.normal(0, 1, (COUNT, COUNT)).astype(np.float32)
            vectors = np.zeros((COUNT, 1), np.float32)
            ranking = Retrieval(vectors, vectors, np.arange(COUNT), matrix=matrix)
            looks = np.zeros((COUNT, 4))
            looks[:, 0] = light
            who = np.arange(COUNT) % IDENTITIES
            counted.append(tables._columns(tables.error_patterns(ranking, who, who, looks, looks), "brightness", who))
        found = tables._Counted(*(np.stack(values, axis=1) for values in zip(*counted, strict=True)))
        blamed += compare({"it": found.excess(found.misled)})["it"].verdict != "inconclusive"
    assert blamed / trials <= 0.07


def counted(wrong: list[int]) -> tables._Counted:
    """Return counts of two seeds; two of three wrong first candidates are closer, by chance one."""
    found = np.repeat(np.array(wrong, float)[:, None], 2, axis=1)
    return tables._Counted(found * 2 / 3, found / 3, found)


def test_an_interval_needs_five_identities_with_a_wrong_first_candidate():
    assert counted([3, 3, 3, 3, 3, 0]).enough and not counted([3, 3, 3, 3, 0, 0]).enough
    assert "share_low" in counted([3] * 5).share(0.05) and "share_low" not in counted([3] * 4).share(0.05)


def test_arms_are_compared_over_the_identities_that_either_of_them_confuses():
    ours, theirs = counted([3, 6, 0, 0, 3]), counted([0, 3, 3, 9, 0])
    values = tables._paired(ours, tables._Counted(theirs.wrong * 0.5, theirs.chance, theirs.wrong))
    assert values.shape == (5, 2)
    assert values.mean() == pytest.approx((2 / 3 - 1 / 3) - (1 / 2 - 1 / 3))


def test_one_seed_and_few_errors_conclude_nothing(monkeypatch):
    alone = report(monkeypatch, seeds=(0,))
    assert alone["share"].drop_nulls().len() == 6 and alone["share_low"].is_null().all()
    assert set(alone["verdict"]) == {"inconclusive"}
    known = alone.drop_nulls("share")
    assert known["excess"].to_list() == pytest.approx((known["share"] - known["chance"]).to_list())
    sure = report(monkeypatch, sharp=2.6).filter(pl.col("arm") == "keen")
    assert 0 < sure["wrong"].max() < 3 and sure["share_low"].is_null().all()
    none = report(monkeypatch, sharp=99.0).filter(pl.col("arm") == "keen")
    assert none["share"].is_null().all()
    assert "No query of **keen** has a wrong first candidate." in sections(none)[0].statements


def test_the_statements_carry_the_numbers_of_the_table(monkeypatch):
    table = report(monkeypatch)
    (found,) = sections(table)
    rows = {(row["arm"], row["cue"]): row for row in table.to_dicts()}
    row = rows["dull", "brightness"]
    share = f"brightness ({row['share']:.0%} [{row['share_low']:.0%}, {row['share_high']:.0%}], by chance {row['chance']:.0%})"
    assert found.statements[0].startswith(
        "**dull**: significantly more often than by chance, a wrong first candidate is"
    )
    assert share in found.statements[0]
    whole = "\n".join(found.statements)
    assert (
        "**keen**: not significantly different from chance in colour, brightness and colour with brightness." in whole
    )
    assert f"- {round(row['wrong'], 1):g} of the 72 queries of **dull** have" in found.text
    against = rows["keen", "brightness"]
    ends = f"{100 * against['against_low']:+.1f}, {100 * against['against_high']:+.1f}"
    assert f"brightness ({100 * against['against']:+.1f} points [{ends}])" in whole
    assert "Appearance misleads **keen** less often than the baseline" in whole
    assert "Shown are the baseline and the arm" in whole and "augmentation that varies the cue" in whole
    assert "framing" not in whole
    assert [len(block.rows) for block in found.tables] == [8, 4] and set(found.figures) == {"errors"}


def test_without_verdicts_the_statements_say_so(monkeypatch):
    table = report(monkeypatch).with_columns(verdict=pl.lit("inconclusive"), against_verdict=pl.lit("inconclusive"))
    whole = "\n".join(sections(table)[0].statements)
    assert "**keen** is not significantly different from the baseline" in whole and "remedy" not in whole
    dull = by_arm(table)[0]
    assert (dull["baseline"], dull["compared"], len(dull["like_chance"])) == (True, False, 3)
    (alone,) = sections(table.filter("baseline"))
    assert alone.statements[-1].startswith("Shown is the baseline alone")


def test_looks_stand_where_the_split_has_the_images():
    shown = split()
    manifest = shown.reverse().select("image", pl.lit("none").alias("mask"))
    images = np.zeros((len(shown), 4, 4, 3), np.uint8)
    images[:, ...] = np.arange(len(shown))[:, None, None, None]
    found = looks_of(layout(), manifest, images, np.full(images.shape[:3], 255, np.uint8))
    assert np.isnan(found[-1]).all()
    assert (np.diff(found[:-1, 0]) < 0).all()
