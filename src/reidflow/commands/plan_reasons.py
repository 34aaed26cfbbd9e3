"""Why a job would run, in plain words: which key, which code file, which photographs, which lost or damaged output."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from reidflow.commands.plan_changes import changes, few, sentence
from reidflow.commands.plan_dag import Dag, PlannedJob, parsed
from reidflow.commands.plan_told import run_changes
from reidflow.ingest.rawdata import cache_file
from reidflow.spec import code
from reidflow.store import digests
from reidflow.store.experiments import EXPERIMENTS

NEW = "not made yet"
# These say what happens to arms, so their own reasons are told although something before them runs, too.
RUNS = ("sweep", "train")
TOLD_APART = {"results", "roots", "code", "raw"}
TABLES = {".csv", ".tsv", ".json", ".parquet", ".txt", ".yaml", ".yml", ".xlsx"}


def reasons(dag: Dag) -> list[list[str]]:
    """Return for each job its own reasons to run; none for a job that only follows others."""
    known = _Known(dag)
    return [list(dict.fromkeys(known.reasons(job))) for job in dag.jobs]


class _Known:
    """What is looked up for many jobs at once."""

    def __init__(self, dag: Dag) -> None:
        self.dag, self.damaged = dag, set(dag.damaged)
        self._closures: dict[tuple[str, ...], dict[str, str]] = {}
        self._noted: dict[str, dict[str, str] | None] = {}
        self._arms: dict[tuple[str, str], list[str]] = {}

    def reasons(self, job: PlannedJob) -> Iterable[str]:
        for path in sorted(self.damaged.intersection(job.outputs)):
            yield f"{path} was changed or cut short since it was written"
        missing = [path for path in job.missing if path not in self.damaged]
        if job.before is None and not any(Path(path).exists() for path in job.outputs):
            yield NEW
            return
        if missing:
            yield f"{few(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        if job.interrupted:
            yield "was interrupted before it was finished"
        if job.newer:
            yield f"{few(job.newer)} changed since"
        if job.environment:
            yield "the definition of the software environment (envs/) changed"
        if job.before is None:
            if not job.follows and not job.interrupted:
                yield "what it was made from is not on record"
        elif job.before != job.given and (not job.follows or job.rule in RUNS):
            yield from self._told(job)
        elif not job.follows and job.inputs != job.inputs_before:
            yield from _inputs(job)

    def _told(self, job: PlannedJob) -> list[str]:
        before, given = self._content(job.before), self._content(job.given)
        found = self._of_arms(job) if job.rule in RUNS else _keys(before, given)
        if before.get("raw") != given.get("raw"):
            found += self._photographs(before.get("raw", ""))
        found += self._code(before, given, explained=bool(found))
        return found or [*_inputs(job)] or ["it is told other settings than before"]

    def _of_arms(self, job: PlannedJob) -> list[str]:
        """Return what changed in an experiment's arms: they may have moved from one batch of runs to another."""
        key = job.rule, job.experiment
        if key not in self._arms:
            batches = [other for other in self.dag.jobs if (other.rule, other.experiment) == key]
            old = [other.before for other in batches if other.before] + self.dag.beyond.get(key, [])
            new = [other.given for other in batches]
            self._arms[key] = run_changes([*map(parsed, old)], [*map(parsed, new)])
        return list(self._arms[key])

    def _code(self, before: dict[str, Any], given: dict[str, Any], explained: bool) -> list[str]:
        if before.get("code") == given.get("code"):
            return []
        old = self._behind(before["code"])
        if old is None:
            if explained:
                return []
            return ["its code changed (which file is not known: it last ran before files were noted)"]
        return code_changes(old, self._closure(given["roots"]), before["roots"] == given["roots"])

    def _closure(self, roots: list[str]) -> dict[str, str]:
        if tuple(roots) not in self._closures:
            self._closures[tuple(roots)] = code.closure(*roots)
        return self._closures[tuple(roots)]

    def _content(self, param: str | None) -> dict[str, Any]:
        """Return the content of a param with the description of its experiment, as far as that is on record."""
        content = parsed(param)
        if isinstance(named := content.get("experiment"), dict) and "digest" in named:
            known = self.dag.plan.descriptions.get(named["digest"])
            content["experiment"] = (
                known or digests.read_record(self.dag.results, EXPERIMENTS, named["digest"]) or named
            )
        return content

    def _behind(self, digest: str) -> dict[str, str] | None:
        if digest not in self._noted:
            self._noted[digest] = digests.read_record(self.dag.results, digests.CODE, digest)
        return self._noted[digest]

    def _photographs(self, before: str) -> list[str]:
        if not self.dag.raw or not before:
            return ["the source of the photographs is another one"]
        old = digests.read_record(self.dag.results, digests.IMAGES, before)
        if old is None:
            return ["photographs or labels changed (which ones is not known: they were read before files were noted)"]
        return [photograph_changes(old, digests.image_files(cache_file(self.dag.results)))]


def _keys(before: dict[str, Any], given: dict[str, Any]) -> list[str]:
    old, new = ({key: value for key, value in told.items() if key not in TOLD_APART} for told in (before, given))
    if "digest" in old.get("experiment", {}):
        old["experiment"] = new["experiment"]
        return [*_keys(old, new), "its experiment changed (which key is not known: its description is not on record)"]
    return [sentence(change._replace(path=_short(change.path))) for change in changes(old, new)]


def _short(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path as it is in the config or the experiment's file, without how a job is told of it."""
    if path[:1] == ("experiment",):
        path = path[1:]
    return path[1:] if path[:1] in (("file",), ("config",)) else path


def _inputs(job: PlannedJob) -> Iterable[str]:
    old, new = set(job.inputs_before or ()), set(job.inputs)
    if new - old:
        yield f"it reads {few(sorted(new - old))} as well"
    if old - new:
        yield f"it no longer reads {few(sorted(old - new))}"


def code_changes(old: dict[str, str], new: dict[str, str], same_roots: bool) -> list[str]:
    """Return which files of code changed between two closures, one sentence each.

    same_roots: whether the same scripts and components are executed; else other files need no explanation.
    """
    found = [f"{_place(path)} changed" for path in sorted(old.keys() & new.keys()) if old[path] != new[path]]
    if same_roots:
        found += [f"{_place(path)} is executed as well" for path in sorted(new.keys() - old.keys())]
        found += [f"{_place(path)} is no longer executed" for path in sorted(old.keys() - new.keys())]
    return found


def _place(path: str) -> str:
    return f"src/{path}" if path.startswith(f"{code.PACKAGE}/") else path


def photograph_changes(old: dict[str, str], new: dict[str, str]) -> str:
    """Return how many photographs are new, changed and gone, and which tables are.

    old, new: the digest of each file of the data set by its name.
    """
    kinds = {
        "new": new.keys() - old.keys(),
        "changed": {name for name in old.keys() & new.keys() if old[name] != new[name]},
        "gone": old.keys() - new.keys(),
    }
    tables = {kind: sorted(name for name in names if _is_table(name)) for kind, names in kinds.items()}
    counts = {kind: len(names) - len(tables[kind]) for kind, names in kinds.items()}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    parts = [f"photographs: {told}"] if told else []
    parts += [f"{few(Path(name).name for name in names)} {kind}" for kind, names in tables.items() if names]
    return "; ".join(parts) or "the names of files changed"


def _is_table(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TABLES
