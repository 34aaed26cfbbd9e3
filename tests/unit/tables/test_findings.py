import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from arms_folder import AUDIT, IDENTITIES, a_description, a_table, an_experiment, build_table, scores, write_arm
from scipy.stats import norm, spearmanr

from reidflow.figures.kinds import figures_of
from reidflow.tables import findings as findings_module
from reidflow.tables.findings import findings
from reidflow.tables.identities import flank_contrasts, flank_means, rarity


def section(text, title):
    return text.split(f"## {title}\n")[1].split("\n## ")[0]


def test_planted_effects_are_answered_first_with_the_numbers_of_the_table(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05, "up2": 0.05, "same": 0.0, "down": -0.05})
    text = findings(experiment, a_description(), tables)
    rows = {row["arm"]: row for row in tables.results.to_dicts()}
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "Answer"
    answer = section(text, "Answer")
    for arm, verdict in (("up", "better"), ("up2", "better"), ("down", "worse")):
        row = rows[arm]
        ends = f"[{row['delta_low']:+.3f}, {row['delta_high']:+.3f}]"
        assert (
            f"- **{arm}** is {verdict} than the baseline: {row['id_map']:.3f} ± {row['id_map_std']:.3f} over 3 seeds, "
            f"{row['delta']:+.3f} {ends}, p "
        ) in answer
        assert (row["delta"] > 0) == (verdict == "better")
    assert f"The baseline **base** scores {rows['base']['id_map']:.3f}" in answer
    assert "Not significantly different from the baseline: **same**." in answer
    assert "one of **up2** and **up**: these 2" in answer
    apart = section(text, "Not significantly different")
    same = rows["same"]
    assert f"**same** against the baseline: {same['delta']:+.3f} [{same['delta_low']:+.3f}, " in apart
    assert f"a difference of {same['smallest_detectable']:.3f} would be detected with 80 % power" in apart
    assert "**up**" not in apart
    steps = section(text, "Next steps")
    assert f"smaller than {same['smallest_detectable']:.3f}, add seeds" in steps
    assert (
        f"- With 6 seeds instead of 3 the interval of **same** would be about ±{same['half_width_seeds']:.3f} " in steps
    )
    assert text == findings(experiment, a_description(), tables)


def test_equivalent_arms_are_neither_undecided_nor_different(tmp_path):
    effects = {"base": 0.0, "same": 0.0, "up": 0.1, "cheap": 0.0}
    against = {"same": "cheap", "up": "base"}
    metrics = {"cheap": {"train_flops": [1e5] * 3}}
    experiment, tables = a_table(tmp_path, effects, metrics, equivalence=0.02, against=against)
    text = findings(experiment, a_description(), tables)
    assert (
        "- Equivalent to the baseline (the whole interval lies within ±0.020): **same** and **cheap**. Of these and the baseline "
        "**cheap** costs least: 1e+05 training FLOPs, against up to 5e+06.\n"
    ) in section(text, "Answer")
    assert "## Not significantly different" not in text
    assert "- **same** is equivalent to its control **cheap**: " in section(text, "Against controls")


def test_every_section_of_results_links_its_figure(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05})
    text = findings(experiment, a_description(), tables, figures="pictures")
    for title, *names in (
        ("Answer", "arms"),
        ("For which identities", "profiles", "identities"),
        ("Training and stability", "curves"),
    ):
        links = ", ".join(f"[{name}](pictures/{name}.png)" for name in names)
        assert section(text, title).rstrip().endswith(f"\n\nFigure{'s' * (len(names) > 1)}: {links}")
        assert set(names) <= set(figures_of(tuned=True))


def test_no_significant_difference_is_said_in_words(tmp_path):
    text = findings(*(lambda e, t: (e, a_description(), t))(*a_table(tmp_path, {"base": 0.0, "same": 0.0})))
    answer = section(text, "Answer")
    assert "No arm is significantly different from the baseline at 5%, corrected over 1 comparison." in answer
    assert "All 2 arms with a score tie" in answer


