"""Facility location on a graph of nearest neighbours, beside exact greedy on all similarities.

At a size that both can do, each side runs in a process of its own, so that its peak memory is its own; the objectives are
evaluated on all similarities. Then the graph alone at a size at which all similarities would not fit.

    python benchmarks/facility.py --images 8000 --large 100000 --dimension 512 --share 0.2
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np


def embeddings(count: int, dimension: int) -> np.ndarray:
    """Return (N, D) float32 unit vectors: a direction that all share, 50 images an identity, and noise."""
    rng = np.random.Generator(np.random.PCG64(0))
    vectors = 2 * rng.standard_normal((count, dimension), np.float32)
    identities = max(1, count // 50)
    vectors += rng.standard_normal((identities, dimension), np.float32)[np.arange(count) % identities]
    vectors += rng.standard_normal(dimension, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def run_side(side: str, count: int, dimension: int, chosen: int, evaluate: int) -> None:
    """Run one side and print its figures as JSON; the time and memory are those of the choice alone."""
    from reidflow.curation.greedy import dense_greedy, objective, sparse_greedy

    vectors = embeddings(count, dimension)
    before = time.perf_counter(), time.process_time()
    rows = {"graph": sparse_greedy, "exact": dense_greedy}[side](vectors, chosen)
    after = time.perf_counter(), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    value = objective(vectors, rows) if evaluate else float("nan")
    figures = {"seconds": after[0] - before[0], "cpu": after[1] - before[1], "peak_mb": peak, "objective": value}
    sys.stdout.write(json.dumps(figures))


def measure(side: str, *sizes: int) -> dict[str, float]:
    """Return seconds, processor seconds, peak memory in MB and objective of one side, run in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *map(str, sizes)]
    figure = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    times = f"{figure['seconds']:8.1f} s {figure['cpu']:8.1f} s cpu"
    print(f"{side:6} {times} {figure['peak_mb']:8.0f} MB   objective {figure['objective']:.6f}", flush=True)
    return figure


def main() -> None:
    """Measure both sides, print the ratio, then the large case."""
    if "--side" in sys.argv:
        return run_side(sys.argv[2], *map(int, sys.argv[3:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8000, help="images of the case that both sides do")
    parser.add_argument("--large", type=int, default=100000, help="images of the case for the graph alone; 0: none")
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--share", type=float, default=0.2, help="share of the images to choose")
    given = parser.parse_args()
    chosen = round(given.share * given.images)
    print(f"{chosen} of {given.images} images, {given.dimension}-d")
    graph, exact = (measure(side, given.images, given.dimension, chosen, 1) for side in ("graph", "exact"))
    ratios = [exact[name] / graph[name] for name in ("seconds", "cpu", "peak_mb")]
    print("ratio  {:8.2f} x {:8.2f} x     {:8.2f} x ".format(*ratios), end="")
    print(f"  objective {graph['objective'] / exact['objective']:.6f} x")
    if given.large:
        chosen = round(given.share * given.large)
        print(f"{chosen} of {given.large} images, {given.dimension}-d")
        measure("graph", given.large, given.dimension, chosen, 0)
    return None


if __name__ == "__main__":
    main()
