"""The protocol of analyses: names, code and files of each."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from reidflow.analyses.analysis import Report, check_headlines, load, outputs, shipped
from reidflow.spec import code
from reidflow.spec import plan as plans
from reidflow.spec.errors import ReidflowError

ROOT = Path(__file__).parents[3]


def test_the_folder_is_the_registry():
    folders = {p.name for p in (ROOT / "src/reidflow/analyses").iterdir() if (p / "__init__.py").is_file()}
    assert set(shipped()) == folders


@pytest.mark.parametrize("name", shipped())
def test_an_analysis_says_what_it_shows_under_names_of_its_own(name):
    analysis = load(name)
    shown = [*analysis.figures, *analysis.sheets]
    assert analysis.title and analysis.caption.endswith(".") and len(shown) == len(set(shown))
    assert not {*shown} & {"arms", "curves", "identities", "pareto", "tuning"}


@pytest.mark.parametrize("name", shipped())
def test_the_digest_of_an_analysis_covers_its_folder_and_no_other(name):
    package = f"src/reidflow/analyses/{name}"
    roots = [f"reidflow.analyses.{name}", *load(name).assets]
    closure = {path.removeprefix("src/") for path in code.closure(*roots)}
    own = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / package).rglob("*") if p.is_file()}
    own = {path for path in own if "__pycache__" not in path}
    assert own <= closure, own - closure
    assert (
        not {p for p in closure if p.startswith("reidflow/analyses/")}
        - own
        - {
            "reidflow/analyses/__init__.py",
            "reidflow/analyses/analysis.py",
        }
    )


@pytest.mark.parametrize("name", shipped())
def test_an_analysis_that_ranks_reads_what_rankings_need(name):
    sources = (ROOT / "src/reidflow/analyses" / name).rglob("*.py")
    if any(re.search(r"\barm_retrieval\(|\bscored_runs\(|\.mirrored\(", path.read_text()) for path in sources):
        assert {"runs", "split", "manifest", "mirrored", "local"} <= set(load(name).inputs)


def test_planning_imports_nothing_slow_for_analyses():
    import subprocess
    import sys

    script = "import sys\nfrom reidflow.analyses.analysis import load, shipped\nlist(map(load, shipped()))\n"
    script += "slow = {'torch', 'timm', 'skimage', 'open_clip', 'matplotlib', 'polars'} & set(sys.modules)\nassert not slow, slow"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_an_unknown_analysis_is_named_with_the_known_ones():
    with pytest.raises(ReidflowError, match=r"no analysis 'curatoin'.*curation"):
        load("curatoin")
    with pytest.raises(ReidflowError, match=r"'mylab\.gone' is nowhere on the Python path"):
        load("mylab.gone")


def test_what_an_analysis_returns_without_declaring_it_is_named(tmp_path):
    names = outputs(load("gap"), "tables", "figures", "sections")
    out = {name: tmp_path / name for name in names}
    Report(files={}).write(out)
    assert (tmp_path / "sections").is_file()
    for report in (Report(files={"notes.txt": "a"}), Report(figures={"more": print}), Report(sheets={"more": print})):
        with pytest.raises(ReidflowError, match=r"returns '(notes\.txt|more)', which its module does not declare"):
            report.write(out)


@pytest.mark.parametrize(
    ("experiment", "headline", "message"),
    [
        ("eda_backgrounds", ["reliance", "queries on random"], None),
        ("losses", ["flops"], None),
        ("losses", ["reliance"], "no quantity 'reliance'. Choose among: .*steps"),
        ("faces_remedies", ["known identities, across domains", "control"], None),
        ("hpo", ["gain_at_equal_steps", "gain_at_equal_steps"], "listed twice"),
    ],
)
def test_a_headline_names_what_an_analysis_of_the_experiment_measures(experiment, headline, message):
    made = plans.make([ROOT / "config/config.yaml"], {"experiments": [experiment]}, root=ROOT)
    file = made.experiments[experiment].file.model_copy(update={"headline": headline})
    made.experiments[experiment] = replace(made.experiments[experiment], file=file)
    if message is None:
        check_headlines(made)
    else:
        with pytest.raises(ReidflowError, match=message) as found:
            check_headlines(made)
        assert f"{experiment}.yaml, key 'headline'" in str(found.value)


def test_files_of_an_analysis_are_text_or_bytes(tmp_path):
    out = {name: tmp_path / name for name in outputs(load("browsing"), "tables", "figures", "sections")}
    Report(files={"browsing.json": "Ünïcödé", "thumbnails.jpg": b"\xff\xd8"}).write(out)
    assert (tmp_path / "file_browsing_json").read_bytes().decode() == "Ünïcödé"
    assert (tmp_path / "file_thumbnails_jpg").read_bytes() == b"\xff\xd8"
