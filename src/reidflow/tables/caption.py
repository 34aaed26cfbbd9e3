"""The caption of an experiment's table: data, metric, split, seeds, statistics, and what stayed fixed."""

from typing import Any

import polars as pl

from reidflow.spec.canonical import canonical
from reidflow.spec.experiment import SEED, Experiment
from reidflow.splits.candidates import labelled
from reidflow.splits.roles import ASIDE, TEST
from reidflow.tables.comparisons import LEVEL, UNAVAILABLE, controlled
from reidflow.tables.data import DataDescription, versions_line
from reidflow.tables.experiment import BASELINE
from reidflow.tables.looks import spent
from reidflow.tables.text import listed, number, plural
from reidflow.tables.text import setting as as_text

_GALLERY = {
    "role": "the other test images (gallery: role)",
    "all": "all other labelled images (gallery: all)",
}


def caption(
    experiment: Experiment, data: DataDescription, results: pl.DataFrame, level: float = LEVEL
) -> list[tuple[str, str]]:
    """Return the caption of an experiment's table as (heading, sentence) pairs of plain, unescaped text."""
    return [
        ("Question", experiment.file.question.strip()),
        ("Data", data_line(data)),
        ("Metric", _metric(experiment, data, results)),
        ("Queries", queries_line(results)),
        ("Split", split_line(data)),
        ("Leak audit", audit_line(data)),
        ("Seeds", _seeds(experiment, results)),
        ("Statistics", _statistics(experiment, results, data, level)),
        *_controls(results, level),
        ("Population", population_line(results, data)),
        ("Varies", varies_line(experiment)),
        *([("Tuned", tuned_line(experiment))] if experiment.tuned else []),
        ("Fixed", "; ".join(fixed_settings(experiment)) + "."),
        ("Software", versions_line(results["versions"])),
    ]


def data_line(data: DataDescription) -> str:
    """Return the data set's title with the remark on its scale."""
    return f"{data.title} ({data.scale})." if data.scale else f"{data.title}."


def _metric(experiment: Experiment, data: DataDescription, results: pl.DataFrame) -> str:
    sides = set(labelled(data.split).filter(pl.col("role") == "test")["side"].drop_nulls())
    who = ". Queries are the images of the query side, candidates those of the gallery side" if sides else ""
    if data.method.get("new"):
        who = ". New individuals are in no gallery: their images are queries without a positive"
    name = f"identity-balanced mAP, {data.filters}" if data.filters else "identity-balanced mAP"
    ranked = [
        arm.name for arm in experiment.arms.values() if any(spec.plain().get("ranking") for _, spec in arm.points)
    ]
    several = f", but for {listed(ranked)}: by the scores that 'ranking' names" if ranked else ""
    number_of = f", and {plural(data.distractors, 'unlabelled distractor')}, nobody's match" if data.distractors else ""
    ignored = f", as are candidates of its identity with the same {' or '.join(data.ignore)}" if data.ignore else ""
    same = f" that have the same {' and '.join(data.same)} as the query or an unknown one" if data.same else ""
    return (
        f"{name}: average precision per query, mean per identity, mean over identities. "
        f"Candidates are {_GALLERY[data.gallery]}{same}{number_of}{who}; the query is never a candidate, candidates of its own group are "
        f"left out (mAP with own group keeps them){ignored}, a query without a positive is skipped. Tied candidates count "
        "with the expected average precision over their random orders. Ranked by the distance of the run's own geometry"
        f"{several}. "
        f"Chance: {number(results['chance'].max())}."
    )


def queries_line(results: pl.DataFrame) -> str:
    """Return how many queries were used and skipped; a range where the arms differ."""
    used, skipped, identities = (_range(results[column]) for column in ("queries", "skipped", "identities"))
    alone = results["evaluated"].drop_nulls().n_unique() <= 1
    return (
        f"{used} used, {skipped} skipped, of {identities} identities"
        f"{', the same for every arm' if alone else '; WARNING: not the same images for every arm'}."
    )


def _range(values: pl.Series) -> str:
    low, high = values.min(), values.max()
    return number(low) if low == high else f"{low} to {high}"


