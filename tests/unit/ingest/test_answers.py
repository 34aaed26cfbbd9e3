"""Answers on pairs of images become labels by the stated rule, or errors that name file and row."""

import hashlib
import json

import pytest
from made_images import encoded, picture

from reidflow.ingest.build import Outputs, ingest, listing_of
from reidflow.ingest.manifest import MANIFEST, SET_ASIDE
from reidflow.ingest.rawdata import identify_answers
from reidflow.ingest.review import Answer, decided, verdicts
from reidflow.spec.config import Config, Dataset
from reidflow.spec.errors import ReidflowError
from reidflow.store.tables import read_table

LABELS = {"a1": "A", "a2": "A", "a3": "A", "b1": "B", "b2": "B", "b3": "B", "c1": "C", "d1": "D", "d2": "D", "x": None}


def said(text: str) -> list[Answer]:
    """Return answers written as `a1=a2 a1/b1`: the same, different."""
    return [Answer(*one.replace("=", "/").split("/"), "same" if "=" in one else "different") for one in text.split()]


@pytest.mark.parametrize(
    ("answers", "changed", "kind"),
    [
        ("a1/a2", {"a1": None}, "aside"),
        ("a1/a2 a1=b1", {"a1": "B"}, "moved"),
        ("a1/a2 a1/b1", {"a1": None}, "aside"),
        ("a1/a2 a1/a3 a1=a2", {"a1": None}, "aside"),
        ("a1/a2 a1=a3", {}, "contradictory"),
        ("a1=b1", {}, "open"),
        ("a1=a2", {}, "confirmed"),
        ("a1=a2 a1=b1", {}, "confirmed"),
        ("a1/a2 a1=b1 a1=d1", {"a1": None}, "aside"),
        ("a1/a2 a1=b1 a1=b2 a1=d1", {"a1": "B"}, "moved"),
        # The image in question is set aside, although the other one of two may be the wrong one: they are not trained on as one.
        ("d1/d2", {"d1": None}, "aside"),
        ("d1/d2 d1/b1", {"d1": None}, "aside"),
        ("d2/d1 d1/b1", {"d2": None}, "aside"),
        # Votes on one pair count by their majority, in either order of its images.
        ("a1/a2 a2=a1", {}, "contradictory"),
        ("a1/a2 a2/a1 a1=a2", {"a1": None}, "aside"),
        # An image that is wrong itself says nothing of others.
        ("a1/a2 a2/a3 a2=b1", {"a2": "B"}, "moved"),
        # Each is in question by another one that is.
        ("a1/a2 a2/a3 a3/a1", {}, "contradictory"),
        ("b1=x", {"x": "B"}, "named"),
        ("x=b1 x=d1", {}, "contradictory"),
    ],
)
def test_answers_change_labels_by_the_rule(answers, changed, kind):
    found = verdicts(LABELS, said(answers))
    assert found.labels == changed and getattr(found, kind)
    lists = (found.moved, found.named, found.aside)
    assert sorted(image for some in lists for image in some) == sorted(changed)


@pytest.mark.parametrize(
    ("answers", "joined"),
    [
        ("d1=a1", {}),
        ("d1=a1 d1=a2", {}),
        ("d1=a1 d2=a2", {"D": "A"}),
        ("d1=a1 d2=a2 d1/a3", {}),
        ("c1=b1", {"C": "B"}),
        ("d1=a1 d2=a2 c1=d1", {"D": "A", "C": "A"}),
        # C is D and D is A, but C is not A: one of the three is wrong, and nobody knows which.
        ("d1=a1 d2=a2 c1=d1 c1/a1", {}),
        ("d1=a1 d2=a2 c1=d1 c1/b1", {"D": "A", "C": "A"}),
    ],
)
def test_two_identities_are_joined_once_two_pairs_confirm_it_and_none_denies_it(answers, joined):
    found = verdicts(LABELS, said(answers))
    assert found.joined == joined
    assert found.labels == {image: joined[label] for image, label in LABELS.items() if label in joined}


@pytest.fixture
def data(tmp_path):
    for number, name in enumerate(("leo/1.png", "leo/2.png", "leo/3.png", "mia/1.png", "mia/2.png")):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(seed=number)))
    return tmp_path


def dataset(data, *texts: str | bytes) -> dict:
    files = []
    for number, text in enumerate(texts):
        files.append(str(data / f"review{number}.csv"))
        (data / files[-1]).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Dataset(source={"name": "folder", "path": str(data / "set")}, review=files).model_dump(mode="json")


EXPORTED = "\ufeffimage,other,answer,label,other_label\r\nleo/3.png,leo/1.png,different,leo,leo\r\nleo/3.png,mia/1.png,same,leo,mia\r\n"


