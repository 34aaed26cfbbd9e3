"""Time and memory of exact nearest neighbours, beside a bare FAISS flat search of the same vectors.

Each side runs in a process of its own, so that its peak memory is its own. The bare search asks for one neighbour more,
because each vector finds itself; its ties fall as they lie.

    python benchmarks/neighbours.py --images 100000 --dimension 512 --neighbours 10 --threads 2
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import faiss
import numpy as np

from reidflow.dedup.neighbours import nearest, unit


def features(count: int, dimension: int) -> np.ndarray:
    """Return (count, dimension) float32 unit vectors around a thousand centres."""
    rng = np.random.Generator(np.random.PCG64(0))
    centres = rng.standard_normal((1000, dimension)).astype(np.float32)
    noise = rng.standard_normal((count, dimension), dtype=np.float32)
    return unit(centres[np.arange(count) % 1000] + noise)


def with_reidflow(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return the cosines of the nearest others."""
    return nearest(vectors, count)[1]


def with_faiss(vectors: np.ndarray, count: int) -> np.ndarray:
    """Return the same by a bare search."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index.search(vectors, count + 1)[0][:, 1:]


SIDES = {"reidflow": with_reidflow, "faiss": with_faiss}


def run_side(side: str, sizes: list[int]) -> None:
    """Run one side and print its figures as JSON."""
    images, dimension, count, threads = sizes
    faiss.omp_set_num_threads(threads)
    vectors = features(images, dimension)
    SIDES[side](vectors[:2000], count)
    start, start_cpu = time.perf_counter(), time.process_time()
    cosines = SIDES[side](vectors, count)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sums = [float(column.mean()) for column in cosines.astype(np.float64).T]
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "means": sums}))


def main() -> None:
    """Measure both sides and print the ratio."""
    if "--side" in sys.argv:
        return run_side(sys.argv[2], [int(size) for size in sys.argv[3:]])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--neighbours", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    sizes = [str(size) for size in (given.images, given.dimension, given.neighbours, given.threads)]
    figures = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--side", side, *sizes]
        figures[side] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{given.images} vectors, {given.dimension}-d, k = {given.neighbours}, {given.threads} threads")
    for side, figure in figures.items():
        print(f"{side:9} {figure['seconds']:8.2f} s {figure['cpu']:8.2f} s cpu {figure['peak']:6.2f} GB")
    fast, slow = figures["faiss"], figures["reidflow"]
    clock, cpu = (fast[name] / slow[name] for name in ("seconds", "cpu"))
    print(
        f"speed     {clock:8.1%}   {cpu:8.1%} cpu of the bare search (bar: 80 %)   memory {slow['peak']:.2f} GB (bar: 4)"
    )
    error = np.abs(np.subtract(slow["means"], fast["means"])).max()
    print(f"largest difference of the mean cosine at a rank {error:.1e}")
    return None


if __name__ == "__main__":
    main()
