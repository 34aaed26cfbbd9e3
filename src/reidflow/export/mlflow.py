"""Experiments and their runs in MLflow: a folder, a database or a server. Needs the extra `mlflow`."""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from reidflow.evaluation.runs import HISTORY, METRICS, of_runs
from reidflow.export.values import curves, scores, settings
from reidflow.spec.canonical import short
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.extras import install
from reidflow.spec.plan import Plan
from reidflow.spec.yaml import load
from reidflow.store.runs import SPEC, readable_name
from reidflow.store.tables import read_table

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

TABLES = ("md", "csv", "findings.md")
PER_REQUEST = 100
NOTE = "mlflow.note.content"
"""The tag that MLflow shows as the description."""
DIGEST = "reidflow.digest"
RUN = ARM, SEED, FOLD = "reidflow.arm", "reidflow.seed", "reidflow.fold"
"""Tags that tell the runs of an experiment apart."""
DATABASE, ARTIFACTS = "mlflow.db", "artifacts"


@dataclass(frozen=True)
class ExportedRun:
    """What MLflow receives of a run. measured: (name, value, epoch); files: path of the artifact -> file."""

    arm: str
    seed: int
    name: str
    parameters: dict[str, str]
    measured: list[tuple[str, float, int]]
    tags: dict[str, str]
    files: dict[str, Path]

    def digest(self) -> str:
        """Return a digest of all of it."""
        content = {path: file.read_text() for path, file in self.files.items()}
        return short([self.arm, self.seed, self.parameters, repr(self.measured), self.tags, content], 32)


def export_experiments(made: Plan, names: list[str], place: str) -> None:
    """Export evaluated experiments to MLflow and print what was exported.

    names: of experiments; none: all that are evaluated. place: a tracking URI, or a folder, which then holds a database
    and the artifacts. A run that is there as it would be exported stays; one that differs is replaced.
    Raises ReidflowError where a named experiment is not evaluated, or MLflow is not installed or refuses.
    """
    client, artifacts = _client(place)
    from mlflow.exceptions import MlflowException

    results = Path(made.config.results)
    for name in names or list(made.experiments):
        if not _metrics(results, name).is_file():
            if names:
                raise ReidflowError(
                    f"{_metrics(results, name)}: not there yet. Run the pipeline with this config first."
                )
            print(f"{name}: not evaluated yet, left out")
            continue
        try:
            new, count = _export(client, artifacts, made, made.experiments[name])
        except MlflowException as error:
            raise ReidflowError(f"{place}: MLflow refuses the experiment '{name}': {error.message}") from error
        print(f"{name}: {count} runs, {new} of them exported now")


def _client(place: str) -> tuple["MlflowClient", str | None]:
    """Return MLflow's client of a place, and where new experiments keep artifacts; None: where MLflow puts them."""
    # MLflow reports its use over the network unless this is set before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise ReidflowError(f"MLflow is not installed ({error}). Install it: {install('mlflow')}") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    uri, artifacts = place, None
    if "://" not in place and place != "databricks":
        folder = Path(place).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        uri, artifacts = f"sqlite:///{folder / DATABASE}", (folder / ARTIFACTS).as_uri()
    try:
        return MlflowClient(tracking_uri=uri), artifacts
    except MlflowException as error:
        raise ReidflowError(f"{place}: not a place for MLflow: {error.message}") from error


