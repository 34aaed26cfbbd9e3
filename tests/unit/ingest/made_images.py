"""Images made for the tests, byte by byte where the writer under test's own library would not do."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def picture(width: int = 40, height: int = 30, seed: int = 0) -> np.ndarray:
    """Return a smooth colour picture, uint8 (height, width, 3), unlike its own mirror images."""
    random = np.random.Generator(np.random.PCG64(seed))
    coarse = random.integers(20, 236, (4, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def blob(width: int = 40, height: int = 30) -> np.ndarray:
    """Return an animal's mask, uint8 (height, width) of 0 and 255: an upright box left of the middle."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 5 : height * 4 // 5, width // 8 : width // 2] = 255
    return mask


def rgba(seed: int = 0, width: int = 40, height: int = 30) -> np.ndarray:
    """Return a picture with the mask of `blob` as alpha; its colours go on under alpha 0."""
    return np.dstack([picture(width, height, seed), blob(width, height)])


def encoded(array: np.ndarray, kind: str = "PNG", mode: str | None = None, **options) -> bytes:
    """Return the bytes of an image file."""
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def png(samples: np.ndarray, colour_type: int, depth: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG written by hand; samples (height, width) or (height, width, channels)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = samples.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2" if depth == 16 else "u1").tobytes() for line in samples)
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    extra = b"".join(chunk(*c) for c in chunks)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )
