"""Snakemake's report of the tiny project: all that a person reads, once, with words, and nothing from outside."""

import base64
import re
import shutil

import pytest
from conftest import projects, traces
from selenium.webdriver.common.by import By

from reidflow.store.locks import hold

EYE, WORDS = 0, 1
FIGURES = {
    "Arms, and their differences from the baseline",
    "Training curves",
    "Differences per identity",
    "Performance profiles: how many identities are ranked how well",
    "Value against cost",
}
EXPERIMENTS = ["tiny_backbones", "tiny_losses"]
EVIL = "</script><script>window.hit = 1</script> `x <javascript:y>`_ {{ 7 * 7 }}"


@pytest.fixture
def report(chromium, reported):
    assert reported.outcome.status == 0, reported.outcome.text
    return Report(chromium, reported.folder / "report.html")


class Report:
    """The report, opened, and what its menus lead to."""

    def __init__(self, chromium, page) -> None:
        self.chromium = chromium.open(page, 1400)
        self.chromium.wait("#brand")

    def follow(self, *names: str) -> None:
        """Click one entry of the menus after the other."""
        for name in names:
            self.chromium.wait_for(f"//li//*[normalize-space(text())='{name}']").click()

    def rows(self) -> list[str]:
        """Return the first cells of the list that is shown."""
        return [row.text for row in self.chromium.all("#app table tbody tr td:first-child")]

    def press(self, label: str, button: int) -> None:
        """Press the button of a result: to see it, or to read what it is."""
        row = self.chromium.wait_for(f"//tr[td[normalize-space()={label!r}]]")
        row.find_elements(By.TAG_NAME, "a")[button].click()

    def results(self) -> dict[tuple[str, str, str], dict]:
        """Return (category, subcategory, label) -> result, of all that the report carries."""
        categories, results = self.chromium.run("return [categories, results]")
        listed = [
            ((category, "" if below == "Other" else below, *results[path]["labels"].values()), path)
            for category, paths_below in categories.items()
            for below, paths in paths_below.items()
            for path in paths
        ]
        assert len(dict(listed)) == len(listed), "two results under the same words"
        return {words: {**results[path], "path": path} for words, path in listed}


def test_the_report_lists_all_that_a_person_reads(report):
    expected = {(kind, "", name) for kind in ("Pages", "Tables", "Findings") for name in EXPERIMENTS}
    expected |= {("Figures", name, figure) for name in EXPERIMENTS for figure in FIGURES}
    expected |= {("Figures", "tiny_losses", "Tuned hyperparameters on validation")}
    expected |= {("Leaderboard", "", label) for label in ("table (CSV)", "page", "figure")}
    shown = ("images of each identity", "images with their masks", "leak audit of the split (JSON)")
    expected |= {("Data", "", label) for label in shown}
    assert set(report.results()) == expected
    assert report.chromium.faults() == []


def told_of(report) -> dict[tuple[str, str, str], dict]:
    """Return the results of a report, after a look at what is said of each."""
    results = report.results()
    paths = [result["path"] for result in results.values()]
    assert len(paths) == len(set(paths))
    assert len({path.rsplit(".", 1)[0] for path in paths}) == len(paths), "the same in two formats"
    for (category, below, label), result in results.items():
        words = re.sub(r"<[^>]+>", "", result["caption"])
        assert len(words) > 60, (category, below, label)
        assert "{{" not in words and "System Message" not in words
        if below or category in ("Pages", "Tables", "Findings"):
            assert (below or label) in words
    return results


def test_every_result_has_a_caption_and_stands_there_once(report):
    results = told_of(report)
    rules = {category: result["job_properties"]["rule"] for (category, _, _), result in results.items()}
    assert rules["Pages"] == "page" and rules["Tables"] == "page" and rules["Findings"] == "page"


def test_the_menus_lead_to_a_figure_that_shows(report):
    report.follow("Figures", "tiny_losses")
    assert set(report.rows()) == {*FIGURES, "Tuned hyperparameters on validation"}
    report.press("Training curves", EYE)
    image = report.chromium.wait("#app .p-3 > img")
    report.chromium.run("return arguments[0].decode()", image)
    assert report.chromium.run("return [arguments[0].naturalWidth > 300, arguments[0].clientWidth > 300]", image) == [
        True,
        True,
    ]
    assert report.chromium.faults() == []


def test_a_figure_taller_than_the_window_shows_from_its_top(report):
    report.chromium.resize(900, 300)
    report.follow("Data")
    report.press("images of each identity", EYE)
    image = report.chromium.wait("#app .p-3 > img")
    report.chromium.run("return arguments[0].decode()", image)
    box = "return [arguments[0].getBoundingClientRect().top, arguments[0].clientHeight]"
    top, height = report.chromium.run(box, image)
    assert top >= 0 and height > 300