def split_line(data: DataDescription) -> str:
    """Return the split's method, parameters and the number of images of each role."""
    if data.further:
        return _splits_line(data)
    counts = dict(labelled(data.split).group_by("role").len().iter_rows())
    roles = [f"{counts[role]} {role}" for role in ("train", "val", "test", "unused") if counts.get(role)]
    which = "without a role" if data.given else "of the gallery side"
    aside = f" {counts[ASIDE]} images {which} are not used." if counts.get(ASIDE) else ""
    given = " Given by the data: no image was moved." if data.given else ""
    more = f" Unlabelled distractors in the gallery of test: {number(data.distractors)}." if data.distractors else ""
    return f"{as_text(data.method)}: {listed(roles)} images.{aside}{more}{given}"


def _splits_line(data: DataDescription) -> str:
    """Return the method of several splits, their number and the images of their roles."""
    roles = {
        role: _range(pl.Series([labelled(split).filter(pl.col("role") == role).height for split in data.splits]))
        for role in ("train", "val", "test")
    }
    tested = pl.concat([labelled(split).filter(pl.col("role") == "test") for split in data.splits])["image"]
    kind = (
        f"{len(data.splits)} folds, each trained, chosen and tested by itself, which test {tested.len()} images in all, "
        "none twice"
        if data.folds
        else f"{len(data.splits)} splits, one for each training seed, which test {tested.n_unique()} images in all"
    )
    each = listed([f"{count} {role}" for role, count in roles.items() if count != "0"])
    return f"{as_text(data.method)}: {kind}; each has {each} images."


def audit_line(data: DataDescription) -> str:
    """Return the leak audit in a sentence."""
    audit = data.audit
    counted = [
        ("straddling_groups", "groups"),
        ("straddling_joined_pairs", "near-duplicate pairs"),
        ("straddling_bytes", "equal files"),
        ("straddling_pixels", "equal images"),
        ("cross_identity_straddling", "suspected duplicates across identities"),
    ]
    if audit.get("times", {}).get("known"):
        counted.append(
            ("straddling_times", f"pairs of images of one identity within {audit['window_minutes']:g} minutes")
        )
    if audit.get("straddling_photographs"):
        counted.append(("straddling_photographs", "photographs of several animals"))
    found = ", ".join(f"{audit[key]} {name}" for key, name in counted if key in audit)
    verdict = "LEAKING: the scores are too high" if data.leaks else "no leak found"
    verdict += f" in any of {len(data.splits)} splits" if data.further and not data.leaks else ""
    rest = _unscored(audit) + _new(data)
    return f"{verdict}; in two roles: {found}.{rest}" if found else f"{verdict}.{rest}"


def _unscored(audit: dict[str, Any]) -> str:
    """Return how many identities are in training alone, a sentence; '' where none is."""
    only, single = audit.get("train_only", []), set(audit.get("single_group", []))
    if not only:
        return ""
    cannot = len(single & set(only))
    rest = f", {cannot} of which have one group and cannot be scored" if cannot else ""
    return f" {len(only)} identities are in training alone{rest}."


def _new(data: DataDescription) -> str:
    """Return how many identities in test were never trained on, a sentence; '' where it is none or all of them."""
    new, tested = data.audit.get("new_identities", {}).get(TEST, 0), data.audit.get("roles", {}).get(TEST, {})
    return f" {new} of {tested['identities']} identities in test are new." if 0 < new < tested["identities"] else ""


def _seeds(experiment: Experiment, results: pl.DataFrame) -> str:
    count = _range(results.filter(pl.col("seeds") > 0)["seeds"])
    text = f"every number is the mean over {count} training seeds {seeds_sentence(experiment)} {spent(experiment, results)}"
    return text.rstrip()


def seeds_sentence(experiment: Experiment) -> str:
    """Return the training seeds of the arms, and the seeds that chose settings, of which none is reported."""
    lists = {canonical(list(arm.seeds)): list(arm.seeds) for arm in experiment.arms.values()}
    own = " or ".join(as_text(seeds) for seeds in lists.values())
    chose = seeds_line(experiment)
    means = f"{own}; {chose}, none of which is reported" if chose else own
    if experiment.looks:
        means += f"; undecided arms have more, up to {experiment.looks[-1]}"
    if not experiment.tuned:
        return f"{means}."
    sweep = as_text(experiment.sweep_seeds)
    return f"{means}; tuned settings were chosen on validation with the seeds {sweep}, which are not reported."


