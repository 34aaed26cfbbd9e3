"""Tables of tests on other versions of the images: trained-on x tested-on, and reliance on the background."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from reidflow.evaluation.image_versions import BOTH, QUERY, original_label, resized_labels
from reidflow.evaluation.reliance import Reliance, compare_reliance, reliance, together
from reidflow.evaluation.statistics import LARGEST, Comparison, compare
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Experiment
from reidflow.spec.quantities import Quantity
from reidflow.store.tables import Column, Contract, Span
from reidflow.tables.arms import mean, trained_seeds
from reidflow.tables.columns import column, columns
from reidflow.tables.comparisons import LEVEL
from reidflow.tables.experiment import BASELINE, INCONCLUSIVE
from reidflow.tables.quantities import compared, described

ROLES = ("background", "control", "foreground", "silhouette")
ORIGINAL, REFERENCE, UNDEFINED = "original", "reference", "undefined"
LOWER, HIGHER = "lower", "higher"


def _known(*names: str) -> list[Column]:
    return [column(name).but(nullable=False) for name in names]


_C, _F = partial(Column, nullable=True), pl.Float64
_DIFFERENCE = columns("delta", "delta_low", "delta_high", "interval", "p_adjusted")
TESTED_MATRIX = Contract(
    "arms tested on other versions",
    [
        *columns("experiment", "arm"),
        *columns("tested_on"),
        Column("mode", pl.String, "mode", "text", "both: queries and gallery in that version; query: the queries alone."),
        Column("own", pl.Boolean, "own version", "yes_no", "Whether the arm was trained on this version."),
        *columns("seeds"),
        *_known("id_map"),
        *columns("id_map_std"),
        *_known("id_map_by_seed", "chance"),
        column("delta").but(meaning="Balanced mAP minus that of the same arm on the original images, paired by identity and seed."),
        *_DIFFERENCE[1:],
        column("verdict").but(meaning="reference: the original images; better, worse: significantly different from them."),
    ],
)  # fmt: skip
RELIANCE = Contract(
    "reliance on the background",
    [
        *columns("experiment", "arm", "baseline"),
        Column("background", _F, "background only", "number", "Balanced mAP where only the background is visible."),
        Column("control", _F, "control", "number", "Balanced mAP with the same holes in unrelated backgrounds; should be chance."),
        Column("foreground", _F, "foreground only", "number", "Balanced mAP where only the animal is visible."),
        Column("silhouette", _F, "silhouette only", "number", "Balanced mAP where only the outline of the animal is visible."),
        *_known("chance"),
        _C("reliance", _F, "reliance", "number", "(background only - chance) / (foreground only - chance), chance by identity."),
        _C("low", _F, "lower end", "number", "Lower end of the interval of the reliance."),
        _C("high", _F, "upper end", "number", "Upper end of the interval of the reliance."),
        Span("range", ("low", "high"), "its interval", "range", "95 % interval of the reliance, of each arm by itself."),
        column("delta").but(meaning="Reliance of the arm minus the baseline's, paired by identity and seed."),
        *_DIFFERENCE[1:],
        column("verdict").but(meaning="lower, higher: reliance significantly different from the baseline's."),
        Column("defined", pl.Boolean, "defined", "yes_no", "Whether the foreground is above chance, so that there is a ratio."),
        *columns("note"),
        Column("recommended", pl.Boolean, "recommended", "yes_no",
               "Lower reliance without a significant loss of foreground mAP, and not significantly higher than the lowest."),
        _C("control_low", _F, "lower end", "signed", "Lower end of the interval of control minus chance."),
        _C("control_high", _F, "upper end", "signed", "Upper end of the interval of control minus chance."),
        _C("control_p_adjusted", _F, "adjusted p", "probability", "p value of control minus chance, corrected over the arms."),
        _C("control_verdict", pl.String, "control against chance", "verdict",
           "better: the control is above chance, so that the probe shows more than the background."),
        _C("foreground_delta", _F, "foreground difference", "signed", "Foreground-only mAP minus the baseline's."),
        _C("foreground_low", _F, "lower end", "signed", "Lower end of the interval of the foreground difference."),
        _C("foreground_high", _F, "upper end", "signed", "Upper end of the interval of the foreground difference."),
        _C("foreground_p_adjusted", _F, "adjusted p", "probability", "p value of the foreground difference, corrected over the arms."),
        _C("foreground_verdict", pl.String, "foreground against the baseline", "verdict", "Verdict on the foreground difference."),
        _C("together_delta", _F, "all arms, difference", "signed", "Mean reliance of all other arms minus the baseline's."),
        _C("together_low", _F, "lower end", "signed", "Lower end of the interval of that difference."),
        _C("together_high", _F, "upper end", "signed", "Upper end of the interval of that difference."),
        _C("together_p", _F, "p", "probability", "p value of that difference, one comparison by itself."),
        _C("together_verdict", pl.String, "all arms, verdict", "verdict", "Verdict on that difference."),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Tested:
    """An arm's tests. `scores`: (version, mode) -> (I, S) average precision; `chance`: (I,); identities sorted."""

    identities: list[str]
    chance: np.ndarray
    scores: dict[tuple[str, str], np.ndarray]

    @property
    def seeds(self) -> int:
        """Number of seeds."""
        return next(iter(self.scores.values())).shape[1]

    def role(self, role: str, probes: Mapping[str, str]) -> np.ndarray:
        """Return the scores (I, S) on the version of a role."""
        return self.scores[probes[role], BOTH]