def test_a_page_too_large_for_an_address_opens_within_the_report(reported, chromium, tmp_path):
    whole = (reported.folder / "report.html").read_text()
    start = whole.index("data:text/html;")
    start = whole.index("base64,", start) + len("base64,")
    page = base64.b64decode(whole[start : whole.index('"', start)])
    large = base64.b64encode(page.replace(b"</main>", b"<!--" + b"x" * 3_000_000 + b"--></main>")).decode()
    (tmp_path / "large.html").write_text(whole[:start] + large + whole[whole.index('"', start) :])
    report = Report(chromium, tmp_path / "large.html")
    report.follow("Pages")
    for name in EXPERIMENTS:
        report.press(name, EYE)
        chromium.driver.switch_to.frame(chromium.wait("iframe"))
        chromium.wait("table.sortable")
        chromium.driver.switch_to.default_content()
    assert chromium.faults() == []


def test_the_words_on_a_result_are_read_beside_it(report):
    report.follow("Figures", "tiny_backbones")
    report.press("Value against cost", WORDS)
    report.chromium.wait_for("//*[contains(text(), 'Score over measured cost')]")
    report.chromium.wait_for("//*[normalize-space(text())='page']")
    assert report.chromium.faults() == []


def test_the_first_page_says_what_is_asked_and_leads_to_the_pages(report):
    words = report.chromium.wait(".prose").text
    assert "Does the machinery compare losses?" in words
    assert "tiny (machinery only)" in words
    assert "Not in this report" not in words
    report.chromium.wait_for("//*[contains(@class, 'prose')]//a[text()='Pages']").click()
    report.chromium.wait_for("//td[normalize-space()='tiny_losses']")
    assert report.rows() == EXPERIMENTS


def opens_a_page_that_sorts(report):
    report.follow("Pages")
    report.press("tiny_losses", EYE)
    report.chromium.driver.switch_to.frame(report.chromium.wait("iframe"))
    report.chromium.wait("table.sortable")
    sizes = report.chromium.run(
        "return Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(sizes) == 6 and min(sizes) > 300
    report.chromium.all("thead button")[1].click()
    assert report.chromium.run("return document.querySelector('th[aria-sort]').ariaSort") == "descending"
    report.chromium.driver.switch_to.default_content()
    assert report.chromium.faults() == []


def test_a_page_opens_within_the_report_and_its_tables_sort(report):
    opens_a_page_that_sorts(report)


def test_the_report_as_an_archive_opens_too(chromium, zipped):
    report = Report(chromium, zipped)
    assert len(report.results()) > 15
    opens_a_page_that_sorts(report)
    report = Report(chromium, zipped)
    report.follow("Figures", "tiny_losses")
    report.press("Training curves", EYE)
    image = report.chromium.wait("#app .p-3 > img")
    report.chromium.run("return arguments[0].decode()", image)
    assert report.chromium.faults() == []


def test_a_report_is_no_run_and_leaves_no_trace(reported):
    assert reported.outcome.status == 0, reported.outcome.text
    assert reported.outcome.jobs == []
    assert reported.changed == set()


def test_a_report_shows_what_is_there_while_another_run_is_active(chromium, reported, tmp_path):
    project = reported.copy(tmp_path / "project")
    (project.results / "pages" / "tiny_backbones.html").unlink()
    (project.results / "tables" / "leaderboard.csv").write_text("cut short")
    project.edit("config/experiments/tiny_losses.yaml", "Does the machinery compare losses?", EVIL)
    project.edit(project.config, "title: tiny", f'title: "{EVIL}"')
    lock = hold(project.results / ".lock")
    before = traces(project)
    outcome = project.run("--report=report.html")
    assert outcome.status == 0, outcome.text
    assert (
        "tiny_backbones: left out of the report, as results-tiny/pages/tiny_backbones.html is not there" in outcome.text
    )
    assert traces(project) == before and lock is not None

    report = Report(chromium, project.folder / "report.html")
    results = report.results()
    assert {label for kind, _, label in results if kind == "Pages"} == {"tiny_losses"}
    assert {label for kind, _, label in results if kind == "Leaderboard"} == {"figure", "page"}
    words = chromium.wait(".prose").text
    assert "Not in this report, as not all of it has been made: tiny_backbones" in words
    assert words.count(EVIL) == 2
    assert chromium.run("return window.hit ?? null") is None
    assert chromium.faults() == []


def test_every_analysis_of_the_demo_has_its_words(chromium, reported, tmp_path):
    demo = projects.Project(projects.checkout(tmp_path / "project"), "config/config.yaml", "results")
    planned = demo.run("-n")
    assert planned.status == 0, planned.text
    outputs = re.findall(r"results/(?:pages|tables|figures)/[^ ,\n]+\.(?:html|csv|md|svg|png)", planned.text)
    drawn = reported.results / "figures" / "leaderboard.svg"
    for name in set(outputs):
        (demo.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn, demo.folder / name)
    outcome = demo.run("--report", "report.html")
    assert outcome.status == 0, outcome.text
    assert "left out" not in outcome.text
    report = Report(chromium, demo.folder / "report.html")
    shown = {result["path"].rsplit(".", 1)[0] for result in told_of(report).values()}
    # The page of doubtful labels is there to be answered, which a report is not.
    assert shown == {path.rsplit(".", 1)[0] for path in outputs} - {"results/pages/review"}
    assert len(shown) > 150
    assert chromium.faults() == []
