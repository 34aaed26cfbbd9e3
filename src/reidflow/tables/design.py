"""The design of an experiment in words: motivation, what varies, what is tuned, what stays fixed, and why each arm is there."""

from typing import Any, NamedTuple

from reidflow.spec.experiment import Experiment
from reidflow.spec.ranking import Ranking
from reidflow.spec.run import HYPERSPHERE, ORIGINAL
from reidflow.tables.caption import seeds_sentence, shared_settings, split_line, tuned_line, varies_line
from reidflow.tables.columns import column
from reidflow.tables.data import DataDescription
from reidflow.tables.export import markdown_block
from reidflow.tables.layout import Block, block
from reidflow.tables.text import authored, listed, markdown, ranking_words, setting

TITLE = "Motivation and design"
AUTHORED = ("Motivation", "Hypothesis")
"""Lines that the author of the experiment wrote, in Markdown."""
_TRAINED = {
    "none": "nothing is trained: the features of the frozen backbone themselves",
    "head": "the head is trained, the backbone frozen",
    "last_blocks": "the head and the last blocks of the backbone are trained",
    "all": "the whole network is trained",
}


class Design(NamedTuple):
    """The design of an experiment: (heading, sentence) pairs of plain text, and the arms with why each is there."""

    lines: list[tuple[str, str]]
    arms: Block

    @property
    def markdown(self) -> str:
        """The lines as a list, then the arms as a table."""
        lines = [f"- **{heading}:** {self._text(heading, sentence)}" for heading, sentence in self.lines]
        return "\n".join(lines) + f"\n\n{markdown_block(self.arms)}"

    def _text(self, heading: str, sentence: str) -> str:
        return authored(sentence) if heading in AUTHORED else markdown(sentence)


def design(experiment: Experiment, data: DataDescription) -> Design:
    """Return the design of an experiment."""
    file = experiment.file
    lines = [
        ("Motivation", file.motivation),
        ("Hypothesis", file.hypothesis),
        ("Varies", varies_line(experiment)),
        *([("Tuned", tuned_line(experiment))] if file.tuned else []),
        *fixed(experiment, data),
    ]
    return Design([(heading, " ".join(sentence.split())) for heading, sentence in lines], arms_block(experiment))


def fixed(experiment: Experiment, data: DataDescription) -> list[tuple[str, str]]:
    """Return what every run of every arm shares as (heading, sentence) pairs; what varies or is tuned is left out."""
    shared = shared_settings(experiment)
    found = {
        "Model": _model(shared),
        "Training images": _images(shared),
        "Loss": _with(_component(shared, "loss"), _named(shared, "miner", "miner")),
        "Sampler": _component(shared, "sampler"),
        "Optimizer": _with(
            _component(shared, "optimizer"), _named(shared, "gradient_clip", "gradients clipped to the norm")
        ),
        "Schedule": _with(_component(shared, "scheduler"), _counted(shared, "epochs")),
        "Checkpoint": _checkpoint(shared),
        "Ranking": _with(_ranking(shared), _inference(shared)),
    }
    sentences = [(heading, f"{text}.") for heading, text in found.items() if text]
    return [*sentences, ("Split", split_line(data)), ("Seeds", seeds_sentence(experiment))]


def arms_block(experiment: Experiment) -> Block:
    """Return the arms with why each is there, and the control that it names."""
    rows = [{"arm": arm.name, "why": arm.why, "against": arm.against} for arm in experiment.arms.values()]
    return block("Arms", rows, ["arm", "why", column("against")])


def _component(shared: dict[str, Any], path: str) -> str | None:
    """Return a component that all arms share, or what they share of it; None where not even its name is shared."""
    if path in shared:
        return setting(shared[path])
    inner = {name.removeprefix(f"{path}."): value for name, value in shared.items() if name.startswith(f"{path}.")}
    return setting(inner) if "name" in inner else None


def _named(shared: dict[str, Any], path: str, label: str) -> str | None:
    text = _component(shared, path) if shared.get(path) is not None else None
    return text and f"{label} {text}"


def _counted(shared: dict[str, Any], path: str) -> str | None:
    return f"{shared[path]} {path}" if path in shared else None


def _with(*parts: str | None) -> str:
    return ", ".join(filter(None, parts))


def _model(shared: dict[str, Any]) -> str:
    trained = shared.get("model.trainable", {}).get("name", shared.get("model.trainable.name"))
    geometry = shared.get("model.geometry")
    return _with(
        _component(shared, "model.backbone"),
        f"{shared['model.size']} pixels" if "model.size" in shared else None,
        _named(shared, "model.pooling", "pooling"),
        f"embedding of {shared['model.head.dim']} dimensions" if "model.head.dim" in shared else None,
        f"geometry {setting(geometry)}" if geometry not in (None, HYPERSPHERE) else None,
        _TRAINED.get(trained),
    )


def _images(shared: dict[str, Any]) -> str:
    background, augmentation = shared.get("background"), shared.get("augmentation")
    return _with(
        f"background {setting(background)}" if background not in (None, ORIGINAL) else None,
        _named(shared, "dedup", "without near-duplicates by"),
        _named(shared, "curation", "chosen by"),
        f"augmentation {listed(map(setting, augmentation))}" if augmentation else None,
    )


def _checkpoint(shared: dict[str, Any]) -> str | None:
    kept = {"best": "the epoch with the highest validation mAP", "last": "the last epoch"}.get(shared.get("checkpoint"))
    patience = shared.get("patience")
    return kept and _with(kept, f"stopped after {patience} epochs without a new best" if patience else None)


def _ranking(shared: dict[str, Any]) -> str | None:
    """Return the ranking by several scores that all arms share; None where it is the embedding's, or they differ in it."""
    parts = {name.removeprefix("ranking."): value for name, value in shared.items() if name.startswith("ranking.")}
    return f"by {ranking_words(parts)}" if parts.keys() >= Ranking.model_fields.keys() else None


def _inference(shared: dict[str, Any]) -> str | None:
    steps = shared.get("inference")
    return f"after {listed(map(setting, steps))}" if steps else None
