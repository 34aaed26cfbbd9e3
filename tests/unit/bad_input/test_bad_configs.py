"""Each error in a config is reported while planning: the key, what is wrong, and a remedy."""

from pathlib import Path

import pytest
from config_cases import CONFIG, REMOVED, Case, Planning, of_cases, planning

from reidflow.spec import plan
from reidflow.spec.errors import ReidflowError

__all__ = ["planning"]

OUTSIDE = "key 'results': must be a folder below the working directory, such as 'results'"
LETTERS = "key 'results': may hold letters (A-Z, a-z), digits, '_', '-', '.' and '/', at most 100 of them"
KEYS = [
    Case("an unknown key", "colour: 3", ("config.yaml, key 'colour': this key is unknown. Known here: title, scale,",)),
    Case(
        "a misspelt key",
        "protocol.epoch: 3",
        ("config.yaml, key 'protocol.epoch': this key is unknown.", "Did you mean 'epochs'?"),
    ),
    Case(
        "an unknown key of the data set",
        "dataset.sorce: 3",
        ("Known here: source, frame, masks, unlabelled,",),
    ),
    Case(
        "an unknown key of the model",
        "protocol.model.siz: 64",
        ("Known here: backbone, size, pooling, head, geometry,",),
    ),
    Case(
        "an unknown key of the head",
        "protocol.model.head: {dims: 8}",
        ("Known here: hidden, depth, norm, activation,",),
    ),
    Case(
        "an unknown key in a list",
        "submission: {runs: [{experiment: losses, arm: softmax, seed: 1}]}",
        (
            "key 'submission.runs.0.seed': this key is unknown. Known here: experiment, arm, seeds. Did you mean 'seeds'?",
        ),
    ),
    Case(
        "an unknown key of compute",
        "compute: {gpus: 2}",
        ("key 'compute.gpus': this key is unknown. Known here: device,",),
    ),
    Case("no data set", f"dataset: {REMOVED}", ("config.yaml, key 'dataset': this key is missing. Add it;",)),
    Case("no loss", f"protocol.loss: {REMOVED}", ("config.yaml, key 'protocol.loss': this key is missing.",)),
    Case(
        "a word for keys",
        "protocol.model.trainable: all",
        ("must be keys with values. It is 'all'. Known keys: name, blocks.",),
    ),
    Case("a list for keys", "overrides: [losses]", ("key 'overrides': must be a valid dictionary.", "['losses']")),
]
VALUES = [
    Case("a number as a word", "protocol.epochs: ten", ("key 'protocol.epochs': must be a valid integer.", "'ten'")),
    Case(
        "a number in quotes",
        "protocol.epochs: '10'",
        ("key 'protocol.epochs': must be a valid integer.", "(it is '10')"),
    ),
    Case(
        "a truth value for a number",
        "protocol.epochs: true",
        ("must be a valid integer. Correct the value (it is True).",),
    ),
    Case(
        "a share for a count",
        "protocol.epochs: 1.5",
        ("key 'protocol.epochs': must be a valid integer.", "(it is 1.5)"),
    ),
    Case("no epochs", "protocol.epochs: 0", ("must be greater than or equal to 1. Correct the value (it is 0).",)),
    Case("epochs for ever", "protocol.epochs: 1000000000000", ("must be less than or equal to 100000.",)),
    Case("not a number", "protocol.gradient_clip: .nan", ("key 'protocol.gradient_clip': must be a finite number.",)),
    Case("infinity", "protocol.gradient_clip: .inf", ("key 'protocol.gradient_clip': must be a finite number.",)),
    Case("a negative clip", "protocol.gradient_clip: -1", ("key 'protocol.gradient_clip': must be greater than 0.",)),
    Case(
        "images too small",
        "protocol.model.size: 8",
        ("key 'protocol.model.size': must be greater than or equal to 16.",),
    ),
    Case(
        "images too large",
        "protocol.model.size: 100000",
        ("key 'protocol.model.size': must be less than or equal to 2048.",),
    ),
    Case(
        "an embedding of thousands of millions",
        "protocol.model.head: {dim: 9999999999}",
        ("less than or equal to 65536",),
    ),
    Case("an unknown word", "gallery: everything", ("key 'gallery': must be 'role' or 'all'.", "(it is 'everything')")),
    Case("a blank title", "title: ' '", ("key 'title': is blank: write the name of the dataset.",)),
    Case("a long value", f"seeds: {'x' * 5000}", ("key 'seeds': must be a valid list.", "xxx…)")),
]
SEEDS = [
    Case("no seeds", "seeds: []", ("key 'seeds': List should have at least 1 item",)),
    Case("a seed twice", "seeds: [1, 1]", ("key 'seeds': holds a value twice.",)),
    Case(
        "a seed as a word",
        "seeds: [one]",
        ("key 'seeds.0': must be a valid integer. Correct the value (it is 'one').",),
    ),
    Case("a negative seed", "seeds: [-1]", ("key 'seeds.0': must be greater than or equal to 0.",)),
    Case(
        "a seed beyond all bounds", "seeds: [99999999999999999999]", ("key 'seeds.0': must be less than 2147483648.",)
    ),
    Case(
        "a seed that chooses and reports",
        "sweep_seeds: [1]",
        ("seeds and sweep_seeds share [1]: a setting must not be reported on a seed that chose it.",),
    ),
]
SPLITS = [
    Case(
        "an unknown split",
        "split: closed",
        ("there is no split 'closed'. Did you mean 'closed_set'? Choose one of: closed_set,",),
    ),
    Case(
        "shares over the whole",
        "split.train: 0.9",
        (
            "key 'split': the shares train 0.9, val 0.2, test 0.3 add up to 1.4: they must add up to 1, with train and test",
        ),
    ),
    Case(
        "no share for testing",
        "split: {name: closed_set, train: 0.8, val: 0.2, test: 0.0}",
        ("with train and test above 0.",),
    ),
    Case("a negative share", "split.val: -0.2", ("split 'closed_set', parameter 'val': -0.2 is not from 0 to 1.",)),
    Case(
        "a share that is no number",
        "split.train: .nan",
        ("parameter 'train': nan is no number that can be computed with.",),
    ),
    Case(
        "a checkpoint that no image chooses",
        "split: {name: closed_set, train: 0.7, val: 0.0, test: 0.3}",
        (
            "key 'protocol.checkpoint': the split has no validation images to choose a checkpoint on. Set checkpoint: last",
        ),
    ),
    Case("every image a query", "queries: 1.0", ("key 'queries': must be less than 1.",)),
]
RESULTS = [
    Case("results anywhere", "results: /etc", (OUTSIDE,)),
    Case("results above", "results: ../results", (OUTSIDE,)),
    Case("results up and down", "results: a/../../b", (OUTSIDE,)),
    Case("results nowhere", "results: ''", (OUTSIDE,)),
    Case("results here", "results: .", (OUTSIDE,)),
    Case("results at home", "results: ~/results", (OUTSIDE,)),
    Case("results with a wildcard", "results: 'r{x}'", (LETTERS,)),
    Case("results with a blank", "results: my results", (LETTERS,)),
    Case("results with a line break", 'results: "r\\nx"', (LETTERS,)),
    Case("results that look like an option", "results: -rf", (LETTERS,)),
    Case("results of 300 characters", f"results: {'r' * 300}", (LETTERS,)),
    Case(
        "results among the project's files",
        "results: src/out",
        ("key 'results': 'src' is a folder of the project itself.",),
    ),
    Case(
        "results among the photographs",
        "results: photographs/results",
        ("the folder 'photographs/results' is inside that of the images ('photographs'). What is written there would",),
    ),
    Case(
        "results in place of the photographs",
        "results: photographs",
        ("the folder 'photographs' holds the images",),
    ),
    Case(
        "results around the photographs",
        "{results: data, dataset: {source: {name: folder, path: data/photographs}}}",
        ("the folder 'data' holds the images ('data/photographs'). Results are written and removed there",),
    ),
]
EXPERIMENTS = [
    Case("no experiment", "experiments: []", ("key 'experiments': List should have at least 1 item",)),
    Case("a word for the experiments", "experiments: losses", ("key 'experiments': must be a valid list.",)),
    Case(
        "an experiment without a file",
        "experiments: [nothing]",
        ("config/experiments/nothing.yaml: there is no such file.",),
    ),
    Case("an experiment twice", "experiments: [losses, losses]", ("key 'experiments': holds a value twice.",)),
    Case(
        "an experiment by name and by file",
        "experiments: [losses, config/experiments/losses.yaml]",
        ("config/experiments/losses.yaml: two files are called 'losses'. Rename one of them.",),
    ),
    Case(
        "names that a Mac confuses",
        "experiments: [losses, Losses]",
        ("'Losses' and 'losses' differ in capitals alone.",),
    ),
    Case(
        "files that would be called alike",
        "experiments: [losses, losses.trials]",
        ("the files of 'losses.trials' would be called",),
    ),
    Case(
        "an experiment with a blank",
        "experiments: [my losses]",
        ("not usable as a folder. Use letters (A-Z, a-z), digits,",),
    ),
    Case(
        "an experiment with a wildcard",
        "experiments: ['{x}']",
        ("config/experiments/{x}.yaml: the file's name is not usable",),
    ),
    Case("an experiment of markup", "experiments: [<script>]", ("the file's name is not usable as a folder.",)),
    Case("an experiment with a line break", 'experiments: ["a\\nb"]', ("a\\nb.yaml: the file's name is not usable",)),
    Case("an experiment of 200 letters", f"experiments: [{'x' * 200}]", ("at most 80 of them.",)),
    Case(
        "the leaderboard's name", "experiments: [leaderboard]", ("the name 'leaderboard' is taken by results of all",)
    ),
    Case(
        "overrides of nothing",
        "overrides: {loses: {protocol: {epochs: 3}}}",
        ("overrides.loses': there is no such experiment.",),
    ),
    Case(
        "a protocol with an error, reported once for all arms",
        "overrides: {losses: {protocol: {epochs: many}}}",
        ("losses.yaml, key 'protocol' (with the config's 'overrides.losses'), key 'epochs': must be a valid integer.",),
    ),
    Case(
        "a search of what does not search",
        "overrides: {losses: {search: {trials: 9}}}",
        ("losses.yaml (with the config's 'overrides.losses'), key 'search.space'",),
        errors=2,
    ),
]
SUBMISSIONS = [
    Case(
        "a submission of nothing",
        "submission: {runs: [{experiment: x, arm: y}]}",
        ("no experiment 'x' in the config. Known: losses.",),
    ),
    Case(
        "a submission of no arm",
        "submission: {runs: [{experiment: losses, arm: z}]}",
        ("has no arm 'z'. Its arms: softmax, triplet.",),
    ),
    Case(
        "a submission of no run",
        "submission: {runs: [{experiment: losses, arm: softmax, seeds: [7]}]}",
        ("the arm 'softmax' is not run with the seed 7. Choose among 0, 1,",),
    ),
    Case("no answers", "submission: {k: 0}", ("key 'submission.k': must be greater than or equal to 1.",)),
    Case("no time", "submission: {time_budget: 0}", ("key 'submission.time_budget': must be greater than 0.",)),
    Case(
        "an unknown inference", "submission: {inference: [rerank]}", ("there is no inference 'rerank'. Choose one of:",)
    ),
    Case("an unknown index", "submission: {index: flt}", ("there is no index 'flt'. Did you mean 'flat'?",)),
    Case(
        "a candidate of another kind",
        "submission: {candidates: [{loss: x}]}",
        ("a candidate is a mapping with backbone, size, pooling",),
    ),
    Case(
        "a candidate too small",
        "submission: {candidates: [{size: 3}]}",
        ("submission.candidates[0].size: must be greater than or",),
    ),
]


