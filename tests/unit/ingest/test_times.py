"""Times are read in the forms that people write, keep their precision, and compare."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from reidflow.ingest.listing import Listing, Reading, Row, reread, settle
from reidflow.ingest.rawdigest import walk
from reidflow.ingest.sources import table
from reidflow.ingest.times import Moment, is_blank, iso, moment, remedy

WRITTEN = {
    "2015": "2015", "2015.0": "2015", "2015-06": "2015-06", "2015/6": "2015-06", "06/2015": "2015-06",
    "June 2015": "2015-06", "2015-06-03": "2015-06-03", "2015/6/3": "2015-06-03", "20150603": "2015-06-03",
    "3 June 2015": "2015-06-03", "03-Jun-15": "2015-06-03", "Sept. 3, 2015": "2015-09-03", "June 3rd, 2015": "2015-06-03",
    "2015-06-03 12:00": "2015-06-03T12:00", "2015-06-03T12": "2015-06-03T12",
    "2015-06-03 12:00:00": "2015-06-03T12:00:00", "2015:06:03 12:00:00": "2015-06-03T12:00:00",
    "2015-06-03 12:00:00 PM": "2015-06-03T12:00:00", "2015-06-03 12:05 am": "2015-06-03T00:05",
    "2015-06-03 1 p.m.": "2015-06-03T13", "2015-06-03T12:00:00Z": "2015-06-03T12:00:00+00:00",
    "2015-06-03 12:00:00+0200": "2015-06-03T12:00:00+02:00", "2015-06-03 12:00:00 UTC": "2015-06-03T12:00:00+00:00",
    "2015-06-03 12:00:00.25": "2015-06-03T12:00:00.250000", "2015-06-03 12:00:00.000000000": "2015-06-03T12:00:00",
    "20150603_120000": "2015-06-03T12:00:00", "20150603120000": "2015-06-03T12:00:00",
    "Wed, 3 Jun 2015 12:00:00 +0200": "2015-06-03T12:00:00+02:00", "Wed Jun  3 12:00:00 2015": "2015-06-03T12:00:00",
    "2015-06-03T12:00+02": "2015-06-03T12:00+02:00", "2015-W23-3": "2015-06-03", "2015-06-03__14-05-00": "2015-06-03T14:05:00", "2015-06-03 14.05.00": "2015-06-03T14:05:00",
}  # fmt: skip
UNREAD = ["06/03/2015", "2015-13-01", "2015-02-30", "12:00", "soon", "1433332800", "42158", "2015-06-03 25:00",
          "2015-06-03 13:00 PM", "2015-06-03 12:00 CET", "2015-06-03 12:00+99:00", "3 Foo 2015"]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_a_time_is_read_with_the_precision_in_which_it_is_written(text: str) -> None:
    assert iso(text) == WRITTEN[text]
    assert iso(WRITTEN[text]) == WRITTEN[text]
    assert moment(WRITTEN[text]).start < moment(WRITTEN[text]).end


@pytest.mark.parametrize("text", UNREAD)
def test_a_time_that_is_none_or_in_doubt_is_not_guessed(text: str) -> None:
    assert iso(text) is None


def test_the_order_of_day_and_month_is_the_stated_one() -> None:
    assert iso("06/03/2015", "day_first") == "2015-03-06"
    assert iso("6.3.15 7:05 pm", "month_first") == "2015-06-03T19:05"
    assert iso("13/06/2015", "month_first") is None
    assert iso("2015-06-03", "day_first") == "2015-06-03"


def test_counted_times_are_read_where_their_unit_is_stated() -> None:
    for number in ("1433332800", "1433332800000", "1433332800.0", "1433332800000000"):
        assert iso(number, "unix") == "2015-06-03T12:00:00+00:00"
    assert iso("42158", "excel") == "2015-06-03"
    assert iso("42158.5", "excel") == "2015-06-03T12:00:00"
    assert iso("20150603", "unix") == iso("2015-06-03", "excel") == "2015-06-03"


def test_a_moment_is_the_span_that_the_precision_leaves_and_subtracts_the_offset() -> None:
    assert moment("2015") == Moment(datetime(2015, 1, 1), datetime(2016, 1, 1))
    assert moment("2015-12") == Moment(datetime(2015, 12, 1), datetime(2016, 1, 1))
    assert moment("2015-06-03") == Moment(datetime(2015, 6, 3), datetime(2015, 6, 4))
    assert moment("2015-06-03T12:00") == Moment(datetime(2015, 6, 3, 12), datetime(2015, 6, 3, 12, 1))
    assert moment("2015-06-03T12:00:00+02:00") == moment("2015-06-03T10:00:00") == moment("2015-06-03T10:00:00+00:00")
    assert moment("9999").end == datetime.max
    assert moment(iso("9999-12-31T23:59:59")).end == datetime.max
    assert iso("9999-12-31T23:59:59-05:00") is iso("9999-12-31T23-05:00") is None
    with pytest.raises(ValueError, match="no time"):
        moment("06/03/2015")


def test_values_that_stand_for_no_time_are_blank_and_times_are_not() -> None:
    assert all(map(is_blank, ["", " ", "NaT", "nan", "N/A", "0000:00:00 00:00:00", "    :  :     :  :  ", "-", "?"]))
    null_dates = ["0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00+05:00", "1/1/0001 12:00:00 AM"]
    assert all(is_blank(text) and iso(text) is iso(text, "month_first") is None for text in null_dates)
    assert not any(map(is_blank, ["2000", "1001-01-01", "11:00:01", "soon"]))


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        (["06/03/2015", "07/03/2015"], ["day_first", "month_first"]),
        (["06/03/2015", "27/03/2015"], ["day_first"]),
        (["06/03/2015", "06/27/2015"], ["month_first"]),
        (["1433332800"], ["unix"]),
        (["42158", "42159.25"], ["excel"]),
        (["soon"], []),
    ],
)
def test_the_remedy_names_the_lines_that_read_these_times(texts: list[str], lines: list[str]) -> None:
    named = [line for line in ("day_first", "month_first", "unix", "excel") if f"`dates: {line}`" in remedy(texts)]
    assert named == lines
    assert all(iso(text, line) is not None for line in named for text in texts)  # type: ignore[arg-type]
    assert named or all(
        iso(text.strip(" ."), "iso") for text in remedy(texts).split("e.g. ")[1].replace(" or ", ", ").split(", ")
    )


def listed(folder: Path, *times: str | None) -> Listing:
    for number in range(len(times)):
        (folder / f"{number}.png").write_bytes(b"")
    rows = [Row(f"{number}.png", "leo", time=time, row=number + 1) for number, time in enumerate(times)]
    return settle(walk(folder), rows)


def test_a_time_that_cannot_be_read_is_none_and_counted_with_an_example_and_the_line_that_reads_it(tmp_path):
    listing = listed(tmp_path, "27/03/2015", "28/03/2015 12:00", "2015", "", "NaT", None)
    assert [row.time for row in listing.rows] == [None, None, "2015", None, None, None]
    (note,) = listing.notes
    assert "2 images have a time that cannot be read" in note and "'27/03/2015' (row 1)" in note
    assert "`dates: day_first`" in note
    again = reread(listing, Reading(dates="day_first"))
    assert [row.time for row in again.rows[:3]] == ["2015-03-27", "2015-03-28T12:00", "2015"]
    assert again.notes == []


def test_times_of_which_some_have_a_zone_are_named(tmp_path):
    (note,) = listed(tmp_path, "2015-06-03 12:00Z", "2015-06-03 12:00", "2015-06-03").notes
    assert note.startswith("1 of 2 times have an offset from UTC")
    assert listed(tmp_path, "2015-06-03 12:00Z", "2015-06-03 12:00+02:00", "2015").notes == []


def test_times_and_numbers_of_a_parquet_file_keep_zone_and_value(tmp_path):
    when = [datetime(2015, 6, 3, 12, tzinfo=UTC), None]
    frame = pl.DataFrame(
        {"path": ["1.png", "2.png"], "identity": [1e20, 7.0], "time": when, "day": [date(2015, 6, 3)] * 2}
    )
    frame.with_columns(pl.col("time").dt.convert_time_zone("Europe/Berlin")).write_parquet(tmp_path / "t.parquet")
    for name in frame["path"]:
        (tmp_path / name).write_bytes(b"")
    rows = table.open_source(path=str(tmp_path / "t.parquet"), time="time", group="day").rows
    assert [(row.time, row.group) for row in rows] == [
        ("2015-06-03T14:00:00+02:00", "2015-06-03"),
        (None, "2015-06-03"),
    ]
    assert float(rows[0].identity) == 1e20
