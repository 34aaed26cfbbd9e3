"""Time and memory of k-reciprocal re-ranking, beside a direct implementation with dense matrices.

The two run at a size where dense matrices fit, then ours alone at the full size. Each in a process of its own, so that
its peak memory is its own. Processor seconds are printed too: on a busy machine they say more than the clock.

    python benchmarks/reranking.py --queries 5000 --gallery 5000 --beside 1000 --dimension 512
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

K1, K2, WEIGHT = 20, 6, 0.3


def images(queries: int, gallery: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (Q, D) and (G, D) float32 vectors, about twenty images an identity."""
    rng = np.random.Generator(np.random.PCG64(0))
    identities = max(1, (queries + gallery) // 20)
    centres = rng.standard_normal((identities, dimension))
    identity = rng.integers(0, identities, queries + gallery)
    vectors = centres[identity] + 2 * rng.standard_normal((queries + gallery, dimension))
    return vectors[:queries].astype(np.float32), vectors[queries:].astype(np.float32)


def with_reidflow(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return the (Q, G) final distances."""
    from reidflow.evaluation.retrieval_queries import Retrieval
    from reidflow.retrieval.inference.k_reciprocal import apply

    return 1 - apply(Retrieval(queries, gallery), k1=K1, k2=K2, lambda_=WEIGHT).matrix


def with_dense_matrices(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return the same, all pairs at once: distances, their full order, and every V as a dense row."""
    vectors = np.concatenate([gallery, queries]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    apart = np.maximum(2 - 2 * vectors @ vectors.T, 0)
    np.fill_diagonal(apart, 0)
    apart /= apart.max(axis=1, keepdims=True)
    order = np.argsort(apart, axis=1)
    wide, narrow = (
        [mine[(order[mine, : k + 1] == image).any(axis=1)] for image, mine in enumerate(order[:, : k + 1])]
        for k in (K1, round(K1 / 2))
    )
    shown = np.zeros_like(apart)
    for image, own in enumerate(wide):
        near = [narrow[j] for j in own if 3 * len(np.intersect1d(narrow[j], own)) > 2 * len(narrow[j])]
        members = np.unique(np.concatenate([own, *near]))
        shown[image, members] = np.exp(-apart[image, members])
    shown /= shown.sum(axis=1, keepdims=True)
    shown = np.stack([shown[first].mean(axis=0) for first in order[:, :K2]])
    found = np.empty((len(queries), len(gallery)))
    for row in range(len(queries)):
        mine = shown[len(gallery) + row]
        columns = np.flatnonzero(mine)
        shared = np.minimum(mine[columns], shown[: len(gallery), columns]).sum(axis=1)
        found[row] = 1 - shared / (2 - shared)
    return (1 - WEIGHT) * found + WEIGHT * apart[len(gallery) :, : len(gallery)]


SIDES = {"reidflow": with_reidflow, "dense": with_dense_matrices}


def measure(side: str, *sizes: int) -> dict[str, float]:
    """Return seconds, processor seconds, peak memory in GB and some distances of one side, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *map(str, sizes)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_side(side: str, sizes: list[int]) -> None:
    """Run one side and print its figures as JSON."""
    data = images(*sizes)
    SIDES[side](*(part[:100] for part in data))
    start, start_cpu = time.perf_counter(), time.process_time()
    found = SIDES[side](*data)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    some = found.ravel()[:: max(1, found.size // 10000)]
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "some": some.astype(float).tolist()}))


def line(name: str, figures: dict[str, float]) -> str:
    """Return the figures of one side as a line of text."""
    return f"{name:9} {figures['seconds']:8.2f} s {figures['cpu']:8.2f} s cpu {figures['peak']:6.2f} GB"


def main() -> None:
    """Measure both sides, then ours at the full size, and print the ratio."""
    if "--side" in sys.argv:
        return run_side(sys.argv[2], [int(size) for size in sys.argv[3:]])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--gallery", type=int, default=5000)
    parser.add_argument("--beside", type=int, default=1000)
    parser.add_argument("--dimension", type=int, default=512)
    given = parser.parse_args()
    print(f"{given.beside} queries x {given.beside} images, {given.dimension}-d, k1 {K1}, k2 {K2}")
    fast, slow = (measure(side, given.beside, given.beside, given.dimension) for side in SIDES)
    print(line("reidflow", fast), line("dense", slow), sep="\n")
    ratios = [slow[name] / fast[name] for name in ("seconds", "cpu", "peak")]
    print("ratio     {:8.1f} x {:8.1f} x     {:6.1f} x".format(*ratios))
    print(f"largest difference of a distance {np.abs(np.subtract(fast['some'], slow['some'])).max():.1e}")
    print(f"{given.queries} queries x {given.gallery} images (bar: 60 s, 3 GB)")
    print(line("reidflow", measure("reidflow", given.queries, given.gallery, given.dimension)))
    return None


if __name__ == "__main__":
    main()
