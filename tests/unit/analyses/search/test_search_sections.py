"""What the findings say of a search, against what was planted."""

import json
import re
from dataclasses import replace
from pathlib import Path

import polars as pl
from searches import SPACE, comparisons, efficiency, experiment, found, results, trials, winners

from reidflow.analyses.search.findings import FIGURES, sections
from reidflow.analyses.search.found import Found
from reidflow.analyses.search.space import space_block
from reidflow.analyses.search.tables import budget_table
from reidflow.analyses.search.winners import against_matched, winners_that_tie
from reidflow.spec import yaml
from reidflow.spec.config import Config
from reidflow.spec.errors import Problems
from reidflow.spec.experiment import Experiment, build
from reidflow.spec.plan import make
from reidflow.spec.yaml import load
from reidflow.tables.caption import fixed_settings, seeds_line
from reidflow.tables.parameters import parameters_block, with_winners
from reidflow.tables.sections import read_sections, write_sections


def nothing_gained(**effects: float) -> Found:
    told, each = results(effects), comparisons(effects)
    return replace(
        found(),
        results=told,
        search=budget_table(experiment(), trials(), winners(), told),
        tie=winners_that_tie(experiment(), each),
        matched=against_matched(experiment(), each, told),
    )


def told(title: str, tables: Found | None = None, of: Experiment | None = None) -> list[str]:
    return next(part.statements for part in sections(of or experiment(), tables or found()) if part.title == title)


def one(lines: list[str], start: str) -> str:
    matching = [line for line in lines if line.startswith(start)]
    assert len(matching) == 1, (start, lines)
    return matching[0]


def test_every_section_has_figures_of_its_own_or_leads_to_some():
    parts = sections(experiment(), found())
    assert [part.title for part in parts] == [
        "What was searched",
        "What the budget bought",
        "Winner against the baseline and the budget-matched baseline",
        "What matters",
        "Patterns",
        "The scheduler's part",
    ]
    assert sorted(name for part in parts for name in part.figures) == sorted(FIGURES)
    assert all(part.figures or part.links for part in parts)


def test_sections_survive_their_file(tmp_path):
    write_sections(tmp_path / "s.json", sections(experiment(), found()))
    assert read_sections(tmp_path / "s.json") == sections(experiment(), found())
    old = [{key: value for key, value in each.items() if key != "links"} for each in _plain(tmp_path / "s.json")]
    (tmp_path / "s.json").write_text(json.dumps(old))
    assert all(part.links == [] for part in read_sections(tmp_path / "s.json"))


def _plain(path) -> list[dict]:
    return json.loads(path.read_text())


def test_the_space_is_listed_with_the_place_of_the_baseline():
    rows = {row[0]: row[1:] for row in space_block(experiment()).rows}
    assert list(rows) == list(SPACE)
    assert rows["sampler"][:2] == ["pk, shuffled", "pk"]
    assert rows["neck"][1:] == ["none", "none: (model=(head=(hidden=0))); wide: (model=(head=(hidden=256)))"]
    assert rows["optimizer.learning_rate"][0] == "numbers from 0.0001 to 0.03, by factors"


def test_who_learns_from_trials_and_what_the_budget_of_others_is_are_said():
    lines = told("What was searched")
    assert "none of which depends on what others found" in one(lines, "**random**")
    assert "proposed 10 at a time from all that earlier ones found" in one(lines, "**tpe**")
    assert "as many optimizer steps as **tpe**" in one(lines, "**learning_rate** searches `optimizer.learning_rate`")
    assert "from 1000 on" in lines[-1]
    assert "the seeds 100 and 101" in lines[-1]


def test_what_was_luck_is_said_with_its_size():
    lines = told("What the budget bought")
    luck = found().search.select("study", "luck").sort("luck").row(-1)
    assert f"up to {luck[1]:.3f} (**{luck[0]}**)" in one(lines, "The winner's curse")
    assert "60 trials (56 complete and 4 pruned)" in one(lines, "**quasi**")
    assert "2 runs of its finalists (1 trials) come on top" in one(lines, "**quasi**")


def test_winners_are_told_from_the_baseline_the_matched_budget_and_each_other():
    lines = told("Winner against the baseline and the budget-matched baseline")
    assert "is better than the baseline on test: 0.452, +0.052" in one(lines, "**tpe**, the winner of `tpe`")
    assert "cannot be told from the baseline" in one(lines, "**quasi**, the winner of `quasi_random`")
    assert "the baseline tuned with the budget of **tpe**" in one(lines, "**learning_rate**")
    assert one(lines, "**quasi** is worse than the budget-matched **learning_rate**")
    assert "is one of **random** and **tpe** on test; **quasi** is worse" in one(lines, "The best of the winners")
    assert not any("Nothing was gained" in line for line in lines)


def test_where_nothing_was_gained_it_says_so():
    lines = told("Winner against the baseline and the budget-matched baseline", nothing_gained())
    assert one(lines, "**Nothing was gained**")
    assert one(lines, "So the larger space bought nothing")
    assert "no algorithm is shown to search better" in one(lines, "The winners tie")


