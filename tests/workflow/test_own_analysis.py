"""An analysis is a folder: a planted one adds its table, figure and section, and an edit re-makes it alone."""

import re
import textwrap

import polars as pl
import pytest

ANALYSIS = '''
    """How many images each identity has."""

    TITLE = "Counted identities"
    CAPTION = "Images of each identity."
    INPUTS = ("manifest", "results")
    TABLES = ("counted",)
    FIGURES = {"counted": "Counted: images of each identity"}


    def applies(experiment):
        return experiment.name == "tiny_backbones"


    def run(inputs):
        import polars as pl

        from reidflow.analyses.analysis import Report
        from reidflow.figures import parts
        from reidflow.ingest.manifest import MANIFEST
        from reidflow.store.tables import Column, Contract
        from reidflow.tables.sections import Section

        counted = inputs.table("manifest", MANIFEST).group_by("identity").len("images").sort("identity")
        counted = counted.with_columns(pl.col("images").cast(pl.Int64))
        contract = Contract(
            "counted identities",
            [
                Column("identity", pl.String, "identity", "text", "Name of the identity."),
                Column("images", pl.Int64, "images", "count", "Images of the identity."),
            ],
        )
        figure = parts.placeholder(f"{counted.height} identities", inputs.heading("counted"))
        statement = f"{counted.height} identities were counted."
        section = Section(TITLE, [statement], [], {"counted": FIGURES["counted"]})
        return Report({"counted": (counted, contract)}, [section], {"counted": figure})
'''


@pytest.mark.parametrize("where", ["src/reidflow/analyses/counted/__init__.py", "mylab/counted.py"])
def test_a_planted_analysis_adds_its_table_figure_and_section(tiny, tmp_path, where):
    project = tiny.copy(tmp_path / "project")
    path = project.folder / where
    path.parent.mkdir(parents=True)
    path.write_text(textwrap.dedent(ANALYSIS).lstrip())
    if where.startswith("mylab"):
        project.edit("config/tiny.yaml", "experiments:", "analyses: [mylab.counted]\nexperiments:")
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    assert not outcome.trained and not outcome.restored
    assert sorted(outcome.executed) == [(rule, "tiny_backbones") for rule in ("analysis_counted", "page")], (
        "an analysis of one experiment makes nothing else again"
    )
    counted = pl.read_parquet(project.results / "tables" / "tiny_backbones.counted.parquet")
    manifest = pl.read_parquet(project.results / "data" / "manifest.parquet")
    assert dict(counted.iter_rows()) == dict(manifest.group_by("identity").len().iter_rows())
    for suffix in ("png", "svg"):
        assert (project.results / "figures" / "tiny_backbones" / f"counted.{suffix}").stat().st_size > 1000
    drawn = (project.results / "figures" / "tiny_backbones" / "counted.svg").read_text()
    assert "Counted: images of each identity" in drawn and "Does the machinery" not in drawn
    said = f"{counted.height} identities were counted"
    assert said in (project.results / "tables" / "tiny_backbones.findings.md").read_text()
    page = (project.results / "pages" / "tiny_backbones.html").read_text()
    assert said in page and 'id="figure-counted"' in page
    assert said not in (project.results / "pages" / "tiny_losses.html").read_text()
    assert project.run("--report", "report.html").status == 0
    report = (project.folder / "report.html").read_text()
    assert "Counted: images of each identity" in report and "Images of each identity." in report
    project.edit(where, "were counted", "stand in the manifest")
    again = project.run()
    assert again.status == 0, again.text
    assert ("analysis_counted", "tiny_backbones") in again.executed
    assert {rule for rule, _ in again.executed} == {"analysis_counted", "page"}
    assert re.search(
        r"\d+ identities stand in the manifest", (project.results / "pages" / "tiny_backbones.html").read_text()
    )


def test_an_analysis_that_lacks_a_name_says_which(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    (project.folder / "mylab").mkdir()
    (project.folder / "mylab" / "counted.py").write_text('TITLE = "Counted"\n')
    project.edit("config/tiny.yaml", "experiments:", "analyses: [mylab.counted, mylab.gone]\nexperiments:")
    text = project.run("-n").text
    assert "mylab/counted.py) has no INPUTS, applies, run. Add it." in text
    assert "Traceback" not in text