def _export(client: "MlflowClient", artifacts: str | None, made: Plan, experiment: Experiment) -> tuple[int, int]:
    """Export the runs of an experiment; return how many were new or had changed, and how many there are."""
    from mlflow.entities import ViewType

    name = f"{made.config.title}/{experiment.name}"
    known = client.get_experiment_by_name(name)
    place = f"{artifacts}/{experiment.name}" if artifacts else None
    number = known.experiment_id if known else client.create_experiment(name, artifact_location=place)
    client.set_experiment_tag(number, NOTE, f"{experiment.file.question}\n\n{experiment.file.hypothesis}")
    earlier: dict[tuple[str, ...], list[Run]] = {}
    page, token = None, ""
    while page is None or token:
        page = client.search_runs([number], run_view_type=ViewType.ACTIVE_ONLY, page_token=token or None)
        token = page.token
        for run in page:
            earlier.setdefault(tuple(run.data.tags.get(tag, "") for tag in RUN), []).append(run)
    exported, new = list(_runs(made, experiment)), 0
    for run in exported:
        digest, same = run.digest(), False
        for old in earlier.get(tuple(run.tags.get(tag, "") for tag in RUN), []):
            if old.info.status == "FINISHED" and old.data.tags.get(DIGEST) == digest and not same:
                same = True
            else:
                client.delete_run(old.info.run_id)
        if not same:
            _send(client, number, run, digest)
            new += 1
    return new, len(exported)


def _send(client: "MlflowClient", experiment: str, run: ExportedRun, digest: str) -> None:
    """Write a run; it counts as finished when all of it is there."""
    from mlflow.entities import Metric, Param

    own = {**run.tags, DIGEST: digest}
    identifier = client.create_run(experiment, tags=own, run_name=run.name).info.run_id
    now = int(time.time() * 1000)
    parameters = [Param(path, value) for path, value in run.parameters.items()]
    measured = [Metric(name, value, now, step) for name, value, step in run.measured]
    for start in range(0, max(len(parameters), len(measured)), PER_REQUEST):
        some = slice(start, start + PER_REQUEST)
        client.log_batch(identifier, metrics=measured[some], params=parameters[some])
    with tempfile.TemporaryDirectory() as folder:
        for path, file in run.files.items():
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        client.log_artifacts(identifier, folder)
    client.set_terminated(identifier)


def _runs(made: Plan, experiment: Experiment) -> Iterator[ExportedRun]:
    results = Path(made.config.results)
    folder = _metrics(results, experiment.name).parent
    metrics, history = read_table(folder / "metrics.parquet", METRICS), read_table(folder / "history.parquet", HISTORY)
    tables = {f"table/{experiment.name}.{end}": results / "tables" / f"{experiment.name}.{end}" for end in TABLES}
    tables = {path: file for path, file in tables.items() if file.is_file()}
    for row in of_runs(metrics).iter_rows(named=True):
        arm = experiment.arms.get(row["arm"])
        if arm is None:
            raise ReidflowError(
                f"{folder}: has runs of the arm '{row['arm']}', which {experiment.path} has no longer. Run the pipeline."
            )
        name = readable_name(row["seed"], row["split"] if experiment.folds else None)
        own = folder / arm.slug / name
        of_run = [pl.col(key) == row[key] for key in ("arm", "seed", "split")]
        epochs = history.filter(of_run).drop("arm", "seed", "split")
        kept, tested = scores(row)
        measured = [(name, value, epoch) for epoch, values in curves(epochs) for name, value in values.items()]
        yield ExportedRun(
            arm=arm.name,
            seed=row["seed"],
            name=f"{arm.name}/{name}",
            parameters={path: str(value) for path, value in settings(load(own / SPEC)).items()},
            measured=[*measured, *((name, value, kept) for name, value in tested.items())],
            tags=_tags(made, experiment, row, arm.why),
            files={SPEC: own / SPEC, **tables},
        )


def _tags(made: Plan, experiment: Experiment, row: dict[str, Any], why: str) -> dict[str, str]:
    data = Path(made.split_folder(experiment.divisions[row["split"]]))
    facts = {"images": Path(made.config.results) / "data" / "images.json", "split": data / "split.json"}
    return {
        NOTE: why,
        "reidflow.experiment": experiment.name,
        ARM: row["arm"],
        SEED: str(row["seed"]),
        **({FOLD: str(row["split"])} if experiment.folds else {}),
        "reidflow.baseline": experiment.baseline.name,
        "reidflow.run": row["run"],
        "reidflow.versions": row["versions"],
        **{f"reidflow.{name}": load(file)["digest"] for name, file in facts.items()},
    }


def _metrics(results: Path, experiment: str) -> Path:
    return results / "experiments" / experiment / "metrics.parquet"
