"""Speed of ingest beside a bare loop that decodes and resizes the same images; peak memory for two sizes.

Run: python benchmarks/ingest.py [--images 2000] [--workers 2] [--pairs 3]

On a machine that others use as well, compare the CPU seconds.
"""

import argparse
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.ingest import rawdigest
from reidflow.ingest.build import Outputs, Raw, ingest
from reidflow.ingest.sources.folder import open_source
from reidflow.spec.components import resolve

WIDTH, HEIGHT, DISTINCT = 1400, 1200, 16


def main() -> None:
    """Print both sides and their ratio."""
    arguments = _arguments()
    if arguments.measure:
        print(json.dumps(_ingest(arguments.measure, arguments)))
        return
    with tempfile.TemporaryDirectory() as name:
        data, few = Path(name) / "all", Path(name) / "few"
        _write_images(data, arguments.images)
        _write_images(few, arguments.images // 4)
        files = sorted(data.rglob("*.jpg"))
        print(f"{len(files)} JPEG images of {WIDTH} x {HEIGHT} to {arguments.size} x {arguments.size}, ", end="")
        print(f"{arguments.workers} workers; seconds")
        ratios: dict[str, list[float]] = {}
        for _ in range(arguments.pairs):
            shrunk, mine, full = _bare(files, arguments, True), _child(data, arguments), _bare(files, arguments, False)
            print(f"  ingest {_shown(mine)}   bare loop, shrinking as ingest does {_shown(shrunk)}", end="")
            print(f"   bare loop, full size {_shown(full)}", flush=True)
            for name, bare in (("shrinking", shrunk), ("full size", full)):
                for unit in ("seconds", "cpu"):
                    ratios.setdefault(f"{name}, by {unit}", []).append(bare[unit] / mine[unit])
        for name, values in ratios.items():
            print(f"speed of ingest / bare loop ({name}): {statistics.median(values):.2f} (median of {len(values)})")
        small, large = _child(few, arguments)["peak_mb"], mine["peak_mb"]
        print(f"peak memory, MB: {small:.0f} for {len(files) // 4}, {large:.0f} for {len(files)} images")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _write_images(folder: Path, count: int) -> None:
    """Write `count` files with different bytes: a few drawings, each followed by a number that no decoder reads."""
    drawings = []
    for i in range(DISTINCT):
        random = np.random.Generator(np.random.PCG64(i))
        coarse = Image.fromarray(random.integers(0, 256, (30, 35, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(smooth + random.integers(-8, 9, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
        drawings.append(buffer.getvalue())
    for i in range(count):
        path = folder / f"animal-{i % 40}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawings[i % DISTINCT] + str(i).encode())


def _shown(side: dict[str, float]) -> str:
    return f"{side['seconds']:.2f} ({side['cpu']:.2f} CPU)"


def _loop(files: list[Path], size: int, shrink: bool) -> float:
    """Decode and resize; nothing is checked, hashed or kept. Return the CPU seconds."""
    start = time.process_time()
    for path in files:
        image = Image.open(path)
        if shrink:
            scale = 2 * size / max(image.size)
            image.draft(None, (int(image.width * scale), int(image.height * scale)))
        image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0 if shrink else None)
    return time.process_time() - start


def _bare(files: list[Path], arguments: argparse.Namespace, shrink: bool) -> dict[str, float]:
    """Return the seconds of the bare loop in processes that have already started."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        warm = [files[i : i + 2] for i in range(arguments.workers)]
        list(pool.map(_loop, warm, [arguments.size] * len(warm), [shrink] * len(warm)))
        chunks = [files[i : i + 16] for i in range(0, len(files), 16)]
        start = time.perf_counter()
        cpu = sum(pool.map(_loop, chunks, [arguments.size] * len(chunks), [shrink] * len(chunks)))
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": cpu}


def _child(data: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Run ingest in a process of its own, so that its peak memory is its own."""
    options = ["--size", str(arguments.size), "--workers", str(arguments.workers), "--measure", str(data)]
    done = subprocess.run([sys.executable, __file__, *options], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _ingest(data: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of a whole ingest, from listing to the last file, verified, and the peak memory in MB."""
    with tempfile.TemporaryDirectory(dir=data.parent) as name:
        out = Path(name)
        cache = data.parent / f"{data.name}.json"
        digest = rawdigest.snapshot(data, cache).digest
        names = ("manifest.parquet", "quarantine.parquet", "images.npy", "masks.npy", "images.json", "rejected.parquet")
        start, before = time.perf_counter(), time.process_time()
        ingest(
            open_source(path=str(data)),
            Outputs(*(out / n for n in names)),
            frame=resolve("frame", "mask_box"),
            size=arguments.size,
            max_bad_share=0.0,
            max_pixels=200_000_000,
            workers=arguments.workers,
            raw=Raw(digest, cache),
        )
        seconds = time.perf_counter() - start
        cpu = time.process_time() - before
    return {"seconds": seconds, "cpu": cpu, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Return the largest memory of this process since it started. (What getrusage tells includes its parent's.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
