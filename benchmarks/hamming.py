"""Time and memory of all pairs within a Hamming distance, beside NumPy's bitwise_count over blocks.

NumPy's side is measured with several sizes of block, of which the fastest counts. Each side of the large case runs in
a process of its own, so that its peak memory is its own.

    python benchmarks/hamming.py --small 20000 --large 200000 --distance 8 --threads 2
"""

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from reidflow.dedup.hamming import close_pairs


def hashes(count: int) -> np.ndarray:
    """Return (count,) uint64 random hashes, one in eight a few bits from another."""
    rng = np.random.Generator(np.random.PCG64(0))
    found = rng.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(0, count // 8 * 8, 8):
        flips = np.uint64(1) << rng.integers(0, 64, rng.integers(0, 12)).astype(np.uint64)
        found[row] = found[row + 1] ^ np.bitwise_or.reduce(flips, initial=np.uint64(0))
    return found


def with_blocks(found: np.ndarray, distance: int, block: int) -> np.ndarray:
    """Return the same pairs by comparing blocks of hashes with all that follow."""
    pairs = []
    for start in range(0, len(found), block):
        apart = np.bitwise_count(found[start : start + block, None] ^ found[None, start:])
        i, j = np.nonzero(apart <= distance)
        keep = j > i
        pairs.append(np.stack([i[keep] + start, j[keep] + start, apart[i[keep], j[keep]]], axis=1))
    return np.concatenate(pairs).astype(np.int64)


def timed(function, *given) -> tuple[np.ndarray, float]:
    """Return the result and the shortest of three times in seconds."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = function(*given)
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def run_large(count: int, distance: int, threads: int) -> None:
    """Print time, pairs and peak memory of one large case."""
    found = hashes(count)
    start = time.perf_counter()
    pairs = close_pairs(found, distance, threads)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    exact = _exact_for_some(found, pairs, distance)
    print(f"{count} hashes, {distance} bits, {threads} threads: {seconds:.2f} s (bar: 60), peak {peak:.2f} GB (bar: 4)")
    print(f"           ratio to the bars {60 / seconds:.1f} x, {4 / peak:.1f} x   {len(pairs)} pairs, {exact}")


def _exact_for_some(found: np.ndarray, pairs: np.ndarray, distance: int) -> str:
    """Compare the pairs of every hundredth hash with all hashes."""
    rows = np.arange(0, len(found), 100)
    count = 0
    for row in rows:
        count += int((np.bitwise_count(found[row] ^ found) <= distance).sum()) - 1
    ours = np.isin(pairs[:, 0], rows).sum() + np.isin(pairs[:, 1], rows).sum()
    return f"those of {len(rows)} hashes {'equal' if ours == count else 'NOT EQUAL'} to a full comparison ({count})"


def main() -> None:
    """Measure both sides and print the ratio, then the large case."""
    if "--run-large" in sys.argv:
        return run_large(*(int(size) for size in sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=20000)
    parser.add_argument("--large", type=int, default=200000)
    parser.add_argument("--distance", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    found = hashes(given.small)
    ours, fast = timed(close_pairs, found, given.distance)
    theirs, slow = min(
        (timed(with_blocks, found, given.distance, block) for block in (16, 64, 256)), key=lambda r: r[1]
    )
    equal = np.array_equal(ours, theirs[np.lexsort((theirs[:, 1], theirs[:, 0]))])
    print(f"{given.small} hashes, {given.distance} bits, one thread each: {len(ours)} pairs, equal: {equal}")
    print(f"reidflow {fast:8.3f} s\nblocks   {slow:8.3f} s\nratio    {slow / fast:8.2f} x (bar: 4)")
    sizes = [str(size) for size in (given.large, given.distance, given.threads)]
    subprocess.run([sys.executable, __file__, "--run-large", *sizes], check=True)
    return None


if __name__ == "__main__":
    main()
