"""New individuals are never trained on and in no gallery; the others are split as in a closed set."""

import polars as pl
import pytest
from test_scenes import crops, divided
from test_scorable import alternatives
from test_sides import data_set as two_sided
from test_splits import NO_PAIRS, data_set

from reidflow.dedup.groups import Rules
from reidflow.evaluation.layout import Layout
from reidflow.spec.components import resolve
from reidflow.spec.config import fitting
from reidflow.spec.errors import ReidflowError
from reidflow.splits.audit import audit
from reidflow.splits.split import split_images

TWENTY = {f"id_{k:02}": 8 for k in range(20)}


def open_set(data, gallery="role", sides="across", queries=None, **parameters):
    return split_images(*data, resolve("split", {"name": "open_set", **parameters}), gallery, sides, queries)


def new_of(split, role):
    """Return the identities of a role's queries that have no image in training."""
    trained = split.filter(pl.col("role") == "train")["identity"].unique()
    return set(split.filter((pl.col("role") == role) & ~pl.col("identity").is_in(trained.implode()))["identity"])


@pytest.mark.parametrize("gallery", ["role", "all"])
@pytest.mark.parametrize("queries", [None, 0.2])
def test_new_individuals_are_queries_of_one_role_and_in_no_gallery(gallery, queries):
    data = data_set(TWENTY)
    split = open_set(data, gallery, queries=queries)
    val, test = new_of(split, "val"), new_of(split, "test")
    assert (len(val), len(test)) == (4, 3) and not val & test
    for role, new in (("val", val), ("test", test)):
        layout = Layout(split, data[0], gallery, role)
        ranked, seen = (set(layout.table[rows]["identity"]) for rows in (layout.gallery, layout.query))
        assert not ranked & (val | test) and new < seen and len(ranked) == 13
        images = split.filter(pl.col("identity").is_in(list(new)))
        assert images["role"].unique().to_list() == [role] and images["side"].unique().to_list() == ["query"]
        masks = layout.masks()
        alone = ~masks.positive(slice(None)).any(axis=1)
        assert set(layout.table[layout.query[alone]]["identity"]) == new


def test_the_others_are_split_as_in_a_closed_set():
    data = data_set(TWENTY)
    split = open_set(data, seed=3)
    new = new_of(split, "val") | new_of(split, "test")
    known = data[0].filter(~pl.col("identity").is_in(list(new)))
    closed = split_images(known, data[1], resolve("split", {"name": "closed_set", "seed": 3}), "role")
    assert split.filter(~pl.col("identity").is_in(list(new))).equals(closed)
    assert new != new_of(open_set(data, seed=4), "val") | new_of(open_set(data, seed=4), "test")
    assert len(new_of(open_set(data, new=0.6), "test")) == 6
    with pytest.raises(ReidflowError, match=r"open_set' with val 0.*\{train: 0.5, val: 0.2, test: 0.3\}"):
        fitting(resolve("split", {"name": "open_set", "train": 0.7, "val": 0.0, "test": 0.3}))
    fitting(resolve("split", {"name": "open_set", "train": 0.5, "val": 0.2, "test": 0.3}))


def test_the_audit_counts_new_identities_and_the_queries_without_a_positive():
    data = data_set(TWENTY)
    split = open_set(data)
    counted = audit(split, data[0], NO_PAIRS, "role")
    assert not counted["leaks"] and counted["new_identities"] == {"val": 4, "test": 3}
    val = split.filter(pl.col("role") == "val")
    known = val["side"].null_count()
    assert counted["sides"]["val"] == {"query": val.height, "gallery": known, "without_positive": val.height - known}


def test_images_of_a_second_domain_that_show_new_individuals_are_left_aside():
    data = two_sided({f"i{k}": 6 for k in range(12)}, {f"i{k}": 3 for k in range(12)})
    for sides in ("across", "within"):
        split = open_set(data, sides=sides)
        trained = split.filter((pl.col("role") == "train") & pl.col("image").str.starts_with("train/"))["identity"]
        renders = split.filter(
            pl.col("image").str.starts_with("gallery/") & ~pl.col("identity").is_in(trained.implode())
        )
        assert renders.height == 12 and set(renders["role"]) == {"aside"}


def test_photographs_that_new_individuals_share_do_not_straddle_roles():
    table = crops(*[[f"a{k}", f"b{k}"] for k in range(12) for _ in range(8)])
    (split,) = divided(table, name="open_set")
    assert not audit(split, table, NO_PAIRS, "role")["leaks"]
    new = new_of(split, "val") | new_of(split, "test")
    assert new and {i[1:] for i in new if i[0] == "a"} == {i[1:] for i in new if i[0] == "b"}


def test_an_impossible_share_is_named_and_every_remedy_works(tmp_path):
    with pytest.raises(ReidflowError, match="is no share of the identities"):
        open_set(data_set(TWENTY), new=1.5)
    few = data_set({**{f"id_{k}": 5 for k in range(3)}, **{f"single_{k}": 1 for k in range(6)}})
    with pytest.raises(ReidflowError, match="identities are new, and not scored") as error:
        open_set(few, new=0.9)
    found = list(alternatives(str(error.value), tmp_path))
    assert found and any(one["split"].get("name") == "open_set" for one in found)
    for one in found:
        split_images(*few, resolve("split", one["split"]), one.get("gallery", "role"))
    herd = crops(*[["a", "b", "c", "d"]] * 8)
    with pytest.raises(ReidflowError, match="link too many") as error:
        divided(herd, name="open_set", new=0.5)
    for one in alternatives(str(error.value), tmp_path):
        rules = Rules(**{k: v for k, v in one.get("groups", {}).items() if k == "photographs"})
        method = one.get("split", {"name": "open_set", "new": 0.5})
        assert divided(herd, rules, one.get("gallery", "role"), **method)