def test_who_gains_is_found_where_it_was_planted(tmp_path):
    tilt = np.linspace(0.1, -0.1, len(IDENTITIES))[:, None]
    experiment = an_experiment(["base", "for rare", "flat"])
    folders = {
        "base": write_arm(tmp_path / "b", scores(0.5, 0)),
        "for rare": write_arm(tmp_path / "r", scores(0.5, 1) + tilt),
        "flat": write_arm(tmp_path / "f", scores(0.5, 2)),
    }
    tables = build_table(experiment, folders, a_description())
    found = rarity(tables.comparisons)
    rows = tables.comparisons.filter(pl.col("flank").is_null() & (pl.col("arm") == "flat"))
    assert found["flat"].rho == pytest.approx(spearmanr(rows["train_images"], rows["delta"]).statistic)
    width = norm.ppf(1 - 0.05 / 2 / 2) * np.sqrt((1 + found["flat"].rho ** 2 / 2) / (len(IDENTITIES) - 3))
    ends = np.tanh(np.arctanh(found["flat"].rho) + np.array([-width, width]))
    assert (found["flat"].low, found["flat"].high) == pytest.approx(tuple(ends))
    assert found["for rare"].high < -0.8
    assert found["for rare"].rare == pytest.approx((scores(0.5, 1) + tilt - scores(0.5, 0))[:10].mean())
    text = section(findings(experiment, a_description(), tables), "For which identities")
    assert "**for rare**: rare identities gain more" in text
    assert "No significant trend from rare to common identities for **flat**" in text


def test_equally_many_training_images_leave_rarity_unsaid(tmp_path):
    experiment = an_experiment(["base", "arm"])
    folders = {n: write_arm(tmp_path / n, scores(0.5, i)) for i, n in enumerate(experiment.arms)}
    open_set = a_description(split=a_description().split.filter(pl.col("role") == "test"))
    text = findings(experiment, open_set, build_table(experiment, folders, open_set))
    assert "Whether rare or common identities gain more is undefined" in text


def test_a_planted_flank_effect_is_found_and_an_absent_one_is_not(tmp_path):
    experiment = an_experiment(["base", "sided", "even"])
    folders = {
        "base": write_arm(tmp_path / "b", scores(0.5, 0)),
        "sided": write_arm(tmp_path / "s", scores(0.5, 1), flank_effect=0.03),
        "even": write_arm(tmp_path / "e", scores(0.5, 2)),
    }
    tables = build_table(experiment, folders, a_description())
    contrasts = flank_contrasts(tables.comparisons)
    assert set(contrasts) == {("sided", "left"), ("even", "left")}
    assert contrasts["sided", "left"].delta == pytest.approx(0.06)
    means = flank_means(tables.comparisons)["sided"]
    assert means["left"] - means["right"] == pytest.approx(0.06)
    text = section(findings(experiment, a_description(), tables), "For which identities")
    assert "**sided** depends on the flank" in text
    assert "The flanks are not significantly different for **even**" in text


def test_warnings_name_what_is_wrong(tmp_path):
    experiment = an_experiment(["base", "arm"], tuned={"optimizer.lr": [0.1, 1.0]})
    chosen = {
        name: {"values": {"optimizer.lr": lr}, "points": [], "on_edge": {"optimizer.lr": edge}}
        for name, lr, edge in (("base", 0.1, False), ("arm", 1.0, True))
    }
    bad = {"diverged": [True, False, False], "id_map_untrained": [0.9, 0.9, 0.0], "chance": [0.6] * 3}
    folders = {
        "base": write_arm(tmp_path / "b", scores(0.5), chosen=chosen["base"]),
        "arm": write_arm(tmp_path / "a", scores(0.5, 1), chosen=chosen["arm"], metrics=bad),
    }
    leaking = a_description(audit={**AUDIT, "leaks": True})
    text = findings(experiment, leaking, build_table(experiment, folders, leaking))
    assert "**Warning:** **arm** chose a value at the edge of the grid of `optimizer.lr`" in text
    assert "share of seeds: **arm** 33%." in section(text, "Training and stability")
    assert "ranks worse than the same network before training, share of seeds: **arm** 67%." in text
    assert "**Warning:** LEAKING" in section(text, "Limits")
    assert "**Warning:** the split leaks" in section(text, "Answer")
    assert "**Warning:** **arm** ranks no better than chance." in text
    steps = section(text, "Next steps")
    assert "Make a split without leaks" in steps
    assert "Lower the learning rate of **arm**" in steps
    assert "Extend the grid of `optimizer.lr` beyond the values that **arm** chose" in steps


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], "State: **missing**"),
        ([{"dataset": "other", "held": "yes", "text": "Secret."}], "State: **of another data set**"),
        ([{"dataset": "demo", "held": "yes", "text": "Because."}], "it was never stamped"),
        (
            [{"dataset": "demo", "held": "partly", "table": {"base": "0.500 baseline"}, "text": "Because."}],
            "State: **fits**",
        ),
    ],
)
def test_the_interpretation_stands_with_its_state(tmp_path, entries, expected):
    experiment, tables = a_table(tmp_path, {"base": 0.0}, interpretation=entries)
    text = findings(experiment, a_description(), tables)
    assert expected in section(text, "The author's interpretation")
    assert ("Because." in text) == (bool(entries) and entries[0]["dataset"] == "demo")
    assert "Secret." not in text


