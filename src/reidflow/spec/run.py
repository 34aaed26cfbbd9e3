"""The run spec: the full description of one training run, everything that decides its numbers and nothing else."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from reidflow.spec.components import context, module_name, names, needing
from reidflow.spec.inference import problem
from reidflow.spec.merge import merge
from reidflow.spec.ranking import Ranking
from reidflow.spec.strict import Positive, Strict, component

Seed = Annotated[int, Field(ge=0, lt=2**31)]


ORIGINAL = {"name": "original"}
"""The background of unchanged images."""

HYPERSPHERE = {"name": "hypersphere"}
"""The geometry of embeddings that are compared by the angle between them."""


class Head(Strict):
    """The trained network between the pooled features and the embedding."""

    hidden: Annotated[int, Field(ge=0, le=65536)] = Field(
        0, description="width of the hidden layers (linear, norm, activation); 0: none"
    )
    depth: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="number of hidden layers; ignored where hidden is 0"
    )
    norm: Literal["batch", "layer", "none"] = Field(
        "batch", description="normalisation in a hidden layer; ignored where hidden is 0"
    )
    activation: Literal["relu", "gelu", "silu"] = Field(
        "relu", description="activation of a hidden layer; ignored where hidden is 0"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout before the last linear layer")
    dim: Annotated[int, Field(ge=2, le=65536)] = Field(128, description="dimension of the embedding")

    @field_validator("depth", "norm", "activation")
    @classmethod
    def _of_hidden_layers(cls, value: Any, info: ValidationInfo) -> Any:
        """Return the default where there is no hidden layer: equal networks are equal specs, and one run."""
        return cls.model_fields[info.field_name].default if info.data.get("hidden") == 0 else value


class Trainable(Strict):
    """Which part of the network is trained."""

    name: Literal["none", "head", "last_blocks", "all"] = Field(
        "head", description="none: the frozen features themselves; head; the head and the last n blocks; all"
    )
    blocks: Annotated[int, Field(ge=0)] = Field(0, description="number of blocks, for last_blocks only")

    @model_validator(mode="after")
    def _blocks_fit(self) -> "Trainable":
        if (self.name == "last_blocks") != (self.blocks > 0):
            raise ValueError("'blocks' is given (and greater than 0) exactly when 'name' is last_blocks")
        return self


class Model(Strict):
    """Backbone, pooling and head."""

    backbone: component("backbone") = Field(description="a file of models/backbones/")
    size: Annotated[int, Field(ge=16, le=2048)] = Field(
        224, description="side of the square image that the network sees, pixels"
    )
    pooling: component("pooling") = Field(
        {"name": "avg"}, description="a file of models/pooling/", validate_default=True
    )
    head: Head = Field(Head(), description="between the pooled features and the embedding")
    geometry: component("geometry") = Field(
        HYPERSPHERE,
        description="a file of models/geometries/: the space of the embeddings, whose distance the loss and every ranking use",
        validate_default=True,
    )
    trainable: Trainable = Field(Trainable(), description="which part is trained")


def scaled_side(scale: float, full: int) -> int:
    """Return the side in pixels of images `scale` times as large as `full`.

    A multiple of 8 where `full` is one, so that patches of 8 and mostly of 16 pixels come out whole.
    """
    step = 8 if full % 8 == 0 else 1
    return max(step, step * round(scale * full / step))


class Stage(Strict):
    """A part of the training in which the network sees images of one size."""

    scale: Annotated[float, Field(gt=0, le=8)] = Field(
        description="side of the images in this stage as a multiple of `model.size`"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(description="share of the epochs; the shares add up to 1")


class Resizing(Strict):
    """Images that change their size while the network trains; validation and test keep `model.size`."""

    stages: Annotated[list[Stage], Field(min_length=1)] = Field(description="in order")
    matched: Literal["epochs", "flops"] = Field(
        "epochs",
        description="what the run has in common with one at `model.size` throughout: epochs, or training FLOPs (more or fewer epochs)",
    )

    @model_validator(mode="after")
    def _whole(self) -> "Resizing":
        total = sum(stage.share for stage in self.stages)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the stages add up to {total:g}, not to 1")
        return self


class Dedup(Strict):
    """Which near-duplicates are left out of the training images."""

    method: component("duplicates") = Field(description="a file of dedup/methods/: what the distance of two images is")
    threshold: Annotated[float, Field(ge=0)] = Field(0.0, description="images at most this far apart are duplicates")
    scope: Literal["identity", "all"] = Field(
        "identity", description="identity: duplicates of one identity alone; all: across identities too"
    )
    keep: Literal["sharpest", "central", "first"] = Field(
        "sharpest", description="which image of a group of duplicates stays"
    )


class Curation(Strict):
    """Which training images are selected."""

    method: component("curation") = Field(description="a file of curation/methods/")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.5, description="share of the training images that stays")


MEMBER_SEEDS = 10_000
"""How far apart the seeds of an ensemble's members are; seeds of arms are below."""


