"""The tables and statements of a face competition's program, against hand-computed scores and planted choices."""

import math

import polars as pl
import pytest
from faces_runs import (
    BASELINE,
    NOTE,
    QUERIES,
    SEEDS,
    WEIGHTS,
    a_spec,
    an_experiment,
    faces,
    metrics,
    results,
    specs,
    top1,
    validated,
)

from reidflow.analyses.faces import FIGURES, figures
from reidflow.analyses.faces.arms import (
    DESCRIBED,
    TRAINED,
    configuration_of,
    controlled_arms,
    entries,
    query_scores,
    score,
    score_error,
    share_error,
    spread,
)
from reidflow.analyses.faces.choices import HELD_OUT, VALIDATION, Values, choices_table, picks
from reidflow.analyses.faces.findings import along, effects, leader, operations, published, ranked, rates, sections
from reidflow.analyses.faces.report import CONTRACTS
from reidflow.analyses.faces.tables import ablation_table, configurations_table, efficiency_table, embedded_images
from reidflow.figures.style import Heading
from reidflow.store.tables import write_table
from reidflow.tables.sections import Section


@pytest.fixture(scope="module")
def planted():
    return faces()


def row(table: pl.DataFrame, side: str, configuration: str) -> dict:
    found = table.filter((pl.col("side") == side) & (pl.col("configuration") == configuration)).to_dicts()
    assert len(found) == 1
    return found[0]


def report(made, **changes) -> list[Section]:
    experiment, tables, compared = made
    return sections(experiment.file, tables, dict(compared.select("arm", "flops").iter_rows()), **changes)


def statements(made, **changes) -> str:
    return "\n".join(line for part in report(made, **changes) for line in part.statements)


def test_every_table_fits_its_contract(planted, tmp_path):
    for (name, contract), table in zip(CONTRACTS.items(), planted[1], strict=True):
        write_table(table, tmp_path / name, contract)


def test_an_arm_is_read_from_its_spec_whatever_its_name():
    found = configuration_of(a_spec(2, 0.01, 5, 8, normalise=False, augmented=False))
    assert vars(found) == {
        "architecture": "tf_efficientnet_lite2", "learning_rate": 0.01, "epochs": 5, "batch": 8, "normalised": False,
        "augmented": False,
    }  # fmt: skip


def test_a_balanced_sampler_has_a_batch_too_and_any_backbone_a_name():
    plain = a_spec().plain()
    plain["model"]["backbone"] = {"name": "small", "family": "vit"}
    plain["sampler"] = {"name": "pk", "identities": 6, "images": 3}
    found = configuration_of(type(a_spec()).model_validate(plain))
    assert (found.architecture, found.batch, found.normalised) == ("vit", 18, True)


def test_the_twenty_four_configurations_of_the_first_side_are_four_networks():
    found = [entry for entry in entries(an_experiment()) if entry.side == DESCRIBED]
    assert len(found) == 24
    assert len({entry.arm for entry in found}) == 4
    of = {entry.name: entry.arm for entry in found}
    assert of["lite2_lr0.1_ep5"] == "lite2_frozen"
    assert of[f"{BASELINE}_no_normalisation"] == "lite0_frozen_no_normalisation"
    assert of[f"{BASELINE}_no_augmentation"] == of[f"{BASELINE}_batch8"] == "lite0_frozen"


def test_the_score_is_the_weighted_sum_with_its_spread_over_seeds(planted):
    own = row(planted[1].configurations, TRAINED, "lite1_lr0.01_ep5")
    hits = [0.5 + 0.02 - 0.05 - 0.02 + 0.01 * (seed - 1) for seed in SEEDS]
    scores = [600 * h + 300 * (h + 0.2) + 100 * (h + 0.3) for h in hits]
    assert own["score_by_seed"] == pytest.approx(scores)
    assert own["score"] == pytest.approx(sum(scores) / 3)
    assert own["score_std"] == pytest.approx(10.0)
    half = 4.30265273 * 10 / math.sqrt(3)  # t(2), 97.5 %
    assert (own["score_low"], own["score_high"]) == pytest.approx((own["score"] - half, own["score"] + half))
    assert own["top1_error"] == pytest.approx(math.sqrt(own["top1"] * (1 - own["top1"]) / QUERIES))
    assert (own["map"], own["id_map"], own["nmi"]) == pytest.approx((hits[1] + 0.05, hits[1] + 0.01, hits[1] + 0.1))


