"""What the Snakefile needs: the config, its experiments, and the jobs behind them, all checked."""

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import ceil
from pathlib import Path
from typing import Any

from reidflow.spec import config as configs
from reidflow.spec.canonical import canonical, short
from reidflow.spec.components import context, module_name, needing
from reidflow.spec.config import Config, check_results
from reidflow.spec.description import describe, digest_of
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.evaluation import Version, division, reseeded, split_id
from reidflow.spec.experiment import Arm, Experiment, read_all
from reidflow.spec.memo import cached_by_identity
from reidflow.spec.network_names import unknown_network
from reidflow.spec.part_strengths import strength_specs
from reidflow.spec.run import ORIGINAL, RunSpec
from reidflow.spec.submission import candidate_networks, check_submission, chosen_arms, mirroring_specs
from reidflow.spec.winners import CANDIDATES, candidate_experiments

BEYOND = 1.5


# Snakemake takes the `repr` of functions that rules are given, and that of methods holds all of the plan.
@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A config with its checked experiments. What it returns is not to be changed: some of it is computed once.

    descriptions: digest -> description of an experiment, of those that `experiment_params` has named.
    """

    config: Config
    experiments: dict[str, Experiment]
    where: str
    descriptions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @cache
    def sweep(self, experiment: str) -> list[list[tuple[str, RunSpec, int]]]:
        """Return the jobs that try an experiment's tuned settings: (arm, run, which of its splits) of each.

        Every point is tried with every sweep seed on every split of the experiment.
        """
        found = self.experiments[experiment]
        # What is tuned is tuned for one run. Points that differ in the ranking alone share it.
        single = {arm.name: _distinct([spec.runs()[0] for _, spec in arm.points]) for arm in found.arms.values()}
        tried = [
            (arm, spec.with_seed(seed), number)
            for number in range(len(found.divisions))
            for arm in found.arms.values()
            for spec in single[arm.name]
            for seed in found.sweep_seeds
        ]
        return [[(arm.name, spec, number) for arm, spec, number in job] for job in self._jobs(tried)]

    @cache
    def training(self, experiment: str) -> list[list[tuple[str, int, int]]]:
        """Return the jobs that train an experiment's reported runs: (arm, seed, which of its splits) of each.

        The arm's setting is chosen. Where seeds are added to undecided arms, the jobs of a look follow those of the look
        before, and train the seeds that it adds to the arms which are undecided then.
        """
        found = self.experiments[experiment]
        arms = list(found.arms.values())
        jobs = []
        for look in range(max(len(arm.looks) for arm in arms)):
            added = [(arm, *run) for arm in arms if look < len(arm.looks) for run in found.runs(arm.looks[look])]
            jobs += self._jobs(added)
        return [[(arm.name, seed, number) for arm, seed, number in job] for job in jobs]

    def look_of(self, experiment: str, batch: int) -> int:
        """Return the number of the look, from 0, for which a job trains an experiment's reported runs."""
        arm, seed, _ = self.training(experiment)[batch][0]
        return self.experiments[experiment].arms[arm].look_of(seed)

    def _jobs(self, runs: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
        """Return the runs cut into jobs of equal size: those on features, a second each, apart from those on images."""
        compute = self.config.compute
        jobs = []
        for frozen, most in ((True, compute.feature_runs_per_job), (False, compute.runs_per_job)):
            alike = [run for run in runs if run[0].frozen == frozen]
            size = ceil(len(alike) / ceil(len(alike) / most)) if alike else most
            jobs += [alike[start : start + size] for start in range(0, len(alike), size)]
        return jobs

    @cache
    def banks(self) -> dict[str, dict[str, Any]]:
        """Return the feature banks that the experiments need: id -> what decides the features."""
        found = [bank for experiment in self.experiments.values() for bank in _banks(experiment)]
        if self.subsets():
            found.append(self.embedding())
        found += [mirrored_bank(spec) for spec in mirroring_specs(self.config, self.experiments) if spec.frozen]
        return {bank_id(bank): bank for bank in found}

    @cache
    def two_sided_banks(self) -> frozenset[str]:
        """Return the feature banks that hold labelled images of the side `gallery`: most experiments leave these aside.

        They are the banks of experiments that match across sides, of the submission, and of the choice of images.
        """
        across = [
            experiment
            for experiment in self.experiments.values()
            if any(one["sides"] == "across" for one in (*experiment.divisions, *experiment.also_on.values()))
        ]
        found = [bank for experiment in across for bank in _banks(experiment)]
        submitted = [self.experiments[name].arms[arm] for name, arm, _ in chosen_arms(self.config, self.experiments)]
        specs = [spec for arm in submitted for spec in arm.specs if spec.frozen]
        found += [bank for spec in specs for bank in (tested_bank(spec), mirrored_bank(spec))]
        if self.subsets():
            found.append(self.embedding())
        return frozenset(map(bank_id, found))

    @cache
    def splits(self) -> dict[str, dict[str, Any]]:
        """Return the splits beside the config's own that the experiments need: id -> what decides each."""
        found = []
        for experiment in self.experiments.values():
            candidates = experiment.file.candidates
            other_seeds = [reseeded(self.division, seed) for seed in (candidates.split_seeds if candidates else [])]
            found += [*experiment.divisions, *experiment.also_on.values(), *other_seeds]
        return {split_id(other): other for other in found if other != self.division}

    def split_folder(self, division: dict[str, Any]) -> str:
        """Return the folder of a split: that of the data for the config's own."""
        return self.other_split_folder(division) or f"{self.config.results}/data"

    def other_split_folder(self, division: dict[str, Any]) -> str | None:
        """Return the folder of a split where it is not the config's own."""
        return None if division == self.division else f"{self.config.results}/data/splits/{split_id(division)}"

    @cached_property
    def division(self) -> dict[str, Any]:
        """What decides the config's own split."""
        return division(self.config)

    @cache
    def backbones(self) -> dict[str, dict[str, Any]]:
        """Return the networks behind the experiments' arms: id -> backbone, size, pooling, and how it computes."""
        networks = [network_of(frozen_bank(spec)) for spec in self._specs()]
        return {backbone_id(network): network for network in networks}

    @cache
    def required_banks(self) -> list[str]:
        """Return the feature banks without which nothing can be compared: of baselines, and of the choice of images."""
        baselines = [experiment.baseline for experiment in self.experiments.values()]
        specs = [spec for arm in baselines for _, spec in arm.points if spec.frozen]
        banks = [bank for spec in specs for bank in (trained_bank(spec), tested_bank(spec))]
        return sorted({bank_id(bank) for bank in [*banks, *([self.embedding()] if self.subsets() else [])]})

    @cache
    def embedding(self) -> dict[str, Any]:
        """Return the feature bank that deduplication and curation look at: the protocol's backbone, frozen."""
        return frozen_bank(self.config.protocol)

    @property
    def reviewed(self) -> bool:
        """Whether doubtful labels are looked for: where the experiments need the features of the protocol's backbone."""
        return bank_id(self.embedding()) in self.banks()

    @cache
    def local_banks(self) -> dict[str, dict[str, Any]]:
        """Return the banks of local features that the experiments need: id -> resolved matcher."""
        found = [matcher for experiment in self.experiments.values() for matcher in experiment_matchers(experiment)]
        return {local_bank_id(matcher): matcher for matcher in found}

    @cache
    def required_local_banks(self) -> list[str]:
        """Return the banks of local features without which nothing can be compared: of the baselines' rankings."""
        baselines = [experiment.baseline for experiment in self.experiments.values()]
        rankings = [spec.ranking for arm in baselines for _, spec in arm.points if spec.ranking]
        return sorted({local_bank_id(score.matcher) for ranking in rankings for score in ranking.local})

    @cache
    def backgrounds(self) -> dict[str, dict[str, Any]]:
        """Return the interventions on the background that the experiments need: id -> resolved component."""
        found = [spec.background for spec in self._specs()]
        for experiment in self.experiments.values():
            found += [version.background for version in experiment.file.tested_on.values()]
        return {background_id(background): background for background in found if background != ORIGINAL}

    @cache
    def subsets(self) -> dict[str, RunSpec]:
        """Return the choices of training images that the experiments need: id -> a run spec that makes it."""
        return {subset_id(spec): spec for spec in self._specs() if subset_id(spec)}

    @cache
    def families(self) -> dict[str, list[str]]:
        """Return the choices of training images by their methods: those of one family differ in parameters alone."""
        found: dict[str, list[str]] = {}
        for subset, spec in self.subsets().items():
            methods = [part.method["name"] for part in (spec.dedup, spec.curation) if part]
            found.setdefault("_".join(methods).replace(".", "_"), []).append(subset)
        return found

    @cached_property
    def subset_seeds(self) -> dict[str, list[int]]:
        """The seeds of all runs that train on a choice of images, by its id: a random one differs for each."""
        found: dict[str, set[int]] = {}
        for experiment in self.experiments.values():
            for arm in experiment.arms.values():
                seeds = {*arm.possible_seeds, *(experiment.sweep_seeds if experiment.tuned else ())}
                for subset in dict.fromkeys(subset_id(spec) for spec in arm.specs):
                    found.setdefault(subset, set()).update(seeds)
        return {subset: sorted(seeds) for subset, seeds in found.items()}

    @cache
    def duplicates(self) -> dict[str, tuple[dict[str, Any], float]]:
        """Return the deduplication methods in use: id -> resolved component, and how far apart to look for pairs.

        That is half as far again as the loosest threshold of any run, so that what lies beyond it can be seen.
        """
        found: dict[str, tuple[dict[str, Any], float]] = {}
        for spec in self._specs():
            if spec.dedup:
                method, name = spec.dedup.method, method_id(spec.dedup.method)
                loosest = max(BEYOND * spec.dedup.threshold, found[name][1] if name in found else 0.0)
                found[name] = (method, loosest)
        return found

    @cache
    def experiment_params(self, experiment: str, *texts: str) -> dict[str, str]:
        """Return what names an experiment in the param of a job: its name, and the digest of its description.

        texts: which of the author's texts the job prints (`TEXTS`). `store.experiments.load_experiment` loads it.
        """
        description = describe(self.config, self.experiments[experiment], texts)
        digest = digest_of(description)
        self.descriptions[digest] = description
        return {"name": experiment, "digest": digest}

    @cache
    def store_size(self) -> int:
        """Return the side of the stored images: the largest that any arm trains on or is tested on, pixels."""
        sides = [side for experiment in self.experiments.values() for side in _sides(experiment)]
        # Without candidates of its own, a submission chooses among the experiments' networks.
        changes = self.config.submission.candidates
        networks = candidate_networks(self.config.protocol, [], changes) if changes else []
        return max([*sides, *(network.model.size for network in networks)])

    @cache
    def _specs(self) -> list[RunSpec]:
        arms = [arm for experiment in self.experiments.values() for arm in experiment.arms.values()]
        return [spec for arm in arms for spec in arm.specs]


def _distinct(specs: list[RunSpec]) -> list[RunSpec]:
    return list({canonical(spec.plain()): spec for spec in specs}.values())


def modules(*components: tuple[str, dict[str, Any]]) -> list[str]:
    """Return the dotted modules of resolved components given as (kind, spec), sorted."""
    return sorted({module_name(kind, spec["name"]) for kind, spec in components})


def ranking_modules(experiment: Experiment) -> list[str]:
    """Return the dotted modules by which an experiment's embeddings are ranked: geometries and inference methods."""
    geometries = [("geometry", spec.model.geometry) for arm in experiment.arms.values() for spec in arm.specs]
    points = [spec for arm in experiment.arms.values() for _, spec in arm.points]
    local = {name for spec in points if spec.ranking for name in spec.ranking.modules()}
    return sorted({*modules(*geometries, *(("inference", step) for spec in points for step in spec.inference)), *local})


def experiment_matchers(experiment: Experiment) -> list[dict[str, Any]]:
    """Return the resolved matchers whose local features an experiment's arms are ranked by, each once."""
    rankings = [spec.ranking for arm in experiment.arms.values() for _, spec in arm.points if spec.ranking]
    found = [score.matcher for ranking in rankings for score in ranking.local]
    return list({local_bank_id(matcher): matcher for matcher in found}.values())


def local_bank_id(matcher: dict[str, Any]) -> str:
    """Return the folder name of a bank of local features."""
    return f"{matcher['name']}-{short(matcher)}"


def runs_network(matcher: dict[str, Any]) -> bool:
    """Return whether a matcher runs a network, for which there may be a GPU."""
    return "device" in context("matcher", matcher["name"])


def subsets_of(experiment: Experiment) -> dict[str, str]:
    """Return arm -> id of its choice of training images, for each arm that leaves some out."""
    found = {arm.name: subset_id(arm.spec) for arm in experiment.arms.values()}
    return {arm: subset for arm, subset in found.items() if subset}


def dedup_methods(plan: Plan, experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Return the deduplication methods of an experiment: id -> method, thresholds of its arms, loosest threshold."""
    found: dict[str, dict[str, Any]] = {}
    for arm in experiment.arms.values():
        if arm.spec.dedup:
            name = method_id(arm.spec.dedup.method)
            method = {"method": arm.spec.dedup.method, "thresholds": [], "loosest": plan.duplicates()[name][1]}
            found.setdefault(name, method)["thresholds"].append(arm.spec.dedup.threshold)
    return {name: {**method, "thresholds": sorted(set(method["thresholds"]))} for name, method in found.items()}


def bank_id(bank: dict[str, Any]) -> str:
    """Return the folder name of a feature bank."""
    return f"{bank['backbone']['name']}-{short(bank)}"


def network_of(bank: dict[str, Any]) -> dict[str, Any]:
    """Return the network of a feature bank, as in `Plan.backbones`."""
    return {key: bank[key] for key in ("backbone", "size", "pooling", "precision", "threads")}


def backbone_id(network: dict[str, Any]) -> str:
    """Return the name of the files that describe a network of `Plan.backbones`."""
    return f"{network['backbone']['name']}-{short(network)}"


def network_modules(network: dict[str, Any]) -> list[str]:
    """Return the dotted modules of the components that make a network of `Plan.backbones`, sorted."""
    return modules(("backbone", network["backbone"]), ("pooling", network["pooling"]))


def frozen_bank(spec: RunSpec, background: dict[str, Any] = ORIGINAL, size: int | None = None) -> dict[str, Any]:
    """Return the bank of the plain features of a run's backbone as it is before any training.

    size: of the images that it sees, where that is not `model.size`; it is built for that one all the same.
    """
    bank = {**spec.untrained_bank(), "background": background}
    return bank if size in (None, spec.model.size) else {**bank, "seen": size}


@cached_by_identity
def trained_bank(spec: RunSpec) -> dict[str, Any]:
    """Return the bank whose features a run with a frozen backbone is trained on."""
    return spec.bank(spec.background) or {}


def mirrored_bank(spec: RunSpec) -> dict[str, Any]:
    """Return the bank with the plain features of the mirror images that a run with a frozen backbone is tested on."""
    return {**frozen_bank(spec), "mirrored": True}


def tested_bank(spec: RunSpec, background: dict[str, Any] = ORIGINAL, size: int | None = None) -> dict[str, Any]:
    """Return a bank with the plain features that a run with a frozen backbone is tested on, as its view 0.

    size: of the tested images, None: `model.size`.
    """
    known = background == spec.background and size in (None, spec.model.size)
    return trained_bank(spec) if known else frozen_bank(spec, background, size)


def background_id(background: dict[str, Any]) -> str:
    """Return the folder name of the images with an intervention on their background."""
    return f"{background['name']}-{short(background)}"


def method_id(method: dict[str, Any]) -> str:
    """Return the folder name of the pairs that a deduplication method finds."""
    return f"{method['name']}-{short(method)}"


@cached_by_identity
def subset_id(spec: RunSpec) -> str:
    """Return the folder name of a run's choice of training images; empty where it takes all of them."""
    if not (spec.dedup or spec.curation):
        return ""
    parts = {key: part for key, part in spec.plain().items() if key in ("dedup", "curation") and part}
    names = [part["method"]["name"] for part in parts.values()]
    return "-".join([*names, short(parts)])


def _banks(experiment: Experiment) -> list[dict[str, Any]]:
    """Return the banks that an experiment's runs are trained on, evaluated on, and tested on as well."""
    versions = [Version(), *experiment.file.tested_on.values()]
    specs = [spec for arm in experiment.arms.values() for spec in arm.specs]
    specs = [spec for spec in [*specs, *strength_specs(experiment)] if spec.frozen]
    tested = [tested_bank(s, v.background, v.size(s.model.size)) for s in specs for v in versions]
    mirrored = [mirrored_bank(run) for arm in mirroring(experiment) for run in arm.specs if run.frozen]
    return [*map(trained_bank, specs), *tested, *mirrored]


def mirroring(experiment: Experiment) -> list[Arm]:
    """Return the arms whose inference uses mirrored images."""
    arms = experiment.arms.values()
    return [arm for arm in arms if any(needing("inference", spec.inference, "flipped") for _, spec in arm.points)]


def _sides(experiment: Experiment) -> list[int]:
    """Return the sizes of the images that an experiment's runs train on or are tested on."""
    versions = experiment.file.tested_on.values()
    specs = [spec for arm in experiment.arms.values() for spec in arm.specs]
    stages = [size for spec in specs for size in spec.stage_sizes()]
    return [spec.model.size for spec in specs] + stages + [v.size(s.model.size) for s in specs for v in versions]


def bank_modules(bank: dict[str, Any]) -> list[str]:
    """Return the dotted modules of the components that decide a feature bank, sorted."""
    augmentations = [("augmentation", spec) for spec in bank["augmentation"]]
    return modules(("backbone", bank["backbone"]), ("pooling", bank["pooling"]), *augmentations)


def make(paths: list[str | Path], overrides: dict[str, Any] | None = None, root: Path = Path()) -> Plan:
    """Read config files and experiments. Raises ReidflowError that lists every error of all of them at once."""
    where = ", ".join(str(p) for p in paths)
    problems = Problems(configs.file_of(paths, overrides))
    config = configs.parse(configs.read(paths, overrides), problems)
    if config is None:
        problems.raise_if_any("The config cannot be used")
        raise ReidflowError(where)
    if config.split.get("val") == 0 and config.protocol.checkpoint == "best":
        problems.add_key(
            "protocol.checkpoint",
            "the split has no validation images to choose a checkpoint on.",
            "Set checkpoint: last (a fixed number of epochs), or give the split a share for 'val'.",
        )
    check_results(config, problems)
    experiments = _ranked(read_all(config, problems, root))
    _check_networks(experiments, problems)
    check_submission(config, experiments, problems)
    problems.raise_if_any("The config cannot be used")
    return Plan(config, experiments, where)


def _ranked(experiments: dict[str, Experiment]) -> dict[str, Experiment]:
    """Return the experiments, the arms that may turn out as any arm of others knowing what that may be."""
    found = dict(experiments)
    for name, experiment in experiments.items():
        others = candidate_experiments(experiment, experiments)
        specs = [spec for other in others for arm in experiments[other].arms.values() for spec in arm.specs]
        may_be = tuple(_distinct(specs))
        arms = {
            arm.name: replace(arm, may_be=may_be) for arm in experiment.arms.values() if arm.winner_of == CANDIDATES
        }
        found[name] = replace(experiment, arms={**experiment.arms, **arms})
    return found


def _check_networks(experiments: dict[str, Experiment], problems: Problems) -> None:
    """Name the networks that no library knows or can build: else a run would say it, hours later perhaps."""
    for experiment in experiments.values():
        for arm in experiment.arms.values():
            specs = arm.specs if arm.winner_of != CANDIDATES else []
            for wrong in dict.fromkeys(filter(None, (unknown_network(spec.model.backbone) for spec in specs))):
                problems.add(f"{experiment.path}, arm '{arm.name}', key 'model.backbone'", wrong, "Correct it.")


def bank_code(bank: dict[str, Any]) -> list[str]:
    """Return the roots of the code that decides the numbers of a feature bank: its cache is kept under their digest."""
    augmenting = ["reidflow.training.augment"] if bank["views"] else []
    return ["reidflow.features.bank", *augmenting, *bank_modules(bank)]
