"""What an analysis is: which experiments it applies to, what it reads, and the report that it makes of one experiment.

An analysis is a module or package with the names below; the packages beside this file ship with the project, and a
user's own is named by its dotted path under `analyses` in the config. Planning imports it, so only `run` may import
what is slow to load.

    TITLE       its name on pages and in the report
    CAPTION     one sentence for Snakemake's report: what its figures show
    INPUTS      what it reads, by the names of `reidflow.workflow.inputs.Inputs.named`
    TABLES      names of its tables: results/tables/<experiment>.<name>.parquet
    FIGURES     name -> title of its plots (PNG and SVG)
    SHEETS      name -> title of its contact sheets (PNG)
    FILES       names of further files: results/tables/<experiment>.<name>
    TEXTS       the author's texts that it prints, by their keys in the experiment's file (default: the question)
    applies(experiment) -> bool
    modules(experiment) -> list of dotted modules of the components that `run` executes (optional)
    ONE_SPLIT   whether it is about the runs of one split: of an experiment on several splits it then gets those of the
                first alone, and its sections say so (default: whether it reads `runs` or `split`)
    params(plan, experiment) -> JSON of what else decides its numbers (optional)
    quantities(experiment) -> list of the Quantity that it measures, which `headline` may name (optional)
    run(inputs: Inputs) -> Report
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reidflow.spec.components import SOURCE_ROOT, find_module
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.quantities import Quantity, check_headline

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from reidflow.evaluation.layout import Layout
    from reidflow.evaluation.runs import JobResults
    from reidflow.figures.style import Heading
    from reidflow.spec.config import Config
    from reidflow.spec.experiment import Experiment
    from reidflow.spec.plan import Plan
    from reidflow.store.tables import Contract
    from reidflow.tables.sections import Section

PACKAGE = "reidflow.analyses"


@dataclass(frozen=True)
class Analysis:
    """An analysis as its module declares it. key: its name, or the dotted path of a user's own."""

    key: str
    module: ModuleType

    @property
    def name(self) -> str:
        """The last part of its dotted path, after which its files are named."""
        return self.key.rpartition(".")[2]

    @property
    def title(self) -> str:
        """Its name on pages and in the report."""
        return self.module.TITLE

    @property
    def caption(self) -> str:
        """What its figures show, for Snakemake's report."""
        return getattr(self.module, "CAPTION", self.title)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what it reads."""
        return tuple(self.module.INPUTS)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables."""
        return tuple(getattr(self.module, "TABLES", ()))

    @property
    def figures(self) -> dict[str, str]:
        """Name -> title of its plots."""
        return dict(getattr(self.module, "FIGURES", {}))

    @property
    def sheets(self) -> dict[str, str]:
        """Name -> title of its contact sheets."""
        return dict(getattr(self.module, "SHEETS", {}))

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the further files that it writes beside its tables."""
        return tuple(getattr(self.module, "FILES", ()))

    @property
    def one_split(self) -> bool:
        """Whether it is about the runs of one split."""
        return bool(getattr(self.module, "ONE_SPLIT", {"runs", "split"} & set(self.inputs)))

    @property
    def texts(self) -> tuple[str, ...]:
        """The author's texts that it prints: only these are in its description of the experiment."""
        return tuple(getattr(self.module, "TEXTS", ("question",)))

    def applies(self, experiment: "Experiment") -> bool:
        """Return whether an experiment is one that it analyses."""
        return bool(self.module.applies(experiment))

    @property
    def measures(self) -> bool:
        """Whether it measures quantities that an experiment may put first."""
        return hasattr(self.module, "quantities")

    def quantities(self, experiment: "Experiment") -> list[Quantity]:
        """Return the quantities that it measures of an experiment."""
        return list(self.module.quantities(experiment)) if self.measures else []

    def run(self, inputs: "Inputs") -> "Report":
        """Return its report on an experiment."""
        one = self.one_split and len(inputs.experiment.divisions) > 1
        report = self.module.run(replace(inputs, titles={**self.figures, **self.sheets}, one_split=one))
        return replace(report, sections=[_of_first(section, inputs) for section in report.sections]) if one else report

    def params(self, plan: "Plan", experiment: str) -> dict[str, Any]:
        """Return what decides its numbers beside the experiment and its inputs."""
        return self.module.params(plan, experiment) if hasattr(self.module, "params") else {}

    @cached_property
    def assets(self) -> list[str]:
        """Paths, relative to the project where they are in it, of the files of its package that are not Python."""
        if not hasattr(self.module, "__path__"):
            return []
        root = SOURCE_ROOT.parent
        files = sorted(p for p in Path(self.module.__file__).parent.rglob("*") if p.is_file())
        kept = [path for path in files if path.suffix != ".py" and "__pycache__" not in path.parts]
        return [(path.relative_to(root) if path.is_relative_to(root) else path).as_posix() for path in kept]

    def roots(self, experiment: "Experiment") -> list[str]:
        """Return the roots of the code, and the files, that decide what it says of an experiment."""
        executed = self.module.modules(experiment) if hasattr(self.module, "modules") else []
        return [self.module.__name__, *sorted(executed), *self.assets]


