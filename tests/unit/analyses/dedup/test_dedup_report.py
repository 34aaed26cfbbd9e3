"""The tables and statements of a deduplication report, against copies and effects that were planted."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from reidflow.analyses.dedup import tables as dedup
from reidflow.analyses.dedup.dynamics import dynamics
from reidflow.analyses.dedup.findings import sections
from reidflow.analyses.dedup.tables import (
    ARMS,
    METHODS,
    SUSPECTS,
    Duplicates,
    arms_table,
    methods_table,
    suspects_table,
)
from reidflow.curation.subset import KEEP
from reidflow.dedup.images import DUPLICATES
from reidflow.ingest.manifest import MANIFEST
from reidflow.splits.split import SPLIT
from reidflow.store.tables import write_table
from reidflow.tables.parameters import component_labels
from reidflow.tables.sections import read_sections, write_sections

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


def test_without_known_copies_there_is_no_precision_and_the_findings_say_so() -> None:
    found = duplicates(truth=False)
    table = methods_table(found)
    METHODS.check(table, "here")
    assert table["precision"].null_count() == table.height
    said, _ = report(found)
    assert "no precision can be given" in said["How many duplicates each method finds"]


def test_a_method_that_finds_no_pair_is_reported_as_such() -> None:
    found = duplicates(pairs={"h": pairs([]), "b": pairs([])})
    table = methods_table(found)
    assert table["pairs"].sum() == table["dropped"].sum() == 0
    assert set(table["largest_group"]) == {1}
    assert suspects_table(found).is_empty()


def test_distances_that_are_not_whole_numbers_are_looked_at_on_a_fine_grid_with_the_thresholds_of_the_arms() -> None:
    found = duplicates(pairs={"h": pairs([("t0", "t1", 0.013)])}, thresholds={"h": [0.0137]}, loosest={"h": 0.05})
    steps = dedup.grid(found, "h")
    assert len(steps) == dedup.FINE + 2 and 0.0137 in steps and steps[-1] == 0.05 and steps == sorted(steps)


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
    said, arms = report()
    chosen = dict(arms.select("arm", "recommended").rows())
    assert chosen == {"all": None, "tight": "overall", "loose": None, "across": None, "bytes": "method"}
    words = said["The recommended threshold"]
    assert "**tight** (dhash at 1) scores highest: 0.550" in words
    assert "it is worth -0.010 [-0.060, +0.040], against all images" in words
    assert "None of these can be told from training on all images" in words


def test_of_equal_validation_scores_the_arm_that_leaves_out_fewer_images_is_recommended() -> None:
    _, arms = report(table=results(dict.fromkeys(VALIDATION, 0.5)))
    assert dict(arms.select("arm", "recommended").rows()) == {
        "all": "overall", "tight": "method", "loose": None, "across": None, "bytes": "method",
    }  # fmt: skip


def test_nothing_is_recommended_where_validation_prefers_all_images_or_has_no_scores() -> None:
    said, _ = report(table=results({**VALIDATION, "all": 0.9}))
    assert "recommends to leave nothing out" in said["The recommended threshold"]
    said, arms = report(table=results({"nobody": 0.0}))
    assert "no validation scores" in said["The recommended threshold"]
    assert arms["recommended"].null_count() == arms.height


def test_where_no_arm_leaves_out_an_image_the_findings_say_so_and_recommend_all_images() -> None:
    nothing = {name: kept({}) for name in ("tight", "loose", "across", "bytes")}
    said, arms = report(duplicates(keep=nothing), results(dict.fromkeys(VALIDATION, 0.5)))
    assert "No arm leaves out any of the 6 training images" in said["What the arms leave out"]
    assert "recommends to leave nothing out" in said["The recommended threshold"]
    assert dict(arms.select("arm", "same_as").rows())["loose"] == "all"


def test_findings_name_the_best_method_the_best_hybrid_and_what_differs() -> None:
    found = duplicates(
        methods={"h": HASH, "b": BYTES, "s": {"name": "hash_ssim"}},
        thresholds={"h": [1.0, 3.0], "b": [0.0], "s": []},
        loosest={"h": 3.0, "b": 0.0, "s": 1.0},
        pairs={"h": pairs(FOUND), "b": pairs([("t0", "t1", 0)]), "s": pairs([("t0", "t1", 0), ("t3", "q0", 0)])},
    )
    said, _ = report(found, results(verdicts={"loose": "better", "across": "worse"}))
    words = said["How many duplicates each method finds"]
    assert "found best by **hash_ssim**: at 0, precision 1.000, recall 1.000" in words
    assert "best hybrid is **hash_ssim**" in words
    assert "found worst by **exact_bytes**" in words
    assert "better than training on all images: **loose** +0.090" in said["What the arms leave out"]
    assert "worse than training on all images: **across**" in said["What the arms leave out"]
    assert "Exact, **exact_bytes**" in said["What counts as a duplicate"]


def test_what_was_dropped_across_identities_is_never_silent() -> None:
    said, _ = report()
    assert "by arms whose scope is `all`: **across** 1" in said["Suspected label errors"]
    keep = dict(duplicates().keep) | {"across": kept({"t1": "duplicate of t0"})}
    said, _ = report(duplicates(cross=False, keep=keep))
    assert "no label error is suspected" in said["Suspected label errors"]
    assert "No arm left out an image for its likeness" in said["Suspected label errors"]


def test_sections_survive_their_file_and_no_name_of_a_user_breaks_them(tmp_path: Path) -> None:
    found = duplicates()
    arms = arms_table(experiment(), found, results(), {})
    arms = arms.with_columns(arm=pl.col("arm").replace("tight", "a|b_*c*<i>"))
    written = sections(found, methods_table(found), suspects_table(found), arms)
    write_sections(tmp_path / "s.json", written)
    assert read_sections(tmp_path / "s.json") == written
    assert any(r"a\|b\_\*c\*\<i\>" in line for section in written for line in section.statements)


def test_dynamics_are_means_over_seeds_and_unrecorded_ones_are_null() -> None:
    rows = [(0, 0, None, None), (0, 1, 3.0, 0.5), (0, 2, 1.0, 0.3), (1, 1, 2.0, 0.7), (1, 2, float("nan"), 0.1)]
    history = pl.DataFrame(rows, schema=["seed", "epoch", "loss", "active"], orient="row")
    found = dynamics(history)
    assert found["loss_last"] == 1.0
    assert found["active"] == pytest.approx(0.4)
    assert found["hardness"] is None and found["gradient_norm"] is None
    assert set(dynamics(None).values()) == {None}


def test_labels_tell_components_of_one_name_apart_and_no_more() -> None:
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
    files = SimpleNamespace(
        pairs=[str(tmp_path / "dhash-1" / "pairs.parquet")],
        keep=[str(tmp_path / "s-1" / "keep.parquet")],
        manifest=tmp_path / "manifest.parquet",
        split=tmp_path / "split.parquet",
        truth=[],
    )
    given = {"methods": {"dhash-1": HASH}, "thresholds": {}, "loosest": {}, "subsets": {"tight": "s-1", "same": "s-1"}}
    read = dedup.read_duplicates(given, files)
    assert read.pairs["dhash-1"].equals(found.pairs["h"])
    assert read.keep["same"].equals(found.keep["tight"])
    assert read.truth is None


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    return path