def test_tuning_the_baseline_is_no_gain_of_a_search():
    lines = told("Winner against the baseline and the budget-matched baseline", nothing_gained(learning_rate=0.05))
    assert one(lines, "**Nothing was gained**")
    assert one(lines, "**learning_rate**, the baseline tuned with the budget of **tpe**, is better than the baseline")


def test_what_matters_names_what_was_planted_and_on_how_many_trials_it_stands():
    lines = told("What matters")
    line = one(lines, "PED-ANOVA on **random + quasi** (120 trials, 5 of them ended early)")
    assert line.endswith("beyond what shuffled trials give: `optimizer.learning_rate` and `sampler`.")
    assert "`optimizer.learning_rate` 8" in one(lines, "fANOVA on **random + quasi** (115 trials)")
    assert one(lines, "Too few trials, or only one axis, to say what mattered in **learning_rate**.")


def test_patterns_name_the_planted_choices_and_what_could_not_be_told_apart():
    lines = told("Patterns")
    helps = one(lines, "On the trials of **random + quasi**, helps:")
    assert "`sampler` = pk" in helps
    assert "`optimizer.learning_rate` = 0.000669 to 0.00448" in helps
    harms = one(lines, "On the trials of **random + quasi**, harms:")
    assert "0.0001 to 0.000669" in harms
    assert "shuffled" not in harms
    assert "`scheduler`, `model.head.dropout` and `neck`" in one(lines, "No choice could be told apart along")
    assert "`sampler` = pk (10 of 10)" in one(lines, "The ten best trials")


def test_few_trials_claim_nothing():
    few = trials().filter(pl.col("trial") < 4)
    tables = Found.of(experiment(), few, efficiency(), winners(), results(), comparisons())
    assert told("What matters", tables) == [
        "Too few trials, or only one axis, to say what mattered in **random**, **quasi**, **tpe** and **learning_rate**."
    ]
    assert told("Patterns", tables)[0].startswith("Fewer than 10 trials of **random + quasi**")


def test_the_schedulers_part_is_its_share_its_effect_and_what_a_constant_rate_does_to_the_winner():
    lines = told("The scheduler's part")
    assert one(lines, "`scheduler` has 0% of what separates the best fifth by PED-ANOVA on **random + quasi**")
    assert one(lines, "Over the space, no schedule could be told apart: `scheduler` = constant")
    laid = one(lines, "**tpe_constant**, the winner of **tpe** with `scheduler: constant` laid over it")
    assert "is worse than it on test: -0.102 [-0.120, -0.080], p = 0.001" in laid


def test_a_winner_that_has_that_schedule_already_is_said_to_be_the_same_runs():
    same = results().with_columns(
        note=pl.when(pl.col("arm") == "tpe_constant").then(pl.lit("the same runs as arm tpe")).otherwise("note")
    )
    lines = told("The scheduler's part", replace(found(), results=same))
    assert one(lines, "The winner of **tpe** has `scheduler: constant` already")


def test_a_search_without_the_scheduler_says_nothing_of_it():
    axes = {name: tuple(a for a in study.axes if a.name != "scheduler") for name, study in experiment().studies.items()}
    studies = {name: replace(study, axes=axes[name]) for name, study in experiment().studies.items()}
    arms = {name: arm for name, arm in experiment().arms.items() if name != "tpe_constant"}
    own = replace(experiment(), studies=studies, arms=arms)
    assert "The scheduler's part" not in [part.title for part in sections(own, found())]


def test_names_cannot_break_the_page():
    odd = {name.replace("tpe", "t_*p*"): study for name, study in experiment().studies.items()}
    odd = {name: replace(study, name=name) for name, study in odd.items()}
    lines = told("What was searched", of=replace(experiment(), studies=odd))
    assert any(r"**t\_\*p\*** searches" in line for line in lines)


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
    told = {"study": ["other", "tpe"], "winner": [True, True], "seed": [1, 1007]}
    rows = pl.DataFrame(told | {name: [value, value] for name, value in settings.items()})
    rows.write_parquet(tmp_path / "results" / "tables" / "nas_mbconv.trials.parquet")
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    exec(code, found)
    assert found["spec"] == study.spec(settings, 1007)
    assert found["spec"].seed == 1007


def test_the_schedulers_share_is_that_over_the_space_alone():
    """Where an algorithm that adapts looked says nothing of schedules that it left aside."""
    lines = [line for line in told("The scheduler's part") if "ANOVA" in line]
    assert len(lines) == 2
    assert all("**random + quasi**" in line for line in lines)


def test_a_run_that_two_studies_share_counts_once_among_the_ten_best():
    shared = pl.col("study").is_in(["random", "tpe"]) & (pl.col("trial") < 10)
    run = pl.when(shared).then(pl.format("both-{}", "trial")).otherwise("run")
    value = pl.when(shared & (pl.col("trial") < 5)).then(0.9).otherwise("value")
    state = pl.when(shared & (pl.col("trial") < 5)).then(pl.lit("complete")).otherwise("state")
    same = replace(found(), trials=trials().with_columns(run=run, value=value, state=state))
    line = one(told("What the budget bought", same), "Trials that are the same run")
    assert "10 of **random** and **tpe**." in line
    assert "(5 from **random**" in one(told("Patterns", same), "The ten best trials")
    assert not any("the same run" in line for line in told("What the budget bought"))
