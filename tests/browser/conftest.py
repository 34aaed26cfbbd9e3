"""The tiny project, its report, and the browser in which they are looked at."""

import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest
from chromium import Chromium, missing

_SPEC = importlib.util.spec_from_file_location("projects", Path(__file__).parents[1] / "workflow/conftest.py")
projects = importlib.util.module_from_spec(_SPEC)
sys.modules["projects"] = projects
_SPEC.loader.exec_module(projects)
tiny = projects.tiny


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    if missing():
        pytest.exit(missing(), returncode=3)
    found = Chromium(tmp_path_factory.mktemp("profile"))
    try:
        yield found
    finally:
        found.driver.quit()


@pytest.fixture(scope="session")
def reported(chromium, tiny, tmp_path_factory):
    """A copy of the tiny project with its report, and what the command said and changed."""
    project = tiny.copy(tmp_path_factory.mktemp("reported") / "project")
    before = traces(project)
    project.outcome = project.run("--report", "report.html")
    project.changed = set(before.items() ^ traces(project).items())
    return project


@pytest.fixture(scope="session")
def zipped(reported) -> Path:
    """The first page of the report as an archive, unpacked."""
    outcome = reported.run("--report", "report.zip")
    assert outcome.status == 0, outcome.text
    with zipfile.ZipFile(reported.folder / "report.zip") as archive:
        archive.extractall(reported.folder / "unzipped")
    return reported.folder / "unzipped" / "report" / "report.html"


def traces(project) -> dict[str, tuple]:
    """Return the size and time of every result, and of all that Snakemake knows of them; no caches of what was read."""
    folders = [project.results, project.folder / ".snakemake" / "metadata"]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [path for path in files if path.name != ".ledger.cache" and path.parent.name != ".cache"]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in kept}
