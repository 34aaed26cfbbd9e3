"""What differs between what jobs that train runs were told before and would be told now, arm by arm."""

import json
from typing import Any

from reidflow.commands.plan_changes import changes, few, sentence
from reidflow.spec.canonical import canonical

# Told apart, or told in other words.
ARMS = {"arms", "runs", "specs", "results", "roots", "code", "downloaded"}


def run_changes(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    """Return what differs between the runs of an experiment, one sentence each.

    old, new: the params of all jobs that train them. An arm that is new or gone is one sentence; what is the same for
    many arms is said once.
    """
    arms_before, arms_now = _settings(old), _settings(new)
    added = [arm for arm in arms_now if arm not in arms_before]
    gone = [arm for arm in arms_before if arm not in arms_now]
    common = [arm for arm in arms_now if arm in arms_before]
    found = [f"new: {few(added)}"] if added else []
    found += [f"gone: {few(gone)}"] if gone else []
    said: dict[str, list[str]] = {}
    seeds_before, seeds_now = _seeds(old), _seeds(new)
    for arm in common:
        texts = _between(arms_before[arm], arms_now[arm])
        texts += _seed_changes(seeds_before.get(arm, []), seeds_now.get(arm, []))
        for text in dict.fromkeys(texts):
            said.setdefault(text, []).append(arm)
    found += [f"{_who(arms, common)}: {text}" for text, arms in said.items()]
    return found + [sentence(change) for change in changes(*map(_sorted, (_rest(old), _rest(new))))]


def _sorted(params: dict[str, Any]) -> dict[str, Any]:
    """Return params as canonical JSON has them: the order of batches means nothing."""
    return json.loads(canonical(params))


def _who(arms: list[str], common: list[str]) -> str:
    return "all arms" if len(arms) == len(common) > 1 else few(arms)


def _settings(told: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return arm -> its specs: one, or one for each point of its grid."""
    found: dict[str, list[dict[str, Any]]] = {}
    for job in told:
        for arm, points in job.get("arms", {}).items():
            found[arm] = [spec for _, spec in points]
        for arm, spec in job.get("specs", []):
            found.setdefault(arm, []).append(spec)
    return found


def _seeds(told: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for job in told:
        for arm, seed in job.get("runs", []):
            found.setdefault(arm, []).append(seed)
    return found


def _between(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    if len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [sentence(change) for before, now in pairs for change in changes(before, now)]
    before, now = set(map(canonical, old)), set(map(canonical, new))
    more, less = len(now - before), len(before - now)
    parts = [f"{more} more to try"] if more else []
    parts += [f"{less} no longer tried"] if less else []
    return [f"settings: {', '.join(parts)}"] if parts else []


def _seed_changes(old: list[int], new: list[int]) -> list[str]:
    more = [str(seed) for seed in new if seed not in old]
    less = [str(seed) for seed in old if seed not in new]
    found = [f"new seed{'s' * (len(more) > 1)} {few(more, 8)}"] if more else []
    return found + ([f"seed{'s' * (len(less) > 1)} {few(less, 8)} left out"] if less else [])


def _rest(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what else the jobs were told. What each batch tells of its own arms is put together."""
    found: dict[str, Any] = {}
    for job in told:
        for key, value in job.items():
            if key not in ARMS:
                found[key] = {**found[key], **value} if isinstance(found.get(key), dict) else value
    return found
