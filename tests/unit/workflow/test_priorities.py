"""The order in which experiments finish: by priorities that Snakemake's DAG holds."""

import inspect
from types import SimpleNamespace

import snakemake.api  # noqa: F401 - first, for its modules import each other
from snakemake.dag import DAG

from reidflow.workflow.startup import prioritize


class Job:
    def __init__(self, experiment: str = "") -> None:
        self.wildcards_dict = {"experiment": experiment} if experiment else {}


def test_a_job_runs_for_the_first_experiment_that_needs_it():
    data, bank, chosen = Job(), Job(), Job()
    first, second, third = Job("first"), Job("second"), Job("third")
    needed = {first: [data], second: [bank], third: [bank, chosen], bank: [data], data: [], chosen: []}
    dag = SimpleNamespace(needrun_jobs=lambda: list(needed), dependencies=needed, _priority={chosen: 10**9})
    prioritize(dag, ["first", "second", "third"])
    priority = dag._priority
    assert [priority[job] for job in (data, first, bank, second, third)] == [3, 3, 2, 2, 1]
    assert priority[chosen] == 10**9


def test_snakemakes_scheduler_reads_the_priorities_that_are_set_here():
    source = inspect.getsource(DAG)
    assert "self._priority[job]" in inspect.getsource(DAG.priority) and "self._dependencies" in source
    assert inspect.getsource(DAG.dependencies.fget).strip().endswith("self._dependencies")
