"""Times as people write them, as ISO 8601 text of the precision written, and the span that such a text covers.

The forms are read strictly: a general parser completes and guesses, and keeps no precision.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

from reidflow.spec.reading import Dates

_ORDERS: tuple[Dates, ...] = ("day_first", "month_first")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december")  # fmt: skip
_NAMED = {name: number % 12 + 1 for number, name in enumerate((*_MONTHS, *_FULL))} | {"sept": 9}
_DAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_NAME = r"(?P<name>[a-z]{3,9})\.?"
_CLOCK = (
    r"(?:[t_\s]\s*|,\s*)(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?(?:\s*(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?))?"
)
_FORMS = [
    r"(?P<year>[12]\d{3})(?:\.0+)?",
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})",
    r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    rf"{_NAME}[\s,-]\s*(?P<year>\d{{4}})",
    rf"(?P<year>\d{{4}})(?P<mark>[-/.:])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?:{_CLOCK})?",
    rf"{_DAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s.-]*{_NAME}[\s,-]*(?P<year>\d{{4}}|\d\d)(?:{_CLOCK})?",
    rf"{_DAY}{_NAME}\s*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})(?:{_CLOCK})?",
    rf"{_DAY}{_NAME}\s+(?P<day>\d{{1,2}}){_CLOCK}\s+(?P<year>\d{{4}})",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:[t_\s-]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?P<zone>z|[+-]\d\d(?::?\d\d)?)?)?",
]  # fmt: skip
_YEAR_FIRST = [re.compile(form, re.IGNORECASE) for form in _FORMS]
_YEAR_LAST = re.compile(
    rf"(?P<first>\d{{1,2}})(?P<mark>[-/.])(?P<next>\d{{1,2}})(?P=mark)(?P<year>\d{{4}}|\d\d)(?:{_CLOCK})?",
    re.IGNORECASE,
)
# As file names hold it: 2015-06-03__14-05-00.
_CLOCK_MARKS = re.compile(r"(?<=\d)[\s_]+(\d{1,2})([-._])(\d\d)\2(\d\d)(?!\d)")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_NO_TIME = re.compile(
    r"[\s0:./?_-]*|nan|nat|n/?a|<na>|none|null|unknown|undefined|#n/a|0001[-/.:]\d.*|\d\d?[-/.]\d\d?[-/.]0001\b.*|00010101.*",
    re.IGNORECASE,
)
_ISO = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?)?([+-]\d\d:\d\d)?)?)?)?")
_SPANS = {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}
_EPOCH = datetime(1899, 12, 30)
_SERIALS = 2_958_466.0


class Moment(NamedTuple):
    """The span of time [start, end) that an ISO 8601 text covers, in UTC, without a time zone."""

    start: datetime
    end: datetime


def moment(text: str) -> Moment:
    """Return the span that a time of the manifest covers: of `2015` the year, of `2015-06-03T12:00` one minute.

    An offset is subtracted. A time without one counts as if it were UTC: clocks of cameras know no zone, and times of
    one data set are compared with each other. Raises ValueError for text that `iso` does not return.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no time of a manifest")
    *parts, zone = match.groups()
    given = [int(part) for part in parts if part is not None]
    start = datetime(*[*given, 1, 1][: max(3, len(given))])  # type: ignore[arg-type]
    if len(given) < 3:
        year, month = (start.year + 1, 1) if len(given) == 1 or start.month == 12 else (start.year, start.month + 1)
        end = datetime.max if year > 9999 else datetime(year, month, 1)
    else:
        start -= _offset(zone)
        span = _SPANS.get(len(given), timedelta(microseconds=1))
        end = start + min(span, datetime.max - start)
    return Moment(start, end)


def has_zone(text: str) -> bool:
    """Return whether a time of the manifest has an offset from UTC."""
    return re.search(r"T.*[+-]", text) is not None


def is_blank(text: str) -> bool:
    """Return whether a value of a column of times stands for none: blank, zeros, the year 0001, `NaT`, `unknown`."""
    return _NO_TIME.fullmatch(text.strip()) is not None


def iso(text: str, dates: Dates = "iso") -> str | None:
    """Return a time as ISO 8601 text of the precision written (`2015`, `2015-06`, ... , fractions); None if unreadable.

    Read are ISO 8601, the same with other marks, EXIF's `2015:06:03 12:00:00`, months by English names, `20150603_1200`
    and `12:00:00 PM`; offsets from UTC are kept. dates: what numbers mean that say nothing by themselves: `day_first` and
    `month_first` for `06/03/2015`, `unix` for seconds (or their thousandths, millionths or billionths) since 1970 in UTC,
    `excel` for days since 1900. A time in the year 0001 is none: programs write it for a blank.
    """
    if is_blank(text):
        return None
    if len(text) == 19 and text[4] == text[7] == "-" and text[10] == "T" and text[13] == text[16] == ":":
        # The usual form, read faster.
        try:
            return datetime.fromisoformat(text).isoformat()
        except ValueError:
            return None
    found = _read(text, dates)
    try:
        # Near year 9999 a time with an offset may be none in UTC.
        return found if found is None or not found.startswith("9999") or moment(found) else None
    except OverflowError:
        return None


