"""From candidate networks and a time budget to the ranked gallery of every query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.evaluation.ranking import integer_codes, similarity_of
from reidflow.evaluation.retrieval_queries import Retrieval, infer
from reidflow.retrieval.competition_workspace import Candidate, OutOfTimeError, Workspace, named, with_flops
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
NO_TIME = "the time budget was used up before it was evaluated"
CUT_SHORT = "the time budget was used up while its training images were embedded"


@dataclass
class Competition:
    """State of a competition: candidates in the order of the config, their results, what was skipped.

    results: (candidate's position, kind of embedding) -> held-out retrieval. skipped: sentences, free of measured times.
    seconds: step -> seconds. inference: names of the inference steps before the ranking. ranked: (Q, k) gallery rows.
    """

    candidates: list[Candidate]
    rows: CompetitionRows
    held: HeldOut | None
    results: dict[tuple[int, str], HeldOutResult] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    choice: tuple[int, str] = (0, FEATURES)
    inference: list[str] = field(default_factory=list)
    ranked: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))


def compete(workspace: Workspace, networks: Sequence[dict[str, Any]], k: int) -> Competition:
    """Return the finished competition; `ranked` (Q, k) holds rows of the gallery, best first, for each query.

    networks: candidates as `Plan.backbones` describes them, the protocol's first. They are evaluated, the one with the
    fewest operations first, by retrieval on held-out identities: as frozen features and behind a head trained on the
    other identities. The best embeds queries and gallery. No work starts once the time budget is used up, yet there is
    always a ranking. Raises ReidflowError where there is nothing to rank, or no network is available.
    """
    manifest, rows = workspace.manifest, competition_rows(workspace.manifest)
    training = manifest[rows.training.tolist()]
    identities, sides, groups = (training[name].to_list() for name in ("identity", "side", "group"))
    held = hold_out(identities, sides, workspace.protocol.seed, groups)
    state = Competition(named(networks), rows, held)
    _timed(state, workspace, "building networks", lambda: _build(state, workspace))
    _timed(state, workspace, "evaluating networks", lambda: _evaluate(state, workspace))
    _choose(state)
    _timed(state, workspace, "ranking the gallery", lambda: _rank(state, workspace, k))
    return state


def _timed(state: Competition, workspace: Workspace, step: str, action: Callable[[], None]) -> None:
    started = workspace.budget.clock()
    action()
    state.seconds[step] = workspace.budget.clock() - started
    print(f"{step}: {state.seconds[step]:.1f} s; {workspace.budget.left():.0f} s left")


def _build(state: Competition, workspace: Workspace) -> None:
    """Find out which networks are available, and count their operations."""
    state.candidates = with_flops(state.candidates, workspace.budget)
    if all(candidate.left_out for candidate in state.candidates):
        reasons = "\n".join(f"  {candidate.name}: {candidate.left_out}" for candidate in state.candidates)
        raise ReidflowError(f"none of the networks is available:\n{reasons}")
    if state.held is None:
        state.skipped.append(
            "Too few training identities to evaluate networks on (four are needed, each in two groups): none was evaluated."
        )


def _evaluate(state: Competition, workspace: Workspace) -> None:
    """Evaluate the available networks, fewest operations first, on identities that nothing was trained on."""
    if state.held is None:
        return
    budget = workspace.budget
    available = [position for position, candidate in enumerate(state.candidates) if not candidate.left_out]
    for position in sorted(available, key=lambda position: (state.candidates[position].flops, position)):
        candidate = state.candidates[position]
        if budget.usable() <= 0:
            state.candidates[position] = candidate.without(NO_TIME)
            continue
        try:
            features = _training_features(state, workspace, candidate)
        except OutOfTimeError:
            state.candidates[position] = candidate.without(CUT_SHORT)
            continue
        state.results[position, FEATURES] = _result(state, workspace, features[:, 0], None)
        if budget.usable() <= 0:
            state.skipped.append(f"A projection of {candidate.name} was not trained: the time budget was used up.")
            continue
        state.results[position, PROJECTION] = _projection_result(state, workspace, candidate, features)


def _training_features(state: Competition, workspace: Workspace, candidate: Candidate) -> np.ndarray:
    """Return the features of the training images. Raises OutOfTimeError when the budget is used up before the last."""

    def watch(done: int, total: int) -> None:
        if done < total and workspace.budget.usable() <= 0:
            raise OutOfTimeError

    return workspace.features(workspace.bank(candidate, plain=False), state.rows.training, watch)


def _projection_result(
    state: Competition, workspace: Workspace, candidate: Candidate, features: np.ndarray
) -> HeldOutResult:
    """Return what a head retrieves that was trained on the identities which are not held out."""
    rows, held = state.rows.training, state.held
    folder = workspace.trained(candidate, features[held.training], rows[held.training])
    vectors = workspace.project(candidate, folder, features)
    return _result(state, workspace, vectors, workspace.protocol.model.geometry["name"])


def _result(state: Competition, workspace: Workspace, vectors: np.ndarray, geometry: str | None) -> HeldOutResult:
    training, held = workspace.manifest[state.rows.training.tolist()], state.held
    (identity,) = integer_codes(training["identity"])
    similarity = similarity_of(geometry) if geometry else None
    group = group_codes(training["group"].to_list())
    return evaluate_held_out(vectors[held.queries], vectors[held.gallery], identity, group, held, similarity)


def _choose(state: Competition) -> None:
    """Choose the embedding with the highest score; where none was evaluated, a network that is known to be available."""
    keys = list(state.results)
    if keys:
        flops = [state.candidates[position].flops for position, _ in keys]
        state.choice = keys[best(list(state.results.values()), flops)]
        return
    available = [position for position, candidate in enumerate(state.candidates) if candidate.flops is not None]
    in_time = [position for position in available if not state.candidates[position].left_out]
    if in_time:
        state.choice = in_time[0], FEATURES
    else:
        state.choice = min(available, key=lambda position: (state.candidates[position].flops, position)), FEATURES
        name = state.candidates[state.choice[0]].name
        state.skipped.append(
            f"No network was evaluated, for lack of time: {name}, the one with the fewest operations, is used instead."
        )


def _rank(state: Competition, workspace: Workspace, k: int) -> None:
    """Embed queries and gallery with the chosen network, and rank."""
    (position, kind), rows = state.choice, state.rows
    candidate, folder = state.candidates[position], None
    searched, plain = np.concatenate([rows.queries, rows.gallery]), workspace.bank(candidate, plain=True)
    features = workspace.features(plain, searched)
    if kind == PROJECTION and workspace.budget.left() <= 0:
        state.skipped.append(
            "The projection was not trained on all identities, for lack of time: features are used instead."
        )
        state.choice = position, FEATURES
    elif kind == PROJECTION:
        training = workspace.features(workspace.bank(candidate, plain=False), rows.training)
        folder = workspace.trained(candidate, training, rows.training)
    retrieval = _retrieval(workspace, candidate, folder, features, len(rows.queries))
    steps = workspace.protocol.inference
    if steps and workspace.budget.left() <= 0:
        state.skipped.append("The protocol's inference was left out, for lack of time.")
    elif steps:
        flipped = None
        if needing("inference", steps, "flipped"):
            mirrored = workspace.features({**plain, "mirrored": True}, searched)
            flipped = _retrieval(workspace, candidate, folder, mirrored, len(rows.queries))
        retrieval = infer(retrieval, steps, flipped)
        state.inference = [step["name"] for step in steps]
    state.ranked = top_k(retrieval, k)


def _retrieval(
    workspace: Workspace, candidate: Candidate, folder: Path | None, features: np.ndarray, queries: int
) -> Retrieval:
    """Return the first rows as queries and the others as their gallery; folder: of the head that projects them."""
    if folder is None:
        return Retrieval(features[:queries, 0], features[queries:, 0])
    vectors = workspace.project(candidate, folder, features)
    similarity = similarity_of(workspace.protocol.model.geometry["name"])
    return Retrieval(vectors[:queries], vectors[queries:], similarity=similarity)
