"""Work spread over processes that end with the one that started them."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from reidflow.store.invocation import die_with

WAITING = 3  # tasks per process that wait, so that few arguments are in memory at once


def map_in_order(work: Callable, tasks: Iterable[tuple], workers: int) -> Iterator[Any]:
    """Yield work(*task) for each task, in their order; with one worker in this process, else in spawned ones."""
    if workers <= 1:
        yield from (work(*task) for task in tasks)
        return
    # A worker whose parent is killed waits for tasks for ever: it has to watch its parent itself.
    spawn, parent = multiprocessing.get_context("spawn"), os.getpid()
    with ProcessPoolExecutor(workers, spawn, initializer=die_with, initargs=(parent,)) as pool:
        waiting = deque()
        for task in tasks:
            waiting.append(pool.submit(work, *task))
            if len(waiting) > WAITING * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
