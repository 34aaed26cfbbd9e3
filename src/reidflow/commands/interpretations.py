"""`reidflow interpretations` and `reidflow stamp`: check what was written about a table against the table."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl

from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.tables.interpretation import reading, unheld_numbers
from reidflow.tables.quantities import beside, headline_quantities
from reidflow.tables.stamp import stamp
from reidflow.workflow.files import Files
from reidflow.workflow.targets import Targets


def check_interpretations(made: Plan, experiments: list[str]) -> int:
    """Print whether each experiment's interpretation fits its table; return 1 if one does not, else 0."""
    wrong = 0
    for name in experiments:
        found = reading(made.experiments[name].file.interpretation, made.config.title, _table(made, name))
        print(f"{name}: {found.state}" + "".join(f"\n  {reason}" for reason in found.reasons))
        wrong += found.state != "fits"
    return int(wrong > 0)


def stamp_tables(made: Plan, experiments: list[str]) -> int:
    """Record in each experiment's file the table that its interpretation was written for; return 0."""
    for name in experiments:
        experiment, table = made.experiments[name], _table(made, name)
        changed = stamp(experiment.path, made.config.title, table)
        print(f"{experiment.path}: {'stamped' if changed else 'unchanged'}")
        texts = [entry.text for entry in experiment.file.interpretation if entry.dataset == made.config.title]
        unheld = [number for text in texts for number in unheld_numbers(text, table)]
        if unheld:
            print(f"  not in the table, so nobody will notice when they change: {', '.join(unheld)}")
    return 0


def _table(made: Plan, name: str) -> pl.DataFrame:
    """Return the table of an experiment beside its headline quantities. Raises ReidflowError where it was not made yet."""
    path = Path(made.config.results) / "tables" / f"{name}.parquet"
    if not path.is_file():
        raise ReidflowError(f"{path}: no such table yet. Run the pipeline first.")
    results, experiment = pl.read_parquet(path), made.experiments[name]
    files = Targets(Files(made), bool).quantities(SimpleNamespace(experiment=name))
    return beside(results, headline_quantities(experiment, results, files))[0]
