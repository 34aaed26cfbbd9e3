"""A split that the data give is taken as it is, checked and marked; unlabelled images join galleries as nobody's match."""

import re

import numpy as np
import polars as pl
import pytest
from test_scorable import alternatives
from test_splits import NO_PAIRS

from reidflow.evaluation.layout import Layout
from reidflow.ingest.manifest import SET_ASIDE
from reidflow.spec import config as configs
from reidflow.spec import plan, yaml
from reidflow.spec.components import resolve
from reidflow.spec.errors import ReidflowError
from reidflow.spec.evaluation import division
from reidflow.splits.audit import audit
from reidflow.splits.candidates import joined_groups, unanswered
from reidflow.splits.split import SPLIT, split_digest, split_images
from reidflow.store.tables import read_table, write_table


def data_set(rows):
    """Return manifest and groups of rows (image, identity, role, side, camera), each image a group of its own."""
    table = pl.DataFrame(
        rows, schema=dict.fromkeys(["image", "identity", "role", "side", "camera"], pl.String), orient="row"
    )
    of_image = {name: pl.col("image") for name in ("sha256", "pixels", "path")}
    without = {name: pl.lit(None, pl.String) for name in ("group", "flank", "site", "time", "box", "visible")}
    manifest = table.with_columns(**of_image, **without).sort("image")
    known = manifest.filter(pl.col("identity").is_not_null())
    return manifest, known.select("image", "identity", group="image", block="image")


def together(data, *images):
    """Return the data set with these images in one group."""
    manifest, groups = data
    first = pl.when(pl.col("image").is_in(list(images))).then(pl.lit(min(images)))
    return manifest, groups.with_columns(group=first.otherwise("group"), block=first.otherwise("block"))


def benchmark(test_of_training=False, cameras=3):
    """Return the rows of a benchmark in the form of Market-1501: train; query and gallery of others, and distractors."""
    rows = [(f"train/{k}_{i}", f"id{k}", "train", None, f"c{i % cameras}") for k in range(6) for i in range(6)]
    first = 0 if test_of_training else 6
    for k in range(first, first + 4):
        rows += [(f"query/{k}", f"id{k}", "test", "query", "c0")]
        rows += [(f"gallery/{k}_{i}", f"id{k}", "test", "gallery", f"c{i % cameras}") for i in range(4)]
    return rows + [(f"gallery/none_{i}", None, "test", "gallery", "c1") for i in range(5)]


def split_of(
    data, gallery="role", queries=None, ignore=(), distractors=False, name="column", sides="across", **parameters
):
    method = resolve("split", {"name": name, **parameters})
    return split_images(*data, method, gallery, sides, queries, 0, ignore, distractors)


def roles(split):
    return dict(split.select("image", "role").iter_rows())


def test_roles_and_sides_are_those_of_the_data_and_an_image_without_a_role_is_left_aside():
    data = data_set([*benchmark(), ("extra/0", "id0", None, None, "c0")])
    split = split_of(data, val=0)
    given = {image: role or "aside" for image, role in data[0].select("image", "role").iter_rows()}
    assert roles(split) == given
    layout = Layout(split, data[0], "role")
    assert sorted(split["image"].gather(layout.query)) == [f"query/{k}" for k in range(6, 10)]
    assert all(image.startswith("gallery/") for image in split["image"].gather(layout.gallery))
    assert len(layout.gallery) == 4 * 4 + 5


def test_what_straddles_roles_is_counted_and_stays_where_it_is():
    data = together(data_set(benchmark(test_of_training=True)), "train/0_0", "gallery/0_1")
    split = split_of(data, val=0)
    found = audit(split, data[0], NO_PAIRS, "role")
    assert found["straddling_groups"] == 1 and found["leaks"]
    assert roles(split)["train/0_0"] == "train" and roles(split)["gallery/0_1"] == "test"
    assert found["distractors"] == {"test": 5}
    assert found["roles"]["test"] == {"images": 20, "identities": 4, "groups": 20}


