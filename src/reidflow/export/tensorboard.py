"""TensorBoard's event file of a run, beside its other files. Imports no tensorflow."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.text import metadata as text
from tensorboard.summary.writer.record_writer import RecordWriter

from reidflow.export.values import curves, scores, settings
from reidflow.spec.yaml import dumps
from reidflow.store.atomic import replacing

EVENTS = "events.out.tfevents.0.reidflow"
"""Name of the file; TensorBoard reads every file whose name contains `tfevents`."""


def write_events(folder: Path, spec: Mapping[str, Any], history: pl.DataFrame, metrics: Mapping[str, Any]) -> None:
    """Write the event file of a run into its folder: the spec, the curves by epoch, the test scores at the kept epoch.

    spec: the plain run spec. history: of the run, a row for each epoch. metrics: its row of the metrics of runs. The time
    of an event is its epoch in seconds, so that equal runs give equal bytes.
    """
    kept, tested = scores(metrics)
    with replacing(folder / EVENTS) as temporary, temporary.open("wb") as file:
        writer = RecordWriter(file)
        for event in (
            event_pb2.Event(file_version="brain.Event:2"),
            event_pb2.Event(summary=summary_pb2.Summary(value=[_settings(spec), _spec(spec)])),
            *_scalars(curves(history)),
            *_scalars(iter([(kept, tested)])),
        ):
            # The order of a map's entries is left to chance otherwise.
            writer.write(event.SerializeToString(deterministic=True))
        writer.flush()


def _scalars(steps: Iterator[tuple[int, dict[str, float]]]) -> Iterator[event_pb2.Event]:
    for step, values in steps:
        found = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        yield event_pb2.Event(wall_time=step, step=step, summary=summary_pb2.Summary(value=found))


def _settings(spec: Mapping[str, Any]) -> summary_pb2.Summary.Value:
    """Return the settings as the hyperparameters of a session, for the tab HPARAMS."""
    start = plugin_data_pb2.SessionStartInfo()
    for path, value in settings(spec).items():
        kind = "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        setattr(start.hparams[path], f"{kind}_value", value)
    data = plugin_data_pb2.HParamsPluginData(session_start_info=start)
    about = hparams.create_summary_metadata(data)
    return summary_pb2.Summary.Value(tag=hparams.SESSION_START_INFO_TAG, metadata=about, tensor=hparams.NULL_TENSOR)


def _spec(spec: Mapping[str, Any]) -> summary_pb2.Summary.Value:
    """Return the spec as YAML, for the tab TEXT, which shows Markdown."""
    code = "".join(f"    {line}\n" for line in dumps(spec).splitlines())
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[code.encode()])
    return summary_pb2.Summary.Value(tag="spec", metadata=text.create_summary_metadata("", ""), tensor=tensor)
