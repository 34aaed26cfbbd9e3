"""The images of the highest quality, whatever they show."""

import numpy as np

from reidflow.curation.pool import Pool


def select(pool: Pool, count: int) -> np.ndarray:
    """Return the `count` rows (count,) int64, ascending, of the highest `quality`; of equals the first ones."""
    order = np.argsort(-pool.scores["quality"].to_numpy(), kind="stable")
    return np.sort(order[:count])
