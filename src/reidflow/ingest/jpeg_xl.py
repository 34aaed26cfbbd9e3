"""The size of a JPEG XL image from its header: the plugin that reads such files decodes them as soon as they are opened."""

STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_WIDTHS = (9, 13, 18, 30)


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height as stored, None where the header is damaged. Source: ISO/IEC 18181-1, SizeHeader."""
    stream = _codestream(data)
    if not stream.startswith(STARTS[0]) or len(stream) < 12:
        return None
    bits = int.from_bytes(stream[2:12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take(_WIDTHS[take(2)]) + 1

    height, ratio = side(), take(3)
    across, down = _RATIOS.get(ratio, (0, 0))
    return (height * across // down if ratio else side()), height


def _codestream(data: bytes) -> bytes:
    """Return the first bytes of the codestream, which may lie in a box of a container."""
    if not data.startswith(STARTS[1]):
        return data[:12]
    place = 0
    while place + 8 <= len(data):
        length, kind, start = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], place + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            return data[start : start + 12]
        if length < 8:
            break
        place += length
    return b""