def test_the_error_of_a_score_is_that_of_the_worth_of_its_queries():
    first_hits = [1] * 30 + [3] * 20 + [8] * 10 + [40] * 40
    worth = [600 * (h <= 1) + 300 * (h <= 5) + 100 * (h <= 10) for h in first_hits]
    accuracies = {"top1": 0.3, "top5": 0.5, "top10": 0.6}
    middle = sum(worth) / 100
    assert score(WEIGHTS, accuracies) == pytest.approx(middle)
    expected = math.sqrt(sum((w - middle) ** 2 for w in worth) / 100 / 100)
    assert score_error(WEIGHTS, accuracies, 100) == pytest.approx(expected)
    assert share_error(0.3, 100) == pytest.approx(math.sqrt(0.3 * 0.7 / 100))


def test_one_seed_has_no_spread():
    assert spread([5.0]) == (5.0, None, None, None)


def test_equal_networks_share_a_rank_and_the_best_come_first(planted):
    table = planted[1].configurations
    frozen = [own["arm"] for own in ranked(table, DESCRIBED)]
    assert frozen == ["lite0_frozen", "lite2_frozen", "lite1_frozen", "lite0_frozen_no_normalisation"]
    assert row(table, DESCRIBED, "lite0_lr0.1_ep5")["rank"] == row(table, DESCRIBED, BASELINE)["rank"] == 1
    best = ranked(table, TRAINED)
    assert [own["arm"] for own in best[:2]] == ["lite2_lr0.001_ep3", "lite0_lr0.001_ep2"]
    scores = [own["score"] for own in best]
    assert scores == sorted(scores, reverse=True)
    assert [own["rank"] for own in best][2:4] == [3, 3]


def test_architectures_are_compared_under_the_baselines_settings(planted):
    table = planted[1].architectures
    assert set(table["configuration"]) == {f"lite{lite}_lr0.001_ep3" for lite in (0, 1, 2)}
    own = row(table, TRAINED, BASELINE)
    assert own["relative_score"] == pytest.approx(590 / 630)
    assert own["published_relative_score"] == pytest.approx(438.7 / 443.1)
    assert controlled_arms(an_experiment()) == set(table["arm"])


def test_time_is_training_and_embedding_and_speed_is_relative_to_the_slowest(planted):
    table = planted[1].efficiency
    own = row(table, TRAINED, BASELINE)
    assert own["embedded"] == 50 + 100 + 200 * (1 + 4)
    assert own["seconds"] == pytest.approx(2.0 + 1150 / 100)
    assert own["score_per_minute"] == pytest.approx(590 / (13.5 / 60))
    slowest = 4.0 + 1150 / (100 / 3)
    assert own["relative_speed"] == pytest.approx(slowest / 13.5)
    assert own["published_score_per_minute"] == pytest.approx(438.7 / (118 / 60))
    assert own["published_relative_speed"] == pytest.approx(738 / 118)
    frozen = row(table, DESCRIBED, "lite0_lr0.1_ep5")
    assert (frozen["embedded"], frozen["seconds"]) == (150, pytest.approx(0.1 + 1.5))
    plain = row(table, TRAINED, f"{BASELINE}_no_augmentation")
    assert plain["embedded"] == 50 + 100 + 200


def test_without_a_measured_speed_training_counts_alone():
    made = faces(speeds=False)
    own = row(made[1].efficiency, TRAINED, BASELINE)
    assert (own["seconds"], own["seconds_embedding"]) == (2.0, None)
    assert own["score_per_minute"] == pytest.approx(590 / (2 / 60))


def test_no_statement_depends_on_what_was_measured_on_the_machine(planted):
    assert statements(faces(speeds=False)) == statements(planted)
    assert "**tf_efficientnet_lite1** 1.5×" in statements(planted)  # operations


def test_a_network_that_trains_on_images_embeds_within_its_seconds():
    arms = {"all": a_spec(trainable="all")}
    experiment = an_experiment(arms, "all", published=False)
    assert embedded_images(experiment, {"train": 9, "val": 2, "test": 3}) == {"all": 0}
    table = configurations_table(experiment, renamed({"all": BASELINE}), results_of(["all"]))
    timed = pl.DataFrame({"arm": ["all"], "throughput": [None], "latency_ms": [None], "seconds_train": [30.0]})
    timed = efficiency_table(table, timed, {"all": 0})
    assert row(timed, TRAINED, "all")["seconds"] == 30.0
    assert row(timed, DESCRIBED, "all")["seconds"] is None


