"""What matching by local features costs, and what the approximate search of LNBNN loses.

`lnbnn` draws a gallery: descriptors of each image around common centres, as those of photographs are, a twentieth of them
(`--shared`) near copies of the same places of its individual. Queries are further images of some individuals. Scores with all
descriptors compared are the truth, for `--exact` of the queries; `--probes` is the number of lists that are looked at. A gallery
of a quarter shows how time grows. `pairs` needs a finished bank of features and compares a shortlist of 20 for some queries; `extract` measures the matchers on the images of a folder.

    python benchmarks/matching.py lnbnn --images 10000 --descriptors 200 --queries 1000 --threads 2
    python benchmarks/matching.py extract data/photographs --matchers rootsift xfeat aliked disk
    python benchmarks/matching.py pairs results/local/aliked-... --compare lightglue --queries 5
"""

import argparse
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.matching import neighbours
from reidflow.matching.bank import Bank, build_matcher, single_threaded
from reidflow.matching.comparisons.lnbnn import Voting, build
from reidflow.matching.features import Features, Gallery
from reidflow.spec import components

DIM, CENTRES, SPREAD, NOISE = 128, 4000, 0.55, 0.7
INDIVIDUALS = 4  # images of each in the gallery
LIST = 20


class World:
    """Draws images: the descriptors of each, float32 (n, DIM), of length 1 and not negative, as RootSIFT's are."""

    def __init__(self, descriptors: int, shared: float) -> None:
        self.descriptors, self.shared = descriptors, shared
        self.centres = np.abs(np.random.default_rng(0).standard_normal((CENTRES, DIM), dtype=np.float32))

    def image(self, individual: int, number: int) -> np.ndarray:
        """Return the descriptors of an image of an individual."""
        coat, view = np.random.default_rng([1, individual]), np.random.default_rng([2, individual, number])
        shared = self._places(coat, int(self.shared * self.descriptors))
        shared += NOISE * view.standard_normal(shared.shape, dtype=np.float32)
        return unit(np.concatenate([shared, self._places(view, self.descriptors - len(shared))]))

    def _places(self, random: np.random.Generator, count: int) -> np.ndarray:
        chosen = self.centres[random.integers(0, CENTRES, count)]
        return chosen + SPREAD * random.standard_normal((count, DIM), dtype=np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors without their negative parts, of length 1."""
    kept = np.maximum(vectors, 0)
    return kept / np.linalg.norm(kept, axis=1, keepdims=True)


def gallery_of(world: World, images: int) -> Gallery:
    """Return a gallery of drawn images."""
    parts = [world.image(place // INDIVIDUALS, place % INDIVIDUALS).astype(np.float16) for place in range(images)]
    owners = np.repeat(np.arange(images), world.descriptors)
    return Gallery(np.zeros((len(owners), 2), np.float32), np.concatenate(parts), owners, images, np.arange(images))


def search(gallery: Gallery, queries: list[Features], threads: int, exact: bool) -> tuple[np.ndarray, float, float]:
    """Return the first image of each query, and wall and processor seconds."""
    neighbours.EXACT = len(gallery.owners) if exact else 0

    def work() -> np.ndarray:
        voting = Voting(build(), gallery)
        with ThreadPoolExecutor(threads) as pool:
            return np.array(list(pool.map(lambda one: int(voting.scores(one, None, None).argmax()), queries)))

    return timed(work)


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float, float]:
    """Return what some work returns, its wall seconds and its processor seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - cpu


def lnbnn(given: argparse.Namespace) -> None:
    """Print the cost of queries, of a quarter of the gallery too, and how often both searches agree."""
    world, chosen = World(given.descriptors, given.shared), np.random.default_rng(3)
    neighbours.PROBES = given.probes
    for images in (given.images // 4, given.images):
        individuals = np.random.default_rng(3).permutation(images // INDIVIDUALS)[: given.queries]
        individuals = np.resize(individuals, given.queries)
        queries = [
            Features(np.zeros((given.descriptors, 2), np.float32), world.image(int(one), INDIVIDUALS + place))
            for place, one in enumerate(individuals)
        ]
        with single_threaded("cpu"):
            gallery = gallery_of(world, images)
            found, wall, cpu = search(gallery, queries, given.threads, exact=False)
            right = (found // INDIVIDUALS == individuals).mean()
            print(
                f"{given.queries} queries in {images} images of {given.descriptors}: {wall:.0f} s, {cpu:.0f} s cpu, "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB; top-1 {right:.1%}",
                flush=True,
            )
            if images < given.images or not given.exact:
                continue
            some = chosen.permutation(given.queries)[: given.exact]
            exact, wall, cpu = search(gallery, [queries[place] for place in some], given.threads, exact=True)
        true = (exact // INDIVIDUALS == individuals[some]).mean()
        mine = (found[some] // INDIVIDUALS == individuals[some]).mean()
        print(
            f"  {len(some)} of them exactly: {wall:.0f} s, {cpu:.0f} s cpu; top-1 {true:.1%}, approximate {mine:.1%}, the same "
            f"first image {(found[some] == exact).mean():.1%}"
        )


def extract(given: argparse.Namespace) -> None:
    """Print what each matcher takes for an image, and how many keypoints it finds."""
    files = sorted(path for path in Path(given.folder).rglob("*") if path.suffix in (".png", ".jpg"))[: given.queries]
    for name in given.matchers:
        spec = components.resolve("matcher", {"name": name, "size": given.size})
        squares = [np.asarray(Image.open(file).convert("RGB").resize((given.size, given.size))) for file in files]
        with single_threaded("cpu"):
            matcher = build_matcher(spec, "cpu")
            matcher(squares[0][None], None)
            found, _, cpu = timed(lambda images=squares, run=matcher: [run(one[None], None)[0] for one in images])
        count = np.median([len(one.points) for one in found])
        print(f"{name}: {cpu / len(files) * 1000:.0f} ms cpu an image at {given.size} pixels, {count:.0f} keypoints")


def pairs(given: argparse.Namespace) -> None:
    """Print what a query costs that is compared with a shortlist of LIST images."""
    bank = Bank(Path(given.folder))
    context = {"matcher": bank.facts["matcher"], "device": "cpu"}
    wanted = components.context("comparison", given.compare)
    compare = components.call(
        "comparison", components.resolve("comparison", given.compare), *(context[name] for name in wanted)
    )
    rows = np.flatnonzero(bank.count > 0)
    queries, others = rows[: given.queries], rows[-LIST:]
    with single_threaded("cpu"), ThreadPoolExecutor(given.threads) as pool:
        work = [(bank.of(query), bank.of(other)) for query in queries for other in others]
        _, wall, cpu = timed(lambda: np.array(list(pool.map(lambda pair: compare.matches(*pair).weights.sum(), work))))
    print(f"{given.compare}: {wall / len(queries):.1f} s, {cpu / len(queries):.1f} s cpu a query and {LIST} candidates")


def main() -> None:
    """Run the chosen part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["lnbnn", "extract", "pairs"])
    parser.add_argument("folder", nargs="?")
    for name, default in (("images", 10_000), ("descriptors", 200), ("queries", 1000), ("threads", 2), ("exact", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--shared", type=float, default=0.05)
    parser.add_argument("--probes", type=int, default=neighbours.PROBES)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--matchers", nargs="+", default=components.names("matcher"))
    parser.add_argument("--compare", default="lightglue")
    given = parser.parse_args()
    {"lnbnn": lnbnn, "extract": extract, "pairs": pairs}[given.part](given)


if __name__ == "__main__":
    main()
