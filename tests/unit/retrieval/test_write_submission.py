from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from planted_folder import spec_of

from reidflow.evaluation.retrieval_queries import Retrieval, infer, scores
from reidflow.evaluation.runs import TrainedRun
from reidflow.ingest.manifest import SET_ASIDE
from reidflow.retrieval.held_out import competition_rows
from reidflow.retrieval.submitted_gallery import gallery_question, joint_vectors
from reidflow.retrieval.write_submission import (
    ChosenRun,
    QueryRows,
    pairs_csv,
    rank_query_images,
    sides_of,
)
from reidflow.spec.errors import ReidflowError

QUESTION = QueryRows(np.array([4, 2]), np.array([0, 2, 5, 7]), np.array([-1, 1]))
EVERYTHING = slice(0, 2)
EXPANSION = {"name": "query_expansion", "k": 1}


def vectors(seed, mirrored=False):
    return np.random.default_rng([seed, int(mirrored)]).standard_normal((8, 6)).astype(np.float32)


class Stored:
    """Embeddings by the number in the run's folder."""

    def rows(self, folder, spec, rows):
        return vectors(int(folder))[rows]

    def mirrored(self, folder, spec, rows):
        return vectors(int(folder), mirrored=True)[rows]


def run(number, members=(), combine="", **changes):
    spec = spec_of(**changes)
    made = TrainedRun("arm", number, str(number), str(number), tuple((str(m), str(m)) for m in members), combine)
    return ChosenRun("experiment", made, spec)


def cosines(seed, mirrored=None):
    rows = vectors(seed)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if mirrored:
        other = vectors(seed, mirrored=True)
        rows = rows + other / np.linalg.norm(other, axis=1, keepdims=True)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[QUESTION.queries] @ rows[QUESTION.gallery].T


def combined(runs, combine="concatenate", inference=()):
    found, cosine = rank_query_images(runs, QUESTION, Stored(), combine, list(inference))
    return scores(found, EVERYTHING), cosine


def test_one_run_ranks_by_its_cosines():
    found, cosine = combined([run(3)])
    assert cosine and np.allclose(found, cosines(3), atol=1e-6)


@pytest.mark.parametrize("combine", ["concatenate", "average"])
def test_several_runs_rank_by_the_mean_of_their_cosines(combine):
    found, cosine = combined([run(3), run(5)], combine)
    assert cosine and np.allclose(found, (cosines(3) + cosines(5)) / 2, atol=1e-6)


@pytest.mark.parametrize("combine", ["concatenate", "average"])
def test_an_arm_that_is_an_ensemble_comes_with_its_members(combine):
    ensemble = {"seeds": 2, "combine": combine}
    found, cosine = combined([run(3, members=[3, 4], combine=combine, ensemble=ensemble)])
    assert cosine and np.allclose(found, (cosines(3) + cosines(4)) / 2, atol=1e-6)


def test_inference_is_done_on_joined_embeddings_or_run_by_run():
    joined, by_cosine = combined([run(3), run(5)], "concatenate", [EXPANSION])
    apart, _ = combined([run(3), run(5)], "average", [EXPANSION])
    each = [combined([run(number)], inference=[EXPANSION])[0] for number in (3, 5)]
    assert np.allclose(apart, np.mean(each, axis=0), atol=1e-6)
    both = np.concatenate([(rows := vectors(n)) / np.linalg.norm(rows, axis=1, keepdims=True) for n in (3, 5)], axis=1)
    once = infer(Retrieval(both[QUESTION.queries], both[QUESTION.gallery], QUESTION.query_index), [EXPANSION])
    assert by_cosine and np.allclose(joined, scores(once, EVERYTHING), atol=1e-6)
    assert not np.allclose(joined, apart, atol=1e-3)