@pytest.mark.parametrize(
    "texts",
    [
        (EXPORTED,),
        (EXPORTED.replace(",", ";"),),
        (EXPORTED.replace("different", "Different ").replace("same", "SAME").replace("mia/1.png", " mia/1.png "),),
        (EXPORTED.encode("utf-16"),),
        tuple(
            f"image,other,answer\n{line}\n" for line in ("leo/3.png,leo/1.png,different", "leo/3.png,mia/1.png,same")
        ),
        (EXPORTED + "leo/1.png,mia/1.png,unsure,leo,mia\r\nleo/1.png,leo/2.png,,,\r\n",),
    ],
)
def test_a_file_of_answers_changes_labels_and_the_digest_and_says_so(data, texts):
    names = ("manifest", "quarantine", "images", "masks", "digest")
    for folder, given in (("plain", ()), ("answered", texts)):
        (data / folder).mkdir()
        notes = ingest(
            listing_of(dataset(data, *given), data),
            Outputs(*(data / folder / name for name in names), data / folder / "rejected"),
            frame={"name": "squash"},
            size=16,
            max_bad_share=0.0,
            max_pixels=10**6,
            workers=1,
        )
    plain, answered = (read_table(data / folder / "manifest", MANIFEST) for folder in ("plain", "answered"))
    assert answered["identity"].to_list() == ["leo", "leo", "mia", "mia", "mia"]
    assert plain["identity"].to_list() == ["leo", "leo", "leo", "mia", "mia"]
    assert set(answered["role"]) == {None}
    assert answered.drop("identity").equals(plain.drop("identity"))
    (note,) = notes
    assert "2 answers" in note and "'leo/3.png' from 'leo' to 'mia'" in note
    summaries = [json.loads((data / folder / "digest").read_text()) for folder in ("plain", "answered")]
    assert summaries[0]["digest"] != summaries[1]["digest"] and summaries[1]["notes"] == notes
    assert decided(dataset(data, *texts)["review"]) == {"leo/3.png"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,other\na,b\n", "no column 'answer'; the columns are image, other"),
        (
            "image,other,answer\nleo/1.png,leo/2.png,yes\n",
            "review0.csv, row 1: the answer 'yes' is none of same, different, unsure",
        ),
        ("image,other,answer\nleo/1.png,,same\n", "row 1: an image has no name"),
        ("image,other,answer\nleo/1.png,leo/1.png,same\n", "'leo/1.png' is compared with itself"),
        (
            "image,other,answer\nleo/2.png,leo/1.png,same\nleo/9.png,leo/1.png,same\n",
            "row 2: there is no image 'leo/9.png'",
        ),
        ("image,other,answer\nleo/9.png,leo/1.png,same\n", "Did you mean 'leo/"),
    ],
)
def test_wrong_rows_are_errors_that_name_file_and_row(data, text, message):
    with pytest.raises(ReidflowError) as error:
        listing_of(dataset(data, text), data)
    assert message in str(error.value) and "review0.csv" in str(error.value)


def test_many_wrong_rows_are_one_paragraph(data):
    text = "image,other,answer\n" + "leo/1.png,leo/2.png,yes\n" * 30
    with pytest.raises(ReidflowError) as error:
        listing_of(dataset(data, text), data)
    assert str(error.value).count("the answer 'yes'") == 1


def test_a_missing_file_is_an_error_of_the_plan_and_none_of_jobs_that_run_by_then(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "answers.csv"
    config = Config.model_construct(results="results", dataset=Dataset(source={"name": "demo"}, review=str(file)))
    with pytest.raises(ReidflowError, match=r"dataset\.review: '.*answers\.csv' cannot be read"):
        identify_answers(config, refresh=True)
    file.write_text("image,other,answer\n")
    planned = identify_answers(config, refresh=True)
    assert planned == {str(file): hashlib.sha256(file.read_bytes()).hexdigest()}
    file.unlink()
    assert identify_answers(config, refresh=False) == planned


def test_an_image_that_becomes_unlabelled_is_set_aside_whatever_its_role(data):
    (data / "table.csv").write_text(
        "path,identity,split\n" + "".join(f"leo/{n}.png,leo,train\n" for n in (1, 2, 3)) + "mia/1.png,mia,test\n"
    )
    (data / "review.csv").write_text("image,other,answer\nleo/3.png,leo/1.png,different\n")
    source = {"name": "table", "path": str(data / "table.csv"), "images": str(data / "set"), "role": "split"}
    given = Dataset(source=source, review=str(data / "review.csv")).model_dump(mode="json")
    rows = {row.path: (row.identity, row.role) for row in listing_of(given, data).rows}
    assert rows["leo/3.png"] == (None, SET_ASIDE) and rows["leo/2.png"] == ("leo", "train")
