import json
import math

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from training_cases import small_data, small_spec, stored_bytes

from reidflow.evaluation.average_precision import average_precisions, identity_balanced
from reidflow.models.head import build_head
from reidflow.spec import yaml
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.store.tables import read_table
from reidflow.training import fitting
from reidflow.training.feature_inputs import FeatureInputs
from reidflow.training.loop import train
from reidflow.training.outputs import EMBEDDINGS, HISTORY


@pytest.fixture
def run(tmp_path):
    """Return a function that trains and returns the run's folder."""
    count = iter(range(100))

    def trained(spec, data=None, **options):
        folder = tmp_path / str(next(count))
        train(spec, data or small_data(), folder / "work", folder / "out", "cpu", key="key", **options)
        return folder / "out"

    return trained


def provenance(out) -> dict:
    return json.loads((out / "provenance.json").read_text())


def vectors(out, stage: str, role: str) -> np.ndarray:
    table = read_table(out / "embeddings.parquet", EMBEDDINGS)
    return np.array(table.filter((pl.col("stage") == stage) & (pl.col("role") == role))["vector"].to_list())


def test_a_run_leaves_every_file_and_describes_itself(run):
    spec = small_spec()
    out = run(spec)
    assert sorted(p.name for p in out.iterdir()) == [
        "efficiency.json", "embeddings.parquet", "history.parquet", "model.safetensors", "provenance.json", "run.yaml",
    ]  # fmt: skip
    assert RunSpec(**yaml.loads((out / "run.yaml").read_text())) == spec
    history = read_table(out / "history.parquet", HISTORY)
    assert history["epoch"].to_list() == [0, 1, 2, 3, 4]
    assert history["steps"].to_list() == [0, 3, 6, 9, 12]
    assert history["loss"].is_null().to_list() == [True] + [False] * 4
    assert history["val_id_map"].null_count() == 0
    facts = provenance(out)
    assert facts["trainable_parameters"] == 16 * 12 + 12 + 12 * 2 + 12 * 8 + 8
    assert facts["loss_parameters"] == 8 * 6
    assert (facts["steps"], facts["train_images"], facts["train_identities"]) == (12, 18, 6)
    assert facts["parameters"] is None
    assert not facts["diverged"]


def test_a_frozen_backbone_counts_towards_parameters_and_flops(run):
    facts = provenance(run(small_spec(), small_data(backbone_parameters=1000, backbone_flops=5000)))
    assert facts["parameters"] == 1000 + facts["trainable_parameters"]
    assert facts["flops"] == 5000 + 2 * (16 * 12 + 12 * 8)


def test_training_improves_on_the_untrained_head(run):
    history = read_table(run(small_spec(epochs=15)) / "history.parquet", HISTORY)
    assert history["loss"][-1] < 0.5 * history["loss"][1]
    assert history["val_id_map"][-1] > history["val_id_map"][0]


def test_the_same_spec_gives_the_same_bytes_and_another_seed_others(run):
    torch.manual_seed(1)
    first = stored_bytes(run(small_spec()))
    torch.manual_seed(2)
    assert stored_bytes(run(small_spec())) == first
    assert stored_bytes(run(small_spec(seed=1)))["embeddings.parquet"] != first["embeddings.parquet"]


def test_the_stored_weights_give_the_stored_embeddings_and_the_chosen_map(run):
    spec = small_spec(epochs=6, optimizer={"name": "sgd", "learning_rate": 0.2})
    data = small_data()
    out = run(spec, data)
    head = build_head(spec.model.head, 16, 0).eval()
    weights = load_file(out / "model.safetensors")
    head.load_state_dict({k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}, False)
    rows = data.rows("val")
    with torch.no_grad():
        expected = head(torch.from_numpy(data.features[rows, 0])).numpy()
    stored = vectors(out, "final", "val")
    assert stored == pytest.approx(expected, abs=1e-6)
    identity = rows // 7
    ap = average_precisions(stored, stored, identity, identity, query_index=np.arange(len(rows)))
    history = read_table(out / "history.parquet", HISTORY)
    best = int(history["val_id_map"][1:].arg_max()) + 1
    assert provenance(out)["best_epoch"] == best
    assert identity_balanced(ap, identity) == pytest.approx(history["val_id_map"][best])


def test_initial_embeddings_are_those_of_the_untrained_head(run):
    spec, data = small_spec(), small_data()
    head = build_head(spec.model.head, 16, spec.seed).eval()
    with torch.no_grad():
        expected = head(torch.from_numpy(data.features[data.rows("test"), 0])).numpy()
    assert vectors(run(spec, data), "initial", "test") == pytest.approx(expected, abs=1e-6)


