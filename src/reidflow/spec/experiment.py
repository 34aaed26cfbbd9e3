"""An experiment: one question, one YAML file; its arms resolved to run specs and checked before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reidflow.spec.canonical import canonical
from reidflow.spec.components import SOURCE_ROOT
from reidflow.spec.config import Config
from reidflow.spec.config_errors import ErrorKey, add_errors, error_keys
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.evaluation import check_versions, division, divisions
from reidflow.spec.expansion import expand
from reidflow.spec.experiment_file import LARGEST_GRID, SEED, ExperimentFile, check_factor, override, points_of
from reidflow.spec.experiment_splits import (
    also_on_divisions,
    check_checkpoints,
    check_divisions,
    check_other_splits,
    check_rankings,
    own_config,
)
from reidflow.spec.merge import covers, differences, merge, put
from reidflow.spec.names import check_experiment, check_names, slug_of
from reidflow.spec.part_strengths import check_strengths
from reidflow.spec.run import RunSpec
from reidflow.spec.search import Study
from reidflow.spec.sequential import SequentialSeeds, check_mirroring, seeds_of_looks
from reidflow.spec.winners import WINNER_OF, check_candidates, check_winners, possible_specs, studies
from reidflow.spec.yaml import load

FOLDER = Path("config/experiments")


@dataclass(frozen=True)
class Arm:
    """One arm: `points` are the settings it chooses from (one, when nothing is tuned), as run specs with seed 0.

    `against` names the arm that is its control, where it has one beside the baseline. `winner_of` names the outcome that
    decides the settings of an arm, changed by `over`: its point is then where the search starts, and `may_be`
    are runs that read and execute whatever it may. `further`: the seeds that each further look adds to `seeds` while the
    arm is undecided.
    """

    name: str
    slug: str
    why: str
    against: str | None
    seeds: tuple[int, ...]
    points: tuple[tuple[dict[str, Any], RunSpec], ...]
    winner_of: str | None = None
    over: dict[str, Any] = field(default_factory=dict)
    may_be: tuple[RunSpec, ...] = ()
    further: tuple[tuple[int, ...], ...] = ()

    @property
    def looks(self) -> tuple[tuple[int, ...], ...]:
        """The seeds that each look adds; one look where no seeds are added."""
        return (self.seeds, *self.further)

    @property
    def possible_seeds(self) -> tuple[int, ...]:
        """The seeds that the arm may have, in the order in which they are added."""
        return tuple(seed for look in self.looks for seed in look)

    def look_of(self, seed: int) -> int:
        """Return the number of the look that adds a seed, from 0."""
        return next(number for number, seeds in enumerate(self.looks) if seed in seeds)

    @cached_property
    def specs(self) -> list[RunSpec]:
        """Runs, with the seed 0, that read and execute whatever the arm's runs may."""
        possible = [*self.may_be] or [spec for _, spec in self.points]
        return [run.with_seed(0) for spec in possible for run in spec.runs()]

    @cached_property
    def frozen(self) -> bool:
        """Whether all of its runs need features and no images."""
        return all(spec.frozen for spec in self.specs)

    @property
    def spec(self) -> RunSpec:
        """The arm's run spec with the first value of every tuned setting."""
        return self.points[0][1]


