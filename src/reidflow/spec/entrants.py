"""The networks that a competition's submission is chosen among."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from reidflow.spec.canonical import canonical
from reidflow.spec.errors import ReidflowError
from reidflow.spec.merge import merge
from reidflow.spec.mistakes import first
from reidflow.spec.networks import unknown_network
from reidflow.spec.run import Model, RunSpec, Trainable

KEYS = ("backbone", "size", "pooling")


def entrants(protocol: RunSpec, arms: Iterable[RunSpec], changes: list[dict[str, Any]]) -> list[RunSpec]:
    """Return the protocol's run with each network that takes part, frozen as it is, each network once.

    changes: the config's `submission.candidates`, each laid over the protocol's model. Without any: the protocol's
    network and those of `arms` with another backbone, whose weights see normalised images.
    Raises ReidflowError for a change that makes no network.
    """
    if changes:
        models = [_changed(protocol, change, number) for number, change in enumerate(changes)]
    else:
        others = [spec.model for spec in arms if spec.model.backbone != protocol.model.backbone]
        models = [protocol.model, *(model for model in others if model.backbone.get("normalise", True))]
    found: dict[str, Model] = {}
    for model in models:
        plain = model.model_dump(mode="json")
        found.setdefault(canonical([plain[key] for key in KEYS]), model)
    return [_frozen(protocol, model) for model in found.values()]


def _changed(protocol: RunSpec, change: Mapping[str, Any], number: int) -> Model:
    where = f"submission.candidates[{number}]"
    unknown = [key for key in change if key not in KEYS]
    if unknown or not change:
        raise ReidflowError(f"{where}: a candidate is a mapping with {', '.join(KEYS)}, not {dict(change)!r}.")
    try:
        model = Model.model_validate(merge(protocol.model.model_dump(mode="json"), dict(change)))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ReidflowError(f"{where}.{place}: {first(error, Model)}") from error
    wrong = unknown_network(model.backbone)
    if wrong:
        raise ReidflowError(f"{where}: {wrong}")
    return model


def _frozen(protocol: RunSpec, model: Model) -> RunSpec:
    taken = {key: getattr(model, key) for key in KEYS} | {"trainable": Trainable(name="none")}
    model = protocol.model.model_copy(update=taken)
    return protocol.model_copy(update={"model": model, "augmentation": [], "views": 0, "resizing": None})