def test_checkpoint_last_keeps_the_last_epoch(run):
    spec = small_spec(checkpoint="last", optimizer={"name": "sgd", "learning_rate": 0.2})
    out = run(spec)
    assert provenance(out)["best_epoch"] == 4
    assert stored_bytes(out)["model.safetensors"] != stored_bytes(run(small_spec()))["model.safetensors"]


def test_patience_stops_after_that_many_epochs_without_a_new_best(run):
    spec = small_spec(epochs=60, patience=3, optimizer={"name": "sgd", "learning_rate": 1e-9})
    out = run(spec)
    facts, history = provenance(out), read_table(out / "history.parquet", HISTORY)
    assert facts["epochs"] == facts["best_epoch"] + 3 < 60
    assert history["epoch"][-1] == facts["epochs"]


def test_trainable_none_keeps_the_features_and_trains_nothing(run):
    data = small_data()
    out = run(small_spec(model={"trainable": {"name": "none"}}), data)
    for stage in ("initial", "final"):
        assert np.array_equal(vectors(out, stage, "test"), data.features[data.rows("test"), 0])
    assert load_file(out / "model.safetensors") == {}
    assert provenance(out)["steps"] == 0
    assert read_table(out / "history.parquet", HISTORY)["val_id_map"].null_count() == 0


def test_a_split_without_val_trains_a_fixed_number_of_epochs(run):
    data = small_data(roles="train train train test test")
    out = run(small_spec(checkpoint="last"), data)
    assert read_table(out / "history.parquet", HISTORY)["val_id_map"].null_count() == 5
    assert provenance(out)["best_epoch"] == 4


def test_what_needs_val_is_refused_without_it(run):
    data = small_data(roles="train train test test")
    with pytest.raises(ReidflowError, match=r"checkpoint: last.*\n\n.*patience"):
        run(small_spec(patience=3), data)
    with pytest.raises(ReidflowError, match=r"plateau.*val"):
        run(small_spec(checkpoint="last", scheduler="plateau"), data)


def test_data_that_do_not_fit_are_named(run):
    with pytest.raises(ReidflowError, match="features: 6 rows for 42 images"):
        run(small_spec(), small_data(features=np.zeros((6, 1, 16), dtype=np.float32)))
    with pytest.raises(ReidflowError, match="two identities"):
        run(small_spec(), small_data(identities=["one"] * 42))
    with pytest.raises(ReidflowError, match="different group"):
        run(small_spec(), small_data(groups=[f"g{i // 7}" for i in range(42)]))


def test_gallery_all_ranks_and_stores_all_rows(run):
    out = run(small_spec(), small_data(gallery="all", roles="train train unused val test"))
    table = read_table(out / "embeddings.parquet", EMBEDDINGS)
    assert table.filter(pl.col("stage") == "final").height == 30
    assert set(table["role"]) == {"train", "unused", "val", "test"}


def test_candidates_of_the_own_group_do_not_count_on_val(run):
    groups = [f"burst {i // 7}" if i % 7 in (3, 4) else None for i in range(42)]
    with pytest.raises(ReidflowError, match="different group"):
        run(small_spec(), small_data(groups=groups))


def test_augmented_views_train_and_the_plain_image_is_embedded(run, monkeypatch):
    spec = small_spec(augmentation=["flip"], views=2, model={"head": {"dim": 8}})
    data = small_data(views=2)
    seen = []
    step = fitting.Fitting._step
    monkeypatch.setattr(
        fitting.Fitting, "_step", lambda self, x, *rest: (seen.append(x.clone()), step(self, x, *rest))[1]
    )
    out = run(spec, data)
    drawn = torch.cat(seen).numpy()
    views = [np.argwhere((data.features == row).all(axis=2))[0, 1] for row in drawn]
    assert set(views) == {1, 2}
    head = build_head(spec.model.head, 16, spec.seed)
    plain = head(torch.from_numpy(data.features[data.rows("test"), 0])).detach().numpy()
    assert vectors(out, "initial", "test") == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_a_loss_that_is_not_finite_ends_the_run_with_its_last_finite_weights(run, monkeypatch, checkpoint):
    step = fitting.Fitting._step

    def poisoned(self, images, *rest):
        return step(self, images * (math.nan if self.state.epoch == 2 else 1), *rest)

    spec = small_spec(checkpoint=checkpoint, epochs=6)
    monkeypatch.setattr(fitting.Fitting, "_step", poisoned)
    out = run(spec)
    facts, history = provenance(out), read_table(out / "history.parquet", HISTORY)
    assert facts["diverged"]
    assert history["epoch"].to_list() == [0, 1, 2, 3]
    assert math.isnan(history["loss"][3])
    assert facts["best_epoch"] in ((2,) if checkpoint == "last" else (1, 2))
    assert np.isfinite(vectors(out, "final", "test")).all()
    assert not np.array_equal(vectors(out, "final", "test"), vectors(out, "initial", "test"))