def renamed(names: dict[str, str]) -> pl.DataFrame:
    """METRICS of arms that score as others."""
    back = {old: new for new, old in names.items()}
    return metrics(list(names.values())).with_columns(pl.col("arm").replace_strict(back, return_dtype=pl.String))


def results_of(names: list[str]) -> pl.DataFrame:
    return results([BASELINE] * len(names)).with_columns(arm=pl.Series(names))


def test_the_effect_of_a_setting_is_its_difference_from_the_baseline_paired_by_seed(planted):
    table = planted[1].ablation
    batch = row(table, TRAINED, f"{BASELINE}_batch8")
    assert (batch["factor"], batch["value"]) == ("batch", "8")
    assert batch["difference_by_seed"] == pytest.approx([-30.0] * 3)
    assert batch["published_difference"] == pytest.approx(408.3 - 438.7)
    assert (batch["verdict"], batch["delta"]) == ("inconclusive", pytest.approx(-0.03))
    assert row(table, TRAINED, "lite0_lr0.1_ep3")["verdict"] == "worse"
    assert "lite1_lr0.01_ep3" not in set(table["configuration"])


def test_as_described_only_the_normalisation_can_matter(planted):
    table = planted[1].ablation.filter(pl.col("side") == DESCRIBED, pl.col("factor") != "architecture")
    changing = table.filter(~pl.col("same_runs"))
    assert changing["factor"].to_list() == ["normalised"]
    assert (changing["difference"][0], changing["verdict"][0]) == (pytest.approx(-100.0), "worse")
    assert table.filter("same_runs")["difference"].to_list() == pytest.approx([0.0] * 8)
    lines = statements(planted)
    assert "learning rate, epochs, batch size and augmentation have no effect" in lines
    assert "24 configurations are 4 networks" in lines
    assert f"differ by up to {438.7 - 402.8:.1f} points between such settings" in lines


def test_as_described_only_a_comparison_with_the_frozen_baseline_counts(planted):
    _, tables, compared = planted
    other = compared.with_columns(against=pl.col("against").replace("lite0_frozen", "lite1_frozen"))
    assert ablation_table(tables.configurations, other).filter(side=DESCRIBED)["verdict"].is_null().all()


def test_each_rule_picks_the_planted_architecture(planted):
    table = planted[1].choices
    for side, rule, mean, by_seed in (
        (DESCRIBED, VALIDATION, 1, [1, 1, 1]),
        (DESCRIBED, HELD_OUT, 1, [1, 1, 1]),
        (TRAINED, VALIDATION, 0, [0, 0, 0]),  # all find everything; the smallest is the fastest
        (TRAINED, HELD_OUT, 2, [2, 2, 0]),
    ):
        found = picks(table, side, rule)
        expected = {None: mean, **dict(zip(SEEDS, by_seed, strict=True))}
        assert {seed: own["architecture"] for seed, own in found.items()} == {
            seed: f"tf_efficientnet_lite{lite}" for seed, lite in expected.items()
        }
    assert picks(table, TRAINED, VALIDATION)[None]["tied"]
    assert picks(table, TRAINED, HELD_OUT)[2]["score"] == pytest.approx(600.0)
    lines = statements(planted)
    assert "As described, the two rules agree on the mean over seeds, and they agree with 3 seeds." in lines
    assert (
        "Trained projection, the two rules tie on the mean over seeds, and they tie with 3 seeds. They tie where"
        in lines
    )
    assert "**tf_efficientnet_lite1** and **tf_efficientnet_lite2** (1.000, mean over seeds), a tie" in lines
    assert "by retrieval on held-out identities: **tf_efficientnet_lite2** (0.400" in lines
    block = next(b for part in report(planted) for b in part.tables if b.title.startswith("On the mean"))
    chosen = {(r[1], r[2]): r[-2] for r in block.rows if r[block.headings.index("chosen")] == "yes"}
    assert chosen["trained projection", HELD_OUT] == "2 of 3"


