"""A search: its space, its studies, and the run specs behind their trials. Planning reads it, so no search library is imported."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from reidflow.spec.canonical import canonical
from reidflow.spec.merge import flatten, merge, put
from reidflow.spec.run import RunSpec
from reidflow.spec.seeds import seed_for
from reidflow.spec.strict import Strict, component

Value = int | float | str
TABLE = [
    "study",
    "trial",
    "generation",
    "seed",
    "state",
    "value",
    "values",
    "reached",
    "best_epoch",
    "steps",
    "flops",
    "train_flops",
    "parameters",
    "trainable_parameters",
    "run",
    "finalist_value",
    "winner",
]
"""Columns of the table of trials beside its axes."""
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


class Range(Strict):
    """Numbers between two ends: whole ones where both ends (and the step) are."""

    low: int | float = Field(description="the smallest value")
    high: int | float = Field(description="the largest value")
    log: bool = Field(False, description="whether the scale is logarithmic")
    step: int | float | None = Field(None, description="spacing of the allowed values, from `low` on")

    @model_validator(mode="after")
    def _proper(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("'low' must be below 'high'")
        if self.log and self.low <= 0:
            raise ValueError("a range with log: true starts above 0")
        if self.step is not None and (self.step <= 0 or self.log):
            raise ValueError("'step' is greater than 0 and goes without 'log'")
        return self

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))


class Choices(Strict):
    """Settings under names: an axis that moves several settings at once."""

    choices: Annotated[dict[str, dict[str, Any]], Field(min_length=2)] = Field(description="name -> settings of a run")


def _shape(value: Any) -> str | None:
    if isinstance(value, list):
        return "values"
    if isinstance(value, dict):
        return "choices" if "choices" in value else "range"
    return {Choices: "choices", Range: "range"}.get(type(value))


Written = Annotated[
    Annotated[list[Any], Field(min_length=2), Tag("values")]
    | Annotated[Choices, Tag("choices")]
    | Annotated[Range, Tag("range")],
    Discriminator(
        _shape,
        custom_error_type="axis",
        custom_error_message="an axis is a list of values, {low, high} or {choices: {name: {settings}}}",
    ),
]


class StudyFile(Strict):
    """One study of an experiment: an algorithm that searches the space."""

    algorithm: component("algorithm") = Field(description="a file of search/algorithms/")
    only: list[str] = Field([], description="axes that it searches ([]: all); the others keep the baseline's value")
    matched_to: str | None = Field(
        None,
        description="another study whose number of optimizer steps is this one's budget, instead of `trials`",
    )


class Search(Strict):
    """What an experiment searches for, and how."""

    trials: Annotated[int, Field(ge=2, le=100_000)] = Field(description="trials of every study")
    generation: Annotated[int, Field(ge=1)] = Field(
        10,
        description="trials that are proposed together, from all earlier ones; more of them keep more workers busy",
    )
    pruner: component("pruner") = Field(
        {"name": "none"}, description="a file of search/pruners/: which trials end early", validate_default=True
    )
    finalists: Annotated[int, Field(ge=0)] = Field(
        5, description="best trials that are trained again with every sweep seed: the best mean wins. 0: the best trial"
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed from which each study derives that of its algorithm")
    first_seed: Annotated[int, Field(ge=0)] = Field(
        1000, description="training seed of the first trial; later trials count up from it"
    )
    space: Annotated[dict[str, Written], Field(min_length=1)] = Field(
        description="dotted path of the run spec -> list of values, or {low, high, log, step}; or any name -> {choices: "
        "{name: {settings}}}"
    )
    studies: Annotated[dict[FileName, StudyFile], Field(min_length=1)] = Field(description="study -> how it searches")


@dataclass(frozen=True)
class Axis:
    """One axis of a space.

    kind: `choice` between `labels`, `int` or `float` between `low` and `high`. settings: what each label sets, as
    changes to a run spec (named choices) or as the value at the path `name`.
    """

    name: str
    kind: Literal["choice", "int", "float"]
    labels: tuple[str, ...] = ()
    settings: tuple[Any, ...] = ()
    named: bool = False
    low: float | int = 0
    high: float | int = 0
    log: bool = False
    step: float | int | None = None

    def apply(self, plain: dict[str, Any], value: Value) -> dict[str, Any]:
        """Return a plain run spec with this axis at a value: a number of the range, or a label."""
        if self.kind != "choice":
            return put(plain, self.name, value)
        settings = self.settings[self.labels.index(str(value))]
        return merge(plain, settings) if self.named else put(plain, self.name, settings)

    def ends(self) -> tuple[Value, ...]:
        """Return every label, or both ends of the range."""
        return self.labels if self.kind == "choice" else (self.low, self.high)

    def paths(self) -> list[str]:
        """Return the dotted paths of the run spec that the axis moves."""
        if not self.named:
            return [self.name]
        return sorted({path for settings in self.settings for path, _ in flatten(settings)})


@dataclass(frozen=True)
class Study:
    """One study, with all that decides its trials. trials is None where the budget is another study's (`matched_to`)."""

    experiment: str
    name: str
    algorithm: dict[str, Any]
    pruner: dict[str, Any]
    trials: int | None
    matched_to: str | None
    generation: int
    finalists: int
    seed: int
    first_seed: int
    sweep_seeds: tuple[int, ...]
    base: RunSpec
    axes: tuple[Axis, ...]

    def spec(self, settings: dict[str, Value], seed: int) -> RunSpec:
        """Return the run of a trial. settings: axis -> number or label. Raises ValidationError where no run can be so."""
        plain = self.base.plain()
        for axis in self.axes:
            plain = axis.apply(plain, settings[axis.name])
        return RunSpec.model_validate({**plain, "seed": seed})

    @property
    def architectural(self) -> bool:
        """Whether it searches networks, and not only how one is trained."""
        paths = [path for axis in self.axes for path in axis.paths()]
        return any(path.startswith("model.") and path != "model.head.dropout" for path in paths)

    def trial_seed(self, number: int) -> int:
        """Return the training seed of a trial."""
        return self.first_seed + number

    @cached_property
    def variants(self) -> tuple[RunSpec, ...]:
        """Return run specs, with the seed 0, that execute every component and read every array that a trial may.

        Each value of each axis alone, and all combinations of the axes that decide which features or images are read.
        Raises ValidationError where one of them is no run.
        """
        alone = [
            RunSpec.model_validate(axis.apply(self.base.plain(), value)) for axis in self.axes for value in axis.ends()
        ]
        together = []
        for values in product(*(axis.ends() for axis in self.reading)) if len(self.reading) > 1 else ():
            plain = self.base.plain()
            for axis, value in zip(self.reading, values, strict=True):
                plain = axis.apply(plain, value)
            together.append(RunSpec.model_validate(plain))
        found = {canonical(spec.plain()): spec for spec in [*alone, *together]}
        return tuple(found.values())

    @property
    def combinations(self) -> int:
        """Return how many sets of features or images the trials may read, at most."""
        return prod(len(axis.ends()) for axis in self.reading)

    @cached_property
    def reading(self) -> tuple[Axis, ...]:
        """The axes that decide which features or images are read."""
        return tuple(axis for axis in self.axes if self._reads(axis))

    def _reads(self, axis: Axis) -> bool:
        """Return whether an axis decides what is read: another value, another feature bank or choice of images."""
        seen = {canonical(_reading(RunSpec.model_validate(axis.apply(self.base.plain(), v)))) for v in axis.ends()}
        return len(seen) > 1

    def plain(self) -> dict[str, Any]:
        """Return the study as plain JSON data; `of` reads it."""
        axes = [
            {
                **{key: getattr(axis, key) for key in ("name", "kind", "named", "low", "high", "log", "step")},
                "labels": list(axis.labels),
                "settings": list(axis.settings),
            }
            for axis in self.axes
        ]
        fields = {key: getattr(self, key) for key in self.__dataclass_fields__ if key not in ("base", "axes")}
        return {**fields, "sweep_seeds": list(self.sweep_seeds), "base": self.base.plain(), "axes": axes}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Study":
        """Return the study that `plain` returned."""
        axes = tuple(
            Axis(**{**axis, "labels": tuple(axis["labels"]), "settings": tuple(axis["settings"])})
            for axis in plain["axes"]
        )
        base = RunSpec.model_validate(plain["base"])
        return cls(**{**plain, "sweep_seeds": tuple(plain["sweep_seeds"]), "base": base, "axes": axes})