def test_a_final_loss_above_the_initial_one_is_divergence(run):
    facts = provenance(run(small_spec(optimizer={"name": "sgd", "learning_rate": 20.0}, scheduler="constant")))
    assert facts["diverged"]
    assert facts["loss_final"] > facts["loss_initial"]


def test_gradient_clip_bounds_the_step(run):
    parts = {"optimizer": {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}, "scheduler": "constant"}
    spec = small_spec(gradient_clip=1e-6, epochs=1, **parts)
    out = run(spec)
    assert read_table(out / "history.parquet", HISTORY)["gradient_norm"][1] > 1e-3  # the norm before clipping
    weights = load_file(out / "model.safetensors")["model.4.weight"]
    start = build_head(spec.model.head, 16, 0)[4].weight
    assert 0 < (weights - start).norm() <= 3.1e-6


def test_one_choice_does_not_shift_the_randomness_of_another(run, monkeypatch):
    """The order of the images and the initial head depend on the seed alone, not on loss, optimizer or dropout."""
    orders = []
    plain = FeatureInputs.epoch
    monkeypatch.setattr(
        FeatureInputs,
        "epoch",
        lambda self, n, b, *rest: (orders[-1].append([x.tolist() for x in b]), plain(self, n, b, *rest))[1],
    )
    initial = []
    for changes in (
        {},
        {"loss": "triplet", "miner": "batch_hard"},
        {"optimizer": "nadam", "scheduler": "onecycle"},
        {"model": {"head": {"dim": 8, "hidden": 12, "dropout": 0.5}}},
    ):
        orders.append([])
        initial.append(vectors(run(small_spec(**changes)), "initial", "test"))
    assert all(order == orders[0] for order in orders)
    assert len({str(batch) for batch in orders[0]}) == 4
    assert all(np.array_equal(vector, initial[0]) for vector in initial)


def test_the_share_of_active_terms_is_recorded_where_a_loss_has_them(run):
    sampler = {"name": "pk", "identities": 6, "images": 2}
    mined = read_table(
        run(small_spec(loss="triplet", miner="batch_hard", sampler=sampler)) / "history.parquet", HISTORY
    )
    assert mined["active"][1:].is_between(0, 1).all()
    assert read_table(run(small_spec()) / "history.parquet", HISTORY)["active"].null_count() == 5


def test_progress_can_be_watched(tmp_path):
    train(small_spec(), small_data(), tmp_path / "work", tmp_path / "out", "cpu", key="key")
    lines = [json.loads(line) for line in (tmp_path / "work" / "progress.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert all(line["of"] == 4 and line["loss"] > 0 and 0 <= line["val"] <= 1 for line in lines)
    assert lines[-1]["seconds_left"] == 0


@pytest.mark.parametrize("loss", ["triplet", "circle", "supcon", "proxy_anchor"])
def test_bf16_trains(run, loss):
    sampler = {"name": "pk", "identities": 6, "images": 2}
    history = read_table(run(small_spec(loss=loss, precision="bf16", sampler=sampler)) / "history.parquet", HISTORY)
    assert history["loss"].is_not_nan().all()


def test_random_numbers_of_an_epoch_depend_on_the_seed_and_its_number_alone(run, monkeypatch):
    numbers, steps = [], fitting.Fitting._steps
    monkeypatch.setattr(
        fitting.Fitting, "_steps", lambda self, *of: (numbers.append(torch.rand(1).item()), steps(self, *of))[1]
    )
    for spec in (small_spec(), small_spec(optimizer="nadam"), small_spec(seed=1)):
        run(spec)
    first, again, other = numbers[:4], numbers[4:8], numbers[8:]
    assert first == again and len(set(first) | set(other)) == 8


def test_of_epochs_with_equal_scores_the_first_is_kept(run):
    still = {"name": "sgd", "learning_rate": 1e-9}
    out = run(small_spec(model={"head": {"dim": 8}}, optimizer=still))
    assert read_table(out / "history.parquet", HISTORY)["val_id_map"][1:].n_unique() == 1
    assert provenance(out)["best_epoch"] == 1
