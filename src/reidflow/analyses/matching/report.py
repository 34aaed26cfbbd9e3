"""The report: tables, findings, figure and contact sheets of one experiment."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np
import polars as pl
from PIL import Image

from reidflow.analyses.analysis import Inputs, Report
from reidflow.analyses.matching import SHEETS, figures
from reidflow.analyses.matching.cost import COST, IMAGES, cost_table
from reidflow.analyses.matching.findings import sections
from reidflow.analyses.matching.pairs import PAIRS, choose, pairs_table
from reidflow.analyses.matching.sheets import Pair, Side, pairs_sheet, part_with
from reidflow.analyses.matching.tables import KEYPOINTS, MATCHING, keypoints_table, matching_table
from reidflow.evaluation.embedding_space import spaced
from reidflow.evaluation.layout import Layout
from reidflow.evaluation.retrieval_queries import Retrieval
from reidflow.evaluation.runs import PER_QUERY, TrainedRun, arm_retrieval, reranking
from reidflow.matching.bank import Bank
from reidflow.spec.ranking import LocalScore, Ranking
from reidflow.tables.experiment import RESULTS


def run(inputs: Inputs) -> Report:
    """Return the report on an experiment."""
    experiment, layout, jobs, mirrored = inputs.experiment, inputs.layout(), inputs.trained(), inputs.mirrored()
    results, per_query = inputs.table("results", RESULTS), inputs.table("per_query", PER_QUERY)
    rankings = {made.arm: made.ranking for made in jobs.runs}
    first = {made.arm: made for made in reversed(jobs.runs)}
    fitted = {arm: reranking(layout, made, mirrored) for arm, made in first.items() if len(_scores(made)) > 1}
    weights = {arm: found.whole.weights.tolist() for arm, found in fitted.items()}
    table = matching_table(experiment, rankings, weights, results, per_query)
    banks = _banks(jobs.runs)
    keypoints = keypoints_table(
        {name: bank.count for name, bank in banks.items()}, {n: b.facts for n, b in banks.items()}
    )
    images, masks = (np.load(inputs.files[name], mmap_mode="r") for name in ("images", "masks"))
    costs = cost_table(experiment.name, jobs.runs, layout, partial(squares, images, masks, layout), mirrored)
    best = shown_arm(table, rankings)
    pairs, drawn = PAIRS.empty(), []
    if best is not None:
        made = first[best]
        score = made.ranking.local[0]
        before, after = (arm_retrieval(layout, first[arm], mirrored) for arm in (experiment.file.baseline, best))
        matches = lru_cache(None)(partial(matched, made, score, layout, before))
        chosen = choose(layout, before, after)
        pairs = pairs_table(layout, chosen, before, after, matches, made.arm, made.seed)
        image_of = partial(pair_of, images, made.local.bank(score), matches, layout)
        drawn = [image_of(one.query, place) for one in chosen for place in one.candidates]
    shown = next((row for row in table.to_dicts() if row["arm"] == best), None)
    local = {arm for arm, ranking in rankings.items() if ranking and ranking.local}
    return Report(
        tables={
            "matching": (table, MATCHING),
            "matching.keypoints": (keypoints, KEYPOINTS),
            "matching.pairs": (pairs, PAIRS),
            "matching.efficiency": (costs, COST),
        },
        sections=sections(table, keypoints, pairs, costs, shown, local),
        figures={"cost": figures.cost(table, costs, inputs.heading("cost"))},
        sheets={name: partial(pairs_sheet, pairs, drawn, name, inputs.heading(name)) for name in SHEETS},
    )


def _scores(made: TrainedRun) -> Sequence[str | LocalScore]:
    return made.ranking.scores if made.ranking else ()


def shown_arm(table: pl.DataFrame, rankings: Mapping[str, Ranking | None]) -> str | None:
    """Return the arm of the sheets: of those that rank by local features the best on validation, of equals the first.

    Where nothing is validated, it is the best on test. None where no such arm has a score. The baseline is none of them.
    """
    rows = [row for row in table.to_dicts() if rankings[row["arm"]] and rankings[row["arm"]].local]
    rows = [row for row in rows if row["id_map"] is not None and not row["baseline"]]
    by = "val_id_map" if any(row["val_id_map"] is not None for row in rows) else "id_map"
    found = max(rows, key=lambda row: -1.0 if row[by] is None else round(row[by], 12), default=None)
    return found and found["arm"]


def _banks(runs: Sequence[TrainedRun]) -> dict[str, Bank]:
    scores = [(made.local, score) for made in runs if made.ranking for score in made.ranking.local]
    banks = {id(local.bank(score)): local.bank(score) for local, score in scores}
    return {str(place): bank for place, bank in enumerate(banks.values())}


def squares(images: np.ndarray, masks: np.ndarray, layout: Layout, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a few queries as squares of a side, (n, S, S, 3), with masks (n, S, S): the stored images, scaled."""
    rows = layout.manifest_rows[layout.query[spaced(len(layout.query), IMAGES + 1)]]
    return tuple(
        np.stack([np.asarray(Image.fromarray(np.asarray(array[row])).resize((size, size))) for row in rows])
        for array in (images, masks)
    )


def pair_of(
    images: np.ndarray,
    bank: Bank,
    matches: Callable[[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]],
    layout: Layout,
    query: int,
    place: int,
) -> Pair:
    """Return what is drawn of a query and a candidate: the stored squares, with the matched points in their pixels.

    bank: of local features, whose keypoints say which part is shown. matches: of a query and a candidate, by their places.
    """
    rows = layout.manifest_rows[[layout.query[query], layout.gallery[place]]].tolist()
    *points, weights = matches(query, place)
    stored = images.shape[1]
    scale = stored / bank.facts["matcher"]["size"]
    sides = [
        Side(np.asarray(images[row]), scaled(own, scale), part_with(scaled(bank.of(row).points, scale), stored))
        for row, own in zip(rows, points, strict=True)
    ]
    return Pair(*sides, weights)


def matched(
    made: TrainedRun, score: LocalScore, layout: Layout, retrieval: Retrieval, query: int, place: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matches of a query with a candidate, by their places: those that their local score adds up."""
    gallery = layout.manifest_rows[layout.gallery]
    excluded = retrieval.masks().excluded(slice(query, query + 1))
    row = int(layout.manifest_rows[layout.query[query]])
    apart = None if excluded is None else excluded[0]
    groups = retrieval.gallery_group
    return made.local.matches(score, row, int(gallery[place]), gallery=gallery, groups=groups, excluded=apart)


def scaled(points: np.ndarray, scale: float) -> np.ndarray:
    """Return points (K, 2) in the pixels of a square that is `scale` times as large; a pixel's middle is a whole number."""
    return (points + 0.5) * scale - 0.5
