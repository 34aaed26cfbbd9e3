"""Files for the corpus of bad data: one picture of which every image is a version, and ways to corrupt it."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

LEFT, RIGHT = (200, 60, 40), (40, 80, 190)
"""The picture: 40 x 30 pixels, its left half of one colour, its right half of another."""


def picture(width: int = 40, height: int = 30) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = LEFT, RIGHT
    return Image.fromarray(pixels)


def saved(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def noise(side: int = 60) -> np.ndarray:
    """Return what does not compress, so that half of the file is half of the pixels."""
    return np.random.Generator(np.random.PCG64(0)).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(width: int, height: int, samples: bytes, colour_type: int = 2, depth: int = 8) -> bytes:
    """Return a PNG with a header as given; samples: the scanlines, each after a zero byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(samples)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png16() -> bytes:
    """Return the picture as a PNG of 16 bits a channel."""
    pixels = np.asarray(picture()).astype(">u2") * 257
    return png(40, 30, b"".join(b"\0" + line.tobytes() for line in pixels), depth=16)


def jpeg_of_no_pixels() -> bytes:
    data = bytearray(saved(picture(), "JPEG"))
    frame = data.find(b"\xff\xc0")
    data[frame + 5 : frame + 9] = bytes(4)
    return bytes(data)


def gif_larger_than_it_says() -> bytes:
    """Return a GIF that claims one pixel and holds a frame of 5,000 x 5,000."""
    data = bytearray(saved(Image.new("L", (4, 4)), "GIF"))
    frame = data.find(b"\x2c")
    data[6:10] = struct.pack("<HH", 1, 1)
    data[frame + 5 : frame + 9] = struct.pack("<HH", 5000, 5000)
    return bytes(data)


def tiff(tags: dict[int, int]) -> bytes:
    """Return a TIFF of nothing but a header with the given tags."""
    lines = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + lines + bytes(68)


def tiff_of_huge_tiles() -> bytes:
    """Return a TIFF of 8 x 8 pixels whose only tile measures 2^24 x 2^24."""
    side = 2**24
    return tiff({256: 8, 257: 8, 258: 8, 259: 5, 262: 1, 277: 1, 322: side, 323: side, 324: 150, 325: 20})


def camera_raw() -> bytes:
    """Return a TIFF whose first image is marked as the thumbnail of another."""
    return saved(picture(), "TIFF", tiffinfo={254: 1})


def floats(strange: float, count: int) -> bytes:
    """Return a TIFF of floats, `count` of whose 1,200 pixels are `strange`."""
    values = np.linspace(0, 1, 1200, dtype=np.float32)
    values[:count] = strange
    return saved(values.reshape(30, 40), "TIFF")


def damaged_png() -> bytes:
    """Return a PNG one byte of whose pixels was flipped."""
    data = bytearray(saved(noise()))
    data[len(data) // 2] ^= 0xFF
    return bytes(data)


def with_alpha(alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([np.asarray(picture()), alpha.astype(np.uint8)]))


def box_mask(width: int = 40, height: int = 30) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 255
    return mask


def transparent_palette() -> bytes:
    image = picture().quantize(4)
    return saved(image, "PNG", transparency=image.getpixel((0, 0)))


def on_its_side() -> bytes:
    """Return the picture stored lying down, with the EXIF entry that a camera adds to turn it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def animated(kind: str) -> bytes:
    others = [Image.new("RGB", (40, 30), colour) for colour in ("lime", "white")]
    options = {"lossless": True} if kind == "WEBP" else {}
    return saved(picture(), kind, save_all=True, append_images=others, **options)
