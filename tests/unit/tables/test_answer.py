import json

import polars as pl
import pytest
from arms_folder import a_description, a_table

from reidflow.tables.answer import answer, answer_of, as_json, more_certainty
from reidflow.tables.quantities import frame

ENTRY = {"dataset": "demo", "held": "partly", "text": "Because."}


def said(folder, effects, **content):
    _, tables = a_table(folder, effects, **content)
    return answer(tables.results, a_description(), frame([])), {row["arm"]: row for row in tables.results.to_dicts()}


def test_the_answer_says_what_is_better_by_how_much_and_what_ties(tmp_path):
    text, rows = said(tmp_path, {"base": 0.0, "up": 0.2, "up2": 0.1, "same": 0.0, "down": -0.1})
    up = rows["up"]
    assert text == (
        f"**up** is better than **base** by {up['delta']:.3f} [{up['delta_low']:.3f}, {up['delta_high']:.3f}], "
        "as is 1 other arm by less; every other arm is significantly worse than the best."
    )
    assert 0 < up["delta_low"] < 0.2 < up["delta_high"] + 0.02


def test_an_arm_that_is_better_is_named_beside_a_higher_mean_that_is_not(tmp_path):
    _, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05, "high": 0.0})
    results = tables.results.to_dicts()
    results[2] |= {"id_map": 0.9, "delta": 0.4, "delta_low": -0.1, "delta_high": 0.9, "ties_with_best": True}
    text = answer(type(tables.results)(results, schema=tables.results.schema), a_description(), frame([]))
    assert text.startswith("**up** is better than **base** by 0.0")
    assert "; the highest mean is that of **high** (0.900, difference +0.400 [-0.100, +0.900]); " in text


def test_where_all_are_worse_the_smallest_loss_is_given_as_one(tmp_path):
    text, rows = said(tmp_path, {"base": 0.0, "down": -0.1, "least": -0.05})
    least = rows["least"]
    ends = f"[{-least['delta_high']:.3f}, {-least['delta_low']:.3f}]"
    base = f"**base** ({rows['base']['id_map']:.3f})"
    assert text == f"All 2 other arms are worse than {base}, **least** least of all, by {-least['delta']:.3f} {ends}."


def test_no_significant_difference_is_no_claim_of_equality(tmp_path):
    text, rows = said(tmp_path, {"base": 0.0, "same": 0.0})
    best = max(rows.values(), key=lambda row: row["id_map"])["arm"]
    assert text.startswith("No arm is significantly different from **base**")
    assert text.endswith("all 2 arms tie with the best.")
    assert ("whose mean is the highest" in text) == (best == "base")
    assert "equal" not in text and "better" not in text


def test_equivalent_arms_are_an_answer_with_the_cheapest_by_the_first_cost_that_differs(tmp_path):
    flops = {"base": 9e6, "small": 2e6, "large": 2e7}
    metrics = {arm: {"train_flops": [value] * 3} for arm, value in flops.items()}
    effects = dict.fromkeys(flops, 0.0)
    text, rows = said(tmp_path, effects, metrics=metrics, equivalence=0.02)
    assert text.startswith(
        f"All 2 other arms are equivalent to **base** ({rows['base']['id_map']:.3f}), within ±0.020: choose the cheapest, "
        "**small** (2e+06 training FLOPs, against up to 2e+07); "
    )
    text, _ = said(tmp_path / "alike", effects | {"down": -0.1}, equivalence=0.02)
    assert "No arm is better than **base**" in text and "1 of 3 is worse" in text
    assert text.endswith(
        "**small** and **large** are equivalent to **base**, within ±0.020, at the same FLOPs and parameters."
    )
    text, _ = said(tmp_path / "better", effects | {"up": 0.1}, metrics=metrics, equivalence=0.02)
    assert text.startswith("**up** is better than **base**") and "choose" not in text
    assert text.endswith("**small** and **large** are equivalent to **base**, within ±0.020.")


@pytest.mark.parametrize(
    ("entries", "held", "state"),
    [([], None, "missing"), ([ENTRY], "partly", "stale"), ([{**ENTRY, "dataset": "other"}], None, "missing")],
)
def test_the_answer_as_data_carries_the_authors_words_and_judgement(tmp_path, entries, held, state):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.1, "up2": 0.1}, interpretation=entries)
    found = json.loads(as_json(answer_of(experiment, a_description(), tables.results, frame([]))))
    assert (found["held"], found["interpretation"]) == (held, state)
    assert (found["question"], found["hypothesis"], found["motivation"]) == (
        "Which loss ranks best?",
        "one does",
        "it is not known",
    )
    means = dict(tables.results.select("arm", "id_map").iter_rows())
    best, other = sorted(("up", "up2"), key=lambda arm: -means[arm])
    assert found["best"] == {"arm": best, "id_map": means[best], "ties": [other]}
    assert found["answer"] == answer(tables.results, a_description(), frame([]))


def test_a_leak_is_part_of_the_answer(tmp_path):
    _, tables = a_table(tmp_path, {"base": 0.0, "up": 0.1})
    leaking = a_description(
        audit={"straddling_groups": 2, "straddling_joined_pairs": 0, "train_only": [], "leaks": True}
    )
    assert answer(tables.results, leaking, frame([])).endswith("The split leaks, so every score is too high.")


def planned(foldable=False, **values):
    row = {
        "delta_low": -0.03,
        "delta_high": 0.05,
        "seeds": 3,
        "half_width_seeds": 0.021,
        "half_width_identities": 0.039,
    }
    rows = [
        {"arm": "base", "verdict": "baseline", "id_map": 0.5},
        {"arm": "up", "verdict": "better", "id_map": 0.7, **row},
        {"arm": "open*", "verdict": "inconclusive", "id_map": 0.51, **row, **values},
        {"arm": "lower", "verdict": "inconclusive", "id_map": 0.49, **row, "half_width_seeds": 0.02},
    ]
    return more_certainty(pl.DataFrame(rows, infer_schema_length=None), foldable)


def test_the_plan_names_what_narrows_the_interval_of_the_best_undecided_arm():
    begin = "With 6 seeds instead of 3 the interval of **open\\*** would be about ±0.021 instead of ±0.040; "
    assert planned() == begin + "more test identities would hardly narrow it."
    assert planned(half_width_identities=0.03) == begin + "twice the test identities would make it ±0.030."
    identities = "With twice the test identities the interval of **open\\*** would be about ±0.029 instead of ±0.040; "
    more = {"half_width_seeds": 0.0395, "half_width_identities": 0.029}
    assert planned(**more) == identities + "more seeds would hardly narrow it."
    folds = " Folds test every image: `split: {folds: 5}`."
    assert planned(True, **more) == identities + "more seeds would hardly narrow it." + folds
    assert folds not in planned(True)
    assert planned(verdict="equivalent").startswith(
        "With 6 seeds instead of 3 the interval of **lower** would be about ±0.020"
    )
    assert planned(half_width_seeds=None).startswith("With 6 seeds instead of 3 the interval of **lower**")
