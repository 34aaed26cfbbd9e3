"""Whether two folders of results hold the same numbers: `python benchmarks/compare_tables.py OLD/tables NEW/tables`.

Tables of measured times (`*.efficiency.parquet`) are left out. Columns that were renamed are given as OLD=NEW with
`--renamed`, which counts where OLD is gone; columns that hold texts or digests of code and software are compared only with `--texts`.
"""

import argparse
import sys
from pathlib import Path

import polars as pl
from polars.testing import assert_series_equal

DIGESTS = {"data", "split", "evaluated", "versions"}
"""Columns of texts that stand for code, data or software, not for a result."""


def compare(old: pl.DataFrame, new: pl.DataFrame, renamed: dict[str, str], texts: bool, tolerance: float) -> list[str]:
    """Return how two tables differ, in the order of the old one's columns."""
    if old.height != new.height:
        return [f"{old.height} rows, now {new.height}"]
    found = []
    for column in old.columns:
        name = column if column in new.columns else renamed.get(column, column)
        if name not in new.columns:
            found.append(f"column '{column}' is gone")
            continue
        before, after = old[column], new[name]
        is_text = before.dtype == pl.String or column in DIGESTS
        if is_text and not texts and column not in ("arm", "verdict", "experiment", "label", "setting", "identity"):
            continue
        try:
            assert_series_equal(before, after, check_names=False, rel_tol=0, abs_tol=tolerance)
        except AssertionError as error:
            found.append(f"column '{column}': {str(error).splitlines()[-1].strip()}")
    return found


def main() -> int:
    """Compare the folders that the command line names; return 1 where any number differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--renamed", nargs="*", default=[], metavar="OLD=NEW")
    parser.add_argument("--texts", action="store_true", help="compare columns of text as well")
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest absolute difference (default: none)")
    arguments = parser.parse_args()
    renamed = dict(pair.split("=", 1) for pair in arguments.renamed)
    tables = sorted(path for path in arguments.old.glob("*.parquet") if "efficiency" not in path.name)
    wrong = 0
    for path in tables:
        other = arguments.new / path.name
        if not other.is_file():
            differences = ["the table is gone"]
        else:
            both = pl.read_parquet(path), pl.read_parquet(other)
            differences = compare(*both, renamed, arguments.texts, arguments.tolerance)
        wrong += bool(differences)
        for difference in differences:
            print(f"{path.name}: {difference}")
    print(f"{len(tables) - wrong} of {len(tables)} tables hold the same numbers")
    return int(wrong > 0 or not tables)


if __name__ == "__main__":
    sys.exit(main())
