"""The tables and statements of a curation report, against planted choices and effects."""

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from reidflow.analyses.curation.findings import _by_method, _told, sections, typical_share
from reidflow.analyses.curation.tables import ARMS, CONTRASTS, Curation, arms_table, contrasts_table, split_scores
from reidflow.curation.scores import SCORES
from reidflow.curation.subset import KEEP
from reidflow.tables.sections import read_sections, write_sections

IMAGES = [f"i{n}" for n in range(8)]
WHO = dict(zip(IMAGES, "AAAABBBC", strict=True))
QUALITY = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def scores(**changes) -> pl.DataFrame:
    plain = {name: [0.5] * 8 for name, kind in SCORES.columns.items() if kind == pl.Float64}
    columns = {
        "image": IMAGES,
        "identity": list(WHO.values()),
        **plain,
        "quality": QUALITY,
        "label_doubt": [0.0] * 7 + [0.9],
    }
    return pl.DataFrame({**columns, **changes}, schema=SCORES.columns)


def kept(*choices: list[str]) -> pl.DataFrame:
    """A keep list; several choices are those of the seeds 0, 1, ..."""
    seeds = [None] if len(choices) == 1 else range(len(choices))
    rows = [
        (image, WHO[image], seed, image in chosen, None, None)
        for seed, chosen in zip(seeds, choices, strict=True)
        for image in IMAGES
    ]
    return pl.DataFrame(rows, schema=KEEP.columns, orient="row")


def spec(method: str | None = None, share: float = 0.5, matched: str = "epochs") -> SimpleNamespace:
    chosen = None if method is None else SimpleNamespace(method={"name": method}, share=share)
    return SimpleNamespace(spec=SimpleNamespace(curation=chosen, dedup=None, matched=matched))


ARM_SPECS = {
    "all": spec(),
    "random": spec("random"),
    "best": spec("quality"),
    "copy": spec("k_center"),
    "best_steps": spec("quality", matched="steps"),
    "no_copies": spec(),
}
KEPT = {
    "random": kept(IMAGES[::2], IMAGES[1::2]),
    "best": kept(IMAGES[:4]),
    "copy": kept(IMAGES[:4]),
    "best_steps": kept(IMAGES[:4]),
}


def experiment() -> SimpleNamespace:
    return SimpleNamespace(arms=ARM_SPECS, file=SimpleNamespace(baseline="all"))


STEPS = {"all": 100.0, "random": 60.0, "best": 50.0, "copy": 55.0, "best_steps": 100.0, "no_copies": 1.0}


def results(verdicts: dict | None = None, against: dict | None = None) -> pl.DataFrame:
    verdicts, against = verdicts or {}, against or {}
    rows = []
    for name in ARM_SPECS:
        delta = None if name == "all" else -0.02
        control = "random" if name in ("best", "copy", "best_steps") else None
        rows.append(
            {
                "arm": name,
                "id_map": 0.5 + (delta or 0),
                "id_map_by_seed": [0.5, 0.52],
                "delta": delta,
                "delta_low": delta and delta - 0.03,
                "delta_high": delta and delta + 0.03,
                "smallest_detectable": delta and 0.04,
                "verdict": "baseline" if name == "all" else verdicts.get(name, "inconclusive"),
                "against": control,
                "against_delta": control and 0.01,
                "against_low": control and -0.01,
                "against_high": control and 0.03,
                "against_verdict": control and against.get(name, "inconclusive"),
                "steps": STEPS[name],
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


SECONDS = {"all": 10.0, "random": 6.0, "best": 5.0, "copy": 5.5, "best_steps": 10.0, "no_copies": 1.0}
EFFICIENCY = pl.DataFrame({"arm": list(SECONDS), "seconds_train": list(SECONDS.values())})


def report(table: pl.DataFrame | None = None, found: Curation | None = None):
    found = found or Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results() if table is None else table)
    written = sections(found, arms, contrasts_table(found, arms), EFFICIENCY)
    return {section.title: " ".join(section.statements) for section in written}, arms


def test_arms_tell_what_they_keep_and_what_training_that_saves() -> None:
    _, arms = report()
    ARMS.check(arms, "here")
    assert arms["arm"].to_list() == ["all", "random", "best", "copy", "best_steps"]
    columns = arms.select("arm", "kept", "identities", "draws", "steps_saved").rows_by_key("arm", unique=True)
    assert columns["all"] == (8.0, 3.0, 1, 0.0)
    assert columns["random"] == (4.0, 2.5, 2, 0.4)
    assert columns["best"] == (4.0, 1.0, 1, 0.5)


def test_arms_that_keep_the_same_images_are_said_to_be_one_training() -> None:
    said, arms = report()
    assert dict(arms.select("arm", "same_as").rows()) == {
        "all": None, "random": None, "best": None, "copy": "best", "best_steps": None,
    }  # fmt: skip
    assert "one and the same training: **best** and **copy**" in said["Identities and images"]


def test_identities_without_an_image_are_named_once_though_single_draws_may_lose_them_too() -> None:
    said, arms = report()
    assert dict(arms.select("arm", "lost_identities").rows())["random"] == []
    words = said["Identities and images"]
    assert words.count("**quality** at 50% keeps no image of B, C") == 1
    assert "random" not in words


def test_where_no_identity_is_lost_the_findings_say_so() -> None:
    whole = {name: kept(["i0", "i4", "i7", "i1"]) for name in KEPT}
    said, _ = report(found=Curation(scores(), whole, pl.DataFrame({"image": IMAGES})))
    assert "Every identity keeps at least one training image in every arm." in said["Identities and images"]


def test_choices_are_judged_against_random_ones_at_equal_epochs_and_at_equal_steps() -> None:
    said, _ = report(results(against={"best": "better", "best_steps": "worse"}))
    words = said["Against random images of the same number"]
    assert "At equal epochs, better than their control of random images: **best** +0.010 [-0.010, +0.030]." in words
    assert "At equal epochs, not told apart from random images of the same number: **k_center** (50%)." in words
    assert "At equal steps, worse than their control of random images: **best_steps**" in words


def test_no_training_is_counted_as_saved_by_a_choice_that_loses() -> None:
    said, _ = report(results(verdicts={"best": "worse"}))
    assert "saved by **copy**: 45% of the optimizer steps" in said["Training time"]
    said, _ = report(results(verdicts=dict.fromkeys(ARM_SPECS, "worse")))
    assert "no training is saved for nothing" in said["Training time"]
    said, _ = report(results().with_columns(steps=pl.lit(None, pl.Float64)))
    assert "no optimizer steps" in said["Training time"]


def test_measured_seconds_stand_in_a_table_and_in_no_statement_nor_in_the_parquet_table() -> None:
    found = Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results())
    twice = [
        sections(found, arms, contrasts_table(found, arms), EFFICIENCY.with_columns(pl.col("seconds_train") * factor))
        for factor in (1, 3)
    ]
    assert [section.statements for section in twice[0]] == [section.statements for section in twice[1]]
    (block,) = twice[0][2].tables
    assert {row[0]: row[-2:] for row in block.rows}["best"] == ["5.00", "50%"]


