"""What jobs request of a scheduler: GPUs, memory, time, threads, and the group that they run in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reidflow.spec.plan import runs_network
from reidflow.spec.run import RunSpec
from reidflow.workflow.inputs import Inputs, SpecsOf, Wildcards

FEW = 2_000
"""Files of a data set whose local features take minutes on one core."""


def growing(amount: int) -> Callable[[Any, int], int]:
    """Return a resource that doubles with each attempt."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


@dataclass(frozen=True)
class Resources:
    """The requests of the rules of a plan. gpus: of a job that runs a network, 1, or 0 on the CPU."""

    inputs: Inputs
    gpus: int

    @property
    def _compute(self) -> Any:
        return self.inputs.plan.config.compute

    @property
    def small(self) -> dict[str, Any]:
        """Memory, MB, and time, minutes, of a job on tables or features."""
        return {"mem_mb": growing(self._compute.memory_mb), "runtime": growing(self._compute.minutes)}

    @property
    def images(self) -> dict[str, Any]:
        """Memory and time of a job on images."""
        return {"mem_mb": growing(self._compute.image_memory_mb), "runtime": growing(self._compute.minutes)}

    @property
    def network(self) -> dict[str, Any]:
        """GPU, memory and time of a job that runs a network on images."""
        return {"gpu": self.gpus, **self.images}

    @property
    def local(self) -> dict[str, Any]:
        """Memory and time of a job that extracts local features, and a GPU where their matcher runs a network."""
        banks = self.inputs.plan.local_banks
        return {"gpu": lambda wildcards: self.gpus if runs_network(banks()[wildcards.bank]) else 0, **self.images}

    def of_runs(self, specs_of: SpecsOf) -> dict[str, Any]:
        """Return what a job's runs request: no GPU, and less memory, where features suffice."""

        def memory(wildcards: Wildcards, attempt: int) -> int:
            compute = self._compute
            return growing(compute.memory_mb if frozen(specs_of(wildcards)) else compute.image_memory_mb)(None, attempt)

        return {
            "gpu": lambda wildcards: 0 if frozen(specs_of(wildcards)) else self.gpus,
            "mem_mb": memory,
            "runtime": growing(self._compute.minutes),
        }

    def threads(self, specs_of: SpecsOf) -> Callable[[Wildcards], int]:
        """Return the threads of a job's runs, which their specs state: sums depend on them."""
        return lambda wildcards: max(spec.threads for spec in specs_of(wildcards))

    def comparing(self, wildcards: Wildcards) -> int:
        """Return the threads of a job that compares local features, where an experiment's arms rank by them; else 1."""
        return self.matching if self.inputs.local_digests(wildcards) else 1

    @property
    def matching(self) -> int:
        """Threads of a job that extracts or compares local features: one where a job of several would wait for them longer."""
        return self._compute.workers if self.inputs.files_counted > FEW else 1

    def heads(self, specs_of: SpecsOf) -> Callable[[Wildcards], str | None]:
        """Return the group of an experiment's jobs on features: none for jobs that need images."""
        return lambda wildcards: f"heads-{wildcards.experiment}" if frozen(specs_of(wildcards)) else None

    def training(self, wildcards: Wildcards) -> str | None:
        """Return the group of a job that trains reported runs: `heads`, unless a look at runs on images is before it."""
        later = self.inputs.plan.look_of(wildcards.experiment, int(wildcards.batch)) > 0
        return self.heads(self.inputs.all_runs if later else self.inputs.reported)(wildcards)

    def scoring(self, wildcards: Wildcards) -> str:
        """Return the group of what scores an experiment: that of its runs, where none of them needs images."""
        return self.heads(self.inputs.all_runs)(wildcards) or f"scores-{wildcards.experiment}"


def frozen(specs: list[RunSpec]) -> bool:
    """Return whether runs need features alone."""
    return all(spec.frozen for spec in specs)
