"""What embeddings look like in their space: distances, how far out they lie, how tree-like they are, and pictures of them.

`geometry` is the name of a geometry, or the dotted path of a user's own.
"""

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from reidflow.evaluation.ranking import similarity_of, unit

MOST = 500
"""Points among which the Gromov delta is searched, at most; its cost grows with their cube."""
DRAWS = 1000
FARTHEST = 30.0
"""Hyperbolic distances are shrunk to this before they are drawn: their cosh would leave no digits to the near ones."""
FEWEST, PERPLEXITY, STEPS = 10, 20.0, 500
"""Points below which a map is a projection; of t-SNE, the neighbours that it looks at, and its iterations."""


def distances(geometry: str, vectors: np.ndarray) -> np.ndarray:
    """Return the (N, N) distances of (N, D) embeddings in their geometry: on the hypersphere angles in radians."""
    similarity = similarity_of(geometry)
    if similarity is None:
        # Of unit vectors the half-angle formula loses no digits where the cosine is near 1.
        directions = unit(vectors)
        apart = np.sqrt(np.maximum(0, 2 - 2 * directions @ directions.T))
        found = 2 * np.arcsin(np.minimum(1, apart / 2))
    else:
        found = -similarity(vectors, vectors)
    found = (found + found.T) / 2
    np.fill_diagonal(found, 0)
    return found


def radii(geometry: str, vectors: np.ndarray) -> np.ndarray:
    """Return how far (N,) embeddings lie from the origin: on the hypersphere the length of the head's output."""
    similarity = similarity_of(geometry)
    if similarity is None:
        return np.sqrt(np.square(np.asarray(vectors, dtype=np.float64)).sum(axis=1))
    return -similarity(np.zeros((1, np.shape(vectors)[1])), vectors)[0]


def spaced(count: int, most: int = MOST) -> np.ndarray:
    """Return at most `most` of `count` rows, evenly spaced, so that distances between them fit into memory."""
    return np.unique(np.linspace(0, max(0, count - 1), min(most, count)).round().astype(int))


def relative_delta(distances: np.ndarray) -> float:
    """Return Gromov's delta relative to the diameter, 2 delta / diameter: 0 for a tree, at most 1; NaN without points.

    By the four-point condition at the first point, as the largest entry of (A max-min A) - A, A the Gromov products.
    Time grows with the cube of the points (`spaced`). Source: Khrulkov et al. 2020, arXiv:1904.02239; Fournier et al.
    2015, doi:10.1016/j.ipl.2015.02.002.
    """
    if not distances.size or not np.isfinite(distances).all() or distances.max() <= 0:
        return float("nan")
    products = (distances[:, :1] + distances[:1] - distances) / 2
    joined = np.full_like(products, -np.inf)
    for row in products:
        np.maximum(joined, np.minimum(row[:, None], row), out=joined)
    return float(2 * (joined - products).max() / distances.max())


