"""Copies that were edited: proposed by the low frequencies of their parts, aligned, and compared window by window.

An edited copy shows a part of the original, possibly mirrored or turned, in other tones, under a caption or a logo. So
one image is described as a whole, the other by the low frequencies (as pHash takes them) of 49 parts in 8 symmetries;
the best of these 392 proposes how the two lie on each other. Gauss-Newton steps (Lucas and Kanade 1981) refine that,
robustly, and the similarity is the structure that all windows but the least similar quarter have in common. A burst or
a second animal before the same background differs in more than a quarter of its structure; a caption or a logo in less.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import uniform_filter

from reidflow.dedup.hashes import image_hashes
from reidflow.ingest.framing import inside

SIDE = 64  # pixels of the grey images that are compared
SMALL = 16  # pixels of a part of which the frequencies are taken
LOW = 8  # lowest frequencies along each axis, without the mean
CLIPPED = 0.25  # largest share of one frequency in a unit descriptor
WHOLE = 127  # descriptors are whole numbers up to this, so that their products are exact in float32, whatever the order
LEAST_ALIKE = 0.5  # cosine of descriptors below which no pair is proposed
SPANS = ((0.0, 1.0), (0.0, 0.87), (0.13, 1.0), (0.07, 0.93), (0.0, 0.75), (0.125, 0.875), (0.25, 1.0))
PARTS = np.array([(top, left, bottom, right) for top, bottom in SPANS for left, right in SPANS])
SYMMETRIES = 8  # bits: 4 transposes, 2 turns upside down, 1 mirrors

LEVELS = ((32, 8), (64, 5))  # side in pixels, Gauss-Newton steps
LONGEST_STEP = 0.05  # of the side
LARGEST_SCALE = 2.0
CHUNK = 256  # pairs aligned at once

WINDOW = 7  # pixels
DIFFERENT = 0.25  # share of the structure that may differ: a caption, a logo
LEAST_SHARED = 0.25  # share of the windows that both images must show
FAINT = 4.0  # variance, of a contrast of 64 between the 10th and the 90th percentile, that is no structure
STRONGEST = 30.0  # standard deviation beyond which a window weighs no more
STEP = 2.0**-20  # similarities are rounded to it


def copies(
    images: np.ndarray, rows: np.ndarray, loosest: float, candidates: int = 10, workers: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (P, 2) int64 into `rows`, i < j, sorted, whose distance, 1 - similarity, is at most `loosest`.

    images: image store (N, S, S, 3) uint8, maybe memory-mapped; rows: (R,) int; candidates: others that each image
    proposes. Also returns the distances, (P,) float64. workers: threads; they change only the time.
    """
    content = contents(images, rows)
    proposed, where = proposals(content, candidates)
    apart = 1 - similarities(content, proposed, where, workers)
    near = apart <= loosest
    return np.sort(proposed[near, :2], axis=1), apart[near]


def hashed_copies(images: np.ndarray, rows: np.ndarray, loosest: float, workers: int = 1) -> np.ndarray:
    """Return the pairs of `copies` with the Hamming distance of their 64-bit pHashes, (P, 3) int64."""
    pairs, _ = copies(images, rows, loosest, workers=workers)
    some, place = np.unique(pairs, return_inverse=True)
    bits = np.unpackbits(image_hashes(images, rows[some], "phash"), axis=1)[place.reshape(-1, 2)]
    return np.column_stack([pairs, (bits[:, 0] != bits[:, 1]).sum(axis=1)])


