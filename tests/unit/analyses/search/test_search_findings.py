"""The findings on a search, against what was planted."""

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
from searches import SPACE, experiment, frames, results, sections, trials, winners

from reidflow.analyses.search import FIGURES
from reidflow.analyses.search.findings import in_common, space_block
from reidflow.search.trials_table import ten_best
from reidflow.spec import yaml
from reidflow.spec.config import Config
from reidflow.spec.errors import Problems
from reidflow.spec.experiment import build
from reidflow.spec.plan import make
from reidflow.spec.search import Axis
from reidflow.spec.yaml import load
from reidflow.tables.caption import fixed_settings, seeds_line
from reidflow.tables.parameters import parameters_block, with_winners
from reidflow.tables.sections import read_sections, write_sections
from reidflow.tables.text import number, signed

WINNER = "Winner against the baseline and the budget-matched baseline"
SEARCHED, BUDGET, SCHEDULER = "What was searched", "What the budget gave", "The scheduler's part"


def lines(title: str, **changes) -> list[str]:
    return next((part.statements for part in sections(**changes) if part.title == title), [])


def one(found: list[str], start: str) -> str:
    matching = [line for line in found if line.startswith(start)]
    assert len(matching) == 1, (start, found)
    return matching[0]


def test_the_answer_comes_first_and_every_figure_once(tmp_path):
    parts = sections()
    assert [part.title for part in parts] == [WINNER, SEARCHED, BUDGET, "What matters", "Patterns", SCHEDULER]
    assert {name: title for part in parts for name, title in part.figures.items()} == FIGURES
    assert all(part.figures or part.links for part in parts)
    write_sections(tmp_path / "s.json", parts)
    assert read_sections(tmp_path / "s.json") == parts


def test_the_tables_of_the_findings_show_the_numbers_of_the_files():
    blocks = {block.title: block for part in sections() for block in part.tables}
    assert list(blocks) == [
        "On test", "Space", "Budget", "Winners", "At equal budgets", "Measured on this machine", "Importances",
        "Marginal effects", "The ten best trials",
    ]  # fmt: skip
    row = frames()["search"].row(by_predicate=pl.col("study") == "tpe", named=True)
    shown = dict(zip(blocks["Winners"].headings, blocks["Winners"].rows[2], strict=True))
    assert shown["luck"] == signed(row["luck"]) and shown["settings"] == row["winner_settings"]
    assert shown["validation, fresh seeds"] == number(row["val_id_map"]) != shown["mean over sweep seeds"]
    effect = frames()["effects"].row(0, named=True)
    shown = dict(zip(blocks["Marginal effects"].headings, blocks["Marginal effects"].rows[0], strict=True))
    assert (shown["effect"], shown["choice"]) == (signed(effect["effect"], 2), effect["label"])
    importance = frames()["importances"].filter("pooled").row(0, named=True)
    cell = blocks["Importances"].rows[0][blocks["Importances"].headings.index("random + quasi: PED-ANOVA")]
    assert cell == f"{importance['share']:.0%} (p {importance['chance']:.3f})"
    best = trials().filter(state="complete")["value"].max()
    assert blocks["The ten best trials"].rows[0][2] == number(best)


def test_the_space_is_listed_with_the_value_of_the_baseline():
    rows = {row[0]: row[1:] for row in space_block(experiment()).rows}
    assert list(rows) == list(SPACE)
    assert rows["sampler"][:2] == ["pk, shuffled", "pk"]
    assert rows["neck"][1:] == ["none", "none: (model=(head=(hidden=0))); wide: (model=(head=(hidden=256)))"]
    assert rows["optimizer.learning_rate"][0] == "numbers from 0.0001 to 0.03, logarithmic"


def test_algorithms_budgets_and_seeds_are_stated():
    found = lines(SEARCHED)
    assert "60 trials, independent of each other's results." in one(found, "**random** searches all axes")
    assert "60 trials, proposed 10 at a time from the results of all earlier ones." in one(found, "**tpe**")
    assert "as many optimizer steps as **tpe**" in one(found, "**learning_rate** searches `optimizer.learning_rate`")
    assert "from 1000 on" in found[-1] and "the sweep seeds 100 and 101" in found[-1]
    assert one(found, "Trials that lag behind are ended early by `median(startup=10, warmup=5, interval=1)`.")


