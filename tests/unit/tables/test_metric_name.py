"""Whatever is left out of a gallery, or added to it, is part of the metric's name wherever scores are printed."""

from dataclasses import replace

import polars as pl
from arms_folder import AUDIT, a_description, an_experiment, build_table, scores, write_arm

from reidflow.figures.style import heading
from reidflow.spec import config as configs
from reidflow.spec.config import metric_filters
from reidflow.tables.caption import caption
from reidflow.tables.experiment import blocks, summary
from reidflow.tables.findings import findings
from reidflow.tables.leaderboard import leaderboard, leaderboard_markdown

NAME = "candidates of the same flank, same camera ignored, with distractors"


def filtered():
    plain = a_description()
    nobody = {"image": "none.png", "identity": None, "group": "none.png", "role": "test", "side": "gallery"}
    split = pl.concat([plain.split, pl.DataFrame([nobody], schema=plain.split.schema)])
    return a_description(
        split=split,
        ignore=("camera",),
        same=("flank",),
        audit={**AUDIT, "given": True},
        method={"name": "column", "role": "split"},
    )


def test_distractors_of_all_roles_are_ranked_in_a_gallery_of_all_images():
    data = filtered()
    elsewhere = data.split.with_columns(
        role=pl.when(pl.col("identity").is_null()).then(pl.lit("val")).otherwise("role")
    )
    found = [replace(data, split=elsewhere, gallery=gallery).distractors for gallery in ("role", "all")]
    assert found == [0, 1]


def test_filters_are_named_in_caption_headings_findings_and_leaderboard(tmp_path):
    experiment = an_experiment(["base"])
    folders = {"base": write_arm(tmp_path / "base", scores(0.5, 0))}
    plain, tables = (build_table(experiment, folders, data) for data in (a_description(), filtered()))
    lines = dict(caption(experiment, filtered(), tables.results))
    assert lines["Metric"].startswith(f"identity-balanced mAP, {NAME}: average precision")
    assert (
        "(gallery: role) that have the same flank as the query or an unknown one, and 1 unlabelled distractor, nobody's match; the query is never"
        in lines["Metric"]
    )
    assert "as are candidates of its identity with the same camera" in lines["Metric"]
    assert lines["Split"].endswith(
        "Unlabelled distractors in the gallery of test: 1. Given by the data: no image was moved."
    )
    for part in (summary(tables.results), blocks(tables.results, tables.efficiency)[0]):
        assert f"balanced mAP ({NAME})" in part.headings and "balanced mAP" not in part.headings
    assert f"(gallery: role, {NAME})" in findings(experiment, filtered(), tables)
    ranked = leaderboard({"a": plain.results, "b": tables.results})
    assert ranked["group"].to_list() == ["A", "B"]
    assert f"gallery: role, {NAME}" in leaderboard_markdown(ranked)
    assert "balanced mAP" in summary(plain.results).headings


def test_figures_say_below_their_title_what_the_config_filters():
    changes = {"ignore": ["camera", "site"], "distractors": True, "candidates": {"same": "flank"}}
    config = configs.require(configs.read(["config/config.yaml"], changes), "here")
    assert metric_filters(config.ignore, distractors=False) == "same camera or site ignored"
    assert heading("Arms", "losses", config).subtitle.endswith(
        "candidates of the same flank, same camera or site ignored, with distractors"
    )
    assert (
        heading("Arms", "losses", configs.require(configs.read(["config/config.yaml"]), "here")).subtitle
        == "losses · demo · demo scale"
    )
