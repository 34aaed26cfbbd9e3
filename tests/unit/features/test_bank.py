import hashlib
import json

import numpy as np
import pytest
import torch

from reidflow.features import bank as bank_module
from reidflow.features.bank import build_bank
from reidflow.features.jobs import BankJob
from reidflow.models.network import build_features
from reidflow.spec.errors import ReidflowError
from reidflow.training.augment import make_augment

AUGMENTATION = [
    {"name": "flip", "p": 0.5},
    {"name": "colour", "brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1, "p": 1.0},
]


def spec(views=0, **changes):
    return {
        "backbone": {"name": "small", "family": "mobilenetv3", "drop_path": 0.0},
        "size": 32,
        "pooling": {"name": "avg"},
        "augmentation": AUGMENTATION if views else [],
        "views": views,
        "precision": "fp32",
        "threads": 1,
    } | changes


def photographs(count=21, size=40):
    return np.random.Generator(np.random.PCG64(11)).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def digests(images):
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in images]


def files(folder):
    return folder / "features.npy", folder / "features.json"


def make(images, folder, cache, views=0, masks=None, **more):
    augment = make_augment(AUGMENTATION, 32, seed=0) if views else None
    wanted = spec(views, **more.pop("spec", {}))
    facts = build_bank(images, masks, digests(images), wanted, files(folder), cache, augment=augment, **more)
    return np.load(folder / "features.npy"), facts


def embedded(monkeypatch):
    """Count the images that go through the network."""
    seen = []
    whole = bank_module._Embedder.__call__
    monkeypatch.setattr(
        bank_module._Embedder,
        "__call__",
        lambda self, i, m, rows, keys, views: seen.extend(rows) or whole(self, i, m, rows, keys, views),
    )
    return seen


def test_features_are_those_of_the_network(tmp_path):
    images = photographs(size=32)
    features, facts = make(images, tmp_path / "out", tmp_path / "cache")
    network = build_features(spec()["backbone"], 32, spec()["pooling"], 0)
    with torch.no_grad():
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2))
    torch.testing.assert_close(torch.from_numpy(features[:, 0]), expected, rtol=1e-4, atol=1e-5)
    assert features.shape == (21, 1, facts["dim"]) and features.dtype == np.float32
    written = json.loads((tmp_path / "out/features.json").read_text())
    assert written == facts
    assert facts["digest"] == hashlib.sha256((tmp_path / "out/features.npy").read_bytes()).hexdigest()
    assert facts["parameters"] == sum(p.numel() for p in network.parameters()) and facts["flops"] > 1e6


@pytest.mark.parametrize("family", ["mobilenetv3", "resnet", "vit", "swin", "convnext"])
def test_the_bits_of_a_row_depend_on_neither_order_nor_company(tmp_path, family):
    images, order = photographs(), np.random.Generator(np.random.PCG64(2)).permutation(21)
    more = {"spec": {"backbone": {"name": "small", "family": family, "drop_path": 0.0}}}
    whole, _ = make(images, tmp_path / "a", tmp_path / "one", views=1, **more)
    mixed, _ = make(images[order], tmp_path / "b", tmp_path / "two", views=1, **more)
    few, _ = make(images[[20, 3]], tmp_path / "c", tmp_path / "three", views=1, **more)
    assert np.array_equal(mixed, whole[order])
    assert np.array_equal(few, whole[[20, 3]])


def test_views_differ_and_view_zero_is_the_plain_image(tmp_path):
    images = photographs(4)
    plain, _ = make(images, tmp_path / "a", tmp_path / "cache")
    views, facts = make(images, tmp_path / "b", tmp_path / "cache", views=2)
    assert views.shape[1] == 3 and facts["views"] == 2
    assert np.array_equal(views[:, 0], plain[:, 0])
    assert all(not np.array_equal(views[i, 0], views[i, v]) for i in range(4) for v in (1, 2))
    assert all(not np.array_equal(views[i, 1], views[i, 2]) for i in range(4))