def test_budget_and_luck_are_those_of_the_table():
    found, search = lines(BUDGET), frames()["search"]
    row = search.row(by_predicate=pl.col("study") == "quasi", named=True)
    line = one(found, "**quasi**: 60 trials (56 complete and 4 pruned)")
    first = frames()["progress"].filter((pl.col("study") == "quasi") & (pl.col("value") == row["best_value"]))["trial"][
        0
    ]
    assert f"mAP {row['best_value']:.3f}, first reached by trial {first}; 2 runs of 1 finalist in addition." in line
    own = one(found, "Validation mAP of the winner of **quasi**")
    values = [number(row[key]) for key in ("chosen_value", "sweep_value", "val_id_map")]
    assert re.findall(r"0\.\d{3}", own)[:3] == values and f"(luck {row['luck']:+.3f})" in own
    most = search.sort("luck").row(-1, named=True)
    assert f"up to {most['luck']:.3f} (**{most['study']}**)" in one(found, "The winner's curse")


def test_runs_that_two_studies_share_are_named_and_count_once_among_the_ten_best():
    shared = pl.col("study").is_in(["random", "tpe"]) & (pl.col("trial") < 10)
    run = pl.when(shared).then(pl.format("both-{}", "trial")).otherwise("run")
    value = pl.when(shared & (pl.col("trial") < 5)).then(0.9).otherwise("value")
    state = pl.when(shared & (pl.col("trial") < 5)).then(pl.lit("complete")).otherwise("state")
    same = trials().with_columns(run=run, value=value, state=state)
    assert one(lines(BUDGET, made=same), "**random** and **tpe** share 10 trials")
    assert "(5 from **random**" in one(lines("Patterns", made=same), "The ten best trials")
    assert not any("same runs" in line for line in lines(BUDGET))


def test_winners_against_the_baseline_the_matched_budget_and_each_other():
    found = lines(WINNER)
    first = "Significantly better than the baseline on test: **random** and **tpe**; of these, better than the budget-matched"
    assert found[0] == f"{first} baseline as well: **random** and **tpe**."
    assert lines(WINNER, planted={"tpe": 0.05, "learning_rate": 0.05})[0].endswith("baseline as well: none.")
    assert lines(WINNER, planted={"tpe": 0.05, "learning_rate": 0.06})[0].endswith("baseline as well: none.")
    tpe = "is significantly better than the baseline on test: 0.452, +0.052 [+0.042, +0.062], p <0.001."
    assert one(found, "**tpe**, the winner of `tpe`").endswith(tpe)
    quasi = one(found, "**quasi**, the winner of `quasi_random`")
    assert "is not significantly different from the baseline" in quasi and quasi.endswith("difference 0.015.")
    assert "the baseline tuned with the budget of **tpe**" in one(found, "**learning_rate**")
    assert one(found, "**quasi** is significantly worse than the budget-matched **learning_rate**")
    alike = lines(WINNER, planted={"tpe": 0.05, "learning_rate": 0.05}, of=replace(experiment(), equivalence=0.03))
    assert one(alike, "**tpe** is equivalent to the budget-matched **learning_rate**")
    assert one(
        found, "Best of the winners on test: **random** and **tpe**, which tie; **quasi** is significantly worse"
    )


def test_no_gain_is_stated_and_tuning_the_baseline_is_no_gain_of_a_search():
    found = lines(WINNER, planted={})
    assert found[0].startswith("**Nothing was gained**")
    assert one(found, "The larger space gained nothing significant")
    assert "no algorithm is shown to search better" in one(found, "The winners tie: **random**, **quasi** and **tpe**")
    tuned = lines(WINNER, planted={"learning_rate": 0.05})
    assert tuned[0].startswith("**Nothing was gained**")
    assert "is significantly better than the baseline" in one(tuned, "**learning_rate**, the baseline tuned")
    studies = {name: replace(study, matched_to=None) for name, study in experiment().studies.items()}
    assert one(lines(WINNER, of=replace(experiment(), studies=studies)), "No study has a matched budget")


