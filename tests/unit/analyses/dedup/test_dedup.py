"""Tables, findings and contact sheets of a deduplication report, against planted copies and effects."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dedup_tables as planted
import numpy as np
import polars as pl
import pytest
from drawn import texts
from PIL import Image

from reidflow.analyses.dedup import figures, sheets
from reidflow.analyses.dedup.findings import sections, training_quantities
from reidflow.analyses.dedup.tables import (
    ARMS,
    FINE,
    METHODS,
    SUSPECTS,
    Duplicates,
    arms_table,
    dynamics,
    grid,
    methods_table,
    read_duplicates,
    suspects_table,
)
from reidflow.curation.subset import KEEP
from reidflow.dedup.images import DUPLICATES
from reidflow.dedup.keep import links
from reidflow.figures.style import GREEN, VERMILLION, Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.tables import write_table
from reidflow.tables.parameters import component_labels

HEADING = Heading("Which <hash> costs $5 & gives $x_1$?", "demo (demo scale)")
WHO = {"t0": "A", "t1": "A", "t2": "A", "t3": "B", "t4": "B", "t5": "B", "v0": "A", "q0": "B"}
ROLES = {"t": "train", "v": "val", "q": "test"}
HASH, BYTES = {"name": "dhash", "bits": 64}, {"name": "exact_bytes"}
FOUND = [("t0", "t1", 0), ("t1", "t2", 2), ("t2", "t3", 1), ("t3", "q0", 1), ("t4", "t5", 3), ("t0", "v0", 3)]


def pairs(found: list[tuple]) -> pl.DataFrame:
    rows = [(image, other, float(distance), WHO[image] == WHO[other]) for image, other, distance in found]
    return pl.DataFrame(rows, schema=DUPLICATES.columns, orient="row")


def kept(dropped: dict[str, str]) -> pl.DataFrame:
    rows = [(i, who, None, i not in dropped, None, dropped.get(i)) for i, who in WHO.items() if i[0] == "t"]
    return pl.DataFrame(rows, schema=KEEP.columns, orient="row")


def a_manifest() -> pl.DataFrame:
    nothing = dict.fromkeys(MANIFEST.nullable)
    plain = {"path": "p", "sha256": "s", "pixels": "d", "width": 8, "height": 8, "format": "PNG", "mask": "none"}
    rows = [{"image": i, **plain, **nothing, "identity": w, "background_present": True} for i, w in WHO.items()]
    return pl.DataFrame(rows, schema=MANIFEST.columns)


def duplicates(truth: bool = True, cross: bool = True, **changes) -> Duplicates:
    split = [(i, who, i, ROLES[i[0]], None) for i, who in WHO.items()]
    copies = {"t1": "t0", "q0": "t3"}
    found = [pair for pair in FOUND if cross or WHO[pair[0]] == WHO[pair[1]]]
    parts = {
        "methods": {"h": HASH, "b": BYTES},
        "thresholds": {"h": [1.0, 3.0], "b": [0.0]},
        "loosest": {"h": 3.0, "b": 0.0},
        "pairs": {"h": pairs(found), "b": pairs([("t0", "t1", 0)])},
        "keep": {
            "tight": kept({"t1": "duplicate of t0"}),
            "loose": kept(dict.fromkeys(("t1", "t2", "t5"), "duplicate of t0")),
            "across": kept({"t1": "duplicate of t0", "t3": "suspected label error: duplicate of t2 of identity A"}),
            "bytes": kept({"t1": "duplicate of t0"}),
        },
        "manifest": a_manifest(),
        "split": pl.DataFrame(split, schema=SPLIT.columns, orient="row"),
        "truth": pl.DataFrame({"image": list(WHO), "duplicate_of": [copies.get(i) for i in WHO]}) if truth else None,
    }
    return Duplicates(**{**parts, **changes})


def spec(method: dict | None = None, threshold: float = 0.0, scope: str = "identity", matched: str = "epochs"):
    chosen = None if method is None else SimpleNamespace(method=method, threshold=threshold, scope=scope, keep="first")
    return SimpleNamespace(spec=SimpleNamespace(dedup=chosen, curation=None, matched=matched))


def experiment():
    arms = {
        "all": spec(),
        "tight": spec(HASH, 1.0),
        "loose": spec(HASH, 3.0),
        "across": spec(HASH, 1.0, "all"),
        "bytes": spec(BYTES),
        "curated": spec(),
    }
    return SimpleNamespace(arms=arms, file=SimpleNamespace(baseline="all"))


VALIDATION = {"all": 0.50, "tight": 0.55, "loose": 0.52, "across": 0.51, "bytes": 0.50}
DELTAS = {"tight": -0.01, "loose": 0.09, "across": 0.0, "bytes": 0.0}


def results(validation: dict | None = None, verdicts: dict | None = None) -> pl.DataFrame:
    rows = []
    for name in experiment().arms:
        delta = DELTAS.get(name)
        rows.append(
            {
                "arm": name,
                "id_map": 0.5 + (delta or 0.0),
                "delta": delta,
                "delta_low": None if delta is None else delta - 0.05,
                "delta_high": None if delta is None else delta + 0.05,
                "verdict": "baseline" if name == "all" else (verdicts or {}).get(name, "inconclusive"),
                "smallest_detectable": None if delta is None else 0.06,
                "val_id_map": (validation or VALIDATION).get(name),
                "epochs_to_best": 5.0,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def report(found: Duplicates | None = None, table: pl.DataFrame | None = None, histories: dict | None = None):
    found = found or duplicates()
    tables = methods_table(found), suspects_table(found)
    arms = arms_table(experiment(), found, results() if table is None else table, histories or {})
    return {s.title: " ".join(s.statements) for s in sections(found, *tables, arms)}, arms


def at(table: pl.DataFrame, method: str, threshold: float) -> dict:
    return table.row(by_predicate=(pl.col("method") == method) & (pl.col("threshold") == threshold), named=True)


def test_each_threshold_counts_the_pairs_of_all_images_and_the_groups_of_training_ones() -> None:
    table = methods_table(duplicates())
    METHODS.check(table, "here")
    assert table.filter(pl.col("method") == "h")["threshold"].to_list() == [0, 1, 2, 3]
    one = at(table, "h", 1.0)
    assert (one["pairs"], one["cross_pairs"], one["groups"], one["largest_group"], one["dropped"]) == (3, 1, 1, 2, 1)
    three = at(table, "h", 3.0)
    assert (three["pairs"], three["groups"], three["largest_group"], three["dropped"], three["share"]) == (
        6,
        2,
        3,
        3,
        0.5,
    )
    assert table.filter("arm").select("method", "threshold").rows() == [("h", 1.0), ("h", 3.0), ("b", 0.0)]


def test_precision_and_recall_are_those_of_the_planted_copies() -> None:
    table = methods_table(duplicates())
    assert [at(table, "h", 1.0)[name] for name in ("precision", "recall")] == [pytest.approx(2 / 3), 1.0]
    assert [at(table, "b", 0.0)[name] for name in ("precision", "recall")] == [1.0, 0.5]
    assert at(table, "b", 0.0)["f1"] == pytest.approx(2 / 3)


def test_without_known_copies_there_is_no_precision() -> None:
    found = duplicates(truth=False)
    table = methods_table(found)
    METHODS.check(table, "here")
    assert table["precision"].null_count() == table.height
    text, _ = report(found)
    assert "no precision or recall" in text["How many duplicates each method finds"]


def test_suspects_are_pairs_within_the_loosest_threshold_of_the_arms() -> None:
    found = duplicates(
        pairs={"h": pairs([("t2", "t3", 3), ("t1", "t4", 2), ("t0", "t5", 3.5)]), "b": pairs([])},
        loosest={"h": 9.0, "b": 0.0},
    )
    assert suspects_table(found).select("image", "other", "threshold").rows() == [("t1", "t4", 3.0), ("t2", "t3", 3.0)]
    found = replace(found, thresholds={"h": [], "b": [0.0]})
    assert suspects_table(found).height == 3


def test_it_is_said_how_many_methods_agree_on_suspects() -> None:
    cross = [("t2", "t3", 1), ("t1", "t4", 2)]
    names = ("h", "b", "c")
    found = duplicates(
        methods={name: {"name": name} for name in names},
        thresholds={name: [3.0] for name in names},
        loosest=dict.fromkeys(names, 3.0),
        pairs={"h": pairs(cross), "b": pairs(cross[:1]), "c": pairs([])},
    )
    text, _ = report(replace(found, methods=found.methods | {"h": HASH, "b": BYTES}))
    assert "2 pairs of images are duplicates to some method" in text["Suspected label errors"]
    assert "; 1 of them to at least half of the 3 methods." in text["Suspected label errors"]
    alone = replace(found, methods=found.methods | {"h": HASH, "b": BYTES}, pairs=found.pairs | {"b": pairs([])})
    assert "none of them to more than 1 of the 3 methods" in report(alone)[0]["Suspected label errors"]


def test_a_method_that_finds_no_pair_is_reported_as_such() -> None:
    found = duplicates(pairs={"h": pairs([]), "b": pairs([])})
    table = methods_table(found)
    assert table["pairs"].sum() == table["dropped"].sum() == 0
    assert set(table["largest_group"]) == {1}
    assert suspects_table(found).is_empty()


def test_distances_that_are_not_whole_numbers_are_counted_on_a_fine_grid_with_the_thresholds_of_the_arms() -> None:
    found = duplicates(pairs={"h": pairs([("t0", "t1", 0.013)])}, thresholds={"h": [0.0137]}, loosest={"h": 0.05})
    steps = grid(found, "h")
    assert len(steps) == FINE + 2 and 0.0137 in steps and steps[-1] == 0.05 and steps == sorted(steps)


def test_suspects_are_pairs_of_two_identities_the_one_that_most_methods_find_first() -> None:
    more = pairs([("t2", "t3", 1), ("t0", "t4", 0)])
    found = duplicates(pairs={"h": pairs(FOUND), "b": more}, thresholds={"h": [3.0], "b": [2.0]})
    table = suspects_table(found)
    SUSPECTS.check(table, "here")
    assert table.select("image", "other", "method", "found_by").rows() == [
        ("t2", "t3", "h", 2),
        ("t2", "t3", "b", 2),
        ("t0", "t4", "b", 1),
    ]
    assert table.row(0, named=True)["other_identity"] == "B"
    assert table.row(0, named=True)["role"] == "train"


def test_arms_tell_what_they_leave_out_and_arms_of_another_factor_are_not_among_them() -> None:
    _, arms = report()
    ARMS.check(arms, "here")
    assert arms.select("arm", "kept", "dropped", "dropped_across").rows() == [
        ("all", 6, 0, 0),
        ("tight", 5, 1, 0),
        ("loose", 3, 3, 0),
        ("across", 4, 2, 1),
        ("bytes", 5, 1, 0),
    ]
    assert dict(arms.select("arm", "same_as").rows())["bytes"] == "tight"
    assert arms["same_as"].null_count() == 4


def test_the_threshold_is_chosen_on_validation_though_test_prefers_another() -> None:
    text, arms = report()
    chosen = dict(arms.select("arm", "recommended").rows())
    assert chosen == {"all": None, "tight": "overall", "loose": None, "across": None, "bytes": "method"}
    words = text["The recommended threshold"]
    assert "dhash at 1 (**tight**), with the highest validation mAP: 0.550." in words
    assert "On test, the difference from all images is -0.010 [-0.060, +0.040] (inconclusive)." in words
    assert "not significantly different from all images" in words


def test_of_equal_validation_scores_the_arm_that_drops_fewer_images_is_recommended() -> None:
    _, arms = report(table=results(dict.fromkeys(VALIDATION, 0.5)))
    assert dict(arms.select("arm", "recommended").rows()) == {
        "all": "overall", "tight": "method", "loose": None, "across": None, "bytes": "method",
    }  # fmt: skip


def test_nothing_is_dropped_where_validation_prefers_all_images_or_has_no_scores() -> None:
    text, _ = report(table=results({**VALIDATION, "all": 0.9}))
    assert "Drop nothing" in text["The recommended threshold"]
    text, arms = report(table=results({"nobody": 0.0}))
    assert "no validation scores" in text["The recommended threshold"]
    assert arms["recommended"].null_count() == arms.height


def test_where_no_arm_drops_an_image_all_images_are_recommended() -> None:
    nothing = {name: kept({}) for name in ("tight", "loose", "across", "bytes")}
    text, arms = report(duplicates(keep=nothing), results(dict.fromkeys(VALIDATION, 0.5)))
    assert "No arm drops any of the 6 training images" in text["What the arms drop"]
    assert "Drop nothing" in text["The recommended threshold"]
    assert dict(arms.select("arm", "same_as").rows())["loose"] == "all"


def test_findings_name_the_best_method_the_best_hybrid_and_what_differs() -> None:
    found = duplicates(
        methods={"h": HASH, "b": BYTES, "s": {"name": "hash_ssim"}},
        thresholds={"h": [1.0, 3.0], "b": [0.0], "s": []},
        loosest={"h": 3.0, "b": 0.0, "s": 1.0},
        pairs={"h": pairs(FOUND), "b": pairs([("t0", "t1", 0)]), "s": pairs([("t0", "t1", 0), ("t3", "q0", 0)])},
    )
    text, _ = report(found, results(verdicts={"loose": "better", "across": "worse"}))
    words = text["How many duplicates each method finds"]
    assert (
        "**hash_ssim** finds the planted copies best: at 0, precision 1.000, recall 1.000, F1 1.000 (2 pairs)." in words
    )
    assert "Best hybrid: **hash_ssim**" in words
    assert "**exact_bytes** finds them worst" in words
    assert (
        "significantly better than training on all images: **loose** +0.090 [+0.040, +0.140]"
        in text["What the arms drop"]
    )
    assert "significantly worse than training on all images: **across**" in text["What the arms drop"]


def test_what_was_dropped_across_identities_is_never_silent() -> None:
    text, _ = report()
    assert "by arms whose scope is `all`: **across** 1 image" in text["Suspected label errors"]
    keep = dict(duplicates().keep) | {"across": kept({"t1": "duplicate of t0"})}
    text, _ = report(duplicates(cross=False, keep=keep))
    assert "no label error is suspected" in text["Suspected label errors"]
    assert "No arm drops an image for its likeness" in text["Suspected label errors"]


def test_no_name_of_a_user_breaks_the_findings() -> None:
    found = duplicates()
    arms = arms_table(experiment(), found, results(), {})
    arms = arms.with_columns(arm=pl.col("arm").replace("tight", "a|b_*c*<i>"))
    written = sections(found, methods_table(found), suspects_table(found), arms)
    assert any(r"a\|b\_\*c\*\<i\>" in line for section in written for line in section.statements)


def test_blocks_show_definitions_best_thresholds_and_recommendations() -> None:
    found = duplicates()
    arms = arms_table(experiment(), found, results(), {})
    written = {s.title: s.tables for s in sections(found, methods_table(found), suspects_table(found), arms)}
    assert written["What counts as a duplicate"][0].rows == [
        ["dhash", "near", "number of bits in which the hashes differ", "bits 64", "1, 3"],
        ["exact_bytes", "exact", "equal bytes of the two files", "–", "0"],
    ]
    (methods,) = written["How many duplicates each method finds"]
    assert [(row[0], row[1], row[-1]) for row in methods.rows] == [
        ("dhash", "1", "highest F1"), ("dhash", "3", "–"), ("exact_bytes", "0", "highest F1"),
    ]  # fmt: skip
    assert {row[0]: row[-1] for row in written["What the arms drop"][0].rows}["tight"] == "of all"


def test_quantities_of_the_training_are_compared_with_the_baseline_and_the_share_dropped() -> None:
    rows = [{"baseline": not i, "method": "h" if i else None, "share": i / 10} for i in range(6)]
    rows = [{**row, "epochs_to_best": 9.0 - i, "loss_last": 0.1, "gradient_norm": None} for i, row in enumerate(rows)]
    rows = [{**row, "active": None if i else 1.0, "hardness": float(i == 3)} for i, row in enumerate(rows)]
    epochs, loss, hardness = training_quantities(rows)
    assert (epochs["baseline"], epochs["low"], epochs["high"], epochs["correlation"]) == (9, 4, 8, pytest.approx(-1))
    assert loss["correlation"] is None
    assert (hardness["name"], hardness["high"]) == ("hardness", 1)
    assert training_quantities(rows[:5])[0]["correlation"] is None


def test_dynamics_are_means_over_seeds_and_unrecorded_ones_are_null() -> None:
    rows = [(0, 0, None, None), (0, 1, 3.0, 0.5), (0, 2, 1.0, 0.3), (1, 1, 2.0, 0.7), (1, 2, float("nan"), 0.1)]
    history = pl.DataFrame(rows, schema=["seed", "epoch", "loss", "active"], orient="row")
    found = dynamics(history)
    assert found["loss_last"] == 1.0
    assert found["active"] == pytest.approx(0.4)
    assert found["hardness"] is None and found["gradient_norm"] is None
    assert set(dynamics(None).values()) == {None}


def test_labels_hold_the_parameters_in_which_components_of_one_name_differ() -> None:
    found = component_labels(
        {1: {"name": "p", "bits": 64, "x": 1}, 2: {"name": "p", "bits": 256, "x": 1}, 3: {"name": "q", "x": 1}}
    )
    assert found == {1: "p (bits 64)", 2: "p (bits 256)", 3: "q"}


def test_files_are_known_by_their_folders(tmp_path: Path) -> None:
    found = duplicates()
    write_table(found.pairs["h"], _made(tmp_path / "dhash-1" / "pairs.parquet"), DUPLICATES)
    write_table(found.keep["tight"], _made(tmp_path / "s-1" / "keep.parquet"), KEEP)
    write_table(found.manifest, tmp_path / "manifest.parquet", MANIFEST)
    write_table(found.split, tmp_path / "split.parquet", SPLIT)
    files = {
        "pairs": [str(tmp_path / "dhash-1" / "pairs.parquet")],
        "keep": [str(tmp_path / "s-1" / "keep.parquet")],
        "manifest": tmp_path / "manifest.parquet",
        "split": tmp_path / "split.parquet",
        "truth": [],
    }
    params = {"methods": {"dhash-1": HASH}, "thresholds": {}, "loosest": {}, "subsets": {"tight": "s-1", "same": "s-1"}}
    read = read_duplicates(params, files)
    assert read.pairs["dhash-1"].equals(found.pairs["h"])
    assert read.keep["same"].equals(found.keep["tight"])
    assert read.truth is None


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path


def test_figures_without_data_say_so() -> None:
    nothing = planted.methods(3).with_columns(
        dropped=pl.lit(0, pl.Int64), share=pl.lit(0.0), groups=pl.lit(0, pl.Int64)
    )
    words = [text for text, _ in texts(figures.thresholds(nothing, planted.dedup_arms(3), HEADING))]
    assert any("100 training images" in line for line in words)
    assert "finds no pair" in [text for text, _ in texts(figures.detection(planted.methods(3), HEADING))]
    words = [text for text, _ in texts(figures.dynamics({}, planted.dedup_arms(3), HEADING))]
    assert "No history of training was recorded." in words


def test_dynamics_end_where_the_first_seed_stopped() -> None:
    history = planted.history(("loss",), 4).filter((pl.col("seed") == 0) | (pl.col("epoch") < 3))
    assert figures.mean_curve(history, "loss") == ([1, 2], [1.5, 0.75])
    assert figures.mean_curve(history, "hardness") == ([], [])


def test_groups_are_those_at_just_below_and_just_above_the_threshold() -> None:
    found = planted.duplicates([(0, 1, 2), (1, 2, 1), (3, 4, 1), (6, 7, 0), (8, 9, 3), (0, 11, 1)])
    joined = links(found.training, found.pairs["m0"], float("inf"), "identity")
    shown: set[int] = set()
    rank = {d: np.flatnonzero(joined.distances == d) for d in (0, 1, 2, 3)}
    assert sheets._examples(joined, rank[2], 2.0, shown) == [(2.0, [0, 1, 2])]
    assert sheets._examples(joined, np.concatenate([rank[1], rank[0]]), 2.0, shown) == [
        (1.0, [3, 4]),
        (0.0, [6, 7]),
    ]
    assert sheets._examples(joined, rank[3], 2.0, shown) == [(3.0, [8, 9])]


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def inside_of(sheet: np.ndarray, colour: str) -> set[int]:
    """Return the shades of the images with a border of this colour, found from the borders' left edges."""
    edge = (sheet == rgb(colour)).all(axis=2)
    found = set()
    for row, column in zip(*np.nonzero(edge), strict=True):
        if edge[row : row + 64, column].all() and edge[row, column : column + 64].all() and row + 64 <= len(sheet):
            found.add(int(sheet[row + 32, column + 32, 0]))
    return found