def test_only_new_images_are_embedded(tmp_path, monkeypatch):
    images, seen = photographs(), embedded(monkeypatch)
    first, facts = make(images[:18], tmp_path / "a", tmp_path / "cache")
    assert seen == list(range(18))
    seen.clear()
    more, _ = make(images[::-1], tmp_path / "b", tmp_path / "cache")
    assert seen == [0, 1, 2]
    assert np.array_equal(more[3:], first[::-1])
    seen.clear()
    assert make(images[:18], tmp_path / "a", tmp_path / "cache")[1] == facts
    assert seen == []


@pytest.mark.parametrize(
    "change",
    [
        {"code": "other"},
        {"spec": {"size": 40}},
        {"spec": {"precision": "bf16"}},
        {"spec": {"pooling": {"name": "gem", "p": 3.0, "learned": False}}},
        {"seed": 1},
    ],
)
def test_rows_made_otherwise_are_never_reused(tmp_path, monkeypatch, change):
    images, seen = photographs(3), embedded(monkeypatch)
    make(images, tmp_path / "a", tmp_path / "cache")
    make(images, tmp_path / "b", tmp_path / "cache", **change)
    assert seen == [0, 1, 2, 0, 1, 2]


def test_a_changed_mask_is_another_row(tmp_path, monkeypatch):
    images, masks, seen = photographs(3), np.full((3, 40, 40), 255, np.uint8), embedded(monkeypatch)
    make(images, tmp_path / "a", tmp_path / "cache", views=1, masks=masks)
    masks[1, 0] = 0
    make(images, tmp_path / "a", tmp_path / "cache", views=1, masks=masks)
    assert seen == [0, 1, 2, 0, 1, 2, 1]


def test_copies_of_an_image_are_embedded_once(tmp_path, monkeypatch):
    images, seen = photographs(3)[[0, 1, 0, 2, 1]], embedded(monkeypatch)
    features, _ = make(images, tmp_path / "a", tmp_path / "cache", views=1)
    assert seen == 2 * [0, 1, 3]
    assert np.array_equal(features[0], features[2]) and np.array_equal(features[1], features[4])


def test_an_interrupted_bank_goes_on_from_its_last_shard(tmp_path, monkeypatch):
    images, seen = photographs(), embedded(monkeypatch)
    monkeypatch.setattr(bank_module, "SHARD", 16)

    def stop(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(images, tmp_path / "a", tmp_path / "cache", progress=stop)
    assert seen == list(range(16)) and not (tmp_path / "a").exists()
    features, _ = make(images, tmp_path / "a", tmp_path / "cache")
    assert seen == list(range(21))
    assert np.array_equal(features, make(images, tmp_path / "b", tmp_path / "fresh")[0])


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-900] + b"\x01" + b[-899:], lambda b: b""])
def test_a_damaged_shard_is_computed_again(tmp_path, monkeypatch, damage):
    images = photographs(5)
    first, _ = make(images, tmp_path / "a", tmp_path / "cache")
    (shard,) = (tmp_path / "cache").rglob("*.npz")
    shard.write_bytes(damage(shard.read_bytes()))
    seen = embedded(monkeypatch)
    assert np.array_equal(make(images, tmp_path / "a", tmp_path / "cache")[0], first)
    assert seen == list(range(5))


def test_the_callers_settings_of_torch_come_back(tmp_path):
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    make(photographs(2), tmp_path / "a", tmp_path / "cache", spec={"threads": 2})
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_an_empty_store_gives_an_empty_bank(tmp_path):
    features, facts = make(photographs(3)[:0], tmp_path / "a", tmp_path / "cache")
    assert features.shape == (0, 1, facts["dim"]) and facts["count"] == 0


def test_views_without_an_augmentation_are_an_error(tmp_path):
    images = photographs(2)
    with pytest.raises(ReidflowError, match="2 augmented views, but has no augmentation"):
        build_bank(images, None, digests(images), spec(2), files(tmp_path / "a"), tmp_path / "cache")


def test_a_mirrored_bank_holds_the_features_of_the_mirror_images(tmp_path):
    images = photographs(4, size=32)
    mirrored, _ = make(images, tmp_path / "a", tmp_path / "cache", spec={"mirrored": True})
    turned, _ = make(np.ascontiguousarray(images[:, :, ::-1]), tmp_path / "b", tmp_path / "cache")
    plain, _ = make(images, tmp_path / "c", tmp_path / "cache")
    assert np.array_equal(mirrored, turned) and not np.array_equal(mirrored, plain)


