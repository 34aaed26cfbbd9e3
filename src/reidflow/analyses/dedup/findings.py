"""What a deduplication experiment found, in computed sentences."""

from collections.abc import Callable
from typing import Any

import polars as pl
from scipy.stats import spearmanr

from reidflow.analyses.dedup.tables import Duplicates
from reidflow.tables.layout import Block, block_of, count
from reidflow.tables.sections import Section
from reidflow.tables.text import interval, listed, markdown, number, setting, signed

DETECTION, THRESHOLDS, DYNAMICS, GROUPS, SUSPECTS = "detection", "thresholds", "dynamics", "groups", "suspects"
FIGURES = (DETECTION, THRESHOLDS, DYNAMICS, GROUPS, SUSPECTS)
"""Names of the figures; the last two are contact sheets."""
EXACT = {
    "exact_bytes": "the bytes of the two files are the same",
    "exact_pixels": "the decoded pixels are the same, whatever the file format",
}
_BITS = "the number of bits in which the hashes differ"
_ANGLE = "1 minus the cosine of two embeddings"
NEAR = {
    **dict.fromkeys(("ahash", "dhash", "phash", "whash"), _BITS),
    **dict.fromkeys(("ssim", "hash_ssim"), "1 minus the structural similarity"),
    **dict.fromkeys(("embedding", "knn", "cluster", "hash_embedding"), _ANGLE),
}
"""What the distance of a near method is; a user's own method may be none of these."""
_HYBRIDS = ("hash_ssim", "hash_embedding")
_SHOWN = 10
_RELATED = 5
_QUANTITIES = {
    "epochs_to_best": ("epochs to the best checkpoint", 1),
    "loss_last": ("loss of the last epoch", 3),
    "gradient_norm": ("norm of the gradient", 3),
    "active": ("share of the loss's terms above 0", 3),
    "hardness": ("hardness (mean of the loss's terms above 0)", 3),
}


def sections(found: Duplicates, methods: pl.DataFrame, suspects: pl.DataFrame, arms: pl.DataFrame) -> list[Section]:
    """Return the sections of the findings, from the tables METHODS, SUSPECTS and ARMS of `tables.dedup`."""
    rows = arms.to_dicts()
    detected = methods["recall"].count() > 0
    words = "Precision and recall against the planted copies" if detected else "Pairs by threshold"
    return [
        Section("What counts as a duplicate", _definitions(found)),
        Section(
            "How many duplicates each method finds",
            _detected(methods) if detected else _pairs(found, methods),
            [_method_block(found, methods)],
            {DETECTION: words},
        ),
        Section(
            "What the arms leave out",
            _shares(rows),
            [_arm_block(rows)],
            {THRESHOLDS: "Share left out, groups and test mAP by threshold"},
        ),
        Section(
            "The recommended threshold",
            _recommendation(rows),
            figures={GROUPS: "Groups at, just below and just above the threshold"},
        ),
        Section(
            "Training and mining",
            _training(rows),
            [_training_block(rows)],
            {DYNAMICS: "Training with and without duplicates"},
        ),
        Section(
            "Suspected label errors",
            _suspected(found, suspects, rows),
            [_suspect_block(suspects)] if suspects.height else [],
            {SUSPECTS: "Duplicates that carry the labels of two identities"},
        ),
    ]


def _bold(names: list[str]) -> str:
    return listed([f"**{markdown(name)}**" for name in names])


def _plural(value: int, noun: str) -> str:
    return f"{count(value)} {noun}" + ("" if value == 1 else "s")


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _definitions(found: Duplicates) -> list[str]:
    lines = []
    for method, component in found.methods.items():
        name, label = component["name"], f"**{markdown(found.labels[method])}**"
        settings = markdown(setting(component))
        if name in EXACT:
            lines.append(f"Exact, {label}: {EXACT[name]}.")
        elif found.loosest[method] == 0:
            lines.append(f"Exact, {label}: a distance of 0 ({settings}).")
        else:
            tried = found.thresholds.get(method, [])
            arms = (
                f"; thresholds of the arms: {listed([f'{value:g}' for value in tried])}"
                if tried
                else "; no arm trains with it"
            )
            told = NEAR.get(name, "a distance")
            lines.append(f"Near, {label}: {told}, at most the threshold ({settings}){arms}.")
    total = found.training.height
    return [
        *lines,
        f"Pairs are looked for among all {_plural(found.split.height, 'labelled image')}; only the {count(total)} training "
        "images are ever left out. A group is what pairs join, directly or through others; one image of each group stays.",
    ]