def test_importances_name_what_was_planted_and_the_number_of_trials():
    found = lines("What matters")
    line = one(found, "PED-ANOVA on **random + quasi** (120 trials, 5 of them pruned)")
    assert line.endswith("more than shuffled trials give: `optimizer.learning_rate` and `sampler`.")
    share = frames()["importances"].filter(pl.col("pooled") & (pl.col("method") == "fanova"))["share"][0]
    fanova = one(found, "fANOVA on **random + quasi** (115 trials)")
    assert f"`optimizer.learning_rate` {share:.0%}" in fanova and fanova.endswith(" of the variance.")
    assert one(found, "Too few trials, or only one axis, for importances: **learning_rate**.")


def test_patterns_name_the_planted_choices_and_the_undecided_axes():
    found, effects = lines("Patterns"), frames()["effects"]
    helps = one(found, "In the trials of **random + quasi**, these choices help:")
    pk = effects.row(by_predicate=pl.col("label") == "pk", named=True)
    assert f"`sampler` = pk ({pk['effect']:+.2f} [{pk['low']:+.2f}, {pk['high']:+.2f}])" in helps
    harms = one(found, "In the trials of **random + quasi**, these choices harm:")
    assert "0.0001 to 0.000669" in harms and "shuffled" not in harms
    axes = ["scheduler", "model.head.dropout", "neck"]
    undecided = [row["high"] - row["effect"] for row in effects.to_dicts() if row["axis"] in axes]
    line = one(found, "No significant effect along `scheduler`, `model.head.dropout` and `neck`")
    assert f"{min(undecided):.2f} to {max(undecided):.2f}" in line
    assert "`sampler` = pk (10 of 10)" in one(found, "The ten best trials")


def test_eight_of_the_ten_best_or_less_than_half_a_range_are_in_common():
    label, rate = Axis("a", "choice", ("x", "y")), Axis("r", "float", low=1e-4, high=1e-2, log=True)
    plain = Axis("m", "float", low=0.0, high=1.0)
    assert in_common(label, [{"a": "x"}] * 8 + [{"a": "y"}] * 2) == "`a` = x (8 of 10)"
    assert in_common(label, [{"a": "x"}] * 7 + [{"a": "y"}] * 3) is None
    assert in_common(rate, [{"r": 1e-4}, *[{"r": 9e-4}] * 9]) == "`r` from 0.0001 to 0.0009"
    assert in_common(rate, [{"r": 1e-4}, *[{"r": 1.1e-3}] * 9]) is None
    assert in_common(plain, [{"m": 0.1}, *[{"m": 0.5}] * 9]) and not in_common(plain, [{"m": 0.1}, *[{"m": 0.7}] * 9])
    assert in_common(plain, [{"m": 0.1}] * 9 + [{"m": None}]) is None
    assert len(ten_best(experiment().studies.values(), trials())) == 10


def test_few_trials_claim_nothing():
    few = trials().filter(pl.col("trial") < 4)
    empty = {name: frames()[name].clear() for name in ("importances", "effects")}
    assert lines("What matters", made=few, **empty) == [
        "Too few trials, or only one axis, for importances: **random**, **quasi**, **tpe** and **learning_rate**."
    ]
    assert lines("Patterns", made=few, **empty)[0].startswith("Fewer than 10 trials of **random + quasi**")


