"""Why a job would run: which key, file of code, images, or missing or damaged output."""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from reidflow.commands.plan_dag import Dag, PlannedJob, parsed
from reidflow.ingest.rawdata import cache_file
from reidflow.spec import code
from reidflow.spec.canonical import canonical
from reidflow.store import digests

NEW = "not made yet"
# Their own reasons say what happens to arms, so they are given even where something before them runs too.
TRAINING = ("sweep", "train")
EXPLAINED = {"results", "roots", "code", "raw"}
"""Parameters that have an explanation of their own."""
OF_ARMS = {"arms", "runs", "specs", "results", "roots", "code", "downloaded"}
"""Parameters of training jobs that are explained arm by arm, or otherwise."""
TABLES = {".csv", ".tsv", ".json", ".parquet", ".txt", ".yaml", ".yml", ".xlsx"}
LONGEST = 60  # characters of a value


def reasons(dag: Dag) -> list[list[str]]:
    """Return for each job its own reasons to run; [] for a job that only follows others."""
    found = _Reasons(dag)
    return [list(dict.fromkeys(found.of(job))) for job in dag.jobs]


class _Reasons:
    """Lookups that many jobs share."""

    def __init__(self, dag: Dag) -> None:
        self.dag, self.damaged = dag, set(dag.damaged)
        self._closures: dict[tuple[str, ...], dict[str, str]] = {}
        self._recorded: dict[str, dict[str, str] | None] = {}
        self._arms: dict[tuple[str, str], list[str]] = {}

    def of(self, job: PlannedJob) -> Iterable[str]:
        for path in sorted(self.damaged.intersection(job.outputs)):
            yield f"{path}, or a stored run behind it, was changed or truncated since it was written"
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
                yield "its parameters when it was made are not on record"
        elif job.before != job.given and (not job.follows or job.rule in TRAINING):
            yield from self._parameters(job)
        elif not job.follows and job.inputs != job.inputs_before:
            yield from _inputs(job)

    def _parameters(self, job: PlannedJob) -> list[str]:
        before, given = self._content(job.before), self._content(job.given)
        found = self._of_arms(job) if job.rule in TRAINING else _keys(before, given)
        if before.get("raw") != given.get("raw"):
            found += self._images(before.get("raw", ""))
        found += self._code(before, given, explained=bool(found))
        return found or [*_inputs(job)] or ["its parameters changed"]

    def _of_arms(self, job: PlannedJob) -> list[str]:
        """Return what changed in an experiment's arms, which may have moved from one batch of runs to another."""
        key = job.rule, job.experiment
        if key not in self._arms:
            batches = [other for other in self.dag.jobs if (other.rule, other.experiment) == key]
            old = [other.before for other in batches if other.before] + self.dag.former.get(key, [])
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
            return ["its code changed (which file is not on record)"]
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
                known or digests.read_record(self.dag.results, digests.EXPERIMENTS, named["digest"]) or named
            )
        return content

    def _behind(self, digest: str) -> dict[str, str] | None:
        if digest not in self._recorded:
            self._recorded[digest] = digests.read_record(self.dag.results, digests.CODE, digest)
        return self._recorded[digest]

    def _images(self, before: str) -> list[str]:
        if not self.dag.raw or not before:
            return ["the source of the images changed"]
        old = digests.read_record(self.dag.results, digests.IMAGES, before)
        if old is None:
            return ["images or labels changed (which ones is not on record)"]
        return [image_changes(old, digests.image_files(cache_file(self.dag.results)))]


def _keys(before: dict[str, Any], given: dict[str, Any]) -> list[str]:
    old, new = ({key: value for key, value in params.items() if key not in EXPLAINED} for params in (before, given))
    if "digest" in old.get("experiment", {}):
        old["experiment"] = new["experiment"]
        return [*_keys(old, new), "its experiment changed (which key is not on record)"]
    return [sentence(change._replace(path=_short(change.path))) for change in changes(old, new)]