def _best_rows(methods: pl.DataFrame) -> list[dict[str, Any]]:
    """Return for each method the row with its highest F1, of equals the lowest threshold, best method first."""
    scored = methods.filter(pl.col("f1").is_not_null())
    best = scored.sort("f1", "threshold", descending=[True, False], maintain_order=True)
    best = best.group_by("method", maintain_order=True).first()
    return best.sort("f1", descending=True, maintain_order=True).to_dicts()


def _detected(methods: pl.DataFrame) -> list[str]:
    best = _best_rows(methods)
    if not best:
        return ["No planted copy lies among the labelled images."]
    top = [row for row in best if row["f1"] == best[0]["f1"]]
    lines = [f"The planted copies are found best by {_bold([row['label'] for row in top])}: {_quality(top[0])}."]
    hybrids = [row for row in best if is_hybrid(row["label"])]
    if hybrids:
        lines.append(f"The best hybrid is {_bold([hybrids[0]['label']])}: {_quality(hybrids[0])}.")
    last = best[-1]
    if last["f1"] < best[0]["f1"]:
        lines.append(f"They are found worst by {_bold([last['label']])}: {_quality(last)}.")
    lines.append(
        "These thresholds are the best in hindsight, read off the planted truth; no arm is chosen by them. "
        "A pair counts as right where both images go back to the same original."
    )
    return lines


def is_hybrid(label: str) -> bool:
    """Return whether a method confirms the candidates of another one."""
    return label.startswith(_HYBRIDS)


def _quality(row: dict[str, Any]) -> str:
    return (
        f"at {row['threshold']:g}, precision {number(row['precision'])}, recall {number(row['recall'])}, F1 {number(row['f1'])} "
        f"({_plural(row['pairs'], 'pair')})"
    )


def _pairs(found: Duplicates, methods: pl.DataFrame) -> list[str]:
    lines = []
    for method, label in found.labels.items():
        loosest = methods.filter(pl.col("method") == method).sort("threshold").to_dicts()[-1]
        lines.append(
            f"**{markdown(label)}** finds {_plural(loosest['pairs'], 'pair')} up to {loosest['threshold']:g}, "
            f"{count(loosest['cross_pairs'])} of them across identities; {_percent(loosest['share'])} of the training images "
            "would go."
        )
    return [*lines, "Which of them are copies in truth is not known for this data set: no precision can be given."]


def _method_block(found: Duplicates, methods: pl.DataFrame) -> Block:
    """Return a row for each threshold of an arm, and for the best threshold in hindsight where truth is known."""
    best = {(row["method"], row["threshold"]) for row in _best_rows(methods)}
    headings = ["method", "threshold", "pairs", "across identities", "groups", "largest", "left out", "share"]
    known = methods["recall"].count() > 0
    rows = []
    for row in methods.to_dicts():
        is_best = (row["method"], row["threshold"]) in best
        if not (row["arm"] or is_best or (not known and row["threshold"] == found.loosest[row["method"]])):
            continue
        cells = [row["label"], f"{row['threshold']:g}"]
        cells += [count(row[name]) for name in ("pairs", "cross_pairs", "groups", "largest_group", "dropped")]
        cells.append(_percent(row["share"]))
        if known:
            cells += [number(row[name]) for name in ("precision", "recall", "f1")]
            cells.append("best F1" if is_best else "")
        rows.append(cells)
    return Block(
        "Duplicates by method and threshold", headings + (["precision", "recall", "F1", "note"] if known else []), rows
    )