def test_an_arm_keeps_its_own_inference():
    own, _ = combined([run(3, inference=[EXPANSION])])
    requested, _ = combined([run(3)], inference=[EXPANSION])
    assert np.array_equal(own, requested) and not np.allclose(own, cosines(3), atol=1e-3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("combine", ["concatenate", "average"])
def test_mirror_images_are_embedded_where_they_are_asked_for(count, combine):
    runs = [run(3), run(5)][:count]
    found, _ = combined(runs, combine, [{"name": "flip"}])
    if count == 1 or combine == "average":
        expected = np.mean([cosines(number, mirrored=True) for number in (3, 5)[:count]], axis=0)
        assert np.allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, combined(runs, combine)[0], atol=1e-3)


def test_similarities_that_are_no_cosines_are_known_to_be_none():
    _, cosine = combined([run(3)], inference=[{"name": "k_reciprocal", "k1": 2, "k2": 1, "lambda_": 0.3}])
    assert not cosine
    euclidean = spec_of().model_dump()
    euclidean["model"]["geometry"] = {"name": "euclidean"}
    flat = run(3)._replace(spec=spec_of().model_validate({**euclidean, "loss": "triplet"}))
    assert not combined([flat])[1]
    with pytest.raises(ReidflowError, match="euclidean"):
        joint_vectors([flat], np.arange(3), Stored())


def test_an_index_gets_the_unit_vectors_of_all_runs_side_by_side():
    rows = np.array([1, 6])
    found = joint_vectors(
        [run(3), run(5, members=[5, 6], combine="concatenate", ensemble={"seeds": 2})], rows, Stored()
    )
    assert found.shape == (2, 18) and np.allclose(np.linalg.norm(found, axis=1), 1)
    mean = np.mean(
        [(u := v / np.linalg.norm(v, axis=1, keepdims=True)) @ u.T for v in (vectors(n)[rows] for n in (3, 5, 6))], 0
    )
    assert np.allclose(found @ found.T, mean, atol=1e-6)


def data(*rows):
    """rows: image, identity, side, role."""
    names = ("image", "identity", "side", "role")
    table = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row").with_columns(
        flank=pl.lit(None, pl.String)
    )
    split = table.filter(pl.col("identity").is_not_null()).with_columns(group=pl.col("image"))
    return table, [split.select("image", "identity", "group", "role", "side")]


def test_queries_that_no_run_was_trained_on_are_ranked_against_the_complete_gallery():
    found = sides_of(
        *data(
            ("a", "x", "gallery", "train"),
            ("b", "x", None, "train"),
            ("c", "x", None, "test"),
            ("d", "y", "query", "test"),
            ("e", "y", "gallery", "test"),
        ),
        "role",
    )
    assert (found.queries.tolist(), found.gallery.tolist()) == ([2, 3], [0, 4])
    assert found.query_index.tolist() == [-1, -1]


def test_an_image_asks_only_where_no_run_was_trained_on_it():
    manifest, splits = data(("a", "x", "gallery", "test"), ("b", "x", None, "test"), ("c", "x", None, "test"))
    other = splits[0].with_columns(role=pl.when(pl.col("image") == "b").then(pl.lit("train")).otherwise(pl.lit("test")))
    assert sides_of(manifest, [*splits, other], "role").queries.tolist() == [2]


def test_unlabelled_sides_come_before_labelled_ones():
    found = sides_of(
        *data(
            ("a", "x", "gallery", "test"),
            ("b", None, "gallery", None),
            ("c", "x", "query", "test"),
            ("d", None, "query", None),
        ),
        "role",
    )
    assert (found.queries.tolist(), found.gallery.tolist()) == ([3], [1])


def test_images_that_are_set_aside_are_neither_queries_nor_in_the_gallery():
    known = [("a", "x", "gallery", "test"), ("c", "x", "query", "test")]
    denied = [("b", None, "gallery", SET_ASIDE), ("d", None, "query", SET_ASIDE), ("e", None, None, SET_ASIDE)]
    found = sides_of(*data(*known, *denied), "role")
    assert (found.queries.tolist(), found.gallery.tolist()) == ([1], [0])
    parts = competition_rows(data(*known, *denied)[0])
    assert [part.tolist() for part in (parts.training, parts.queries, parts.gallery)] == [[], [1], [0]]


