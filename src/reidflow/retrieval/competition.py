"""From candidate networks and a time budget to the ranked gallery of every query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.evaluation.ranking import integer_codes, similarity_of
from reidflow.evaluation.retrieval_queries import Retrieval, infer
from reidflow.retrieval.competition_workspace import (
    Candidate,
    Cost,
    OutOfTimeError,
    Workspace,
    affordable,
    build,
    look,
    named,
    seconds_per_image,
)
from reidflow.retrieval.held_out import (
    CompetitionRows,
    HeldOut,
    HeldOutResult,
    best,
    competition_rows,
    evaluate_held_out,
    group_codes,
    hold_out,
)
from reidflow.retrieval.index import top_k
from reidflow.spec.components import needing
from reidflow.spec.errors import ReidflowError

FEATURES, PROJECTION = "features", "projection"
NO_TIME = "does not fit into the time budget"
CUT_SHORT = "time ran out while its training images were embedded"


@dataclass
class Competition:
    """What happened: candidates in the order of the config, what was found out about them, what was skipped.

    judged: (candidate's place, kind of embedding) -> held-out retrieval. skipped: sentences, free of measured times.
    seconds: step -> seconds. costs: of each candidate that was measured. inference: what was done before the ranking.
    """

    candidates: list[Candidate]
    entries: CompetitionRows
    held: HeldOut | None
    judged: dict[tuple[int, str], HeldOutResult] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    costs: dict[int, Cost] = field(default_factory=dict)
    choice: tuple[int, str] = (0, FEATURES)
    inference: list[str] = field(default_factory=list)
    ranked: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))


def compete(setting: Workspace, networks: Sequence[dict[str, Any]], k: int) -> Competition:
    """Return the course of a competition; `ranked` (Q, k) holds rows of the gallery, best first, for each query.

    networks: candidates as `Plan.backbones` tells of them, the protocol's first. Those that fit into the time are judged
    by retrieval on held-out identities, as frozen features and behind a head trained on the other identities; the best
    embeds queries and gallery. Whatever time is left, there is a ranking in the end.
    Raises ReidflowError where there is nothing to rank, or none of the networks can be had.
    """
    manifest, who = setting.manifest, competition_rows(setting.manifest)
    training = manifest[who.training.tolist()]
    identities, sides, groups = (training[name].to_list() for name in ("identity", "side", "group"))
    held = hold_out(identities, sides, setting.protocol.seed, groups)
    course = Competition(named(networks), who, held)
    _timed(course, setting, "looking at networks", lambda: _survey(course, setting))
    _timed(course, setting, "judging networks", lambda: _judge(course, setting))
    _choose(course)
    _timed(course, setting, "ranking the gallery", lambda: _rank(course, setting, k))
    return course


def _timed(course: Competition, setting: Workspace, step: str, action: Callable[[], None]) -> None:
    started = setting.budget.clock()
    action()
    course.seconds[step] = setting.budget.clock() - started
    print(f"{step}: {course.seconds[step]:.1f} s; {setting.budget.left():.0f} s left")


def _survey(course: Competition, setting: Workspace) -> None:
    """Find out which networks can be had, and what each would cost; leave out those that do not fit."""
    course.candidates = look(course.candidates, setting.budget)
    had = [place for place, candidate in enumerate(course.candidates) if not candidate.left_out]
    if not had:
        reasons = "\n".join(f"  {candidate.name}: {candidate.left_out}" for candidate in course.candidates)
        raise ReidflowError(f"none of the networks can be had:\n{reasons}")
    if course.held is None:
        course.skipped.append(
            "Too few training identities to judge by (four are needed, seen at two moments): no network was judged."
        )
    for place in sorted(had, key=lambda place: (course.candidates[place].flops, place)):
        if setting.budget.usable() > 0:
            _measure(course, setting, place)
    costs = [course.costs.get(place) for place in range(len(course.candidates))]
    fitting = affordable(costs, setting.budget.usable())
    for place in set(had) - set(fitting):
        course.candidates[place] = course.candidates[place].without(NO_TIME)


def _measure(course: Competition, setting: Workspace, place: int) -> None:
    """Put down the seconds that a candidate needs for the images that are still to be embedded."""
    candidate, who = course.candidates[place], course.entries
    network, seen = build(candidate), setting.bank(candidate, plain=False)
    training = setting.remaining(network, seen, who.training) if course.held else 0
    asked = setting.remaining(network, setting.bank(candidate, plain=True), np.concatenate([who.queries, who.gallery]))
    seconds = 0.0
    if training or asked:
        limit = setting.budget.usable() / (training * (1 + seen["views"]) + asked)
        given = {"augment": setting.augment(seen), "limit": limit}
        clock, device = setting.budget.clock, setting.device
        seconds = seconds_per_image(network, candidate.network, setting.images, device, clock, **given)
        course.candidates[place] = replace(candidate, seconds=seconds)
    course.costs[place] = Cost(training * (1 + seen["views"]) * seconds, asked * seconds)


def _judge(course: Competition, setting: Workspace) -> None:
    """Judge the networks that fit, cheapest first, on identities that nothing was trained on."""
    if course.held is None:
        return
    fitting = [place for place, candidate in enumerate(course.candidates) if not candidate.left_out]
    asked = 0.0
    for place in sorted(fitting, key=lambda place: (sum(course.costs[place]), place)):
        candidate, cost = course.candidates[place], course.costs[place]
        asked = max(asked, cost.asked)
        if cost.training + asked > setting.budget.usable():
            course.candidates[place] = candidate.without(NO_TIME)
            continue
        try:
            features = _training_features(course, setting, candidate, asked)
        except OutOfTimeError:
            course.candidates[place] = candidate.without(CUT_SHORT)
            continue
        course.judged[place, FEATURES] = _judged(course, setting, features[:, 0], None)
        if setting.budget.usable() <= asked:
            course.skipped.append(f"A projection of {candidate.name} was not tried: no time was left.")
            continue
        course.judged[place, PROJECTION] = _projected(course, setting, candidate, features)


def _training_features(course: Competition, setting: Workspace, candidate: Candidate, asked: float) -> np.ndarray:
    """Return the features of the training images.

    Raises OutOfTimeError when it shows that `asked` seconds for queries and gallery will not be left.
    """
    budget = setting.budget
    started = budget.clock()

    def watch(done: int, total: int) -> None:
        rest = (budget.clock() - started) / done * (total - done)
        if rest and rest + asked > budget.usable():
            raise OutOfTimeError

    return setting.features(setting.bank(candidate, plain=False), course.entries.training, watch)


def _projected(course: Competition, setting: Workspace, candidate: Candidate, features: np.ndarray) -> HeldOutResult:
    """Return what a head retrieves that was trained on the identities which are not held out."""
    rows, held = course.entries.training, course.held
    folder = setting.trained(candidate, features[held.training], rows[held.training])
    vectors = setting.project(candidate, folder, features)
    return _judged(course, setting, vectors, setting.protocol.model.geometry["name"])


def _judged(course: Competition, setting: Workspace, vectors: np.ndarray, geometry: str | None) -> HeldOutResult:
    training, held = setting.manifest[course.entries.training.tolist()], course.held
    (identity,) = integer_codes(training["identity"])
    similarity = similarity_of(geometry) if geometry else None
    group = group_codes(training["group"].to_list())
    return evaluate_held_out(vectors[held.queries], vectors[held.gallery], identity, group, held, similarity)


def _choose(course: Competition) -> None:
    """Choose the embedding that found most; without one that was judged, a network that is sure to be had."""
    places = list(course.judged)
    if places:
        flops = [course.candidates[place].flops for place, _ in places]
        course.choice = places[best(list(course.judged.values()), flops)]
        return
    had = [place for place, candidate in enumerate(course.candidates) if candidate.flops is not None]
    fitting = [place for place in had if not course.candidates[place].left_out]
    if fitting:
        course.choice = fitting[0], FEATURES
    else:
        course.choice = min(had, key=lambda place: (course.candidates[place].flops, place)), FEATURES
        name = course.candidates[course.choice[0]].name
        course.skipped.append(
            f"No network was judged, for lack of time: the one with the fewest operations, {name}, stands in."
        )


def _rank(course: Competition, setting: Workspace, k: int) -> None:
    """Embed queries and gallery with the chosen network, and rank."""
    (place, kind), who = course.choice, course.entries
    candidate, folder = course.candidates[place], None
    rows, plain = np.concatenate([who.queries, who.gallery]), setting.bank(candidate, plain=True)
    features = setting.features(plain, rows)
    if kind == PROJECTION and setting.budget.left() <= 0:
        course.skipped.append("The projection was not trained on all identities, for lack of time: features stand in.")
        course.choice = place, FEATURES
    elif kind == PROJECTION:
        training = setting.features(setting.bank(candidate, plain=False), who.training)
        folder = setting.trained(candidate, training, who.training)
    asked = _asked(setting, candidate, folder, features, len(who.queries))
    steps = setting.protocol.inference
    if steps and setting.budget.left() <= 0:
        course.skipped.append("The protocol's inference was left out, for lack of time.")
    elif steps:
        flipped = None
        if needing("inference", steps, "flipped"):
            mirrored = setting.features({**plain, "mirrored": True}, rows)
            flipped = _asked(setting, candidate, folder, mirrored, len(who.queries))
        asked = infer(asked, steps, flipped)
        course.inference = [step["name"] for step in steps]
    course.ranked = top_k(asked, k)


def _asked(
    setting: Workspace, candidate: Candidate, folder: Path | None, features: np.ndarray, queries: int
) -> Retrieval:
    """Return the first rows as queries and the others as their gallery; folder: of the head that is laid over them."""
    if folder is None:
        return Retrieval(features[:queries, 0], features[queries:, 0])
    vectors = setting.project(candidate, folder, features)
    similarity = similarity_of(setting.protocol.model.geometry["name"])
    return Retrieval(vectors[:queries], vectors[queries:], similarity=similarity)