@pytest.mark.parametrize("known", [True, False])
def test_validation_is_carved_out_of_training_by_groups_of_known_and_by_identities_of_new_individuals(known):
    data = together(data_set(benchmark(known)), "train/0_0", "train/0_1")
    split = split_of(data, val=0.4)
    before = roles(split_of(data, val=0))
    changed = {image for image, role in roles(split).items() if role != before[image]}
    assert changed and {(before[image], roles(split)[image]) for image in changed} == {("train", "val")}
    found = audit(split, data[0], NO_PAIRS, "role")
    assert not found["straddling_groups"]
    val = split.filter(pl.col("role") == "val")
    trained = set(split.filter(pl.col("role") == "train")["identity"])
    assert (set(val["identity"]) <= trained) == known
    assert known or not set(val["identity"]) & trained
    assert val["side"].null_count() == val.height and unanswered(split, "val", "role")[1] == 0
    assert split.equals(split_of(data, val=0.4)) and not split.equals(split_of(data, val=0.4, seed=1))


def test_an_image_may_be_query_and_gallery_at_once():
    rows = [(f"a{i}", "a", "train", None, None) for i in range(4)] + [
        (f"b{i}", "b", "train", None, None) for i in range(4)
    ]
    rows += [(f"{n}{i}", n, "test", side, None) for n in "cd" for i, side in enumerate((None, "query", "gallery"))]
    layout = Layout(split := split_of(data := data_set(rows), val=0), data[0], "role")
    assert sorted(split["image"].gather(layout.query)) == ["c0", "c1", "d0", "d1"]
    assert sorted(split["image"].gather(layout.gallery)) == ["c0", "c2", "d0", "d2"]
    assert [int(i) >= 0 for i in layout.query_index] == [True, False, True, False]


def given_only(role, **changes):
    return data_set([(i, n, changes.get(r, r), s, c) for i, n, r, s, c in benchmark()])


def test_what_the_data_do_not_give_is_named_and_what_the_message_advises_works():
    data = data_set(benchmark())
    with pytest.raises(ReidflowError, match=r"no validation images. Write split: \{val: 0.2\}.*, or split: \{val: 0\}"):
        split_of(data)
    assert "val" in set(split_of(data, val=0.2)["role"]) and "val" not in set(split_of(data, val=0)["role"])

    validated = given_only("val", test="val")
    with pytest.raises(ReidflowError, match=r"no image the role test. Write tested: val"):
        split_of(validated)
    assert set(split_of(validated, tested="val", val=0)["role"]) == {"train", "test"}
    assert audit(split_of(validated, tested="val", val=0), validated[0], NO_PAIRS, "role")["distractors"] == {"test": 5}
    with pytest.raises(ReidflowError, match=r"the data give test images as well. Leave 'tested' out"):
        split_of(data, tested="val")

    both = data_set([*benchmark(), *((f"val/{i}", "id0", "val", None, "c0") for i in range(3))])
    with pytest.raises(ReidflowError, match=r"3 validation images already. Leave 'val' out"):
        split_of(both, val=0.2)
    assert split_of(both).filter(pl.col("role") == "val").height == 3
    with pytest.raises(ReidflowError, match=r"split: \{val: 1\} leaves no image to train on.*split: \{val: 0.2\}"):
        plan.make(["config/tiny.yaml"], {"split": {"name": "column", "val": 1}})

    with pytest.raises(ReidflowError, match="give no image a role"):
        split_of(given_only("none", train=None, test=None))
    with pytest.raises(ReidflowError, match=r"give queries and gallery already. Leave 'queries' out"):
        split_of(data, val=0, queries=0.2)


def test_queries_without_a_positive_stop_the_split_and_what_the_message_advises_works():
    rows = [(f"{n}{i}", n, "test" if i == 0 else "train", None, None) for n in "abcd" for i in range(4)]
    with pytest.raises(
        ReidflowError,
        match=r"none of the 4 queries of the role 'test' has a positive[^\n]*works[^\n]*\n  gallery: all$",
    ):
        split_of(data_set(rows), val=0)
    assert unanswered(split_of(data_set(rows), "all", val=0), "test", "all") == (4, 0)
    with pytest.raises(ReidflowError, match=r"role 'test' has a positive[^\n]*works[^\n]*\n  gallery: all$"):
        split_of(data_set(rows), val=0, queries=0.5)
    split_of(data_set(rows), "all", val=0, queries=0.5)

    data = data_set([(*row[:4], "c0") for row in benchmark(test_of_training=True)])
    with pytest.raises(ReidflowError, match=r"role 'val' has a positive.* not ignored\.[^\n]*\n  ignore: \[\]$"):
        split_of(data, val=0.2, ignore=["camera"])
    split_of(data, val=0.2)

    data = data_set(benchmark(cameras=1))
    with pytest.raises(ReidflowError, match=r"and not ignored\.[^\n]*works[^\n]*\n  ignore: \[\]$"):
        split_of(data, val=0, ignore=["camera"])
    split_of(data, val=0, ignore=[])
    with pytest.raises(
        ReidflowError, match=r"no labelled image of the role test is a query. Give some of them the side"
    ):
        split_of(data_set([row for row in benchmark() if not row[0].startswith("query")]), val=0)