def test_ties_go_to_the_fastest_and_without_a_speed_to_the_first(planted):
    architectures = planted[1].architectures.filter(pl.col("side") == TRAINED)
    same = {arm: dict.fromkeys(SEEDS, 1.0) for arm in architectures["arm"]}
    last = "lite2_lr0.001_ep3"
    for latency, expected in (({last: 3.0, BASELINE: 5.0, "lite1_lr0.001_ep3": 4.0}, last), ({}, BASELINE)):
        table = choices_table(architectures, metrics(list(same)), Values(same, {}, latency))
        assert {own["arm"] for own in picks(table, TRAINED, VALIDATION).values()} == {expected}


def test_one_architecture_is_no_choice(planted):
    architectures = planted[1].architectures.head(1)
    own = {arm: {0: 1.0} for arm in architectures["arm"]}
    assert choices_table(architectures, metrics(list(own)), Values(own, own, {})).is_empty()


def test_published_figures_stand_beside_ours_with_their_noise(planted):
    lines = statements(planted)
    assert NOTE in lines
    error = math.sqrt(0.32 * 0.68 / 181)
    found = published(planted[0].file, planted[1].configurations)
    assert found["noise"]["top1_error"] == pytest.approx(error) and found["unknown"] == ["elsewhere"]
    assert found["noise"]["span"] == pytest.approx(453.6 - 400.0)
    gap = next(each for each in found["gaps"] if each["side"] == DESCRIBED)
    assert (gap["low"], gap["high"], gap["count"]) == pytest.approx((470 - 443.1, 490 - 402.8, 5))
    assert f"a standard error of {error:.3f}" in lines
    assert "No configuration here stands for **elsewhere**." in lines
    assert "published score" in {name for part in report(planted) for block in part.tables for name in block.headings}
    own = row(planted[1].configurations, DESCRIBED, BASELINE)
    assert (own["published_top1"], own["published_seconds"]) == (0.320, 118.0)


def test_without_published_figures_nothing_is_said_of_them():
    made = faces(an_experiment(published=False))
    assert "ublished" not in statements(made)
    blocks = [block for part in report(made) for block in part.tables]
    assert not any("published" in heading for block in blocks for heading in block.headings)
    drawn(made)


def test_an_unavailable_network_is_a_row_without_scores():
    missing = {name: "no network." for name in specs() if name.startswith("lite2")}
    made = faces(missing=missing)
    own = row(made[1].configurations, TRAINED, "lite2_lr0.001_ep3")
    assert (own["score"], own["rank"], own["note"]) == (None, None, "no network.")
    assert row(made[1].architectures, DESCRIBED, "lite2_lr0.001_ep3")["relative_score"] is None
    assert set(made[1].choices["architecture"]) == {"tf_efficientnet_lite0", "tf_efficientnet_lite1"}
    assert "Without a score (no network.): **lite2_lr0.001_ep3** (as described)," in statements(made)
    drawn(made)


def test_the_statements_carry_the_numbers_of_the_tables(planted):
    lines, configurations = statements(planted), planted[1].configurations
    best = ranked(configurations, TRAINED)[0]
    span = f"{best['score_low']:.1f} to {best['score_high']:.1f}"
    assert (
        f"**{best['arm']}** has the highest mean score, {best['score']:.1f} ± 10.0 over 3 seeds, 95 % interval of the mean {span}."
        in lines
    )
    found = leader(configurations, TRAINED)
    error = best["score_error"]
    near = sum(best["score"] - own["score"] <= 2 * error for own in ranked(configurations, TRAINED))
    assert (found["near"], found["arms"]) == (near, 24)
    assert f"With 100 queries one score has a standard error of {error:.1f} points" in lines
    assert f"{near} of 24 arms are within two of them of the highest, and only more queries" in lines
    assert "**lite0_frozen** has the highest mean score, 490.0 with every seed." in lines
    assert "Score = 600 top-1 + 300 top-5 + 100 top-10, at most 1000." in lines
    assert (
        "Trained projection, worse by mAP than the baseline's setting: learning rate 0.1 (-200.0 points, mAP -0.200"
        in lines
    )
    assert (
        "Trained projection, not significantly different by mAP from the baseline's setting: learning rate 0.01, epochs 5, "
        "epochs 1, epochs 2, batch size 8, batch size 64, no normalisation and no augmentation."
    ) in lines
    assert [len(each["verdicts"]["worse"]) for each in effects(planted[1].ablation)] == [1, 1]
    assert "**tf_efficientnet_lite0** scores highest after 2 of the 1, 2, 3 and 5 epochs tried (620.0" in lines
    assert [own["epochs"] for own in along(configurations, TRAINED, "epochs")] == [1, 2, 3, 5]
    rate = rates(configurations)[1]
    assert (rate["architecture"], rate["best"], rate["worst"]) == ("tf_efficientnet_lite1", "0.001", "0.1")
    assert rate["lost"] == pytest.approx(200 / 610)
    assert "**tf_efficientnet_lite2** 630.0 (100%)" in lines
    assert [
        each["times"]
        for each in operations(planted[1].architectures, {f"lite{i}_lr0.001_ep3": i + 2 for i in range(3)})
    ] == [1, 1.5, 2]


