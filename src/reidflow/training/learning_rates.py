"""The learning rate before every optimizer step of a finished run, by running its schedule again."""

import math

import polars as pl
import torch
from torch.optim import SGD

from reidflow.spec import components
from reidflow.spec.run import RunSpec
from reidflow.training.torch_patches import unwrapped_step


def replay(spec: RunSpec, history: pl.DataFrame) -> list[float] | None:
    """Return the learning rate of every step of the run `spec`, whose `history` lists its epochs.

    The schedule is built as in training, on an optimizer without a network, and given the run's own validation mAP after
    each epoch, so that one that depends on the metric takes the same steps. The history notes the rate of each epoch's first
    step: None where a rate differs from it, since the curve would then not be that of the run.
    """
    epochs = history.filter(pl.col("epoch") > 0).sort("epoch").to_dicts()
    rate = spec.optimizer.get("learning_rate")
    if not epochs or rate is None:
        return None
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    step = unwrapped_step(optimizer)
    planned = spec.epochs if spec.resizing is None else len(epochs)
    schedule = components.call("scheduler", spec.scheduler, optimizer, epochs[0]["steps"], planned)
    rates: list[float] = []
    for epoch in epochs:
        rate = optimizer.param_groups[0]["lr"]
        if not math.isclose(rate, epoch["learning_rate"], rel_tol=1e-9, abs_tol=1e-12):
            return None
        while len(rates) < epoch["steps"]:
            rates.append(float(optimizer.param_groups[0]["lr"]))
            step()
            schedule.after_step()
        if epoch["val_id_map"] is None and schedule.needs_metric:
            break
        schedule.after_epoch(epoch["val_id_map"])
    return rates