def test_a_validation_without_positives_of_another_camera_is_named_and_the_advice_works():
    rows = [(f"{n}{i}", n, None, None, f"c{n}" if i < 9 else "cx") for n in "abcdef" for i in range(10)]
    data = data_set(rows)
    shares = {"train": 0.4, "val": 0.3, "test": 0.3}
    found = None
    for seed in range(20):
        try:
            split_of(data, ignore=["camera"], name="closed_set", seed=seed, **shares)
        except ReidflowError as error:
            found = seed, str(error)
            if "of the role 'val'" in found[1]:
                break
    seed, message = found
    first, *others = message.split("with these images:\n")[1].split("\nor\n")
    assert first == "  ignore: []" and others
    for change in map(yaml.loads, (first, *others)):
        split = {"name": "closed_set", "seed": seed, **shares, **change.get("split", {})}
        ranked = {"gallery": change.get("gallery", "role"), "ignore": change.get("ignore", ["camera"])}
        made = split_of(data, **ranked, **split)
        for role in ("val", "test"):
            total, without = unanswered(made, role, ranked["gallery"])
            assert without < total


@pytest.mark.parametrize("cameras", [1, 2])
def test_alternatives_to_a_split_are_tried_with_the_images_that_are_ignored(cameras, tmp_path):
    rows = [(f"{n}{i}", n, None, None, f"c{i % cameras}") for n in "abcdefghijklmnopqrst" for i in range(2)]
    data = data_set(rows)
    with pytest.raises(ReidflowError, match="What works with these images") as error:
        split_of(data, ignore=["camera"], name="closed_set")
    for change in alternatives(str(error.value), tmp_path):
        assert ("ignore" in change) == (cameras == 1)
        split = split_of(
            data, change.get("gallery", "role"), ignore=change.get("ignore", ["camera"]), **change["split"]
        )
        assert unanswered(split, "test", change.get("gallery", "role"))[1] == 0


