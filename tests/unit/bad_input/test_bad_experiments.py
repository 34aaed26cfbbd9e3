"""Each error in an experiment's file is reported while planning: the arm and the key, what is wrong, and a remedy."""

from config_cases import REMOVED, Case, Planning, of_cases, planning

__all__ = ["planning"]

SEARCH = """
varies: [epochs, optimizer.learning_rate, model.size]
arms: {softmax: {why: x}, found: {why: y, winner_of: random}}
search: {trials: 4, finalists: 0, space: SPACE, studies: {random: {algorithm: random}}}
"""


def searching(what: str, space: str, *said: str, errors: int = 1) -> Case:
    return Case(f"a search of {what}", SEARCH.replace("SPACE", space), said, errors)


WORDS = [
    Case("no question", f"question: {REMOVED}", ("losses.yaml, key 'question': this key is missing.",)),
    Case("a blank question", "question: ' '", ("key 'question': is empty: write a sentence.",)),
    Case(
        "an unknown key",
        "questoin: x",
        ("this key is unknown. Known here: question, motivation,", "Did you mean 'question'?"),
    ),
    Case(
        "an unknown key further in",
        "evaluation: {splt: {}}",
        ("key 'evaluation.splt': this key is unknown. Known here: split, split_seed, sides,",),
    ),
    Case(
        "an arm without a reason",
        "arms.triplet: {loss: triplet}",
        ("arm 'triplet': 'why' is missing. Say in a sentence",),
    ),
    Case(
        "an interpretation of nothing",
        "interpretation: [{held: 'yes', text: Well.}]",
        ("key 'interpretation.0.dataset': this key is missing.",),
    ),
    Case(
        "an interpretation that is silent on the hypothesis",
        "interpretation: [{dataset: demo, text: Well.}]",
        ("key 'interpretation.0.held': this key is missing.",),
    ),
    Case(
        "a verdict of an arm that is not there",
        "interpretation: [{dataset: demo, held: 'yes', leans_on: [arface], text: Well.}]",
        ("key 'interpretation.leans_on': there is no arm 'arface'. Choose among: softmax",),
    ),
    Case(
        "a judgement that is none",
        "interpretation: [{dataset: demo, held: maybe, text: Well.}]",
        ("key 'interpretation.0.held'", "'yes', 'no', 'partly' or 'undecided'"),
    ),
]
ARMS = [
    Case("no arms", "arms: {}", ("key 'baseline': there is no arm 'softmax'. Choose one of: none, yet.",)),
    Case(
        "one arm",
        "arms: {softmax: {why: x}}",
        ("key 'arms': there is nothing to compare the baseline with. Add another arm.",),
    ),
    Case(
        "a baseline that is no arm",
        "baseline: arcface",
        ("there is no arm 'arcface'. Choose one of: softmax, triplet.",),
    ),
    Case("a list of arms", "arms: [softmax]", ("key 'arms': must be a valid dictionary.",)),
    Case("an arm of nothing", "arms.empty: null", ("key 'arms.empty': must be a valid dictionary.",)),
    Case("an arm that changes nothing", "arms.same: {why: x}", ("arm 'same': the arm is empty: it changes nothing.",)),
    Case("an arm like another", "arms.again: {why: x, loss: triplet}", ("arm 'again': is the same as arm 'triplet'.",)),
    Case(
        "an arm that changes more than is declared",
        "arms.longer: {why: x, loss: triplet, epochs: 9}",
        (
            "arm 'longer': differs from the baseline 'softmax' in epochs, which is not declared. Add it to 'varies' (now ['loss'])",
        ),
    ),
    Case(
        "an arm with an unknown setting",
        "arms.x: {why: x, los: triplet}",
        ("arm 'x', key 'los': a run has no such setting.", "Did you mean 'loss'?"),
    ),
    Case(
        "a number as an arm's name",
        "arms: {softmax: {why: x}, 8: {why: y, loss: triplet}}",
        ("key 'arms.8': a key must be a text. Put 8 in quotes.",),
    ),
    Case("a blank arm", "arms: {softmax: {why: x}, ' ': {why: y, loss: triplet}}", ("arm ' ': its name is blank.",)),
    Case(
        "an arm of 600 letters",
        f"arms.{'x' * 600}: {{why: y, loss: arcface}}",
        ("its name has 600 characters. At most 500 are allowed.",),
    ),
    Case(
        "arms that look alike",
        'arms: {softmax: {why: x}, "soft\\u200bmax": {why: y, loss: triplet}}',
        ("its name looks like that of arm 'softmax'. Rename one of them.",),
    ),
    Case(
        "folders that a Mac confuses",
        "arms.Triplet: {why: y, loss: arcface}",
        ("arm 'Triplet': would share its folder with arm 'triplet'. Rename one of them.",),
    ),
    Case(
        "a control that is no arm",
        "arms.triplet.against: arcface",
        ("key 'against': 'arcface' is not another arm. Choose one of: softmax.",),
    ),
    Case("a control of itself", "arms.triplet.against: triplet", ("key 'against': 'triplet' is not another arm.",)),
    Case(
        "an arm with one seed",
        "arms.triplet.seed: 3",
        ("an arm does not set 'seed'. Use 'seeds' (a list), and declare it",),
    ),
    Case(
        "an arm with seeds of its own", "arms.triplet.seeds: [7]", ("'seeds' differ although 'seed' is not declared.",)
    ),
    Case(
        "seeds in words",
        "{varies: [loss, seed], arms.triplet.seeds: [one]}",
        ("'seeds' is not a list of different numbers from 0.",),
    ),
    Case(
        "others' figures of no arm",
        "published: {note: x, arms: {arcface: {top1: 0.5}}}",
        ("key 'published.arms': there is no arm 'arcface'.",),
    ),
]
FACTOR = [
    Case(
        "a factor that is no setting",
        "{varies: [loss, los]}",
        ("key 'varies': a run has no setting 'los'. Settings are:",),
    ),
    Case(
        "a factor further in that is no setting",
        "{varies: [loss, model.hed]}",
        ("key 'varies': a run has no setting 'model.hed'.",),
    ),
    Case("a word for the factor", "varies: loss", ("key 'varies': must be a valid list.", "(it is 'loss')")),
    Case("no factor", "varies: []", ("key 'varies': List should have at least 1 item",)),
    Case(
        "a tuned factor",
        "tuned: {epochs: [3, 9]}\nvaries: [loss, epochs]",
        ("'epochs' cannot be both the factor and tuned.",),
    ),
    Case("an empty grid", "tuned: {epochs: []}", ("key 'tuned.epochs': List should have at least 1 item",)),
    Case("a grid with a value twice", "tuned: {epochs: [3, 3]}", ("key 'tuned.epochs': a value is listed twice.",)),
    Case(
        "a grid of what no arm has",
        "tuned: {epoch: [3, 9]}",
        ("it has no setting 'epoch' to tune. Correct the path in 'tuned',",),
        2,
    ),
    Case(
        "a grid with a word",
        "tuned: {epochs: [3, many]}",
        ("key 'epochs': must be a valid integer. Correct the value (it is 'many').",),
        2,
    ),
    Case(
        "a grid with no number",
        "tuned: {optimizer.learning_rate: [0.1, .nan]}",
        ("nan is no number that can be computed with.",),
        2,
    ),
    Case(
        "a grid of a hundred thousand points",
        f"tuned: {{epochs: {list(range(1, 401))}, model.head.dim: {list(range(2, 302))}}}",
        ("the grid has 120000 points, each of which every arm trains with every sweep seed. At most 1000",),
    ),
    Case(
        "a seed that chooses and reports",
        "tuned: {epochs: [3, 9]}\nseeds: [100, 1]",
        ("a seed is also one of sweep_seeds.",),
        2,
    ),
]
EACH = [
    Case(
        "braces of another name",
        "varies: [epochs]\narms: {softmax: {why: x}, 'e{rate}': {why: y, each: {epochs: [3, 9]}}}",
        ("arm 'e{rate}', key 'each': the arm's name must hold the last part of each path, in braces: {epochs}.",),
    ),
    Case(
        "braces that are not closed",
        "varies: [epochs]\narms: {softmax: {why: x}, 'e{epochs}': {why: 'a { b', each: {epochs: [3, 9]}}}",
        ("'why' holds braces that mean nothing here. Known: {epochs}.",),
    ),
    Case(
        "braces that would fill the memory",
        "varies: [epochs]\narms: {softmax: {why: x}, 'e{epochs}': {why: '{epochs:999999999999}', each: {epochs: [3, 9]}}}",
        ("'why' holds braces that mean nothing here. Known: {epochs}.",),
    ),
    Case(
        "braces that look into Python",
        "varies: [epochs]\narms: {softmax: {why: x}, 'e{epochs}': {why: '{epochs.__class__}', each: {epochs: [3, 9]}}}",
        ("'why' holds braces that mean nothing here. Known: {epochs}.",),
    ),
    Case(
        "one part",
        "parts: {augmentation: {flip: {why: x, value: flip}}}",
        ("key 'parts.augmentation': Dictionary should have at least 2 items",),
    ),
]
SEARCHES = [
    searching("nothing", "{}", "key 'search.space': Dictionary should have at least 1 item"),
    searching("one value", "{epochs: [3]}", "List should have at least 2 items"),
    searching(
        "a name of markup",
        "{'`<b>': {choices: {a: {epochs: 3}, b: {epochs: 4}}}}",
        "key 'search.space.`<b>': its name, a column of the table of trials, has characters that are not allowed. Use letters, digits,",
    ),
    searching("a value twice", "{epochs: [3, 3]}", "two values are both called '3'. Give each value once"),
    searching("a word", "{epochs: many}", "an axis is a list of values, {low, high} or {choices: {name: {settings}}}."),
    searching("a range upside down", "{epochs: {low: 9, high: 3}}", "'low' must be below 'high'."),
    searching("a logarithm of 0", "{optimizer.learning_rate: {low: 0, high: 1, log: true}}", "starts above 0."),
    searching(
        "a range of words", "{epochs: {low: few, high: 9}}", "must be a valid integer. Correct the value (it is 'few')."
    ),
    searching(
        "a misspelt range",
        "{epochs: {low: 1, high: 9, logg: true}}",
        "Known here: low, high, log, step. Did you mean 'log'?",
    ),
    searching(
        "what no run can be",
        "{epochs: [3, -1]}",
        "key 'search.space.epochs': at -1: must be greater than or equal to 1.",
    ),
    searching(
        "what is not declared", "{views: {low: 0, high: 2}}", "it moves 'views', which is not declared.", errors=2
    ),
    searching(
        "one thing twice",
        "{model.size: [32, 64], x: {choices: {a: {model: {size: 32}}, b: {model: {size: 64}}}}}",
        "it moves 'model.size', as does 'model.size'. Keep one, or join them as choices.",
    ),
]
SPLITS = [
    Case(
        "an unknown split",
        "evaluation: {split: {name: closed}}",
        ("key 'evaluation.split': there is no split 'closed'.",),
    ),
    Case(
        "shares over the whole",
        "evaluation: {split: {train: 0.9}}",
        ("key 'evaluation.split': the shares train 0.9, val 0.2,",),
    ),
    Case("every image a query", "evaluation: {queries: 1.0}", ("key 'evaluation.queries': must be less than 1.",)),
    Case("unknown sides", "evaluation: {sides: both}", ("key 'evaluation.sides': must be 'across' or 'within'.",)),
    Case("its own split as another", "also_on: {again: {}}", ("key 'also_on.again': is the experiment's own split.",)),
    Case(
        "another split twice",
        "also_on: {one: {split: {seed: 5}}, two: {split: {seed: 5}}}",
        ("key 'also_on.two': is the same split as 'one'.",),
    ),
    Case(
        "a checkpoint that no image chooses",
        "also_on: {two roles: {split: {val: 0.0, train: 0.7}}}",
        ("arm 'softmax', key 'checkpoint': a split of this experiment has no validation images",),
    ),
    Case(
        "another background of no name",
        "tested_on: {x: {background: grey}}",
        ("there is no background 'grey'. Did you mean 'gray'?",),
    ),
]


CASES = [*WORDS, *ARMS, *FACTOR, *EACH, *SEARCHES, *SPLITS]


@of_cases(CASES)
def test_a_mistake_in_an_experiment_is_reported_while_planning(planning: Planning, case):
    planning.check("config/experiments/losses.yaml", case)


def test_an_empty_experiment_misses_every_key_at_once(planning: Planning):
    planning.write("config/experiments/losses.yaml", "")
    text = planning.said()
    assert "6 errors" in text
    for key in ("question", "motivation", "hypothesis", "varies", "baseline", "arms"):
        assert f"config/experiments/losses.yaml, key '{key}': this key is missing." in text
