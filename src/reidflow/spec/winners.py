"""Arms whose settings are the winner of a search, or of the comparison of other experiments."""

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from reidflow.spec.components import is_given
from reidflow.spec.config_errors import first_message
from reidflow.spec.errors import Problems
from reidflow.spec.merge import covers
from reidflow.spec.run import RunSpec
from reidflow.spec.search import TABLE, Axis, Search, Study, axes_of, studies_of, with_settings
from reidflow.spec.strict import Strict

if TYPE_CHECKING:
    from reidflow.spec.config import Config
    from reidflow.spec.experiment import Arm, Experiment
    from reidflow.spec.experiment_file import ExperimentFile

CANDIDATES = "candidates"
WINNER_OF = "winner_of"
MOST_COMBINATIONS = 2000


class Candidates(Strict):
    """The experiments whose arms are ranked by their mean validation mAP, and the other splits that the best is tried on."""

    experiments: list[str] = Field([], description="names of experiments of the config; [] for all others")
    split_seeds: list[Annotated[int, Field(ge=0)]] = Field(
        [], description="seeds of further splits, on which the best arm and the baseline are trained again"
    )


def studies(name: str, file: "ExperimentFile", base: RunSpec, config: "Config", where: str, problems: Problems) -> dict:
    """Return the studies of an experiment by name, after reporting what is wrong with its search. base: of its baseline."""
    if file.search is None:
        return {}
    before = len(problems.found)
    place = f"{where}, key 'search'"
    _check_setting(file, base, config, place, problems)
    try:
        axes = axes_of(file.search.space)
    except ValueError as error:
        problems.add(f"{place}, 'space'", f"{error}.", "Give each value once, or name them: {choices: {name: ...}}.")
        return {}
    _check_axes(axes, file, base, f"{where}, key 'search.space", problems)
    _check_studies(file.search, axes, f"{where}, key 'search.studies", problems)
    if len(problems.found) > before:
        return {}
    found = studies_of(name, file.search, base, config.sweep_seeds)
    for study in found.values():
        if study.combinations > MOST_COMBINATIONS:
            problems.add(
                f"{where}, key 'search.space'",
                f"it needs {study.combinations} sets of features or images.",
                f"At most {MOST_COMBINATIONS} are allowed: give the axes that decide them fewer values.",
            )
            return {}
    return found


def _check_setting(file: "ExperimentFile", base: RunSpec, config: "Config", place: str, problems: Problems) -> None:
    if file.tuned:
        problems.add(place, "cannot be combined with 'tuned'.", "Move what is tuned into the search's space.")
    if config.split.get("val") == 0:
        problems.add(place, "the split has no validation images to search by.", "Give the split a share for 'val'.")
    if base.dedup or base.curation:
        problems.add(
            place, "the baseline leaves training images out.", "Search on all of them: remove dedup, curation."
        )
    if base.model.trainable.name == "none":
        problems.add(place, "the baseline trains nothing.", "Give it another 'trainable'.")


def _check_axes(axes: tuple[Axis, ...], file: "ExperimentFile", base: RunSpec, where: str, problems: Problems) -> None:
    taken: dict[str, str] = {}
    for axis in axes:
        place = f"{where}.{axis.name}'"
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,79}", axis.name):
            problems.add(
                place,
                "its name, a column of the table of trials, has characters that are not allowed.",
                "Use letters, digits, '_', '-', '.'.",
            )
        if axis.name in TABLE:
            problems.add(place, "a column of the table of trials has this name.", "Name its values: {choices: ...}.")
        for path in axis.paths():
            if not any(covers(allowed, path) for allowed in file.varies):
                problems.add(
                    place, f"it moves '{path}', which is not declared.", f"Add it to 'varies' ({file.varies})."
                )
            if path.split(".")[0] in ("dedup", "curation", "seed"):
                problems.add(place, f"'{path}' cannot be searched.", "Compare arms instead.")
            other = next((known for known in taken if covers(known, path) or covers(path, known)), None)
            if other is not None and taken[other] != axis.name:
                problems.add(
                    place, f"it moves '{path}', as does '{taken[other]}'.", "Keep one, or join them as choices."
                )
            taken[path] = axis.name
        for value in axis.ends():
            _check_value(axis, value, base, place, problems)


def _check_value(axis: Axis, value: Any, base: RunSpec, place: str, problems: Problems) -> None:
    try:
        RunSpec.model_validate(axis.apply(base.plain(), value))
    except KeyError:
        problems.add(place, "the baseline has no such setting.", "Correct the path, or name settings: {choices: ...}.")
    except ValidationError as error:
        message = first_message(error, RunSpec)
        problems.add(place, f"at {value}: {message}", "Each value must fit the baseline's other settings.")


def _check_studies(search: Search, axes: tuple[Axis, ...], where: str, problems: Problems) -> None:
    names = [axis.name for axis in axes]
    for name, study in search.studies.items():
        for axis in study.only:
            if axis not in names:
                problems.add(f"{where}.{name}.only'", f"there is no axis '{axis}'.", f"Known: {', '.join(names)}.")
        other = study.matched_to
        if other and (other == name or other not in search.studies or search.studies[other].matched_to):
            able = [known for known, written in search.studies.items() if known != name and not written.matched_to]
            problems.add(
                f"{where}.{name}.matched_to'",
                f"'{other}' is not another study with a budget of its own.",
                f"Choose one of: {', '.join(able) or 'none'}.",
            )


