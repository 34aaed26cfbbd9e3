"""Time and memory of the tie-aware average precision, beside a plain blockwise full sort in NumPy.

Each side runs in a process of its own, so that its peak memory is its own. Processor seconds are printed too: on a busy
machine they say more than the clock.

    python benchmarks/metric.py --images 20000 --dimension 128 --identities 400
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np


def images(count: int, dimension: int, identities: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors (N, D), identity (N,) and group (N,), three images a group."""
    rng = np.random.Generator(np.random.PCG64(0))
    identity = np.arange(count) // 3 % identities
    centres = rng.standard_normal((identities, dimension))
    vectors = centres[identity] + 3 * rng.standard_normal((count, dimension))
    return vectors.astype(np.float32), identity, np.arange(count) // 3


def with_reidflow(vectors: np.ndarray, identity: np.ndarray, group: np.ndarray) -> float:
    """Return the identity-balanced mean average precision, ties averaged."""
    from reidflow.evaluation.average_precision import average_precisions, identity_balanced

    values = average_precisions(
        vectors,
        vectors,
        identity,
        identity,
        query_index=np.arange(len(vectors)),
        query_group=group,
        gallery_group=group,
    )
    return identity_balanced(values, identity)


def with_full_sort(vectors: np.ndarray, identity: np.ndarray, group: np.ndarray, block: int = 256) -> float:
    """Return the same by sorting every row and cumulating the positives; ties fall as they lie."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ranks = np.arange(1, len(vectors) + 1)
    values = []
    for start in range(0, len(unit), block):
        rows = slice(start, start + block)
        similarities = unit[rows] @ unit.T
        excluded = group[rows, None] == group
        similarities[excluded] = -np.inf
        positive = (identity[rows, None] == identity) & ~excluded
        hits = np.take_along_axis(positive, np.argsort(-similarities, axis=1), axis=1)
        values.append((np.cumsum(hits, axis=1) / ranks * hits).sum(1) / np.maximum(positive.sum(1), 1))
    values = np.concatenate(values)
    return float(np.mean([values[identity == one].mean() for one in np.unique(identity)]))


SIDES = {"reidflow": with_reidflow, "full sort": with_full_sort}


def measure(side: str, sizes: list[int]) -> dict[str, float]:
    """Return value, seconds, processor seconds and peak memory in MB of one side, run in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *map(str, sizes)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run_side(side: str, sizes: list[int]) -> None:
    """Run one side and print its figures as JSON."""
    data = images(*sizes)
    SIDES[side](*(part[:300] for part in data))
    start, start_cpu = time.perf_counter(), time.process_time()
    value = SIDES[side](*data)
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"value": value, "seconds": seconds, "cpu": cpu, "peak_mb": peak}))


def main() -> None:
    """Measure both sides and print the ratio."""
    if "--side" in sys.argv:
        return run_side(sys.argv[2], [int(size) for size in sys.argv[3:]])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--identities", type=int, default=400)
    given = parser.parse_args()
    figures = {side: measure(side, [given.images, given.dimension, given.identities]) for side in SIDES}
    print(f"{given.images} queries x {given.images} images, {given.dimension}-d, {given.identities} identities")
    for side, figure in figures.items():
        times = f"{figure['seconds']:8.2f} s {figure['cpu']:8.2f} s cpu"
        print(f"{side:10} {times} {figure['peak_mb']:8.0f} MB   id_map {figure['value']:.9f}")
    fast, slow = figures["reidflow"], figures["full sort"]
    ratios = [slow[name] / fast[name] for name in ("seconds", "cpu", "peak_mb")]
    print("ratio      {:8.2f} x {:8.2f} x     {:8.2f} x".format(*ratios))
    return None


if __name__ == "__main__":
    main()
