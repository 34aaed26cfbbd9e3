"""Snakemake's report without a browser: it is no run, and shows what is there."""

import json
import re

from reidflow.store.locks import hold


def test_a_report_needs_no_lock_and_shows_what_is_there(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    (project.results / "pages" / "tiny_backbones.html").unlink()
    held = hold(project.results / ".lock")
    files = {path: path.stat().st_mtime_ns for path in project.results.rglob("*") if not path.name.endswith("cache")}
    outcome = project.run("--report", "report.html")
    assert held is not None and outcome.status == 0, outcome.text
    assert outcome.jobs == []
    assert "tiny_backbones: left out of the report" in outcome.text
    changed = [path for path, time in files.items() if path.is_file() and path.stat().st_mtime_ns != time]
    assert changed == []
    text = (project.folder / "report.html").read_text()
    categories = json.loads(re.search(r"var categories = (\{.*\});", text)[1])
    assert set(categories) == {"Data", "Figures", "Findings", "Leaderboard", "Pages", "Tables"}
    assert set(categories["Figures"]) == {"tiny_losses"}
