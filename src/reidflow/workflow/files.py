"""The paths of all results, as pure functions of the plan. Patterns hold the wildcards of the rules in braces."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reidflow.spec import plan as plans
from reidflow.spec.memo import cached_by_identity
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.winners import candidate_experiments

PER_RUN = ("metrics", "per_query", "history", "efficiency")
"""Tables of an experiment's evaluated runs, by the stem of their files."""


@dataclass(frozen=True)
class Files:
    """The files of a plan's results."""

    plan: Plan

    @property
    def results(self) -> str:
        """The folder of all results."""
        return self.plan.config.results

    @property
    def data(self) -> str:
        """The folder of the data set: manifest, images, groups, the config's own split."""
        return f"{self.results}/data"

    @property
    def tables(self) -> str:
        """The folder of tables and findings."""
        return f"{self.results}/tables"

    @property
    def figures(self) -> str:
        """The folder of figures."""
        return f"{self.results}/figures"

    @property
    def experiment(self) -> str:
        """The pattern of the folder of an experiment's runs."""
        return f"{self.results}/experiments/{{experiment}}"

    @property
    def embedding(self) -> str:
        """The folder of the feature bank that deduplication and curation look at."""
        return f"{self.results}/features/{plans.bank_id(self.plan.embedding())}"

    @property
    def study(self) -> str:
        """The pattern of the record of a study's worker."""
        return f"{self.experiment}/search/{{study}}-{{worker}}.json"

    @property
    def swept(self) -> str:
        """The pattern of the record of a job that tries tuned settings."""
        return f"{self.experiment}/sweep/runs-{{batch}}.json"

    @property
    def trained(self) -> str:
        """The pattern of the record of a job that trains reported runs."""
        return f"{self.experiment}/runs/runs-{{batch}}.json"

    @property
    def look(self) -> str:
        """The pattern of what a look at an experiment's seeds found: the arms that get more."""
        return f"{self.experiment}/looks/{{look}}.json"

    @property
    def answer(self) -> str:
        """The pattern of the answer of an experiment."""
        return f"{self.experiment}/answer.json"

    @property
    def per_run(self) -> dict[str, str]:
        """The patterns of the tables of an experiment's evaluated runs, by name."""
        return {name: f"{self.experiment}/{name}.parquet" for name in PER_RUN}

    @cached_property
    def subsets(self) -> dict[str, RunSpec]:
        """Choices of training images: id -> a run spec that makes it."""
        return self.plan.subsets()

    def log(self, rule: str, job: str = "") -> str:
        """Return the log of a rule's jobs. job: the pattern of the part of its name that differs between them."""
        return f"{self.results}/logs/{rule}/{job}.log" if job else f"{self.results}/logs/{rule}.log"

    def versions(self, background: dict[str, Any]) -> tuple[str, str, str]:
        """Return the table of pixel digests, the small digest and the pixels of the images with a background."""
        if background == plans.ORIGINAL:
            return f"{self.data}/manifest.parquet", f"{self.data}/images.json", f"{self.data}/images.npy"
        folder = f"{self.results}/backgrounds/{plans.background_id(background)}"
        return f"{folder}/pixels.parquet", f"{folder}/images.json", f"{folder}/images.npy"

    def features(self, bank: dict[str, Any]) -> str:
        """Return the array of a feature bank; its digest is beside it (`digest_of`)."""
        return f"{self.results}/features/{plans.bank_id(bank)}/features.npy"

    @property
    def local_bank(self) -> str:
        """The pattern of the folder of a bank of local features."""
        return f"{self.results}/local/{{bank}}"

    @property
    def local_shard(self) -> str:
        """The pattern of what a job writes that extracts local features of a shard of the images."""
        return f"{self.local_bank}/shards/{{shard}}.json"

    def data_shard(self, name: str) -> str:
        """Return the pattern of what a job writes about a shard of the images."""
        return f"{self.data}/shards/{{shard}}.{name}"

    @property
    def bank_shard(self) -> str:
        """The pattern of what a job writes that embeds a shard of the images of a feature bank."""
        return f"{self.results}/features/{{bank}}/shards/{{shard}}.json"

    @property
    def duplicates_shard(self) -> str:
        """The pattern of the near-duplicates of a shard of the images with all images behind them."""
        return f"{self.results}/duplicates/{{method}}/shards/{{shard}}.parquet"

    def network(self, network: dict[str, Any]) -> list[str]:
        """Return the description of a network whose weights are downloaded: it says whether they are available."""
        if network["backbone"].get("weights") != "hub":
            return []
        return [f"{self.results}/backbones/{plans.backbone_id(network)}.json"]

    def keep(self, subset: str) -> str:
        """Return the table of the training images that a choice keeps."""
        return f"{self.results}/subsets/{subset}/keep.parquet"

    def pairs(self, spec: RunSpec) -> str | None:
        """Return the pairs of near-duplicates that a run's choice of images needs."""
        if not spec.dedup:
            return None
        return f"{self.results}/duplicates/{plans.method_id(spec.dedup.method)}/pairs.parquet"

    def split(self, name: str) -> str:
        """Return the folder of a split by its id, or by the name of the folder with the config's own."""
        return self.data if name == Path(self.data).name else f"{self.data}/splits/{name}"

    def network_of(self, spec: RunSpec) -> list[str]:
        """Return the description of the network behind a run, where its weights are downloaded."""
        return self.network(plans.network_of(plans.frozen_bank(spec)))

    def networks_of(self, specs: list[RunSpec]) -> list[str]:
        """Return the descriptions of the downloaded networks behind runs, sorted."""
        return sorted({file for spec in specs for file in self.network_of(spec)})

    def of_run(self, spec: RunSpec) -> tuple[set[str], set[str]]:
        """Return what a run reads beside the split: small files, then arrays."""
        return self._of_run(spec)

    @cached_property
    def _of_run(self) -> Any:
        def found(spec: RunSpec) -> tuple[set[str], set[str]]:
            subset = plans.subset_id(spec)
            small, large = {*self.network_of(spec), *([self.keep(subset)] if subset else [])}, set()
            if spec.frozen:
                banks = (plans.trained_bank(spec), plans.tested_bank(spec))
                large.update(map(self.features, banks))
                small.update(map(digest_of, large))
            else:
                for background in (plans.ORIGINAL, spec.background):
                    pixels, digest, images = self.versions(background)
                    small.update((pixels, digest))
                    large.update((images, f"{self.data}/masks.npy"))
            return small, large

        return cached_by_identity(found)

    def mirrored_array(self, spec: RunSpec) -> str:
        """Return the array that a run reads to embed mirrored images: their features, or the images themselves."""
        return self.features(plans.mirrored_bank(spec)) if spec.frozen else f"{self.data}/images.npy"

    def version_array(self, spec: RunSpec, version: Any) -> str:
        """Return the array that a run reads to be tested on a version of the images."""
        if spec.frozen:
            return self.features(plans.tested_bank(spec, version.background, version.size(spec.model.size)))
        return self.versions(version.background)[2]

    def jobs(self, pattern: str, experiment: str, count: int) -> list[str]:
        """Return the files that `count` jobs of an experiment write."""
        return [pattern.format(experiment=experiment, batch=batch) for batch in range(count)]

    def trained_by(self, experiment: str) -> list[str]:
        """Return the records of all jobs that train an experiment's reported runs."""
        return self.jobs(self.trained, experiment, len(self.plan.training(experiment)))

    def candidate(self, experiment: str) -> dict[str, Any]:
        """Return the paths of an experiment's scores and of the runs behind them, and its arms."""
        return {
            "metrics": self.per_run["metrics"].format(experiment=experiment),
            "runs": self.trained_by(experiment),
            "arms": list(self.plan.experiments[experiment].arms),
        }

    def candidates(self, experiment: str) -> list[str]:
        """Return the names of the experiments among which an experiment looks for the best."""
        return candidate_experiments(self.plan.experiments[experiment], self.plan.experiments)

    def compared_networks(self, experiment: str) -> dict[str, str]:
        """Return arm -> id of its network, in an experiment whose arms differ in it."""
        found = self.plan.experiments[experiment]
        if not any(path.split(".")[:2] in (["model"], ["model", "backbone"]) for path in found.file.varies):
            return {}
        networks = {arm: plans.network_of(plans.frozen_bank(spec.spec)) for arm, spec in found.arms.items()}
        return {arm: plans.backbone_id(network) for arm, network in networks.items()}

    def speeds(self, experiment: str) -> dict[str, str]:
        """Return arm -> the measured speed of its backbone, in an experiment whose arms differ in it."""
        found = self.compared_networks(experiment)
        return {arm: f"{self.results}/backbones/{network}.speed.json" for arm, network in found.items()}


def digest_of(array: str) -> str:
    """Return the small digest file beside an array: what depends on the array depends on it."""
    return array.removesuffix(".npy") + ".json"
