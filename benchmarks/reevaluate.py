"""Which verdicts the present code changes: the experiments of finished results, evaluated again, nothing trained.

    python benchmarks/reevaluate.py old/results --configfile old/config/config.yaml

The scores per query of the stored runs are read (with `--runs`, the stored embeddings are ranked again), all tables with
a verdict are made again, those of analyses included, and compared row by row with those that are there. Nothing is
written to the results. Printed: each verdict that changed, and the median width of the new intervals over the old ones.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import polars as pl

from reidflow.analyses.analysis import Analysis, Inputs, load
from reidflow.evaluation.runs import CONTRACTS, MIRRORED, evaluate_runs, read_jobs
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan, make
from reidflow.splits.split import SPLIT
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.arms import TABLES, read_arms
from reidflow.tables.data import read_description
from reidflow.tables.experiment import EFFICIENCY, RESULTS, build_table
from reidflow.workflow.files import Files
from reidflow.workflow.inputs import ARRAYS
from reidflow.workflow.inputs import Inputs as Paths
from reidflow.workflow.targets import Targets

PROJECT = Path(__file__).resolve().parent.parent
OF_RUNS = {f"{name}.parquet" for name in (*CONTRACTS, "also_on", "also_on.per_query", "split_runs", "strengths")}
Changed = tuple[str, str, str, str]
"""Row, column, verdict before, verdict now."""


def mirror(old: Path, folder: Path, remade: set[str]) -> None:
    """Fill `folder` with links to the files of finished results, but for the folders of `remade`, which are created."""
    folder.mkdir(parents=True)
    for path in sorted(old.iterdir()):
        if path.name in remade:
            (folder / path.name).mkdir()
        else:
            (folder / path.name).symlink_to(path)
    for path in sorted((old / "tables").iterdir()):
        (folder / "tables" / path.name).symlink_to(path)


def adopt(old: Path, folder: Path) -> None:
    """Fill `folder` with links to the files of an experiment; tables from before there were several splits name the first."""
    folder.mkdir()
    for path in sorted(old.iterdir()):
        if path.name in OF_RUNS and "split" not in pl.read_parquet_schema(path):
            pl.read_parquet(path).with_columns(split=pl.lit(0, pl.Int64)).write_parquet(folder / path.name)
        else:
            (folder / path.name).symlink_to(path)


def rank_again(paths: Paths, wildcards: SimpleNamespace) -> None:
    """Write the tables of an experiment's evaluated runs again, from the stored embeddings."""
    folder = Path(paths.files.experiment.format(experiment=wildcards.experiment))
    store = RunStore(Path(paths.files.results) / ".store")
    jobs = read_jobs(paths.runs(wildcards), list(paths.arms(wildcards)), store)
    mirrored = paths.mirrored(wildcards)
    tables = evaluate_runs(
        jobs.runs,
        [read_table(file, SPLIT) for file in paths.splits(wildcards)],
        read_table(f"{paths.files.data}/manifest.parquet", MANIFEST),
        paths.plan.config.gallery,
        read_table(mirrored, MIRRORED) if mirrored else None,
    )
    for name, contract in CONTRACTS.items():
        (folder / f"{name}.parquet").unlink(missing_ok=True)
        write_table(tables[name], folder / f"{name}.parquet", contract, {})


def main_table(paths: Paths, wildcards: SimpleNamespace) -> None:
    """Write the table of an experiment and its efficiency."""
    name, files, read = wildcards.experiment, paths.files, paths.data_files()
    config, experiment = paths.plan.config, paths.of(wildcards)
    data = read_description(config, read["splits"](wildcards), read["audits"](wildcards), read["images"])
    per_run = {table: files.per_run[table].format(experiment=name) for table in TABLES}
    arms = read_arms(experiment, per_run, paths.chosen(wildcards) or None)
    unavailable = json.loads(Path(files.experiment.format(experiment=name), "unavailable.json").read_text())
    speeds = {arm: json.loads(Path(file).read_text()) for arm, file in files.speeds(name).items()}
    made = build_table(experiment, arms, data, unavailable=unavailable, speeds=speeds)
    for table, contract, suffix in ((made.results, RESULTS, ""), (made.efficiency, EFFICIENCY, ".efficiency")):
        path = Path(files.tables) / f"{name}{suffix}.parquet"
        path.unlink(missing_ok=True)
        write_table(table, path, contract, {})


def analysed(plan: Plan, paths: Paths, analysis: Analysis, wildcards: SimpleNamespace) -> dict[str, pl.DataFrame]:
    """Return the tables of an analysis of an experiment by name."""
    read = {name: paths.named(name, wildcards) for name in analysis.inputs if name not in ARRAYS}
    arrays = {name: paths.array(analysis, name)(wildcards) for name in ARRAYS}
    given = analysis.params(plan, wildcards.experiment)
    store = Path(paths.files.results) / ".store"
    made = analysis.run(Inputs(plan.config, paths.of(wildcards), {**read, **arrays}, given, store))
    return {name: table for name, (table, _) in made.tables.items()}


