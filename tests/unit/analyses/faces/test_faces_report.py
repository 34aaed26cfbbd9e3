"""The tables, statements and figures of a competition's program, against hand-computed scores and planted choices."""

import math
from pathlib import Path

import polars as pl
import pytest
from faces_runs import (
    BASELINE,
    NOTE,
    QUERIES,
    SEEDS,
    THEIRS,
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

from reidflow.analyses.faces.arms import DESCRIBED, TRAINED, configuration_of, controlled_arms, entries
from reidflow.analyses.faces.blocks import ranked
from reidflow.analyses.faces.choices import HELD_OUT, VALIDATION, Values, choices_table, picks
from reidflow.analyses.faces.collected import CONTRACTS
from reidflow.analyses.faces.figures import draw_all
from reidflow.analyses.faces.findings import FIGURES, sections
from reidflow.analyses.faces.score import score, score_error, share_error, spread, whole_queries
from reidflow.analyses.faces.tables import configurations_table, efficiency_table, embedded_images
from reidflow.figures.style import Heading
from reidflow.store.tables import write_table
from reidflow.tables.sections import read_sections, write_sections


@pytest.fixture(scope="module")
def planted():
    return faces()


def row(table: pl.DataFrame, side: str, configuration: str) -> dict:
    found = table.filter((pl.col("side") == side) & (pl.col("configuration") == configuration)).to_dicts()
    assert len(found) == 1
    return found[0]


def said(told, **changes) -> str:
    experiment, tables, own = told
    return "\n".join(line for part in sections(experiment.file, tables, own, **changes) for line in part.statements)


def test_every_table_fits_its_contract(planted, tmp_path):
    for name, contract in CONTRACTS.items():
        write_table(getattr(planted[1], name), tmp_path / name, contract)


def test_an_arm_is_read_from_its_spec_whatever_its_name():
    told = configuration_of(a_spec(2, 0.01, 5, 8, normalise=False, augmented=False))
    assert vars(told) == {
        "architecture": "tf_efficientnet_lite2", "learning_rate": 0.01, "epochs": 5, "batch": 8, "normalised": False,
        "augmented": False,
    }  # fmt: skip


def test_a_balanced_sampler_has_a_batch_too_and_any_backbone_a_name():
    plain = a_spec().plain()
    plain["model"]["backbone"] = {"name": "small", "family": "vit"}
    plain["sampler"] = {"name": "pk", "identities": 6, "images": 3}
    told = configuration_of(type(a_spec()).model_validate(plain))
    assert (told.architecture, told.batch, told.normalised) == ("vit", 18, True)


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
    told = {"top1": 0.3, "top5": 0.5, "top10": 0.6}
    middle = sum(worth) / 100
    assert score(WEIGHTS, told) == pytest.approx(middle)
    expected = math.sqrt(sum((w - middle) ** 2 for w in worth) / 100 / 100)
    assert score_error(WEIGHTS, told, 100) == pytest.approx(expected)
    assert share_error(0.3, 100) == pytest.approx(math.sqrt(0.3 * 0.7 / 100))


def test_one_seed_has_no_spread():
    assert spread([5.0]) == (5.0, None, None, None)


def test_published_accuracies_are_whole_numbers_of_their_queries_or_not():
    assert whole_queries(THEIRS[BASELINE], 181, WEIGHTS)
    assert not whole_queries(THEIRS[BASELINE], 180, WEIGHTS)
    assert not whole_queries({**THEIRS[BASELINE], "score": 439.0}, 181, WEIGHTS)
    assert whole_queries({"score": 453.6}, 181, WEIGHTS) is None


def test_equal_networks_share_a_place_and_the_best_come_first(planted):
    table = planted[1].configurations
    frozen = [own["arm"] for own in ranked(table, DESCRIBED)]
    assert frozen == ["lite0_frozen", "lite2_frozen", "lite1_frozen", "lite0_frozen_no_normalisation"]
    assert row(table, DESCRIBED, "lite0_lr0.1_ep5")["place"] == row(table, DESCRIBED, BASELINE)["place"] == 1
    best = ranked(table, TRAINED)
    assert [own["arm"] for own in best[:2]] == ["lite2_lr0.001_ep3", "lite0_lr0.001_ep2"]
    scores = [own["score"] for own in best]
    assert scores == sorted(scores, reverse=True)
    assert [own["place"] for own in best][2:4] == [3, 3]


def test_architectures_are_compared_under_the_baselines_settings(planted):
    table = planted[1].architectures
    assert set(table["configuration"]) == {f"lite{lite}_lr0.001_ep3" for lite in (0, 1, 2)}
    own = row(table, TRAINED, BASELINE)
    assert own["relative_score"] == pytest.approx(590 / 630)
    assert own["published_relative_score"] == pytest.approx(438.7 / 443.1)
    assert controlled_arms(an_experiment()) == set(table["arm"])


def test_time_is_training_and_embedding_and_speed_is_told_against_the_slowest(planted):
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
    told = faces(speeds=False)
    own = row(told[1].efficiency, TRAINED, BASELINE)
    assert (own["seconds"], own["seconds_embedding"]) == (2.0, None)
    assert own["score_per_minute"] == pytest.approx(590 / (2 / 60))


def test_no_statement_depends_on_what_was_measured_on_the_machine(planted):
    assert said(faces(speeds=False)) == said(planted)
    assert "lite1** 1.5×" in said(planted)  # operations


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


def test_a_setting_is_worth_its_difference_to_the_baseline_seed_by_seed(planted):
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
    words = said(planted)
    assert "cannot change anything" in words
    assert "24 configurations are 4 networks" in words


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
    words = said(planted)
    assert "As described, the two choices agree on the mean over seeds; of 3 seeds they agree with 3." in words
    assert "Trained projection, the two choices tie on the mean over seeds; of 3 seeds they tie with 3." in words
    assert "finds a tie of **tf_efficientnet_lite0**, **tf_efficientnet_lite1** and **tf_efficientnet_lite2**" in words


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


def test_published_figures_stand_beside_ours_as_theirs_with_their_noise(planted):
    words = said(planted)
    assert NOTE in words
    assert "a standard error of 0.035" in words
    assert "3 of the 3 rows with all three accuracies" in words
    assert "No configuration here stands for **elsewhere**" in words
    headings = {
        name for part in sections(planted[0].file, planted[1], planted[2]) for t in part.tables for name in t.headings
    }
    assert "their numbers: score" in headings
    own = row(planted[1].configurations, DESCRIBED, BASELINE)
    assert (own["published_top1"], own["published_seconds"]) == (0.320, 118.0)


def test_without_published_figures_nothing_is_said_of_them(tmp_path):
    told = faces(an_experiment(published=False))
    assert "their numbers" not in said(told).lower()
    assert "Their numbers" not in [part.title for part in sections(told[0].file, told[1], told[2])]
    blocks = [t for part in sections(told[0].file, told[1], told[2]) for t in part.tables]
    assert not any("their numbers" in heading for block in blocks for heading in block.headings)
    drawn(told, tmp_path)


def test_a_network_that_cannot_be_had_is_a_row_without_scores(tmp_path):
    missing = {name: "no network." for name in specs() if name.startswith("lite2")}
    told = faces(missing=missing)
    own = row(told[1].configurations, TRAINED, "lite2_lr0.001_ep3")
    assert (own["score"], own["place"], own["note"]) == (None, None, "no network.")
    assert row(told[1].architectures, DESCRIBED, "lite2_lr0.001_ep3")["relative_score"] is None
    assert set(told[1].choices["architecture"]) == {"tf_efficientnet_lite0", "tf_efficientnet_lite1"}
    words = said(told)
    assert "Without a score" in words
    assert "no network" in words
    drawn(told, tmp_path)


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
    told = faces(an_experiment({name: specs()[name] for name in names}, names[0]), held_out=False)
    for name, contract in CONTRACTS.items():
        write_table(getattr(told[1], name), tmp_path / name, contract)
    write_sections(tmp_path / "sections.json", sections(told[0].file, told[1], told[2]))
    assert read_sections(tmp_path / "sections.json")
    drawn(told, tmp_path)


def test_a_run_that_cannot_be_ranked_has_no_score():
    experiment = an_experiment()
    broken = metrics(list(experiment.arms)).with_columns(
        top1=pl.when((pl.col("arm") == BASELINE) & (pl.col("seed") == 1)).then(float("nan")).otherwise("top1")
    )
    own = row(configurations_table(experiment, broken, results(list(experiment.arms))), TRAINED, BASELINE)
    assert (own["score"], own["top1"], own["note"]) == (None, None, "a run cannot be ranked")
    assert own["top5"] == pytest.approx(0.7)


def test_every_statement_has_a_figure_and_further_figures_are_linked(planted):
    found = sections(planted[0].file, planted[1], planted[2], ["ranked"])
    assert all(part.figures or part.links for part in found)
    assert {name for part in found for name in part.figures} == set(FIGURES)
    assert "ranked" in found[0].links
    assert "ranked" not in sections(planted[0].file, planted[1], planted[2])[0].links


def test_a_table_without_held_out_identities_says_that_one_rule_chooses_alone():
    assert "one rule alone chooses" in said(faces(held_out=False))
    assert "one rule alone" not in said(faces())


def drawn(told, folder: Path, kinds: tuple[str, ...] = ("svg",)) -> dict[str, str]:
    heading = Heading("Which <one> for $5?", "demo")
    draw_all(told[1], heading, lambda name: {kind: folder / f"{name}.{kind}" for kind in kinds})
    return {name: (folder / f"{name}.svg").read_text() for name in FIGURES}


def test_the_figures_show_both_sides_and_their_numbers(planted, tmp_path):
    for name, text in drawn(planted, tmp_path, ("svg", "png")).items():
        assert "trained projection" in text, name
        assert "as described" in text, name
        assert "their numbers" in text, name
        assert (tmp_path / f"{name}.png").stat().st_size > 5_000


def test_the_planted_scores_of_the_frozen_arms_know_no_seed():
    assert len({top1("lite1_frozen", seed) for seed in SEEDS}) == 1
    assert validated(["lite1_frozen"])["top10"].to_list() == [0.9] * 3