def shipped() -> list[str]:
    """Return the names of the analyses that ship with the project, sorted: its packages beside this file."""
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))


@lru_cache(None)
def load(name: str) -> Analysis:
    """Return an analysis by its name, or by the dotted path of a user's own. Raises ReidflowError."""
    if "." not in name and name not in shipped():
        raise ReidflowError(f"there is no analysis '{name}'. Choose one of: {', '.join(shipped())}; or a dotted path.")
    path = name if "." in name else f"{PACKAGE}.{name}"
    if find_module(path) is None:
        raise ReidflowError(f"the module '{path}' is nowhere on the Python path. Check the name, or set PYTHONPATH.")
    module = importlib.import_module(path)
    missing = [need for need in ("TITLE", "INPUTS", "applies", "run") if not hasattr(module, need)]
    if missing:
        raise ReidflowError(f"the analysis '{name}' ({module.__file__}) has no {', '.join(missing)}. Add it.")
    return Analysis(name, module)


def analyses_of(experiment: "Experiment", own: tuple[str, ...] = ()) -> list[Analysis]:
    """Return the analyses that apply to an experiment: those of the project by name, then the user's own in order."""
    return [found for found in map(load, (*shipped(), *own)) if found.applies(experiment)]


def check_headlines(plan: "Plan") -> None:
    """Raise ReidflowError for every entry of a `headline` that its experiment lacks. Nothing is imported without one."""
    problems = Problems()
    for experiment in plan.experiments.values():
        if experiment.file.headline:
            from reidflow.tables.quantities import core_quantities

            found = [
                each
                for own in analyses_of(experiment, tuple(plan.config.analyses))
                for each in own.quantities(experiment)
            ]
            known = [quantity.name for quantity in [*found, *core_quantities(experiment)]]
            check_headline(experiment.file.headline, known, experiment.path, problems)
    problems.raise_if_any(plan.where)


@dataclass(frozen=True)
class Inputs:
    """What `run` gets: the checked config and experiment, the files that it reads by name, and its params.

    files: path or list of paths by the names of INPUTS; an empty list where the experiment has no such file. store:
    the folder of the run store. titles: name -> title of the figures and sheets that the analysis declares. one_split:
    whether runs and their tables are those of the first of several splits.
    """

    config: "Config"
    experiment: "Experiment"
    files: Mapping[str, Any]
    params: Mapping[str, Any]
    store: Path
    titles: Mapping[str, str] = field(default_factory=dict)
    one_split: bool = False

    @property
    def first_split(self) -> str:
        """The first of the experiment's splits, in words."""
        count = len(self.experiment.divisions)
        return f"first of {count} folds" if self.experiment.folds else f"first of the {count} seeds' splits"

    def heading(self, name: str) -> "Heading":
        """Return the words above a figure or sheet: its title, then experiment and data set."""
        from reidflow.figures.style import heading

        title = self.titles.get(name, name)
        title = f"{title} ({self.first_split})" if self.one_split else title
        return heading(title, self.experiment.name, self.config)

    def table(self, name: str, contract: "Contract") -> "pl.DataFrame":
        """Return a table that it reads, checked against its contract. Raises ReidflowError.

        With `one_split`, tables of runs have those of the first split. Else, of an experiment with
        folds, `metrics` has the row of all folds together, `history` the runs of the first.
        """
        from reidflow.evaluation.runs import of_seeds, of_split
        from reidflow.store.tables import read_table

        table = read_table(self.files[name], contract)
        if self.one_split and name in ("metrics", "per_query", "history", "efficiency") and "split" in table.columns:
            return of_split(table)
        if self.experiment.folds and name in ("metrics", "history"):
            return of_seeds(table) if name == "metrics" else of_split(table)
        return table

    def layout(self) -> "Layout":
        """Return the queries and the gallery of the experiment's split; needs `split` and `manifest`."""
        from reidflow.evaluation.layout import Layout
        from reidflow.ingest.manifest import MANIFEST
        from reidflow.splits.split import SPLIT

        return Layout(self.table("split", SPLIT), self.table("manifest", MANIFEST), self.config.gallery)

    def trained(self) -> "JobResults":
        """Return the runs of the experiment's arms with their specs; needs `runs`, and `local` to rank by local features."""
        from reidflow.evaluation.runs import read_jobs
        from reidflow.store.runs import RunStore

        arms, local = list(self.experiment.arms), self.files.get("local", ())
        jobs = read_jobs(self.files["runs"], arms, RunStore(self.store), local)
        if not self.one_split:
            return jobs
        runs, specs = zip(*(own for own in zip(jobs.runs, jobs.specs, strict=True) if own[0].split == 0), strict=True)
        return jobs._replace(runs=list(runs), specs=list(specs))

    def mirrored(self) -> "pl.DataFrame | None":
        """Return the embeddings of mirrored images, where an arm uses them; needs `mirrored`."""
        from reidflow.evaluation.runs import MIRRORED

        return self.table("mirrored", MIRRORED) if self.files["mirrored"] else None


