"""Groups of several identities that show one scene (a photograph, a burst), allotted to roles together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from reidflow.splits.roles import TEST, TRAIN, VAL, counts, relative, shuffled

ATTEMPTS, PASSES = 5, 10
MANY = 5_000  # scenes from which on one order is tried
_ENOUGH = 10**6  # what a role with enough groups is worth, above any distance from the shares
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
        Scene(name, tuple(groups), Counter(identities), not tied.isdisjoint(groups))
        for name, identities, groups in rows.group_by("scene", maintain_order=True).agg("identity", "group").iter_rows()
    ]
    joint = [scene for scene in found if len(scene.groups) > 1]
    involved = {identity for scene in joint for identity in scene.members}
    return joint, [scene for scene in found if len(scene.groups) == 1 and not involved.isdisjoint(scene.members)]


class _Tally:
    """How many groups identities have in each role, how many they want, and how many they need to be scored."""

    def __init__(self, totals: Mapping[str, int], shares: dict[str, float], least: int) -> None:
        self.own, self.wanted, self.needed = {}, {}, {}
        for identity, total in totals.items():
            target = counts(total, shares, least) or {TRAIN: total}
            self.own[identity] = [0, 0, 0]
            self.wanted[identity] = [target.get(role, 0) for role in _ROLES]
            self.needed[identity] = [(1 if role == TRAIN else least) if role in target else 0 for role in _ROLES]
        self.all = sum(sum(need > 0 for need in some) for some in self.needed.values())

    def add(self, scene: Scene, role: int, times: int = 1) -> None:
        """Put a scene into a role, or take it out."""
        for identity, number in scene.members.items():
            self.own[identity][role] += times * number

    def enough(self, identity: str) -> int:
        """Return in how many roles an identity has the groups that it needs."""
        return sum(0 < need <= own for need, own in zip(self.needed[identity], self.own[identity], strict=True))

    def worth(self, identities: Iterable[str]) -> int:
        """Return in how many roles identities have the groups that they need and, counting less, how near they are to what they want."""
        found = 0
        for identity in identities:
            train, val, test = self.own[identity]
            wanted = self.wanted[identity]
            far = abs(train - wanted[0]) + abs(val - wanted[1]) + abs(test - wanted[2])
            found += self.enough(identity) * _ENOUGH - far
        return found

    def fit(self, scene: Scene, role: int) -> int:
        """Return how many groups of a scene its identities still want in a role, less those that they do not."""
        found = 0
        for identity, number in scene.members.items():
            open_ = max(0, self.wanted[identity][role] - self.own[identity][role])
            found += min(number, open_) - max(0, number - open_)
        return found

    def most_wanted(self, identity: str) -> int:
        """Return the role of an identity's next group: one that lacks few until it can be scored, then the most unmet."""
        own, needed, wanted = self.own[identity], self.needed[identity], self.wanted[identity]
        if not own[0]:
            return 0
        short = [role for role in (2, 1) if own[role] < needed[role]]
        if short:
            return max(short, key=lambda role: own[role])
        return max((0, 1, 2), key=lambda role: (wanted[role] - own[role], role == 0, role))


def allotted(
    joint: list[Scene], single: list[Scene], shares: dict[str, float], least: int, seed: int
) -> dict[str, str]:
    """Return the role of each group, as near to each identity's shares as scenes allow.

    An identity is to have `least` groups in each role that is scored and one in training; one with too few groups is to be in
    training. Where its scenes put fewer than `least` of its groups into a scored role, these are not scored, but rank among the
    others. Scenes are dealt out, the largest first, and then moved one by one, as long as that lets more identities be
    scored, or brings roles nearer to their shares; of several random orders the best counts.
    """
    totals, scenes = _totals([*joint, *single]), [*joint, *single]
    best: tuple[int, list[int]] | None = None
    for attempt in range(ATTEMPTS if len(scenes) < MANY else 1):
        tally, role_of = _Tally(totals, shares, least), [0] * len(scenes)
        free = [place for place, scene in enumerate(scenes) if not scene.bound]
        for scene in scenes:
            if scene.bound:
                tally.add(scene, 0)
        order = shuffled(free, seed, "scenes", attempt)
        for place in sorted(order, key=lambda place: -len(scenes[place].groups)):
            scene = scenes[place]
            if len(scene.groups) == 1:
                role_of[place] = tally.most_wanted(next(iter(scene.members)))
            else:
                fits = [tally.fit(scene, role) for role in (0, 1, 2)]
                role_of[place] = max((0, 1, 2), key=lambda role: (fits[role], role == 0, role))
            tally.add(scene, role_of[place])
        _improve(order, scenes, role_of, tally)
        worth = tally.worth(totals)
        if best is None or worth > best[0]:
            best = worth, role_of
        if sum(map(tally.enough, totals)) == tally.all:
            break
    roles = best[1] if best else []
    return {group: _ROLES[role] for scene, role in zip(scenes, roles, strict=True) for group in scene.groups}


def _improve(order: list[int], scenes: list[Scene], role_of: list[int], tally: _Tally) -> None:
    """Move scenes one by one to another role as long as that is worth more, changing `role_of` and `tally`."""
    for _ in range(PASSES):
        moved = False
        for place in order:
            scene = scenes[place]
            for role in (0, 1, 2):
                old = role_of[place]
                if role == old:
                    continue
                before = tally.worth(scene.members)
                tally.add(scene, old, -1)
                tally.add(scene, role)
                if tally.worth(scene.members) > before:
                    role_of[place], moved = role, True
                else:
                    tally.add(scene, role, -1)
                    tally.add(scene, old)
        if not moved:
            return


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
