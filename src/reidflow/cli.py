"""The command `reidflow`: what is done beside the workflow."""

import argparse
import sys
from pathlib import Path

import polars as pl

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.tables.interpretation import reading
from reidflow.tables.stamp import stamp


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="reidflow", description="Commands beside the workflow.")
    parser.add_argument(
        "--configfile",
        action="append",
        help="the config whose results are meant (config/config.yaml); again for each that lies over it",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "interpretations": "tell whether each experiment's interpretation fits its table; fails if one does not",
        "stamp": "note in an experiment's file the table that its interpretation was written for",
    }
    for name, text in helps.items():
        commands.add_parser(name, help=text).add_argument("experiments", nargs="*", help="default: all of the config")
    given = parser.parse_args(arguments)
    try:
        made = plan.make(given.configfile or ["config/config.yaml"])
        return {"interpretations": _interpretations, "stamp": _stamp}[given.command](made, given.experiments)
    except ReidflowError as error:
        print(error, file=sys.stderr)
        return 1


def _named(made: plan.Plan, names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in made.experiments]
    if unknown:
        raise ReidflowError(f"no experiment '{unknown[0]}' in {made.where}. Known: {', '.join(made.experiments)}.")
    return names or list(made.experiments)


def _table(made: plan.Plan, name: str) -> pl.DataFrame:
    path = Path(made.config.results) / "tables" / f"{name}.parquet"
    if not path.is_file():
        raise ReidflowError(f"{path}: no such table yet. Run the pipeline first.")
    return pl.read_parquet(path)


def _interpretations(made: plan.Plan, names: list[str]) -> int:
    wrong = 0
    for name in _named(made, names):
        found = reading(made.experiments[name].file.interpretation, made.config.title, _table(made, name))
        print(f"{name}: {found.state}" + "".join(f"\n  {reason}" for reason in found.reasons))
        wrong += found.state != "fits"
    return int(wrong > 0)


def _stamp(made: plan.Plan, names: list[str]) -> int:
    for name in _named(made, names):
        changed = stamp(made.experiments[name].path, made.config.title, _table(made, name))
        print(f"{made.experiments[name].path}: {'stamped' if changed else 'as it was'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