def background_tables(
    experiment: Experiment, tested: Mapping[str, pl.DataFrame], probes: Mapping[str, str], level: float = LEVEL
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the TESTED_MATRIX and the RELIANCE table of an experiment.

    tested: arm -> its TESTED_ON table. probes: role -> label of its version: `background` (the animal is cut out),
    `control` (the same holes in unrelated backgrounds), `foreground` (the animal alone), `silhouette`.
    Raises ReidflowError where a version or a seed is missing.
    """
    versions = {label: version.model_dump() for label, version in experiment.file.tested_on.items()}
    probes = {**probes, ORIGINAL: original_label(versions)}
    same = ~pl.col("tested_on").is_in(resized_labels(versions))
    arms = {name: _read(name, frame.filter(same), experiment) for name, frame in tested.items()}
    _check(arms, probes, experiment)
    return _matrix(experiment, arms, probes[ORIGINAL], level), _reliance(experiment, arms, probes, level)


def _read(arm: str, frame: pl.DataFrame, experiment: Experiment) -> Tested:
    seeds = trained_seeds(experiment.arms[arm], set(frame["seed"]), "tested_on.parquet")
    versions = list(dict.fromkeys(frame.select("tested_on", "mode").iter_rows()))
    found = frame.select("tested_on", "mode", "identity", "seed", "ap", "ap_chance").rows()
    ap = {key: value for *key, value, _ in found for key in [tuple(key)]}
    chance = {identity: value for _, _, identity, _, _, value in found}
    identities = sorted(chance)
    scores = {
        version: np.array([[ap[*version, identity, seed] for seed in seeds] for identity in identities])
        for version in versions
    }
    return Tested(identities, np.array([chance[identity] for identity in identities]), scores)


def _check(arms: Mapping[str, Tested], probes: Mapping[str, str], experiment: Experiment) -> None:
    first = arms.get(experiment.file.baseline)
    if first is None:
        raise ReidflowError(f"{experiment.path}: the baseline {experiment.file.baseline} was not tested. Run it.")
    missing = [role for role in ROLES if role not in probes]
    absent = [f"{role}: {label}" for role, label in probes.items() if (label, BOTH) not in first.scores]
    if missing or absent:
        raise ReidflowError(
            f"{experiment.path}, probes: " + (f"no label for {', '.join(missing)}. " if missing else "")
            + (f"not among the tested versions: {', '.join(absent)}. " if absent else "")
            + f"Give each of {', '.join(ROLES)} a label of the experiment's tests."
        )  # fmt: skip
    for name, arm in arms.items():
        if arm.identities != first.identities or list(arm.scores) != list(first.scores):
            raise ReidflowError(
                f"{experiment.path}: the arm '{name}' was tested on other versions or identities than the baseline. "
                "Delete its tested_on.parquet and run again."
            )


def _matrix(experiment: Experiment, arms: Mapping[str, Tested], original: str, level: float) -> pl.DataFrame:
    """Return the matrix; the differences of a mode are corrected over all its arms and versions."""
    found: dict[tuple[str, str, str], Comparison] = {}
    for mode in dict.fromkeys(mode for arm in arms.values() for _, mode in arm.scores):
        found |= _judged(
            {
                (name, *version): scores - arm.scores[original, BOTH]
                for name, arm in arms.items()
                for version, scores in arm.scores.items()
                if version[1] == mode and version != (original, BOTH)
            },
            level,
        )
    rows = []
    for name, arm in arms.items():
        trained = experiment.arms[name].spec.plain().get("background")
        for (label, mode), scores in arm.scores.items():
            values = [mean(column) for column in scores.T.tolist()]
            reference = (label, mode) == (original, BOTH)
            row = {
                "experiment": experiment.name,
                "arm": name,
                "tested_on": label,
                "mode": mode,
                "own": experiment.file.tested_on[label].background == trained,
                "seeds": len(values),
                "id_map": mean(values),
                "id_map_std": statistics.stdev(values) if len(values) > 1 else None,
                "id_map_by_seed": values,
                "chance": mean(arm.chance.tolist()),
                "delta": None if reference else mean((scores - arm.scores[original, BOTH]).ravel().tolist()),
                "verdict": REFERENCE if reference else INCONCLUSIVE,
            }
            rows.append(row | _delta(found.get((name, label, mode))))
    return _frame(rows, TESTED_MATRIX)


def _reliance(
    experiment: Experiment, arms: Mapping[str, Tested], probes: Mapping[str, str], level: float
) -> pl.DataFrame:
    """Return the table; arms are compared on as many seeds as all of them have, paired by position."""
    baseline = experiment.file.baseline
    few = min(arm.seeds for arm in arms.values())
    paired = {name: _ratio(arm, probes, level, few) for name, arm in arms.items()}
    others = [name for name in arms if name != baseline]
    found = compare_reliance({name: paired[name] for name in others}, paired[baseline], level)
    reference = arms[baseline].role("foreground", probes)[:, :few]
    cost = {name: arms[name].role("foreground", probes)[:, :few] - reference for name in others}
    judged = _judged(cost, level)
    excess = _judged({name: arm.role("control", probes) - arm.chance[:, None] for name, arm in arms.items()}, level)
    rows = []
    for name, arm in arms.items():
        ratio = _ratio(arm, probes, level)
        rows.append(
            {
                "experiment": experiment.name,
                "arm": name,
                "baseline": name == baseline,
                **{role: mean(arm.role(role, probes).ravel().tolist()) for role in ROLES},
                "chance": mean(arm.chance.tolist()),
                "reliance": ratio.value,
                "low": ratio.low,
                "high": ratio.high,
                "verdict": BASELINE if name == baseline else UNDEFINED,
                "defined": ratio.value is not None,
                "note": ratio.note,
                **_lower_or_higher(found.get(name)),
                **_ends(excess.get(name), "control_"),
                "foreground_delta": mean(cost[name].ravel().tolist()) if name in cost else None,
                **_ends(judged.get(name), "foreground_"),
                **(
                    _together({other: paired[other] for other in others}, paired[name], level)
                    if name == baseline
                    else {}
                ),
            }
        )
    free = {
        row["arm"]: paired[row["arm"]]
        for row in rows
        if row["verdict"] == LOWER and row.get("foreground_verdict") != "worse"
    }
    chosen = _lowest(free, level)
    return _frame([{**row, "recommended": row["arm"] in chosen} for row in rows], RELIANCE)


def _together(arms: Mapping[str, Reliance], baseline: Reliance, level: float) -> dict[str, Any]:
    """Return the columns of the one comparison of all other arms together with the baseline."""
    pooled = together(arms)
    found = (
        compare_reliance({"together": pooled}, baseline, level).get("together") if pooled.value is not None else None
    )
    if found is None:
        return {}
    verdict = _lower_or_higher(found)["verdict"]
    values = {"delta": found.delta, "low": found.low, "high": found.high, "p": found.p, "verdict": verdict}
    return {f"together_{name}": value for name, value in values.items()}


def _lowest(arms: Mapping[str, Reliance], level: float) -> set[str]:
    """Return the arm with the lowest reliance and those not significantly different from it."""
    if not arms:
        return set()
    first = min(arms, key=lambda name: arms[name].value)
    others = {name: arm for name, arm in arms.items() if name != first}
    found = compare_reliance(others, arms[first], level)
    return {first, *(name for name in others if found[name].verdict != "better")}


def _ratio(arm: Tested, probes: Mapping[str, str], level: float, seeds: int | None = None) -> Reliance:
    background, foreground = (arm.role(role, probes)[:, :seeds] for role in ("background", "foreground"))
    return reliance(background, foreground, arm.chance, level)


def _delta(found: Comparison | None) -> dict[str, Any]:
    """Return the columns of a difference besides its mean; none for a single seed or identity."""
    if found is None:
        return {}
    return {"delta_low": found.low, "delta_high": found.high, "p_adjusted": found.p_adjusted, "verdict": found.verdict}


def _lower_or_higher(found: Comparison | None) -> dict[str, Any]:
    """Return the columns of a difference in reliance, which is neither better nor worse by itself."""
    if found is None:
        return {}
    verdict = {"better": HIGHER, "worse": LOWER}.get(found.verdict, INCONCLUSIVE)
    return {**_delta(found), "delta": found.delta, "verdict": verdict}


def _judged(differences: Mapping[Any, np.ndarray], level: float) -> dict[Any, Comparison]:
    """Return the comparisons of those with two identities and two seeds, corrected over them."""
    return compare({key: values for key, values in differences.items() if min(values.shape) >= 2}, level)


def _ends(found: Comparison | None, prefix: str) -> dict[str, Any]:
    """Return the interval, corrected p value and verdict of a comparison as columns; none where there was none."""
    if found is None:
        return {}
    values = {"low": found.low, "high": found.high, "p_adjusted": found.p_adjusted, "verdict": found.verdict}
    return {f"{prefix}{name}": value for name, value in values.items()}


def _frame(rows: list[dict[str, Any]], contract: Contract) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in contract.columns} for row in rows], schema=contract.columns)


def quantity_rows(
    experiment: Experiment,
    tested: Mapping[str, pl.DataFrame],
    table: pl.DataFrame,
    quantities: Sequence[Quantity],
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """Return rows of QUANTITIES. tested: arm -> its TESTED_ON table. table: RELIANCE. quantities: those of the module."""
    reliance, *queries = quantities
    turned = {HIGHER: "worse", LOWER: "better", UNDEFINED: INCONCLUSIVE}
    differences = ("delta", "delta_low", "delta_high", "p_adjusted")
    rows = described(
        reliance,
        (
            {
                "arm": row["arm"],
                "value": row["reliance"],
                "reference": None if row["baseline"] else experiment.file.baseline,
                **{key: row[key] for key in differences},
                "verdict": turned.get(row["verdict"], row["verdict"]),
            }
            for row in table.to_dicts()
        ),
    )
    arms = {name: _read(name, found, experiment) for name, found in tested.items()}
    for quantity, label in zip(
        queries, (quantity.name.removeprefix("queries on ") for quantity in queries), strict=True
    ):
        scores = {name: (arm.identities, arm.scores[label, QUERY]) for name, arm in arms.items()}
        rows += compared(quantity, scores, experiment.file.baseline, level, LARGEST, experiment.equivalence)
    return rows