def test_without_sides_the_test_images_are_ranked_as_in_the_tables():
    found = sides_of(
        *data(("z", None, None, None), ("a", "x", None, "test"), ("b", "x", None, "train"), ("c", "y", None, "test")),
        "role",
    )
    assert found.queries.tolist() == found.gallery.tolist() == [1, 3]
    assert found.query_index.tolist() == [0, 1] and len(found.query_group) == 2


def test_a_data_set_without_a_query_image_is_an_error():
    with pytest.raises(ReidflowError, match="there is no query image"):
        sides_of(*data(("a", "x", "gallery", "test"), ("b", "x", "query", "train")), "role")


def test_chosen_runs_of_an_arm_without_its_network_are_an_error(tmp_path):
    import json

    from reidflow.retrieval.write_submission import chosen_runs

    (tmp_path / "runs.json").write_text(json.dumps({"runs": [], "unavailable": {"b0": "No network."}}))
    facts = {"experiment": "e", "arm": "b0", "seeds": [0], "arms": ["b0"], "runs": [str(tmp_path / "runs.json")]}
    with pytest.raises(ReidflowError, match="No network"):
        chosen_runs([facts | {"local": []}], SimpleNamespace())


def test_a_query_of_listed_pairs_that_stands_in_the_gallery_does_not_expand_itself(tmp_path):
    images = [f"test/{row}.png" for row in range(8)]
    manifest = pl.DataFrame({"image": images, "identity": None, "flank": None}).cast(pl.String)
    quarantine = pl.DataFrame(schema=dict.fromkeys(("image", "reason", "detail"), pl.String))
    pairs = [(query, image) for query in QUESTION.queries for image in QUESTION.gallery]
    lines = [f"{number},{query}.png,{image}.png" for number, (query, image) in enumerate(pairs)]
    (tmp_path / "test.csv").write_text("\n".join(["row_id,query_image,gallery_image", *lines]))
    written = pairs_csv(
        tmp_path / "test.csv", manifest, quarantine, [run(3)], Stored(), "concatenate", inference=[EXPANSION]
    )
    values = np.array([float(line.split(",")[1]) for line in written.splitlines()[1:]])
    expected = (1 + combined([run(3)], inference=[EXPANSION])[0].ravel()) / 2
    itself = np.array([query == image for query, image in pairs])
    assert np.allclose(values[~itself], expected[~itself], atol=1e-6)
    assert np.allclose(values[itself], expected.max(), atol=1e-6)


def test_pairs_know_the_flanks_of_their_images_and_no_candidate_is_left_out(tmp_path):
    images = [f"test/{row}.png" for row in range(8)]
    manifest = pl.DataFrame({"image": images, "identity": None, "flank": ["left", "right", None, "left"] * 2}).cast(
        pl.String
    )
    (tmp_path / "test.csv").write_text("row_id,query_image,gallery_image\n0,4.png,0.png\n1,4.png,5.png\n2,4.png,2.png")
    quarantine = pl.DataFrame(schema=dict.fromkeys(("image", "reason", "detail"), pl.String))
    rows = gallery_question(str(tmp_path / "test.csv"), manifest, quarantine, [], "role")
    flanks = manifest["flank"].gather(rows.gallery).to_list()
    other = [flank == "right" for flank in flanks]
    assert ((rows.query_flank[:, None] != rows.gallery_flank) & (rows.gallery_flank >= 0)).tolist() == [other]
    values = [
        [
            float(line.split(",")[1])
            for line in pairs_csv(
                tmp_path / "test.csv", manifest, quarantine, [run(3)], Stored(), "concatenate", steps
            ).splitlines()[1:]
        ]
        for steps in ([], [{"name": "flank_first", "penalty": None}])
    ]
    assert values[1][1] == min(values[1]) and len(values[0]) == len(values[1]) == 3
