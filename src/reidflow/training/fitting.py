"""One training: epochs of optimizer steps, the choice of the weights to keep, and resuming."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from reidflow.models.determinism import seeded
from reidflow.models.geometries._geometry import Geometry
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.training.checkpoint import Checkpoints, TrainingState, copy_state, load_state, trained_state
from reidflow.training.data import RunData
from reidflow.training.distance import call_with_distance, distance_of, geometry_of
from reidflow.training.epochs import MatchedEpochs, ResizingStages
from reidflow.training.losses._counting import take_terms
from reidflow.training.mixing import Mixed
from reidflow.training.progress import Progress
from reidflow.training.torch_patches import patch_optimizers, unwrapped_step
from reidflow.training.validation import Validation

Watch = Callable[[int, float | None], bool]
"""Takes an epoch and its validation mAP, returns whether the training ends there."""

LOOK_EVERY = 100  # steps between two checks whether the loss is finite: each waits for the device


class Fitting:
    """Trains `module` and the loss's own parameters together, as `spec` says."""

    def __init__(self, spec: RunSpec, data: RunData, module: nn.Module, inputs: Any, dim: int, device: str) -> None:
        self.spec, self.module, self.inputs, self.device = spec, module, inputs, torch.device(device)
        labels, classes = data.labels()
        self.rows = data.rows("train")
        self.labels = torch.from_numpy(labels).to(device)
        self.validation = Validation(data, spec.model.geometry["name"])
        self.geometry, distance = geometry_of(module), distance_of(module)
        with seeded(spec.seed, "loss"):
            self.loss = call_with_distance("loss", spec.loss, distance, dim, len(classes)).to(device)
        self.miner = call_with_distance("miner", spec.miner, distance) if spec.miner else None
        self.sampler = self._sampler(data)
        self.stages = ResizingStages(spec, self._flops)
        self.both = nn.ModuleDict({"model": module, "loss": self.loss})
        self.parameters = [p for p in self.both.parameters() if p.requires_grad]
        patch_optimizers()
        self.optimizer = components.call("optimizer", spec.optimizer, self._groups())
        self.step = unwrapped_step(self.optimizer)
        self.schedule = components.call(
            "scheduler", spec.scheduler, self.optimizer, self.sampler.steps, self.stages.epochs
        )
        if self.schedule.needs_metric and not self.validation:
            raise ReidflowError(
                f"scheduler '{spec.scheduler['name']}' follows the validation mAP, and the split has no images of the "
                "role val. Choose another scheduler, or a split with val."
            )
        self.half = spec.precision == "bf16"
        self.state = TrainingState()
        self.stop, self.watched = spec.stop, 0

    def run(self, checkpoints: Checkpoints, progress: Progress, watch: Watch | None = None) -> None:
        """Train to the end, from where `self.state` stands, and leave the weights to keep in the module.

        watch: called after every epoch but the last; the epoch it stops at is then `self.stop`.
        """
        start = time.monotonic()
        before = self.state.seconds
        if not self.state.history:
            self._begin()
        while not self._finished():
            self._epoch(self.state.epoch + 1)
            self.state.seconds = before + time.monotonic() - start
            row = self.state.history[-1]
            progress.note(row["epoch"], row["loss"], row["val_id_map"])
            if watch is not None and not self._finished():
                self._watch(watch, row)
            if checkpoints.due() and not self._finished():
                checkpoints.write(self.checkpoint())
        load_state(self.both, self.state.kept)

    def checkpoint(self) -> dict[str, Any]:
        """Return all that `resume` needs; the generators need nothing, every epoch seeds its own."""
        return {
            "weights": trained_state(self.both),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "course": self.state.plain(),
        }

    def resume(self, content: dict[str, Any], watch: Watch | None = None) -> None:
        """Go on from what `checkpoint` returned, unless the training ends before: then start again, to end there."""
        for row in content["course"]["history"][1:] if watch is not None else ():
            self._watch(watch, row)
        if self.stop is not None and content["course"]["epoch"] > self.stop:
            return
        load_state(self.both, content["weights"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.schedule.load_state_dict(content["schedule"])
        self.state = TrainingState(**content["course"])

    def _sampler(self, data: RunData) -> Any:
        """Return the sampler of the training images, its epochs as long as those of all of them where the spec says so."""
        labels, _ = data.labels()
        sampler = components.call("sampler", self.spec.sampler, labels[self.rows], self.spec.seed)
        everything = data.training_labels()
        if self.spec.matched == "epochs" or len(everything) == len(self.rows):
            return sampler
        return MatchedEpochs(sampler, components.call("sampler", self.spec.sampler, everything, self.spec.seed).steps)

    def _flops(self, size: int) -> int:
        # Only a run on images counts operations before it trains; the counter takes its time to import.
        from reidflow.models.network import count_flops

        return count_flops(self.module, size)

    def _groups(self) -> list[dict[str, Any]]:
        groups = [
            {"name": name, "params": [p for p in part.parameters() if p.requires_grad]}
            for name, part in (("model", self.module), ("loss", self.loss))
        ]
        return [group for group in groups if group["params"]]

    def _finished(self) -> bool:
        state, patience = self.state, self.spec.patience
        last = self.stages.epochs if self.stop is None else min(self.stop, self.stages.epochs)
        return state.broken or state.epoch >= last or (patience is not None and state.stale >= patience)

    def _watch(self, watch: Watch, row: dict[str, Any]) -> None:
        """Consult `watch` once for each epoch, in order, until the training ends."""
        epoch = row["epoch"]
        if epoch > self.watched and (self.stop is None or epoch < self.stop):
            self.watched = epoch
            if watch(epoch, row["val_id_map"]):
                self.stop = epoch

    def _begin(self) -> None:
        """Note the untrained state: epoch 0."""
        self.state.kept = copy_state(self.both)
        self._note(0, Epoch(rate=self._rate()), self._score())

    def _epoch(self, number: int) -> None:
        epoch = Epoch(rate=self._rate(), size=None if self.spec.frozen else self.stages.size(number))
        start = time.monotonic()
        with seeded(self.spec.seed, "dropout", number, device=self.device):
            self._steps(number, epoch)
        self.state.epoch, self.state.steps = number, self.state.steps + len(epoch.losses)
        epoch.close(self.loss, self.geometry)
        self.state.seconds_steps += time.monotonic() - start
        if self.state.first_loss is None:
            self.state.first_loss = epoch.first
        score = self._score() if epoch.finite else None
        if not epoch.finite or (score is not None and not math.isfinite(score)):
            self.state.broken = True
            self._note(number, epoch, None)
            return
        self.schedule.after_epoch(score)
        self._note(number, epoch, score)
        self._choose(number, score)

    def _steps(self, number: int, epoch: "Epoch") -> None:
        self.both.train()
        batches = [self.rows[batch] for batch in self.sampler.epoch(number)]
        order = torch.from_numpy(np.concatenate(batches)).to(self.device)
        labels = self.labels[order].split([len(batch) for batch in batches])
        for (images, mixed), own in zip(self.inputs.epoch(number, batches, epoch.size), labels, strict=True):
            epoch.add(*self._step(images, own, mixed))
            self.state.count(len(own), epoch.size)
            if len(epoch.losses) % LOOK_EVERY == 0 and not epoch.still_finite():
                return

    def _step(
        self, images: torch.Tensor, labels: torch.Tensor, mixed: Mixed | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make one optimizer step; return the loss and the norm of the gradient before clipping."""
        # Entering a disabled autocast costs a small head 3 % of its step.
        with torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext():
            embeddings = self.module(images)
        embeddings = embeddings.float()
        loss = self._loss(embeddings, labels)
        if mixed is not None:
            loss = mixed.share * loss + (1 - mixed.share) * self._loss(embeddings, labels[mixed.partner])
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        if self.spec.gradient_clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.spec.gradient_clip, norm)
        self.step()
        for parameter in self.parameters:
            parameter.grad = None
        self.schedule.after_step()
        return loss.detach(), norm

    def _loss(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        tuples = self.miner(embeddings, labels) if self.miner is not None else None
        return self.loss(embeddings, labels, tuples)

    def _score(self) -> float | None:
        self.both.eval()
        return self.validation.score(self.inputs, self.module)

    def _choose(self, number: int, score: float | None) -> None:
        """Keep this epoch's weights if they are the best so far, or the last ones are wanted."""
        better = score is not None and (self.state.best is None or score > self.state.best)
        if better:
            self.state.best, self.state.best_epoch, self.state.stale = score, number, 0
        else:
            self.state.stale += 1
        if better or self.spec.checkpoint == "last":
            self.state.kept, self.state.kept_epoch = copy_state(self.both), number

    def _note(self, number: int, epoch: "Epoch", score: float | None) -> None:
        row = {"epoch": number, "val_id_map": score, "steps": self.state.steps, **epoch.row()}
        self.state.history.append(row)

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


@dataclass
class Epoch:
    """The losses and gradient norms of an epoch, on the device until it is over."""

    rate: float
    size: int | None = None

    def __post_init__(self) -> None:
        self.losses: list[torch.Tensor] = []
        self.norms: list[torch.Tensor] = []
        self.finite = True
        self.first = self.loss = self.norm = self.norm_max = self.active = self.hardness = None
        self.curvature = self.clipped = None

    def add(self, loss: torch.Tensor, norm: torch.Tensor) -> None:
        """Note one step."""
        self.losses.append(loss)
        self.norms.append(norm)

    def still_finite(self) -> bool:
        """Return whether the last step's loss and gradient are finite."""
        return math.isfinite(self.losses[-1].item()) and math.isfinite(self.norms[-1].item())

    def close(self, loss: nn.Module, geometry: Geometry | None = None) -> None:
        """Fetch the numbers of the epoch from the device."""
        losses = torch.stack(self.losses).double().cpu().numpy()
        norms = torch.stack(self.norms).double().cpu().numpy()
        self.finite = bool(np.isfinite(losses).all() and np.isfinite(norms).all())
        self.first, self.loss = float(losses[0]), float(losses.mean())
        self.norm, self.norm_max = float(norms.mean()), float(norms.max())
        self.active, self.hardness = take_terms(loss)
        if geometry is not None:
            self.curvature, self.clipped = geometry.curvature(), geometry.take_clipped()

    def row(self) -> dict[str, float | None]:
        """Return the epoch's columns of the history."""
        return {
            "loss": self.loss,
            "learning_rate": self.rate,
            "gradient_norm": self.norm,
            "gradient_norm_max": self.norm_max,
            "active": self.active,
            "hardness": self.hardness,
            "size": self.size,
            "curvature": self.curvature,
            "clipped": self.clipped,
        }