def verdict_columns(table: pl.DataFrame) -> dict[str, tuple[str, str] | None]:
    """Return each column of verdicts with the columns of the ends of its interval."""
    found: dict[str, tuple[str, str] | None] = {}
    for column in table.columns:
        if column.endswith("verdict"):
            prefix = column.removesuffix("verdict")
            ends = [(f"{start}low", f"{start}high") for start in (prefix, f"{prefix}delta_")]
            found[column] = next((pair for pair in ends if pair[0] in table.columns), None)
    return found


def compared(old: pl.DataFrame, new: pl.DataFrame) -> tuple[list[Changed], list[float]]:
    """Return the verdicts that changed, and the width of each interval over what it was, row by row."""
    changed, ratios = [], []
    named = [name for name, kind in old.schema.items() if kind == pl.String and not name.endswith("verdict")]
    shown = [name for name in named if name not in ("experiment", "note") and old[name].n_unique() > 1][:3]
    for before, now in zip(old.to_dicts(), new.to_dicts(), strict=True):
        row = ", ".join(str(before[name]) for name in shown if before[name] is not None)
        for column, ends in verdict_columns(old).items():
            if before[column] != now.get(column):
                changed.append((row, column, str(before[column]), str(now.get(column))))
            widths = [each[ends[1]] - each[ends[0]] for each in (before, now) if ends and each.get(ends[0]) is not None]
            if len(widths) == 2 and widths[0] > 0:
                ratios.append(widths[1] / widths[0])
    return changed, ratios


def all_tables(plan: Plan, old: Path, from_runs: bool, analyses: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each table with a verdict, made again: its name as in the folder of tables, and the table.

    An experiment that cannot be evaluated, such as one that has other seeds now, is named and left out.
    """
    files = Files(plan)
    paths, targets = Paths(files), Targets(files, lambda path: Path(path).exists())
    every, failed = [SimpleNamespace(experiment=name) for name in plan.experiments], set()
    for wildcards in every:
        name = wildcards.experiment
        adopt(old / "experiments" / name, Path(files.experiment.format(experiment=name)))
        try:
            if from_runs:
                rank_again(paths, wildcards)
            main_table(paths, wildcards)
        except ReidflowError as error:
            print(f"{name}: not evaluated. {error}")
            failed.add(name)
    for wildcards in (each for each in every if each.experiment not in failed):
        name = wildcards.experiment
        yield name, pl.read_parquet(f"{files.tables}/{name}.parquet")
        for analysis in map(load, [found.key for found in targets.analyses(name)] if analyses else []):
            stored = [old / "tables" / f"{name}.{table}.parquet" for table in analysis.tables]
            schemas = [pl.read_parquet_schema(path) for path in stored if path.is_file()]
            if any(column.endswith("verdict") for schema in schemas for column in schema):
                for table, made in analysed(plan, paths, analysis, wildcards).items():
                    yield f"{name}.{table}", made


def main() -> int:
    """Print what changed; return 1 where a table cannot be compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, metavar="RESULTS")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[PROJECT / "config" / "config.yaml"])
    parser.add_argument("--runs", action="store_true", help="rank the stored embeddings again")
    parser.add_argument("--no-analyses", action="store_true", help="the table of each experiment alone")
    given = parser.parse_args()
    old, configs, started = given.old.resolve(), [path.resolve() for path in given.configfile], time.monotonic()
    total, changes, failed = 0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        # The experiments beside the config: those of the results, where its own config is named.
        Path("config").symlink_to(configs[0].parent)
        mirror(old, Path("results"), {"tables", "experiments"})
        plan = make(configs, {"results": "results"})
        for name, new in all_tables(plan, old, given.runs, not given.no_analyses):
            if not verdict_columns(new):
                continue
            path = old / "tables" / f"{name}.parquet"
            before = pl.read_parquet(path) if path.is_file() else None
            if before is None or before.height != new.height:
                failed += 1
                print(f"{name}: {'not there before' if before is None else f'{before.height} rows, now {new.height}'}")
                continue
            changed, ratios = compared(before, new)
            verdicts = sum(before[column].is_not_null().sum() for column in verdict_columns(before))
            total, changes = total + verdicts, changes + len(changed)
            if verdicts:
                width = f"{median(ratios):.3f} of the width ({len(ratios)} intervals)" if ratios else "no interval"
                print(f"{name}: {len(changed)} of {verdicts} verdicts change; {width}")
            for row, column, verdict, now in changed:
                print(f"    {row}: {column} {verdict} -> {now}")
        os.chdir(PROJECT)
    print(f"{changes} of {total} verdicts change ({time.monotonic() - started:.0f} s)")
    return int(failed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ReidflowError as error:
        sys.exit(f"error: {error}")
