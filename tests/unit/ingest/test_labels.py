"""Labels that mean nobody stop the run with the line to write, and spellings of one label are named or joined."""

import re
from collections import Counter
from pathlib import Path

import pytest

from reidflow.ingest.labels import alike, damaged, is_nobody, joined, line_for, marked, nobodies
from reidflow.ingest.listing import Listing, Reading, Row, reread, settle
from reidflow.ingest.rawdigest import walk
from reidflow.spec.config import Dataset
from reidflow.spec.errors import ReidflowError
from reidflow.spec.yaml import loads

NOBODY = """unknown;UNKNOWN;nan;NaN;NA;N/A;None;null;?;???;____;-;.;new_individual;new_whale;new_jaguar_3;unk;UNK_12;Unknown-3;unknown12
TBD;Unidentified;unidentified_female;unbekannt;-1;不明;未知;неизвестный;<NA>;#N/A;[unknown];no id;not identified;New Individual;Unknown A
individual unknown;non identifié;sin identificar;UNKNOWN (female);whale unknown 3;un-known;?01;individual ?;N.N.;unID'd;other_3;to be determined;não identificado;un\u200bknown
untagged;untagged_3;no tag;unk female;unk_adult_2;ukn;unkonwn;not matched;no data;N/D;non-ID;nicht bekannt;NEW_12;sem identificação"""
SOMEBODY = """Luna;Nana;Nan;Na;Nil;Nilo;Noah;Newton;Newt;Uno;Unkas;Anna;Missy;Blanka;Unity;0;1;-2;7.5;id_0;A;X;K9;Luna?;New_Moon;Tba;Todo;A-1;★;Nan 2;New York;No 7
Tba 3;Mr. No;Null Island;NA12;Unka;Newman 2;Nina;Una"""
B04 = {"id_0": 8, "id_1": 8, "nan": 8, "NA": 8, "unknown": 8, "Unidentified": 8, "new_individual": 8, "id_4": 8}
B05 = {" Luna ": 1, "LUNA": 1, "Luna\t": 1, "Luna": 3, "Luna\u00a0 ": 1, "Lu\u200bna": 1, "luna": 1, "Ｌuna": 1,
       "id_1": 10, "id_2": 10, "id_3": 10, "id_4": 10}  # fmt: skip


def listed(folder: Path, counts: dict[str, int], **keys) -> Listing:
    names = {f"{n}-{k}.png": label for n, (label, count) in enumerate(counts.items()) for k in range(count)}
    for name in names:
        (folder / name).write_bytes(b"")
    return reread(settle(walk(folder), [Row(name, label) for name, label in names.items()]), Reading(**keys))


def identities(listing: Listing) -> Counter:
    return Counter(row.identity for row in listing.rows)


def written(text: str) -> dict:
    """Return the keys of `dataset` that lines of a message write."""
    return Dataset.model_validate({"source": {"name": "demo"}, **loads(text)}).model_dump(
        include={"unlabelled", "spellings"}
    )


@pytest.mark.parametrize("label", re.split("[;\n]", NOBODY))
def test_a_label_that_means_nobody_is_seen(label: str) -> None:
    assert is_nobody(label)


@pytest.mark.parametrize("label", re.split("[;\n]", SOMEBODY))
def test_a_label_that_may_be_a_name_is_left_alone(label: str) -> None:
    assert not is_nobody(label)


def test_labels_that_mean_nobody_stop_once_and_either_line_of_the_message_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError) as caught:
        listed(tmp_path, B04)
    message = str(caught.value)
    assert "5 labels of 40 images" in message and all(f"'{label}' (8)" in message for label in list(B04)[2:7])
    marking, keeping = (line for line in message.splitlines() if line.startswith("  unlabelled:"))
    found = listed(tmp_path, B04, **written(marking))
    assert identities(found) == {"id_0": 8, "id_1": 8, "id_4": 8, None: 40} and found.faults == found.notes == []
    assert identities(listed(tmp_path, B04, **written(keeping))) == B04


def test_a_label_that_is_not_among_those_named_stops_too_and_can_be_kept_by_name(tmp_path: Path) -> None:
    with pytest.raises(ReidflowError) as caught:
        listed(tmp_path, {"unknown": 2, "none": 2, "Mia": 1}, unlabelled=["unknown"])
    message = str(caught.value)
    assert "1 label of 2 images" in message and "'unknown'" not in message
    marking, keeping = (line for line in message.splitlines() if line.startswith("  unlabelled:"))
    assert identities(listed(tmp_path, {"unknown": 2, "none": 2, "Mia": 1}, **written(marking))) == {None: 4, "Mia": 1}
    kept = identities(listed(tmp_path, {"unknown": 2, "none": 2, "Mia": 1}, **written(keeping)))
    assert kept == {None: 2, "none": 2, "Mia": 1}


def test_the_line_that_keeps_many_labels_keeps_all_of_them(tmp_path: Path) -> None:
    counts = {
        "Mia": 2,
        "junk": 1,
        **dict.fromkeys(["none", "nan", "N/A", "null", "unk", "???", "____", "tbd", "blank", "misc", "no id"], 1),
    }
    counts |= {f"unknown {n}": 1 for n in range(9)}
    with pytest.raises(ReidflowError) as caught:
        listed(tmp_path, counts, unlabelled=["junk"])
    keeping = [line for line in str(caught.value).splitlines() if line.startswith("  unlabelled:")][1]
    expected = {None if label == "junk" else label: count for label, count in counts.items()}
    assert identities(listed(tmp_path, counts, **written(keeping))) == expected


