from pathlib import Path

import pytest

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.spec.submission import chosen_arms, mirroring_specs

ROOT = Path(__file__).resolve().parents[3]


def made(**submission):
    return plan.make([ROOT / "config" / "tiny.yaml"], {"submission": submission}, ROOT)


def chosen(arm="arcface", experiment="tiny_losses", **changes):
    return {"experiment": experiment, "arm": arm, **changes}


def refused(**submission):
    with pytest.raises(ReidflowError) as error:
        made(**submission)
    return str(error.value)


def test_by_default_all_seeds_of_the_first_experiments_baseline_are_submitted():
    found = made()
    first = next(iter(found.experiments.values()))
    assert chosen_arms(found.config, found.experiments) == [(first.name, first.file.baseline, [0, 1])]


def test_arms_come_in_the_order_of_the_config_with_the_given_seeds():
    found = made(runs=[chosen("triplet", seeds=[1]), chosen()])
    expected = [("tiny_losses", "triplet", [1]), ("tiny_losses", "arcface", [0, 1])]
    assert chosen_arms(found.config, found.experiments) == expected


def test_what_is_not_there_is_named_with_what_is():
    message = refused(runs=[chosen(experiment="tiny_loses")])
    assert (
        "submission.runs.0.experiment" in message
        and "'tiny_loses'" in message
        and "tiny_losses, tiny_backbones" in message
    )
    message = refused(runs=[chosen(), chosen("arc")])
    assert "submission.runs.1.arm" in message and "cross_entropy, arcface, triplet" in message
    message = refused(runs=[chosen(seeds=[1, 7])])
    assert "submission.runs.0.seeds" in message and "the seed 7" in message and "0, 1" in message


def test_all_errors_are_reported_at_once():
    assert "2 errors" in refused(runs=[chosen("arc"), chosen(seeds=[9])])


def test_a_run_is_submitted_once():
    assert "tiny_losses/arcface/1 is listed twice" in refused(runs=[chosen(), chosen(seeds=[1])])


def test_an_index_inference_or_key_that_is_not_there_is_an_error():
    assert "flat, hnsw, ivf_pq" in refused(index="hnws")
    assert "there is no inference" in refused(inference=["flap"])
    assert "run" in refused(run=[])
    assert "submission.k" in refused(k=0)


def test_steps_that_cannot_follow_one_another_are_refused_before_anything_runs():
    assert "put it last" in refused(inference=["k_reciprocal", "query_expansion"])
    assert "put it first" in refused(inference=["query_expansion", "flip"])


def test_mirror_images_are_planned_for_the_runs_that_are_ranked_by_them():
    plain, flipped = made(runs=[chosen()]), made(runs=[chosen()], inference=["flip"])
    assert mirroring_specs(plain.config, plain.experiments) == []
    assert {spec.loss["name"] for spec in mirroring_specs(flipped.config, flipped.experiments)} == {"arcface"}
    mirrored = {plan.bank_id(plan.mirrored_bank(spec)) for spec in mirroring_specs(flipped.config, flipped.experiments)}
    assert mirrored and mirrored <= set(flipped.banks()) and not mirrored & set(plain.banks())


def other_geometry(tmp_path, settings, plain=""):
    """An experiment whose second arm overrides the protocol with settings, its first one with `plain`."""
    (tmp_path / "two.yaml").write_text(
        "question: q\nmotivation: m\nhypothesis: h\nvaries: [model.geometry, loss, inference, ensemble, ranking]\nbaseline: plain\n"
        f"arms:\n  plain: {{why: w{plain}}}\n  other: {{why: w, {settings}}}\n"
    )
    return str(tmp_path / "two.yaml")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("model: {geometry: euclidean}, loss: triplet", "geometry 'euclidean'"),
        ("inference: [k_reciprocal]", "leaves similarities"),
        ("ensemble: {seeds: 2, combine: average}", "averages similarities"),
    ],
)
def test_what_has_no_embeddings_to_join_is_averaged(tmp_path, settings, message):
    path = other_geometry(tmp_path, settings)
    config = [ROOT / "config" / "tiny.yaml"]
    runs = [{"experiment": "two", "arm": arm} for arm in ("plain", "other")]
    with pytest.raises(ReidflowError, match=message):
        plan.make(config, {"experiments": [path], "submission": {"runs": runs}}, ROOT)
    plan.make(config, {"experiments": [path], "submission": {"runs": runs, "combine": "average"}}, ROOT)


def test_seeds_of_an_arm_with_a_ranking_are_joined_where_one_split_calibrates_them(tmp_path):
    path = other_geometry(tmp_path, "ranking: {scores: [embedding]}")
    config, submission = [ROOT / "config" / "tiny.yaml"], {"runs": [{"experiment": "two", "arm": "other"}]}
    plan.make(config, {"experiments": [path], "submission": submission}, ROOT)
    apart = {"experiments": [path], "split_seed": "each"}
    with pytest.raises(ReidflowError, match="splits of their own"):
        plan.make(config, {**apart, "submission": submission}, ROOT)
    plan.make(config, {**apart, "submission": {**submission, "combine": "average"}}, ROOT)


def test_rankings_are_combined_where_their_values_have_one_scale(tmp_path):
    runs = [{"experiment": "two", "arm": arm} for arm in ("plain", "other")]
    config, ranked = [ROOT / "config" / "tiny.yaml"], "ranking: {scores: [embedding], shortlist: 9}"
    mixed = {"experiments": [other_geometry(tmp_path, ranked)], "submission": {"runs": runs, "combine": "average"}}
    with pytest.raises(ReidflowError, match=r"differ in scale.*none, .other.: calibrated.*Choose arms"):
        plan.make(config, mixed, ROOT)
    path = other_geometry(tmp_path, ranked, ", ranking: {scores: [embedding]}")
    alike = {"experiments": [path], "submission": {"runs": runs}}
    with pytest.raises(ReidflowError, match="'other' is ranked by scores that are calibrated for it alone"):
        plan.make(config, alike, ROOT)
    plan.make(config, {**alike, "submission": {"runs": runs, "combine": "average", "new": 0.05}}, ROOT)


def test_new_individuals_need_validation_images_in_common(tmp_path):
    path = other_geometry(tmp_path, "loss: triplet")
    config, runs = [ROOT / "config" / "tiny.yaml"], [{"experiment": "two", "arm": "plain"}]
    given = {"experiments": [path], "submission": {"runs": runs, "new": 0.05}}
    with pytest.raises(ReidflowError, match="splits have none in common"):
        plan.make(config, given | {"split_seed": "each"}, ROOT)
    one = {"runs": [{**runs[0], "seeds": [1]}], "new": 0.05}
    plan.make(config, given | {"split_seed": "each", "submission": one}, ROOT)
    transductive = {"runs": runs, "new": 0.05, "inference": ["k_reciprocal"]}
    with pytest.raises(ReidflowError, match=r"'k_reciprocal' looks at all queries.*Write new: null.*name: open_set"):
        plan.make(config, given | {"submission": transductive}, ROOT)
    plan.make(config, given | {"submission": transductive, "split": {"name": "open_set"}}, ROOT)
    plan.make(config, given | {"submission": {**transductive, "new": None}}, ROOT)
    without = {"split": {"name": "closed_set", "train": 0.6, "val": 0, "test": 0.4}, "protocol": {"checkpoint": "last"}}
    with pytest.raises(ReidflowError, match="the split has none"):
        plan.make(config, given | without, ROOT)
    plan.make(config, given | without | {"submission": {"runs": runs, "new": None}}, ROOT)
