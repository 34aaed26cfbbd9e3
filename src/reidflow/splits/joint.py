"""Groups of several identities that show one scene (a photograph, a burst), allotted to roles together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reidflow.splits.roles import TEST, TRAIN, VAL, counts, relative, shuffled

ATTEMPTS, PASSES = 5, 20
_ROLES = (TRAIN, VAL, TEST)


@dataclass(frozen=True)
class Scene:
    """Groups that stay in one role. members: identity -> how many of them are its own; bound: to training."""

    name: str
    groups: tuple[str, ...]
    members: Mapping[str, int]
    bound: bool


def scenes_of(images: pl.DataFrame, tied: set[str]) -> tuple[list[Scene], list[Scene]]:
    """Return the scenes of several groups, and those of one group of the identities in them, sorted by name.

    images: identity, group, scene. tied: groups that go to training, and with them their scenes.
    """
    rows = images.select("scene", "identity", "group").unique().sort("scene", "identity", "group")
    if rows["scene"].is_unique().all():
        return [], []
    found = [
        Scene(name, tuple(own["group"]), Counter(own["identity"].to_list()), not tied.isdisjoint(own["group"]))
        for (name,), own in rows.group_by(["scene"], maintain_order=True)
    ]
    joint = [scene for scene in found if len(scene.groups) > 1]
    involved = {identity for scene in joint for identity in scene.members}
    return joint, [scene for scene in found if len(scene.groups) == 1 and not involved.isdisjoint(scene.members)]


def allotted(
    joint: list[Scene], single: list[Scene], shares: dict[str, float], least: int, seed: int
) -> dict[str, str]:
    """Return the role of each group, as near to each identity's shares as scenes allow.

    An identity is to have `least` groups in each role that is scored and one in training; one with too few groups is to be in
    training. Where its scenes put fewer than `least` of its groups into a scored role, these are not scored, but rank among the
    others. Scenes are dealt out greedily and then moved one by one, as long as that lets more identities be scored, or
    brings roles nearer to their shares; of several random orders the best counts.
    """
    totals = _totals([*joint, *single])
    targets = {i: counts(total, shares, least) or {TRAIN: total} for i, total in totals.items()}
    movable = [scene for scene in [*joint, *single] if not scene.bound]
    best: tuple[tuple[int, int], dict[str, str]] = ((-1, 0), {})
    for attempt in range(ATTEMPTS):
        given: dict[str, Counter[str]] = defaultdict(Counter)
        role_of: dict[str, str] = {}
        for scene, role in _in_turn(joint, single, targets, given, least, (seed, attempt)):
            role_of[scene.name] = role
            _add(given, scene, role, 1)
        _improve(shuffled(movable, seed, "moves", attempt), role_of, targets, given, least)
        worth = _worth(totals, targets, given, least)
        if worth > best[0]:
            best = worth, role_of
    return {group: best[1][scene.name] for scene in [*joint, *single] for group in scene.groups}


def _add(given: dict[str, Counter[str]], scene: Scene, role: str, times: int) -> None:
    for identity, number in scene.members.items():
        given[identity][role] += times * number


def _worth(
    identities: Iterable[str], targets: Mapping[str, dict[str, int]], given: Mapping[str, Counter[str]], least: int
) -> tuple[int, int]:
    """Return in how many roles identities have groups enough, and how far, below 0, they are from their targets."""
    enough = far = 0
    for identity in identities:
        target, own = targets[identity], given[identity]
        enough += sum(own[role] >= (1 if role == TRAIN else least) for role in target)
        far += sum(abs(own[role] - target.get(role, 0)) for role in _ROLES)
    return enough, -far


def _improve(
    scenes: list[Scene],
    role_of: dict[str, str],
    targets: Mapping[str, dict[str, int]],
    given: dict[str, Counter[str]],
    least: int,
) -> None:
    """Move scenes one by one to another role as long as that is worth more, changing `role_of` and `given`."""
    for _ in range(PASSES):
        moved = False
        for scene in scenes:
            for role in _ROLES:
                old = role_of[scene.name]
                if role == old:
                    continue
                before = _worth(scene.members, targets, given, least)
                _add(given, scene, old, -1)
                _add(given, scene, role, 1)
                if _worth(scene.members, targets, given, least) > before:
                    role_of[scene.name], moved = role, True
                else:
                    _add(given, scene, role, -1)
                    _add(given, scene, old, 1)
        if not moved:
            return


def _in_turn(
    joint: list[Scene],
    single: list[Scene],
    targets: Mapping[str, dict[str, int]],
    given: Mapping[str, Counter[str]],
    least: int,
    order: tuple[int, int],
) -> Iterator[tuple[Scene, str]]:
    """Yield each scene and its role: those bound, then those of several groups, the largest first, then the others.

    given: identity -> the number of its groups in each role so far, kept by the caller.
    """
    for scene in [scene for scene in [*joint, *single] if scene.bound]:
        yield scene, TRAIN
    free = shuffled([scene for scene in joint if not scene.bound], order[0], "scenes", order[1])
    for scene in sorted(free, key=lambda scene: -len(scene.groups)):
        worth = {role: (_fit(scene, role, targets, given), role == TRAIN, role) for role in _ROLES}
        yield scene, max(_ROLES, key=worth.__getitem__)
    for scene in shuffled([scene for scene in single if not scene.bound], order[0], "single", order[1]):
        (identity,) = scene.members
        yield scene, _most_wanted(targets[identity], given[identity], least)


def _fit(scene: Scene, role: str, targets: Mapping[str, dict[str, int]], given: Mapping[str, Counter[str]]) -> int:
    """Return how many groups of a scene its identities still want in a role, less those that they do not."""
    found = 0
    for identity, number in scene.members.items():
        wanted = max(0, targets[identity].get(role, 0) - given[identity][role])
        found += min(number, wanted) - max(0, number - wanted)
    return found


def _most_wanted(target: dict[str, int], given: Counter[str], least: int) -> str:
    """Return the role that an identity's next group goes to: one that lacks few until it can be scored, then the most unmet."""
    if not given[TRAIN]:
        return TRAIN
    short = [role for role in (TEST, VAL) if role in target and given[role] < least]
    if short:
        return max(short, key=lambda role: given[role])
    return max(target, key=lambda role: (target[role] - given[role], role == TRAIN, role))