def _shares(rows: list[dict]) -> list[str]:
    trained = [row for row in rows if row["method"] is not None]
    if not trained:
        return ["No arm leaves out duplicates."]
    total = trained[0]["kept"] + trained[0]["dropped"]
    least, most = min(trained, key=lambda row: row["dropped"]), max(trained, key=lambda row: row["dropped"])
    if not most["dropped"]:
        return [
            f"No arm leaves out any of the {count(total)} training images: no method finds duplicates of one identity among them. "
            "Every arm is the same training."
        ]
    lines = [
        f"Of {count(total)} training images the arms leave out between {count(least['dropped'])} "
        f"({_percent(least['share'])}, {_bold([least['arm']])}) and {count(most['dropped'])} ({_percent(most['share'])}, "
        f"{_bold([most['arm']])})."
    ]
    groups: dict[str, list[str]] = {}
    for row in trained:
        if row["same_as"] is not None:
            groups.setdefault(row["same_as"], []).append(row["arm"])
    lines += [
        f"The same images for as many steps, hence one and the same training: {_bold([first, *others])}."
        for first, others in groups.items()
    ]
    differing = [row for row in trained if row["verdict"] in ("better", "worse")]
    for verdict in ("better", "worse"):
        told = [f"**{markdown(row['arm'])}** {_delta(row)}" for row in differing if row["verdict"] == verdict]
        if told:
            lines.append(f"On test, {verdict} than training on all images: {listed(told)}.")
    if not differing:
        lines.append(
            f"On test, none of the {_plural(len(trained), 'arm')} can be told from training on all images"
            f"{_detectable(trained)}."
        )
    return lines


def _detectable(rows: list[dict]) -> str:
    values = [row["smallest_detectable"] for row in rows if row["smallest_detectable"]]
    if not values:
        return ""
    low, high = number(min(values)), number(max(values))
    return f" (a difference of {low if low == high else f'{low} to {high}'} would most likely have been found)"


def _delta(row: dict) -> str:
    return f"{signed(row['delta'])} {interval(row['delta_low'], row['delta_high'])}"


def _setting(row: dict) -> str:
    if row["method"] is None:
        return "all images"
    return f"{markdown(row['label'])} at {row['threshold']:g}"


def _recommendation(rows: list[dict]) -> list[str]:
    overall = next((row for row in rows if row["recommended"] == "overall"), None)
    if overall is None:
        return ["There are no validation scores to choose a threshold on."]
    lines = [
        f"On validation, {_bold([overall['arm']])} ({_setting(overall)}) scores highest: {number(overall['val_id_map'])}."
    ]
    if overall["method"] is None:
        lines.append("Validation recommends to leave nothing out: no threshold scores higher than all images.")
    else:
        lines.append(
            f"Recommended: {_setting(overall)}, which leaves out {_plural(overall['dropped'], 'training image')} "
            f"({_percent(overall['share'])}). On test it is worth {_on_test(overall)}, against all images."
        )
    others = [
        f"{markdown(row['label'])} {row['threshold']:g} ({_percent(row['share'])} left out, {_on_test(row)})"
        for row in rows
        if row["recommended"] == "method"
    ]
    if others:
        lines.append(f"By method, validation recommends, with the worth on test against all images: {listed(others)}.")
    chosen = [row for row in rows if row["recommended"] and row["method"] is not None]
    if chosen and all(row["verdict"] not in ("better", "worse") for row in chosen):
        lines.append(
            "None of these can be told from training on all images. Choose by what else matters: images saved, and a split that "
            "does not leak."
        )
    return lines


def _on_test(row: dict) -> str:
    return _delta(row) + {"better": ": better", "worse": ": worse"}.get(row["verdict"], "")


def _training(rows: list[dict]) -> list[str]:
    base = next(row for row in rows if row["baseline"])
    trained = [row for row in rows if row["method"] is not None]
    lines = []
    for column, (words, digits) in _QUANTITIES.items():
        values = [(row["share"], row[column]) for row in trained if row[column] is not None]
        if base[column] is None or not values:
            continue
        low, high = min(value for _, value in values), max(value for _, value in values)
        lines.append(
            f"{words[0].upper()}{words[1:]}: {number(base[column], digits)} with all images, {number(low, digits)} to "
            f"{number(high, digits)} in the arms{_related(values)}."
        )
    return lines or ["No history was recorded."]


def _related(values: list[tuple[float, float]]) -> str:
    shares, found = zip(*values, strict=True)
    if len(values) < _RELATED or len(set(shares)) < 3 or len(set(found)) < 2:
        return ""
    return f"; rank correlation with the share left out {signed(float(spearmanr(shares, found).statistic), 2)} over {len(values)} arms"


