from dataclasses import replace

import imagehash
import networkx
import numpy as np
import pytest
from PIL import Image
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter

from reidflow.dedup.images import DUPLICATES, Images, find_pairs, pairs_of_shards
from reidflow.spec.components import names, resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.shards import PAIRWISE
from reidflow.store.tables import write_table

COPIES = {("00", "30"), ("01", "31"), ("00", "32"), ("30", "32")}
LOOSEST = {"ahash": 12, "dhash": 12, "phash": 12, "whash": 12, "ssim": 0.6, "hash_ssim": 0.6, "edited": 0.9}


@pytest.fixture(scope="module")
def images():
    """Thirty images in six families, then three exact copies; the last copy is of another identity."""
    random = np.random.default_rng(5)
    family = gaussian_filter(random.uniform(0, 255, (6, 64, 64, 3)), (0, 4, 4, 0)) * 8
    noise = gaussian_filter(random.uniform(0, 255, (30, 64, 64, 3)), (0, 3, 3, 0)) * 3
    photos = family[np.arange(30) % 6] + noise * random.uniform(0, 1, (30, 1, 1, 1))
    photos = np.clip(photos - photos.mean() + 128, 0, 255).astype(np.uint8)
    order = [*range(30), 0, 1, 0]
    store = np.zeros((40, 64, 64, 3), np.uint8)
    rows = np.arange(33) + 7
    store[rows] = photos[order]
    centre = random.standard_normal((6, 16))
    features = (centre[np.arange(30) % 6] + random.standard_normal((30, 16)) * 0.3)[order].astype(np.float32)
    features[30:32] *= 2
    digests = [f"digest-{i}" for i in order]
    labels = [f"J{i % 6}" for i in order]
    labels[32] = "J5"
    return Images(store, rows, [f"{i:02}" for i in range(33)], labels, [*digests[:31], "x", "y"], digests, features)


def found(images, method, loosest):
    table = find_pairs(images, resolve("duplicates", method), loosest)
    DUPLICATES.check(table, "test")
    return table


@pytest.mark.parametrize("name", names("duplicates"))
def test_every_threshold_is_a_filter_and_copies_are_0_apart(images, name):
    loosest = LOOSEST.get(name, 0.5)
    widest = found(images, name, loosest)
    pairs = widest.select("image", "other").rows()
    assert pairs == sorted(set(pairs)) and all(one < other for one, other in pairs)
    assert widest["distance"].min() == 0 and widest["distance"].max() <= loosest
    zero = set(widest.filter(widest["distance"] == 0).select("image", "other").rows())
    assert zero == ({("00", "30")} if name == "exact_bytes" else COPIES)
    for threshold in (0, loosest / 3, *widest["distance"].unique().sort()[1:2].to_list()):
        assert found(images, name, threshold).equals(widest.filter(widest["distance"] <= threshold))


@pytest.mark.parametrize("name", sorted(PAIRWISE))
def test_pairs_of_shards_are_those_of_all_images(images, name, tmp_path, monkeypatch):
    loosest = LOOSEST.get(name, 0.5)
    whole = found(images, name, loosest)
    shards = [found(replace(images, first=slice(start, start + 10)), name, loosest) for start in range(0, 33, 10)]
    files = [str(tmp_path / f"{number}.parquet") for number in range(len(shards))]
    for shard, file in zip(shards, files, strict=True):
        write_table(shard, file, DUPLICATES)
    assert pairs_of_shards(files, loosest).equals(whole) and len(whole) > 5 and not whole.equals(shards[0])
    monkeypatch.setattr("reidflow.dedup.images.MOST", len(whole) - 1)
    with pytest.raises(
        ReidflowError, match=f"more than {len(whole) - 1} pairs of images are at most {loosest:g} apart"
    ):
        pairs_of_shards(files, loosest)


def test_same_identity_is_of_the_two_images(images):
    table = found(images, "exact_pixels", 0)
    same = dict(zip(table.select("image", "other").rows(), table["same_identity"], strict=True))
    assert same == {("00", "30"): True, ("00", "32"): False, ("01", "31"): True, ("30", "32"): False}


