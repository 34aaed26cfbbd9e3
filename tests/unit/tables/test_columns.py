import json

import polars as pl
import pyarrow.parquet
import pytest

from reidflow.commands import generate
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import Column, Contract, Span, read_about, read_table, write_table
from reidflow.tables.columns import COLUMNS, METRICS, column, columns, documented
from reidflow.tables.layout import block
from reidflow.tables.text import FORMATS

PLANTED = Column("wobble", pl.Float64, "wobble of the arm", "signed2", "How much the arm wobbles.", "Hz", nullable=True)
SPREAD = Span("spread", ("low", "high"), "its spread", "interval", "From the lowest to the highest.")
CONTRACT = Contract(
    "planted",
    [
        *columns("arm", "id_map"),
        PLANTED,
        Column("low", pl.Float64, "low", "number", "The lowest."),
        Column("high", pl.Float64, "high", "number", "The highest."),
        SPREAD,
        Column("points", pl.List(pl.Struct({"point": pl.String})), "points", "text", "Points.", nullable=True),
    ],
)
FRAME = pl.DataFrame(
    {
        "arm": ["a", "b"],
        "id_map": [0.5, None],
        "wobble": [0.126, float("nan")],
        "low": [-0.1, 0.1],
        "high": [0.1, 0.3],
        "points": [[{"point": "p"}], None],
    },
    schema=CONTRACT.columns,
)


FITTING = {
    pl.String: {"text", "prose", "verdict"},
    pl.Boolean: {"yes_no"},
    pl.Int64: {"count", "text"},
    pl.Float64: FORMATS.keys() - {"text", "prose", "verdict", "yes_no", "setting"},
    pl.List: {"numbers", "grid"},
}


def test_every_shared_column_can_be_printed_and_is_described():
    for found in COLUMNS.values():
        if isinstance(found, Column):
            kind = pl.List if isinstance(found.dtype, pl.List) else found.dtype
            assert found.format in FITTING[kind], found.name
        assert found.format in FORMATS and found.heading
        assert found.meaning.endswith(".") and "  " not in found.meaning
        assert set(found.fields) <= COLUMNS.keys()


def test_a_planted_column_is_one_row_from_which_all_else_follows(tmp_path):
    shown = block("Planted", FRAME, ["arm", "id_map", "wobble", "spread"], CONTRACT)
    assert shown.headings == ["arm", "balanced mAP", "wobble of the arm", "its spread"]
    assert shown.rows == [["a", "0.500", "+0.13", "[-0.100, +0.100]"], ["b", "–", "–", "[+0.100, +0.300]"]]
    assert shown.meanings[2:] == [PLANTED.meaning, SPREAD.meaning]
    write_table(FRAME, tmp_path / "t.parquet", CONTRACT)
    field = pyarrow.parquet.read_schema(tmp_path / "t.parquet").field("wobble")
    assert field.metadata == {b"heading": b"wobble of the arm", b"unit": b"Hz", b"meaning": PLANTED.meaning.encode()}
    with pytest.raises(ReidflowError, match="wobble is Int64"):
        CONTRACT.check(FRAME.with_columns(wobble=pl.lit(1, pl.Int64)), "here")


def test_a_contract_shows_all_of_its_columns_and_an_unknown_one_is_refused():
    assert block("", FRAME, CONTRACT).headings == [found.heading for found in CONTRACT.shown.values()]
    with pytest.raises(KeyError, match="wobbly"):
        block("", FRAME, ["arm", "wobbly"], CONTRACT)


def test_a_column_without_a_value_is_left_out_but_never_the_first():
    empty = FRAME.with_columns(wobble=pl.lit(None, pl.Float64))
    assert block("", empty, ["wobble", "arm", "wobble"], CONTRACT).headings == ["wobble of the arm", "arm"]
    assert block("", empty.clear(), ["arm", "wobble"], CONTRACT).headings == ["arm", "wobble of the arm"]


def test_a_column_may_be_shown_under_another_heading():
    assert block("", FRAME, [column("arm").but(heading="winner")]).headings == ["winner"]


def test_files_carry_their_contract_and_come_back_as_they_were(tmp_path):
    about = {"code": "abc", "versions": "torch 2, device ä"}
    for name in ("one", "two"):
        write_table(FRAME, tmp_path / name, CONTRACT, about)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_table(tmp_path / "one", CONTRACT).equals(FRAME)
    assert pl.read_parquet(tmp_path / "one").equals(FRAME)
    found = read_about(tmp_path / "one")
    assert found == {"contract": "planted", "version": found["version"], **about}
    assert json.dumps(found["version"]) not in ('""', "null")


def test_a_filtered_read_gives_the_rows_and_columns_that_were_named(tmp_path):
    write_table(FRAME, tmp_path / "t.parquet", CONTRACT)
    found = read_table(tmp_path / "t.parquet", CONTRACT, ["arm", "low"], [("arm", "==", "b")])
    assert found.rows() == [("b", 0.1)]
    assert read_table(tmp_path / "t.parquet", CONTRACT, filters=[("low", ">", 5.0)]).schema == FRAME.schema


def test_a_null_where_none_is_allowed_is_refused_by_name():
    with pytest.raises(ReidflowError, match=r"nulls in \['low'\]"):
        CONTRACT.check(FRAME.with_columns(low=pl.lit(None, pl.Float64)), "here")
    strict = Contract("strict", [column("arm"), column("id_map").but(nullable=False)])
    with pytest.raises(ReidflowError, match="id_map"):
        strict.check(FRAME.select("arm", "id_map"), "here")


def test_the_tables_in_the_docs_are_made_of_the_columns():
    mark = "<!-- columns: metrics (generated) -->"
    page = documented(f"before\n{mark}\nold\n<!-- end of columns -->\nafter", {"metrics": columns(*METRICS)})
    assert page.startswith(f"before\n{mark}\n| Column |") and page.endswith("|\n<!-- end of columns -->\nafter")
    assert "old" not in page and all(f"| `{name}` |" in page for name in METRICS)
    assert documented(page, {"metrics": columns(*METRICS)}) == page
    planted = documented(page, {"metrics": CONTRACT.declared})
    assert f"| `wobble` | wobble of the arm | {PLANTED.meaning} |" in planted and "`spread`" not in planted


def test_the_docs_are_current():
    found = {name: text for name, text in generate.files().items() if name.endswith(".md")}
    assert {"docs/metric.md", "docs/report.md"} <= found.keys()
    for name, text in found.items():
        assert (generate.ROOT / name).read_text() == text, f"{name}: run `make generated`"
    assert "| `map_at_r` | mAP@R |" in found["docs/metric.md"]
    assert "| `smallest_detectable` |" in found["docs/report.md"]
