"""What each job reads: functions of its wildcards. Arrays are apart, as jobs depend on their digests instead."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from reidflow.analyses.analysis import Analysis
from reidflow.spec import plan as plans
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import reseeded
from reidflow.spec.experiment import Arm, Experiment
from reidflow.spec.experiment_splits import points_ranked
from reidflow.spec.part_strengths import candidates
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.spec.shards import COMPARED, EMBEDDED, EXTRACTED, PAIRWISE, shards
from reidflow.workflow.files import Files, digest_of


class Wildcards(Protocol):
    """The wildcards of a job, as attributes."""

    experiment: str
    batch: str
    look: str
    study: str
    bank: str
    method: str
    shard: str
    split: str


Paths = str | list[str]
SpecsOf = Callable[[Wildcards], list[RunSpec]]

ARRAYS = ("images", "masks", "features", "versions")
"""The inputs of an analysis that are arrays."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of the rules of a plan. files_counted: the number of the data set's files, which decides the shards."""

    files: Files
    files_counted: int = 0

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.files.plan

    def of(self, wildcards: Wildcards) -> Experiment:
        """Return the experiment of a job."""
        return self.plan.experiments[wildcards.experiment]

    def arms(self, wildcards: Wildcards) -> dict[str, Arm]:
        """Return the arms of a job's experiment."""
        return self.of(wildcards).arms

    # The runs that a job may execute.

    def swept(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return the runs of a job that tries tuned settings."""
        return [spec for _, spec, _ in self.plan.sweep(wildcards.experiment)[int(wildcards.batch)]]

    def reported(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return what a job that trains reported runs may train: every point of its arms' grids, or of a search."""
        job = self.plan.training(wildcards.experiment)[int(wildcards.batch)]
        return [spec for arm in dict.fromkeys(arm for arm, *_ in job) for spec in self.arms(wildcards)[arm].specs]

    def all_runs(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return all runs that an experiment may have."""
        return [spec for arm in self.arms(wildcards).values() for spec in arm.specs]

    def study(self, wildcards: Wildcards) -> Study:
        """Return the study of a job."""
        return self.of(wildcards).studies[wildcards.study]

    def studied(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return runs that read and execute whatever a trial of a study may."""
        return self.study(wildcards).variants

    def strength_runs(self, wildcards: Wildcards) -> dict[str, list[tuple[str, RunSpec]]]:
        """Return part -> (name, run) of every strength and seed at which it may be tried."""
        return {
            candidate.part: [
                (candidate.arm_of(tried), tried.spec.with_seed(seed))
                for tried in candidate.tried
                for seed in candidate.seeds
            ]
            for candidate in candidates(self.of(wildcards))
        }

    def strengthened(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return all runs at other strengths that may be needed; those of the arms where no part has strengths."""
        runs = self.strength_runs(wildcards).values()
        return [spec for own in runs for _, spec in own] or self.all_runs(wildcards)

    # The data of runs.

    def split(self, wildcards: Wildcards) -> str:
        """Return the split of an experiment; of several, the first."""
        return self.splits(wildcards)[0]

    def splits(self, wildcards: Wildcards) -> list[str]:
        """Return the splits of an experiment."""
        return self._of_splits(wildcards, "split.parquet")

    def audits(self, wildcards: Wildcards) -> list[str]:
        """Return the leak audits of an experiment's splits."""
        return self._of_splits(wildcards, "audit.json")

    def _of_splits(self, wildcards: Wildcards, *names: str) -> list[str]:
        folders = map(self.plan.split_folder, self.of(wildcards).divisions)
        return [f"{folder}/{name}" for folder in folders for name in names]

    def data_files(self) -> dict[str, Any]:
        """Return what the caption of a table reads."""
        return {"splits": self.splits, "audits": self.audits, "images": f"{self.files.data}/images.json"}

    def of_runs(self, specs_of: SpecsOf) -> Callable[[Wildcards], list[str]]:
        """Return what lists the small files that a job's runs read: the splits, and digests of features or images."""

        def small(wildcards: Wildcards) -> list[str]:
            splits = self._of_splits(wildcards, "split.parquet", "split.json")
            fixed = [f"{self.files.data}/manifest.parquet", *splits]
            read = [self.files.of_run(spec)[0] for spec in specs_of(wildcards)]
            return [*fixed, *sorted(set().union(*read) - set(fixed))]

        return small

    def arrays_of_runs(self, specs_of: SpecsOf) -> Callable[[Wildcards], list[str]]:
        """Return what lists the arrays that a job's runs read."""
        return lambda wildcards: sorted(set().union(*(self.files.of_run(spec)[1] for spec in specs_of(wildcards))))

    def bank_shards(self, wildcards: Wildcards) -> list[str]:
        """Return what the jobs write that embed shards of the images before a feature bank is made of all."""
        return self._shards(self.files.bank_shard.replace("{bank}", wildcards.bank), EMBEDDED)

    @property
    def hash_shards(self) -> list[str]:
        """Return the perceptual hashes of shards of the images, where they are computed side by side."""
        return self._shards(self.files.data_shard("hashes.npy"), COMPARED)

    @property
    def pair_shards(self) -> list[str]:
        """Return the close pairs of shards of the images, where they are found side by side."""
        return self._shards(self.files.data_shard("pairs.npz"), COMPARED)

    def duplicates_shards(self, wildcards: Wildcards) -> list[str]:
        """Return the near-duplicates of shards of the images, where a method finds them side by side."""
        method, _ = self.plan.duplicates()[wildcards.method]
        pattern = self.files.duplicates_shard.replace("{method}", wildcards.method)
        return self._shards(pattern, PAIRWISE[method["name"]]) if method["name"] in PAIRWISE else []

    def _shards(self, pattern: str, most: int) -> list[str]:
        return [pattern.format(shard=shard) for shard in shards(self.files_counted, most)]

    def bank_pixels(self, wildcards: Wildcards) -> str:
        """Return the digests of the pixels that a feature bank is made from, image by image."""
        return self.files.versions(self._banks[wildcards.bank]["background"])[0]

    def bank_manifest(self, wildcards: Wildcards) -> Paths:
        """Return the manifest, which says what a feature bank leaves out, where it leaves out anything."""
        return [] if wildcards.bank in self.plan.two_sided_banks() else f"{self.files.data}/manifest.parquet"

    def bank_digest(self, wildcards: Wildcards) -> str:
        """Return the digest of all of these pixels."""
        return self.files.versions(self._banks[wildcards.bank]["background"])[1]

    def bank_network(self, wildcards: Wildcards) -> list[str]:
        """Return the description of the network of a feature bank, where its weights are downloaded."""
        return self.files.network(plans.network_of(self._banks[wildcards.bank]))

    def bank_images(self, wildcards: Wildcards) -> str:
        """Return the pixels that a feature bank is made from."""
        return self.files.versions(self._banks[wildcards.bank]["background"])[2]

    @cached_property
    def _banks(self) -> dict[str, dict[str, Any]]:
        return self.plan.banks()

    def local_shards(self, wildcards: Wildcards) -> list[str]:
        """Return what the jobs write that extract local features of shards of the images before a bank is made of all."""
        return self._shards(self.files.local_shard.replace("{bank}", wildcards.bank), EXTRACTED)

    def local_digests(self, wildcards: Wildcards) -> list[str]:
        """Return the digests of the banks of local features that an experiment's arms are ranked by."""
        return [f"{folder}/local.json" for folder in self.local_folders(wildcards).values()]

    def local_arrays(self, wildcards: Wildcards) -> list[str]:
        """Return the other files of these banks."""
        names = ("rows.parquet", "points.npy", "descriptors.npy")
        return [f"{folder}/{name}" for folder in self.local_folders(wildcards).values() for name in names]

    def local_folders(self, wildcards: Wildcards) -> dict[str, str]:
        """Return id -> folder of these banks, as `LocalScores` takes them."""
        names = map(plans.local_bank_id, plans.experiment_matchers(self.of(wildcards)))
        return {name: self.files.local_bank.format(bank=name) for name in names}

    # What runs made.

    def ranked_points(self, wildcards: Wildcards) -> list[str]:
        """Return what scores validation queries by each point of a grid, where training's own validation does not say it."""
        if not self.scores_points(wildcards):
            return []
        return [f"{self.files.data}/manifest.parquet", *self.splits(wildcards)]

    def scores_points(self, wildcards: Wildcards) -> bool:
        """Return whether points of an experiment's grid are scored by ranking."""
        experiment = self.of(wildcards)
        return points_ranked(experiment.file.tuned, experiment.division)

    def points_local(self, wildcards: Wildcards) -> list[str]:
        """Return the digests of the banks of local features that these points are ranked by."""
        return self.local_digests(wildcards) if self.ranked_points(wildcards) else []

    def points_local_arrays(self, wildcards: Wildcards) -> list[str]:
        """Return the arrays of these banks."""
        return self.local_arrays(wildcards) if self.ranked_points(wildcards) else []

    def sweeps(self, wildcards: Wildcards) -> list[str]:
        """Return the records of all jobs that try an experiment's tuned settings."""
        name = wildcards.experiment
        return self.files.jobs(self.files.swept, name, len(self.plan.sweep(name)))

    def runs(self, wildcards: Wildcards) -> list[str]:
        """Return the records of all jobs that train an experiment's reported runs."""
        return self.files.trained_by(wildcards.experiment)

    def undecided(self, wildcards: Wildcards) -> Paths:
        """Return what the look before found, where a job trains seeds that are added to undecided arms."""
        look = self.plan.look_of(wildcards.experiment, int(wildcards.batch))
        return self.files.look.format(experiment=wildcards.experiment, look=look - 1) if look else []

    def looked_at(self, wildcards: Wildcards) -> list[str]:
        """Return the records of the jobs that train the seeds of a look and of those before."""
        name, look = wildcards.experiment, int(wildcards.look)
        return [
            file for batch, file in enumerate(self.files.trained_by(name)) if self.plan.look_of(name, batch) <= look
        ]

    def chosen(self, wildcards: Wildcards) -> Paths:
        """Return the choices of an experiment's tuned settings, where it has any."""
        return self._own("chosen.json", wildcards) if self.of(wildcards).tuned else []

    def winners(self, wildcards: Wildcards) -> Paths:
        """Return what an experiment's search or ranking found, where arms are made of it."""
        if self.of(wildcards).studies:
            return self._own("winners.json", wildcards)
        return self._own("best.json", wildcards) if self.of(wildcards).file.candidates else []

    def _own(self, name: str, wildcards: Wildcards) -> str:
        return f"{self.files.experiment}/{name}".format(experiment=wildcards.experiment)

    def matched_record(self, wildcards: Wildcards) -> Paths:
        """Return the record of the study that a study's budget is matched to."""
        other = self.study(wildcards).matched_to
        return self._record(wildcards, other, 0) if other else []

    def records(self, wildcards: Wildcards) -> list[str]:
        """Return the record of each study, which all of its workers write alike: that of the first."""
        return [self._record(wildcards, study, 0) for study in self.of(wildcards).studies]

    def workers(self, wildcards: Wildcards) -> list[str]:
        """Return the records of the further workers of each study."""
        count = self.plan.config.compute.search_workers
        studies = self.of(wildcards).studies
        return [self._record(wildcards, study, worker) for study in studies for worker in range(1, count)]

    def _record(self, wildcards: Wildcards, study: str, worker: int) -> str:
        return self.files.study.format(experiment=wildcards.experiment, study=study, worker=worker)

    # What is evaluated beside the arms' own runs.

    def mirrored_arrays(self, wildcards: Wildcards) -> list[str]:
        """Return the array of each run behind the arms of an experiment that also rank by mirrored images."""
        arms = plans.mirroring(self.of(wildcards))
        return sorted({self.files.mirrored_array(run) for arm in arms for run in arm.specs})

    def mirrored_digests(self, wildcards: Wildcards) -> list[str]:
        """Return the digests of these arrays."""
        return list(map(digest_of, self.mirrored_arrays(wildcards)))

    def mirrored(self, wildcards: Wildcards) -> Paths:
        """Return the embeddings of mirrored images, where an experiment ranks by them."""
        return self._own("mirrored.parquet", wildcards) if self.mirrored_arrays(wildcards) else []

    def other_splits(self, wildcards: Wildcards) -> dict[str, str]:
        """Return label -> name of the further splits that an experiment is trained and tested on."""
        also_on = self.of(wildcards).also_on
        return {label: Path(self.plan.split_folder(division)).name for label, division in also_on.items()}

    def other_split(self, wildcards: Wildcards) -> list[str]:
        """Return the further split of a job, and its digest."""
        return [f"{self.files.split(wildcards.split)}/split.{suffix}" for suffix in ("parquet", "json")]

    def on_other_splits(self, suffix: str) -> Callable[[Wildcards], list[str]]:
        """Return what lists the scores of an experiment's runs on its further splits, in the order of its file."""
        return lambda wildcards: [
            self._own(f"also_on/{name}.{suffix}", wildcards) for name in self.other_splits(wildcards).values()
        ]

    def also_on(self, wildcards: Wildcards) -> Paths:
        """Return the metrics of an experiment's runs on further splits, where it has any."""
        return self._own("also_on.parquet", wildcards) if self.of(wildcards).also_on else []

    def _also_on_queries(self, wildcards: Wildcards) -> Paths:
        return self._own("also_on.per_query.parquet", wildcards) if self.of(wildcards).also_on else []

    def version_arrays(self, wildcards: Wildcards) -> dict[str, list[str]]:
        """Return arm -> arrays of the versions that it is tested on, in the order of the experiment's file."""
        versions = self.of(wildcards).file.tested_on.values()
        arms = self.arms(wildcards).items()
        return {name: [self.files.version_array(arm.spec, version) for version in versions] for name, arm in arms}

    def tested_arrays(self, wildcards: Wildcards) -> list[str]:
        """Return all of these arrays, sorted."""
        return sorted({array for arrays in self.version_arrays(wildcards).values() for array in arrays})

    def tested_digests(self, wildcards: Wildcards) -> list[str]:
        """Return the digests of these arrays."""
        return list(map(digest_of, self.tested_arrays(wildcards)))

    def tested_on(self, wildcards: Wildcards) -> Paths:
        """Return the scores of an experiment's runs on other versions of the images, where it has any."""
        return self._own("tested_on.parquet", wildcards) if self.of(wildcards).file.tested_on else []

    def best_candidates(self, wildcards: Wildcards) -> list[str]:
        """Return scores and runs of the experiments among which an experiment looks for the best."""
        found = map(self.files.candidate, self.files.candidates(wildcards.experiment))
        return [path for candidate in found for path in [candidate["metrics"], *candidate["runs"]]]

    def split_folders(self, wildcards: Wildcards) -> list[str]:
        """Return the folders of the splits that the best arm is trained on as well."""
        seeds = self.of(wildcards).file.candidates.split_seeds
        return [self.plan.split_folder(reseeded(self.plan.division, seed)) for seed in seeds]

    def drawn_splits(self, wildcards: Wildcards) -> list[str]:
        """Return these splits and their digests."""
        folders = self.split_folders(wildcards)
        return [f"{folder}/split.{suffix}" for folder in folders for suffix in ("parquet", "json")]

    def split_runs(self, wildcards: Wildcards) -> Paths:
        """Return the metrics of an experiment's runs on these splits, where it has any."""
        return self._own("split_runs.parquet", wildcards) if self.of(wildcards).file.candidates.split_seeds else []

    def choosing(self, wildcards: Wildcards) -> list[RunSpec]:
        """Return the runs that may have to choose their training images on each split."""
        return [spec for spec in self.all_runs(wildcards) if plans.subset_id(spec)]

    def choosing_files(self, wildcards: Wildcards) -> list[str]:
        """Return the small files that the methods which choose training images look at."""
        specs = self.choosing(wildcards)
        pairs = {self.files.pairs(spec) for spec in specs} - {None}
        return sorted(
            {*pairs, f"{self.files.data}/images.json", f"{self.files.embedding}/features.json"} if specs else ()
        )

    def choosing_arrays(self, wildcards: Wildcards) -> list[str]:
        """Return the arrays that they look at."""
        arrays = [f"{self.files.data}/{name}.npy" for name in ("images", "masks")]
        return [*arrays, f"{self.files.embedding}/features.npy"] if self.choosing(wildcards) else []

    def subset_pairs(self, subsets: list[str]) -> list[str]:
        """Return the pairs of near-duplicates that choices of training images need."""
        return sorted(set(filter(None, (self.files.pairs(self.files.subsets[subset]) for subset in subsets))))

    def subset_scores(self, subsets: list[str]) -> Paths:
        """Return the scores of the training images, where a choice needs them."""
        needed = any(self.files.subsets[subset].curation for subset in subsets)
        return f"{self.files.results}/curation/scores.parquet" if needed else []

    def speeds(self, wildcards: Wildcards) -> list[str]:
        """Return the measured speeds of an experiment's backbones, where its arms differ in them."""
        return sorted(set(self.files.speeds(wildcards.experiment).values()))

    # What an analysis reads.

    def named(self, name: str, wildcards: Wildcards) -> Paths:
        """Return the files behind a name of `INPUTS` of an analysis. Raises ReidflowError for an unknown name."""
        files, experiment = self.files, wildcards.experiment
        table, data, own = f"{files.tables}/{experiment}", files.data, self._own
        fixed = {
            **{
                name: path.format(experiment=experiment) for name, path in files.per_run.items() if name != "efficiency"
            },
            "results": f"{table}.parquet",
            "efficiency": f"{table}.efficiency.parquet",
            "comparisons": f"{table}.identities.parquet",
            "trials": f"{table}.trials.parquet",
            "trials_efficiency": f"{table}.trials.efficiency.parquet",
            "manifest": f"{data}/manifest.parquet",
            "images": f"{data}/images.npy",
            "masks": f"{data}/masks.npy",
            "scores": f"{files.results}/curation/scores.parquet",
            "truth": f"{data}/truth.parquet" if self.plan.config.dataset.source["name"] == "demo" else [],
            "picked": own("picked.json", wildcards),
            "strengths": own("strengths.parquet", wildcards),
            "best": own("best.json", wildcards),
        }
        if name in fixed:
            return fixed[name]
        found: dict[str, Callable[[Wildcards], Paths]] = {
            "split": self.split,
            "audit": lambda wildcards: self.audits(wildcards)[0],
            "runs": self.runs,
            "mirrored": self.mirrored,
            "local": self.local_digests,
            "chosen": self.chosen,
            "winners": self.winners,
            "also_on": self.also_on,
            "also_on_queries": self._also_on_queries,
            "tested_on": self.tested_on,
            "split_runs": self.split_runs,
            "keep": self._keep,
            "pairs": self._pairs,
            "features": self._baseline_features,
            "versions": self._version_images,
            "audits": lambda wildcards: [f"{folder}/audit.json" for folder in self.split_folders(wildcards)],
            "other_results": self._other_results,
        }
        if name not in found:
            known = ", ".join(sorted({*fixed, *found}))
            raise ReidflowError(f"an analysis reads '{name}', which is not an input. Its INPUTS may name: {known}.")
        return found[name](wildcards)

    def of_analysis(self, analysis: Analysis) -> Callable[[Wildcards], dict[str, Paths]]:
        """Return what lists the small files that an analysis reads, by name, with the digests of its arrays."""

        def small(wildcards: Wildcards) -> dict[str, Paths]:
            found = {name: self.named(name, wildcards) for name in analysis.inputs if name not in ARRAYS}
            return {**found, "digests": self._digests(analysis, wildcards)}

        return small

    def array(self, analysis: Analysis, name: str) -> Callable[[Wildcards], Paths]:
        """Return what lists an array that an analysis reads, nothing where it does not."""
        return lambda wildcards: self.named(name, wildcards) if name in analysis.inputs else []

    def local_arrays_of(self, analysis: Analysis) -> Callable[[Wildcards], list[str]]:
        """Return what lists the arrays of local features that an analysis reads, nothing where it does not."""
        return lambda wildcards: self.local_arrays(wildcards) if "local" in analysis.inputs else []

    def _digests(self, analysis: Analysis, wildcards: Wildcards) -> list[str]:
        found = []
        for name in ARRAYS:
            paths = self.named(name, wildcards) if name in analysis.inputs else []
            found += [paths] if isinstance(paths, str) else paths
        # Masks have no digest of their own: they are made with the images.
        return sorted({digest_of(path.replace("/masks.npy", "/images.npy")) for path in found})

    def _keep(self, wildcards: Wildcards) -> list[str]:
        return [self.files.keep(subset) for subset in sorted(set(plans.subsets_of(self.of(wildcards)).values()))]

    def _pairs(self, wildcards: Wildcards) -> list[str]:
        methods = plans.dedup_methods(self.plan, self.of(wildcards))
        return [f"{self.files.results}/duplicates/{method}/pairs.parquet" for method in methods]

    def _baseline_features(self, wildcards: Wildcards) -> list[str]:
        spec = self.of(wildcards).baseline.spec
        return [self.files.features(plans.tested_bank(spec))] if spec.frozen else []

    def _version_images(self, wildcards: Wildcards) -> list[str]:
        return [self.files.versions(v.background)[2] for v in self.of(wildcards).file.tested_on.values()]

    def _other_results(self, wildcards: Wildcards) -> list[str]:
        names = [name for name in self.plan.experiments if name != wildcards.experiment]
        return [f"{self.files.tables}/{name}.parquet" for name in names]