def check_winners(
    file: "ExperimentFile", arms: dict[str, "Arm"], config: "Config", where: str, problems: Problems
) -> None:
    """Report arms whose `winner_of` names nothing, studies whose winner no arm uses, and seeds that chose a winner."""
    known = [*(file.search.studies if file.search else ()), *([CANDIDATES] if file.candidates else ())]
    for arm in arms.values():
        place = f"{where}, arm '{arm.name}', key '{WINNER_OF}'"
        if arm.winner_of is not None and arm.winner_of not in known:
            problems.add(place, f"there is no '{arm.winner_of}'.", f"Choose one of: {', '.join(known) or 'none'}.")
        if arm.winner_of == file.baseline or (arm.winner_of and arm.name == file.baseline):
            problems.add(place, "the baseline is where a search starts.", "Give the baseline settings of its own.")
    used = {arm.winner_of for arm in arms.values()}
    used |= {study.matched_to for study in (file.search.studies.values() if file.search else ())}
    for name in known:
        if name not in used:
            problems.add(where, f"no arm is the winner of '{name}'.", f"Add one: {{why: ..., {WINNER_OF}: {name}}}.")
    if file.search:
        for arm in arms.values():
            if any(seed >= file.search.first_seed or seed in config.sweep_seeds for seed in arm.possible_seeds):
                problems.add(
                    f"{where}, arm '{arm.name}', key 'seeds'",
                    f"a seed is also one that chose the winner (from {file.search.first_seed} on, or of sweep_seeds).",
                    "Report others.",
                )


def possible_specs(arm: "Arm", found: dict[str, Study]) -> tuple[RunSpec, ...]:
    """Return runs, with the seed 0, that read and execute whatever an arm may that is the winner of a study."""
    study = found.get(arm.winner_of or "")
    return tuple(with_settings(spec, arm.over) for spec in study.variants) if study else ()


def winner_spec(found: dict[str, Any], winner_of: str, over: dict[str, Any]) -> RunSpec:
    """Return the run, with the seed 0, of an arm that is a winner.

    found: the content of the file of winners. over: further changes.
    """
    return with_settings(RunSpec.model_validate(found[winner_of]["spec"]), over)


def candidate_experiments(experiment: "Experiment", others: dict[str, "Experiment"]) -> list[str]:
    """Return the names of the experiments whose arms an experiment ranks, in the config's order."""
    declared = experiment.file.candidates
    if declared is None:
        return []
    ranked = [name for name, other in others.items() if _comparable(other, experiment)]
    return [name for name in ranked if not declared.experiments or name in declared.experiments]


def _comparable(other: "Experiment", experiment: "Experiment") -> bool:
    """Return whether validation ranks the arms of another experiment: its split is the same, and each is one run."""
    alone = all(
        not (spec.inference or spec.ensemble or spec.ranking) for arm in other.arms.values() for _, spec in arm.points
    )
    return other.file.candidates is None and other.divisions == experiment.divisions and alone


def check_candidates(
    experiment: "Experiment", others: dict[str, "Experiment"], config: "Config", problems: Problems
) -> None:
    """Report what is wrong with the experiments that an experiment ranks, and with its seeds."""
    declared = experiment.file.candidates
    if declared is None:
        return
    where, found = f"{experiment.path}, key '{CANDIDATES}'", candidate_experiments(experiment, others)
    for name in declared.experiments:
        if name in others and len(others[name].divisions) > 1:
            problems.add(
                where,
                f"'{name}' runs on several splits, and only experiments on the same one are ranked.",
                f"Leave it out, or give it one split: overrides: {{{name}: {{evaluation: {{split: {{folds: 0}}}}}}}}.",
            )
        elif name not in found:
            problems.add(
                where, f"'{name}' is not an experiment that can be ranked.", f"Known: {', '.join(found) or 'none'}."
            )
    if not found:
        problems.add(where, "there is no experiment to rank.", "Add some to 'experiments' in the config.")
    if experiment.tuned:
        problems.add(
            where,
            "cannot be combined with 'tuned'.",
            "Remove it: the candidates were tuned, and the baseline is as it is.",
        )
    if config.split.get("val") == 0:
        problems.add(where, "the split has no validation images to rank by.", "Give the split a share for 'val'.")
    own = {seed for arm in experiment.arms.values() for seed in arm.possible_seeds}
    for name in found:
        searched = others[name].file.search
        chose = {seed for arm in others[name].arms.values() for seed in arm.possible_seeds} | set(config.sweep_seeds)
        shared = sorted(own & chose) or [seed for seed in sorted(own) if searched and seed >= searched.first_seed]
        if shared:
            problems.add(
                f"{experiment.path}, key 'seeds'",
                f"{shared} chose the winner in '{name}'.",
                "Give this experiment seeds of its own.",
            )
    if config.split.get("seed") in declared.split_seeds or len(set(declared.split_seeds)) < len(declared.split_seeds):
        problems.add(f"{where}, 'split_seeds'", "a split is listed twice, or is the main one.", "Give other seeds.")
    if declared.split_seeds and is_given(config.split):
        problems.add(
            f"{where}, 'split_seeds'",
            "the split comes from the data, and every seed would test the same images.",
            f"Write overrides: {{{experiment.name}: {{candidates: {{split_seeds: []}}}}}}.",
        )
    elif declared.split_seeds and "seed" not in config.split:
        problems.add(f"{where}, 'split_seeds'", f"the split '{config.split['name']}' has no seed.", "Remove them.")