@pytest.mark.parametrize(
    "names",
    [
        [BASELINE],
        [BASELINE, "lite1_lr0.001_ep3"],
        ["lite0_frozen", "lite1_frozen"],
        [BASELINE, "lite1_frozen"],
        [f"{BASELINE}_batch8", BASELINE],
    ],
)
def test_few_arms_are_reported_without_the_rest(names, tmp_path):
    made = faces(an_experiment({name: specs()[name] for name in names}, names[0]), held_out=False)
    for (name, contract), table in zip(CONTRACTS.items(), made[1], strict=True):
        write_table(table, tmp_path / name, contract)
    assert report(made)
    drawn(made)


def test_a_run_that_cannot_be_ranked_has_no_score():
    experiment = an_experiment()
    broken = metrics(list(experiment.arms)).with_columns(
        top1=pl.when((pl.col("arm") == BASELINE) & (pl.col("seed") == 1)).then(float("nan")).otherwise("top1")
    )
    own = row(configurations_table(experiment, broken, results(list(experiment.arms))), TRAINED, BASELINE)
    assert (own["score"], own["top1"], own["note"]) == (None, None, "a run cannot be ranked")
    assert own["top5"] == pytest.approx(0.7)


def test_every_statement_has_a_figure_and_further_figures_are_linked(planted):
    found = report(planted, links=["ranked"])
    assert all(part.figures or part.links for part in found)
    assert {name for part in found for name in part.figures} == set(FIGURES)
    assert "ranked" in found[0].links and "ranked" not in report(planted)[0].links


def test_without_held_out_identities_only_one_rule_chooses():
    assert "only one rule chooses" in statements(faces(held_out=False))
    assert "only one rule" not in statements(faces())


def drawn(made) -> None:
    """Draw all figures: none fails, whatever is missing."""
    heading, tables = Heading("Which <one> for $5?", "demo"), made[1]
    figures.score_by_rate(tables.configurations, heading)
    figures.score_by_epochs(tables.configurations, heading)
    figures.score_ablation(tables.ablation, heading)
    figures.score_per_minute(tables.efficiency, heading)
    figures.score_by_time(tables.configurations, tables.efficiency, heading)


def test_the_planted_scores_of_the_frozen_arms_are_the_same_with_every_seed():
    assert len({top1("lite1_frozen", seed) for seed in SEEDS}) == 1
    assert validated(["lite1_frozen"])["top10"].to_list() == [0.9] * 3


def test_what_identities_add_to_the_score_averages_to_it():
    hits = {"a": [1, 3, None], "b": [11], "c": [1, 7]}
    rows = [
        {"seed": seed, "identity": who, "ap": 0.5, "first_hit": hit if seed == 0 else 1}
        for seed in (0, 1)
        for who, own in hits.items()
        for hit in own
    ]
    skipped = {"seed": 0, "identity": "d", "ap": None, "first_hit": None}
    identities, values = query_scores(pl.DataFrame([*rows, skipped]), (0, 1), {"top1": 600, "top5": 300, "top10": 100})
    assert identities == ["a", "b", "c"]
    # Hits at 1, 3, none | 11 | 1, 7: top-1 2 of 6, top-5 3 of 6, top-10 4 of 6.
    assert values.mean(axis=0).tolist() == pytest.approx([600 * 2 / 6 + 300 * 3 / 6 + 100 * 4 / 6, 1000.0])
    assert values[0, 0] == pytest.approx((1000 + 400 + 0) * 3 / 6)
