"""Times and sizes as people write them."""

import pytest

from reidflow.workflow.units import duration, size


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "under 1 s"),
        (0.2, "under 1 s"),
        (40, "40 s"),
        (100, "2 min"),
        (3600, "60 min"),
        (7260, "2 h 1 min"),
        (40000, "11 h"),
        (864000, "10 days"),
    ],
)
def test_a_length_of_time(seconds, expected):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB")]
)
def test_a_number_of_bytes(number, expected):
    assert size(number) == expected
