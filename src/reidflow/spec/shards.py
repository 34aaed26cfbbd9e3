"""Shards of large data sets: jobs of one rule that share the images, or queries, in the order of the manifest.

Their number follows from the data alone: another number would be another set of inputs, for which Snakemake makes a
result again. `group-components` of a profile puts several into one job of a cluster.
"""

EMBEDDED = 20_000
"""Images that a job embeds, at most, where there are more."""
EXTRACTED = 20_000
"""Images whose local features a job extracts, at most, where there are more."""
COMPARED = 250_000
"""Images whose hashes a job computes, or compares with all others, at most, where there are more."""
PAIRWISE = {
    "embedding": EMBEDDED,
    **dict.fromkeys(("ahash", "dhash", "hash_embedding", "hash_ssim", "phash", "whash"), COMPARED),
}
"""Methods of deduplication by which a pair does not depend on others -> images that a job compares with all others."""


def shards(images: int, most: int) -> list[str]:
    """Return the shards of so many images, each "number-of-all"; none where one job may have them all."""
    count = -(-images // most)
    return [f"{number}-of-{count}" for number in range(1, count + 1)] if count > 1 else []


def numbers(shard: str) -> list[int]:
    """Return the number of a shard, from 1, and how many there are."""
    return [int(number) for number in shard.split("-of-")]


def rows_of(shard: list[int], count: int) -> slice:
    """Return the rows of a shard (its number, from 1, and how many there are) of `count` rows."""
    number, parts = shard
    return slice((number - 1) * count // parts, number * count // parts)
