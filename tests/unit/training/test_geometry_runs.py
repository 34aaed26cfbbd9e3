import json

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from training_cases import small_data, small_spec, stored_bytes

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.evaluation.metrics import cluster_agreement, evaluate
from reidflow.evaluation.ranking import similarity_of, unit
from reidflow.evaluation.runs import TrainedRun, evaluate_runs
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.training.building import build_module
from reidflow.training.distance import Geodesic
from reidflow.training.embedding import embed_stored
from reidflow.training.loop import train
from reidflow.training.validation import Validation

CURVED = ["poincare", "lorentz"]
ABLE = {"loss": ["contrastive", "multi_similarity", "supcon", "triplet"]}
ABLE["miner"] = ["batch_hard", "multi_similarity", "semihard", "violating"]
ROLES = "train train train val val test test test"


def spec_in(geometry, **changes):
    geometry = {"name": geometry} if isinstance(geometry, str) else geometry
    return small_spec(**({"loss": "triplet", "miner": "batch_hard", "model": {"geometry": geometry}} | changes))


def trained(folder, spec, data=None):
    train(spec, data or small_data(roles=ROLES), folder / "work", folder / "out", "cpu", key="k")
    return folder / "out"


def split_of(data):
    columns = {"image": data.images, "identity": data.identities, "group": data.images, "role": data.roles}
    return pl.DataFrame(columns).with_columns(side=pl.lit(None, pl.String))


def table_of(data, out):
    split = split_of(data)
    manifest = split.select("image", flank=pl.lit(None, pl.String))
    return evaluate_runs([TrainedRun("arm", 0, "k", out)], [split], manifest, "role")["metrics"].row(0, named=True)


def stored(out, stage="final", role="test"):
    table = pl.read_parquet(out / "embeddings.parquet").filter((pl.col("stage") == stage) & (pl.col("role") == role))
    return np.stack(table["vector"].to_numpy()).astype(np.float64)


def geodesic(name, one, other):
    """The distance by its textbook formula, one pair at a time."""
    apart = ((one - other) ** 2).sum()
    if name == "poincare":
        return np.arccosh(1 + 2 * apart / ((1 - one @ one) * (1 - other @ other)))
    return np.arccosh(max(1, np.sqrt((1 + one @ one) * (1 + other @ other)) - one @ other))