def test_kept_and_dropped_images_differ_in_their_border(tmp_path: Path) -> None:
    found = planted.duplicates([(0, 1, 2), (8, 9, 3)], dropped=[1])
    images = planted.pixels()
    sheets.groups_sheet(images, found, planted.sheet_arms(), HEADING, tmp_path / "s.png", tile=64)
    shades = images[:, 0, 0, 0].astype(int).tolist()
    sheet = pixels_of(tmp_path / "s.png")
    assert inside_of(sheet, VERMILLION) == {shades[1]}
    assert inside_of(sheet, GREEN) == {shades[i] for i in (0, 8, 9)}


def test_groups_without_pairs_or_without_arms_are_a_sheet_that_says_so(tmp_path: Path) -> None:
    sheets.groups_sheet(planted.pixels(), planted.duplicates([]), planted.sheet_arms(None), HEADING, tmp_path / "a.png")
    empty = planted.sheet_arms().clear()
    sheets.groups_sheet(planted.pixels(), planted.duplicates([]), empty, HEADING, tmp_path / "b.png")
    assert pixels_of(tmp_path / "a.png").min() < 200 and pixels_of(tmp_path / "b.png").min() < 200


def test_pairs_beyond_the_loosest_threshold_are_said_not_to_be_searched(monkeypatch, tmp_path: Path) -> None:
    written = []
    monkeypatch.setattr(
        sheets, "write_sheet", lambda rows, *rest: written.append({r.words[0]: r.words[-1] for r in rows})
    )
    found = planted.duplicates([(0, 1, 1)])
    for loosest in (9.0, 2.0):
        known = replace(found, loosest={"m0": loosest})
        sheets.groups_sheet(planted.pixels(), known, planted.sheet_arms(), HEADING, tmp_path / "s.png")
    assert written[0]["just above"] == "no pair"
    assert written[1]["just above"] == "not searched beyond 2"


