"""Speed of an exact search beside a bare FAISS flat search, and what a gallery that grows embeds.

The two sides of the search answer the same queries from the same vectors in turn, in one process with the same threads;
the best of three rounds counts. reidflow's side compares what FAISS proposes again in float64, so that its answers do
not depend on the threads. The gallery is one of drawn image files: `--images` of them, then a hundredth more, embedded
by a function that counts; then by a real network, at a hundredth of that size.

    python benchmarks/gallery.py --vectors 1000000 --dimension 256 --queries 1000 --images 100000 --threads 2
"""

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import torch
from PIL import Image

from reidflow.dedup.neighbours import unit
from reidflow.models.images import to_pixels
from reidflow.models.network import build_features
from reidflow.retrieval.gallery import update
from reidflow.retrieval.image_embedder import ImageEmbedder
from reidflow.retrieval.image_files import Framing
from reidflow.retrieval.index import build_index, search

K, ROUNDS, SIDE = 10, 3, 64
FLAT = {"name": "flat"}


def random_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    """Return (count, dimension) float32 unit vectors around a thousand centres."""
    centres = np.random.Generator(np.random.PCG64(0)).standard_normal((1000, dimension), dtype=np.float32)
    vectors = np.random.Generator(np.random.PCG64(seed)).standard_normal((count, dimension), dtype=np.float32)
    for start in range(0, count, 1000):
        vectors[start : start + 1000] += centres[: len(vectors[start : start + 1000])]
    return unit(vectors)


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Return wall seconds, processor seconds and the result of some work."""
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - start, time.process_time() - cpu, result


def compare_search(count: int, dimension: int, count_queries: int, threads: int) -> None:
    """Print the speed of both sides."""
    faiss.omp_set_num_threads(threads)
    vectors, queries = random_vectors(count, dimension, 1), random_vectors(count_queries, dimension, 2)
    index = build_index(vectors, FLAT)
    sides = {"faiss": lambda: index.search(queries, K), "reidflow": lambda: search(index, vectors, queries, K)}
    rounds: dict[str, list] = {side: [] for side in sides}
    for _ in range(ROUNDS):
        for side, work in sides.items():
            rounds[side].append(timed(work))
    print(f"{count_queries} queries in {count} x {dimension}, k = {K}, {threads} threads")
    best = {side: [min(part) for part in list(zip(*found, strict=True))[:2]] for side, found in rounds.items()}
    for side, (clock, cpu) in best.items():
        print(f"{side:9} {clock:8.2f} s {cpu:8.2f} s cpu")
    clock, cpu = (bare / own for bare, own in zip(best["faiss"], best["reidflow"], strict=True))
    same = (rounds["faiss"][0][2][1] == rounds["reidflow"][0][2][0]).mean()
    print(f"speed     {clock:8.1%}   {cpu:8.1%} cpu of the bare search (bar: 90 %); {same:.3%} of the answers equal")


class Counting:
    """Embeds a square as its mean colours, or by a network, and counts."""

    def __init__(self, network: torch.nn.Module | None = None) -> None:
        self.network, self.count, self.dim = network, 0, 3 if network is None else network.backbone.dim

    def identity(self) -> str:
        """Return the embedder's name."""
        return "counting"

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embeddings of squares."""
        self.count += len(pixels)
        if self.network is None:
            return pixels.reshape(len(pixels), -1, 3).mean(axis=1, dtype=np.float32) - 128
        with torch.inference_mode():
            return self.network(to_pixels(pixels, SIDE)).numpy()


def draw(folder: Path, first: int, last: int) -> None:
    """Write small images that differ, a thousand to a folder."""
    for number in range(first, last):
        pixels = np.random.Generator(np.random.PCG64(number)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        place = folder / str(number // 1000) / f"{number}.bmp"
        place.parent.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "BMP")
        place.write_bytes(data.getvalue())


def grow(images: int, embed: Counting, threads: int) -> None:
    """Print what a gallery embeds when it is made, and when a hundredth of its images is added."""
    maker = ImageEmbedder(embed, Framing({"name": "squash"}, SIDE, 10**6), "counting", workers=threads)
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "images", Path(name) / "gallery"
        draw(folder, 0, images)
        first = timed(lambda: update(folder, out, maker, FLAT))
        embedded = embed.count
        draw(folder, images, images + images // 100)
        then = timed(lambda: update(folder, out, maker, FLAT))
    what = "a function" if embed.network is None else "a network"
    print(f"gallery by {what}: {embedded} images embedded in {first[0]:.1f} s")
    print(
        f"  {images // 100} added: {embed.count - embedded} embedded in {then[0]:.1f} s, {then[2].count} in the gallery"
    )


def main() -> None:
    """Run the selected parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("vectors", 10**6), ("dimension", 256), ("queries", 1000), ("images", 10**5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.vectors:
        compare_search(given.vectors, given.dimension, given.queries, given.threads)
    if given.images:
        grow(given.images, Counting(), given.threads)
        network = build_features({"name": "small", "family": "resnet"}, SIDE, {"name": "avg"}, 0)
        grow(max(100, given.images // 100), Counting(network), given.threads)


if __name__ == "__main__":
    main()
