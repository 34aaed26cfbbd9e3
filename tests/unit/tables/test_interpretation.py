from pathlib import Path

import polars as pl
import pytest

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment_file import Interpretation
from reidflow.spec.quantities import Quantity
from reidflow.spec.yaml import load
from reidflow.tables.interpretation import reading, stamped, stamped_numbers, unheld_numbers
from reidflow.tables.quantities import beside, described, frame
from reidflow.tables.stamp import stamp

ROOT = Path(__file__).parents[3]


def a_results(rows):
    return pl.DataFrame(rows, schema=["arm", "id_map", "verdict"], orient="row", strict=False)


RESULTS = a_results([("base", 0.5, "baseline"), ("arm", 0.5124, "better"), ("dino", None, "unavailable")])
NASTY = a_results(
    [("base", 0.5, "baseline"), ("no", 0.1, "worse"), ("a: b #c", 0.2, "better"), ("ジ\n'\"\\🐆", 0.3, "better")]
)


def written_for(results):
    return [Interpretation(dataset="demo", table=stamped(results), held="yes", text="Because.")]


def test_an_interpretation_fits_its_own_table():
    assert stamped(RESULTS) == {"base": "0.500 baseline", "arm": "0.512 better", "dino": "none unavailable"}
    assert reading(written_for(RESULTS), "demo", RESULTS).state == "fits"


def test_another_machine_may_move_a_number_a_little():
    moved = RESULTS.with_columns(pl.col("id_map") + 0.019)
    assert reading(written_for(RESULTS), "demo", moved).state == "fits"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (RESULTS.with_columns(pl.col("id_map") + 0.022), "had an id_map of 0.512 and has 0.534"),
        (RESULTS.with_columns(pl.col("id_map") - 0.022), "had an id_map of 0.512 and has 0.490"),
        (
            RESULTS.with_columns(verdict=pl.col("verdict").replace("better", "inconclusive")),
            "was better and is inconclusive",
        ),
        (RESULTS.head(2), "arm 'dino' is gone"),
        (pl.concat([RESULTS, a_results([("new", 0.1, "worse")])]), "arm 'new' is new"),
        (RESULTS.with_columns(pl.col("id_map").fill_null(0.4)), "had an id_map of none and has 0.400"),
        (RESULTS.with_columns(id_map=pl.lit(None, pl.Float64)), "had an id_map of 0.512 and has none"),
    ],
)
def test_what_makes_it_stale_is_named(changed, reason):
    found = reading(written_for(RESULTS), "demo", changed)
    assert found.state == "stale"
    assert reason in "; ".join(found.reasons)


def test_an_interpretation_of_other_data_is_not_shown_as_ones_own():
    assert reading([], "demo", RESULTS).state == "missing"
    found = reading(written_for(RESULTS), "nyala", RESULTS)
    assert (found.state, found.text) == ("of another data set", "")


HEAD = """\
# A question of losses
question: "Which?"   # really
arms:
  arm: {why: "x", loss: arcface}

interpretation:
  # the small data
  - dataset: demo
"""
TEXT = """\
    text: |
      table: is only a word here.

      Because.   # and this is no comment
  - dataset: nyala
    table: {base: 0.1 baseline}
    text: other
"""
TABLES = {
    "absent": "",
    "empty": "    table:   # stamped\n",
    "empty flow": "    table: {}  # stamped\n",
    "flow": "    table: {base: 0.1 baseline,\n            old: 0.2 better}\n",
    "block": "    table:\n      base: 0.1 baseline  # mine\n      # between\n      'old': 0.2 better\n      arm: \"0.3 worse\"\n    # after\n",
    "same": "    table:\n      base: 0.500 baseline\n      arm: 0.512 better\n      dino: none unavailable\n",
}


