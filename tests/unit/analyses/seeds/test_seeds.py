"""Tables and statements of a report on seeds, against planted noise and independent references."""

import json
import math
import statistics
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from reidflow.analyses.seeds import tables as tables
from reidflow.analyses.seeds.findings import sections
from reidflow.analyses.seeds.tables import DIFFERENCE, SPLIT, TRAINING, Noise
from reidflow.analyses.seeds.winner import Best, as_yaml, best_of, settings
from reidflow.evaluation.runs import METRICS, SPLIT_RUNS
from reidflow.spec import yaml
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import write_table
from reidflow.tables.experiment import RESULTS
from reidflow.tables.sections import read_sections, write_sections

SEEDS, SPLITS = tuple(range(200, 210)), (1, 2, 3, 4, 5)
SPECS = {
    "plain": {"loss": {"name": "arcface", "margin": 0.5}, "model": {"head": {"dim": 8}}, "epochs": 3, "seed": 200},
    "best": {"loss": {"name": "circle", "m": 0.4}, "model": {"head": {"dim": 8}}, "epochs": 3, "seed": 200},
}
BEST = Best("best", "plain", SPECS)


def run(arm, seed, value, split_seed=None, val=None):
    """Return a run of METRICS, of SPLIT_RUNS with a split seed."""
    contract = METRICS if split_seed is None else SPLIT_RUNS
    row = {"arm": arm, "seed": seed, "run": f"{arm} {seed} {split_seed}", "id_map": value, "split_seed": split_seed}
    row |= {"val_id_map": value + 0.1 if val is None else val, "diverged": False, "chance": 0.05, "versions": "torch"}
    return {name: row.get(name, 0) for name in contract.columns}


def metrics(**arms):
    rows = [run(arm, seed, value) for arm, values in arms.items() for seed, value in zip(SEEDS, values, strict=False)]
    return pl.DataFrame(rows, schema=METRICS.columns)


def split_runs(seeds=(200,), **arms):
    rows = [
        run(arm, seed, value, split)
        for arm, values in arms.items()
        for split, value in zip(SPLITS, values, strict=False)
        for seed in seeds
    ]
    return pl.DataFrame(rows, schema=SPLIT_RUNS.columns)


def normal(std, mean, count, seed):
    return (mean + std * np.random.default_rng(seed).normal(size=count)).tolist()


@pytest.fixture
def planted():
    """SEEDS of a best arm 0.1 ahead: noise 0.02 between training seeds, 0.05 between splits."""
    main = metrics(plain=normal(0.02, 0.4, 10, 1), best=normal(0.02, 0.5, 10, 2))
    return tables.seeds_table(main, split_runs(plain=normal(0.05, 0.4, 5, 3), best=normal(0.05, 0.5, 5, 4)))


def ranked(**arms):
    order = sorted(arms, key=lambda arm: -statistics.mean(arms[arm]))
    return [
        {"experiment": "losses", "arm": arm, "configuration": arm, "val_id_map": statistics.mean(arms[arm])}
        | {"seeds": list(range(len(arms[arm]))), "values": arms[arm], "diverged": arms[arm].count(0.0)}
        for arm in order
    ]


def results(deltas, seeds=5, verdicts=None, low=None):
    """Return RESULTS with a baseline and an arm for each difference (None: nothing known)."""
    rows = [{"arm": "base", "baseline": True, "delta": None, "verdict": "baseline", "seeds": seeds}]
    for arm, delta in deltas.items():
        verdict = (verdicts or {}).get(arm, "inconclusive")
        rows.append(
            {"arm": arm, "baseline": False, "delta": delta, "verdict": verdict, "seeds": seeds, "delta_low": low}
        )
    return pl.DataFrame([{c: row.get(c) for c in RESULTS.columns} for row in rows], schema=RESULTS.columns)


def statements(seeds, **given):
    """Return the statements of all sections as one text."""
    best = given.get("best", BEST)
    spreads = tables.spreads_table(seeds, best.arm, best.baseline)
    ranking = given.get("ranking", tables.ranking_table(ranked(circle=[0.6, 0.62], arcface=[0.2, 0.21])))
    readings = given.get("readings", tables.READINGS.empty())
    return "\n".join(line for part in sections(best, seeds, spreads, ranking, readings) for line in part.statements)


def test_every_run_stands_in_the_table_of_seeds(planted, tmp_path):
    write_table(planted, tmp_path / "seeds.parquet", tables.SEEDS)
    assert planted.filter(kind=TRAINING).height == 20 and planted.filter(kind=SPLIT).height == 10
    assert planted.filter(kind=TRAINING)["split_seed"].null_count() == 20
    assert planted.filter(kind=SPLIT, arm="best")["split_seed"].to_list() == list(SPLITS)


