"""The table of pairs of flanks against sorting each query's candidates by itself, and the sentences on it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.flanks import report, tables
from reidflow.analyses.flanks.tables import ABOVE, FLANKS, OTHER, SAME, flanks_table, found_by_arms
from reidflow.evaluation.layout import Layout

IDENTITIES, IMAGES, SEEDS = 12, 10, (0, 1, 2)
COUNT = IDENTITIES * IMAGES
WHO = np.arange(COUNT) % IDENTITIES
FLANK = [("left", "right", None)[(i // IDENTITIES) % 5 % 3] for i in range(COUNT)]
EXPERIMENT = SimpleNamespace(name="mine", file=SimpleNamespace(baseline="coat"))


def layout(same: bool = False, flanks: list = FLANK) -> Layout:
    names = [f"{i:03d}" for i in range(COUNT)]
    group = [f"{i if i % 7 else i - i % 14}" for i in range(COUNT)]
    split = pl.DataFrame({"image": names, "identity": [f"i{w}" for w in WHO], "group": group, "role": "test"})
    split = split.with_columns(side=pl.lit(None, pl.String))
    if same:
        split = split.with_columns(shared=pl.Series([[flank] for flank in flanks], dtype=pl.List(pl.String)))
    return Layout(split, pl.DataFrame({"image": names, "flank": flanks}, schema_overrides={"flank": pl.String}), "role")


def coat(seed: int) -> np.ndarray:
    """Return similarities of a network that knows an animal by each flank's coat."""
    left = np.array([flank == "left" for flank in FLANK])
    known = (WHO[:, None] == WHO) & (left[:, None] == left)
    return (1.5 * known + np.random.default_rng(seed).standard_normal((COUNT, COUNT))).astype(np.float32)


def table(monkeypatch, made: Layout) -> pl.DataFrame:
    vectors = np.zeros((COUNT, 1), np.float32)

    def retrieval(made, run, _):
        matrix, excluded = coat(run.seed), made.masks().excluded(slice(None))
        # As rankings by local features: they score no image that is no candidate.
        return replace(made.retrieval(vectors, vectors, None), matrix=np.where(excluded, np.float32(-9), matrix))

    monkeypatch.setattr(tables, "arm_retrieval", retrieval)
    found = flanks_table(EXPERIMENT, found_by_arms(made, {"coat": [SimpleNamespace(seed=seed) for seed in SEEDS]}))
    FLANKS.check(found, "here")
    return found


def by_hand(made: Layout, wanted: str) -> tuple[float, float, int]:
    """Return balanced mAP and top-1, mean over seeds, and the number of queries of a pair."""
    groups, maps, tops = made.table["group"].to_list(), [], []
    for seed in SEEDS:
        matrix, of, first = coat(seed).astype(float), {}, []
        for q in range(COUNT):
            own = FLANK[q]
            open_ = [
                g for g in range(COUNT)
                if groups[g] != groups[q]
                and (
                    (own is not None and FLANK[g] is not None and (own == FLANK[g]) == (wanted == SAME))
                    if wanted in (SAME, OTHER)
                    else wanted == f"{own or 'unknown'} - {FLANK[g] or 'unknown'}"
                )
            ]  # fmt: skip
            hits = np.array([WHO[g] == WHO[q] for g in sorted(open_, key=lambda g: -matrix[q, g])], bool)
            if hits.any():
                of.setdefault(WHO[q], []).append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
                first.append(hits[0])
        maps.append(np.mean([np.mean(own) for own in of.values()]))
        tops.append(np.mean(first))
    return float(np.mean(maps)), float(np.mean(tops)), len(first)


@pytest.mark.parametrize("same", [False, True])
def test_every_pair_is_that_of_sorting_each_query_by_itself_whatever_the_metric_leaves_out(monkeypatch, same):
    made = layout(same)
    found = table(monkeypatch, made)
    assert found["pair"].to_list()[:3] == [SAME, OTHER, "left - left"] and found["pair"][-1] == "unknown - unknown"
    for row in found.to_dicts():
        value, first, queries = by_hand(made, row["pair"])
        assert (row["id_map"], row["top1"], row["queries"]) == (pytest.approx(value), pytest.approx(first), queries)
        assert row["excess"] == pytest.approx(row["id_map"] - row["chance"])
    rows = {row["pair"]: row for row in found.to_dicts()}
    assert rows[SAME]["verdict"] == ABOVE and rows[SAME]["excess_low"] > 0
    assert rows["left - right"]["verdict"] == rows[OTHER]["verdict"] == "inconclusive"
    assert rows[OTHER]["excess_low"] < 0 < rows[OTHER]["excess_high"]


def test_the_sentences_have_the_tables_numbers(monkeypatch):
    found = table(monkeypatch, layout())
    rows = {row["pair"]: row for row in found.to_dicts()}
    (section,) = report.sections(found, ["coat"], FLANK.count(None), COUNT)
    first, last = section.statements
    assert f"same flank with a balanced mAP of {rows[SAME]['id_map']:.3f} (chance {rows[SAME]['chance']:.3f}" in first
    assert f"other flanks with {rows[OTHER]['id_map']:.3f}" in first and first.endswith(
        "not significantly different from chance."
    )
    assert last == f"The flank of {FLANK.count(None)} of {COUNT} test queries is unknown."
    (alone,) = report.sections(FLANKS.empty(), ["coat"], COUNT, COUNT)
    assert alone.statements == ["Fewer than two flanks are known of the test images: there are no pairs of flanks."]


def test_one_known_flank_has_no_pairs(monkeypatch):
    assert table(monkeypatch, layout(flanks=["left", None] * (COUNT // 2))).is_empty()
