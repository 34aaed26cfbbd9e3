"""Splits of an experiment's own, further ones, ensembles and inference are checked while planning."""

from pathlib import Path

import pytest

from reidflow.spec import plan, yaml
from reidflow.spec.description import rebuild
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment_splits import takes_folds
from reidflow.spec.yaml import load

ROOT = Path(__file__).parents[3]
CONTENT = {
    "question": "Which?",
    "motivation": "Because.",
    "hypothesis": "One.",
    "varies": ["loss", "inference", "ensemble", "dedup", "model", "train_sides"],
    "baseline": "a",
    "arms": {"a": {"why": "base"}, "b": {"why": "other", "loss": "triplet"}},
}


@pytest.fixture
def planned(tmp_path):
    """Return a function that plans one experiment with other content and config keys."""

    def make(in_config=(), **content):
        config = load(ROOT / "config" / "config.yaml") | {"experiments": ["mine"], "seeds": [0, 1]} | dict(in_config)
        folder = tmp_path / "config" / "experiments"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config.yaml").write_text(yaml.dumps(config))
        (folder / "mine.yaml").write_text(yaml.dumps(CONTENT | content))
        return plan.make([tmp_path / "config.yaml"], root=tmp_path)

    return make


def arm(**settings):
    return {"arms": CONTENT["arms"] | {"c": {"why": "third", **settings}}}


def test_an_experiment_without_changes_stands_on_the_configs_split(planned):
    made = planned()
    assert made.experiments["mine"].division == made.division and made.splits() == {}
    assert made.split_folder(made.division) == f"{made.config.results}/data"
    assert made.other_split_folder(made.division) is None


@pytest.mark.parametrize(
    ("in_config", "in_file", "margin"), [(0.05, 0.01, 0.01), (0.05, None, 0.05), (None, None, None), (0.05, 0, None)]
)
def test_an_experiment_has_the_configs_margin_of_equivalence_or_its_own(planned, in_config, in_file, margin):
    made = planned({"equivalence": in_config}, equivalence=in_file)
    assert made.experiments["mine"].equivalence == margin
    assert rebuild(made.descriptions[made.experiment_params("mine")["digest"]])[1].equivalence == margin


def test_folds_are_recommended_where_an_experiment_could_run_on_them(planned):
    assert takes_folds(planned().experiments["mine"])
    assert not takes_folds(planned({"split": {"name": "closed_set", "folds": 5}}).experiments["mine"])
    assert not takes_folds(planned(score={"top1": 1}).experiments["mine"])


def test_further_splits_are_changes_of_the_experiments_own_one_and_a_job_rebuilds_them(planned):
    changes = {"split": {"name": "identity_disjoint", "seed": 3}, "sides": "across"}
    made = planned(evaluation=changes, also_on={"one domain": {"sides": "within", "queries": 0.2}})
    experiment = made.experiments["mine"]
    assert experiment.division["split"] == {
        "name": "identity_disjoint", "train": 0.5, "val": 0.2, "test": 0.3, "seed": 3
    }  # fmt: skip
    further = experiment.also_on["one domain"]
    assert further["split"] == experiment.division["split"]
    assert (further["sides"], further["queries"]) == ("within", 0.2)
    assert len(made.splits()) == 2
    config, again = rebuild(made.descriptions[made.experiment_params("mine")["digest"]])
    assert config.split == experiment.division["split"] and again.also_on == experiment.also_on


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ({"evaluation": {"split": {"name": "nowhere"}}}, "there is no split 'nowhere'"),
        ({"also_on": {"same": {}}}, "is the experiment's own split"),
        ({"also_on": {"validation": {"queries": 0.2}}}, "this label is used"),
        ({"evaluation": {"queries": 0.2}, **arm(dedup={"method": "phash"})}, "'dedup' is made for the training images"),
        ({"also_on": {"few": {"queries": 0.2}}, **arm(inference=["flip"])}, "mirror images are embedded on"),
        (arm(inference=["k_reciprocal", "query_expansion"]), "put it last"),
        (arm(ensemble={"seeds": 1}), "'seeds' of 2 or more, or 'members'"),
        (arm(ensemble={"members": [{"seed": 3}]}), "does not set 'seed'"),
        (arm(ensemble={"members": [{"loss": "nothing"}]}), "there is no loss 'nothing'"),
        (arm(ensemble={"seeds": 2, "combine": "average"}, inference=["query_expansion"]), "have none: concatenate"),
        (arm(ensemble={"members": [{"loss": "contrastive", "model": {"geometry": "lorentz"}}]}), "combine: average"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_runs(planned, content, wrong):
    with pytest.raises(ReidflowError, match=wrong):
        planned(**content)


def test_settings_are_tuned_by_no_ranking_that_needs_mirror_images(planned):
    """Whatever is tuned: candidates of the same flank are known to the ranking alone."""
    same, grid = (
        {"evaluation": {"candidates": {"same": "flank"}}},
        {"tuned": {"optimizer.learning_rate": [0.001, 0.01]}},
    )
    with pytest.raises(ReidflowError, match=r"tune settings among candidates of the same flank.*tune no setting"):
        planned(**same, **grid, **arm(inference=["flip"]))
    for remedy in (same | arm(inference=["flip"]), same | grid | arm(loss="supcon"), grid | arm(inference=["flip"])):
        assert planned(**remedy)


def test_the_members_of_an_ensemble_are_the_arm_and_the_settings_laid_over_it_with_seeds_of_their_own(planned):
    made = planned(**arm(loss="triplet", ensemble={"members": [{"loss": "supcon"}], "seeds": 2}, inference=["coral"]))
    spec = made.experiments["mine"].arms["c"].spec.with_seed(1)
    assert [(run.loss["name"], run.seed) for run in spec.runs()] == [
        ("triplet", 1), ("triplet", 10001), ("supcon", 1), ("supcon", 10001)
    ]  # fmt: skip
    assert all(run.ensemble is None and run.inference == [] for run in spec.runs())
    alone = made.experiments["mine"].arms["b"].spec.with_seed(1)
    assert spec.runs()[0] == alone and spec.apart_from_data() == alone.apart_from_data()


def test_candidates_of_the_same_flank_are_a_split_of_their_own(planned):
    of_flank = planned(evaluation={"candidates": {"same": "flank"}})
    assert of_flank.experiments["mine"].division == of_flank.division | {"same": ["flank"]}
    undone = planned({"candidates": {"same": ["flank"]}}, evaluation={"candidates": {"same": []}})
    assert undone.division["same"] == ["flank"] and "same" not in undone.experiments["mine"].division
    own, _ = rebuild(undone.descriptions[undone.experiment_params("mine")["digest"]])
    assert own.candidates.same == []
    for config, evaluation in (
        ({"ignore": ["flank"]}, {"candidates": {"same": "flank"}}),
        ({}, {"ignore": ["site"], "candidates": {"same": ["site"]}}),
    ):
        with pytest.raises(ReidflowError, match=r"is in 'ignore' and in 'candidates.same'"):
            planned(config, evaluation=evaluation)
    with pytest.raises(ReidflowError, match=r"is in .ignore. and in .candidates.same."):
        planned({"ignore": ["flank"], "candidates": {"same": "flank"}})
