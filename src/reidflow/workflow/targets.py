"""What a user reads of the results: the targets of `all_tables`, and of Snakemake's report."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from reidflow.analyses.analysis import Analysis, analyses_of, outputs
from reidflow.figures.kinds import figures_of
from reidflow.spec.errors import ReidflowError
from reidflow.spec.plan import Plan
from reidflow.workflow.files import Files
from reidflow.workflow.inputs import Wildcards

SHEETS = ("identities", "masks")
"""Contact sheets of the data set, by the stem of their files."""


@dataclass(frozen=True)
class Targets:
    """The results of a plan. present: whether a file is there, as it was written."""

    files: Files
    present: Callable[[str], bool]

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.files.plan

    @cache  # noqa: B019 (a process has one plan)
    def analyses(self, experiment: str) -> list[Analysis]:
        """Return the analyses of an experiment."""
        return analyses_of(self.plan.experiments[experiment], tuple(self.plan.config.analyses))

    def all_analyses(self) -> list[Analysis]:
        """Return every analysis that applies to an experiment of the plan.

        Raises ReidflowError where two would write the same file.
        """
        found = {analysis.key: analysis for name in self.plan.experiments for analysis in self.analyses(name)}
        owners: dict[str, str] = {}
        for key, analysis in sorted(found.items()):
            for path in outputs(
                analysis, "tables/<experiment>", "figures/<experiment>", "analyses/<experiment>"
            ).values():
                if owners.setdefault(path, key) != key:
                    raise ReidflowError(
                        f"the analyses '{owners[path]}' and '{key}' both write {path}. Rename the module, or the entry of "
                        "its TABLES, FIGURES, SHEETS or FILES."
                    )
        return [found[key] for key in sorted(found)]

    def sections(self, wildcards: Wildcards) -> list[str]:
        """Return what the analyses of an experiment add to its findings and page."""
        name = wildcards.experiment
        return [f"{self.files.results}/analyses/{name}/{analysis.name}.json" for analysis in self.analyses(name)]

    def quantities(self, wildcards: Wildcards) -> list[str]:
        """Return the quantities that the analyses of an experiment measure, of those that measure one of its headline."""
        name, experiment = wildcards.experiment, self.plan.experiments[wildcards.experiment]
        headline = set(experiment.file.headline)
        return [
            f"{self.files.results}/analyses/{name}/{analysis.name}.quantities.parquet"
            for analysis in self.analyses(name)
            if headline & {quantity.name for quantity in analysis.quantities(experiment)}
        ]

    def core_figures(self, wildcards: Wildcards) -> list[str]:
        """Return the figures that every experiment has (SVG)."""
        tuned = self.plan.experiments[wildcards.experiment].tuned
        return [f"{self.files.figures}/{wildcards.experiment}/{kind}.svg" for kind in figures_of(tuned)]

    def further_figures(self, wildcards: Wildcards) -> list[str]:
        """Return the figures of an experiment that are drawn before its page: of its tuning, and of its analyses."""
        tuning = f"{self.files.figures}/{wildcards.experiment}/tuning.svg"
        tuned = self.plan.experiments[wildcards.experiment].tuned
        return [*([tuning] if tuned else []), *self.analysis_figures(wildcards)]

    def analysis_figures(self, wildcards: Wildcards) -> list[str]:
        """Return the figures of an experiment's analyses as its page shows them: plots as SVG, sheets as PNG."""
        found = []
        for analysis in self.analyses(wildcards.experiment):
            found += [f"{kind}.svg" for kind in analysis.figures] + [f"{kind}.png" for kind in analysis.sheets]
        return [f"{self.files.figures}/{wildcards.experiment}/{name}" for name in found]

    def all_results(self) -> list[str]:
        """Return every file that a user of the results reads, and the evaluated runs that tables are made of."""
        files = self.files
        wanted = [f"{files.data}/{name}.parquet" for name in ("manifest", "quarantine", "groups", "split")]
        wanted += [f"{files.data}/audit.json", *(f"{files.figures}/data/{name}.png" for name in SHEETS)]
        wanted += [f"{files.tables}/leaderboard.{suffix}" for suffix in ("parquet", "csv", "md")]
        wanted += [f"{files.results}/pages/leaderboard.html"]
        if self.plan.reviewed:
            wanted += [f"{files.results}/pages/review.html", f"{files.tables}/review.parquet"]
        for name in self.plan.experiments:
            wanted += self.results_of(name)
        # What was unavailable is removed to be tried again: Snakemake makes missing targets, and leaves missing inputs of finished jobs.
        wanted += [path for network in self.plan.backbones().values() for path in files.network(network)]
        return wanted + [f"{files.local_bank.format(bank=bank)}/local.json" for bank in self.plan.local_banks()]

    def results_of(self, name: str) -> list[str]:
        """Return every file of one experiment that a user reads, and its evaluated runs."""
        files, found = self.files, SimpleNamespace(experiment=name)
        suffixes = ("parquet", "efficiency.parquet", "csv", "md", "tex", "findings.md")
        wanted = [f"{files.tables}/{name}.{suffix}" for suffix in suffixes]
        wanted += [str(Path(path).with_suffix(".png")) for path in self.core_figures(found)]
        wanted += [f"{files.results}/pages/{name}.html", files.answer.format(experiment=name)]
        wanted += [path.format(experiment=name) for path in files.per_run.values()]
        if self.plan.experiments[name].studies:
            wanted += [f"{files.tables}/{name}.{kind}.parquet" for kind in ("trials", "trials.efficiency")]
        for analysis in self.analyses(name):
            wanted += [f"{files.tables}/{name}.{table}.parquet" for table in analysis.tables]
            wanted += [f"{files.tables}/{name}.{file}" for file in analysis.files]
        wanted += [str(Path(path).with_suffix(".png")) for path in self.analysis_figures(found)]
        return wanted

    def shown(self, name: str) -> list[str]:
        """Return the results of an experiment that the report shows."""
        found = SimpleNamespace(experiment=name)
        tables = [f"{self.files.tables}/{name}.{suffix}" for suffix in ("csv", "findings.md")]
        figures = [*self.core_figures(found), *self.analysis_figures(found)]
        return [f"{self.files.results}/pages/{name}.html", *tables, *figures]

    def reported(self) -> tuple[list[str], list[str]]:
        """Return what is there of all that the report shows, and the experiments that are left out.

        An experiment is shown only once all of it is there; what is left out is named on standard error.
        """
        files = self.files
        wanted = [*(f"{files.figures}/data/{name}.png" for name in SHEETS), f"{files.data}/audit.json"]
        wanted += [f"{files.tables}/leaderboard.csv", f"{files.figures}/leaderboard.svg"]
        wanted += [f"{files.results}/pages/leaderboard.html"]
        submitted = ("submission.csv", "submission.json", "faces/submission.md")
        wanted += [f"{files.results}/submission/{name}" for name in submitted]
        wanted, left_out = list(filter(self.present, wanted)), []
        for name in self.plan.experiments:
            absent = [path for path in self.shown(name) if not self.present(path)]
            if absent:
                print(f"{name}: left out of the report, as {absent[0]} is not there (yet)", file=sys.stderr)
                left_out.append(name)
            else:
                wanted += self.shown(name)
        return wanted, left_out

    def report_texts(self, left_out: list[str]) -> dict[str, Any]:
        """Return what the report's texts print, as reStructuredText."""
        config = self.plan.config
        questions = {name: in_rst(found.file.question) for name, found in self.plan.experiments.items()}
        captions = {f"analysis_{analysis.name}": analysis.caption for analysis in self.all_analyses()}
        return {
            "title": in_rst(config.title),
            "scale": in_rst(config.scale),
            "questions": questions,
            "absent": left_out,
            "captions": captions,
        }


def in_rst(text: str) -> str:
    """Return free text for the report's texts: on one line, and read as nothing but letters."""
    return "".join(letter if letter.isalnum() or letter == " " else f"\\{letter}" for letter in " ".join(text.split()))


def intact(path: str, damaged: list[Path]) -> bool:
    """Return whether a result is there as it was written."""
    return Path(path).is_file() and Path(path) not in damaged