@dataclass
class Report:
    """What an analysis says of an experiment, by the names that its module declares.

    tables: name -> (table, contract). sections: its part of findings and page. figures: name -> figure. sheets: name -> a
    function that writes a PNG. files: name -> content. quantities: rows of `tables.quantities.QUANTITIES`, where its module
    declares any.
    """

    tables: dict[str, "tuple[pl.DataFrame, Contract]"] = field(default_factory=dict)
    sections: "list[Section]" = field(default_factory=list)
    figures: "dict[str, Figure]" = field(default_factory=dict)
    sheets: dict[str, Callable[[Path], None]] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)
    quantities: list[dict[str, Any]] = field(default_factory=list)

    def write(self, out: Mapping[str, Path], about: Mapping[str, str] | None = None) -> None:
        """Write everything. Raises ReidflowError for what the module of the analysis does not declare.

        out: output's name (`outputs`) -> path. about: digests for the metadata of the tables.
        """
        from reidflow.store.atomic import write_bytes
        from reidflow.store.tables import write_table
        from reidflow.tables.sections import write_sections

        def path(kind: str, name: str) -> Path:
            if _key(kind, name) not in out:
                problem = f"an analysis returns '{name}', which its module does not declare."
                raise ReidflowError(f"{problem} Add it to TABLES, FIGURES, SHEETS or FILES.")
            return out[_key(kind, name)]

        for name, (table, contract) in self.tables.items():
            write_table(table, path("table", name), contract, about)
        write_sections(out["sections"], self.sections)
        if "quantities" in out:
            from reidflow.tables.quantities import QUANTITIES, frame

            write_table(frame(self.quantities), out["quantities"], QUANTITIES, about)
        if self.figures:
            from reidflow.figures.parts import save
        for name, figure in self.figures.items():
            save(figure, {suffix: path(suffix, name) for suffix in ("png", "svg")})
        for name, draw in self.sheets.items():
            draw(path("png", name))
        for name, content in self.files.items():
            write_bytes(path("file", name), content.encode() if isinstance(content, str) else content)


def _of_first(section: "Section", inputs: Inputs) -> "Section":
    """Return a section that says of which split it is."""
    note = (
        f"Queries, galleries and runs are those of the {inputs.first_split} alone; columns of the experiment's table are "
        "over all of them."
    )
    return replace(section, text=f"{note}\n\n{section.text}".rstrip())


def _key(kind: str, name: str) -> str:
    return f"{kind}_{name}".replace(".", "_")


def outputs(analysis: Analysis, tables: str, figures: str, sections: str) -> dict[str, str]:
    """Return the outputs of an analysis by name. tables, figures, sections: the folders, with wildcards."""
    found = {_key("table", name): f"{tables}.{name}.parquet" for name in analysis.tables}
    for name in analysis.figures:
        found |= {_key(suffix, name): f"{figures}/{name}.{suffix}" for suffix in ("png", "svg")}
    found |= {_key("png", name): f"{figures}/{name}.png" for name in analysis.sheets}
    found |= {_key("file", name): f"{tables}.{name}" for name in analysis.files}
    if analysis.measures:
        found["quantities"] = f"{sections}/{analysis.name}.quantities.parquet"
    return {**found, "sections": f"{sections}/{analysis.name}.json"}