@pytest.mark.parametrize(("name", "bits"), [(n, b) for n in ("ahash", "dhash", "phash", "whash") for b in (64, 256)])
def test_hash_distances_are_those_of_imagehash(images, name, bits):
    library = {"ahash": imagehash.average_hash, "whash": imagehash.whash}.get(name, getattr(imagehash, name, None))
    hashes = [library(Image.fromarray(images.pixels[row]), {64: 8, 256: 16}[bits]) for row in images.rows]
    limit = 20 * bits // 64
    expected = [
        (images.names[i], images.names[j], float(hashes[i] - hashes[j]))
        for i in range(33)
        for j in range(i + 1, 33)
        if hashes[i] - hashes[j] <= limit
    ]
    table = found(images, {"name": name, "bits": bits}, limit)
    assert len(expected) > 10 and table.select("image", "other", "distance").rows() == expected
    with pytest.raises(ReidflowError, match="Literal"):
        resolve("duplicates", {"name": name, "bits": 128})


def test_embedding_distances_are_cosine_distances(images):
    unit = images.features / np.linalg.norm(images.features, axis=1, keepdims=True)
    apart = 1 - unit @ unit.T
    expected = [(i, j) for i in range(33) for j in range(i + 1, 33) if apart[i, j] <= 0.3]
    table = found(images, "embedding", 0.3)
    assert [(int(i), int(j)) for i, j in table.select("image", "other").rows()] == expected
    assert np.allclose(table["distance"], [apart[pair] for pair in expected], atol=1e-6)


def test_mutual_neighbours_are_among_each_others_nearest(images):
    unit = images.features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    similar = np.round(unit @ unit.T, 6)
    np.fill_diagonal(similar, -9)
    near = np.argsort(-similar, axis=1, kind="stable")[:, :3]
    expected = [(i, j) for i in range(33) for j in range(i + 1, 33) if j in near[i] and i in near[j]]
    table = found(images, {"name": "knn", "neighbours": 3}, 2.0)
    assert [(int(i), int(j)) for i, j in table.select("image", "other").rows()] == expected


@pytest.mark.parametrize("how", ["complete", "average"])
def test_components_at_a_threshold_are_the_clusters_cut_there(images, how):
    unit = images.features.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    condensed = np.maximum(0, 1 - unit @ unit.T)[np.triu_indices(33, 1)]
    tree = linkage(condensed, how)
    table = found(images, {"name": "cluster", "linkage": how}, 0.6)
    heights = [height for height in tree[:, 2] if 1e-6 < height < 0.6]
    assert len(heights) > 10
    for threshold in [1e-6, *(height + 1e-6 for height in heights)]:
        graph = networkx.Graph()
        graph.add_nodes_from(images.names)
        graph.add_edges_from(table.filter(table["distance"] <= threshold).select("image", "other").rows())
        labels = fcluster(tree, threshold, "distance")
        clusters = {frozenset(np.asarray(images.names)[labels == label]) for label in set(labels)}
        assert {frozenset(part) for part in networkx.connected_components(graph)} == clusters


def test_a_hybrid_confirms_the_candidates_of_its_hash(images):
    near = set(found(images, "phash", 10).select("image", "other").rows())
    cosine = {row[:2]: row[2] for row in found(images, "embedding", 2.0).rows()}
    table = found(images, {"name": "hash_embedding", "candidates": 10}, 0.1)
    expected = {pair: cosine[pair] for pair in near if cosine[pair] <= 0.1}
    assert 0 < len(expected) < len(near)
    assert {row[:2]: row[2] for row in table.rows()} == expected
    plain = found(images, {"name": "ssim", "neighbours": 32, "side": 64}, 0.5)
    hybrid = found(images, {"name": "hash_ssim", "candidates": 10, "side": 64, "align": False}, 0.5)
    assert {row for row in plain.rows() if row[:2] in near} == set(hybrid.rows())


def test_a_component_too_large_to_cluster_is_an_error_that_says_what_to_do(images, monkeypatch):
    monkeypatch.setattr("reidflow.dedup.methods.cluster.LARGEST", 4)
    with pytest.raises(ReidflowError, match=r"more than 4\. Lower the largest threshold"):
        found(images, "cluster", 0.5)