def test_the_groups_just_below_the_threshold_are_the_closest_to_it(monkeypatch, tmp_path: Path) -> None:
    written = {}
    monkeypatch.setattr(
        sheets,
        "write_sheet",
        lambda rows, *rest: written.update({r.words[0]: [t.caption for t in r.tiles] for r in rows}),
    )
    found = planted.duplicates([(0, 1, 0), (2, 3, 1.5), (6, 7, 5), (8, 9, 3)])
    sheets.groups_sheet(planted.pixels(), found, planted.sheet_arms(), HEADING, tmp_path / "s.png")
    assert written["just below"] == ["A i02", "i03: 1.5", "", "A i00", "i01: 0"]
    assert written["just above"] == ["B i08", "i09: 3", "", "B i06", "i07: 5"]


def suspected(pairs: list[tuple[int, int]]) -> pl.DataFrame:
    rows = [
        (planted.IMAGES[i], planted.IMAGES[j], "A", "B", "train", "test", "m0", "dhash", 1.0, 2.0, 1) for i, j in pairs
    ]
    return pl.DataFrame(rows, schema=SUSPECTS.columns, orient="row")


def test_suspects_stand_pair_by_pair_in_one_colour(tmp_path: Path) -> None:
    images = planted.pixels()
    found = planted.duplicates([])
    sheets.suspects_sheet(images, found, suspected([(0, 6), (2, 9)]), HEADING, tmp_path / "s.png", tile=64)
    shades = images[:, 0, 0, 0].astype(int).tolist()
    sheet = pixels_of(tmp_path / "s.png")
    for pair, colour in zip([(0, 6), (2, 9)], sheets.COLOURS, strict=False):
        assert inside_of(sheet, colour) == {shades[i] for i in pair}


def test_no_suspect_is_a_sheet_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(sheets, "write_sheet", lambda rows, out, heading, tile: written.append((rows, heading)))
    sheets.suspects_sheet(planted.pixels(), planted.duplicates([]), suspected([]), HEADING, tmp_path / "s.png")
    ((rows, heading),) = written
    assert "none found" in heading.subtitle
    assert rows[0].words[0] == "none found"
