"""Copies of a photograph: the same bytes, the same pixels, or nearly so."""

import io

import numpy as np
from PIL import Image

from reidflow.ingest.demo.scene import resized

FILED_AGAIN = ("same_bytes", "recompressed", "same_pixels")


def encoded(pixels: np.ndarray, level: int = 1) -> bytes:
    """Return RGBA `pixels` (height, width, 4) uint8 as the bytes of a PNG file; a higher `level` is smaller."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def altered(pixels: np.ndarray, original: bytes, alteration: str, random: np.random.Generator) -> bytes:
    """Return the PNG bytes of a copy of `pixels`, whose own file holds the bytes `original`."""
    height, width = pixels.shape[:2]
    match alteration:
        case "same_bytes":
            return original
        case "same_pixels":
            return encoded(pixels, 6)
        case "recompressed":
            return encoded(_recompressed(pixels, int(random.integers(45, 80))))
        case "resized":
            share = random.uniform(0.6, 0.85)
            return encoded(resized(pixels, round(width * share), round(height * share)))
        case "cropped":
            top, bottom = (round(height * random.uniform(0.02, 0.07)) for _ in range(2))
            left, right = (round(width * random.uniform(0.02, 0.07)) for _ in range(2))
            return encoded(pixels[top : height - bottom, left : width - right].copy())
        case "brightness":
            gain = random.choice((random.uniform(0.72, 0.88), random.uniform(1.12, 1.3)))
            bright = np.clip(pixels[..., :3] * gain + 0.5, 0, 255).astype(np.uint8)
            return encoded(np.dstack([bright, pixels[..., 3]]))
    raise ValueError(f"unknown alteration '{alteration}'")


def _recompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., :3].copy()).save(buffer, "JPEG", quality=quality)
    return np.dstack([np.asarray(Image.open(buffer)), pixels[..., 3]])