def test_many_arms_of_which_nothing_can_be_said_are_named_without_their_figures(tmp_path):
    names = [f"arm {n}" for n in range(9)]
    experiment, tables = a_table(tmp_path, {"base": 0.0, **dict.fromkeys(names, 0.0)})
    lines = section(findings(experiment, a_description(), tables), "For which identities").splitlines()
    found = [line for line in lines if "9 arms: **arm 0**, **arm 1**" in line]
    rhos = [r.rho for r in rarity(tables.comparisons).values()]
    assert any(f"(Spearman's correlation from {min(rhos):+.2f} to {max(rhos):+.2f})" in line for line in found)
    assert len(found) == 2
    assert not any("[" in line for line in found)


def test_many_arms_that_are_not_significantly_different_share_one_sentence(tmp_path):
    arms = {"base": 0.0, **{f"same {n}": 0.0 for n in range(14)}}
    experiment, tables = a_table(tmp_path, arms)
    apart = section(findings(experiment, a_description(), tables), "Not significantly different")
    detectable = tables.results["smallest_detectable"].drop_nulls()
    assert apart.count("\n- ") == 1 and "14 arms are not significantly different from the baseline" in apart
    assert f"between {detectable.min():.3f} and {detectable.max():.3f}" in apart


def test_limits_name_queries_split_population_and_software(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "up": 0.05})
    limits = section(findings(experiment, a_description(), tables), "Limits")
    assert "- Queries: 80 used, 20 skipped, of 20 identities" in limits
    assert "- Split: closed_set(seed=0): 230 train and 80 test images." in limits
    assert "identities like the 20 tested here" in limits and "- Population: " in limits
    assert "- Software: device cpu, timm 1.0.31, torch 2.15.0." in limits


def test_the_smallest_detectable_difference_of_all_arms_is_the_next_step(tmp_path):
    experiment, tables = a_table(tmp_path, {"base": 0.0, "same": 0.0, "same too": 0.0})
    found = tables.results["smallest_detectable"].drop_nulls()
    assert found.min() < found.max() - 0.001
    steps = section(findings(experiment, a_description(), tables), "Next steps")
    assert f"smaller than {found.min():.3f}, add seeds" in steps


def test_next_steps_follow_from_what_was_found(tmp_path):
    experiment, tables = a_table(
        tmp_path, {"base": 0.0, "up": 0.05}, interpretation=[{"dataset": "demo", "held": "no", "text": "Old."}]
    )
    steps = section(findings(experiment, a_description(), tables), "Next steps")
    assert "Revise the interpretation" in steps and "split" not in steps and "add seeds" not in steps
    stamped = [
        {
            "dataset": "demo",
            "held": "no",
            "text": "New.",
            "table": dict(zip(("base", "up"), stamps(tables), strict=True)),
        }
    ]
    experiment, tables = a_table(tmp_path / "again", {"base": 0.0, "up": 0.05}, interpretation=stamped)
    assert "## Next steps" not in findings(experiment, a_description(), tables)


def stamps(tables):
    return [f"{row['id_map']:.3f} {row['verdict']}" for row in tables.results.to_dicts()]


def test_whoever_says_that_nothing_differs_says_from_what():
    """A row of the same table may have a verdict against another arm."""
    folder = Path(findings_module.__file__).parents[1]
    for path in [*folder.glob("analyses/*/*.md.j2"), *folder.glob("tables/*.md.j2")]:
        text = re.sub(r"{[{%#].*?[}%#]}", " x ", path.read_text(), flags=re.DOTALL)
        for item in re.split(r"\n(?=- |\s*x)|\.\s", text):
            sentence = " ".join(item.split())
            if re.search(
                r"\b(?:no|none|nothing)\b.*\bsignificantly (?:different|better|worse)", sentence, re.IGNORECASE
            ):
                assert re.search(r"significantly \w+(?: x)?(?: reliance)? (?:from|than|correlated)", sentence), (
                    path,
                    sentence,
                )


@pytest.mark.parametrize("effects", [{"base": 0.0, "up": 0.1}, {"base": 0.0, "same": 0.0}, {"base": 0.0, "down": -0.1}])
def test_no_statement_denies_a_verdict_of_the_table(tmp_path, effects):
    experiment, tables = a_table(tmp_path, effects)
    text = findings(experiment, a_description(), tables)
    for row in tables.results.filter(~pl.col("baseline")).to_dicts():
        different = row["verdict"] != "inconclusive"
        assert ("No arm is significantly different from the baseline" in text) == (not different)
        assert ("No arm is significantly different from **base**" in text) == (not different)
        assert (f"**{row['arm']}** is {row['verdict']} than" in text) == different
