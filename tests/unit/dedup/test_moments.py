"""Images join a group by their times, cameras, sites and file numbers as a plain reading of the rules says."""

from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from reidflow.dedup.components import components
from reidflow.dedup.groups import Rules, group_images
from reidflow.dedup.moments import straddling, times_of, within_time
from reidflow.ingest.times import moment
from reidflow.spec.errors import ReidflowError


def manifest(*rows, **columns):
    """Return labelled rows: (identity, time), with further columns."""
    names = [f"{identity}-{n}.jpg" for n, (identity, _) in enumerate(rows)]
    nothing = dict.fromkeys(("group", "camera", "site", "flank", "visible"), [None] * len(rows))
    data = {"image": names, "path": names, "identity": [r[0] for r in rows], "time": [r[1] for r in rows]}
    data |= nothing | columns
    return pl.DataFrame(data, schema=dict.fromkeys(data, pl.String))


def groups_of(table, **rules):
    """Return the groups as lists of row numbers."""
    hashes = np.random.default_rng(0).integers(0, 256, (len(table), 8), dtype=np.uint8)
    found = group_images(table, hashes, Rules(**rules))
    rows = {image: row for row, image in enumerate(table["image"])}
    return sorted(
        sorted(rows[i] for i in own) for own in found.groups.group_by("group").agg("image")["image"].to_list()
    )


AT = "2026-05-31T12:"


def test_times_of_one_identity_are_chained_and_those_of_another_are_not():
    table = manifest(
        ("a", AT + "00:00"),
        ("a", AT + "05:00"),
        ("b", AT + "05:00"),
        ("a", AT + "10:00"),
        ("a", AT + "15:01"),
        ("a", None),
    )
    assert groups_of(table, minutes=5) == [[0, 1, 3], [2], [4], [5]]
    assert groups_of(table, minutes=4) == [[0], [1], [2], [3], [4], [5]]
    assert groups_of(table, minutes=None) == [[0], [1], [2], [3], [4], [5]]
    assert groups_of(table, minutes=5.02) == [[0, 1, 3, 4], [2], [5]]


def test_times_join_the_data_sets_own_groups():
    table = manifest(("a", AT + "00"), ("a", AT + "01"), ("a", None), ("a", "2020-01-01"), group=[None, "s", "s", None])
    assert groups_of(table, minutes=5) == [[0, 1, 2], [3]]


def test_a_date_joins_all_of_its_day_and_a_year_or_month_joins_nothing_and_is_counted():
    times = ["2026-05-31", "2026-05-31", "2026-06-01", "2026-05", "2026-05", "2026", "2026", "2026-06-01T23:00"]
    table = manifest(*(("a", time) for time in times))
    assert groups_of(table, minutes=5) == [[0, 1], [2, 7], [3], [4], [5], [6]]
    warned = group_images(table, np.eye(8, dtype=np.uint8) * 255, Rules(minutes=5)).warnings
    assert any("4 images are dated only to the year or month" in text and "(4 have" in text for text in warned)


def warnings_of(rows, minutes=5):
    table = manifest(*rows)
    return group_images(table, np.zeros((len(table), 8), np.uint8), Rules(minutes=minutes)).warnings


def test_a_clock_that_stood_still_and_chains_that_last_for_hours_are_named():
    stood = [(who, "2000-01-01T00:00:00") for who in "abc" for _ in range(3)]
    assert any(
        "9 images of 3 identities have one and the same time, 2000-01-01T00:00:00" in w for w in warnings_of(stood)
    )
    assert not any("the same time" in w for w in warnings_of(stood[:6]))
    chain = [("a", f"2020-01-01T{8 + n // 15:02d}:{n % 15 * 4:02d}:00") for n in range(60)]
    found = "in 1 group: the longest, that of a-0.jpg, holds 60 images of 3.9 hours"
    assert any(found in w for w in warnings_of(chain)) and not any("chains" in w for w in warnings_of(chain, 3))
    assert not any("chains" in w for w in warnings_of([("a", "2020-01-01"), *chain[::20]]))