def rank_correlation(one: np.ndarray, other: np.ndarray, clusters: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Return Spearman's correlation of (N,) and (N,) values, and the ends of its 95 % interval.

    The interval comes from a bootstrap over `clusters` (N,), integer codes: values of one identity are no independent
    draws. NaN where either is constant or not finite, or with fewer than three clusters.
    """
    finite = np.isfinite(one) & np.isfinite(other)
    one, other = one[finite], other[finite]
    members, codes = np.unique(clusters[finite], return_inverse=True)
    if len(members) < 3:
        return (float("nan"),) * 3
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = random.multinomial(len(members), np.full(len(members), 1 / len(members)), DRAWS)
    again = _spearman(one, other, drawn[:, codes])
    low, high = np.nanquantile(again, [0.025, 0.975]) if np.isfinite(again).any() else (np.nan, np.nan)
    return float(_spearman(one, other)[0]), float(low), float(high)


def _spearman(one: np.ndarray, other: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Return (R,) Spearman's correlations of (N,) values that count `times` (R, N) each; NaN where one is constant."""
    times = np.ones((1, len(one))) if times is None else times.astype(np.float64)
    total = times.sum(axis=1, keepdims=True)
    a, b = (_ranks(values, times) for values in (one, other))
    a, b = (ranks - (times * ranks).sum(axis=1, keepdims=True) / total for ranks in (a, b))
    scale = np.sqrt((times * a * a).sum(axis=1) * (times * b * b).sum(axis=1))
    return np.divide((times * a * b).sum(axis=1), scale, out=np.full(len(scale), np.nan), where=scale > 1e-9)


def _ranks(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the ranks (R, N), up to a constant, of values that count `times` (R, N); tied ones share their mean."""
    order = np.argsort(values, kind="stable")
    first = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    codes = np.unique(values, return_inverse=True)[1]
    counts = np.add.reduceat(times[:, order], first, axis=1)
    return (counts.cumsum(axis=1) - counts / 2)[:, codes]


def picture(geometry: str, distances: np.ndarray) -> tuple[np.ndarray, float]:
    """Return 2-D points (N, 2) whose distances in the same kind of space come near the given ones, and how near.

    How near: Spearman's correlation of drawn and given distances over all pairs. Each space has its own strain-minimising
    projection, from the eigenvectors of a matrix of distances alone: classical scaling of flat space; on the sphere the
    same on cosines, drawn on a disk that keeps areas (Lambert); in hyperbolic space on hyperbolic cosines, drawn in the
    Poincare disk with the true distance from the centre of the points (after Keller-Ressel & Nargang 2020,
    arXiv:1903.08977). A user's own geometry is drawn as flat.
    """
    project = _PROJECTIONS.get(geometry, _flat)
    points, drawn = project(distances)
    pairs = np.triu_indices(len(points), 1)
    return points, _rank_agreement(drawn[pairs], distances[pairs])


def neighbour_map(distances: np.ndarray) -> np.ndarray:
    """Return 2-D points (N, 2), within -1 and 1, whose neighbours are those of the given distances (N, N): t-SNE.

    It starts from classical scaling (for Euclidean distances, PCA) and involves no random numbers; few points keep that
    projection. Distances between far groups mean little. A single thread: several mostly wait for each other on so few points.
    Source: van der Maaten & Hinton 2008; the start after Kobak & Berens 2019, doi:10.1038/s41467-019-13056-x. Library:
    scikit-learn.
    """
    # Before the limit, which holds for libraries that are loaded; here, as it takes a second.
    from sklearn.manifold import TSNE

    if len(distances) < 2:
        return np.zeros((len(distances), 2))
    with threadpool_limits(limits=1):
        points = _flat(distances)[0]
        spread = points[:, 0].std()
        if len(points) >= FEWEST and spread > 0:
            perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
            start = (points / spread * 1e-4).astype(np.float32)
            projection = TSNE(
                perplexity=perplexity, metric="precomputed", init=start, max_iter=STEPS, random_state=0, n_jobs=1
            )
            points = projection.fit_transform(np.array(distances, dtype=np.float64)).astype(np.float64)
    points = points - (points.max(axis=0) + points.min(axis=0)) / 2
    return points / max(np.abs(points).max(), 1e-12)


def _rank_agreement(one: np.ndarray, other: np.ndarray) -> float:
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def _flat(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squared = np.square(distances)
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    points = _largest(-centred / 2, 2)
    return points, _apart(points)


def _sphere(angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = unit(_largest(np.cos(angles), 3))
    # The first axis is where most points are: the middle of the disk.
    disk = points[:, 1:] * np.sqrt(2 / np.maximum(1 + points[:, :1], 1e-9)) / 2
    return disk, np.arccos(np.clip(points @ points.T, -1, 1))


def _hyperbolic(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shrunk = distances * min(1.0, FARTHEST / max(distances.max(), 1e-9))
    cosh = np.cosh(shrunk)
    times = np.abs(_largest(cosh, 1)[:, 0])
    directions = unit(_largest(-cosh, 2))
    # The leading eigenvector holds cosh of the distance from the centre of the points, which the picture keeps.
    disk = directions * np.sqrt(np.maximum(times - 1, 0) / (times + 1))[:, None]
    gaps = np.maximum(1 - np.square(disk).sum(axis=1), 1e-12)
    return disk, 2 * np.arcsinh(_apart(disk) / np.sqrt(gaps[:, None] * gaps))


def _largest(matrix: np.ndarray, count: int) -> np.ndarray:
    """Return the eigenvectors (N, count) of the largest eigenvalues, scaled by their roots, the largest first.

    The sum of each is not negative, and where it is zero to rounding the entry of largest size: eigenvectors come with
    either sign.
    """
    values, vectors = np.linalg.eigh(matrix)
    kept = vectors[:, ::-1][:, :count] * np.sqrt(np.maximum(values[::-1][:count], 0))
    sums = kept.sum(axis=0)
    leading = kept[np.abs(kept).argmax(axis=0), np.arange(count)]
    signs = np.where(np.abs(sums) > 1e-6 * np.abs(kept).sum(axis=0), sums, leading)
    return kept * np.where(signs < 0, -1.0, 1.0)


def _apart(points: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(points[:, None] - points).sum(axis=2))


_PROJECTIONS = {"hypersphere": _sphere, "poincare": _hyperbolic, "lorentz": _hyperbolic}
