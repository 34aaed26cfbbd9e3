"""The one param of each job: canonical JSON of all that determines it, with the digest of the code that it executes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reidflow.analyses.analysis import Analysis
from reidflow.spec import code
from reidflow.spec import plan as plans
from reidflow.spec.canonical import canonical
from reidflow.spec.memo import cached_by_identity
from reidflow.spec.part_strengths import candidates
from reidflow.spec.run import RunSpec
from reidflow.spec.shards import numbers
from reidflow.workflow.files import Files
from reidflow.workflow.inputs import Inputs, Wildcards

Job = Callable[[Any], str]
plain = cached_by_identity(RunSpec.plain)
modules_of = cached_by_identity(RunSpec.component_modules)
RANKED_POINTS = "reidflow.evaluation.ranked_points"
"""The module that scores points of a grid which differ in their ranking."""


def executed(specs: Iterable[RunSpec]) -> list[str]:
    """Return the modules of the components that runs execute, sorted."""
    return sorted({name for spec in specs for name in modules_of(spec)})


@dataclass(frozen=True)
class Params:
    """The params of the rules of a plan; each method returns a function of a job's wildcards.

    reporting: whether the command only makes Snakemake's report, which prints params as they are.
    """

    inputs: Inputs
    reporting: bool = False

    @property
    def plan(self) -> plans.Plan:
        """The plan."""
        return self.inputs.plan

    @property
    def files(self) -> Files:
        """The results folder."""
        return self.inputs.files

    def job(self, script: str, what: dict[str, Any], modules: Iterable[str] = ()) -> str:
        """Return the param of a job. script: by its stem; modules: what it imports by computed names."""
        roots = [f"workflow/scripts/{script}.py", *modules]
        if self.reporting:
            return roots[0]
        return canonical({"results": self.files.results, "roots": roots, "code": code.digest(*roots), **what})

    def fixed(self, script: str, what: dict[str, Any] | None = None, modules: Iterable[str] = ()) -> Job:
        """Return the param of a rule with one job. It is computed for its own job alone: every process reads all rules."""
        return lambda wildcards: self.job(script, what or {}, modules)

    def experiment(self, script: str, *texts: str, templates: Sequence[str] = (), **what: Any) -> Job:
        """Return the param of a job that loads its experiment.

        texts: those of the author that it prints. templates: the packages whose templates it renders. what: further JSON.
        """

        def job(wildcards: Wildcards) -> str:
            given = {"experiment": self.plan.experiment_params(wildcards.experiment, *texts), **what}
            return self.job(script, given, _files_of(templates))

        return job

    def analysis(self, analysis: Analysis) -> Job:
        """Return the param of a job of an analysis."""

        def job(wildcards: Wildcards) -> str:
            name = wildcards.experiment
            what = {
                "analysis": analysis.key,
                "experiment": self.plan.experiment_params(name, *analysis.texts),
                "params": analysis.params(self.plan, name),
            }
            return self.job("analysis", what, analysis.roots(self.plan.experiments[name]))

        return job

    # Data.

    def draw_demo(self, wildcards: Wildcards) -> str:
        """Return the param of the job that renders the demo's images."""
        return self.job("draw_demo", {"source": self.plan.config.dataset.source})

    def ingest(self, raw: str, modules: Iterable[str], answers: Mapping[str, str] | None = None) -> Job:
        """Return the param of the job that reads the raw data.

        raw: their digest. modules: those of source and frame. answers: file of answers on pairs -> its digest.
        """
        dataset = self.plan.config.dataset.model_dump(mode="json", exclude={"masks"})
        what = {"dataset": dataset, "size": self.plan.store_size(), "raw": raw, "answers": dict(answers or {})}
        return self.fixed("ingest", what, modules)

    def network_masks(self, raw: str, network: str) -> Job:
        """Return the param of the job that computes masks. raw: digest of the raw data; network: of the network's file."""
        dataset = self.plan.config.dataset
        components = [("source", dataset.source), ("segmenter", dataset.masks)] if dataset.masks else []
        given = dataset.model_dump(mode="json", exclude={"frame", "max_bad_share", "review"})
        return self.fixed(
            "network_masks", {"dataset": given, "network": network, "raw": raw}, plans.modules(*components)
        )

    def review(self, answers: Mapping[str, str]) -> Job:
        """Return the param of the job that chooses pairs for a person to compare. answers: as for `ingest`."""
        return self.title("review", templates=["reidflow.pages"], answers=dict(answers))

    def groups(self, wildcards: Any) -> str:
        """Return the param of the job that groups images."""
        return self.job("groups", {"groups": self.plan.config.groups.model_dump(mode="json")})

    def hashes_shard(self, wildcards: Wildcards) -> str:
        """Return the param of a job that hashes a shard of the images."""
        return self.job("hashes_shard", {"shard": numbers(wildcards.shard)})

    def pairs_shard(self, wildcards: Wildcards) -> str:
        """Return the param of a job that compares a shard of the hashes with all others."""
        groups = self.plan.config.groups.model_dump(mode="json")
        return self.job("pairs_shard", {"groups": groups, "shard": numbers(wildcards.shard)})

    def split(self, wildcards: Wildcards) -> str:
        """Return the param of a job that splits the data: by the config's own split, or by that of a wildcard."""
        split = getattr(wildcards, "split", None)
        division = self.plan.splits()[split] if split else self.plan.division
        what = {**division, "groups": self.plan.config.groups.model_dump(mode="json")}
        return self.job("split", what, plans.modules(("split", division["split"])))

    def background(self, wildcards: Any) -> str:
        """Return the param of a job that renders an intervention on backgrounds."""
        background = self.plan.backgrounds()[wildcards.background]
        what = {"background": background, "without_mask": self.plan.config.backgrounds.without_mask}
        return self.job("background", what, plans.modules(("background", background)))

    def features(self, wildcards: Wildcards) -> str:
        """Return the param of a job that makes a feature bank, or embeds a shard of its images."""
        bank = self.plan.banks()[wildcards.bank]
        what = {"bank": bank, "required": wildcards.bank in self.plan.required_banks()}
        what["two_sided"] = wildcards.bank in self.plan.two_sided_banks()
        if shard := getattr(wildcards, "shard", None):
            what["shard"] = numbers(shard)
        return self.job("features", what, plans.bank_modules(bank))

    def local_features(self, raw: str, modules: Iterable[str]) -> Job:
        """Return the param of a job that makes a bank of local features, or extracts those of a shard of the images.

        raw: digest of the raw data; modules: those of source and frame.
        """
        dataset = self.plan.config.dataset.model_dump(mode="json", exclude={"masks", "max_bad_share"})

        def job(wildcards: Wildcards) -> str:
            matcher = self.plan.local_banks()[wildcards.bank]
            what = {"matcher": matcher, "dataset": dataset, "raw": raw}
            what["required"] = wildcards.bank in self.plan.required_local_banks()
            if shard := getattr(wildcards, "shard", None):
                what["shard"] = numbers(shard)
            return self.job("local_features", what, [*modules, *plans.modules(("matcher", matcher))])

        return job

    def backbones(self, names: list[str]) -> Job:
        """Return the param of a job that describes networks."""
        networks = [self.plan.backbones()[name] for name in names]
        executed_by = sorted({module for network in networks for module in plans.network_modules(network)})
        return self.fixed("backbones", {"networks": networks}, executed_by)

    # Choices of training images.

    def duplicates(self, wildcards: Any) -> str:
        """Return the param of a job that finds near-duplicates, of all images or of a shard of them."""
        method, loosest = self.plan.duplicates()[wildcards.method]
        what = {"method": method, "loosest": loosest}
        if shard := getattr(wildcards, "shard", None):
            what["shard"] = numbers(shard)
        return self.job("duplicates", what, plans.modules(("duplicates", method)))

    def keep(self, subsets: list[str]) -> Job:
        """Return the param of a job that makes choices of training images."""

        def job(wildcards: Any) -> str:
            specs = [self.files.subsets[subset] for subset in subsets]
            methods = [("curation", plain(spec)["curation"]["method"]) for spec in specs if spec.curation]
            choices = [
                {
                    "dedup": plain(spec)["dedup"],
                    "curation": plain(spec)["curation"],
                    "pairs": self.files.pairs(spec),
                    "seeds": self.plan.subset_seeds[subset],
                }
                for subset, spec in zip(subsets, specs, strict=True)
            ]
            return self.job("keep", {"choices": choices}, plans.modules(*methods))

        return job

    # Training.

    def _training(self, wildcards: Wildcards, runs: list[list[Any]], specs: list[RunSpec], what: dict[str, Any]) -> str:
        """Return the param of a job that trains runs, given as [arm, ..., which split] and as the specs that they may have."""
        experiment = self.inputs.of(wildcards)
        arms = {arm: experiment.arms[arm] for arm in dict.fromkeys(arm for arm, *_ in runs)}
        downloaded = {name: self.files.networks_of([arm.spec]) for name, arm in arms.items() if not arm.winner_of}
        what = {
            **what,
            "gallery": self.plan.config.gallery,
            "splits": [self.plan.other_split_folder(division) for division in experiment.divisions],
            "baseline": experiment.file.baseline,
            "downloaded": downloaded,
        }
        return self.job("train", what, ["reidflow.training.loop", *executed(specs)])

    def _trained_on(self, wildcards: Wildcards) -> dict[str, Any]:
        split = self.plan.other_split_folder(self.inputs.of(wildcards).division)
        return {"gallery": self.plan.config.gallery, "split": split}

    def sweep(self, wildcards: Wildcards) -> str:
        """Return the param of a job that tries tuned settings."""
        jobs = self.plan.sweep(wildcards.experiment)
        runs = [[arm, plain(spec), number] for arm, spec, number in jobs[int(wildcards.batch)]]
        ranked = self.inputs.scores_points(wildcards)
        what = {"specs": runs, "kept_as": "ranked_sweep" if ranked else "sweep"}
        return self._training(wildcards, runs, self.inputs.swept(wildcards), what)

    def choose(self, wildcards: Wildcards) -> str:
        """Return the param of the job that chooses an experiment's tuned settings."""
        experiment = self.inputs.of(wildcards)
        what = {"grid": experiment.file.tuned, "arms": self._points(wildcards, experiment.arms)}
        if not self.inputs.scores_points(wildcards):
            return self.job("choose", what)
        ranked = {"gallery": self.plan.config.gallery, "ranked_points": RANKED_POINTS}
        return self.job("choose", {**what, **ranked}, [RANKED_POINTS, *plans.ranking_modules(experiment)])

    def train(self, wildcards: Wildcards) -> str:
        """Return the param of a job that trains reported runs."""
        runs = [list(run) for run in self.plan.training(wildcards.experiment)[int(wildcards.batch)]]
        arms = [self.inputs.arms(wildcards)[arm] for arm in dict.fromkeys(arm for arm, *_ in runs)]
        what = {
            "arms": self._points(wildcards, [arm.name for arm in arms]),
            "winner_arms": {arm.name: [arm.winner_of, arm.over] for arm in arms if arm.winner_of},
            "runs": runs,
        }
        return self._training(wildcards, runs, self.inputs.reported(wildcards), what)

    def look(self, wildcards: Wildcards) -> str:
        """Return the param of the job that looks which arms are undecided."""
        what = {**self._evaluating(wildcards), "experiment": self.plan.experiment_params(wildcards.experiment)}
        modules = plans.ranking_modules(self.inputs.of(wildcards))
        return self.job("look", {**what, "look": int(wildcards.look)}, modules)

    def _points(self, wildcards: Wildcards, arms: Iterable[str]) -> dict[str, list[list[Any]]]:
        """Return arm -> [values, plain spec] at every point of its grid."""
        found = {arm: self.inputs.arms(wildcards)[arm].points for arm in arms}
        return {arm: [[values, plain(spec)] for values, spec in points] for arm, points in found.items()}

    def search(self, wildcards: Wildcards) -> str:
        """Return the param of a worker of a study."""
        study = self.inputs.study(wildcards)
        searching = plans.modules(("algorithm", study.algorithm), ("pruner", study.pruner))
        what = {"study": study.plain(), **self._trained_on(wildcards)}
        return self.job("search", what, ["reidflow.training.loop", *searching, *executed(study.variants)])

    def trials(self, wildcards: Wildcards) -> str:
        """Return the param of the job that collects the trials of an experiment."""
        return self.job("trials", {"studies": [study.plain() for study in self.inputs.of(wildcards).studies.values()]})

    # Evaluation.

    def _evaluating(self, wildcards: Wildcards) -> dict[str, Any]:
        return {"gallery": self.plan.config.gallery, "order": list(self.inputs.arms(wildcards))}

    def mirrored(self, wildcards: Wildcards) -> str:
        """Return the param of the job that embeds mirrored images."""
        return self.job("mirrored", self._evaluating(wildcards), executed(self.inputs.all_runs(wildcards)))

    def evaluate(self, wildcards: Wildcards) -> str:
        """Return the param of the job that scores an experiment's runs."""
        arms = {arm.name: arm.slug for arm in self.inputs.arms(wildcards).values()}
        modules = plans.ranking_modules(self.inputs.of(wildcards))
        return self.job("evaluate", {**self._evaluating(wildcards), "arms": arms}, modules)

    def on_other_split(self, wildcards: Wildcards) -> str:
        """Return the param of the job that trains and scores an experiment on a further split."""
        labels = self.inputs.other_splits(wildcards).items()
        what = {
            **self._evaluating(wildcards),
            "split": self.files.split(wildcards.split),
            "label": next(label for label, name in labels if name == wildcards.split),
        }
        ranking = plans.ranking_modules(self.inputs.of(wildcards))
        specs = self.inputs.all_runs(wildcards)
        return self.job("on_other_split", what, ["reidflow.training.loop", *executed(specs), *ranking])

    def tested_on(self, wildcards: Wildcards) -> str:
        """Return the param of the job that tests an experiment's runs on other versions of the images."""
        versions = self.inputs.of(wildcards).file.tested_on
        arms = self.inputs.arms(wildcards).items()
        what = {
            **self._evaluating(wildcards),
            "labels": list(versions),
            "tests": {label: version.model_dump(mode="json") for label, version in versions.items()},
            "arms": self.inputs.version_arrays(wildcards),
            "sizes": {name: [v.size(arm.spec.model.size) for v in versions.values()] for name, arm in arms},
        }
        return self.job("tested_on", what, executed(self.inputs.all_runs(wildcards)))

    def pick_parts(self, wildcards: Wildcards) -> str:
        """Return the param of the job that picks the parts which are tried at other strengths."""
        found = candidates(self.inputs.of(wildcards))
        return self.job("pick_parts", {"arms": {candidate.part: candidate.arm for candidate in found}})

    def strengths(self, wildcards: Wildcards) -> str:
        """Return the param of the job that trains and scores these strengths."""
        runs = self.inputs.strength_runs(wildcards)
        specs = self.inputs.strengthened(wildcards)
        listed = {part: [[name, spec.plain()] for name, spec in own] for part, own in runs.items()}
        what = {**self._trained_on(wildcards), "runs": listed}
        ranking = plans.ranking_modules(self.inputs.of(wildcards))
        return self.job("strengths", what, ["reidflow.training.loop", *executed(specs), *ranking])

    def best(self, wildcards: Wildcards) -> str:
        """Return the param of the job that ranks experiments by validation."""
        names = self.files.candidates(wildcards.experiment)
        return self.job("best", {"candidates": {name: self.files.candidate(name) for name in names}, "order": names})

    def split_runs(self, wildcards: Wildcards) -> str:
        """Return the param of the job that trains and scores the best arm on other splits."""
        specs, choosing = self.inputs.all_runs(wildcards), self.inputs.choosing(wildcards)
        methods = [("curation", spec.curation.method) for spec in choosing if spec.curation]
        pairs = {plans.method_id(spec.dedup.method): self.files.pairs(spec) for spec in choosing if spec.dedup}
        experiment = self.inputs.of(wildcards)
        what = {
            **self._evaluating(wildcards),
            "seeds": list(experiment.baseline.seeds[:1]),
            "split_seeds": experiment.file.candidates.split_seeds,
            "splits": self.inputs.split_folders(wildcards),
            "material": {
                "images": f"{self.files.data}/images.npy",
                "masks": f"{self.files.data}/masks.npy",
                "features": f"{self.files.embedding}/features.npy",
                "pairs": pairs,
            },
        }
        modules = [*executed(specs), *plans.modules(*methods), *plans.ranking_modules(experiment)]
        return self.job("split_runs", what, ["reidflow.training.loop", *modules])

    # Tables.

    def table(self, wildcards: Wildcards) -> str:
        """Return the param of the job that makes an experiment's table."""
        name = wildcards.experiment
        return self.job("table", {"experiment": self.plan.experiment_params(name), "speeds": self.files.speeds(name)})

    def title(self, script: str, templates: Sequence[str] = (), **what: Any) -> Job:
        """Return the param of a job that prints the title of the data set. templates: as in `experiment`."""
        config = self.plan.config
        return self.fixed(script, {**what, "title": config.title, "scale": config.scale}, _files_of(templates))


def _files_of(packages: Sequence[str]) -> list[str]:
    """Return the files of packages that are not Python."""
    return [file for package in packages for file in code.data_files(package)]