def test_offsets_from_utc_are_subtracted():
    table = manifest(
        ("a", "2026-05-31T12:00:00+02:00"), ("a", "2026-05-31T10:01:00+00:00"), ("a", "2026-05-31T12:00:00+00:00")
    )
    assert groups_of(table, minutes=5) == [[0, 1], [2]]


def test_cameras_and_sites_divide_times_and_join_images_without_them():
    rows = [("a", AT + "00"), ("a", AT + "01"), ("a", AT + "02"), ("a", None), ("b", AT + "00")]
    table = manifest(*rows, camera=["x", "y", "x", "y", "x"], site=["s", "s", None, None, "s"])
    assert groups_of(table, minutes=5, by=["identity", "camera"]) == [[0, 2], [1], [3], [4]]
    assert groups_of(table, minutes=None, by=["identity", "camera"]) == [[0, 2], [1, 3], [4]]
    assert groups_of(table, minutes=None, by=["identity", "site"]) == [[0, 1], [2], [3], [4]]
    assert groups_of(table, minutes=None, by=["identity", "site", "camera"]) == [[0], [1], [2], [3], [4]]
    # An image whose site is unknown is at a site of its own.
    assert groups_of(table, minutes=5, by=["identity", "site"]) == [[0, 1], [2], [3], [4]]


def test_a_column_that_no_image_has_is_an_error():
    with pytest.raises(
        ReidflowError, match=r"groups.by: no labelled image has a camera. Leave 'camera' out of groups.by"
    ):
        groups_of(manifest(("a", None), ("b", None)), minutes=5, by=["identity", "camera"])


def test_adjacent_numbers_of_one_folder_and_identity_join():
    paths = [
        "d/IMG_0412.jpg",
        "d/IMG_0413.JPG",
        "e/IMG_0414.jpg",
        "d/IMG_0415.jpg",
        "d/DSC_0414.jpg",
        "d/IMG_0413b.jpg",
        "d/x.jpg",
    ]
    table = manifest(*[("a", None)] * 7, path=paths, image=paths)
    assert groups_of(table, numbers=1) == [[0, 1], [2], [3], [4], [5], [6]]
    assert groups_of(table, numbers=2) == [[0, 1, 3], [2], [4], [5], [6]]
    other = table.with_columns(identity=pl.Series(["a", "b", *"aaaaa"]))
    assert groups_of(other, numbers=1) == [[0], [1], [2], [3], [4], [5], [6]]


def test_crops_of_one_photograph_and_identity_are_one_group():
    table = manifest(("a", None), ("a", None), ("b", None), ("a", None), path=["p.jpg", "p.jpg", "p.jpg", "q.jpg"])
    assert groups_of(table) == [[0, 1], [2], [3]]


def a_time(random):
    when = datetime(2026, 5, 31, 22) + timedelta(seconds=int(random.integers(0, 4 * 3600)))
    form = random.choice(
        ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d", "%Y-%m", ""],
        p=[0.6, 0.2, 0.05, 0.05, 0.05, 0.05],
    )
    return when.strftime(form) or None


@pytest.mark.parametrize("seed", range(5))
def test_pairs_and_chains_are_those_of_a_comparison_of_every_two(seed):
    random = np.random.default_rng(seed)
    texts = [a_time(random) for _ in range(80)]
    keys, roles = random.integers(0, 3, 80), random.integers(0, 3, 80)
    minutes = float(random.choice([0, 1, 5]))

    def near(i, j):
        if texts[i] is None or texts[j] is None or keys[i] != keys[j]:
            return False
        one, other = sorted((moment(texts[i]), moment(texts[j])))
        exact = max(one.end - one.start, other.end - other.start) <= timedelta(days=1)
        return exact and (other.start < one.end or other.start - one.start <= timedelta(minutes=minutes))

    pairs = [(i, j) for i, j in combinations(range(80), 2) if near(i, j)]
    times = times_of(texts)
    expected = components(80, np.asarray(pairs, np.int64).reshape(-1, 2))
    assert components(80, within_time(times, keys, minutes)).tolist() == expected.tolist()
    assert straddling(times, keys, roles, minutes) == sum(roles[i] != roles[j] for i, j in pairs) > 0