def _read(text: str, dates: Dates) -> str | None:
    text = _CLOCK_MARKS.sub(r" \1:\3:\4", " ".join(text.split()))
    if dates in ("unix", "excel") and _NUMBER.fullmatch(text) and not re.fullmatch(r"[12]\d{7}", text):
        return _counted(float(text.replace(",", ".")), dates)
    for form in _YEAR_FIRST:
        match = form.fullmatch(text)
        found = match and _written(match.groupdict())
        if found:
            return found
    match = _YEAR_LAST.fullmatch(text)
    if match and dates in ("day_first", "month_first"):
        first, following = ("day", "month") if dates == "day_first" else ("month", "day")
        return _written({**match.groupdict(), first: match["first"], following: match["next"]})
    try:
        # ISO 8601's weeks.
        return date.fromisoformat(text).isoformat() if re.match(r"\d{4}-?W", text) else None
    except ValueError:
        return None


def order_of(texts: Sequence[str]) -> Dates:
    """Return the one order of day and month in which most texts, and more than in the other, can be read; `iso` where none is."""
    unread = [text for text in texts if not is_blank(text) and iso(text) is None]
    read = {dates: sum(iso(text, dates) is not None for text in unread) for dates in _ORDERS}
    best, other = sorted(_ORDERS, key=lambda dates: -read[dates])
    return best if read[best] > read[other] and 2 * read[best] > len(unread) else "iso"


def readable(texts: Sequence[str]) -> bool:
    """Return whether most texts that are not blank are times, the order of day and month left open."""
    given = [text for text in texts if not is_blank(text)]
    return any(2 * sum(iso(text, dates) is not None for text in given) > len(given) for dates in _ORDERS)


def remedy(unread: Sequence[str]) -> str:
    """Return what to do about times that are not read: the line to write where one makes sense of most of them."""
    readings: dict[Dates, int] = {
        dates: sum(iso(text, dates) is not None for text in unread)
        for dates in ("day_first", "month_first", "unix", "excel")
    }
    likely = [dates for dates, count in readings.items() if count and count == max(readings.values())]
    if likely == ["day_first", "month_first"]:
        return "Say which number comes first, under dataset: `dates: day_first` or `dates: month_first`."
    if "unix" in likely:
        unit = "excel" if all(len(text.strip().split(".")[0]) < 7 for text in unread) else "unix"
        return f"If they are {_UNITS[unit]}, write under dataset: `dates: {unit}`."
    if likely and 2 * readings[likely[0]] > len(unread):
        return f"Write under dataset: `dates: {likely[0]}`."
    return "Write e.g. 2015, 2015-06-03, 2015-06-03 12:00 or 2015-06-03T12:00:00+02:00."


_UNITS = {"unix": "seconds since 1970", "excel": "Excel's days since 1900"}


def _written(parts: dict[str, str | None]) -> str | None:
    """Return the parts of a time as ISO 8601 text, down to the last one given; None for a time that is none."""
    if parts.get("name"):
        month = _NAMED.get(str(parts["name"]).lower())
        if month is None:
            return None
        parts = {**parts, "month": str(month)}
    names = ("year", "month", "day", "hour", "minute", "second")
    given = [int(value) for name in names if (value := parts.get(name)) is not None]
    if len(str(parts["year"])) == 2:
        # The rule of POSIX for years of two digits.
        given[0] += 2000 if given[0] < 69 else 1900
    if parts.get("half"):
        if not 1 <= given[3] <= 12:
            return None
        given[3] = given[3] % 12 + (12 if str(parts["half"]).lower() == "p" else 0)
    micro = int(str(parts.get("fraction") or "0")[:6].ljust(6, "0"))
    try:
        when = datetime(*[*given, 1, 1][: max(3, len(given))], microsecond=micro)  # type: ignore[arg-type]
        zone = _zone(parts.get("zone"))
    except ValueError:
        return None
    if len(given) < 3:
        return when.isoformat()[: (4, 7)[len(given) - 1]]
    units = {3: "", 4: "hours", 5: "minutes", 6: "microseconds" if micro else "seconds"}
    return when.isoformat(timespec=units[len(given)]) + zone if len(given) > 3 else when.date().isoformat()


def _zone(text: str | None) -> str:
    """Return an offset from UTC as ISO 8601 writes it, or ''. Raises ValueError for one of a day or more."""
    if not text:
        return ""
    if text.lower() in ("z", "utc", "gmt"):
        return "+00:00"
    digits = text[1:].replace(":", "").ljust(4, "0")
    written = f"{text[0]}{digits[:2]}:{digits[2:]}"
    timezone(_offset(written))
    return written


def _offset(zone: str | None) -> timedelta:
    if not zone:
        return timedelta()
    return (-1 if zone[0] == "-" else 1) * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))


def _counted(number: float, dates: Dates) -> str | None:
    """Return a time that is counted from an epoch."""
    try:
        if dates == "unix":
            scale = next((scale for scale in (1e9, 1e6, 1e3) if abs(number) >= 1e8 * scale), 1)
            return datetime.fromtimestamp(number / scale, UTC).isoformat()
        # The first serials are left out: Excel counts a 29 February 1900.
        when = _EPOCH + timedelta(seconds=round(number * 86400)) if 61 <= number < _SERIALS else None
    except (OverflowError, ValueError, OSError):
        return None
    if when is None:
        return None
    return when.date().isoformat() if number == int(number) else when.isoformat()