CASES = [*KEYS, *VALUES, *SEEDS, *SPLITS, *RESULTS, *EXPERIMENTS, *SUBMISSIONS]


@of_cases(CASES)
def test_a_mistake_in_a_config_is_reported_while_planning(planning: Planning, case):
    (planning.folder / "photographs").mkdir()
    planning.check("config.yaml", case)


def test_the_config_without_a_mistake_is_planned(planning: Planning):
    assert list(planning.make().experiments) == ["losses"]


def test_all_errors_of_config_and_experiment_are_reported_at_once(planning: Planning):
    planning.change("config.yaml", "results: src\nexperiments: [losses, nothing]\noverrides: {loses: {}}\n")
    planning.change("config/experiments/losses.yaml", "varies: [los]\nbaseline: z\n")
    text = planning.said()
    for part in (
        "5 errors",
        "'src' is a folder",
        "nothing.yaml",
        "overrides.loses",
        "no setting 'los'",
        "no arm 'z'",
    ):
        assert part in text, text


def test_results_beside_a_table_are_outside_the_folder_of_images(planning: Planning):
    planning.write("table.csv", "path,identity\n")
    planning.change("config.yaml", "dataset: {source: {name: table, path: table.csv}}\n")
    assert "is inside that of the images ('.')" in planning.said()
    planning.change("config.yaml", "dataset: {source: {name: table, path: table.csv, images: photographs}}\n")
    assert planning.make()


