"""Several runs that rank together."""

from dataclasses import replace

import numpy as np

from reidflow.evaluation.asked import Retrieval, scores
from reidflow.evaluation.ranking import unit

BLOCK = 1024


def joined(members: list[Retrieval], combine: str) -> Retrieval:
    """Return what the runs of an ensemble rank by; of a single run, what it was given.

    members: the same queries and gallery as each run embeds them. combine: `concatenate` puts unit embeddings side by
    side, so that their cosine is the mean of the members' cosines; `average` takes the mean of the members' similarities,
    each in its own geometry, which needs memory for (Q, G) float32. The embeddings beside averaged similarities, by which
    clusters and distances are measured, are those of the first member.
    """
    first = members[0]
    if len(members) == 1:
        return first
    if combine == "concatenate":
        sides = ([unit(getattr(member, side)) for member in members] for side in ("queries", "gallery"))
        queries, gallery = (np.concatenate(vectors, axis=1).astype(np.float32) for vectors in sides)
        return replace(first, queries=queries, gallery=gallery)
    mean = np.empty((len(first.queries), len(first.gallery)), np.float32)
    for start in range(0, len(mean), BLOCK):
        rows = slice(start, start + BLOCK)
        mean[rows] = np.mean([scores(member, rows) for member in members], axis=0)
    return replace(first, matrix=mean)
