"""What the exploratory experiments find of what the demo planted: copies, and the link between place and animal.

Reads the tables of a finished run of the demo: `python benchmarks/exploratory.py [results]`.
"""

import argparse
from pathlib import Path

import polars as pl

HYBRIDS = ("hash_ssim", "hash_embedding")


def copies(tables: Path) -> None:
    """Print for each method the threshold at which it finds the planted copies best."""
    found = pl.read_parquet(tables / "eda_dedup.methods.parquet").drop_nulls("f1")
    best = found.sort("f1", descending=True, maintain_order=True).unique("method", keep="first", maintain_order=True)
    print("planted copies, each method at its best threshold")
    for row in best.to_dicts():
        numbers = " ".join(f"{name} {row[name]:.3f}" for name in ("precision", "recall", "f1"))
        print(f"  {row['method']:28s} {row['threshold']:8.4f}  {numbers}")
    hybrid = best.filter(pl.col("method").str.contains("|".join(HYBRIDS))).row(0, named=True)
    print(f"best hybrid: precision {hybrid['precision']:.3f}, recall {hybrid['recall']:.3f} (bar: 0.95 each)")


def reliance(tables: Path) -> None:
    """Print each arm's reliance against the baseline's, and the control against chance."""
    table = pl.read_parquet(tables / "eda_backgrounds.reliance.parquet")
    print("reliance on the background (bar: lower without the shortcut, the interval of the difference below zero)")
    for row in table.to_dicts():
        control = f"control {row['control']:.3f}, chance {row['chance']:.3f} ({row['control_verdict']})"
        print(f"  {row['arm']:12s} {row['reliance']:.3f}  {_difference(row, 'delta')}  {control}")
    base = table.row(by_predicate=pl.col("baseline"), named=True)
    print(f"  all interventions together: {_difference(base, 'together')}")


def _difference(row: dict, name: str) -> str:
    delta, low, high = (
        row[key]
        for key in (
            (name, "delta_low", "delta_high")
            if name == "delta"
            else ("together_delta", "together_low", "together_high")
        )
    )
    return "baseline" + " " * 20 if delta is None else f"{delta:+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"))
    tables = parser.parse_args().results / "tables"
    copies(tables)
    reliance(tables)


if __name__ == "__main__":
    main()