def contents(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the images in grey without their padding, stretched to squares of SIDE, (R, SIDE, SIDE) uint8.

    images: image store (N, S, S, 3) uint8, maybe memory-mapped; rows: (R,) int.
    """
    made = np.empty((len(rows), SIDE, SIDE), np.uint8)
    for position, row in enumerate(rows):
        image = images[row]
        shown = inside(image)
        down, across = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        part = Image.fromarray(image[down[0] : down[-1] + 1, across[0] : across[-1] + 1]).convert("L")
        made[position] = part.resize((SIDE, SIDE), Image.Resampling.BOX)
    return made


def turned(image: np.ndarray, symmetry: int) -> np.ndarray:
    """Return (..., H, W) in one of the 8 symmetries of the square."""
    if symmetry & 4:
        image = image.swapaxes(-1, -2)
    if symmetry & 2:
        image = image[..., ::-1, :]
    return image[..., ::-1] if symmetry & 1 else image


def frequencies(content: np.ndarray, parts: np.ndarray = PARTS) -> np.ndarray:
    """Return the low frequencies of parts (Q, 4) of a (SIDE, SIDE) image, (Q, LOW, LOW) float64; the first part is the whole.

    They are weighted by their frequency, since natural images have amplitudes of about its inverse.
    Library: scipy.fft.dctn.
    """
    image = Image.fromarray(content)
    boxes = [(left * SIDE, top * SIDE, right * SIDE, bottom * SIDE) for top, left, bottom, right in parts]
    small = np.stack([np.asarray(image.resize((SMALL, SMALL), Image.Resampling.BILINEAR, box)) for box in boxes])
    along = np.arange(LOW)
    return dctn(small.astype(np.float64), axes=(1, 2), norm="ortho")[:, :LOW, :LOW] * np.hypot(along[:, None], along)


def descriptors(blocks: np.ndarray) -> np.ndarray:
    """Return frequencies (..., LOW, LOW) as vectors of about the length WHOLE, (..., LOW * LOW) of whole float32."""
    flat = blocks.reshape(*blocks.shape[:-2], -1)
    for limit in (np.inf, CLIPPED):
        flat = np.clip(flat, -limit, limit)
        flat = flat / np.maximum(np.sqrt((flat * flat).sum(axis=-1, keepdims=True)), 1e-9)
    return np.rint(WHOLE * flat).astype(np.float32)


def symmetric(blocks: np.ndarray) -> np.ndarray:
    """Return the frequencies (..., LOW, LOW) of the image in each of its symmetries, (8, ..., LOW, LOW)."""
    odd = np.where(np.arange(LOW) % 2, -1, 1)
    made = []
    for symmetry in range(SYMMETRIES):
        block = blocks.swapaxes(-1, -2) if symmetry & 4 else blocks
        block = block * odd[:, None] if symmetry & 2 else block
        made.append(block * odd if symmetry & 1 else block)
    return np.stack(made)


def proposals(content: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs that may be copies, and how the one lies in the other: (P, 3) int64 and (P, 4) float64.

    content: (R, SIDE, SIDE) uint8. Each image proposes the `count` others that resemble one of its parts most, ties by
    row. A pair: the row that is turned, the row that is a part of it, the symmetry; where: the centre and size of that
    part along the turned image's rows, then along its columns, as shares of the side. Of a pair that either proposes,
    the better. Time grows with the square of R, memory with R.
    """
    wholes = (
        np.stack([descriptors(frequencies(one, PARTS[:1])[0]) for one in content])
        if len(content)
        else np.empty((0, LOW**2))
    )
    best: dict[tuple[int, int], tuple[float, int, int, int]] = {}
    for row, one in enumerate(content):
        versions = descriptors(symmetric(frequencies(one))).reshape(SYMMETRIES * len(PARTS), -1)
        alike = versions @ wholes.T
        alike[:, row] = -np.inf
        most = alike.max(axis=0)
        near = np.flatnonzero(most >= LEAST_ALIKE * WHOLE**2)
        for other in near[np.lexsort((near, -most[near]))[:count]].tolist():
            pair = (min(row, other), max(row, other))
            found = (float(most[other]), row, other, int(alike[:, other].argmax()))
            if pair not in best or found[0] > best[pair][0]:
                best[pair] = found
    pairs = np.array([best[pair][1:] for pair in sorted(best)], np.int64).reshape(-1, 3)
    symmetry, part = np.divmod(pairs[:, 2], len(PARTS))
    where = np.array([_placed(*version) for version in zip(symmetry, part, strict=True)]).reshape(-1, 4)
    return np.column_stack([pairs[:, :2], symmetry]), where


def _placed(symmetry: int, part: int) -> tuple[float, float, float, float]:
    """Return centre and size along rows and columns of a part of an image in a symmetry."""
    top, left, bottom, right = PARTS[part]
    if symmetry & 4:
        top, left, bottom, right = left, top, right, bottom
    if symmetry & 2:
        top, bottom = 1 - bottom, 1 - top
    if symmetry & 1:
        left, right = 1 - right, 1 - left
    return (top + bottom) / 2, bottom - top, (left + right) / 2, right - left


def similarities(content: np.ndarray, pairs: np.ndarray, where: np.ndarray, workers: int = 1) -> np.ndarray:
    """Return how much structure the aligned images of each proposal share, (P,) float64 up to 1, in steps of 2^-20.

    content: (R, SIDE, SIDE) uint8; pairs, where: of `proposals`. workers: threads; they change only the time.
    """

    def task(start: int) -> np.ndarray:
        some = slice(start, start + CHUNK)
        first = np.stack([turned(_levelled(content[i]), symmetry) for i, _, symmetry in pairs[some].tolist()])
        second = np.stack([_levelled(content[j]) for j in pairs[some, 1].tolist()])
        return _shared_structure(first, second, align(first, second, where[some]))

    with ThreadPoolExecutor(workers) as pool:
        values = list(pool.map(task, range(0, len(pairs), CHUNK)))
    return np.rint(np.concatenate([np.empty(0), *values]) / STEP) * STEP


def _levelled(content: np.ndarray) -> np.ndarray:
    """Return a grey image with a median of 0 and 64 between the 10th and the 90th percentile, float32."""
    low, middle, high = np.quantile(content, [0.1, 0.5, 0.9])
    return ((content - middle) * (64 / max(high - low, 6))).astype(np.float32)


def align(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return where the second images lie in the first, (P, 4) as in `proposals`, refined from `where`.

    first, second: (P, SIDE, SIDE) float32. Gauss-Newton on squared differences, brightness and contrast aside, from
    coarse to fine; pixels that differ much (a logo) lose their weight.
    """
    where = where.copy()
    for side, steps in LEVELS:
        one, two = (_reduced(images, side) for images in (first, second))
        weight = np.ones_like(one)
        for _ in range(steps):
            seen, valid = _seen(one, where)
            gain, offset = _fit(seen, two, weight * valid)
            rest = two - gain * seen - offset
            spread = [
                np.median(abs(part[shown])) if shown.any() else 1.0 for part, shown in zip(rest, valid, strict=True)
            ]
            scale = np.maximum(3 * np.array(spread, np.float32), 3)[:, None, None]
            weight = 1 / (1 + (rest / scale) ** 2) ** 2
            where += _step(seen, gain, rest, weight * valid, where)
            where[:, ::2] = np.clip(where[:, ::2], 0, 1)
            where[:, 1::2] = np.clip(where[:, 1::2], 1 / LARGEST_SCALE, LARGEST_SCALE)
    return where


def _reduced(images: np.ndarray, side: int) -> np.ndarray:
    factor = SIDE // side
    return images.reshape(len(images), side, factor, side, factor).mean(axis=(2, 4))


def _seen(images: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part `where` of each image at the image's size, bilinear, and which of its pixels lie inside."""
    side = images.shape[1]
    along = (np.arange(side) + 0.5) / side - 0.5
    valid = []
    for axis in (0, 1):
        at = where[:, 2 * axis, None] + where[:, 2 * axis + 1, None] * along
        pixel = np.clip(at * side - 0.5, 0, side - 1)
        low = np.minimum(pixel.astype(np.int64), side - 2)
        shape = (len(images), side, 1) if axis == 0 else (len(images), 1, side)
        low, part = low.reshape(shape), (pixel - low).astype(np.float32).reshape(shape)
        below, above = (np.take_along_axis(images, low + offset, axis + 1) for offset in (0, 1))
        images = below + (above - below) * part
        valid.append(((at >= 0) & (at <= 1)).reshape(shape))
    return images, valid[0] & valid[1]


def _fit(seen: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gain and the offset, (P, 1, 1) float32, that make `seen` most like `target`."""
    total = weight.sum(axis=(1, 2), keepdims=True) + 1e-6
    means = [(image * weight).sum(axis=(1, 2), keepdims=True) / total for image in (seen, target)]
    one, two = seen - means[0], target - means[1]
    spread = (one * one * weight).sum(axis=(1, 2), keepdims=True)
    gain = (one * two * weight).sum(axis=(1, 2), keepdims=True) / np.maximum(spread, 1e-3)
    return gain, means[1] - gain * means[0]


def _step(seen: np.ndarray, gain: np.ndarray, rest: np.ndarray, weight: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the change of `where`, (P, 4). Sums go without BLAS, which would split them by the number of threads."""
    count, side = seen.shape[:2]
    along = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    down, across = np.gradient(seen, axis=(1, 2))
    down, across = (
        slope * (gain * (side / where[:, size, None, None])).astype(np.float32)
        for slope, size in ((down, 1), (across, 3))
    )
    basis = np.stack([down, down * along[:, None], across, across * along, seen, np.ones_like(seen)], axis=1)
    basis = basis.reshape(count, 6, -1)
    weighted = basis * weight.reshape(count, 1, -1)
    normal = np.einsum("pkn,pln->pkl", weighted, basis).astype(np.float64)
    right = np.einsum("pkn,pn->pk", weighted, rest.reshape(count, -1)).astype(np.float64)
    size = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    change = np.linalg.solve(normal + (1e-7 * size + 1e-3) * np.eye(6), right[:, :, None])
    return np.clip(change[:, :4, 0], -LONGEST_STEP, LONGEST_STEP)


def _shared_structure(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the similarity that windows with all but DIFFERENT of the structure reach, (P,) float64; 0 without any.

    A window's similarity is the contrast and structure of SSIM (Wang et al. 2004), after a gain of its own, at most
    twice or half that of the images; it weighs as much as the stronger of its two standard deviations.
    """
    seen, valid = _seen(first, where)
    gain, _ = _fit(seen, second, valid.astype(np.float32))
    gain = np.maximum(gain, 0.05).astype(np.float64)
    mean_one, mean_two, squares_one, squares_two, products, shown = (
        uniform_filter(values.astype(np.float64), (0, WINDOW, WINDOW))
        for values in (seen, second, seen * seen, second * second, seen * second, valid)
    )
    one, two = np.maximum(squares_one - mean_one**2, 0), np.maximum(squares_two - mean_two**2, 0)
    own = np.clip(np.sqrt(two / np.maximum(one, 1e-6)), gain / 2, gain * 2)
    alike = (2 * own * (products - mean_one * mean_two) + FAINT) / (own**2 * one + two + FAINT)
    weight = np.minimum(np.sqrt(np.maximum(gain**2 * one, two)), STRONGEST) + 0.5
    weight = np.where(shown > 0.99, weight, 0).reshape(len(seen), -1)
    alike = alike.reshape(len(seen), -1)
    order = np.argsort(alike, axis=1, kind="stable")
    summed = np.cumsum(np.take_along_axis(weight, order, 1), axis=1)
    place = (summed >= DIFFERENT * summed[:, -1:]).argmax(axis=1)
    value = np.take_along_axis(alike, np.take_along_axis(order, place[:, None], 1), 1)[:, 0]
    return np.where((weight > 0).mean(axis=1) >= LEAST_SHARED, value, 0.0)
