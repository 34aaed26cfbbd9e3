"""The table, statements and figure of what misleads, against networks that see what was planted."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.errors import tables as tables
from reidflow.analyses.errors.figures import draw_errors
from reidflow.analyses.errors.findings import sections
from reidflow.analyses.errors.tables import ERRORS, LESS, MORE, compared_arms, errors_table, looks_of
from reidflow.evaluation.arm import Layout
from reidflow.evaluation.asked import Retrieval
from reidflow.evaluation.statistics import compare
from reidflow.figures.style import Heading

SEEDS, IDENTITIES, IMAGES = (0, 1, 2), 18, 4
COUNT = IDENTITIES * IMAGES
HEADING = Heading("What <misleads>?", "demo (demo scale)")
ASKED = SimpleNamespace(name="faces", file=SimpleNamespace(baseline="dull"), arms=["other", "dull", "keen"])


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
    """Looks at random, but that each individual is a little of its own brightness; no mask anywhere."""
    generator = np.random.default_rng(8)
    values = generator.normal(0, 10, (COUNT + 1, 4))
    values[:, 0] += 3 * np.append(np.arange(COUNT) % IDENTITIES, 0)
    values[:, 3] = np.nan
    return values


def retrieval(arm: str, seed: int, sharp: float = 1.0) -> Retrieval:
    """The dull network ranks by brightness, the keen one by who it is, both with noise."""
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
    monkeypatch.setattr(tables, "asked", lambda _, made, mirrored: retrieval(made.arm, made.seed, sharp))
    runs = {arm: [SimpleNamespace(arm=arm, seed=seed) for seed in seeds] for arm in ("dull", "keen")}
    found = errors_table(ASKED, layout(), runs, seen())
    ERRORS.check(found, "here")
    return found


def test_a_network_that_sees_brightness_is_found_out(monkeypatch):
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


def test_networks_alike_are_not_told_apart_more_often_than_promised():
    """The excess of random rankings is judged as anything but inconclusive in 7 % of trials at most."""
    light, trials, blamed = seen()[:COUNT, 0], 150, 0
    for trial in range(trials):
        generator = np.random.default_rng([trial, 77])
        counted = []
        for _ in SEEDS:
            matrix = generator.normal(0, 1, (COUNT, COUNT)).astype(np.float32)
            vectors = np.zeros((COUNT, 1), np.float32)
            asked = Retrieval(vectors, vectors, np.arange(COUNT), matrix=matrix)
            looks = np.zeros((COUNT, 4))
            looks[:, 0] = light
            who = np.arange(COUNT) % IDENTITIES
            counted.append(tables._columns(tables.error_patterns(asked, who, who, looks, looks), "brightness", who))
        found = tables._Counted(*(np.stack(values, axis=1) for values in zip(*counted, strict=True)))
        blamed += compare({"it": found.excess(found.misled)})["it"].verdict != "inconclusive"
    assert blamed / trials <= 0.07


def test_one_seed_and_few_errors_conclude_nothing(monkeypatch):
    alone = report(monkeypatch, seeds=(0,))
    assert alone["share"].drop_nulls().len() == 6 and alone["share_low"].is_null().all()
    assert set(alone["verdict"]) == {"inconclusive"}
    sure = report(monkeypatch, sharp=2.6).filter(pl.col("arm") == "keen")
    assert 0 < sure["wrong"].max() < 3 and sure["share_low"].is_null().all()
    none = report(monkeypatch, sharp=99.0).filter(pl.col("arm") == "keen")
    assert none["share"].is_null().all()
    assert "No query of **keen** has a wrong first candidate to look at." in sections(none)[0].statements


def test_the_sentences_say_what_was_planted(monkeypatch):
    (found,) = sections(report(monkeypatch))
    whole = "\n".join(found.statements)
    assert "Of the 72 queries of **dull**" in whole and "brightness for" in whole and "by chance" in whole
    assert "With **dull**, more often than a random wrong candidate of the same query:" in whole
    assert "Beyond chance, looks mislead **keen** less often in" in whole
    assert "framing" not in whole
    assert [len(block.rows) for block in found.tables] == [8, 4]


def test_the_figure_shows_both_arms_and_every_known_cue(monkeypatch, tmp_path):
    draw_errors(report(monkeypatch), HEADING, tmp_path / "errors")
    text = (tmp_path / "errors.svg").read_text()
    assert all(words in text for words in ("dull: ", "keen: ", "colour with brightness", "a random wrong candidate"))
    assert "framing" not in text
    draw_errors(report(monkeypatch).with_columns(share=pl.lit(None, pl.Float64)), HEADING, tmp_path / "none")
    assert "No query has a wrong first candidate" in (tmp_path / "none.svg").read_text()


def test_the_best_arm_is_chosen_on_validation():
    metrics = pl.DataFrame(
        {
            "arm": ["other", "other", "dull", "dull", "keen", "keen"],
            "val_id_map": [0.9, None, 0.1, 0.2, 0.3, 0.4],
            "id_map": [0.9, 0.9, 0.8, 0.8, 0.1, 0.1],
        }
    )
    assert compared_arms(ASKED, metrics) == ["dull", "keen"]
    assert compared_arms(ASKED, metrics.with_columns(val_id_map=pl.lit(None, pl.Float64))) == ["dull", "other"]
    assert compared_arms(ASKED, metrics.with_columns(val_id_map="id_map").filter(pl.col("arm") == "dull")) == ["dull"]


def test_looks_stand_where_the_split_has_the_images():
    shown = split()
    manifest = shown.reverse().select("image", pl.lit("none").alias("mask"))
    images = np.zeros((len(shown), 4, 4, 3), np.uint8)
    images[:, ...] = np.arange(len(shown))[:, None, None, None]
    found = looks_of(layout(), manifest, images, np.full(images.shape[:3], 255, np.uint8))
    assert np.isnan(found[-1]).all()
    assert (np.diff(found[:-1, 0]) < 0).all()
