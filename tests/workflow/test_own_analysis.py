"""An analysis is a folder: a planted one adds its table, figure and section, and an edit re-makes it alone."""

import re
import textwrap

import polars as pl

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


# Where an analysis may be: among the project's own, or anywhere on the Python path, named in the config.
PLANTED = {"counted": "src/reidflow/analyses/counted/__init__.py", "tallied": "mylab/tallied.py"}


def test_planted_analyses_add_their_tables_figures_and_sections(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    for name, where in PLANTED.items():
        path = project.folder / where
        path.parent.mkdir(parents=True)
        path.write_text(textwrap.dedent(ANALYSIS).lstrip().replace("counted", name).replace("Counted", name.title()))
    project.edit("config/tiny.yaml", "experiments:", "analyses: [mylab.tallied]\nexperiments:")
    outcome = project.run()
    assert outcome.status == 0, outcome.text
    assert not outcome.trained and not outcome.restored
    rules = ("analysis_counted", "analysis_tallied", "page")
    assert sorted(outcome.executed) == [(rule, "tiny_backbones") for rule in rules], (
        "an analysis of one experiment makes nothing else again"
    )
    manifest = pl.read_parquet(project.results / "data" / "manifest.parquet")
    findings = (project.results / "tables" / "tiny_backbones.findings.md").read_text()
    page = (project.results / "pages" / "tiny_backbones.html").read_text()
    assert project.run("--report", "report.html").status == 0
    report = (project.folder / "report.html").read_text()
    for name in PLANTED:
        counted = pl.read_parquet(project.results / "tables" / f"tiny_backbones.{name}.parquet")
        assert dict(counted.iter_rows()) == dict(manifest.group_by("identity").len().iter_rows())
        for suffix in ("png", "svg"):
            assert (project.results / "figures" / "tiny_backbones" / f"{name}.{suffix}").stat().st_size > 1000
        drawn = (project.results / "figures" / "tiny_backbones" / f"{name}.svg").read_text()
        title, said = f"{name.title()}: images of each identity", f"{counted.height} identities were {name}"
        assert title in drawn and "Does the machinery" not in drawn
        assert said in findings and said in page and f'id="figure-{name}"' in page
        assert said not in (project.results / "pages" / "tiny_losses.html").read_text()
        assert title in report and "Images of each identity." in report
    for name, where in PLANTED.items():
        project.edit(where, f"were {name}", f"stand in the manifest, {name}")
    again = project.run()
    assert again.status == 0, again.text
    assert sorted(again.executed) == [(rule, "tiny_backbones") for rule in rules]
    page = (project.results / "pages" / "tiny_backbones.html").read_text()
    assert all(re.search(rf"\d+ identities stand in the manifest, {name}", page) for name in PLANTED)


def test_an_analysis_that_lacks_a_name_says_which(tiny, tmp_path):
    project = tiny.copy(tmp_path / "project")
    (project.folder / "mylab").mkdir()
    (project.folder / "mylab" / "counted.py").write_text('TITLE = "Counted"\n')
    project.edit("config/tiny.yaml", "experiments:", "analyses: [mylab.counted, mylab.gone]\nexperiments:")
    text = project.run("-n").text
    assert "mylab/counted.py) has no INPUTS, applies, run. Add it." in text
    assert "Traceback" not in text