@dataclass(frozen=True)
class Experiment:
    """A checked experiment.

    divisions: what decides each split that its arms are trained and tested on: one, or one a fold, or one for each
    training seed; also_on: label -> that of another one.
    equivalence: differences in identity-balanced mAP within this margin are too small to matter; None: no verdict says so.
    """

    name: str
    path: str
    file: ExperimentFile
    arms: dict[str, Arm]
    sweep_seeds: tuple[int, ...]
    divisions: tuple[dict[str, Any], ...] = ({},)
    also_on: dict[str, dict[str, Any]] = field(default_factory=dict)
    studies: dict[str, Study] = field(default_factory=dict)
    equivalence: float | None = None

    @property
    def baseline(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[self.file.baseline]

    @property
    def division(self) -> dict[str, Any]:
        """What decides its split; where it has several, the first."""
        return self.divisions[0]

    @property
    def folds(self) -> int:
        """Number of folds; 0 where each run has one split alone."""
        return len(self.divisions) if "fold" in self.division else 0

    def runs(self, seeds: Sequence[int]) -> list[tuple[int, int]]:
        """Return the runs of an arm with some of its seeds: seed, and which of `divisions` it is trained and tested on."""
        if self.folds or len(self.divisions) == 1:
            return [(seed, number) for number in range(len(self.divisions)) for seed in seeds]
        every = self.baseline.possible_seeds
        return [(seed, every.index(seed)) for seed in seeds]

    @property
    def tuned(self) -> bool:
        """Whether there is anything to choose."""
        return bool(self.file.tuned)

    @property
    def looks(self) -> tuple[int, ...]:
        """How many seeds an arm has at each look, where seeds are added to undecided arms; else nothing."""
        return self.file.seeds.looks if isinstance(self.file.seeds, SequentialSeeds) else ()


def locate(name: str, root: Path = Path()) -> Path:
    """Return the file of an experiment as a config names it: one of the project's own where `root` has none of this name."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    shipped = SOURCE_ROOT.parent / FOLDER / path.name
    here = (root / path).exists() or path.parent != FOLDER or not shipped.exists()
    return root / path if here else shipped


def read_all(config: Config, problems: Problems, root: Path = Path()) -> dict[str, Experiment]:
    """Return the experiments of a config by name, adding every error of every file to `problems`."""
    found: dict[str, Experiment] = {}
    seen: list[str] = []
    for entry in config.experiments:
        path = locate(entry, root)
        if not check_experiment(path.stem, seen, str(path), problems):
            continue
        seen.append(path.stem)
        try:
            content = load(path)
        except ReidflowError as error:
            problems.add_key("experiments", f"{error}", "")
            continue
        made = build(path.stem, str(path), content, config, problems)
        if made is not None:
            found[path.stem] = made
    for experiment in found.values():
        check_candidates(experiment, found, config, problems)
    stems = [locate(entry).stem for entry in config.experiments]
    for name in config.overrides:
        if name not in stems and not locate(name, root).exists():
            problems.add_key(f"overrides.{name}", "there is no such experiment.", f"Choose one of: {', '.join(stems)}.")
    return found


def build(name: str, path: str, content: dict[str, Any], config: Config, problems: Problems) -> Experiment | None:
    """Return the experiment in `content`, or None after adding every error to `problems`."""
    changes = config.overrides.get(name)
    try:
        file = ExperimentFile.model_validate(override(content, changes) if changes else content)
    except ValidationError as error:
        add_errors(error, ExperimentFile, path + _with_changes(name, config), problems)
        return None
    before = len(problems.found)
    main, config = division(config), own_config(file, config, path, problems)
    also_on = also_on_divisions(file, config, path, problems)
    arms = _arms(name, file, config, path, problems)
    base = arms[file.baseline].spec if file.baseline in arms else None
    several = divisions(config, arms[file.baseline].possible_seeds) if base else (division(config),)
    if len(several) > 1:
        check_divisions(file, arms, config, path, problems)
    elif several[0] != main or also_on:
        check_other_splits(arms, bool(also_on), path, problems)
    check_checkpoints(arms, [division(config), *also_on.values()], main, path, problems)
    check_rankings(file, arms, [division(config), *also_on.values()], path, problems)
    check_mirroring(file, arms, path, problems)
    check_winners(file, arms, config, path, problems)
    found = studies(name, file, base, config, path, problems) if base else {}
    if len(problems.found) > before:
        return None
    arms = {name: replace(arm, may_be=possible_specs(arm, found)) for name, arm in arms.items()}
    margin = config.equivalence if file.equivalence is None else file.equivalence
    return Experiment(name, path, file, arms, tuple(config.sweep_seeds), several, also_on, found, margin or None)


def _arms(name: str, file: ExperimentFile, config: Config, where: str, problems: Problems) -> dict[str, Arm]:
    protocol = merge(config.protocol.plain(), file.protocol)
    parts = {path: {name: part.model_dump() for name, part in own.items()} for path, own in file.parts.items()}
    written = expand(file.arms, where, problems, parts)
    if file.baseline not in written:
        known = ", ".join(written) or "none, yet"
        problems.add(f"{where}, key 'baseline'", f"there is no arm '{file.baseline}'.", f"Choose one of: {known}.")
    elif len(written) == len(file.arms) == 1:
        problems.add(f"{where}, key 'arms'", "there is nothing to compare the baseline with.", "Add another arm.")
    check_names(written, where, problems)
    for label in file.published.arms if file.published else ():
        if label not in written:
            problems.add(
                f"{where}, key 'published.arms'", f"there is no arm '{label}'.", f"Choose among: {', '.join(written)}."
            )
    for entry in file.interpretation:
        for label in entry.leans_on or ():
            if label not in written:
                problems.add(
                    f"{where}, key 'interpretation.leans_on'",
                    f"there is no arm '{label}'.",
                    f"Choose among: {', '.join(written)}.",
                )
    check_names(file.tested_on, where, problems, "key 'tested_on'")
    check_names(file.also_on, where, problems, "key 'also_on'")
    reported = _check_protocol(protocol, name, file, written, config, where, problems)
    check_factor(file, config, where, problems)
    check_versions(file.tested_on, file.probes, where, problems)
    arms: dict[str, Arm] = {}
    for label, content in written.items():
        start = merge(protocol, _settings(written.get(file.baseline, {}))) if WINNER_OF in content else protocol
        arm = _arm(label, dict(content), file, config, start, reported, where, problems)
        if arm is not None:
            arms[label] = arm
            _check_control(arm, list(written), where, problems)
    if file.baseline in arms:
        _check_differences(file, arms, where, problems)
        check_strengths(file, arms[file.baseline].spec, where, problems)
    return arms


def _check_protocol(
    protocol: dict[str, Any],
    name: str,
    file: ExperimentFile,
    arms: dict[str, dict[str, Any]],
    config: Config,
    where: str,
    problems: Problems,
) -> set[ErrorKey]:
    """Return the errors of the protocol that no arm corrects, reported once rather than for every arm."""
    try:
        RunSpec.model_validate({**protocol, "seed": 0})
        return set()
    except ValidationError as error:
        shared = error_keys(error)
        for content in arms.values():
            try:
                RunSpec.model_validate({**merge(protocol, _settings(content)), "seed": 0})
                return set()
            except ValidationError as other:
                shared &= error_keys(other)
        place = f"{where}, key 'protocol'" if file.protocol else where
        add_errors(error, RunSpec, place + _with_changes(name, config), problems, only=shared)
        return shared


def _with_changes(name: str, config: Config) -> str:
    return f" (with the config's 'overrides.{name}')" if config.overrides.get(name) else ""


def _settings(content: dict[str, Any]) -> dict[str, Any]:
    """Return what an arm as written changes in a run."""
    return {key: value for key, value in content.items() if key not in ("why", "against", "seeds", WINNER_OF)}


def _check_control(arm: Arm, names: list[str], where: str, problems: Problems) -> None:
    if arm.against is not None and (arm.against not in names or arm.against == arm.name):
        problems.add(
            f"{where}, arm '{arm.name}', key 'against'",
            f"'{arm.against}' is not another arm.",
            f"Choose one of: {', '.join(name for name in names if name != arm.name)}.",
        )


def _arm(
    name: str,
    content: dict[str, Any],
    file: ExperimentFile,
    config: Config,
    protocol: dict[str, Any],
    reported: set[ErrorKey],
    where: str,
    problems: Problems,
) -> Arm | None:
    place = f"{where}, arm '{name}'"
    before = len(problems.found)
    why = content.pop("why", "")
    if not isinstance(why, str) or not why.strip():
        problems.add(place, "'why' is missing.", "Say in a sentence why this arm is there.")
    against = content.pop("against", None)
    if against is not None and not isinstance(against, str):
        problems.add(place, "'against' is not the name of an arm.", "Write the name of its control.")
        against = None
    if "seed" in content:
        problems.add(place, "an arm does not set 'seed'.", "Use 'seeds' (a list), and declare it: varies: [seed].")
    seeds = content.pop("seeds", None)
    if seeds is not None and SEED not in file.varies:
        problems.add(
            place, "'seeds' differ although 'seed' is not declared.", "Add 'seed' to 'varies', or remove them here."
        )
    winner_of = content.pop(WINNER_OF, None)
    other = name != file.baseline and file.baseline in file.arms
    if not content and winner_of is None and seeds is None and other:
        problems.add(place, "the arm is empty: it changes nothing.", "Give it a setting of the factor, or remove it.")
    looks = seeds_of_looks(seeds, file, config, place, problems)
    points = _points({**merge(protocol, content), "seed": 0}, file.tuned, reported, place, problems)
    if len(problems.found) > before or not points:
        return None
    over = content if winner_of is not None else {}
    first, *further = looks
    return Arm(name, slug_of(name), why.strip(), against, first, tuple(points), winner_of, over, further=tuple(further))


def _points(
    plain: dict[str, Any], tuned: dict[str, list[Any]], reported: set[ErrorKey], place: str, problems: Problems
) -> list[tuple[dict[str, Any], RunSpec]]:
    """Return the arm's spec at every point of the grid, the first axis slowest; none after an error.

    reported: errors that are reported already.
    """
    if points_of(tuned) > LARGEST_GRID:
        return []
    try:
        base = RunSpec.model_validate(plain)
        points = []
        for values in product(*tuned.values()):
            point = dict(zip(tuned, values, strict=True))
            tree = base.plain()
            for path, value in point.items():
                # An arm that ranks by the embedding alone has no setting of a ranking.
                if not (path.startswith("ranking.") and tree["ranking"] is None):
                    tree = put(tree, path, value)
            points.append((point, RunSpec.model_validate(tree) if point else base))
        return points
    except KeyError:
        problems.add(
            place,
            f"it has no setting '{path}' to tune.",
            "Correct the path in 'tuned', or give the arm such a setting.",
        )
    except ValidationError as error:
        add_errors(error, RunSpec, place, problems, known=reported)
    return []


def _check_differences(file: ExperimentFile, arms: dict[str, Arm], where: str, problems: Problems) -> None:
    baseline = arms[file.baseline].spec.plain()
    allowed = [*file.varies, *file.tuned]
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name, arm in arms.items():
        place = f"{where}, arm '{name}'"
        undeclared = [p for p in differences(baseline, arm.spec.plain()) if not any(covers(a, p) for a in allowed)]
        if undeclared:
            problems.add(
                place,
                f"differs from the baseline '{file.baseline}' in {', '.join(undeclared)}, which is not declared.",
                f"Add it to 'varies' (now {file.varies}) if it is the question, else give every arm the same value.",
            )
        identity = canonical([[p, s.plain()] for p, s in arm.points] + [list(arm.possible_seeds), arm.winner_of])
        if identity in seen:
            problems.add(place, f"is the same as arm '{seen[identity]}'.", "Change or remove one of them.")
        seen[identity] = name
        if arm.slug.lower() in folders:
            problems.add(
                place, f"would share its folder with arm '{folders[arm.slug.lower()]}'.", "Rename one of them."
            )
        folders[arm.slug.lower()] = name
