"""The trials of a generation: a function of the study and of the finished earlier generations, and of nothing else."""

from collections.abc import Sequence

from reidflow.search.algorithms._space import Algorithm, clean
from reidflow.search.trial import Proposal, Trial
from reidflow.search.views import sampler_view, space_of
from reidflow.spec import components
from reidflow.spec.search import Axis, Study, Value


def propose(study: Study, generation: int, earlier: Sequence[Trial]) -> list[Proposal]:
    """Return the trials of a whole generation, whatever part of it the budget lets be trained.

    earlier: the finished trials of all earlier generations, in order.
    """
    space = space_of(study)
    algorithm: Algorithm = components.call(
        "algorithm", study.algorithm, space, study.seed, generation, study.generation
    )
    view = sampler_view(study, algorithm, earlier)
    for _ in range(study.generation):
        view.ask(space)
    asked = view.get_trials(deepcopy=False)[len(earlier) :]
    return [
        Proposal({axis.name: _plain(axis, trial.params[axis.name]) for axis in study.axes}, dict(trial.system_attrs))
        for trial in asked
    ]


def _plain(axis: Axis, value: object) -> Value:
    if axis.kind == "choice":
        return str(value)
    if axis.kind == "int":
        return int(value)
    return clean(float(value)) if axis.step else float(value)
