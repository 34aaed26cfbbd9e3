"""Tables, findings and contact sheets of a curation report, against planted subsets and effects."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import curation_tables as planted
import numpy as np
import polars as pl
import pytest
from drawn import texts

from reidflow.analyses.curation import figures, sheets
from reidflow.analyses.curation.findings import by_verdict, most_saved, sections, striking_scores, typical_share
from reidflow.analyses.curation.tables import ARMS, CONTRASTS, Curation, arms_table, contrasts_table, split_scores
from reidflow.curation.scores import SCORES
from reidflow.curation.subset import KEEP
from reidflow.figures.style import Heading

HEADING = Heading("Which <image> is worth $5?", "demo (demo scale)")
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


def test_arms_say_what_they_keep_and_which_share_of_the_steps_that_saves() -> None:
    _, arms = report()
    ARMS.check(arms, "here")
    assert arms["arm"].to_list() == ["all", "random", "best", "copy", "best_steps"]
    columns = arms.select("arm", "kept", "identities", "draws", "steps_saved").rows_by_key("arm", unique=True)
    assert columns["all"] == (8.0, 3.0, 1, 0.0)
    assert columns["random"] == (4.0, 2.5, 2, 0.4)
    assert columns["best"] == (4.0, 1.0, 1, 0.5)


def test_arms_that_keep_the_same_images_are_the_same_training() -> None:
    text, arms = report()
    assert dict(arms.select("arm", "same_as").rows()) == {
        "all": None, "random": None, "best": None, "copy": "best", "best_steps": None,
    }  # fmt: skip
    assert "as many steps: **best** and **copy**" in text["Identities and images"]


def test_identities_without_an_image_are_warned_of_once() -> None:
    text, arms = report()
    assert dict(arms.select("arm", "lost_identities").rows())["random"] == []
    words = text["Identities and images"]
    assert words.count("**quality** at 50% keeps no image of 2 identities (B, C)") == 1
    assert "random" not in words
    whole = {name: kept(["i0", "i4", "i7", "i1"]) for name in KEPT}
    text, _ = report(found=Curation(scores(), whole, pl.DataFrame({"image": IMAGES})))
    assert text["Identities and images"].startswith("Every identity keeps at least one training image in every arm.")


def test_subsets_are_compared_with_random_ones_and_with_all_images_at_equal_epochs_and_steps() -> None:
    text, _ = report(results({"copy": "worse"}, against={"best": "better", "best_steps": "worse"}))
    words = text["Against random images of the same number"]
    assert (
        "At equal epochs, significantly better than random images of the same number: **quality** (50% +0.010)."
        in words
    )
    assert (
        "At equal epochs, not significantly different from random images of the same number: **k_center** (50%)."
        in words
    )
    assert (
        "At equal steps, significantly worse than random images of the same number: **quality** (50% +0.010)." in words
    )
    words = text["Against all images"]
    assert "At equal epochs, significantly worse than all images: **k_center** (50% -0.020)." in words
    assert "**random** (50%), **quality** (50%); a difference of 0.040 would be detected" in words
    table = results({"copy": "worse"})
    table = table.with_columns(
        smallest_detectable=pl.when(pl.col("arm") == "copy").then(0.9).otherwise(pl.col("smallest_detectable"))
    )
    assert "0.900" not in report(table)[0]["Against all images"]
    text, _ = report()
    assert "no selection is significantly different" in text["Against random images of the same number"]


def test_differences_that_are_unknown_belong_to_no_verdict() -> None:
    row = {"label": "a", "delta": None, "verdict": "unavailable", "against_delta": 0.1, "against_verdict": "odd"}
    assert not any(by_verdict([row], "").values())
    assert by_verdict([row], "against_")["inconclusive"]["a"][0]["shown"] == 0.1


def test_no_training_is_saved_by_a_subset_that_loses() -> None:
    text, arms = report(results(verdicts={"best": "worse"}))
    assert "**copy** saves most without being worse: 45% of the optimizer steps" in text["Training time"]
    assert most_saved(arms.filter(~pl.col("baseline")).to_dicts())["arm"] == "copy"
    text, _ = report(results(verdicts=dict.fromkeys(ARM_SPECS, "worse")))
    assert "No subset saves optimizer steps without being worse." in text["Training time"]
    text, _ = report(results().with_columns(steps=pl.lit(None, pl.Float64)))
    assert "No optimizer steps are known" in text["Training time"]


def test_measured_seconds_stand_in_a_table_and_in_no_statement_nor_in_the_parquet_table() -> None:
    found = Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results())
    assert not [name for name in ARMS.columns if "seconds" in name]
    twice = [
        sections(found, arms, contrasts_table(found, arms), EFFICIENCY.with_columns(pl.col("seconds_train") * factor))
        for factor in (1, 3)
    ]
    assert [section.statements for section in twice[0]] == [section.statements for section in twice[1]]
    (block,) = next(section for section in twice[0] if section.title == "Training time").tables
    assert {row[0]: row[-2:] for row in block.rows}["best"] == ["5.00", "50%"]


def test_contrasts_are_kept_minus_dropped_in_standard_deviations() -> None:
    found = Curation(scores(), KEPT, pl.DataFrame({"image": IMAGES}))
    arms = arms_table(experiment(), found, results())
    table = contrasts_table(found, arms)
    assert table.schema == pl.Schema(CONTRASTS)
    quality = table.filter(pl.col("score") == "quality").rows_by_key("arm", named=True, unique=True)
    assert set(quality) == {"random", "best", "copy"}
    assert quality["best"]["difference"] == pytest.approx(4 / pl.Series(QUALITY).std())
    assert quality["random"]["difference"] == pytest.approx(0)
    assert (quality["random"]["random"], quality["best"]["random"]) == (True, False)
    assert table.filter(pl.col("score") == "sharpness")["difference"].null_count() == 3
    (look,) = [s for s in sections(found, arms, table, EFFICIENCY) if s.title == "What valuable images look like"]
    assert "**k_center**, keeping 50%: quality +1.63, label doubt -0.71." in look.statements
    (block,) = look.tables
    assert block.headings == ["score", "random", "quality", "k_center"]
    assert ["quality", "0.00", "+1.63", "+1.63"] in block.rows


def test_a_methods_own_score_is_not_striking() -> None:
    rows = [
        ("quality", score, value)
        for score, value in {"quality": 9.0, "contrast": 0.1, "k_center": -0.5, "uniqueness": 0.3}.items()
    ]
    rows += [("random", "contrast", 0.9)]
    table = pl.DataFrame(rows, schema=["label", "score", "difference"], orient="row")
    found = striking_scores(table.with_columns(random=pl.col("label") == "random"))
    assert {label: [row["score"] for row in of] for label, of in found.items()} == {
        "quality": ["k center", "uniqueness", "contrast"]
    }


def test_unknown_scores_are_left_out_whole_or_image_by_image() -> None:
    missing = scores(foreground=[None] * 8, truncation=[None, 1.0, *[None] * 6])
    found = Curation(missing, KEPT, pl.DataFrame({"image": IMAGES}))
    assert "foreground" not in found.names and "truncation" in found.names
    here, gone = split_scores(found, "best", "truncation")
    assert (here.to_list(), gone.to_list()) == ([1.0], [])
    arms = arms_table(experiment(), found, results())
    own = contrasts_table(found, arms).filter((pl.col("score") == "truncation") & (pl.col("arm") == "best"))
    assert own.row(0, named=True)["difference"] is None


def test_doubtful_labels_are_listed_the_most_doubtful_first() -> None:
    text, _ = report()
    assert "i7 (C, 0.90)" in text["Doubtful labels"]
    doubtful = Curation(scores(label_doubt=[0.1, 0.2, 0.3, 0.4] * 2), KEPT, pl.DataFrame({"image": IMAGES}))
    assert (
        "with the labels of i3 (A, 0.40), i7 (C, 0.40), i2 (A, 0.30)." in report(found=doubtful)[0]["Doubtful labels"]
    )
    manifest = pl.DataFrame({"image": IMAGES})
    text, _ = report(found=Curation(scores(label_doubt=[0.0] * 8), KEPT, manifest))
    assert "No image's neighbours disagree" in text["Doubtful labels"]
    text, _ = report(found=Curation(scores(label_doubt=[None] * 8), KEPT, manifest))
    assert "The doubt of labels is unknown." in text["Doubtful labels"]


def test_the_share_that_is_shown_is_the_one_closest_to_one_half() -> None:
    assert typical_share(pl.DataFrame({"share": [0.25, 0.75, 0.6]})) == 0.6
    assert typical_share(pl.DataFrame({"share": [0.25, 0.75]})) == 0.25
    assert typical_share(pl.DataFrame({"share": []}, schema={"share": pl.Float64})) is None


def test_without_any_subset_the_figures_say_so() -> None:
    arms = planted.arms(4).filter("baseline")
    found = planted.curated(arms)
    for figure, words in (
        (figures.shares(arms, HEADING), "No arm that selects images has a score."),
        (figures.distributions(found, contrasts_table(found, arms), HEADING), "No arm selects images by known scores."),
    ):
        assert words in [text for text, _ in texts(figure)]


def rows_of(monkeypatch: pytest.MonkeyPatch, draw) -> dict[str, list[int]]:
    """Return for the first words of each row of a sheet the shades of its images."""
    written = []
    monkeypatch.setattr(sheets, "write_sheet", lambda rows, *rest: written.extend(rows))
    draw()
    return {row.words[0]: [int(tile.image[0, 0, 0]) for tile in row.tiles] for row in written}


def test_valuable_images_are_those_in_most_subsets_and_with_the_highest_scores(monkeypatch, tmp_path: Path) -> None:
    arms, images = planted.arms(4), planted.pixels()
    shades = images[:, 0, 0, 0].astype(int).tolist()
    order = np.roll(np.linspace(0, 1, 12), 3).tolist()
    found = planted.curated(arms, facility_location=order)
    rows = rows_of(monkeypatch, lambda: sheets.valuable_sheet(images, found, arms, HEADING, tmp_path / "s.png"))
    assert rows["in most subsets"][:6] == shades[:6]
    assert rows["in fewest subsets"][0] == shades[11]
    assert rows["most representative"][0] == shades[2]
    assert rows["least representative"][0] == shades[3]
    assert rows["best in quality"] == shades[:8]
    assert rows["worst in quality"] == shades[:3:-1]


def test_random_samples_do_not_count_as_subsets_that_hold_an_image(monkeypatch, tmp_path: Path) -> None:
    arms, images = planted.arms(3), planted.pixels()
    found = planted.curated(arms)
    last = found.keep["all"].with_columns(kept=~pl.col("kept"))
    found = replace(found, keep={arm: last if arm.startswith("random") else keep for arm, keep in found.keep.items()})
    rows = rows_of(monkeypatch, lambda: sheets.valuable_sheet(images, found, arms, HEADING, tmp_path / "s.png"))
    captions = []
    monkeypatch.setattr(sheets, "write_sheet", lambda rows, *rest: captions.extend(t.caption for t in rows[0].tiles))
    sheets.valuable_sheet(images, found, arms, HEADING, tmp_path / "s.png")
    assert rows["in most subsets"][:6] == images[:6, 0, 0, 0].tolist()
    assert captions == ["A 1"] * 6 + ["B 0"] * 2


def test_no_image_stands_at_both_ends_of_a_score(monkeypatch, tmp_path: Path) -> None:
    arms, images = planted.arms(3), planted.pixels()
    shades = images[:, 0, 0, 0].astype(int).tolist()
    found = planted.curated(arms, truncation=[None] * 9 + [0.3, 0.2, 0.1], foreground=[None] * 11 + [0.5])
    rows = rows_of(monkeypatch, lambda: sheets.scores_sheet(images, found, HEADING, tmp_path / "s.png"))
    assert rows["quality"] == [*shades[:5], *shades[7:]]
    assert rows["truncation"] == [shades[9], shades[11]]
    assert rows["foreground"] == [shades[11]]


def test_sheets_are_written(tmp_path: Path) -> None:
    arms = planted.arms(3)
    found = planted.curated(arms, label_doubt=[None] * 12)
    sheets.valuable_sheet(planted.pixels(), found, arms, HEADING, tmp_path / "a.png", tile=32)
    sheets.scores_sheet(planted.pixels(), found, HEADING, tmp_path / "b.png", tile=32)
    assert (tmp_path / "a.png").stat().st_size and (tmp_path / "b.png").stat().st_size