def _suspected(found: Duplicates, suspects: pl.DataFrame, rows: list[dict]) -> list[str]:
    pairs = suspects.unique(["image", "other"], maintain_order=True)
    if not pairs.height:
        lines = ["No duplicate carries the labels of two identities: no label error is suspected."]
    else:
        lines = [
            f"{_plural(pairs.height, 'pair')} of images look like duplicates to some method, at the loosest threshold of its arms, "
            f"but carry the labels of two identities; {_agreed(found, pairs)}."
        ]
    for row in pairs.head(3).to_dicts():
        lines.append(
            f"{markdown(row['image'])} ({markdown(row['identity'])}, {row['role']}) and {markdown(row['other'])} "
            f"({markdown(row['other_identity'])}, {row['other_role']}): distance {row['distance']:.4g} by "
            f"{markdown(row['label'])}; found by {_plural(row['found_by'], 'method')}."
        )
    across = [row for row in rows if row["scope"] == "all"]
    dropped = [f"**{markdown(row['arm'])}** {count(row['dropped_across'])}" for row in across if row["dropped_across"]]
    lines.append(
        f"Images left out for their likeness to another identity, by arms whose scope is `all`: {listed(dropped)}; their keep "
        "lists name each image and the reason. No other arm leaves out an image for its likeness to another identity."
        if dropped
        else "No arm left out an image for its likeness to another identity; nothing is dropped silently."
    )
    return lines


def _agreed(found: Duplicates, pairs: pl.DataFrame) -> str:
    """Return how many of the suspected pairs many methods agree on: a copy looks alike to most of them."""
    total, most = len(found.methods), pairs["found_by"].max()
    half = pairs.filter(2 * pl.col("found_by") >= total).height
    if half or total == 1:
        return f"{count(half)} of them look so to at least half of the {_plural(total, 'method')}"
    return f"none of them to more than {most} of the {total} methods, so most are chance likeness"


def _arm_block(rows: list[dict]) -> Block:
    columns: dict[str, Callable[[dict], str]] = {
        "arm": lambda row: row["arm"],
        "method": lambda row: row["label"] or "–",
        "threshold": lambda row: "–" if row["threshold"] is None else f"{row['threshold']:g}",
        "scope": lambda row: row["scope"] or "–",
        "keep": lambda row: row["keep"] or "–",
        "kept": lambda row: count(row["kept"]),
        "left out": lambda row: count(row["dropped"]),
        "share": lambda row: _percent(row["share"]),
        "validation": lambda row: number(row["val_id_map"]),
        "id_map": lambda row: number(row["id_map"]),
        "delta": lambda row: signed(row["delta"]),
        "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
        "verdict": lambda row: row["verdict"],
        "recommended": lambda row: {"method": "of its method", "overall": "of all"}.get(row["recommended"], ""),
    }
    return block_of("Arms, and what they leave out", columns, rows)


def _training_block(rows: list[dict]) -> Block:
    columns: dict[str, Callable[[dict], str]] = {
        "arm": lambda row: row["arm"],
        "steps": lambda row: count(row["steps"]),
    }
    for column, (words, digits) in _QUANTITIES.items():
        columns[words] = lambda row, column=column, digits=digits: number(row[column], digits)
    return block_of("Training of the arms", columns, rows)


def _suspect_block(suspects: pl.DataFrame) -> Block:
    columns: dict[str, Callable[[dict], str]] = {
        "image": lambda row: row["image"],
        "identity": lambda row: row["identity"],
        "other": lambda row: row["other"],
        "its identity": lambda row: row["other_identity"],
        "roles": lambda row: f"{row['role']}, {row['other_role']}",
        "method": lambda row: row["label"],
        "distance": lambda row: f"{row['distance']:.4g}",
        "methods": lambda row: count(row["found_by"]),
    }
    pairs = suspects.unique(["image", "other"], maintain_order=True)
    more = f", the first {_SHOWN} of {pairs.height}" if pairs.height > _SHOWN else ""
    return block_of(f"Suspected label errors{more}", columns, pairs.head(_SHOWN).to_dicts())