def _reading(spec: RunSpec) -> list[Any]:
    plain = spec.plain()
    return [spec.bank(), *(plain[key] for key in ("background", "dedup", "curation", "augmentation"))]


def axes_of(space: dict[str, list[Any] | Range | Choices]) -> tuple[Axis, ...]:
    """Return the axes of a space as written, in their order. Raises ValueError where two choices look the same."""
    return tuple(_axis(name, written) for name, written in space.items())


def _axis(name: str, written: list[Any] | Range | Choices) -> Axis:
    if isinstance(written, Range):
        kind = "int" if written.whole else "float"
        return Axis(name, kind, low=written.low, high=written.high, log=written.log, step=written.step)
    if isinstance(written, Choices):
        return Axis(name, "choice", tuple(written.choices), tuple(written.choices.values()), named=True)
    labels = tuple(labels_of(written))
    if len(set(labels)) < len(labels):
        raise ValueError(f"two values are both called '{next(each for each in labels if labels.count(each) > 1)}'")
    return Axis(name, "choice", labels, tuple(written))


def labels_of(values: list[Any]) -> list[str]:
    """Return how values are called: a component by its name, with its parameters where several share the name."""
    short = [_label(value, False) for value in values]
    return [_label(value, short.count(brief) > 1) for value, brief in zip(values, short, strict=True)]


def _label(value: Any, whole: bool) -> str:
    if isinstance(value, list):
        return ", ".join(_label(each, whole) for each in value) or "none"
    if isinstance(value, dict):
        rest = ", ".join(f"{key}={_label(each, True)}" for key, each in value.items() if key != "name")
        name = str(value.get("name", ""))
        return f"{name}({rest})" if rest and (whole or not name) else name
    if value is None:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def studies_of(experiment: str, search: Search, base: RunSpec, sweep_seeds: Iterable[int]) -> dict[str, Study]:
    """Return the studies of an experiment. base: the run of its baseline."""
    axes = axes_of(search.space)
    found = {}
    for name, written in search.studies.items():
        found[name] = Study(
            experiment=experiment,
            name=name,
            algorithm=written.algorithm,
            pruner=search.pruner,
            trials=None if written.matched_to else search.trials,
            matched_to=written.matched_to,
            generation=search.generation,
            finalists=search.finalists,
            seed=seed_for(search.seed, name),
            first_seed=search.first_seed,
            sweep_seeds=tuple(sweep_seeds),
            base=base.with_seed(0),
            axes=tuple(axis for axis in axes if not written.only or axis.name in written.only),
        )
    return found


def with_settings(spec: RunSpec, settings: dict[str, Any]) -> RunSpec:
    """Return a run with further settings changed. Raises ValidationError where no run can be so."""
    return RunSpec.model_validate(merge(spec.plain(), settings)) if settings else spec


def apart(study: Study) -> Study:
    """Return a study without what only decides how far it goes: more trials continue the same study."""
    return replace(study, trials=None, matched_to=None, finalists=0)