def test_features_in_bf16_are_near_those_in_fp32_and_not_equal(tmp_path):
    images = photographs(4)
    full, _ = make(images, tmp_path / "a", tmp_path / "cache")
    half, _ = make(images, tmp_path / "b", tmp_path / "cache", spec={"precision": "bf16"})
    assert 0 < np.abs(half - full).max() < 0.1 * np.abs(full).max()


def test_the_backbone_sees_images_of_the_size_seen_and_counts_their_operations(tmp_path):
    images = photographs(4)
    features, facts = make(images, tmp_path / "a", tmp_path / "cache", spec={"size": 40, "seen": 32})
    small, expected = make(images, tmp_path / "b", tmp_path / "cache", spec={"size": 32})
    assert np.array_equal(features, small) and facts["flops"] == expected["flops"]


def test_the_seed_of_the_views_decides_their_rows_even_with_fixed_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(bank_module, "weights_digest", lambda network: "pretrained")
    images, seen = photographs(2), embedded(monkeypatch)
    # The plain images are embedded once, the views of each seed.
    for views, rows in ((1, [0, 1, 0, 1, 0, 1]), (0, [])):
        for seed in (0, 1):
            make(images, tmp_path / "a", tmp_path / "cache", views=views, seed=seed)
        assert seen == rows
        seen.clear()


def test_a_bank_of_some_rows_embeds_these_alone_with_the_same_bits(tmp_path, monkeypatch):
    images, seen = photographs(), embedded(monkeypatch)
    wanted = np.arange(len(images)) % 3 > 0
    some, facts = make(images, tmp_path / "some", tmp_path / "cache", wanted=wanted)
    assert seen == np.flatnonzero(wanted).tolist() and facts["count"] == len(images)
    assert np.isnan(some[~wanted]).all()
    seen.clear()
    whole, _ = make(images, tmp_path / "whole", tmp_path / "cache")
    assert seen == np.flatnonzero(~wanted).tolist()
    assert np.array_equal(some[wanted], whole[wanted]) and np.isfinite(whole).all()


def test_banks_of_one_network_share_their_plain_images(tmp_path, monkeypatch):
    images, seen = photographs(3), embedded(monkeypatch)
    codes = {"plain_code": "network"}
    make(images, tmp_path / "plain", tmp_path / "cache", code="network", **codes)
    assert seen == [0, 1, 2]
    seen.clear()
    views, _ = make(images, tmp_path / "views", tmp_path / "cache", views=2, code="network and views", **codes)
    assert seen == [0, 1, 2], "the augmented views alone"
    seen.clear()
    make(images, tmp_path / "views", tmp_path / "cache", views=2, code="network and other views", **codes)
    assert seen == [0, 1, 2]
    alone, _ = make(images, tmp_path / "alone", tmp_path / "fresh", views=2)
    assert np.array_equal(alone, views)


@pytest.mark.parametrize("views", [0, 2])
def test_a_bank_after_its_shards_has_the_same_bytes_and_embeds_nothing(tmp_path, monkeypatch, views):
    images, bank = photographs(), spec(views)
    augment = make_augment(AUGMENTATION, 32, seed=0) if views else None
    wanted = np.arange(len(images)) % 5 != 0
    of = images, digests(images), bank, wanted, augment
    whole = BankJob(*of, tmp_path / "one", "cpu").make(files(tmp_path / "whole"))
    seen = embedded(monkeypatch)
    for number in (2, 1, 3):
        BankJob(*of, tmp_path / "other", "cpu").make_shard([number, 3], tmp_path / "shard.json")
    assert len(seen) == wanted.sum() * (2 if views else 1) and not (tmp_path / "shard.npy").exists()
    assert BankJob(*of, tmp_path / "other", "cpu").make(files(tmp_path / "again")) == whole
    assert len(seen) == wanted.sum() * (2 if views else 1)
    for one, other in zip(files(tmp_path / "whole"), files(tmp_path / "again"), strict=True):
        assert one.read_bytes() == other.read_bytes()