@pytest.mark.parametrize("results", [RESULTS, NASTY], ids=["plain", "nasty"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"], ids=["unix", "dos"])
@pytest.mark.parametrize("kind", TABLES)
def test_a_stamp_changes_the_table_and_nothing_else(tmp_path, kind, line_break, results):
    path = tmp_path / "losses.yaml"
    before = (HEAD + TABLES[kind] + TEXT).replace("\n", line_break)
    path.write_bytes(before.encode())
    plain = load(path)
    stamp(path, "demo", results)
    after = path.read_bytes().decode()
    plain["interpretation"][0]["table"] = stamped(results)
    assert load(path) == plain
    assert after.startswith(HEAD.replace("\n", line_break))
    assert after.endswith(TEXT.replace("\n", line_break))
    for remark in ("# stamped", "# mine", "# between", "# after"):
        assert after.count(remark) == before.count(remark)
    assert after.count("\n") == after.count(line_break)
    assert not stamp(path, "demo", results)
    assert path.read_bytes().decode() == after


def test_a_stamp_of_the_same_table_leaves_the_file_alone(tmp_path):
    path = tmp_path / "losses.yaml"
    path.write_text(HEAD + TABLES["same"] + TEXT)
    before = path.stat()
    assert not stamp(path, "demo", RESULTS)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "content",
    [
        "interpretation: [{dataset: demo, text: x}, {dataset: b, text: y}]\n",
        "interpretation: [{dataset: demo, table: {base: 0.1 worse}, text: x}]\n",
        "interpretation:\n- dataset: demo\n  text: x",
        "interpretation:\n- text: x\n  table:\n    gone: 0.1 worse\n  dataset: demo",
        "interpretation:\n- text: x\n  dataset: demo",
        "interpretation:\n- dataset: |-\n    demo\n  text: x\n",
    ],
)
def test_a_stamp_fits_into_any_shape_of_yaml(tmp_path, content):
    path = tmp_path / "losses.yaml"
    path.write_text(content)
    assert stamp(path, "demo", NASTY)
    assert load(path)["interpretation"][0] == {"dataset": "demo", "table": stamped(NASTY), "text": "x"}


def test_what_cannot_be_stamped_is_an_error_and_the_file_stays(tmp_path):
    path = tmp_path / "losses.yaml"
    for content, message in (
        ("question: x\n", "there are 0 entries for the data set 'demo'"),
        ("interpretation:\n- {dataset: demo, text: x}\n- {dataset: demo, text: y}\n", "there are 2 entries"),
        ("a: &t {base: 0.1 worse}\ninterpretation:\n- dataset: demo\n  table: *t\n  text: x\n", "is an alias"),
    ):
        path.write_text(content)
        with pytest.raises(ReidflowError, match=message):
            stamp(path, "demo", RESULTS)
        assert path.read_text() == content


def test_every_experiment_of_the_demo_is_interpreted_for_the_arms_that_it_has():
    planned = plan.make([ROOT / "config" / "config.yaml"], root=ROOT)
    for name, experiment in planned.experiments.items():
        own = [entry for entry in experiment.file.interpretation if entry.dataset == planned.config.title]
        assert len(own) == 1, f"{name} has no interpretation of the demo, or several"
        assert set(own[0].table) == set(experiment.arms), f"{name}: rewrite its interpretation"


def test_a_stamp_leaves_the_layout_of_other_keys_as_it_was_written(tmp_path):
    path = tmp_path / "losses.yaml"
    kept = "varies: [loss,\n    miner]   # two lines\nparts: {a: [{b: 1}], c:   null}\nlong: one\n  two\nscore: {top1: 1}\n"
    kept_below = "seeds: [0]\n" + kept.replace(":", "_again:")
    path.write_text(kept + "interpretation:\n- dataset: demo\n  text: x\n" + kept_below)
    assert stamp(path, "demo", RESULTS)
    after = path.read_text()
    assert after.startswith(kept) and after.endswith(kept_below)


WITH_NOISE = pl.DataFrame(
    {
        "arm": ["base", "steady_net", "noisy"],
        "id_map": [0.5, 0.412, 0.441],
        "verdict": ["baseline", "worse", "worse"],
        "seeds": [3, 3, 3],
        "id_map_std": [0.03, 0.001, 0.03],
        "delta": [None, -0.088, -0.0591],
        "delta_low": [None, -0.104, -0.115],
        "delta_high": [None, -0.072, -0.003],
    }
)


def changed(arm, **values):
    own = pl.col("arm") == arm
    return WITH_NOISE.with_columns(
        pl.when(own).then(pl.lit(new)).otherwise(name).alias(name) for name, new in values.items()
    )


def state(table, text="Because.", **more):
    entry = Interpretation(dataset="demo", held="no", table=stamped(WITH_NOISE), text=text, **more)
    return reading([entry], "demo", table)


def test_a_mean_may_move_within_three_of_its_own_standard_errors():
    assert state(changed("noisy", id_map=0.441 + 0.05)).state == "fits"
    assert state(changed("noisy", id_map=0.441 + 0.06)).state == "stale"
    assert state(changed("steady_net", id_map=0.412 + 0.019)).state == "fits"
    assert state(changed("steady_net", id_map=0.412 - 0.03)).reasons == (
        "arm 'steady_net' had an id_map of 0.412 and has 0.382",
    )


def test_a_verdict_that_the_text_does_not_lean_on_may_lose_significance_but_not_turn_round():
    apart = {"delta_low": -0.3, "delta_high": 0.1}
    lost, turned = changed("noisy", verdict="inconclusive", **apart), changed("noisy", verdict="better")
    assert state(lost).reasons == ("arm 'noisy' was worse and is inconclusive",)
    assert state(lost, leans_on=["noisy"]).state == "stale"
    edge = changed("noisy", verdict="inconclusive", delta_low=-0.3, delta_high=0.01)
    assert state(edge).state == "fits", "its interval all but excludes zero"
    assert state(lost, leans_on=["steady_net"]).state == "fits"
    assert state(turned, leans_on=["steady_net"]).reasons == ("arm 'noisy' was worse and is better",)
    assert state(changed("noisy", verdict="unavailable"), leans_on=[]).state == "stale"


PROSE = (
    "The noisy one loses 0.059, its interval from -0.115 to \u22120.003. Steady-net is at 0.41. A rate of 0.44 and steps of "
    "0.5 are settings, and 0.104 has no arm beside it.\n\nHere 0.059 of 0.31 is repeated; v1.25.3 and random_0.25_x are names."
)


def test_what_was_inconclusive_may_become_equivalent_and_a_verdict_at_the_margin_may_change():
    def seen(verdict, low=-0.3, high=-0.1):
        found = changed("noisy", verdict=verdict, delta_low=low, delta_high=high)
        return found.with_columns(margin=pl.lit(0.02))

    now, back = seen("equivalent"), seen("inconclusive")
    assert state(now, leans_on=["noisy"]).reasons == ("arm 'noisy' was worse and is equivalent",)
    assert state(now, leans_on=["steady_net"]).state == "fits"
    entry = Interpretation(dataset="demo", table=stamped(now), leans_on=None, held="yes", text="Because.")
    assert reading([entry], "demo", back).reasons == ("arm 'noisy' was equivalent and is inconclusive",)
    assert reading([entry], "demo", seen("inconclusive", -0.021, 0.01)).state == "fits"
    entry = Interpretation(dataset="demo", table=stamped(back), leans_on=None, held="yes", text="Because.")
    assert reading([entry], "demo", now).state == "fits"


def test_the_numbers_of_a_text_are_found_in_the_cells_that_hold_them():
    assert stamped_numbers(PROSE, WITH_NOISE) == {
        "0.059": "noisy -delta",
        "-0.115": "noisy delta_low",
        "-0.003": "noisy delta_high",
        "0.41": "steady_net id_map",
        "0.104": "steady_net -delta_low",
    }
    assert unheld_numbers(PROSE, WITH_NOISE) == ["0.44", "0.31"]


def test_a_number_in_the_text_that_the_table_no_longer_holds_is_stale():
    numbers = stamped_numbers(PROSE, WITH_NOISE)
    assert state(WITH_NOISE, PROSE, numbers=numbers).state == "fits"
    # A quarter of the interval of 0.112 is 0.028; three standard errors are 0.052.
    assert state(changed("noisy", delta=-0.059 + 0.051), PROSE, numbers=numbers).state == "fits"
    gone = state(changed("noisy", delta=0.02), PROSE, numbers=numbers)
    assert gone.reasons == ("the text says 0.059, and delta of 'noisy' is 0.020",)
    assert state(changed("noisy", delta_high=None), PROSE, numbers=numbers).reasons == (
        "the text says -0.003, and delta_high of 'noisy' has no value",
    )
    # A number that the author took out of the text binds nothing.
    assert state(changed("noisy", delta=0.02), "Because.", numbers=numbers).state == "fits"


def test_a_stamp_writes_the_numbers_and_another_one_changes_nothing(tmp_path):
    path = tmp_path / "losses.yaml"
    head = "question: x   # kept\ninterpretation:\n  - dataset: demo   # kept too\n    held: no\n    text: >-\n"
    path.write_text(head + "      Noisy loses 0.059, from -0.115.\n")
    assert stamp(path, "demo", WITH_NOISE)
    entry = load(path)["interpretation"][0]
    assert entry["numbers"] == {"0.059": "noisy -delta", "-0.115": "noisy delta_low"}
    assert (entry["table"], entry["held"]) == (stamped(WITH_NOISE), "no")
    assert path.read_text().count("# kept") == 2
    assert not stamp(path, "demo", WITH_NOISE)
    assert stamp(path, "demo", changed("noisy", delta=-0.2))
    assert load(path)["interpretation"][0]["numbers"] == {"-0.115": "noisy delta_low"}


def with_reliance(table, **changes):
    rows = [
        {"arm": "base", "value": 0.525, "verdict": "baseline"},
        {
            "arm": "noisy",
            "value": 0.347,
            "delta": -0.178,
            "delta_low": -0.258,
            "delta_high": -0.098,
            "verdict": "better",
        },
    ]
    rows[1] |= changes
    quantity = Quantity("reliance", "reliance", "How much.", "lower")
    return beside(table, frame(described(quantity, rows)))[0]


def test_the_headline_quantities_and_their_verdicts_are_part_of_the_table():
    table, text = with_reliance(WITH_NOISE), "The reliance of base, 0.525, falls by 0.178 for the noisy one."
    record, numbers = stamped(table), stamped_numbers(text, table)
    assert record["noisy"] == "0.441 worse, reliance better" and record["steady_net"] == "0.412 worse"
    assert numbers == {"0.525": "base reliance: value", "0.178": "noisy -reliance: delta"}
    entry = Interpretation(dataset="demo", held="no", table=record, numbers=numbers, text=text)
    assert reading([entry], "demo", table).state == "fits"
    lost = with_reliance(WITH_NOISE, verdict="inconclusive")
    assert reading([entry], "demo", lost).reasons == ("arm 'noisy' was reliance better and is reliance inconclusive",)
    # A quarter of the interval of 0.16 is 0.04.
    near, far = (with_reliance(WITH_NOISE, delta=-0.178 + step) for step in (0.035, 0.045))
    assert reading([entry], "demo", near).state == "fits"
    assert reading([entry], "demo", far).reasons == ("the text says 0.178, and reliance: delta of 'noisy' is -0.133",)
    # One that was stamped before the quantity was in the headline says nothing of it.
    assert reading([entry], "demo", WITH_NOISE.with_columns()).reasons == (
        "the text says 0.525, and reliance: value of 'base' has no value",
        "the text says 0.178, and reliance: delta of 'noisy' has no value",
    )
    older = Interpretation(dataset="demo", held="no", table=stamped(WITH_NOISE), text=text)
    assert reading([older], "demo", table).state == "fits"