def test_a_given_split_of_images_of_one_day_names_the_groups_with_which_it_can_be_scored():
    rows = [(f"{n}{i}", n, "test" if i > 3 else "train", None, None) for n in "abcd" for i in range(8)]
    manifest, groups = data_set(rows)
    day = groups.with_columns(
        *(pl.col("image").min().over("identity").alias(name) for name in ("group", "block", "scene"))
    )
    line = "groups: {minutes: null, by: [identity]}"
    apart = [(f"{line}  # a note", groups.with_columns(scene="group"))]
    with pytest.raises(ReidflowError, match=r"role 'test' has a positive") as error:
        split_images(manifest, day, resolve("split", {"name": "column", "val": 0}), "role", regrouped=lambda: apart)
    assert str(error.value).endswith(f"works with these images:\n  {line}  # a note")
    assert unanswered(
        split_images(manifest, groups, resolve("split", {"name": "column", "val": 0}), "role"), "test", "role"
    ) == (16, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gallery", ["role", "all"])
def test_answered_queries_are_counted_as_by_hand(gallery, seed):
    random = np.random.Generator(np.random.PCG64(seed))
    names = [f"{i:03d}" for i in range(90)]
    pick = lambda values: random.choice(values, 90).tolist()  # noqa: E731
    split = pl.DataFrame({
        "image": names, "identity": pick(["a", "b", "c", "d", "e", "f", "g"] * 3 + ["h"]), "group": pick([f"g{k}" for k in range(9)]),
        "role": pick(["train", "val", "test", "aside"]), "side": pick(["query", "gallery", ""]), "camera": pick(["1", "2", "3", ""]),
    }).with_columns(pl.col("side", "camera").replace("", None))  # fmt: skip
    split = split.with_columns(ignored=pl.concat_list(pl.format("camera={}", "camera"))).drop("camera")
    split = split.with_columns(
        identity=pl.when(pl.col("side").eq("gallery") & pl.col("image").str.ends_with("0"))
        .then(None)
        .otherwise("identity")
    )
    rows = split.to_dicts()
    ranked = [
        r for r in rows if (r["role"] == "test" if gallery == "role" else r["role"] != "aside") and r["side"] != "query"
    ]
    queries = [r for r in rows if r["role"] == "test" and r["side"] != "gallery" and r["identity"]]

    def positive(q, r):
        same = q["ignored"][0] is not None and q["ignored"] == r["ignored"]
        return q["identity"] == r["identity"] and q["group"] != r["group"] and not same

    alone = sum(not any(positive(q, r) for r in ranked) for q in queries)
    assert unanswered(split, "test", gallery) == (len(queries), alone)


def test_distractors_are_unlabelled_gallery_images_in_the_shares_of_val_and_test_and_never_copies():
    rows = [(f"{n}{i}", n, None, None, None) for n in "abcdef" for i in range(10)]
    rows += [(f"free{i:02d}", None, None, None, None) for i in range(40)] + [("sought", None, None, "query", None)]
    data = data_set([*rows, ("denied", None, SET_ASIDE, None, None)])
    copied = pl.when(pl.col("image") == "free07").then(pl.lit("a0")).otherwise("pixels").alias("pixels")
    shown = pl.when(pl.col("image").is_in(["free08", "a1"])).then(pl.lit("alike")).alias("visible")
    data = data[0].with_columns(copied, shown), data[1]
    plain = split_of(data, name="closed_set")
    split = split_of(data, name="closed_set", distractors=True)
    added = split.filter(pl.col("identity").is_null())
    assert split.filter(pl.col("identity").is_not_null()).equals(plain)
    assert split["image"].to_list() == [image for image in data[0]["image"] if image in set(split["image"])]
    assert set(added["image"]) == {f"free{i:02d}" for i in range(40) if i not in (7, 8)}
    assert set(added["side"]) == {"gallery"} and added["group"].to_list() == added["image"].to_list()
    counts = dict(added.group_by("role").len().iter_rows())
    assert counts["val"] in (15, 16) and counts["test"] in (22, 23, 24)
    layout = Layout(split, data[0], "role")
    names = split["image"].gather(layout.gallery)
    assert {n for n in names if n.startswith("free")} == set(added.filter(pl.col("role") == "test")["image"])
    assert not {n for n in split["image"].gather(layout.query) if n.startswith("free")}
    assert (layout.identity[layout.gallery] < 0).sum() == counts["test"]
    found = audit(split, data[0], NO_PAIRS, "role")
    assert found.pop("distractors") == counts and found.pop("distractor_copies") == 2
    assert found == audit(plain, data[0], NO_PAIRS, "role")
    with pytest.raises(ReidflowError, match="distractors: true, but the data set has no unlabelled image"):
        split_of(data_set(rows[:60]), name="closed_set", distractors=True)


def test_of_a_given_split_unlabelled_images_are_distractors_where_they_are_listed_as_gallery_or_where_all_are_wanted():
    unknown = [("u/train", None, "train", None), ("u/test", None, "test", None), ("u/free", None, None, None)]
    data = data_set([*benchmark(), *((*row, "c1") for row in unknown), ("u/query", None, "test", "query", "c1")])
    listed = {f"gallery/none_{i}" for i in range(5)}
    for wanted, found in ((False, listed), (True, listed | {"u/test", "u/free"})):
        split = split_of(data, val=0, distractors=wanted)
        added = split.filter(pl.col("identity").is_null())
        assert set(added["image"]) == found and set(added["role"]) == {"test"}


def test_a_split_with_and_without_filters_survives_its_file_with_the_same_digest(tmp_path):
    data = data_set(benchmark())
    plain, filtered = split_of(data, val=0.3), split_of(data, val=0.3, ignore=["camera"])
    assert plain.columns == ["image", "identity", "group", "role", "side"]
    digests = set()
    for name, split in (("plain", plain), ("filtered", filtered)):
        write_table(split, tmp_path / name, SPLIT)
        read = read_table(tmp_path / name, SPLIT)
        assert read.equals(split)
        digests.add(split_digest(read, "role"))
        assert split_digest(read, "role") == split_digest(split, "role")
    assert len(digests) == 2


def test_validation_joins_groups_that_share_an_ignored_value_within_an_identity():
    rows = [(f"{n}{i}", n, "train", None, f"c{i % 2}") for n in "ab" for i in range(4)] + [
        ("a9", "a", "train", None, None)
    ]
    rows += [(f"t{i}", f"t{i // 3}", "test", None, f"c{i}") for i in range(6)]
    split = split_of(data_set(rows), val=0, ignore=["camera"])
    joined = dict(zip(split["image"], joined_groups(split), strict=True))
    assert joined["a0"] == joined["a2"] != joined["a1"] == joined["a3"] and joined["a9"] == "a9"
    assert joined["b0"] not in (joined["a0"], joined["a1"])


TABLE = {"name": "table", "path": "data.csv"}


def config(split, source=TABLE, **changes):
    minimal = {"dataset": {"source": source}, "split": split, "experiments": ["losses"], **changes}
    return configs.require(configs.read(["config/config.yaml"], minimal), "here")


@pytest.mark.parametrize(
    ("split", "source"),
    [
        ({"name": "column", "role": "split"}, TABLE),
        ("column", {**TABLE, "role": "split"}),
        ({"name": "column", "role": "split"}, {**TABLE, "role": "split"}),
    ],
)
def test_the_column_of_roles_is_named_at_the_split_or_at_the_source(split, source):
    made = config(split, source)
    assert made.split["role"] == made.dataset.source["role"] == "split"
    assert division(made) == division(config({"name": "column", "role": "split"}, sides="across"))


@pytest.mark.parametrize(
    ("split", "source", "changes", "message"),
    [
        ("column", TABLE, {}, "needs the column that holds train, val and test"),
        ({"name": "column", "role": "a"}, {**TABLE, "role": "b"}, {}, "role: a, but dataset.source has role: b"),
        (
            {"name": "column", "role": "a"},
            {"name": "folder", "path": "x"},
            {},
            "reads no column of roles. Leave 'role' out",
        ),
        ({"name": "column", "role": "a", "folds": 5}, TABLE, {}, "has no parameter 'folds'"),
        ({"name": "column", "role": "a"}, TABLE, {"split_seed": "each"}, "Write split_seed: fixed"),
        ("column", {"name": "market1501", "path": "x"}, {"queries": 0.2}, "Leave 'queries' out"),
    ],
)
def test_what_does_not_fit_a_given_split_is_named_while_planning(split, source, changes, message):
    with pytest.raises(ReidflowError, match=message):
        config(split, source, **changes)


def test_other_seeds_of_a_given_split_are_refused_and_the_advice_works(tmp_path):
    given = {"dataset": {"source": {"name": "sop", "path": "x"}}, "split": {"name": "column", "val": 0.2}}
    with pytest.raises(ReidflowError, match=r"Write (overrides: \{seeds: .*\})\.") as error:
        plan.make(["config/config.yaml"], given)
    (advised := tmp_path / "advised.yaml").write_text(re.search(r"Write (overrides: .*)\.", str(error.value))[1])
    made = plan.make(["config/config.yaml", advised], given)
    assert all(one["sides"] == "across" for one in made.experiments["losses"].divisions)
    # Sides are those of the data, so that every bank has the images of the gallery.
    assert made.two_sided_banks() == frozenset(made.banks())


def test_settings_without_effect_leave_the_identity_of_other_splits_alone():
    made = config({"name": "closed_set"}, {"name": "folder", "path": "x"})
    assert set(division(made)) == {"split", "sides", "queries", "gallery"}
    other = config({"name": "closed_set"}, {"name": "folder", "path": "x"}, ignore=["camera"], distractors=True)
    assert division(other) == {**division(made), "ignore": ["camera"], "distractors": True}