def test_a_name_cannot_write_to_the_terminal(planning: Planning):
    planning.change("config/experiments/losses.yaml", 'baseline: "\\e[2J"\n')
    assert "there is no arm '\\x1b[2J'" in planning.said()


def test_an_error_of_merged_files_names_the_file_that_holds_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = {
        "a.yaml": CONFIG,
        "b.yaml": "seeds: [1, 1]\nprotocol: {model: {size: big}}\noverrides: {none: {}}",
        "c.yaml": "split: {train: 0.7}\nsubmission: {runs: [{experiment: x, arm: y}]}\nresults: src",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    Path("photographs").mkdir()

    def said(files, **overrides):
        with pytest.raises(ReidflowError) as error:
            plan.make(files, overrides)
        return str(error.value)

    text = said(list(texts), queries=2)
    for line in ("b.yaml, key 'seeds': holds", "b.yaml, key 'protocol.model.size': must", "c.yaml, key 'split': "):
        assert f"\n\n{line}" in text
    assert "\n\n--config, key 'queries': must" in text
    Path("b.yaml").write_text("overrides: {none: {}}\nexperiments: [losses, nix]")
    Path("c.yaml").write_text("results: src\nsubmission: {runs: [{experiment: x, arm: y}]}")
    text = said(list(texts))
    assert "\n\nb.yaml, key 'overrides.none': there" in text and "\n\nb.yaml, key 'experiments': " in text
    assert "\n\nc.yaml, key 'results': 'src'" in text and "\n\nc.yaml, key 'submission.runs.0.experiment': no" in text
    Path("a.yaml").write_text(CONFIG.replace("split:", "no_split:"))
    assert "\n\na.yaml, b.yaml, c.yaml, key 'split': this key is missing" in said(list(texts))