def test_mean_spread_standard_error_and_range_are_those_of_the_runs(planted, tmp_path):
    spreads = tables.spreads_table(planted, "best", "plain")
    write_table(spreads, tmp_path / "spreads.parquet", tables.SPREADS)
    rows = {(row["kind"], row["arm"]): row for row in spreads.to_dicts()}
    values = planted.filter(kind=TRAINING, arm="best")["id_map"].to_numpy()
    row = rows[TRAINING, "best"]
    assert row["count"] == 10 and row["mean"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std(ddof=1))
    assert row["standard_error"] == pytest.approx(stats.sem(values))
    assert (row["lowest"], row["highest"]) == (values.min(), values.max())
    assert rows[SPLIT, "best"]["count"] == 5 and rows[SPLIT, "best"]["standard_error"] is None


def test_the_difference_is_paired_by_seed_and_by_split():
    shared = normal(0.1, 0.0, 10, 7)
    main = metrics(plain=[0.4 + x for x in shared], best=[0.5 + x for x in shared])
    splits = split_runs(plain=[0.4 + x for x in shared[:4]], best=[0.45 + x for x in shared[:5]])
    spreads = tables.spreads_table(tables.seeds_table(main, splits), "best", "plain").filter(arm=DIFFERENCE)
    assert spreads["mean"].to_list() == pytest.approx([0.1, 0.05])
    assert spreads["std"].to_list() == pytest.approx([0, 0], abs=1e-12)
    assert spreads["count"].to_list() == [10, 4], "a split that lacks an arm has no difference"


def test_several_training_seeds_on_a_split_count_as_one():
    runs = pl.concat([split_runs((200,), best=[0.2, 0.4]), split_runs((201,), best=[0.4, 0.8])])
    seeds = tables.seeds_table(metrics(best=[0.5]), runs)
    assert tables.by_seed(seeds, SPLIT, "best") == pytest.approx({1: 0.3, 2: 0.6})


def test_the_noise_is_recovered_from_planted_runs():
    found = []
    for n in range(200):
        shared = normal(0.2, 0.0, 5, (n, 0))
        ours, theirs = normal(0.02, 0.5, 5, (n, 1)), normal(0.02, 0.4, 5, (n, 2))
        lead = normal(0.05, 0.0, 5, (n, 5))
        splits = split_runs(
            best=[a + b + c for a, b, c in zip(ours, shared, lead, strict=True)],
            plain=[a + b for a, b in zip(theirs, shared, strict=True)],
        )
        main = metrics(best=normal(0.02, 0.5, 10, (n, 3)), plain=normal(0.02, 0.4, 10, (n, 4)))
        found.append(tables.noise_of(tables.seeds_table(main, splits), "best", "plain"))
    assert math.sqrt(statistics.mean(noise.std**2 for noise in found)) == pytest.approx(0.02, rel=0.05)
    assert math.sqrt(statistics.mean(noise.split_std**2 for noise in found)) == pytest.approx(0.05, rel=0.08)
    assert (found[0].freedom, found[0].split_freedom) == (18, 4)


def test_without_splits_or_with_one_seed_no_noise_is_made_up():
    noise = tables.noise_of(tables.seeds_table(metrics(best=[0.5, 0.6], plain=[0.4, 0.4]), None), "best", "plain")
    assert noise.split_std is None and noise.with_split(5) is None
    assert noise.std == pytest.approx(math.sqrt(0.005 / 2))
    assert tables.noise_of(tables.seeds_table(metrics(best=[0.5], plain=[0.4]), None), "best", "plain") is None
    assert tables.readings_table({"losses": results({"a": 0.1})}, None).is_empty()


def test_a_difference_is_read_against_the_noise_of_its_number_of_seeds(tmp_path):
    noise = Noise(0.02, 18, 0.05, 4)
    deltas = {"small": 0.03, "gone": None, "large": -0.2, "middle": 0.1}
    found = tables.readings_table({"losses": results(deltas, 5, {"large": "worse", "small": "better"})}, noise)
    write_table(found, tmp_path / "readings.parquet", tables.READINGS)
    (row,) = found.to_dicts()
    assert (row["experiment"], row["arm"], row["arms"], row["seeds"]) == ("losses", "large", 3, 5)
    assert row["noise"] == pytest.approx(0.02 * math.sqrt(2 / 5))
    assert row["ratio"] == pytest.approx(0.2 / row["noise"])
    assert row["limit"] == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 18) * row["noise"])
    assert row["split_noise"] == pytest.approx(math.sqrt(0.05**2 + row["noise"] ** 2))
    assert row["split_limit"] == pytest.approx(stats.t.ppf(1 - 0.05 / 6, 4) * row["split_noise"])
    assert row["beyond"] and not row["split_beyond"]
    assert (row["significant"], row["significant_beyond"], row["significant_split_beyond"]) == (2, 1, 0)