def allotted_in_fold(
    joint: list[Scene], single: list[Scene], shares: dict[str, float], least: int, seed: int, folds: int, fold: int
) -> dict[str, str]:
    """Return the role of each group in a fold, each of which tests other scenes; what it does not test is shared out."""
    fold_of = _dealt(joint, single, least, seed, folds)
    tested = {scene.name for scene in [*joint, *single] if fold_of[scene.name] == fold}
    rest = [[scene for scene in some if scene.name not in tested] for some in (joint, single)]
    roles = allotted(*rest, relative(shares), least, seed + fold)
    for scene in [*joint, *single]:
        if scene.name in tested:
            roles |= dict.fromkeys(scene.groups, TEST)
    return roles


def _dealt(joint: list[Scene], single: list[Scene], least: int, seed: int, folds: int) -> dict[str, int | None]:
    """Return the fold that tests each scene; None: none does, so that each identity has a group in training in every fold."""
    totals = _totals([*joint, *single])
    held: dict[str, Counter[int]] = defaultdict(Counter)
    sizes: Counter[int] = Counter()
    left = _totals(scene for scene in single if not scene.bound)
    fold_of: dict[str, int | None] = {scene.name: None for scene in [*joint, *single]}
    order = sorted(shuffled(joint, seed, "scenes"), key=lambda scene: -len(scene.groups))
    for scene in [*order, *shuffled(single, seed, "scenes", "single")]:
        if scene.bound:
            continue
        open_folds = [f for f in range(folds) if all(held[i][f] + n < totals[i] for i, n in scene.members.items())]
        if not open_folds:
            continue

        def worth(fold: int, scene: Scene = scene) -> tuple[int, int, int]:
            completed = sum(0 < held[i][fold] < least for i in scene.members)
            # A single group alone in a fold cannot be scored, unless others follow.
            alone = len(scene.groups) == 1 and sum(left[i] for i in scene.members) < least
            begun = sum(held[i][fold] for i in scene.members)
            return completed, begun if alone else -begun, -sizes[fold]

        chosen = max(open_folds, key=worth)
        fold_of[scene.name] = chosen
        sizes[chosen] += len(scene.groups)
        for identity, number in scene.members.items():
            held[identity][chosen] += number
            left[identity] -= len(scene.groups) == 1
    return fold_of


def joint_identities(images: pl.DataFrame) -> list[list[str]]:
    """Return the identities of each scene of several."""
    several = images.group_by("scene").agg(pl.col("identity").unique().sort())
    return several.filter(pl.col("identity").list.len() > 1).sort("scene")["identity"].to_list()


def _totals(scenes: Iterable[Scene]) -> Counter[str]:
    totals: Counter[str] = Counter()
    for scene in scenes:
        totals.update(scene.members)
    return totals
