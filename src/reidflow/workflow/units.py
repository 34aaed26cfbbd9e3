"""Times and sizes as people write them."""

UNITS = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """Return a length of time: `40 s`, `12 min`, `3 h 20 min`, `5 days`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(minutes / 1440)} days"
    return f"{hours} h {rest} min" if rest and hours < 10 else f"{round(minutes / 60)} h"


def size(number: float) -> str:
    """Return a number of bytes: `1.2 MB`."""
    for unit in UNITS:
        if number < 1000 or unit == UNITS[-1]:
            return f"{number:.1f} {unit}" if number < 100 and unit != "B" else f"{number:.0f} {unit}"
        number /= 1000
    return ""
