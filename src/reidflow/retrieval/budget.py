"""Time that may run out: what is left of it, and which networks fit into it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Clock = Callable[[], float]

RESERVE = 0.1
"""Share of the budget that no network is planned into: for training projections, ranking and writing."""


class OutOfTimeError(Exception):
    """The time planned for a step is used up; what the step finished by then is kept."""


@dataclass(frozen=True)
class Budget:
    """`seconds` from the moment `started` (seconds since the epoch, as `clock` gives them)."""

    seconds: float
    started: float
    clock: Clock = time.time

    def spent(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self.started

    def left(self) -> float:
        """Return the seconds until the deadline; negative behind it."""
        return self.seconds - self.spent()

    def usable(self) -> float:
        """Return the seconds until the reserve begins; negative behind that."""
        return self.left() - RESERVE * self.seconds


class Cost(NamedTuple):
    """Seconds that a network is predicted to need for the training images, and for queries and gallery."""

    training: float
    asked: float


def affordable(costs: Sequence[Cost | None], seconds: float) -> list[int]:
    """Return the positions of the networks that fit into `seconds`, in order of their cost.

    All that fit embed the training images; only one of them, maybe the slowest, embeds queries and gallery too. The
    cheapest are taken first, so that as many as possible can be compared. None: of a network that cannot be had, or was
    not measured.
    """
    known = [(cost.training + cost.asked, place) for place, cost in enumerate(costs) if cost is not None]
    taken: list[int] = []
    training = asked = 0.0
    for _, place in sorted(known):
        more, most = training + costs[place].training, max(asked, costs[place].asked)
        if more + most > seconds:
            continue
        training, asked = more, most
        taken.append(place)
    return taken