class Ensemble(Strict):
    """Several runs whose similarities are combined."""

    seeds: Annotated[int, Field(ge=1, le=100)] = Field(1, description="runs of each member, each with its own seed")
    members: list[Annotated[dict[str, Any], Field(min_length=1)]] = Field(
        [], description="further members: changes to the settings of the arm, which is the first member"
    )
    combine: Literal["concatenate", "average"] = Field(
        "concatenate",
        description="concatenate: unit embeddings side by side, whose cosine is the mean of the members'; average: the mean "
        "of the members' similarities, each in its own geometry",
    )

    @model_validator(mode="after")
    def _several(self) -> "Ensemble":
        if self.seeds == 1 and not self.members:
            raise ValueError("an ensemble has 'seeds' of 2 or more, or 'members'")
        return self


RANKED_BY: dict[str, Any] = {"inference": [], "ensemble": None, "ranking": None}
"""What a run spec says of embeddings alone, with the values that leave them as they are: no part of a training run."""


def ranking_tuned(paths: Iterable[str]) -> bool:
    """Return whether a setting among these dotted paths decides how one run's embeddings are ranked."""
    return any(path.split(".")[0] in ("inference", "ranking") for path in paths)


class RunSpec(Strict):
    """One training run. What only affects speed (device, workers, runs per job) is not in it."""

    background: component("background") = Field(
        ORIGINAL,
        description="a file of backgrounds/interventions/, applied to training images alone",
        validate_default=True,
    )
    dedup: Dedup | None = Field(None, description="duplicates left out of the training images, or none")
    curation: Curation | None = Field(None, description="training images chosen, after dedup, or all")
    train_sides: Literal["both", "query"] = Field(
        "both",
        description="training images where the split has two sides: both, or those of the side query alone",
    )
    matched: Literal["epochs", "steps"] = Field(
        "epochs",
        description="what a run on fewer training images has in common with one on all: epochs, or optimizer steps as well",
    )
    model: Model = Field(description="backbone, pooling, head and geometry")
    loss: component("loss") = Field(description="a file of training/losses/")
    miner: component("miner") | None = Field(None, description="a file of training/miners/, or none")
    sampler: component("sampler") = Field(description="a file of training/samplers/; it holds the batch size")
    augmentation: list[component("augmentation")] = Field([], description="files of training/augmentations/, in order")
    resizing: Resizing | None = Field(None, description="image sizes over the course of training, or one size")
    views: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="augmented views per image in the feature bank (frozen backbone only); 0: the plain image alone"
    )
    optimizer: component("optimizer") = Field(description="a file of training/optimizers/")
    scheduler: component("scheduler") = Field(description="a file of training/schedulers/")
    epochs: Annotated[int, Field(ge=1, le=100_000)] = Field(30, description="passes over the training images")
    stop: Annotated[int, Field(ge=1)] | None = Field(
        None, description="stop after this many epochs of a schedule laid out for `epochs`"
    )
    gradient_clip: Positive | None = Field(None, description="largest norm of the gradient, or none")
    checkpoint: Literal["best", "last"] = Field(
        "best", description="best: the epoch with the highest validation mAP; last"
    )
    patience: Annotated[int, Field(ge=1)] | None = Field(
        None, description="stop after this many epochs without a new best"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(1, description="torch threads on the CPU; sums depend on it")
    inference: list[component("inference")] = Field(
        [], description="files of retrieval/inference/, in order: steps between embedding and ranking"
    )
    ensemble: Ensemble | None = Field(None, description="several runs whose similarities are combined, or one run")
    ranking: Ranking | None = Field(None, description="scores by which candidates are ranked; null: by the embedding")
    seed: Seed = Field(0, description="seed of initialisation, data order and augmentation")

    @model_validator(mode="after")
    def _whole(self) -> "RunSpec":
        trainable = self.model.trainable.name
        if self.views and trainable not in ("head", "none"):
            raise ValueError(
                "'views' belongs to a frozen backbone; a trained one augments in every epoch: set views: 0"
            )
        if trainable == "head" and self.augmentation and not self.views:
            raise ValueError(
                "augmentation with a frozen backbone needs 'views': the number of augmented views per image"
            )
        if self.views and not self.augmentation:
            raise ValueError("'views' needs an 'augmentation' to make them with")
        if self.views and (mixing := needing("augmentation", self.augmentation, "mixing")):
            raise ValueError(
                f"the augmentation '{mixing[0]}' mixes the images of a batch, which a feature bank cannot hold: train "
                "last_blocks or all, or leave it out"
            )
        if self.resizing and self.frozen:
            raise ValueError("'resizing' changes the images of a backbone that trains: train last_blocks or all")
        self._check_geometry()
        self._check_ranking()
        return self

    def _check_ranking(self) -> None:
        """Raise ValueError where what is done with the embeddings, or the members of an ensemble, do not fit."""
        if wrong := problem(self.inference, self.model.geometry["name"]):
            raise ValueError(wrong)
        if self.ensemble is None:
            return
        taken = {"seed", *RANKED_BY} & {key for settings in self.ensemble.members for key in settings}
        if taken:
            raise ValueError(f"a member of an ensemble does not set '{min(taken)}': the arm does")
        if self.seed >= MEMBER_SEEDS:
            raise ValueError(f"the seed of an ensemble is below {MEMBER_SEEDS}: its members' seeds are above")
        geometries = [member.model.geometry["name"] for member in self.runs()]
        if self.ensemble.combine == "concatenate" and set(geometries) != {HYPERSPHERE["name"]}:
            raise ValueError("embeddings of other geometries than hypersphere cannot be joined: combine: average")
        if self.ensemble.combine == "average" and self.inference:
            raise ValueError("'inference' works on embeddings, of which averaged similarities have none: concatenate")

    def _check_geometry(self) -> None:
        """Raise ValueError where the loss or the miner cannot work with the geometry's distance."""
        geometry = self.model.geometry["name"]
        if geometry == HYPERSPHERE["name"]:
            return
        if self.model.trainable.name == "none":
            raise ValueError(
                f"geometry '{geometry}' is trained into a head: trainable: none leaves features as they are"
            )
        for kind, spec in (("loss", self.loss), ("miner", self.miner)):
            if spec and not needing(kind, [spec], "distance"):
                able = [name for name in names(kind) if "distance" in context(kind, name)]
                raise ValueError(
                    f"{kind} '{spec['name']}' works on angles alone, not with the distance of geometry '{geometry}': "
                    f"choose one of {', '.join(able)}"
                )

    @property
    def frozen(self) -> bool:
        """Whether the backbone is frozen, so that the run needs features and no images."""
        return self.model.trainable.name in ("none", "head")

    def plain(self) -> dict[str, Any]:
        """Return the spec as plain JSON data, with every default."""
        return self.model_dump(mode="json")

    def apart_from_data(self) -> dict[str, Any]:
        """Return the plain spec without what decides the training images alone, or what is done with embeddings.

        Two ways to choose training images that choose the same ones make the same run. `matched` is ignored where none
        is left out.
        """
        chosen = ("background", "dedup", "curation", "train_sides", "matched", *RANKED_BY)
        return {key: value for key, value in self.plain().items() if key not in chosen}

    def with_seed(self, seed: int) -> "RunSpec":
        """Return the same run with another seed."""
        return self.model_copy(update={"seed": seed})

    def runs(self) -> list["RunSpec"]:
        """Return the training runs behind the arm: itself, or the members of its ensemble, settings slowest."""
        alone = self.model_copy(update=dict(RANKED_BY))
        if self.ensemble is None:
            return [alone]
        members = [{}, *self.ensemble.members]
        specs = [RunSpec.model_validate(merge(alone.plain(), settings)) for settings in members]
        seeds = [self.seed + MEMBER_SEEDS * number for number in range(self.ensemble.seeds)]
        return [spec.with_seed(seed) for spec in specs for seed in seeds]

    def stage_sizes(self) -> list[int]:
        """Return the side of the images in each stage of the training, pixels; none where it has no stages."""
        stages = self.resizing.stages if self.resizing else []
        return [scaled_side(stage.scale, self.model.size) for stage in stages]

    def bank(self, background: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Return what decides the frozen features of this run, or None when the backbone is trained.

        background: of the images that the features are of; as they are, by default.
        """
        if not self.frozen:
            return None
        views = {"augmentation": self.augmentation if self.views else [], "views": self.views}
        return {**self.untrained_bank(), "background": background or ORIGINAL, **views}

    def untrained_bank(self) -> dict[str, Any]:
        """Return what decides the features of the plain images by the backbone as it is before any training."""
        return {
            "background": ORIGINAL,
            "backbone": self.model.backbone,
            "size": self.model.size,
            "pooling": self.model.pooling,
            "augmentation": [],
            "views": 0,
            "precision": self.precision,
            "threads": self.threads,
        }

    def component_modules(self) -> list[str]:
        """Return the dotted modules of the components that the run's own process executes, sorted."""
        used = [
            ("geometry", self.model.geometry),
            ("loss", self.loss),
            ("sampler", self.sampler),
            ("optimizer", self.optimizer),
            ("scheduler", self.scheduler),
        ]
        if self.miner:
            used.append(("miner", self.miner))
        if not self.frozen:
            used += [("backbone", self.model.backbone), ("pooling", self.model.pooling)]
            used += [("augmentation", a) for a in self.augmentation]
        return sorted({module_name(kind, spec["name"]) for kind, spec in used})
