"""What an arm of a competition's program is, read from its spec: network, side, and the settings of its training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from reidflow.spec.experiment import Experiment
from reidflow.spec.run import RunSpec

DESCRIBED, TRAINED = "as described", "trained projection"
SIDES = (DESCRIBED, TRAINED)
"""As described: the frozen network's features before any head are ranked; trained projection: what a trained head makes of
them."""


@dataclass(frozen=True)
class Configuration:
    """Settings of an arm that the program varies; None where its components have no such setting."""

    architecture: str
    learning_rate: float | None
    epochs: int | None
    batch: int | None
    normalised: bool
    augmented: bool

    def differing(self, other: "Configuration") -> list[str]:
        """Return the settings in which two configurations differ, in the order of the fields."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]

    @property
    def network(self) -> tuple[str, bool]:
        """What decides the features of a network whose backbone is frozen."""
        return self.architecture, self.normalised


FACTORS = tuple(f.name for f in fields(Configuration))
TRAINING = ("learning_rate", "epochs", "batch", "augmented")
"""Settings of the training, which features that nothing was trained for cannot depend on."""


@dataclass(frozen=True)
class Entry:
    """A configuration on one side, and the arm whose runs it is; `arm` is None where the experiment has none."""

    side: str
    name: str
    configuration: Configuration
    arm: str | None


def configuration_of(spec: RunSpec) -> Configuration:
    """Return the configuration of a run spec."""
    plain = spec.plain()
    backbone = plain["model"]["backbone"]
    return Configuration(
        _architecture(backbone),
        plain["optimizer"].get("learning_rate"),
        plain["epochs"],
        _batch(plain["sampler"]),
        backbone.get("normalise", True),
        bool(plain["augmentation"]),
    )


def side_of(spec: RunSpec) -> str:
    """Return the side of an arm: as described where nothing is trained."""
    return DESCRIBED if spec.model.trainable.name == "none" else TRAINED


def entries(experiment: Experiment) -> list[Entry]:
    """Return the configurations of an experiment on both sides, each side in the order of its file.

    Every arm that trains is a configuration. As described it is the arm that trains nothing on the same network, whatever
    its settings of the training. An arm that trains nothing on a network of its own is a configuration too.
    """
    arms = {name: (side_of(arm.spec), configuration_of(arm.spec)) for name, arm in experiment.arms.items()}
    trained = {name: own for name, (side, own) in arms.items() if side == TRAINED}
    frozen: dict[tuple[str, bool], str] = {}
    for name, (side, own) in arms.items():
        if side == DESCRIBED:
            frozen.setdefault(own.network, name)
    described = [Entry(DESCRIBED, name, own, frozen.get(own.network)) for name, own in trained.items()]
    known = {own.network for own in trained.values()}
    untrained = _untrained(arms, [name for network, name in frozen.items() if network not in known])
    described += [Entry(DESCRIBED, name, own, name) for name, own in untrained.items()]
    return described + [Entry(TRAINED, name, own, name) for name, own in trained.items()]


def _untrained(arms: Mapping[str, tuple[str, Configuration]], names: list[str]) -> dict[str, Configuration]:
    """Return the configurations of some arms without settings of a training that they do not have."""
    return {name: replace(arms[name][1], learning_rate=None, epochs=None, batch=None) for name in names}


def baseline_of(found: list[Entry], baseline: str) -> Configuration | None:
    """Return the configuration of the arm that the others are compared with, among the entries."""
    own = [entry for entry in found if entry.arm == baseline]
    own.sort(key=lambda entry: entry.side != TRAINED)
    return own[0].configuration if own else None


def controlled(found: list[Entry], baseline: Configuration | None) -> list[Entry]:
    """Return the entries that differ from the baseline in their architecture alone, the baseline's own included."""
    if baseline is None:
        return []
    return [entry for entry in found if set(entry.configuration.differing(baseline)) <= {"architecture"}]


def controlled_arms(experiment: Experiment) -> set[str]:
    """Return the arms whose runs differ from the baseline's in the architecture alone, on either side."""
    found = entries(experiment)
    fixed = controlled(found, baseline_of(found, experiment.file.baseline))
    return {entry.arm for entry in fixed if entry.arm is not None}


def _architecture(backbone: Mapping[str, Any]) -> str:
    told = backbone.get("model") or backbone.get("family")
    return str(told) if told else backbone["name"]


def _batch(sampler: Mapping[str, Any]) -> int | None:
    if "batch" in sampler:
        return sampler["batch"]
    return sampler["identities"] * sampler["images"] if {"identities", "images"} <= set(sampler) else None
