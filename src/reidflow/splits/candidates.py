"""Which images a query is ranked among: those that are ignored for it, those that have its flank, and nobody's match."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from reidflow.dedup.components import components
from reidflow.ingest.manifest import set_aside
from reidflow.spec.errors import ReidflowError
from reidflow.splits.roles import ASIDE, SHARED, TEST, TRAIN, VAL, shuffled
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
    scored = split.filter(pl.col("role").is_in([VAL, TEST]))
    _check_known(scored, manifest, columns, "ignore: [{}]", "validation or test")
    return split.with_columns(_texts(split, manifest, columns).alias(IGNORED))


def with_shared(split: pl.DataFrame, manifest: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return images (of a split or before it) with the column SHARED, from columns of the manifest."""
    return split.with_columns(_texts(split, manifest, columns).alias(SHARED))


def check_shared(manifest: pl.DataFrame, columns: Sequence[str]) -> None:
    """Raise ReidflowError where no labelled image has a value of a column of `candidates.same`."""
    _check_known(labelled(manifest), manifest, columns, "candidates: {{same: {}}}", "labelled")


def _check_known(
    images: pl.DataFrame, manifest: pl.DataFrame, columns: Sequence[str], written: str, which: str
) -> None:
    """Raise ReidflowError where no image has a value of one of the columns. written: the key that names it; which: the images."""
    facts = images.select("image").join(manifest.select("image", *columns), on="image", how="left")
    for column in columns:
        if facts[column].null_count() == facts.height:
            key = written.format(column)
            raise ReidflowError(
                f"{key}: no {which} image has a {column}. Name its column in the source, e.g. dataset: {{source: {{{column}: "
                f"{column}}}}}, or have it read from the files' names (dataset.from_names), or leave '{column}' out of "
                f"'{key.partition(':')[0]}'."
            )


def _texts(split: pl.DataFrame, manifest: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Return for each row of a split a list of `column=value`, or null, for some columns of the manifest."""
    facts = split.select("image").join(
        manifest.select("image", *columns), on="image", how="left", maintain_order="left"
    )
    return facts.select(pl.concat_list([pl.format(f"{name}={{}}", pl.col(name)) for name in columns])).to_series()


def facets(split: pl.DataFrame) -> list[pl.Series]:
    """Return for each facet of IGNORED a text per image, of its identity and its value; null where it has none."""
    if IGNORED not in split.columns:
        return []
    count = split[IGNORED].list.len().max() or 0
    values = [pl.col(IGNORED).list.get(place) for place in range(count)]
    return [split.select(pl.concat_str("identity", value, separator="\0")).to_series() for value in values]


def shared_codes(split: pl.DataFrame) -> np.ndarray | None:
    """Return (N, K) integer codes of the K texts of SHARED, -1 for null; None where a split has no such column."""
    if SHARED not in split.columns:
        return None
    count = split[SHARED].list.len().max() or 0
    return np.stack([codes(split[SHARED].list.get(place)) for place in range(count)], axis=1)


def differing(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return whether codes of SHARED, integers that broadcast, are both known (0 or more) and differ."""
    return (values != others) & (values >= 0) & (others >= 0)


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
    """Return how many queries a role has, and how many find no positive: of another group, not ignored, of the same flank."""
    queries = labelled(split).filter((pl.col("role") == role) & pl.col("side").ne_missing(GALLERY)).height
    return queries, queries - len(answered(split, role, gallery))


def answered(split: pl.DataFrame, role: str, gallery: str) -> np.ndarray:
    """Return the queries of a role that find a positive, as rows (int64) of the labelled images of a split."""
    known = labelled(split)
    own = (known["role"] == role).to_numpy()
    sides = known["side"].fill_null("").to_numpy()
    queries = np.flatnonzero(own & (sides != GALLERY))
    ranked = np.flatnonzero((own if gallery == "role" else (known["role"] != ASIDE).to_numpy()) & (sides != QUERY))
    identity, shared = codes(known["identity"]), shared_codes(known)
    keys = np.stack([codes(known["group"]), *map(codes, facets(known))], axis=1)
    of_identity = _by_code(identity, ranked)
    able = []
    for code, rows in _by_code(identity, queries).items():
        found = of_identity.get(code, ranked[:0])
        others = keys[found]
        for start in range(0, len(rows), BLOCK):
            mine = keys[rows[start : start + BLOCK], None]
            open_ = ~((mine == others) & (mine >= 0)).any(axis=2)
            if shared is not None:
                open_ &= ~differing(shared[rows[start : start + BLOCK], None], shared[found]).any(axis=2)
            able.append(rows[start : start + BLOCK][open_.any(axis=1)])
    return np.sort(np.concatenate(able)) if able else np.empty(0, np.int64)


def codes(texts: pl.Series) -> np.ndarray:
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
    """Return the unlabelled images that are no queries of a competition and not set aside."""
    return manifest.filter(pl.col("identity").is_null() & pl.col("side").ne_missing(QUERY) & ~set_aside(manifest))
