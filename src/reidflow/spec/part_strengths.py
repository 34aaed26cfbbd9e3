"""The strengths at which the best parts of an experiment are tried, as run specs."""

from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from reidflow.spec.config_errors import first_message
from reidflow.spec.errors import Problems
from reidflow.spec.expansion import ADD, roles
from reidflow.spec.memo import cached_by_identity
from reidflow.spec.merge import put
from reidflow.spec.run import RunSpec

if TYPE_CHECKING:
    from reidflow.spec.experiment import Experiment
    from reidflow.spec.experiment_file import ExperimentFile


class Tried(NamedTuple):
    """One strength of a part: how it is called, the run (with the seed 0), and whether it is that of the part's arm."""

    label: str
    spec: RunSpec
    declared: bool


class Candidate(NamedTuple):
    """A part that has strengths: the arm that has it alone, its seeds, and the strengths, weakest first."""

    part: str
    arm: str
    seeds: tuple[int, ...]
    tried: tuple[Tried, ...]

    def arm_of(self, tried: Tried) -> str:
        """Return the name under which the runs of one strength are evaluated."""
        return f"{self.arm}, {tried.label}"


@cached_by_identity
def candidates(experiment: "Experiment") -> list[Candidate]:
    """Return the parts of an experiment that may be tried at other strengths, in the order of its arms."""
    file, found = experiment.file, []
    for arm, role in roles(file.arms, file.parts).items():
        if role.kind == ADD and (part := file.parts[role.path][role.part]).strengths:
            made = experiment.arms[arm]
            tried = [
                Tried(label(strength), spec, spec == made.spec)
                for strength in part.strengths
                for spec in [_with(made.spec, role.path, part.stronger(strength))]
            ]
            found.append(Candidate(role.part, arm, made.seeds, tuple(tried)))
    return found


def strength_specs(experiment: "Experiment") -> list[RunSpec]:
    """Return the runs, with the seed 0, of all strengths of an experiment's parts."""
    return [tried.spec for candidate in candidates(experiment) for tried in candidate.tried]


def label(strength: dict) -> str:
    """Return how a strength is called: `p = 0.5`."""
    return ", ".join(f"{name} = {value}" for name, value in strength.items())


def check_strengths(file: "ExperimentFile", base: RunSpec, where: str, problems: Problems) -> None:
    """Report the strengths that no run can have. base: the run of the baseline."""
    if file.tuned and any(part.strengths for parts in file.parts.values() for part in parts.values()):
        problems.add(
            f"{where}, key 'tuned'",
            "settings are tuned per arm, and the strengths of parts are tried at one setting.",
            "Remove 'tuned' or the strengths.",
        )
    for path, parts in file.parts.items():
        for name, part in parts.items():
            place = f"{where}, key 'parts.{path}.{name}.strengths'"
            labels = [label(strength) for strength in part.strengths]
            if len(labels) == 1 or len(set(labels)) < len(labels):
                problems.add(place, "a curve needs two strengths or more, all different.", "Add some, or remove it.")
            for strength in part.strengths:
                try:
                    _with(base, path, part.stronger(strength))
                except ValidationError as error:
                    problems.add(place, f"{label(strength)}: {first_message(error, RunSpec)}", "")


def _with(spec: RunSpec, path: str, value: dict) -> RunSpec:
    """Return the run with this component alone at the path."""
    return RunSpec.model_validate(put(spec.plain(), path, [value]))
