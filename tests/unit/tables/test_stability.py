import math

import polars as pl
import pytest
from arms_folder import a_description, a_table, an_experiment

from reidflow.tables.arms import EvaluatedArm
from reidflow.tables.experiment import RESULTS, epochs_to_gain, grid_spread, stability
from reidflow.tables.findings import findings
from reidflow.tables.parameters import parameters_block, parameters_section


def a_history(scores: list, seed: int = 0, norms: list | None = None, largest: list | None = None) -> pl.DataFrame:
    count = len(scores)
    rows = {
        "arm": ["arm"] * count,
        "seed": [seed] * count,
        "split": [0] * count,
        "epoch": list(range(count)),
        "val_id_map": scores,
        "gradient_norm": norms or [None] + [1.0] * (count - 1),
        "gradient_norm_max": largest or [None] + [2.0] * (count - 1),
    }
    kinds = {"val_id_map": pl.Float64, "gradient_norm": pl.Float64, "gradient_norm_max": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def an_arm(histories: list[pl.DataFrame], kept: list, points: list | None = None, **columns: list) -> EvaluatedArm:
    metrics = pl.DataFrame(
        {"seed": list(range(len(kept))), "split": [0] * len(kept), "val_id_map": kept, **columns},
        schema_overrides={"val_id_map": pl.Float64},
    )
    chosen = {"points": points} if points else None
    none = pl.DataFrame()
    return EvaluatedArm("arm", tuple(range(len(kept))), metrics, none, pl.concat(histories), none, chosen)


def test_95_percent_of_the_gain_counts_from_before_training_to_the_weights_that_were_kept():
    rising = a_history([0.2, 0.5, 0.575, 0.581, 0.6, 0.55])
    assert epochs_to_gain(rising, 0.6) == 3  # 0.2 + 0.95 x 0.4 = 0.58, and 0.95 x 0.6 = 0.57
    assert epochs_to_gain(rising, 0.55) == 2  # the last weights were kept: 0.5325 is first reached here
    assert epochs_to_gain(rising.reverse(), 0.6) == 3
    assert epochs_to_gain(rising, 0.9) == 3  # by a ranking with more than the embeddings


def test_a_run_that_never_rises_and_one_without_validation_have_no_such_epoch():
    assert epochs_to_gain(a_history([0.5, 0.4, 0.45]), 0.5) is None
    assert epochs_to_gain(a_history([0.5, 0.4, 0.45]), 0.45) is None
    assert epochs_to_gain(a_history([0.5, 0.4, 0.45]), 0.9) is None
    assert epochs_to_gain(a_history([None, None, None]), None) is None
    assert epochs_to_gain(a_history([0.2, math.nan, 0.6]), 0.6) == 2


def test_one_seed_that_never_rises_leaves_the_arm_without_a_mean():
    rises, falls = a_history([0.2, 0.6]), a_history([0.6, 0.2], seed=1)
    assert stability(an_arm([rises, falls], [0.6, 0.6]))["epochs_to_95"] is None
    assert stability(an_arm([rises, a_history([0.2, 0.3, 0.6], seed=1)], [0.6, 0.6]))["epochs_to_95"] == 1.5


def test_gradient_norms_are_means_of_seeds_without_what_is_not_finite():
    one = a_history([0.1, 0.2, 0.3], 0, [None, 1.0, 3.0], [None, 4.0, 9.0])
    other = a_history([0.1, 0.2, None], 1, [None, 8.0, math.inf], [None, 5.0, math.nan])
    found = stability(an_arm([one, other], [0.3, 0.2]))
    assert found["gradient_norm"] == pytest.approx((2.0 + 8.0) / 2)
    assert found["gradient_norm_max"] == 9.0


def test_a_run_without_training_has_no_gradient():
    found = stability(an_arm([a_history([0.4])], [0.4]))
    assert [found[c] for c in ("gradient_norm", "gradient_norm_max", "epochs_to_95", "train_flops")] == [None] * 4


def test_training_flops_are_taken_where_they_were_counted():
    arm = an_arm([a_history([0.1, 0.2]), a_history([0.1, 0.2], 1)], [0.2, 0.2], train_flops=[10, 20])
    assert stability(arm)["train_flops"] == 15


def test_the_spread_over_the_grid_is_best_minus_worst():
    points = [{"val_id_map": value} for value in (0.0, 0.571, 0.6, 0.5699)]
    assert grid_spread(points) == {"sensitivity_range": 0.6, "near_best": 2}
    assert stability(an_arm([a_history([0.1, 0.2])], [0.2], points))["near_best"] == 2
    assert "near_best" not in stability(an_arm([a_history([0.1, 0.2])], [0.2]))


def section(tmp_path, title: str, **columns: list) -> str:
    """Return a section of the findings of three arms in whose results some columns are replaced."""
    experiment, tables = a_table(tmp_path, {"fast": 0.0, "slow": 0.0, "stuck": 0.0})
    planted = [pl.Series(name, values, dtype=RESULTS.columns[name]) for name, values in columns.items()]
    text = findings(experiment, a_description(), tables._replace(results=tables.results.with_columns(planted)))
    return text.split(f"## {title}\n")[1].split("\n## ")[0] if f"## {title}\n" in text else ""


def test_the_findings_name_who_is_unsteady_and_who_is_fast(tmp_path):
    text = section(
        tmp_path,
        "Training and stability",
        id_map_std=[0.03, 0.01, 0.02],
        epochs_to_95=[2.0, 9.5, None],
        gradient_norm=[1.0, 1.0, None],
        gradient_norm_max=[30.0, 3.0, None],
        divergence=[0.0, 0.0, 0.4],
        below_untrained=[0.0, 0.0, 1.0],
    )
    assert "**stuck** 40%." in text and "**stuck** 100%." in text
    assert "**slow** varies least (std 0.010) and **fast** most (0.030)" in text
    assert "reached first by **fast**, after 2 epochs, and last by **slow**, after 9.5 (mean over seeds)." in text
    assert "Not every seed of **stuck** rises" in text
    assert "**fast** 30 against 1." in text


def test_the_findings_order_arms_by_what_a_wrong_choice_costs(tmp_path):
    grid = [{"point": str(n), "val_id_map": 0.1} for n in range(4)]
    text = section(
        tmp_path,
        "Tuned settings",
        sensitivity_range=[0.4, 0.1, None],
        near_best=[1, 3, None],
        sensitivity=[grid, grid, None],
    )
    assert "slow 0.100 (3 of 4) and fast 0.400 (1 of 4)." in text
    assert section(tmp_path / "untuned", "Tuned settings") == ""


class Plain:
    def __init__(self, tree: dict) -> None:
        self.tree = tree

    def plain(self) -> dict:
        return self.tree


def with_settings(experiment, trees: dict[str, dict]):
    for name, tree in trees.items():
        object.__setattr__(experiment.arms[name], "points", (({}, Plain(tree)),))
    return experiment


def test_the_settings_list_what_differs_with_defaults_and_without_what_is_tuned():
    tuned = {"optimizer.learning_rate": [0.1, 0.2]}
    experiment = an_experiment(["a", "b"], varies=["optimizer", "epochs"], tuned=tuned)
    first = {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9}
    with_settings(
        experiment,
        {
            "a": {"optimizer": first, "epochs": 3},
            "b": {"optimizer": {"name": "adam", "learning_rate": 0.1}, "epochs": 3},
        },
    )
    block = parameters_block(experiment)
    assert block.headings == ["arm", "optimizer"]
    assert block.rows == [["a", "sgd(momentum=0.9)"], ["b", "adam"]]
    assert "optimizer.learning\\_rate" not in parameters_section(experiment).statements[0]
    assert "`optimizer.learning_rate` from [0.1, 0.2]" in parameters_section(experiment).statements[0]


def test_a_tuned_part_of_a_varied_group_is_left_out():
    experiment = an_experiment(["a", "b"], varies=["model.head"], tuned={"model.head.dim": [64, 128]})
    heads = {"a": {"dim": 64, "depth": 1}, "b": {"dim": 128, "depth": 2}}
    with_settings(experiment, {name: {"model": {"head": head}} for name, head in heads.items()})
    block = parameters_block(experiment)
    assert block.headings == ["arm", "model.head.depth"]
    assert block.rows == [["a", "1"], ["b", "2"]]


def test_a_part_that_an_arm_lacks_is_a_dash():
    experiment = an_experiment(["a", "b"], varies=["dedup"])
    with_settings(experiment, {"a": {"dedup": None}, "b": {"dedup": {"method": {"name": "phash"}, "threshold": 4.0}}})
    block = parameters_block(experiment)
    assert block.headings == ["arm", "dedup.method", "dedup.threshold"]
    assert block.rows == [["a", "–", "–"], ["b", "phash", "4.0"]]