def _short(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path as it is in the config or the experiment's file."""
    if path[:1] == ("experiment",):
        path = path[1:]
    return path[1:] if path[:1] in (("file",), ("config",)) else path


def _inputs(job: PlannedJob) -> Iterable[str]:
    old, new = set(job.inputs_before or ()), set(job.inputs)
    if new - old:
        yield f"it also reads {few(sorted(new - old))}"
    if old - new:
        yield f"it no longer reads {few(sorted(old - new))}"


def code_changes(old: dict[str, str], new: dict[str, str], same_roots: bool) -> list[str]:
    """Return which files of code changed between two closures, one sentence each.

    same_roots: whether the same scripts and components are executed; else other files need no explanation.
    """
    found = [f"{_source_path(path)} changed" for path in sorted(old.keys() & new.keys()) if old[path] != new[path]]
    if same_roots:
        found += [f"{_source_path(path)} is executed too" for path in sorted(new.keys() - old.keys())]
        found += [f"{_source_path(path)} is no longer executed" for path in sorted(old.keys() - new.keys())]
    return found


def _source_path(path: str) -> str:
    return f"src/{path}" if path.startswith(f"{code.PACKAGE}/") else path


def image_changes(old: dict[str, str], new: dict[str, str]) -> str:
    """Return how many images are new, changed and removed, and which tables are.

    old, new: the digest of each file of the data set by its name.
    """
    kinds = {
        "new": new.keys() - old.keys(),
        "changed": {name for name in old.keys() & new.keys() if old[name] != new[name]},
        "removed": old.keys() - new.keys(),
    }
    tables = {kind: sorted(name for name in names if _is_table(name)) for kind, names in kinds.items()}
    counts = {kind: len(names) - len(tables[kind]) for kind, names in kinds.items()}
    text = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    parts = [f"images: {text}"] if text else []
    parts += [f"{few(Path(name).name for name in names)} {kind}" for kind, names in tables.items() if names]
    return "; ".join(parts) or "the names of files changed"


def _is_table(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TABLES


def run_changes(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Return the differences between the runs of an experiment, one sentence each.

    old, new: the parameters of all jobs that train them. A change that many arms share is one sentence.
    """
    arms_before, arms_now = _specs(old), _specs(new)
    added = [arm for arm in arms_now if arm not in arms_before]
    gone = [arm for arm in arms_before if arm not in arms_now]
    common = [arm for arm in arms_now if arm in arms_before]
    found = [f"new arms: {few(added)}"] if added else []
    found += [f"removed arms: {few(gone)}"] if gone else []
    shared: dict[str, list[str]] = {}
    seeds_before, seeds_now = _seeds(old), _seeds(new)
    for arm in common:
        texts = _between(arms_before[arm], arms_now[arm])
        texts += _seed_changes(seeds_before.get(arm, []), seeds_now.get(arm, []))
        for text in dict.fromkeys(texts):
            shared.setdefault(text, []).append(arm)
    found += [f"{_who(arms, common)}: {text}" for text, arms in shared.items()]
    return found + [sentence(change) for change in changes(*map(_sorted, (_rest(old), _rest(new))))]


def _sorted(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as canonical JSON orders them: the order of batches means nothing."""
    return json.loads(canonical(params))


def _who(arms: list[str], common: list[str]) -> str:
    return "all arms" if len(arms) == len(common) > 1 else few(arms)


def _specs(params: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return arm -> its specs: one, or one for each point of its grid."""
    found: dict[str, list[dict[str, Any]]] = {}
    for job in params:
        for arm, points in job.get("arms", {}).items():
            found[arm] = [spec for _, spec in points]
        for arm, spec, *_ in job.get("specs", []):
            own = found.setdefault(arm, [])
            own += [] if spec in own else [spec]
    return found


def _seeds(params: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for job in params:
        for arm, seed, *_ in job.get("runs", []):
            own = found.setdefault(arm, [])
            own += [] if seed in own else [seed]
    return found


def _between(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    if len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [sentence(change) for before, now in pairs for change in changes(before, now)]
    before, now = set(map(canonical, old)), set(map(canonical, new))
    more, less = len(now - before), len(before - now)
    parts = [f"{more} more to try"] if more else []
    parts += [f"{less} no longer tried"] if less else []
    return [f"tuned values: {', '.join(parts)}"] if parts else []


def _seed_changes(old: list[int], new: list[int]) -> list[str]:
    more = [str(seed) for seed in new if seed not in old]
    less = [str(seed) for seed in old if seed not in new]
    found = [f"new seed{'s' * (len(more) > 1)} {few(more, 8)}"] if more else []
    return found + ([f"seed{'s' * (len(less) > 1)} {few(less, 8)} removed"] if less else [])


def _rest(params: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the other parameters of the jobs, those of each batch merged."""
    found: dict[str, Any] = {}
    for job in params:
        for key, value in job.items():
            if key not in OF_ARMS:
                found[key] = {**found[key], **value} if isinstance(found.get(key), dict) else value
    return found


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Change(NamedTuple):
    """A key whose value differs. path: the keys that lead to it; old, new: ABSENT where there was or is none."""

    path: tuple[str, ...]
    old: Any
    new: Any


def changes(old: Any, new: Any, path: tuple[str, ...] = ()) -> list[Change]:
    """Return the differences between two JSON documents, each at the deepest key that names it.

    A component of another name is one change, as is a list of another length. A list of [name, value] counts as a
    mapping; its order is a change where nothing else differs.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        if "name" in old and "name" in new and old["name"] != new["name"]:
            return [Change(path, old, new)]
        keys = dict.fromkeys([*old, *new])
        found = [c for key in keys for c in changes(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))]
        # Keys are sorted wherever their order means nothing.
        return found or ([Change((*path, "order"), list(old), list(new))] if list(old) != list(new) else [])
    if isinstance(old, list) and isinstance(new, list):
        return _in_lists(old, new, path)
    # 1, 1.0 and true are equal in Python, and different texts in a param.
    return [] if old == new and type(old) is type(new) else [Change(path, old, new)]


def _in_lists(old: list, new: list, path: tuple[str, ...]) -> list[Change]:
    if json.dumps(old) == json.dumps(new):
        return []
    before, after = _named(old), _named(new)
    if before is not None and after is not None:
        found = changes(before, after, path)
        return found or [Change((*path, "order"), list(before), list(after))]
    nested = all(isinstance(value, dict | list) for value in [*old, *new])
    if nested and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True), start=1)
        return [c for number, (a, b) in pairs for c in changes(a, b, (*path, str(number)))]
    return [Change(path, old, new)]


def _named(values: list) -> dict[str, Any] | None:
    """Return a list of [name, value] as a mapping, where it is one."""
    if not values or not all(isinstance(v, list) and len(v) == 2 and isinstance(v[0], str) for v in values):
        return None
    found = dict(values)
    return found if len(found) == len(values) else None


def sentence(change: Change) -> str:
    """Return a change as text: `loss.margin 0.5 -> 0.3`."""
    key = ".".join(change.path)
    if change.old is ABSENT:
        return f"{key} is new: {shown(change.new)}"
    if change.new is ABSENT:
        return f"{key} is removed (was {shown(change.old)})"
    old, new = shown(change.old), shown(change.new)
    if old == new or "…" in old + new:
        old, new = _parted(change.old, change.new)
    return f"{key} {old} -> {new}".strip()


def shown(value: Any) -> str:
    """Return a value as a config would write it, truncated where it is long."""
    if isinstance(value, str):
        # Names come from the user's files: they must not move a terminal's cursor or break a line.
        return _cut(value if value.isprintable() and value else json.dumps(value))
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        rest = {key: inner for key, inner in value.items() if key != "name"}
        inside = ", ".join(f"{key} {shown(inner)}" for key, inner in rest.items())
        return _cut(shown(value["name"]) + (f" ({inside})" if inside else ""))
    if isinstance(value, dict):
        return _cut("{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}")
    if isinstance(value, list):
        return _cut("[" + ", ".join(map(shown, value)) + "]")
    return "none" if value is None else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _parted(old: Any, new: Any) -> tuple[str, str]:
    """Return two long texts from where they begin to differ."""
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (old, new)]
    start = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, start - 15)
    return tuple(json.dumps(("…" if start else "") + _cut(text[start:]), ensure_ascii=False) for text in texts)


def few(names: Iterable[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    names = list(names)
    rest = len(names) - most
    return ", ".join(names) if rest <= 1 else f"{', '.join(names[:most])} and {rest} more"
