"""Which images a query is ranked among: those that are ignored for it, and unlabelled ones that are nobody's match."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from reidflow.dedup.components import components
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE, TEST, TRAIN, VAL, shuffled
from reidflow.splits.sides import GALLERY, QUERY, of_photographs

IGNORED = "ignored"
"""Column of a split: one text or null for each facet (camera, site, flank) of `ignore`. Of a query's identity, images that
share one of its texts are no candidates."""
BLOCK = 1024


def labelled(split: pl.DataFrame) -> pl.DataFrame:
    """Return the split without distractors, which have no identity."""
    return split.filter(pl.col("identity").is_not_null())


def with_ignored(split: pl.DataFrame, manifest: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return the split with the column IGNORED, from columns of the manifest.

    An image without a value shares it with none. Raises ReidflowError where no image of val and test has a value.
    """
    facts = split.join(manifest.select("image", *columns), on="image", how="left", maintain_order="left")
    scored = facts.filter(pl.col("role").is_in([VAL, TEST]))
    for column in columns:
        if scored[column].null_count() == scored.height:
            raise ReidflowError(
                f"ignore: [{column}]: no validation or test image has a {column}. Name its column in the source, e.g. dataset: "
                f"{{source: {{{column}: {column}}}}}, or leave '{column}' out of 'ignore'."
            )
    texts = [pl.format(f"{column}={{}}", pl.col(column)) for column in columns]
    return split.with_columns(facts.select(pl.concat_list(texts).alias(IGNORED))[IGNORED])


def facets(split: pl.DataFrame) -> list[pl.Series]:
    """Return for each facet of IGNORED a text per image, of its identity and its value; null where it has none."""
    if IGNORED not in split.columns:
        return []
    count = split[IGNORED].list.len().max() or 0
    values = [pl.col(IGNORED).list.get(place) for place in range(count)]
    return [split.select(pl.concat_str("identity", value, separator="\0")).to_series() for value in values]


def joined_groups(split: pl.DataFrame) -> list[str]:
    """Return the groups of a split, joined where images of one identity share an ignored value.

    Validation during training knows groups alone. Where a group spans two cameras, these count as one there: never are
    there more candidates than in a test.
    """
    if IGNORED not in split.columns:
        return split["group"].to_list()
    keys = [split["group"], *facets(split)]
    pairs = []
    for key in keys:
        first: dict[str, int] = {}
        pairs += [(first.setdefault(text, row), row) for row, text in enumerate(key) if text is not None]
    roots = components(split.height, np.asarray(pairs, np.int64).reshape(-1, 2))
    return split["group"].gather(roots).to_list()


def unanswered(split: pl.DataFrame, role: str, gallery: str) -> tuple[int, int]:
    """Return how many queries a role has, and how many find no positive: of another group, and not ignored."""
    known = labelled(split)
    own = (known["role"] == role).to_numpy()
    sides = known["side"].fill_null("").to_numpy()
    queries = np.flatnonzero(own & (sides != GALLERY))
    ranked = np.flatnonzero((own if gallery == "role" else (known["role"] != ASIDE).to_numpy()) & (sides != QUERY))
    identity = _codes(known["identity"])
    keys = np.stack([_codes(known["group"]), *map(_codes, facets(known))], axis=1)
    of_identity = _by_code(identity, ranked)
    alone = 0
    for code, rows in _by_code(identity, queries).items():
        others = keys[of_identity.get(code, ranked[:0])]
        for start in range(0, len(rows), BLOCK):
            mine = keys[rows[start : start + BLOCK], None]
            answered = ~((mine == others) & (mine >= 0)).any(axis=2)
            alone += int((~answered.any(axis=1)).sum())
    return len(queries), alone


def _codes(texts: pl.Series) -> np.ndarray:
    """Return an integer for each text, -1 for null."""
    return texts.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1


def _by_code(codes: np.ndarray, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Return code -> those of `rows` that have it."""
    ordered = rows[np.argsort(codes[rows], kind="stable")]
    found, starts = np.unique(codes[ordered], return_index=True)
    return dict(zip(found.tolist(), np.split(ordered, starts)[1:], strict=True))


def with_distractors(split: pl.DataFrame, manifest: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Return the split with distractors: gallery images without an identity, each a group of its own.

    chosen: image and role of the unlabelled images. Those that show a labelled image are left out: they would count as
    wrong where they are right. Rows are in the order of the manifest.
    """
    apart = chosen.join(copies(split, manifest), on="image", how="anti", maintain_order="left")
    added = apart.select("image", "role", group="image", side=pl.lit(GALLERY))
    order = manifest.select("image").with_row_index("place")
    return (
        pl.concat([split, added], how="diagonal")
        .join(order, on="image", how="left")
        .sort("place")
        .select(split.columns)
    )


def copies(split: pl.DataFrame, manifest: pl.DataFrame) -> pl.DataFrame:
    """Return the unlabelled images of the manifest with the pixels of a labelled one of the split, or equal to it where they show."""
    known = manifest.join(labelled(split), on="image", how="semi")
    equal = [pl.col(name).is_in(known[name].drop_nulls().implode()) for name in ("pixels", "visible")]
    return manifest.filter(pl.col("identity").is_null() & pl.any_horizontal(equal))


def given_distractors(manifest: pl.DataFrame, method: dict, every: bool) -> pl.DataFrame:
    """Return image and role (val, test) of the unlabelled images that the data put into a gallery.

    every: whether those that are on no list join them, but for images of the role train: where they have no role, in test.
    """
    free = _free(manifest).filter(pl.col("role").ne_missing(TRAIN))
    listed = free if every else free.filter((pl.col("side") == GALLERY) & pl.col("role").is_not_null())
    role = pl.col("role").fill_null(TEST)
    return listed.select("image", role=role.replace({VAL: TEST}) if method.get("tested") == VAL else role)


def drawn_distractors(manifest: pl.DataFrame, method: dict, sides: str, two: bool) -> pl.DataFrame:
    """Return image and role (val, test) of the unlabelled images that may be ranked, at random in the method's shares.

    two: whether labelled images are of two sides; then unlabelled ones of the side `gallery` are ranked across sides, the
    others within.
    """
    free = _free(manifest)
    if two:
        free = free.filter((pl.col("side") == GALLERY) if sides == "across" else of_photographs())
    val, test = float(method.get(VAL, 0)), float(method.get(TEST, 1))
    order = shuffled(sorted(free["image"]), method.get("seed", 0), "distractors")
    count = round(len(order) * val / (val + test))
    roles = [VAL] * count + [TEST] * (len(order) - count)
    return pl.DataFrame({"image": order, "role": roles}, schema={"image": pl.String, "role": pl.String})


def _free(manifest: pl.DataFrame) -> pl.DataFrame:
    """Return the unlabelled images that are no queries of a competition."""
    return manifest.filter(pl.col("identity").is_null() & pl.col("side").ne_missing(QUERY))
