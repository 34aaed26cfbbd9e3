from arms_folder import Spec, a_description, a_table, an_experiment

from reidflow.spec.experiment import Arm
from reidflow.tables.caption import caption
from reidflow.tables.design import design
from reidflow.tables.export import exports
from reidflow.tables.findings import findings

WHYS = {"base": "The plainest.", "arm_2": "50 % of <b>it</b> & more."}


def run(loss, rate, **changes):
    tree = {
        "background": {"name": "original"},
        "model": {
            "backbone": {"name": "timm", "model": "lite0"},
            "size": 96,
            "head": {"dim": 64},
            "geometry": {"name": "hypersphere"},
            "trainable": {"name": "head", "blocks": 0},
        },
        "loss": {"name": loss},
        "sampler": {"name": "pk", "images": 4},
        "optimizer": {"name": "adamw", "learning_rate": rate, "weight_decay": 0.1},
        "scheduler": {"name": "cosine"},
        "epochs": 20,
        "checkpoint": "best",
        "seed": 0,
    }
    return Spec({**tree, **changes})


def an_experiment_of(specs):
    arms = {"base": {"why": WHYS["base"], "loss": "a"}, "arm_2": {"why": WHYS["arm_2"], "loss": "b"}}
    tuned = {"optimizer.learning_rate": [0.1, 0.2]}
    written = an_experiment(list(arms), tuned=tuned, arms=arms, motivation="Nobody `knows`.", hypothesis="It _does_.")
    made = {n: Arm(n, n, WHYS[n], None, (0, 1), tuple(({}, s) for s in specs[n])) for n in arms}
    return type(written)(written.name, written.path, written.file, made, (100, 101))


def test_the_protocol_in_words_holds_what_all_runs_share_and_nothing_that_varies():
    experiment = an_experiment_of({"base": [run("a", 0.1), run("a", 0.2)], "arm_2": [run("b", 0.1), run("b", 0.2)]})
    found = dict(design(experiment, a_description()).lines)
    assert found["Model"] == (
        "timm(model=lite0), 96 pixels, embedding of 64 dimensions, the head is trained, the backbone frozen."
    )
    assert found["Optimizer"] == "adamw(weight_decay=0.1)."
    assert found["Sampler"] == "pk(images=4)."
    assert found["Schedule"] == "cosine, 20 epochs."
    assert found["Checkpoint"] == "the epoch with the highest validation mAP."
    assert found["Varies"] == "loss; baseline: base."
    assert "optimizer.learning_rate from [0.1, 0.2]" in found["Tuned"]
    assert "[0, 1]" in found["Seeds"] and "[100, 101]" in found["Seeds"]
    assert "230 train" in found["Split"]
    assert "Loss" not in found and "Training images" not in found
    assert (found["Motivation"], found["Hypothesis"]) == ("Nobody `knows`.", "It _does_.")


def test_settings_that_an_arm_changes_are_not_said_to_be_fixed():
    shorter = run("b", 0.1, epochs=10, checkpoint="last", background={"name": "gray"})
    found = dict(design(an_experiment_of({"base": [run("a", 0.1)], "arm_2": [shorter]}), a_description()).lines)
    assert found["Schedule"] == "cosine." and "Checkpoint" not in found
    assert found["Optimizer"] == "adamw(learning_rate=0.1, weight_decay=0.1)."


def test_the_design_and_why_each_arm_is_there_are_in_findings_markdown_and_latex(tmp_path):
    _, tables = a_table(tmp_path, {"base": 0.0, "arm_2": 0.05})
    experiment = an_experiment_of({"base": [run("a", 0.1)], "arm_2": [run("b", 0.1)]})
    text = findings(experiment, a_description(), tables).split("## Motivation and design\n")[1].split("\n## ")[0]
    assert "- **Motivation:** Nobody `knows`." in text and "- **Sampler:** pk(images=4)." in text
    assert r"| arm_2 | 50 % of \<b\>it\</b\> \& more. |" in text
    lines = caption(experiment, a_description(), tables.results)
    made = exports(tables.results, tables.efficiency, lines, (), *design(experiment, a_description()))
    assert "## Arms" in made["markdown"] and "The plainest." in made["markdown"]
    last = made["latex"].split(r"\begin{table}")[-1]
    assert r"\textbf{Sampler:} pk(images=4)." in last and r"\begin{tabular}{lp{" in last
    assert r"arm\_2 & 50 \% of" in last