def test_entries_are_values_or_patterns_and_one_that_is_a_label_stands_for_itself() -> None:
    labels = ["new_x", "a", "?", "[ab]", "NaN", "Mia", ""]
    assert marked(["NEW_*"], labels) == ({"new_x"}, [])
    assert marked(["?", "[ab]"], labels) == ({"?", "[ab]"}, [])
    assert marked(["[ac]", "nan", ""], labels) == ({"a", "NaN", ""}, [])
    assert marked(["*", "___"], labels) == (set(), ["*", "___"])
    assert marked(["m*", "!mia"], labels) == (set(), [])
    assert marked(["NA", "unknown"], ["NA", "Na", "na", "Unknown", "unknown"])[0] == {"NA", "na", "Unknown", "unknown"}


def test_an_entry_that_is_no_label_is_named_and_blank_labels_can_be_marked(tmp_path: Path) -> None:
    found = listed(tmp_path, {"a": 1, "": 2, "b": 1}, unlabelled=["", "unkown"])
    assert identities(found) == {"a": 1, "b": 1, None: 2}
    assert found.notes == ["dataset.unlabelled: no label is 'unkown'."]


def test_many_numbered_labels_become_one_pattern_that_marks_no_other() -> None:
    counts = {**{f"unknown {n}": 1 for n in range(20)}, **{f"unk{n}": 1 for n in range(20)}, "unkempt": 1}
    entries = nobodies(counts)
    assert "unknown *" in entries and "unk*" not in entries
    assert marked(entries, counts)[0] == set(counts) - {"unkempt"}
    assert written(line_for(["null", "1", "a: b", 'x"', "No, it is"]))["unlabelled"] == [
        "null",
        "1",
        "a: b",
        'x"',
        "No, it is",
    ]


def test_spellings_of_one_label_are_listed_and_joined_on_request(tmp_path: Path) -> None:
    found = listed(tmp_path, B05)
    (note,) = found.notes
    assert len(identities(found)) == 9
    assert note.startswith("1 identity may be written in several ways: ") and r"'Lu\u200bna' (1)" in note
    assert "`spellings: join`" in note
    again = listed(tmp_path, B05, **written("spellings: join"))
    assert identities(again) == dict.fromkeys(["Luna", "id_1", "id_2", "id_3", "id_4"], 10)
    assert "They are joined" in again.notes[0]


@pytest.mark.parametrize(
    "labels",
    [
        ["7", "7.0", "007", "7,0", "'7"], ["1,000", "1000", "1000.0"], ["José", "Jose", "JosÃ©", "JOSE\u0301"],
        ["a-1", "a_1", "a 1", "A  1", "A1", "a–01"], ["Luna", "Lunа", '"Luna"', "Luna.", "Luna (?)"], ["Tom &amp; Jo", "tom & jo"],
    ],
)  # fmt: skip
def test_spellings_that_differ_alone_in_how_they_are_typed_or_damaged_are_alike(labels: list[str]) -> None:
    assert alike(labels) == [sorted(labels)]


@pytest.mark.parametrize(
    "labels", [["1-1", "11", "111"], ["й", "и", "が", "か"], ["A1", "A11", "B1"], ["7", "7.5", "70"]]
)
def test_labels_that_differ_otherwise_are_not(labels: list[str]) -> None:
    assert alike(labels) == []


def test_the_commonest_spelling_wins_then_the_first_whatever_the_order() -> None:
    counts = {"7.0": 2, "7": 5, "007": 1, "b": 1, "B": 1, "c": 1, "c.": 1}
    assert joined(counts) == joined(dict(reversed(counts.items()))) == {"7.0": "7", "007": "7", "b": "B", "c.": "c"}


def test_a_file_with_two_spellings_of_one_label_is_one_image_where_they_are_joined(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    named = settle(walk(tmp_path), [Row("1.png", "Luna", row=1), Row("1.png", "luna", row=2)])
    assert [fault.reason for fault in named.faults] == ["duplicate_id"] * 2
    assert [row.identity for row in reread(named, Reading(spellings="join")).rows] == ["Luna"]


def test_what_cannot_be_undone_is_named_and_not_joined(tmp_path: Path) -> None:
    dates = ["02-Jan", "02.01.2024", "02. Mrz", "1/2/24", "2024-01-02", "Jan-02"]
    others = {"numbers in exponential notation": "1.00E+05", "lost characters": "Jo\ufffd", "numbers with a fraction": "12.0",
              "numbers cut to 15 digits": "1234567890123450"}  # fmt: skip
    labels = [*dates, *others.values(), "Jan", "1E5", "1-2", "100000", "12345678901234567"]
    assert damaged(labels) == {"dates": sorted(dates), **{kind: [label] for kind, label in others.items()}}
    found = listed(tmp_path, dict.fromkeys(labels, 1), spellings="join")
    assert identities(found) == dict.fromkeys(labels, 1)
    assert len(found.notes) == 6


def test_a_key_of_the_dataset_in_its_source_is_an_error_with_the_lines_to_write() -> None:
    old = {"source": {"name": "table", "path": "t.csv", "unlabelled": "unknown"}}
    with pytest.raises(ValueError, match="'unlabelled' is a key of dataset") as caught:
        Dataset.model_validate(old)
    lines = str(caught.value).split("Write\n")[1].split(" [type=")[0]
    assert Dataset.model_validate(loads(lines)["dataset"]).unlabelled == ["unknown"]
