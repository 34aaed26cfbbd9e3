"""What a curation experiment found, in computed sentences."""

from collections.abc import Callable

import polars as pl

from reidflow.analyses.curation.tables import Curation
from reidflow.tables.layout import Block, block_of, count
from reidflow.tables.sections import Section
from reidflow.tables.text import interval, listed, markdown, number, signed

SHARES, DISTRIBUTIONS, VALUABLE, SCORES = "shares", "distributions", "valuable", "scores"
FIGURES = (SHARES, DISTRIBUTIONS, VALUABLE, SCORES)
"""Names of the figures; the last two are contact sheets."""
LENGTHS = {"epochs": "equal epochs", "steps": "equal steps"}
DOUBT = "label_doubt"
_SHOWN = 10
_SEVERAL = 8
_STRIKING = 3
_TYPICAL = 0.5


def sections(found: Curation, arms: pl.DataFrame, contrasts: pl.DataFrame, efficiency: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables ARMS and CONTRASTS of `tables.curation`.

    efficiency: arm, seconds_train. Seconds stand in a table alone: what is measured differs from run to run, and no
    statement may.
    """
    rows = arms.to_dicts()
    chosen = [row for row in rows if row["method"] is not None and not row["control"]]
    return [
        Section(
            "Against random images of the same number",
            [line for length in LENGTHS for line in _against_random(chosen, length)],
            [_arm_block(rows)],
            {SHARES: "mAP by the share of the training images that stays"},
        ),
        Section("Against all images", [line for length in LENGTHS for line in _against_full(rows, length)]),
        Section("Training time", _time(rows), _seconds_block(rows, efficiency)),
        Section(
            "What valuable images look like",
            _look(contrasts),
            _contrast_blocks(contrasts),
            {DISTRIBUTIONS: "Scores of kept and dropped images", VALUABLE: "The most and the least valuable images"},
        ),
        Section("Identities and images", [*_lost(rows), *_same(rows)]),
        Section(
            "Doubtful labels",
            _doubt(found),
            _doubt_block(found),
            {SCORES: "The highest and the lowest of each score"},
        ),
    ]


def _bold(names: list[str]) -> str:
    return listed([f"**{markdown(name)}**" for name in names])


def _plural(value: float, noun: str) -> str:
    return f"{count(value)} {noun}" + ("" if value == 1 else "s")


def _against_random(chosen: list[dict], length: str) -> list[str]:
    rows = [row for row in chosen if row["matched"] == length and row["against_delta"] is not None]
    if not rows:
        return []
    at = f"At {LENGTHS[length]}"
    lines = []
    for verdict in ("better", "worse"):
        own = [row for row in rows if row["against_verdict"] == verdict]
        if own:
            lines.append(f"{at}, {verdict} than their control of random images: {_told(own, 'against')}.")
    same = [row for row in rows if row["against_verdict"] not in ("better", "worse")]
    if same and not lines:
        lines.append(
            f"{at}, none of the {_plural(len(same), 'choice')} can be told from random images of the same number."
        )
    elif same:
        lines.append(f"{at}, not told apart from random images of the same number: {_by_method(same)}.")
    return lines


def _against_full(rows: list[dict], length: str) -> list[str]:
    trained = [row for row in rows if row["method"] is not None and row["matched"] == length]
    compared = [row for row in trained if row["delta"] is not None]
    lines = []
    for verdict, verb in (("worse", "lose"), ("better", "gain")):
        own = [row for row in compared if row["verdict"] == verdict]
        if own:
            lines.append(f"At {LENGTHS[length]}, these {verb} against all images: {_told(own, 'delta')}.")
    level = [row for row in compared if row["verdict"] not in ("better", "worse")]
    found = [row["smallest_detectable"] for row in level if row["smallest_detectable"] is not None]
    within = f" (a difference of {number(max(found))} would most likely have been found in each)" if found else ""
    if level:
        lines.append(f"At {LENGTHS[length]}, no difference from all images is shown for {_by_method(level)}{within}.")
    return lines


def _by_method(rows: list[dict]) -> str:
    """Return the arms of a sentence that speaks of one length of training: each method with its shares."""
    shares: dict[str, list[str]] = {}
    for row in rows:
        shares.setdefault(row["label"], []).append(f"{row['share']:.0%}")
    return listed([f"**{markdown(label)}** ({', '.join(own)})" for label, own in shares.items()])


def _told(rows: list[dict], comparison: str) -> str:
    """Return the arms with their differences and intervals; of more than _SEVERAL the differences alone."""
    low, high = ("delta_low", "delta_high") if comparison == "delta" else ("against_low", "against_high")
    delta = "delta" if comparison == "delta" else "against_delta"
    if len(rows) <= _SEVERAL:
        return listed(
            [f"**{markdown(row['arm'])}** {signed(row[delta])} {interval(row[low], row[high])}" for row in rows]
        )
    shares: dict[str, list[str]] = {}
    for row in rows:
        shares.setdefault(row["label"], []).append(f"{row['share']:.0%} {signed(row[delta])}")
    return listed([f"**{markdown(label)}** ({', '.join(own)})" for label, own in shares.items()])


def _delta(row: dict) -> str:
    return f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}"


def _time(rows: list[dict]) -> list[str]:
    timed = [
        row for row in rows if row["method"] is not None and row["steps_saved"] is not None and row["delta"] is not None
    ]
    if not timed:
        return ["The arms took no optimizer steps that could be compared."]
    safe = [row for row in timed if row["verdict"] != "worse"]
    if not safe:
        return ["Every choice loses detectably against all images: no training is saved for nothing."]
    best = max(safe, key=lambda row: (row["steps_saved"], row["delta"]))
    if best["steps_saved"] <= 0:
        return ["No choice without a detectable loss takes fewer optimizer steps."]
    found = best["smallest_detectable"]
    small = f" (a loss of {number(found)} would most likely have been found)" if found is not None else ""
    return [
        f"The most training without a detectable loss is saved by {_bold([best['arm']])}: {best['steps_saved']:.0%} of the "
        f"optimizer steps, with {best['share']:.0%} of the images; {_delta(best)}{small}.",
        "No detectable loss is not no loss: read the interval. Equal steps save no training by construction. Seconds on this "
        "machine stand in the experiment's table.",
    ]


def _seconds_block(rows: list[dict], efficiency: pl.DataFrame) -> list[Block]:
    seconds = dict(efficiency.select("arm", "seconds_train").iter_rows())
    full = next((seconds.get(row["arm"]) for row in rows if row["baseline"]), None)
    cells = []
    for row in rows:
        took = seconds.get(row["arm"])
        saved = f"{1 - took / full:.0%}" if took is not None and full else "–"
        steps = "–" if row["steps_saved"] is None else f"{row['steps_saved']:.0%}"
        cells.append([row["arm"], count(row["steps"]), steps, number(took, 2), saved])
    headings = ["arm", "steps", "steps saved", "seconds", "seconds saved"]
    return [Block("Measured on this machine", headings, cells)]


def typical_share(contrasts: pl.DataFrame) -> float | None:
    """Return the share of the methods' arms that lies closest to one half; None without any."""
    shares = contrasts["share"].unique().sort().to_list()
    return min(shares, key=lambda share: (abs(share - _TYPICAL), share), default=None)


def _look(contrasts: pl.DataFrame) -> list[str]:
    share = typical_share(contrasts)
    if share is None:
        return []
    lines = []
    own = contrasts.filter((pl.col("share") == share) & pl.col("difference").is_not_null())
    for label in own["label"].unique(maintain_order=True):
        rows = own.filter(pl.col("label") == label).to_dicts()
        if rows[0]["chance"]:
            continue
        rows = [row for row in rows if row["score"] not in label]
        ranked = sorted(rows, key=lambda row: -abs(row["difference"]))[:_STRIKING]
        told = [f"{_words(row['score'])} {signed(row['difference'], 2)}" for row in ranked]
        lines.append(f"**{markdown(label)}**, keeping {share:.0%}: {listed(told)}.")
    if lines:
        lines.append(
            "Kept minus dropped, in standard deviations of the score over all training images; the largest of each method, its own score aside."
        )
    chance = own.filter("chance")["difference"].abs().max()
    if lines and chance is not None:
        lines.append(f"For comparison, what chance draws differs by at most {number(chance, 2)} in any score.")
    return lines


def _words(score: str) -> str:
    return markdown(score.replace("_", " "))


def _lost(rows: list[dict]) -> list[str]:
    lines, seen = [], set()
    for row in rows:
        lost, key = row["lost_identities"], (row["label"], row["share"])
        if not lost or key in seen:
            continue
        seen.add(key)
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        shown = ", ".join(markdown(name) for name in lost[:_SHOWN])
        lines.append(
            f"**Warning:** **{markdown(row['label'])}** at {row['share']:.0%} keeps no image of {shown}{more}: training never "
            "sees them."
        )
    return lines or ["Every identity keeps at least one training image in every arm" + _chance_losses(rows)]


def _chance_losses(rows: list[dict]) -> str:
    full = next(row for row in rows if row["baseline"])["identities"]
    some = [row["arm"] for row in rows if row["identities"] < full]
    return f", but single draws of {_bold(some)} lose some." if some else "."


def _same(rows: list[dict]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for row in rows:
        if row["same_as"] is not None:
            groups.setdefault(row["same_as"], []).append(row["arm"])
    return [
        f"The same images for as many steps, hence one and the same training: {_bold([first, *others])}."
        for first, others in groups.items()
    ]


def _doubt(found: Curation) -> list[str]:
    top = _doubtful(found)
    if top is None:
        return ["The scores hold no doubt of labels."]
    if top.is_empty():
        return ["No image's neighbours disagree with its label."]
    told = [f"{markdown(i)} ({markdown(who)}, {number(value, 2)})" for i, who, value in top.head(_STRIKING).iter_rows()]
    return [
        f"The neighbours disagree most with the labels of {listed(told)}. Doubt is a reason to look, not an error found."
    ]


def _doubtful(found: Curation) -> pl.DataFrame | None:
    """Return image, identity and doubt of the images with the highest doubt above zero; None where it is not known."""
    if DOUBT not in found.names:
        return None
    doubtful = found.scores.filter(pl.col(DOUBT).is_finite() & (pl.col(DOUBT) > 0)).select("image", "identity", DOUBT)
    return doubtful.sort(-pl.col(DOUBT), "image").head(_SHOWN)


def _doubt_block(found: Curation) -> list[Block]:
    top = _doubtful(found)
    if top is None or top.is_empty():
        return []
    cells = [[image, identity, number(value)] for image, identity, value in top.iter_rows()]
    return [Block("Images whose labels deserve a look", ["image", "identity", "label doubt"], cells)]


def _arm_block(rows: list[dict]) -> Block:
    columns: dict[str, Callable[[dict], str]] = {
        "arm": lambda row: row["arm"],
        "method": lambda row: row["label"] or "–",
        "share": lambda row: f"{row['share']:.0%}",
        "compared at": lambda row: LENGTHS[row["matched"]] if row["method"] else "–",
        "images": lambda row: count(row["kept"]),
        "identities": lambda row: count(row["identities"]),
        "id_map": lambda row: number(row["id_map"]),
        "against all": lambda row: signed(row["delta"]),
        "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
        "verdict": lambda row: row["verdict"],
        "against random": lambda row: signed(row["against_delta"]),
        "its interval": lambda row: interval(row["against_low"], row["against_high"]),
        "its verdict": lambda row: row["against_verdict"] or "–",
    }
    return block_of("Arms, and what they keep", columns, rows)


def _contrast_blocks(contrasts: pl.DataFrame) -> list[Block]:
    share = typical_share(contrasts)
    own = contrasts.filter(pl.col("share") == share) if share is not None else contrasts
    if own.is_empty():
        return []
    labels = own["label"].unique(maintain_order=True).to_list()
    of = {(row["label"], row["score"]): row["difference"] for row in own.to_dicts()}
    scores = own["score"].unique(maintain_order=True)
    cells = [[score, *(signed(of[label, score], 2) for label in labels)] for score in scores]
    return [Block(f"Kept minus dropped, in standard deviations, at {share:.0%}", ["score", *labels], cells)]