def test_many_arms_are_told_by_method_with_their_shares() -> None:
    shares = [0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    rows = [
        {"arm": f"a{s}", "label": "quality", "share": s, "delta": -0.1, "delta_low": -0.2, "delta_high": -0.01}
        for s in shares
    ]
    assert _told(rows, "delta").startswith("**quality** (10% -0.100, 20% -0.100")
    assert _told(rows[:2], "delta") == "**a0.1** -0.100 [-0.200, -0.010] and **a0.2** -0.100 [-0.200, -0.010]"
    assert _by_method(rows[:2]) == "**quality** (10%, 20%)"


def test_contrasts_are_kept_minus_dropped_in_standard_deviations() -> None:
    found = Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results())
    table = contrasts_table(found, arms)
    CONTRASTS.check(table, "here")
    quality = table.filter(pl.col("score") == "quality").rows_by_key("arm", named=True, unique=True)
    assert set(quality) == {"random", "best", "copy"}
    assert quality["best"]["difference"] == pytest.approx(4 / pl.Series(QUALITY).std())
    assert quality["random"]["difference"] == pytest.approx(0)
    assert (quality["random"]["chance"], quality["best"]["chance"]) == (True, False)
    assert table.filter(pl.col("score") == "sharpness")["difference"].null_count() == 3
    words = " ".join(sections(found, arms, table, EFFICIENCY)[3].statements)
    assert "**k_center**, keeping 50%: quality +1.63" in words


def test_scores_that_are_not_known_are_left_out_whole_or_image_by_image() -> None:
    missing = scores(foreground=[None] * 8, truncation=[None, 1.0, *[None] * 6])
    found = Curation(missing, KEPT, pl.DataFrame({"image": IMAGES}))
    assert "foreground" not in found.names and "truncation" in found.names
    here, gone = split_scores(found, "best", "truncation")
    assert (here.to_list(), gone.to_list()) == ([1.0], [])
    arms = arms_table(experiment(), found, results())
    own = contrasts_table(found, arms).filter((pl.col("score") == "truncation") & (pl.col("arm") == "best"))
    assert own.row(0, named=True)["difference"] is None


def test_doubtful_labels_are_listed_and_their_absence_told() -> None:
    said, _ = report()
    assert "i7 (C, 0.90)" in said["Doubtful labels"]
    manifest = pl.DataFrame({"image": IMAGES})
    said, _ = report(found=Curation(scores(label_doubt=[0.0] * 8), KEPT, manifest))
    assert "No image's neighbours disagree" in said["Doubtful labels"]
    said, _ = report(found=Curation(scores(label_doubt=[None] * 8), KEPT, manifest))
    assert "hold no doubt" in said["Doubtful labels"]


def test_the_share_that_is_shown_is_the_one_nearest_to_one_half() -> None:
    assert typical_share(pl.DataFrame({"share": [0.25, 0.75, 0.6]})) == 0.6
    assert typical_share(pl.DataFrame({"share": [0.25, 0.75]})) == 0.25
    assert typical_share(pl.DataFrame({"share": []}, schema={"share": pl.Float64})) is None


def test_sections_survive_their_file(tmp_path: Path) -> None:
    found = Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results())
    written = sections(found, arms, contrasts_table(found, arms), EFFICIENCY)
    write_sections(tmp_path / "s.json", written)
    assert read_sections(tmp_path / "s.json") == written
