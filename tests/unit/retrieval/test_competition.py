import hashlib
import importlib
import json
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.features import bank as bank_module
from reidflow.retrieval import competition
from reidflow.retrieval.competition import CUT_SHORT, FEATURES, NO_TIME, PROJECTION, compete
from reidflow.retrieval.competition_report import markdown, report, submission
from reidflow.retrieval.competition_workspace import Budget, Workspace
from reidflow.retrieval.index import top_k
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec

SIZE = 32
PLANTED = '''
import torch
from torch import nn

from reidflow.models.backbones._backbone import Backbone
from reidflow.models.backbones._hub import MissingWeightsError

CLOCK = [0.0]


class Timed(Backbone):
    def __init__(self, seconds):
        super().__init__(nn.Conv2d(3, 8, 8, stride=8, bias=False), [0.5] * 3, [0.5] * 3, "timed")
        self.dim, self.seconds = 8, seconds

    def forward(self, images):
        CLOCK[0] += self.seconds * len(images)
        return self.net(images)


def build(size, *, seconds: float = 0.0, missing: bool = False, called: str = ""):
    """A network that sees colours; an image takes `seconds` of a clock."""
    if missing:
        raise MissingWeightsError("its weights are nowhere")
    return Timed(seconds)
'''


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A backbone component with a clock of its own."""
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "__init__.py").touch()
    (tmp_path / "planted" / "backbone.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("planted", "planted.backbone"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("planted.backbone")
    return module


def network(**parameters):
    backbone = resolve("backbone", {"name": "planted.backbone", **parameters})
    return {"backbone": backbone, "size": SIZE, "pooling": {"name": "avg"}, "precision": "fp32", "threads": 1}


def protocol():
    return RunSpec(
        model={"backbone": {"name": "small", "family": "mobilenetv3"}, "size": SIZE, "head": {"dim": 8}},
        loss="cross_entropy",
        sampler={"name": "shuffled", "batch": 8},
        optimizer={"name": "adamw", "learning_rate": 0.01},
        scheduler="constant",
        epochs=2,
    )


def photographs():
    """Return a manifest and images: a colour for each of 14 people, ten of them labelled; 00.png is in every folder."""
    generator = np.random.default_rng(3)
    colours = generator.permutation([(r, g, b) for r in (40, 130, 220) for g in (40, 130, 220) for b in (40, 220)])
    rows, images, truth = [], [], []
    for person in range(14):
        for place in range(4):
            labelled = person < 10
            side = None if labelled else ("query" if place == 0 else "gallery")
            number = place if labelled else (person - 10) * (1 if place == 0 else 3) + max(0, place - 1)
            folder = f"train/p{person}" if labelled else side
            image = np.clip(colours[person] + generator.normal(0, 6, (SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
            rows.append(
                {
                    "image": f"{folder}/{number:02}.png",
                    "pixels": hashlib.sha256(image.tobytes()).hexdigest(),
                    "identity": f"p{person}" if labelled else None,
                    "group": None,
                    "side": side,
                    "role": None,
                }
            )
            images.append(image)
            truth.append(person)
    manifest = pl.DataFrame(rows, schema_overrides={"group": pl.String, "role": pl.String})
    return manifest, np.stack(images), dict(zip(manifest["image"], truth, strict=True))


def setting(tmp_path, planted, seconds=1e6):
    manifest, images, _ = photographs()
    (tmp_path / "results" / ".store").mkdir(parents=True, exist_ok=True)
    budget = Budget(seconds, planted.CLOCK[0], lambda: planted.CLOCK[0])
    return Workspace(manifest, images, protocol(), tmp_path / "results", "cpu", budget)


def results_of(course, given):
    return report(course, given), submission(course, given.manifest, {})


def test_every_query_is_answered_by_images_of_the_gallery_the_right_person_first(tmp_path, planted):
    given = setting(tmp_path, planted)
    _, answers = results_of(compete(given, [network()], 5), given)
    manifest, _, truth = photographs()
    sides = dict(manifest.select("image", "side").iter_rows())
    assert list(answers) == [image for image, side in sides.items() if side == "query"]
    for query, found in answers.items():
        assert len(set(found)) == len(found) == 5
        assert all(sides[image] == "gallery" for image in found)
        assert [truth[image] for image in found[:3]] == [truth[query]] * 3


def test_equal_file_names_in_two_folders_do_not_collide(tmp_path, planted):
    given = setting(tmp_path, planted)
    _, answers = results_of(compete(given, [network()], 12), given)
    assert "query/00.png" in answers
    assert all("gallery/00.png" in found and "query/00.png" not in found for found in answers.values())


def test_names_are_relative_to_the_folders_of_the_two_sides(tmp_path, planted):
    given = setting(tmp_path, planted)
    course = compete(given, [network()], 12)
    named = submission(course, given.manifest, {"query": "query", "gallery": "./gallery/"})
    assert list(named) == ["00.png", "01.png", "02.png", "03.png"]
    assert all(sorted(found) == [f"{number:02}.png" for number in range(12)] for found in named.values())
    deeper = submission(course, given.manifest, {"query": "que", "gallery": "train"})
    assert list(deeper) == list(submission(course, given.manifest, {}))


def test_fewer_images_in_the_gallery_than_asked_for_are_all_ranked(tmp_path, planted):
    given = setting(tmp_path, planted)
    course = compete(given, [network()], 100)
    assert course.ranked.shape == (4, 12) and report(course, given)["k"] == 12


def test_no_network_is_started_once_the_budget_is_used_up_and_each_left_out_is_named(tmp_path, planted):
    given = setting(tmp_path, planted, seconds=1000)
    # A tenth of the training images takes the slow one longer than the budget.
    networks = [network(seconds=1.0, called="quick"), network(seconds=100.0, called="slow"), network(called="late")]
    course = compete(given, networks, 5)
    assert [candidate.left_out for candidate in course.candidates] == [None, None, NO_TIME]
    assert set(course.results) == {(0, FEATURES), (0, PROJECTION), (1, FEATURES)}
    assert "A projection of" in course.skipped[0] and course.ranked.shape == (4, 5)
    assert f"- {course.candidates[2].name}: {NO_TIME}" in markdown(report(course, given), "faces")


def test_with_time_enough_both_networks_are_judged(tmp_path, planted):
    given = setting(tmp_path, planted, seconds=1e6)
    course = compete(given, [network(seconds=100.0, called="slow"), network(seconds=1.0, called="quick")], 5)
    assert set(course.results) == {(place, kind) for place in (0, 1) for kind in (FEATURES, PROJECTION)}


def test_a_network_that_uses_up_the_budget_is_given_up_and_the_others_rank(tmp_path, planted, monkeypatch):
    monkeypatch.setattr(bank_module, "SHARD", 16)
    given = setting(tmp_path, planted, seconds=2400)
    course = compete(given, [network(), network(seconds=200.0)], 5)
    assert [candidate.left_out for candidate in course.candidates] == [None, CUT_SHORT]
    assert course.choice[0] == 0 and course.ranked.shape == (4, 5)


def test_a_part_of_the_budget_is_kept_for_the_ranking(tmp_path, planted):
    given = setting(tmp_path, planted, seconds=1000)
    assert given.budget.left() == 1000 and given.budget.usable() == 750
    planted.CLOCK[0] += 800
    assert not compete(given, [network(called="one"), network(called="two")], 5).results


def test_a_network_named_twice_takes_part_once(tmp_path, planted):
    course = compete(setting(tmp_path, planted), [network(), network(), network(called="other")], 5)
    assert len(course.candidates) == 2 and len({candidate.name for candidate in course.candidates}) == 2


@pytest.mark.parametrize("late", [0.0, 5000.0])
def test_a_spent_budget_still_gives_a_submission(tmp_path, planted, late):
    given = setting(tmp_path, planted, seconds=1000)
    planted.CLOCK[0] += 1000 + late
    course = compete(given, [network(called="one"), network(called="two")], 5)
    summary, answers = results_of(course, given)
    assert len(answers) == 4 and all(len(found) == 5 for found in answers.values())
    assert not course.results and "is used instead" in summary["skipped"][-1]
    assert "not evaluated" in markdown(summary, "faces")


def test_networks_without_weights_are_named(tmp_path, planted):
    given = setting(tmp_path, planted)
    course = compete(given, [network(missing=True), network()], 5)
    assert [candidate.left_out for candidate in course.candidates] == ["its weights are nowhere", None]
    with pytest.raises(ReidflowError, match="its weights are nowhere"):
        compete(given, [network(missing=True)], 5)


def test_a_repeated_command_embeds_and_trains_nothing_and_writes_the_same(tmp_path, planted, monkeypatch):
    seen = []
    whole = bank_module._Embedder.__call__
    monkeypatch.setattr(
        bank_module._Embedder, "__call__", lambda self, i, m, r, k, v: seen.extend(r) or whole(self, i, m, r, k, v)
    )
    given = setting(tmp_path, planted)
    first = results_of(compete(given, [network(), network(called="other")], 5), given)
    log = tmp_path / "results" / ".store" / "log.jsonl"
    trained = log.read_text().count('"trained"')
    assert len(seen) == 40 + 40 + 16 and trained >= 2
    seen.clear()
    again = setting(tmp_path, planted)
    assert json.dumps(results_of(compete(again, [network(), network(called="other")], 5), again)) == json.dumps(first)
    assert not seen and log.read_text().count('"trained"') == trained


def test_a_winning_projection_is_trained_on_all_identities_and_ranks(tmp_path, planted, monkeypatch):
    monkeypatch.setattr(competition, "best", lambda judged, flops: 1)
    given = setting(tmp_path, planted)
    course = compete(given, [network()], 5)
    assert course.choice == (0, PROJECTION)
    candidate, who = course.candidates[0], course.rows
    features = given.features(given.bank(candidate, plain=False), who.training)
    log = tmp_path / "results" / ".store" / "log.jsonl"
    trained = log.read_text().count('"trained"')
    folder = given.trained(candidate, features, who.training)
    assert trained == 2 and log.read_text().count('"trained"') == trained
    vectors = [
        given.project(candidate, folder, given.features(given.bank(candidate, plain=True), rows))
        for rows in (who.queries, who.gallery)
    ]
    lengths = [np.linalg.norm(v, axis=1, keepdims=True) for v in vectors]
    cosines = (vectors[0] / lengths[0]) @ (vectors[1] / lengths[1]).T
    assert np.array_equal(course.ranked, np.argsort(-cosines, axis=1)[:, :5])


def test_without_time_for_the_last_training_features_rank_and_it_is_said(tmp_path, planted, monkeypatch):
    monkeypatch.setattr(competition, "best", lambda judged, flops: planted.CLOCK.__setitem__(0, 1e9) or 1)
    given = setting(tmp_path, planted)
    course = compete(given, [network()], 5)
    assert course.choice == (0, FEATURES) and "features are used instead" in course.skipped[-1]


def test_too_few_identities_to_judge_by_choose_the_first_network(tmp_path, planted):
    given = setting(tmp_path, planted)
    few = pl.col("identity").is_null() | pl.col("identity").is_in(["p1", "p2"])
    rows = np.flatnonzero(given.manifest.select(few).to_series().to_numpy())
    given = replace(given, manifest=given.manifest[rows.tolist()], images=given.images[rows])
    course = compete(given, [network(seconds=2.0), network(seconds=1.0)], 5)
    assert course.choice == (0, FEATURES) and "Too few training identities" in course.skipped[0]


def test_vectors_of_another_geometry_are_ranked_by_its_similarity():
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(3, 4)), generator.normal(size=(9, 4))
    gallery[5] = gallery[2]

    def nearness(a, b):
        return -np.square(a[:, None] - b[None]).sum(axis=2)

    expected = np.argsort(-nearness(queries, gallery), axis=1, kind="stable")
    assert np.array_equal(top_k(Retrieval(queries, gallery, similarity=nearness), 9), expected)
    assert np.array_equal(top_k(Retrieval(queries, gallery, similarity=nearness), 4), expected[:, :4])


@pytest.mark.parametrize("steps", [["flip"], ["query_expansion", "k_reciprocal"]])
def test_the_protocols_inference_changes_what_is_ranked(tmp_path, planted, steps):
    given = setting(tmp_path, planted)
    plain = compete(given, [network()], 12)
    changed = RunSpec.model_validate({**given.protocol.plain(), "inference": steps})
    course = compete(replace(given, protocol=changed), [network()], 12)
    assert not np.array_equal(course.ranked, plain.ranked) and report(course, given)["inference"] == steps
    assert f"Before the ranking: {', '.join(steps)}" in markdown(report(course, given), "faces")


def grouped(given, group):
    """Return the workspace with `group(person, place)` as the group of each labelled image."""
    groups = [
        group(image.split("/")[1], int(image.split("/")[2][:2])) if identity else None
        for image, identity in given.manifest.select("image", "identity").iter_rows()
    ]
    return replace(given, manifest=given.manifest.with_columns(group=pl.Series(groups, dtype=pl.String)))


def test_identities_of_a_single_group_evaluate_no_network(tmp_path, planted):
    given = grouped(setting(tmp_path, planted), lambda person, place: person)
    course = compete(given, [network()], 5)
    assert not course.results and "each in two groups" in course.skipped[0]


def test_networks_are_evaluated_without_the_group_of_the_query(tmp_path, planted, monkeypatch):
    given = grouped(setting(tmp_path, planted), lambda person, place: f"{person} {place // 2}")
    codes, whole = [], competition.evaluate_held_out
    monkeypatch.setattr(
        competition,
        "evaluate_held_out",
        lambda queries, gallery, identity, group, *rest: (
            codes.append(group) or whole(queries, gallery, identity, group, *rest)
        ),
    )
    compete(given, [network()], 5)
    assert len(codes) == 2
    for group in codes:
        assert np.array_equal(group[0::2], group[1::2]) and len(np.unique(group)) == 20


def test_without_time_for_inference_the_plain_ranking_stands_and_the_report_says_so(tmp_path, planted, monkeypatch):
    plain = compete(setting(tmp_path, planted), [network()], 12)
    monkeypatch.setattr(competition, "best", lambda judged, flops: planted.CLOCK.__setitem__(0, 1e9) or 0)
    given = setting(tmp_path, planted)
    expanded = RunSpec.model_validate({**given.protocol.plain(), "inference": ["query_expansion"]})
    course = compete(replace(given, protocol=expanded), [network()], 12)
    assert course.inference == [] and "inference was left out" in course.skipped[-1]
    assert plain.choice == course.choice == (0, FEATURES) and np.array_equal(course.ranked, plain.ranked)