def _statistics(experiment: Experiment, results: pl.DataFrame, data: DataDescription, level: float) -> str:
    columns = "fold (its mean over seeds)" if data.folds else "seed"
    compared = results.filter(~pl.col("verdict").is_in([BASELINE, UNAVAILABLE])).height
    over = f" for all {len(experiment.looks)} looks at the seeds together" if experiment.looks else ""
    return (
        f"the difference is arm minus baseline, paired by identity and {columns}, both treated as random effects; verdicts, p values "
        f"and intervals are corrected over {plural(compared, 'comparison')} at {level:.0%}{over}. The smallest detectable difference "
        f"is found with 80% power.{_equivalence(results)} Ties with best: not significantly different from the arm with the highest mean."
    )


def _equivalence(results: pl.DataFrame) -> str:
    margin = results["margin"].max()
    if margin is None:
        return ""
    return f" Equivalent: the whole interval lies within ±{number(margin)}, whether or not it holds zero."


def _controls(results: pl.DataFrame, level: float) -> list[tuple[str, str]]:
    compared = controlled(results).filter(pl.col("against_verdict") != UNAVAILABLE).height
    sentence = (
        "arms that name a control are also compared with it: arm minus control, paired as with "
        f"the baseline, corrected over {plural(compared, 'comparison')}, a family of their own, at {level:.0%}."
    )
    return [("Controls", sentence)] if controlled(results).height else []


def population_line(results: pl.DataFrame, data: DataDescription) -> str:
    """Return what the claims are about."""
    seeds = "about training seeds, on this one split; other data sets and splits are not claimed."
    if data.folds:
        seeds = (
            f"about training sets and seeds: they hold over {data.folds} folds. The folds' training sets overlap, and what all "
            "of them share varies in none: training sets drawn from other images are not claimed."
        )
    elif data.further:
        seeds = (
            f"about training seeds and splits of these images together: they hold over {len(data.splits)} splits, whose "
            "images overlap; other data sets are not claimed."
        )
    return f"the claims are about identities like the {_range(results['identities'])} tested here, in images like these, and {seeds}"


def varies_line(experiment: Experiment) -> str:
    """Return what differs between the arms, and the baseline, in a sentence."""
    seeds = "" if SEED not in experiment.file.varies else " (arms differ in their seeds, which are paired by position)"
    return f"{listed(experiment.file.varies)}{seeds}; baseline: {experiment.file.baseline}."


def tuned_line(experiment: Experiment) -> str:
    """Return what each arm chooses on validation, in a sentence."""
    grids = [f"{path} from {as_text(grid)}" for path, grid in experiment.file.tuned.items()]
    return f"each arm, the baseline included, chooses {listed(grids)} on validation."


def fixed_settings(experiment: Experiment) -> list[str]:
    """Return the settings that every run of every arm shares, as `path=value`, derived from the run specs."""
    return [f"{path}={as_text(value)}" for path, value in shared_settings(experiment).items()]


def shared_settings(experiment: Experiment) -> dict[str, Any]:
    """Return dotted path -> value of the settings that every run of every arm shares; a component is one setting.

    Where the arms' components have the same name and differ in parameters, it is split into `name` and the parameters.
    """
    specs = [spec.plain() for arm in experiment.arms.values() for _, spec in arm.points]
    return {path: value for path, value in _shared(specs) if path != SEED}


def _shared(trees: list[Any], prefix: str = "") -> list[tuple[str, Any]]:
    first = trees[0]
    if all(canonical(tree) == canonical(first) for tree in trees):
        if not prefix or (isinstance(first, dict) and "name" not in first):
            return [pair for key in first for pair in _shared([first[key]], f"{prefix}{key}.")]
        path = prefix.removesuffix(".")
        return [(path, first)]
    if not all(isinstance(tree, dict) for tree in trees) or len({tree.get("name") for tree in trees}) > 1:
        return []  # parameters of different components share a name at most
    keys = [key for key in first if all(key in tree for tree in trees)]
    return [pair for key in keys for pair in _shared([tree[key] for tree in trees], f"{prefix}{key}.")]


def seeds_line(experiment: Experiment) -> str | None:
    """Return which seeds chose the winners of an experiment's studies; None without any."""
    if not experiment.studies:
        return None
    study = next(iter(experiment.studies.values()))
    final = f" and the sweep seeds {as_text(list(study.sweep_seeds))}" if study.finalists else ""
    return f"winners of searches were chosen on validation with trial seeds from {study.first_seed}{final}"
