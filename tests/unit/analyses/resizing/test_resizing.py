"""Tables and findings of a report on image sizes, against planted effects."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from drawn import texts

from reidflow.analyses.resizing import figures
from reidflow.analyses.resizing.findings import cheapest, schedule, sections, stages
from reidflow.analyses.resizing.tables import RESIZING, SIZES, sizes_table, training_table
from reidflow.evaluation.image_versions import TESTED_ON
from reidflow.evaluation.statistics import compare
from reidflow.figures.style import Heading
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import Version

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
    return SimpleNamespace(name="resizing", path="resizing.yaml", arms=arms, file=file, equivalence=None)


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
            "p_adjusted": 0.01,
            "smallest_detectable": 0.03,
            "verdict": "baseline" if arm == "full" else "worse" if (arm, "full") in EFFECT else "inconclusive",
            **changes,
        }
        for arm in STAGES
    ]
    return training_table(experiment(), pl.DataFrame(metrics), pl.DataFrame(history), pl.DataFrame(results))


def test_a_row_gives_the_cost_of_an_arms_training():
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
            have = [
                row[c] for c in ("delta", "delta_low", "delta_high", "p_adjusted", "verdict", "smallest_detectable")
            ]
            want = expected[arm]
            assert have == [want.delta, want.low, want.high, want.p_adjusted, want.verdict, want.smallest_detectable]
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


def test_statements_follow_the_tables():
    cost, sizes = sections(training(), sizes_table(experiment(), on_versions()))
    assert cost.statements == [
        "**growing\\_\\*** trains with the fewest FLOPs without being worse at full size: 94% of the baseline's, "
        "0.000 [-0.250, +0.050], where a loss of 0.030 would be detected with 80 % power.",
        "With equal epochs, significantly worse than the baseline at full size: **small** -0.200 [-0.250, +0.050].",
        "With equal training FLOPs, significantly worse than the baseline at full size: **small flops** -0.200 [-0.250, +0.050].",
        "With equal training FLOPs, not significantly different from the baseline at full size: **growing\\_\\***.",
    ]
    half, full, large, robust, _ = sizes.statements
    assert half.startswith("At 0.5× the full size, significantly better than the baseline: **small** +0.2")
    assert full.startswith("At full size, significantly worse than the baseline: **small**")
    assert large.startswith("At 1.5× the full size, significantly better than the baseline: **growing\\_\\***")
    assert "the mean loses least with **small** (+0.4" in robust
    (costs,), (tested,) = cost.tables, sizes.tables
    assert costs.rows[2][:6] == ["small flops", "16 px for 15 epochs", "flops", "15", "3.84e+03", "94%"]
    assert len(tested.headings) == 7 and tested.rows[0][2] == "baseline"


def test_without_tests_at_other_sizes_there_is_the_cost_alone():
    empty = sizes_table(experiment(), None)
    assert empty.is_empty() and empty.columns == list(SIZES.columns)
    assert [section.title for section in sections(training(), empty)] == ["Training cost"]


def test_a_loss_everywhere_is_no_saving():
    said = sections(training(verdict="worse"), SIZES.empty())[0].statements[0]
    assert said == "Every arm that trains with fewer FLOPs than the baseline is significantly worse at full size."


def test_the_cheapest_arm_is_the_one_with_the_fewest_flops_that_is_not_worse():
    verdicts = {"a": "inconclusive", "b": "better", "c": "worse", "d": None}
    rows = [
        {"arm": arm, "share": 0.8 - i / 10, "verdict": verdict} for i, (arm, verdict) in enumerate(verdicts.items())
    ]
    assert cheapest(rows)["arm"] == "b" and cheapest(rows[2:]) is None


def test_flops_that_whole_epochs_cannot_match_are_named():
    frame = training().with_columns(share=pl.when(pl.col("arm") == "small flops").then(0.7).otherwise("share"))
    line = sections(frame, SIZES.empty())[0].statements[-1]
    assert line == "Whole epochs cannot match the baseline's FLOPs more closely than: **small flops** (70%)."


def test_a_schedule_reads_in_words():
    assert stages([16, 16, 32]) == [(16, 2), (32, 1)]
    assert schedule([16, 16, 32]) == "16 px for 2 epochs, then 32 px for 1"
    assert schedule([16]) == "16 px for 1 epoch" and schedule([]) == "–"


def test_figures_without_data_say_so():
    nothing = training().with_columns(sizes=pl.lit([], pl.List(pl.Int64)), id_map=pl.lit(None, pl.Float64))
    for figure, words in (
        (figures.stages(nothing, HEADING), "No arm was trained on images, so there are no image sizes."),
        (figures.sizes(SIZES.empty(), HEADING), "No arm was tested at another size."),
        (figures.training_flops(nothing, HEADING), "No arm has both a score and a count of its training FLOPs."),
    ):
        assert words in [text for text, _ in texts(figure)]