def test_the_largest_of_many_noisy_differences_is_rarely_beyond():
    generator, beyond = np.random.default_rng(11), 0
    for _ in range(400):
        runs = generator.normal(0.5, 0.02, (2, 10))
        arms = generator.normal(0.5, 0.02, (12, 5)).mean(axis=1)
        base = generator.normal(0.5, 0.02, 5).mean()
        noise = tables.noise_of(tables.seeds_table(metrics(best=runs[0], plain=runs[1]), None), "best", "plain")
        deltas = {f"arm {n}": float(value - base) for n, value in enumerate(arms)}
        beyond += tables.readings_table({"noise": results(deltas)}, noise)["beyond"][0]
    assert beyond / 400 <= 0.07


def test_experiments_that_compare_nothing_are_not_read():
    found = tables.readings_table({"alone": results({}), "losses": results({"a": 0.1})}, Noise(0.0, 18))
    assert found["experiment"].to_list() == ["losses"]
    assert found["beyond"][0] and found["ratio"][0] is None and found["split_noise"][0] is None


def test_candidates_are_held_against_the_first_by_welch_and_holm(tmp_path):
    arms = {"a": [0.60, 0.62, 0.61], "b": [0.59, 0.61, 0.60], "c": [0.3, 0.31, 0.29], "d": [0.5]}
    ranking = tables.ranking_table(ranked(**arms))
    write_table(ranking, tmp_path / "ranking.parquet", tables.RANKING)
    p = [stats.ttest_ind(arms["a"], arms[name], equal_var=False).pvalue for name in "bc"]
    found = dict(ranking.select("arm", "p_adjusted").iter_rows())
    assert found["c"] == pytest.approx(2 * min(p)) and found["b"] == pytest.approx(max(p))
    assert dict(ranking.select("arm", "different").iter_rows()) == {"a": False, "b": False, "d": None, "c": True}
    text = statements(tables.seeds_table(metrics(best=[0.5, 0.6], plain=[0.4, 0.4]), None), ranking=ranking)
    assert "No run on another split has a score." in text
    assert (
        "**a** of losses has the highest mean validation mAP, 0.610 over 3 seeds, of 4 arms (4 configurations)" in text
    )
    assert "1 other configuration is not significantly different from it" in text
    assert "for want of a second seed: 1 arm." in text


def test_luck_of_the_selection_is_a_decrease_on_validation(planted):
    ranking = tables.ranking_table(ranked(circle=[0.70, 0.72], arcface=[0.2, 0.21]))
    new = planted.filter(kind=TRAINING, arm="best")["val_id_map"].mean()
    text = statements(planted, ranking=ranking)
    assert f"scored 0.710 with the 2 seeds that selected it and scores {new:.3f} with 10 new ones" in text
    assert "part of its lead was luck (regression to the mean)" in text
    close = tables.ranking_table(ranked(circle=[new - 0.1, new + 0.11], arcface=[0.2, 0.21]))
    assert "within the noise of these seeds" in statements(planted, ranking=close)
    steady = tables.ranking_table(ranked(circle=[0.50, 0.51], arcface=[0.2, 0.21]))
    assert "no sign of a lucky selection" in statements(planted, ranking=steady)


def test_the_statements_hold_the_planted_numbers(planted):
    readings = tables.readings_table(
        {
            "losses": results({"a": 0.4}, verdicts={"a": "better"}),
            "rates": results({"b": 0.01}, verdicts={"b": "worse"}),
        },
        tables.noise_of(planted, "best", "plain"),
    )
    text = statements(planted, readings=readings)
    spreads = {(row["kind"], row["arm"]): row for row in tables.spreads_table(planted, "best", "plain").to_dicts()}
    own, split = spreads[TRAINING, "best"], spreads[SPLIT, DIFFERENCE]
    assert f"**best** scores {own['mean']:.3f} on test over 10 seeds, none of which selected it" in text
    assert f"standard deviation {own['std']:.3f}, standard error {own['standard_error']:.3f}" in text
    assert f"**plain** scores {spreads[TRAINING, 'plain']['mean']:.3f} on test over 10 seeds:" in text
    assert f"paired by seed, is {spreads[TRAINING, DIFFERENCE]['mean']:+.3f}" in text
    assert f"paired by split, is {split['mean']:+.3f} with a standard deviation of {split['std']:.3f}" in text
    ahead = sum(value > 0 for value in tables.differences(planted, SPLIT, "best", "plain").values())
    assert f"**best** is ahead on {ahead} of 5 splits." in text
    assert f"changes by {tables.noise_of(planted, 'best', 'plain').std:.3f} with its seed" in text
    assert "is beyond the noise of training seeds in losses (+0.400)." in text
    assert "is within the noise of training seeds in rates (+0.010)." in text
    assert "yet within this noise: **b** of rates (worse)." in text
    assert "Of 2 arms significantly different from their baseline, 1 is beyond the noise of training seeds" in text