def mean_precision(distance, identities):
    """Identity-balanced mAP, written out; no ties."""
    scores = {}
    for query, own in enumerate(identities):
        order = [i for i in np.argsort(distance[query]) if i != query]
        hits = np.array([identities[i] == own for i in order])
        scores.setdefault(own, []).append((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())
    return np.mean([np.mean(own) for own in scores.values()])


@pytest.mark.parametrize("name", CURVED)
def test_the_table_of_a_hyperbolic_run_ranks_by_the_geodesic_and_not_by_the_cosine(tmp_path, name):
    spec, data = spec_in({"name": name, "clip": 6.0, "scale": 1.0}), small_data(roles=ROLES)
    out = trained(tmp_path, spec, data)
    row = table_of(data, out)
    identities = [i for i, role in zip(data.identities, data.roles, strict=True) if role == "test"]
    for stage, column in (("final", "id_map"), ("initial", "id_map_untrained")):
        x = stored(out, stage)
        by_geodesic = np.array([[geodesic(name, a, b) for b in x] for a in x])
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        by_cosine = -unit @ unit.T
        assert row[column] == pytest.approx(mean_precision(by_geodesic, identities), abs=1e-9)
        assert abs(row[column] - mean_precision(by_cosine, identities)) > 0.005
    assert row["inter"] > row["intra"] > 0


@pytest.mark.parametrize("name", [*CURVED, "euclidean"])
def test_validation_ranks_by_the_distance_that_is_trained(tmp_path, name):
    data = small_data(roles=ROLES)
    out = trained(tmp_path, spec_in(name, checkpoint="last"), data)
    validation, vectors = Validation(data, name), stored(out, role="val").astype(np.float32)
    score = pl.read_parquet(out / "history.parquet")["val_id_map"][-1]
    assert score == pytest.approx(validation.id_map(vectors), abs=1e-12)
    codes = np.unique([data.identities[i] for i in validation.queries], return_inverse=True)[1]
    cosine = average_precisions(vectors, vectors, codes, codes, query_index=np.arange(len(codes)))
    assert score != identity_balanced(cosine, codes)


@pytest.mark.parametrize(("name", "coordinate"), [("poincare", lambda r: np.tanh(r / 2)), ("lorentz", np.sinh)])
def test_clusters_are_sought_in_the_tangent_space_at_the_origin(name, coordinate):
    random = np.random.default_rng(0)
    directions = unit(random.normal(size=(60, 3)))
    lengths = random.uniform(0.2, 6, (60, 1))
    tangent, points = lengths * directions, coordinate(lengths) * directions
    identity = np.arange(60) % 4
    found = evaluate(points, points, identity, identity, query_index=np.arange(60), similarity=similarity_of(name))[0]
    assert found["nmi"] == pytest.approx(cluster_agreement(tangent, identity, 0, normalise=False))
    assert found["nmi"] != pytest.approx(cluster_agreement(points, identity, 0, normalise=False))


@pytest.mark.parametrize("kind", ["loss", "miner"])
def test_exactly_these_take_the_distance_of_a_geometry(kind):
    takes = [name for name in components.names(kind) if "distance" in components.context(kind, name)]
    assert takes == ABLE[kind]


@pytest.mark.parametrize("miner", [None, *ABLE["miner"]])
@pytest.mark.parametrize("loss", ABLE["loss"])
def test_every_loss_and_miner_trains_on_equal_images_in_every_geometry(tmp_path, loss, miner):
    data = small_data(roles=ROLES)
    twins = data.features.copy()
    twins[1::8] = twins[0::8]
    for name in (*CURVED, "euclidean"):
        spec = spec_in(name, loss=loss, miner=miner, epochs=2, sampler={"name": "pk", "identities": 3, "images": 3})
        out = trained(tmp_path / name, spec, small_data(roles=ROLES, features=twins))
        history = pl.read_parquet(out / "history.parquet")
        assert history["gradient_norm"].drop_nulls().is_finite().all()
        assert np.isfinite(stored(out)).all()


def test_a_loss_measures_in_the_true_curvature():
    space = components.call("geometry", components.resolve("geometry", {"name": "lorentz", "curvature": -4.0}))
    loss = components.call("loss", {"name": "contrastive"}, 3, 2, Geodesic(space))
    # Two images of one identity a length of 0.5 apart, through the origin.
    points = space(torch.tensor([[2.5, 0, 0], [-2.5, 0, 0.0]]))
    assert loss(points, torch.tensor([0, 0])).item() == pytest.approx(0.5, rel=1e-5)


def test_a_learned_curvature_is_trained_saved_and_rebuilt(tmp_path):
    spec = spec_in({"name": "poincare", "learned": True, "curvature": -2.0}, checkpoint="last")
    data = small_data(roles=ROLES)
    out = trained(tmp_path, spec, data)
    saved = load_file(out / "model.safetensors")
    facts = json.loads((out / "provenance.json").read_text())
    curvature = -saved["model.geometry.log_curvature"].exp().item()
    assert curvature < 0
    assert abs(curvature + 2) > 1e-3
    assert facts["geometry"] == {"name": "poincare", "curvature": pytest.approx(curvature)}
    assert "geoopt" in facts["versions"]
    assert facts["trainable_parameters"] == sum(
        t.numel() for n, t in saved.items() if "running" not in n and "num_" not in n
    )
    history = pl.read_parquet(out / "history.parquet")
    assert history["curvature"][-1] == pytest.approx(curvature)
    assert history["clipped"].drop_nulls().is_between(0, 1).all()
    again = embed_stored(out, spec, data.rows("test"), features=data.features, pixels=None, device="cpu")
    np.testing.assert_array_equal(again, stored(out).astype(np.float32))


def test_a_stopped_hyperbolic_run_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    spec = spec_in({"name": "lorentz", "learned": True}, epochs=4)
    whole = stored_bytes(trained(tmp_path / "whole", spec))
    from reidflow.training.fitting import Fitting

    epoch = Fitting._epoch

    def stop(self, number):
        if number == 3:
            raise KeyboardInterrupt
        epoch(self, number)

    work, out = tmp_path / "work", tmp_path / "out"
    monkeypatch.setattr(Fitting, "_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        train(spec, small_data(roles=ROLES), work, out, "cpu", key="k", checkpoint_seconds=0)
    monkeypatch.setattr(Fitting, "_epoch", epoch)
    train(spec, small_data(roles=ROLES), work, out, "cpu", key="k")
    assert stored_bytes(out) == whole


def test_the_hypersphere_adds_nothing_to_a_run(tmp_path):
    module, _ = build_module(small_spec(), 16, "cpu")
    assert not hasattr(module, "geometry")
    out = trained(tmp_path, small_spec())
    assert json.loads((out / "provenance.json").read_text())["geometry"] == {"name": "hypersphere", "curvature": None}
    assert pl.read_parquet(out / "history.parquet").select("curvature", "clipped").null_count().row(0) == (5, 5)


def test_a_geometry_that_does_not_say_how_to_rank_is_named():
    with pytest.raises(ReidflowError, match="similarity"):
        similarity_of("reidflow.models.geometries._flat")
