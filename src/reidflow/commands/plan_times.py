"""How long jobs would take, by the recorded times of earlier runs and jobs."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from reidflow.spec.canonical import canonical

# What two runs share, from the most alike to the least; how a run's time is told to have been estimated.
SAME, SIMILAR, NETWORK = "with the same settings", "with the same network and loss", "with the same network"
ANY_FEATURES = "on features"
LEVELS = (SAME, SIMILAR, NETWORK, ANY_FEATURES)


class Finished(NamedTuple):
    """A finished run: its plain spec, the seconds of its training, how many images it was trained on, on which device."""

    spec: dict[str, Any]
    seconds: float
    images: int | None
    device: str


class Guess(NamedTuple):
    """The seconds that a run may take, by how many earlier runs of which likeness."""

    seconds: float
    runs: int
    likeness: str


class Speeds:
    """What finished runs tell of the time of others."""

    def __init__(self, finished: Iterable[Finished], device: str) -> None:
        """device: `cpu` or `cuda`, where the others would run: times of the other kind tell nothing."""
        self._rates: dict[tuple[str, str], list[float]] = {}
        comparable = [run for run in finished if kind_of(run.device) == device and run.images]
        # Where the number of images is not known yet, it is taken to be what it mostly was.
        self._images = median(run.images for run in comparable) if comparable else 1
        for run in comparable:
            for level, key in _likeness(run.spec).items():
                self._rates.setdefault((level, key), []).append(run.seconds / _work(run.spec, run.images))

    def guess(self, spec: dict[str, Any], images: int | None) -> Guess | None:
        """Return how long a run may take: the median of the most alike earlier runs, scaled by epochs and images.

        None where none is alike: a network that was never trained may take any time.
        """
        for level, key in _likeness(spec).items():
            if rates := self._rates.get((level, key)):
                return Guess(median(rates) * _work(spec, images or self._images), len(rates), level)
        return None


def kind_of(device: str) -> str:
    """Return `cuda` for any graphics card, else `cpu`."""
    return "cuda" if device.startswith("cuda") else "cpu"


def _likeness(spec: dict[str, Any]) -> dict[str, str]:
    """Return level -> what another run must have in common with this one to be alike at that level."""
    model = spec["model"]
    network = [model["backbone"], model["trainable"], model.get("pooling")]
    apart = ("seed", "epochs", "inference", "ensemble")
    found = {
        SAME: canonical({key: value for key, value in spec.items() if key not in apart}),
        SIMILAR: canonical([network, model["size"], spec["loss"]["name"], spec.get("resizing"), spec.get("precision")]),
        NETWORK: canonical(network),
    }
    return {**found, ANY_FEATURES: ""} if _frozen(spec) else found


def _frozen(spec: dict[str, Any]) -> bool:
    return spec["model"]["trainable"]["name"] in ("none", "head")


def _work(spec: dict[str, Any], images: float) -> float:
    """Return the work of a run in units that compare with those of runs that are alike."""
    pixels = 1 if _frozen(spec) else spec["model"]["size"] ** 2
    return max(spec["epochs"], 1) * images * pixels


@dataclass
class Work:
    """A job in a schedule: what it takes and which ones, by number, it waits for."""

    seconds: float
    threads: int = 1
    cards: int = 0
    upstream: Sequence[int] = ()


def makespan(jobs: Sequence[Work], cores: int | None, cards: int | None, parallel: int | None = None) -> float:
    """Return the seconds until all jobs are done, each started as soon as what it waits for and asks for is there.

    cores, cards: how many there are; parallel: how many jobs at once. None: as many as are asked for.
    """
    free = [_limit(cores), _limit(cards), _limit(parallel)]
    waiting = [len(job.upstream) for job in jobs]
    after: list[list[int]] = [[] for _ in jobs]
    for number, job in enumerate(jobs):
        for other in job.upstream:
            after[other].append(number)
    ready = [number for number, count in enumerate(waiting) if not count]
    running: list[tuple[float, int]] = []
    now = 0.0

    # As Snakemake does, a request is lowered to what there is.
    asked = [(min(job.threads, free[0]), min(job.cards, free[1])) for job in jobs]
    while ready or running:
        held: list[int] = []
        for place, number in enumerate(ready):
            if free[0] <= 0 or free[2] <= 0:
                held += ready[place:]
                break
            threads, wanted = asked[number]
            if threads > free[0] or wanted > free[1]:
                held.append(number)
                continue
            free = [free[0] - threads, free[1] - wanted, free[2] - 1]
            heapq.heappush(running, (now + jobs[number].seconds, number))
        now, done = heapq.heappop(running)
        free = [free[0] + asked[done][0], free[1] + asked[done][1], free[2] + 1]
        ready = held
        for number in after[done]:
            waiting[number] -= 1
            if not waiting[number]:
                ready.append(number)
    return now


def _limit(count: int | None) -> float:
    return float("inf") if count is None else max(count, 1)