def test_the_schedulers_part_is_its_share_its_effect_and_the_winner_with_another_schedule():
    found = lines(SCHEDULER)
    shares = [line for line in found if "ANOVA" in line]
    assert len(shares) == 2 and all("**random + quasi**" in line for line in shares)
    assert one(found, "`scheduler` has 0% of what separates the best fifth (PED-ANOVA)")
    assert one(found, "Over the space, no schedule has a significant effect: `scheduler` = constant")
    line = one(found, "**tpe_constant**, the winner of **tpe** with `scheduler: constant`, is significantly worse than")
    assert line.endswith("**tpe** on test: -0.102 [-0.120, -0.080], p = 0.001.")
    note = pl.when(pl.col("arm") == "tpe_constant").then(pl.lit("the same runs as arm tpe")).otherwise("note")
    same = lines(SCHEDULER, rows=results().with_columns(note=note))
    assert one(same, "The winner of **tpe** has `scheduler: constant` already: **tpe_constant** is the same runs.")


def test_a_search_without_the_scheduler_has_no_section_on_it():
    axes = {name: tuple(a for a in study.axes if a.name != "scheduler") for name, study in experiment().studies.items()}
    studies = {name: replace(study, axes=axes[name]) for name, study in experiment().studies.items()}
    arms = {name: arm for name, arm in experiment().arms.items() if name != "tpe_constant"}
    assert not lines(SCHEDULER, of=replace(experiment(), studies=studies, arms=arms))


def test_names_cannot_break_the_page():
    odd = {name.replace("tpe", "t_*p*"): study for name, study in experiment().studies.items()}
    odd = {name: replace(study, name=name) for name, study in odd.items()}
    assert one(lines(SEARCHED, of=replace(experiment(), studies=odd)), r"**t\_\*p\*** searches")


def test_the_settings_of_an_arm_that_wins_are_the_winners(tmp_path):
    (tmp_path / "winners.json").write_text(json.dumps(winners()))
    whole = with_winners(experiment(), tmp_path / "winners.json")
    block = parameters_block(whole)
    column = block.headings.index("optimizer")
    rows = {row[0]: row for row in block.rows}
    rate = winners()["tpe"]["settings"]["optimizer.learning_rate"]
    assert f"learning_rate={rate!r}" in rows["tpe"][column]
    assert f"learning_rate={rate!r}" in rows["tpe_constant"][column]
    assert rows["tpe_constant"][block.headings.index("scheduler")].startswith("constant")
    started = " ".join(fixed_settings(experiment()))
    assert "optimizer.learning_rate" in started or "optimizer=" in started
    assert not re.search(r"optimizer\.learning_rate=|optimizer=", " ".join(fixed_settings(whole)))
    assert with_winners(experiment(), []) is experiment()


def test_the_caption_names_the_seeds_that_chose():
    assert seeds_line(experiment()) == (
        "winners of searches were chosen on validation with trial seeds from 1000 and the sweep seeds [100, 101]"
    )
    assert seeds_line(replace(experiment(), studies={})) is None


def page() -> str:
    return Path("docs/searching.md").read_text()


def test_the_experiment_of_the_docs_is_whole():
    problems = Problems()
    content = yaml.loads(re.search(r"^```yaml\n(.*?)^```", page(), re.MULTILINE | re.DOTALL)[1])
    made = build("arcface", "arcface.yaml", content, Config.model_validate(load("config/config.yaml")), problems)
    assert not problems.found, problems.found
    assert list(made.studies) == ["random", "tpe", "rate_alone"]


def test_a_row_of_the_table_is_a_run_as_the_docs_say(tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(Path("config").resolve())
    code = re.search(r"^```python\n(.*?)^```", page(), re.MULTILINE | re.DOTALL)[1]
    study = make(["config/config.yaml"]).experiments["nas_mbconv"].studies["tpe"]
    settings = {axis.name: axis.ends()[-1] for axis in study.axes}
    (tmp_path / "results" / "tables").mkdir(parents=True)
    content = {"study": ["other", "tpe"], "winner": [True, True], "seed": [1, 1007]}
    rows = pl.DataFrame(content | {name: [value, value] for name, value in settings.items()})
    rows.write_parquet(tmp_path / "results" / "tables" / "nas_mbconv.trials.parquet")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(code, found)
    assert found["spec"] == study.spec(settings, 1007)
    assert found["spec"].seed == 1007
