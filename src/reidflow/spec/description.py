"""An experiment with its config as JSON: jobs load it by its digest, so that their params stay short."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from reidflow.spec import config as configs
from reidflow.spec.config import Config
from reidflow.spec.errors import Problems, ReidflowError
from reidflow.spec.evaluation import evaluated
from reidflow.spec.experiment import Experiment, build

TEXTS = ("question", "motivation", "hypothesis", "interpretation", "headline", "why")
"""What the author wrote about an experiment, and what to say first. Texts change no number, so a job's experiment has only those that it prints."""

# What no table depends on, or what the experiments have already taken in.
OMITTED = {"compute", "results", "overrides", "submission", "analyses"}

# Where the order of keys is that of arms, settings or axes; elsewhere it means nothing. `*` stands for any key.
ORDERED = (
    ("file", "arms"),
    ("file", "arms", "*", "each"),
    ("file", "tuned"),
    ("file", "tested_on"),
    ("file", "also_on"),
    ("file", "published", "arms"),
    ("file", "parts", "*"),
    ("file", "search", "studies"),
    ("file", "search", "space"),
    ("file", "search", "space", "*", "choices"),
)


def describe(config: Config, experiment: Experiment, texts: Iterable[str]) -> dict[str, Any]:
    """Return the JSON from which `rebuild` makes the experiment again. texts: which of TEXTS it has."""
    own = evaluated(config, experiment.file.evaluation)
    # The experiment's own split is the config's here.
    file = {**experiment.file.model_dump(mode="json"), "evaluation": {}}
    omitted = [text for text in TEXTS if text not in texts]
    file |= {text: [] if text in ("interpretation", "headline") else "-" for text in omitted if text in file}
    if "why" in omitted:
        file["arms"] = {name: {**arm, "why": "-"} for name, arm in file["arms"].items()}
        for path, parts in file["parts"].items():
            file["parts"][path] = {name: {**part, "why": "-"} for name, part in parts.items()}
    found = {
        "name": experiment.name,
        "path": experiment.path,
        "config": {**own.model_dump(mode="json", exclude=OMITTED), "experiments": [experiment.name]},
        "file": file,
    }
    return _normalised(found, ())


def _normalised(value: Any, path: tuple[str, ...]) -> Any:
    """Return JSON with sorted keys wherever their order means nothing."""
    if isinstance(value, list):
        return [_normalised(each, (*path, "[]")) for each in value]
    if not isinstance(value, dict):
        return value
    keys = value if any(_fits(path, pattern) for pattern in ORDERED) else sorted(value)
    return {key: _normalised(value[key], (*path, key)) for key in keys}


def _fits(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    return len(path) == len(pattern) and all(p in ("*", key) for key, p in zip(path, pattern, strict=True))


def digest_of(description: dict[str, Any]) -> str:
    """Return the digest of a description, in which the order of keys counts: 32 hexadecimal digits."""
    text = json.dumps(description, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def rebuild(description: dict[str, Any]) -> tuple[Config, Experiment]:
    """Return the config and the experiment of a description. Raises ReidflowError."""
    path, problems = description["path"], Problems()
    config = configs.require(description["config"], path)
    experiment = build(description["name"], path, description["file"], config, problems)
    problems.raise_if_any(path)
    if experiment is None:
        raise ReidflowError(f"{path}: not an experiment.")
    return config, experiment
