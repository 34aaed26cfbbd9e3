"""The tables, statements and figures of a report on the size of images, against planted effects."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from reidflow.analyses.resizing import figures as figures
from reidflow.analyses.resizing.findings import schedule, sections, stages
from reidflow.analyses.resizing.tables import RESIZING, SIZES, sizes_table, training_table
from reidflow.evaluation.image_versions import TESTED_ON
from reidflow.evaluation.statistics import compare
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import Version
from reidflow.tables.sections import read_sections, write_sections

SEEDS, IDENTITIES = (0, 1, 2), [f"animal {n}" for n in range(10, 22)]
STAGES = {
    "full": (None, [32] * 4),
    "small": ("epochs", [16] * 4),
    "small flops": ("flops", [16] * 15),
    "growing_*": ("flops", [16, 16, 16, 32, 32, 32]),
}
VERSIONS = {"large": Version(scale=1.5), "full": Version(), "half": Version(scale=0.5)}
EFFECT = {("small", "full"): -0.2, ("small", "half"): 0.2, ("growing_*", "large"): 0.15, ("small flops", "full"): -0.2}
HEADING = Heading("Which <size> for $5?", "demo (demo scale)")


def experiment(**versions) -> SimpleNamespace:
    arms = {
        name: SimpleNamespace(
            spec=SimpleNamespace(
                model=SimpleNamespace(size=32),
                resizing=SimpleNamespace(matched=matched) if matched else None,
            ),
            seeds=SEEDS,
        )
        for name, (matched, _) in STAGES.items()
    }
    file = SimpleNamespace(baseline="full", tested_on=versions or VERSIONS)
    return SimpleNamespace(name="resizing", path="resizing.yaml", arms=arms, file=file)


def scores() -> dict[tuple[str, str], np.ndarray]:
    generator = np.random.default_rng(5)
    own = generator.uniform(0.2, 0.6, (len(IDENTITIES), 1))
    return {
        (arm, label): own + EFFECT.get((arm, label), 0.0) + generator.normal(0, 0.01, (len(IDENTITIES), len(SEEDS)))
        for arm in STAGES
        for label in VERSIONS
    }


def on_versions() -> pl.DataFrame:
    rows = [
        (arm, seed, label, "both", identity, values[i, s], 0.1)
        for (arm, label), values in scores().items()
        for s, seed in enumerate(SEEDS)
        for i, identity in enumerate(IDENTITIES)
    ]
    return pl.DataFrame(rows, schema=TESTED_ON.columns, orient="row")


def training(**changes) -> pl.DataFrame:
    metrics, history = [], []
    for arm, (_, sizes) in STAGES.items():
        for seed in SEEDS:
            metrics.append({"arm": arm, "seed": seed, "epochs": len(sizes), "train_flops": sum(s * s for s in sizes)})
            history.append({"arm": arm, "seed": seed, "epoch": 0, "size": None})
            history += [{"arm": arm, "seed": seed, "epoch": n, "size": s} for n, s in enumerate(sizes, start=1)]
    results = [
        {
            "arm": arm,
            "id_map": 0.4 + EFFECT.get((arm, "full"), 0.0),
            "id_map_std": 0.01,
            "delta": None if arm == "full" else EFFECT.get((arm, "full"), 0.0),
            "delta_low": -0.25,
            "delta_high": 0.05,
            "p_holm": 0.01,
            "smallest_detectable": 0.03,
            "verdict": "baseline" if arm == "full" else "worse" if (arm, "full") in EFFECT else "inconclusive",
            **changes,
        }
        for arm in STAGES
    ]
    return training_table(experiment(), pl.DataFrame(metrics), pl.DataFrame(history), pl.DataFrame(results))


def test_a_row_tells_what_an_arms_training_cost():
    found = training()
    RESIZING.check(found, "here")
    rows = {row["arm"]: row for row in found.to_dicts()}
    assert list(rows) == list(STAGES)
    assert {arm: row["sizes"] for arm, row in rows.items()} == {arm: sizes for arm, (_, sizes) in STAGES.items()}
    assert [row["share"] for row in rows.values()] == pytest.approx([1, 0.25, 15 / 16, 3.75 / 4])
    assert [row["matched"] for row in rows.values()] == [None, "epochs", "flops", "flops"]


def test_arms_are_compared_with_the_baseline_at_each_size_by_itself():
    found, values = sizes_table(experiment(), on_versions()), scores()
    SIZES.check(found, "here")
    assert found["tested_on"].unique(maintain_order=True).to_list() == ["half", "full", "large"]
    assert dict(found.select("scale", "size").unique().iter_rows()) == {0.5: 16, 1.0: 32, 1.5: 48}
    others = [arm for arm in STAGES if arm != "full"]
    for label in VERSIONS:
        expected = compare({arm: values[arm, label] - values["full", label] for arm in others})
        for arm in others:
            (row,) = found.filter((pl.col("arm") == arm) & (pl.col("tested_on") == label)).to_dicts()
            told = [row[c] for c in ("delta", "delta_low", "delta_high", "p_holm", "verdict", "smallest_detectable")]
            want = expected[arm]
            assert told == [want.delta, want.low, want.high, want.p_holm, want.verdict, want.smallest_detectable]
            assert row["from_full"] == pytest.approx((values[arm, label] - values[arm, "full"]).mean(), abs=1e-12)
            assert row["id_map"] == pytest.approx(values[arm, label].mean(), abs=1e-12)
            assert row["chance"] == pytest.approx(0.1)
    verdicts = {(r["arm"], r["tested_on"]): r["verdict"] for r in found.to_dicts() if not r["baseline"]}
    signs = {key: "better" if effect > 0 else "worse" for key, effect in EFFECT.items()}
    assert {key: v for key, v in verdicts.items() if v != "inconclusive"} == signs


def test_an_arm_that_was_not_tested_at_a_size_is_named():
    with pytest.raises(ReidflowError, match="'small' was not tested on"):
        sizes_table(experiment(), on_versions().filter((pl.col("arm") != "small") | (pl.col("tested_on") != "half")))
    with pytest.raises(ReidflowError, match="the baseline full was not tested"):
        sizes_table(experiment(), on_versions().filter(pl.col("arm") != "full"))


def test_one_seed_alone_gives_a_difference_and_no_verdict():
    found = sizes_table(experiment(), on_versions().filter(pl.col("seed") == 0)).filter(~pl.col("baseline"))
    assert found["verdict"].unique().to_list() == ["inconclusive"]
    assert found["delta"].null_count() == 0 and found["delta_low"].null_count() == len(found)


def test_statements_follow_the_tables(tmp_path):
    made = sections(training(), sizes_table(experiment(), on_versions()))
    cost, sizes = made
    assert cost.statements[0].startswith(
        "The fewest operations without a detectable loss at full size are those of **growing\\_\\***: 94% of"
    )
    assert any(
        line.startswith("With as many epochs, worse than the baseline at full size: **small** -0.200")
        for line in cost.statements
    )
    assert "With as many operations (FLOPs), not told apart from the baseline at full size: **growing\\_\\***." in (
        cost.statements
    )
    half, full, large = sizes.statements[:3]
    assert "At 0.5× the full size, against the baseline, better: **small** +0.2" in half and "worse" not in half
    assert full.startswith("At full size, against the baseline, worse: **small**")
    assert large.startswith("At 1.5× the full size, against the baseline, better: **growing\\_\\***")
    assert "changes least for the worse with **small**" in sizes.statements[3]
    write_sections(tmp_path / "sections.json", made)
    assert read_sections(tmp_path / "sections.json") == made
    assert [len(row) for block in cost.tables + sizes.tables for row in block.rows] == [8] * 4 + [7] * 4


def test_without_tests_at_other_sizes_there_is_the_cost_alone():
    empty = sizes_table(experiment(), None)
    assert empty.is_empty() and empty.columns == list(SIZES.columns)
    assert [section.title for section in sections(training(), empty)] == ["What the training cost"]


def test_a_loss_everywhere_is_no_saving():
    told = sections(training(verdict="worse"), SIZES.empty())[0].statements[0]
    assert told == "Every arm that trains with fewer operations than the baseline loses detectably at full size."


def test_operations_that_whole_epochs_cannot_match_are_named():
    frame = training().with_columns(share=pl.when(pl.col("arm") == "small flops").then(0.7).otherwise("share"))
    line = sections(frame, SIZES.empty())[0].statements[-1]
    assert line == "Whole epochs match the baseline's operations no nearer than this: **small flops** (70%)."


def test_a_schedule_reads_in_words():
    assert stages([16, 16, 32]) == [(16, 2), (32, 1)]
    assert schedule([16, 16, 32]) == "16 px for 2 epochs, then 32 px for 1"
    assert schedule([16]) == "16 px for 1 epoch" and schedule([]) == "–"


@pytest.mark.parametrize("name", ["stages", "sizes", "training_flops"])
def test_figures_name_every_arm_and_are_the_same_bytes_again(name, tmp_path):
    draw = getattr(figures, f"draw_{name}")
    table = sizes_table(experiment(), on_versions()) if name == "sizes" else training()
    for copy in ("a", "b"):
        draw(table, HEADING, {kind: tmp_path / f"{copy}.{kind}" for kind in ("png", "svg")})
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    drawn = (tmp_path / "a.svg").read_text()
    assert all(f">{arm}<" in drawn for arm in STAGES)
    draw(table.clear() if name == "sizes" else table.with_columns(sizes=[], id_map=None), HEADING, tmp_path / "none")