def test_missing_splits_leaks_and_a_baseline_that_wins_are_stated(planted):
    missing = Best("best", "plain", SPECS, "the split 'folds' has no seed")
    seeds = planted.filter(kind=TRAINING)
    assert "Other splits were not tried: the split 'folds' has no seed." in statements(seeds, best=missing)
    assert "The leak audit of these splits finds none." in statements(planted)
    leaking = statements(planted, best=Best("best", "plain", SPECS, "", (2, 5)))
    assert "finds a leak in the splits with the seeds 2, 5." in leaking and "finds none" not in leaking
    same = Best("best", "plain", {"best": SPECS["plain"], "plain": SPECS["plain"] | {"seed": 201}})
    assert "It is the baseline's configuration" in statements(planted, best=same)
    assert "It is the baseline's configuration" not in statements(planted)
    one = statements(planted, best=Best("best", "best", SPECS))
    assert one.count("on test over 10 seeds") == 1


def test_the_configuration_is_listed_by_setting_and_as_yaml(planted):
    assert settings(SPECS["best"]) == {"loss": {"name": "circle", "m": 0.4}, "model.head.dim": 8, "epochs": 3}
    spreads = tables.spreads_table(planted, "best", "plain")
    ranking = tables.ranking_table(ranked(circle=[0.6, 0.62]))
    (table, *_), *_ = (part.tables for part in sections(BEST, planted, spreads, ranking, tables.READINGS.empty()))
    assert table.rows == [
        ["loss *", "circle(m=0.4)", "arcface(margin=0.5)"],
        ["model.head.dim", "8", "8"],
        ["epochs", "3", "3"],
    ]
    read = yaml.loads(as_yaml(ranked(circle=[0.6, 0.62])[0], SPECS["best"], SEEDS))
    assert read["run"] == {key: value for key, value in SPECS["best"].items() if key != "seed"}
    assert (read["arm"], read["selection_seeds"], read["seeds"]) == ("circle", [0, 1], list(SEEDS))


def test_the_sections_survive_being_written(planted, tmp_path):
    spreads, ranking = tables.spreads_table(planted, "best", "plain"), tables.ranking_table(ranked(circle=[0.6, 0.62]))
    readings = tables.readings_table({"x|<b>": results({"_a*": 0.4}, low=-0.1)}, Noise(0.02, 18, 0.0, 4))
    found = sections(BEST, planted, spreads, ranking, readings)
    write_sections(tmp_path / "seeds.json", found)
    assert read_sections(tmp_path / "seeds.json") == found
    assert all(len(row) == len(table.headings) for part in found for table in part.tables for row in table.rows)
    assert r"x\|\<b\>" in " ".join(found[-1].statements)


def test_the_winner_and_the_reason_for_missing_splits_come_from_the_experiment(tmp_path):
    runs = [SimpleNamespace(arm=arm) for arm in ("plain", "top")]
    jobs = SimpleNamespace(runs=runs, specs=list(SPECS.values()))
    arms = {name: SimpleNamespace(name=name, winner_of=of) for name, of in (("plain", None), ("top", "candidates"))}
    file = SimpleNamespace(baseline="plain", candidates=SimpleNamespace(split_seeds=[1, 2]))
    experiment = SimpleNamespace(path="seeds.yaml", arms=arms, file=file)
    specs, audits = {"plain": SPECS["plain"], "top": SPECS["best"]}, [tmp_path / "1.json", tmp_path / "2.json"]
    for path, leaks in zip(audits, (False, True), strict=True):
        path.write_text(json.dumps({"leaks": leaks}))
    found = best_of(experiment, jobs, {"name": "closed_set", "seed": 0}, audits)
    assert found == Best("top", "plain", specs, "", (2,))
    experiment.file.candidates.split_seeds = []
    assert "'own.split' has no seed" in best_of(experiment, jobs, {"name": "own.split"}).missing
    assert "names no seeds" in best_of(experiment, jobs, {"name": "closed_set", "seed": 0}).missing
    with pytest.raises(ReidflowError, match="no arm is the winner"):
        best_of(SimpleNamespace(path="seeds.yaml", arms={}, file=file), jobs, {"name": "closed_set", "seed": 0})
