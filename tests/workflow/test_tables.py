"""The tables of a real run say what its runs measured."""

import json
import re

import numpy as np
import polars as pl
import pyarrow.parquet
import pytest
from conftest import runs_of

from reidflow.evaluation.statistics import compare
from reidflow.store.tables import read_about


@pytest.mark.parametrize("experiment", ["tiny_losses", "tiny_backbones"])
def test_each_row_is_of_its_own_arm(tiny, experiment):
    table = pl.read_parquet(tiny.results / "tables" / f"{experiment}.parquet")
    assert table["arm"][0] == ("cross_entropy" if experiment == "tiny_losses" else "frozen")
    metrics = pl.read_parquet(tiny.results / "experiments" / experiment / "metrics.parquet")
    for row in table.to_dicts():
        own = metrics.filter(pl.col("arm") == row["arm"])
        assert row["id_map"] == pytest.approx(own["id_map"].mean(), abs=1e-12)
        specs = [run["spec"] for run in runs_of(tiny, experiment, row["arm"])]
        assert len(specs) == len(own) == row["seeds"]
        if experiment == "tiny_losses":
            assert {spec["loss"]["name"] for spec in specs} == {row["arm"]}
            assert {s["optimizer"]["learning_rate"] for s in specs} == {row["chosen_optimizer.learning_rate"]}


def test_a_run_in_a_pipe_says_little_and_ends_with_what_to_open(tiny):
    lines = [line for line in tiny.outcome.text.splitlines() if not re.match(r"Using workflow|\d\d:\d\d  ", line)]
    assert lines[0].startswith("2 of 2 experiments to make:") and "16 runs, about" in lines[0]
    assert lines[1].startswith(
        "Pages appear in results-tiny/index.html; Snakemake's own messages are in .snakemake/log/"
    )
    assert lines[2] == "data: 90 images." and lines.pop(3).startswith("data: ")
    assert {line.split(":")[0] for line in lines[3:5]} == {"tiny_losses", "tiny_backbones"}
    for line in lines[3:5]:
        assert line.endswith(f"  results-tiny/pages/{line.split(':')[0]}.html")
    assert re.fullmatch(r"Done in .*: 2 of 2 experiments are finished\. Open results-tiny/index\.html", lines[5])
    assert len(lines) == 6


def test_the_index_of_a_finished_run_waits_for_nothing_and_holds_every_answer(tiny):
    page = (tiny.results / "index.html").read_text()
    assert "refresh" not in page and "data-written" not in page
    assert re.findall(r'class="state \w+">(.*?)<', page) == ["done"] * 2
    for name in ("tiny_losses", "tiny_backbones"):
        found = json.loads((tiny.results / "experiments" / name / "answer.json").read_text())
        assert found["question"] in page and found["best"]["arm"] in page
    linked = {link for link in re.findall(r'href="(.*?)"', page) if ":" not in link}
    assert {"pages/leaderboard.html", "pages/review.html"} < linked and len(linked) == 2 + 2 * 4
    assert all((tiny.results / link).is_file() for link in linked)


def test_published_tables_carry_their_columns_and_digests(tiny):
    for name in (f"tiny_losses{kind}.parquet" for kind in ("", ".efficiency", ".identities", ".profiles")):
        about = read_about(tiny.results / "tables" / name)
        assert {"contract", "version", "code", "data", "split", "versions"} <= about.keys()
        schema = pyarrow.parquet.read_schema(tiny.results / "tables" / name)
        assert all(field.metadata[b"meaning"] for field in schema if not field.name.startswith(("chosen_", "on_edge_")))
    assert len(read_about(tiny.results / "experiments" / "tiny_losses" / "metrics.parquet")["code"]) == 16


def test_deltas_and_verdicts_follow_from_the_queries(tiny):
    queries = pl.read_parquet(tiny.results / "experiments" / "tiny_losses" / "per_query.parquet")
    means = {
        arm: queries.filter(pl.col("arm") == arm)
        .drop_nulls("ap")
        .group_by("identity", "seed")
        .agg(pl.col("ap").mean())
        .pivot("seed", index="identity", values="ap", sort_columns=True)
        .sort("identity")
        .drop("identity")
        .to_numpy()
        for arm in ("cross_entropy", "arcface", "triplet")
    }
    found = compare({arm: means[arm] - means["cross_entropy"] for arm in ("arcface", "triplet")})
    table = pl.read_parquet(tiny.results / "tables" / "tiny_losses.parquet")
    for arm, comparison in found.items():
        row = table.row(by_predicate=pl.col("arm") == arm, named=True)
        assert row["delta"] == pytest.approx(comparison.delta, abs=1e-12)
        assert (row["verdict"], round(row["p_adjusted"], 9)) == (comparison.verdict, round(comparison.p_adjusted, 9))


def test_the_weights_of_a_run_give_its_embeddings_again(tiny):
    import torch
    from safetensors.torch import load_file

    from reidflow.models.head import build_head
    from reidflow.spec.run import RunSpec
    from reidflow.spec.yaml import load

    folder = tiny.results / "experiments" / "tiny_losses" / "arcface" / "seed-1"
    spec = RunSpec.model_validate(load(folder / "run.yaml"))
    bank = next((tiny.results / "features").iterdir())
    features = np.load(bank / "features.npy")
    head = build_head(spec.model.head, features.shape[2], spec.seed)
    state = {
        k.removeprefix("model."): v for k, v in load_file(folder / "model.safetensors").items() if "loss." not in k
    }
    head.load_state_dict(state)
    manifest = pl.read_parquet(tiny.results / "data" / "manifest.parquet")
    stored = pl.read_parquet(folder / "embeddings.parquet").filter(pl.col("stage") == "final")
    rows = [manifest["image"].to_list().index(image) for image in stored["image"]]
    with torch.inference_mode():
        again = head.eval()(torch.from_numpy(features[rows, 0])).numpy()
    np.testing.assert_allclose(again, np.stack(stored["vector"].to_numpy()), rtol=1e-4, atol=1e-5)


def test_logs_of_training_begin_without_warnings(tiny):
    logs = [path for rule in ("sweep", "train") for path in (tiny.results / "logs" / rule).glob("*.log")]
    assert logs
    assert [path for path in logs if "Warning" in path.read_text()] == []
