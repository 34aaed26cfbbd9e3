"""Results in `snakemake --report`: the only module of this package that knows Snakemake."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reidflow.analyses.analysis import Analysis, outputs
from reidflow.figures.kinds import TITLES
from reidflow.workflow.files import Files

CAPTIONS = "../workflow/report"
"""Seen from the rule files."""


@dataclass(frozen=True)
class Shown:
    """Marks outputs as results of the report. present: whether a file is there; it counts in a report alone."""

    files: Files
    reporting: bool
    present: Callable[[str], bool]

    def result(
        self, path: str, category: str, label: tuple[str, str], caption: str = "result", subcategory: str | None = None
    ) -> Any:
        """Return a result that the report shows; one that is the same for all experiments only where it is there.

        caption: the stem of its text in workflow/report. label: (heading, text) in the list of results: one alone, as
        the report makes a switch of any further one that has two values.
        """
        from snakemake.io import report

        if self.reporting and "{" not in path and not self.present(path):
            return path
        labels = dict([label])
        return report(
            path, caption=f"{CAPTIONS}/{caption}.rst", category=category, subcategory=subcategory, labels=labels
        )

    def figure(self, path: str, title: str, caption: str = "result") -> Any:
        """Return a figure of an experiment that the report shows."""
        return self.result(path, "Figures", ("figure", title), caption, "{experiment}")

    def core_figures(self, kinds: list[str]) -> dict[str, Any]:
        """Return figures that every experiment has as named outputs; of the two formats the report shows SVG."""
        folder = f"{self.files.figures}/{{experiment}}"
        found = {f"{kind}_png": f"{folder}/{kind}.png" for kind in kinds}
        shown = {f"{k}_svg": self.figure(f"{folder}/{k}.svg", TITLES[k], f"figure_{k}") for k in kinds}
        return {**found, **shown}

    def analysis(self, analysis: Analysis) -> dict[str, Any]:
        """Return the outputs of an analysis by name; the report shows plots as SVG, sheets as PNG."""
        found = outputs(
            analysis,
            f"{self.files.tables}/{{experiment}}",
            f"{self.files.figures}/{{experiment}}",
            f"{self.files.results}/analyses/{{experiment}}",
        )
        titles = {f"svg_{name}": title for name, title in analysis.figures.items()}
        titles |= {f"png_{name}": title for name, title in analysis.sheets.items()}
        return {key: self.figure(path, titles[key]) if key in titles else path for key, path in found.items()}


def patch_reporter(folder: Path) -> None:
    """Let the report show tall figures from their top on, and large pages at all.

    folder: where report.css and report.js lie. Snakemake lets a report have styles of its own, but no script: the
    script is between two style elements. A test shows when Snakemake no longer works this way.
    """
    from snakemake.report.html_reporter import Reporter

    begin = Reporter.__post_init__

    def patched(reporter: Any) -> None:
        begin(reporter)
        style, script = [(folder / f"report.{kind}").read_text() for kind in ("css", "js")]
        own = f"{style}</style>\n<script>{script}</script>\n<style>"
        reporter.custom_stylesheet = f"{reporter.custom_stylesheet or ''}\n{own}"

    Reporter.__post_init__ = patched
