"""`reidflow init`: what it makes of the ways in which people keep their images, and that the configs it writes plan."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reidflow.cli import main
from reidflow.ingest import opening
from reidflow.ingest.rawdata import identify
from reidflow.ingest.recognise import recognise
from reidflow.spec import plan
from reidflow.spec.components import call
from reidflow.spec.errors import ReidflowError
from reidflow.spec.winners import candidate_experiments
from reidflow.spec.yaml import load

ROOT = Path(__file__).resolve().parents[3]
BASE = "config/tiny.yaml"
PEOPLE, EACH = 6, 5


def draw(path: Path, seed: int, alpha: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    if alpha:
        mask = np.zeros((20, 24), np.uint8)
        mask[5:15, 5:15] = 255
        picture.putalpha(Image.fromarray(mask))
    picture.save(path)


def masks(root: Path, name: str = "{who}/{k}.png") -> None:
    mask = np.zeros((20, 24), np.uint8)
    mask[5:15, 5:15] = 255
    for number in range(PEOPLE * EACH):
        who, k = divmod(number, EACH)
        path = root / name.format(who=f"cat{'abcdef'[who]}", k=k)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)


def folders(root: Path, name: str = "{who}/{k}.png", each: int = EACH, alpha: bool = False) -> None:
    for number in range(PEOPLE * each):
        who, k = divmod(number, each)
        draw(root / name.format(who=f"cat{'abcdef'[who]}", k=k, n=number, half=k // 2), number, alpha)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def init(project, capsys):
    def run(*arguments, base=BASE):
        status = main(["init", *map(str, arguments), "--configfile", base])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def table(path: Path, header: str, row: str) -> None:
    rows = [row.format(who="abcdef"[n // EACH], n=n, k=n % EACH) for n in range(PEOPLE * EACH)]
    path.write_text("\n".join([header, *rows]) + "\n")


def jaguar(root: Path) -> None:
    folders(root, "train/train/{n}.png", alpha=True)
    draw(root / "test" / "test" / "q.png", 99, alpha=True)
    table(root / "train.csv", "filename,ground_truth", "{n}.png,{who}")
    table(root / "facts.csv", "filename,sighting,orientation", "{n}.png,{who}-{k},left")


def two_sides(root: Path) -> None:
    for folder in ("train", "query", "gallery"):
        folders(root / folder, f"{{who}}/{folder}{{k}}.png")


def unlabelled_sides(root: Path) -> None:
    folders(root / "train")
    folders(root / "query", "{n}.png", each=1)
    folders(root / "gallery", "{n}.png", each=1)


def mixed_table(root: Path) -> None:
    folders(root / "pictures", "{n}.png")
    table(root / "meta.csv", "Image;Individual ID;encounter;date;bbox", "{n}.png;{who};{who}{k};2024-05-0{k};1")
    (root / "meta.csv").write_text(
        (root / "meta.csv").read_text().replace(";f;f0", ";unknown;f0").replace("-00", "-09")
    )


def entries(header: str, row: str) -> str:
    rows = [row.format(who="abcdef"[n // EACH], n=n, k=n % EACH) for n in range(PEOPLE * EACH)]
    return "\n".join([header, *rows]) + "\n"


def wildlife(root: Path) -> None:
    folders(root, "images/{n}.png")
    row = '{n},{n},cat{who},images/{n}.png,"[2, 3, 10, 12]","[2, 3, 12, 3, 12, 15, 2, 15]",2015-06-0{k},left'
    text = entries(",image_id,identity,path,bbox,segmentation,date,orientation", row)
    (root / "metadata.csv").write_text(text.replace("-00", "-09"))


def coco_file(root: Path) -> None:
    folders(root, "images/2020/{n}.png")
    numbers = range(PEOPLE * EACH)
    images = [{"id": n, "file_name": f"{n}.png", "datetime": f"2015-06-0{n % EACH + 1}"} for n in numbers]
    annotations = [{"image_id": n, "name": f"cat{n // EACH}", "bbox": [2, 3, 10, 12]} for n in numbers]
    (root / "annotations").mkdir()
    (root / "annotations" / "train.json").write_text(json.dumps({"images": images, "annotations": annotations}))


def market(root: Path) -> None:
    for folder, first in (("bounding_box_train", 0), ("bounding_box_test", 3), ("query", 3)):
        for n in range(3 * EACH):
            draw(
                root / folder / f"{first + n // EACH + 1:04}_c{n % EACH + 1}s1_{n:06}_{len(folder):02}.png",
                n + len(folder),
            )


def products(root: Path) -> None:
    folders(root, "cats_final/{n}.png")
    text = entries("image_id class_id super_class_id path", "{n} {who} 1 cats_final/{n}.png").splitlines()
    (root / "Ebay_train.txt").write_text("\n".join(text[:16]))
    (root / "Ebay_test.txt").write_text("\n".join([text[0], *text[16:]]))


def camera_traps(root: Path) -> None:
    folders(root)
    some = [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5]}]
    images = [{"file": path.relative_to(root).as_posix(), "detections": some} for path in sorted(root.rglob("*.png"))]
    (root / "md.json").write_text(json.dumps({"images": images, "detection_categories": {"1": "animal"}}))


def encounters(root: Path) -> None:
    folders(root, "images/{n}.png")
    table(root / "export.csv", "Encounter.mediaAsset0,Name0.value,Encounter.year", "{n}.png,cat{who},201{k}")


LAYOUTS = {
    "wildlife-datasets": (wildlife, {"name": "wildlife_datasets", "path": "photos/metadata.csv"}),
    "COCO": (coco_file, {"name": "coco", "path": "photos/annotations/train.json", "images": "photos/images/2020"}),
    "Market-1501": (market, {"name": "market1501"}),
    "products": (products, {"name": "sop"}),
    "camera traps": (camera_traps, {"name": "folder"}),
    "Wildbook": (encounters, {"name": "wildbook", "path": "photos/export.csv", "images": "photos/images"}),
    "sites": (lambda root: folders(root, "site{half}/{who}/{k}.png"), {"name": "folder", "depth": 2}),
    "roles": (
        lambda root: [folders(root, f"{role}/{{who}}/{{k}}.png", each=3) for role in ("train", "valid", "test")],
        {"name": "folder", "pattern": "{role}/{identity}/**"},
    ),
    "folder per individual": (folders, {"name": "folder"}),
    "groups in a folder below": (
        lambda root: folders(root, "all/{who}/{half}/{k}.png"),
        {"name": "folder", "images": "all", "groups": True},
    ),
    "masks in a folder beside": (
        lambda root: (folders(root / "im"), masks(root / "masks")),
        {"name": "folder", "images": "im", "masks": "masks"},
    ),
    "masks beside their images": (
        lambda root: (folders(root), masks(root, "{who}/{k}_mask.png")),
        {"name": "folder", "masks": "."},
    ),
    "jaguar": (jaguar, {"name": "jaguar", "metadata": "facts.csv", "group": "sighting", "flank": "orientation"}),
    "two sides": (
        two_sides,
        {"name": "query_gallery", "train": "train", "query": "query", "gallery": "gallery", "labelled": True},
    ),
    "unlabelled sides": (
        unlabelled_sides,
        {"name": "query_gallery", "train": "train", "query": "query", "gallery": "gallery", "labelled": False},
    ),
    "lfw": (lambda root: folders(root / "lfw_home" / "lfw_funneled"), {"name": "lfw", "faces": 5}),
}


MASKED = ("jaguar", "masks in a folder beside", "masks beside their images", "wildlife-datasets")


GIVEN = {"Market-1501": {"val": 0.2}, "products": {"val": 0.2}, "roles": {}}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_becomes_a_config_that_plans_and_lists_all_images(init, layout):
    make, expected = LAYOUTS[layout]
    make(Path("photos"))
    status, out, err = init("photos", "--out", "mine.yaml")
    assert status == 0, err
    made = plan.make([BASE, "mine.yaml"])
    source = load("mine.yaml")["dataset"]["source"]
    assert source == {"path": "photos", **expected}
    rows = call("source", made.config.dataset.source).rows
    labelled = [row for row in rows if row.identity is not None]
    assert len({row.identity for row in labelled}) == PEOPLE
    assert made.config.scale == f"{PEOPLE} individuals, {len(labelled)} images"
    assert f"snakemake --configfile {BASE} mine.yaml -- all_tables" in out
    assert (made.config.dataset.frame["name"] == "mask_box") == (layout in MASKED)
    split = load("mine.yaml")["split"]
    assert split == {"name": "column", **GIVEN[layout]} if layout in GIVEN else split["name"] != "column"
    comments = [line for line in Path("mine.yaml").read_text().splitlines() if line.startswith("#")]
    assert 5 <= len(comments) <= 12 and made.config.results == "results-photos"


@pytest.mark.parametrize(
    "names", ["Alpha Beta Gamma", "Segun Beta Gamma", "Maskito Beta Gamma", "alpha beta", "mask seg mk"]
)
def test_animals_whose_names_begin_like_a_folder_of_masks_are_individuals(project, names):
    for number, name in enumerate(names.split()):
        for k in range(3):
            draw(Path("photos") / name / f"{k}.png", 10 * number + k)
    found = recognise("photos")
    assert "masks" not in found.source and {row.identity for row in found.listing.rows} == set(names.split())


def test_files_of_which_nothing_can_be_made_are_noted_and_stop_nothing(project):
    folders(Path("photos"))
    damaged = {
        "notes.csv": "Jürgen\n".encode("latin-1"),
        "ragged.csv": b"a,b\n1,2,3\n",
        "empty.CSV": b"",
        "odd.parquet": b"PAR1",
    }
    for name, data in damaged.items():
        Path("photos", name).write_bytes(data)
    stray = {"images": [{"id": 1, "file_name": "other.png"}], "annotations": [{"image_id": 1, "name": "Leo"}]}
    Path("photos/stray.json").write_text(json.dumps(stray))
    for images in (None, "photos"):
        found = recognise("photos", images)
        assert found.source == {"name": "folder", "path": "photos"} and len(found.listing.rows) == PEOPLE * EACH
        notes = [note for note in found.notes if note.startswith("Not used: ")]
        assert all(any(f"photos/{name}" in note for note in notes) for name in [*damaged, "stray.json"])
    Path("elsewhere").mkdir()
    draw(Path("elsewhere/other.png"), 1)
    assert recognise("photos", "elsewhere").source == {
        "name": "coco",
        "path": "photos/stray.json",
        "images": "elsewhere",
    }
    for number in range(3):
        draw(Path("flat") / f"{number}.png", number)
    Path("flat/meta.csv").write_bytes("path,identity\n0.png,Jürgen\n".encode("latin-1"))
    with pytest.raises(ReidflowError, match=r"(?s)lie directly in one folder.* Not used: .*line 2: not UTF-8"):
        recognise("flat")


def test_a_table_with_a_suffix_in_capitals_is_one(project):
    folders(Path("photos"))
    table(Path("photos/META.CSV"), "path,identity", "cat{who}/{k}.png,{who}")
    assert recognise("photos").source == {"name": "table", "path": "photos/META.CSV"}


def test_images_of_any_size_are_measured(init, monkeypatch):
    folders(Path("photos"), each=20)
    opening._formats.cache_clear()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    status, _, err = init("photos")
    assert status == 0, err
    assert load("photos.yaml")["protocol"]["model"]["size"] == 64


def test_a_table_is_read_by_the_names_of_its_columns(init):
    mixed_table(Path("photos"))
    status, out, err = init("photos/meta.csv")
    assert status == 0, err
    source = load("photos.yaml")["dataset"]["source"]
    assert source == {
        "name": "table",
        "path": "photos/meta.csv",
        "images": "photos/pictures",
        "image": "Image",
        "identity": "Individual ID",
        "group": "encounter",
        "time": "date",
        "bbox": None,
    }
    assert load("photos.yaml")["dataset"]["unlabelled"] == ["unknown"]
    assert "unlabelled images" in out
    assert recognise("photos").source == {**source}


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("path,identity,x1,y1,x2,y2", "{n}.png,{who},1,2,9,12", {"bbox": ["x1", "y1", "x2", "y2"], "corners": True}),
        ("path,identity,bbox", '{n}.png,{who},"[0.1, 0.1, 0.5, 0.5]"', {"bbox": "bbox", "relative": True}),
        ("path,identity,bbox_x,bbox_y,bbox_w,bbox_h", "{n}.png,{who},1,2,9,12", {"bbox": ["bbox_x", "bbox_y", "bbox_w", "bbox_h"]}),
        ("path,identity,mask", '{n}.png,{who},"[[1, 1, 9, 1, 9, 9]]"', {"segmentation": "mask"}),
        ("path,identity,Camera ID,station,side", "{n}.png,{who},c{k},north,left", {"camera": "Camera ID", "site": "station", "flank": "side"}),
        ("path,identity,split,is_query,is_gallery", "{n}.png,{who},train,,", {"query": "is_query", "gallery": "is_gallery"}),
    ],
)  # fmt: skip
def test_further_columns_of_a_table_are_used(project, header, row, expected):
    folders(Path("photos"), "{n}.png")
    rows = entries(header, row)
    if "split" in header:
        rows = rows.replace("0.png,a,train,,", "0.png,a,test,1,0").replace("1.png,a,train,,", "1.png,a,test,0,1")
        expected = expected | {"role": "split"}
    Path("photos/meta.csv").write_text(rows)
    found = recognise("photos/meta.csv")
    assert found.source == {"name": "table", "path": "photos/meta.csv", **expected}
    assert len(found.listing.rows) == PEOPLE * EACH


def test_a_config_for_data_with_flanks_says_what_they_are_for(init):
    folders(Path("photos"), "{n}.png")
    lines = [f"{n}.png,{'abcdef'[n // EACH]},{('Left', 'right', 'L')[n % 3]}" for n in range(PEOPLE * EACH)]
    Path("photos/meta.csv").write_text("\n".join(["path,identity,viewpoint", *lines]))
    assert init("photos/meta.csv")[0] == 0
    (written,) = Path().glob("*.yaml")
    text = written.read_text()
    assert "# Flanks or viewpoints are known (left 20, right 10)" in text
    same = Path("same.yaml")
    same.write_text(text.replace("# candidates:", "candidates:"))
    assert plan.make([ROOT / BASE, same], root=ROOT).config.candidates.same == ["flank"]


def test_detections_and_sites_are_named_with_what_to_write_otherwise(project):
    camera_traps(Path("traps"))
    found = recognise("traps")
    assert found.keys == {"detections": {"path": "traps/md.json", "confidence": 0.2}}
    assert all(row.box == (0.1, 0.1, 0.5, 0.5) for row in found.listing.rows)
    with pytest.raises(ReidflowError, match="name that folder: reidflow init FOLDER"):
        recognise("traps/md.json")
    folders(Path("years"), "20{half}5/{who}/{k}.png")
    (note, several) = recognise("years").notes
    assert (
        "write 'groups: true' for 'depth: 2'" in note
        and "6 individuals, such as 'cata', are at several sites" in several
    )


def test_a_config_without_masks_says_how_to_have_them_computed(init):
    folders(Path("photos"))
    assert init("photos", "--out", "mine.yaml")[0] == 0
    text = Path("mine.yaml").read_text()
    assert "  # masks: {" in text
    Path("masked.yaml").write_text(
        text.replace("  # masks: {", "  masks: {").replace("{name: pad}", "{name: mask_box}")
    )
    dataset = plan.make([BASE, "masked.yaml"]).config.dataset
    assert dataset.masks["name"] == "rembg" and dataset.frame["name"] == "mask_box"


def test_a_given_split_is_taken_with_its_protocol_and_one_that_cannot_be_scored_is_noted(init):
    market(Path("market"))
    draw(Path("market/bounding_box_test/0000_c1s1_000000_00.jpg"), 77)
    status, out, err = init("market", base="config/config.yaml")
    assert status == 0, err
    written = load("market.yaml")
    assert written["ignore"] == ["camera"] and written["groups"] == {"phash_distance": None}
    assert written["dataset"]["frame"] == {"name": "squash"}
    assert written["overrides"] == {"seeds": {"candidates": {"split_seeds": []}}}
    assert (
        "1 unlabelled images are distractors in the galleries" in out
        and "the data give 15 train, 30 test images" in out
    )
    folders(Path("photos"), "{n}.png")
    rows = entries("path,identity,split", "{n}.png,{who},train").replace("\n0.png,a,train", "\n0.png,z,test", 1)
    Path("photos/meta.csv").write_text(rows)
    status, out, err = init("photos")
    assert status == 0 and "the split that the data give is not used: " in out
    # One image of each in validation and in test: their positives are in other roles.
    roles = ["train", "train", "train", "val", "test"]
    rows = [f"{n}.png,{'abcdef'[n // EACH]},{roles[n % EACH]}" for n in range(PEOPLE * EACH)]
    Path("photos/meta.csv").write_text("\n".join(["path,identity,split", *rows]))
    assert init("photos", "--out", "few.yaml")[0] == 0
    few = load("few.yaml")
    assert (few["split"], few["gallery"]) == ({"name": "column"}, "all") and written["gallery"] == "role"
    assert load("photos.yaml")["split"]["name"] == "closed_set"


def test_names_of_files_in_one_folder_become_a_table(init):
    folders(Path("photos"), "{who}_{k:03}.png")
    status, out, err = init("photos", "--out", "mine.yaml")
    assert status == 0, err
    assert "check them in the table" in out
    made = plan.make([BASE, "mine.yaml"])
    rows = call("source", made.config.dataset.source).rows
    assert {row.path: row.identity for row in rows} == {
        f"cat{who}_{k:03}.png": f"cat{who}" for who in "abcdef" for k in range(EACH)
    }
    assert init("photos", "--out", "mine.yaml", "--force")[0] == 0


def test_the_split_fits_the_images_of_an_individual(init):
    for each, expected in ((5, ("closed_set", "role")), (3, ("closed_set", "all"))):
        folders(Path(f"p{each}"), each=each)
        assert init(f"p{each}")[0] == 0
        config = load(f"p{each}.yaml")
        assert (config["split"]["name"], config["gallery"]) == expected
    status, _, err = init("p3", "--out", "again.yaml")
    assert status == 0, err
    folders(Path("p2"), each=2)
    status, _, err = init("p2")
    assert (
        status == 1 and "0 of 6 identities can be scored in 'test'" in err and "split: {name: identity_disjoint" in err
    )
    for number in range(6, 12):
        for k in (0, 1):
            draw(Path("p2") / str(number) / f"{k}.png", 100 * number + k)
    status, _, err = init("p2")
    assert status == 0, err
    assert load("p2.yaml")["split"]["name"] == "identity_disjoint"


def test_experiments_that_the_images_cannot_answer_are_left_out_with_the_reason(init):
    folders(Path("plain"))
    folders(Path("masked"), alpha=True)
    two_sides(Path("sides"))
    chosen, said = {}, {}
    for name in ("plain", "masked", "sides"):
        status, said[name], err = init(name, base="config/config.yaml")
        assert status == 0, err
        chosen[name] = set(load(f"{name}.yaml")["experiments"])
    assert "eda_backgrounds" in chosen["masked"] and "eda_backgrounds" not in chosen["plain"]
    assert "Left out, for want of masks: eda_backgrounds" in said["plain"]
    assert "faces_remedies" in chosen["sides"] and not {"faces", "faces_remedies"} & chosen["plain"]
    assert all({"losses", "geometry", "eda_dedup", "a_against_a"} <= some for some in chosen.values())


def test_the_preset_for_photographs_is_named_and_takes_the_written_config(init):
    folders(Path("small"), each=6)
    _, out, _ = init("small", "--out", "mine.yaml", base="config/config.yaml")
    command = next(line for line in out.splitlines() if "--configfile config/photographs.yaml" in line).split()
    assert command[:3] == ["reidflow", "init", "small"] and command[-3:] == ["--out", "mine.yaml", "--force"]
    Path(".venv/bin").mkdir(parents=True)
    for name in ("reidflow", "snakemake"):
        Path(".venv/bin", name).touch()
    _, out, _ = init("small", "--out", "mine.yaml", "--force", base="config/config.yaml")
    assert f".venv/bin/{' '.join(command)}" in out
    status, out, err = init("small", "--out", "small.yaml", base="config/photographs.yaml")
    assert status == 0, err
    assert "reidflow init" not in out and "config/photographs.yaml small.yaml" in out
    made = plan.make(["config/photographs.yaml", "small.yaml"])
    assert made.experiments["recipes"].folds and {"recipes", "losses"} <= set(load("small.yaml")["experiments"])
    arms = made.experiments["fused"].arms
    assert made.experiments["recipes"].arms["peer_recipe"].spec == arms["peer_recipe"].spec
    assert arms["fused"].spec.runs() == arms["head"].spec.runs() != arms["peer_recipe"].spec.runs()


def test_few_test_images_have_frozen_experiments_run_on_folds_that_test_all_of_them(init):
    folders(Path("small"), each=6)
    status, out, err = init("small", base="config/config.yaml")
    assert status == 0, err
    made = plan.make(["config/config.yaml", "small.yaml"])
    folded = {name for name, one in made.experiments.items() if one.folds}
    # backbones trains networks from images, a_against_a is about seeds, the others need one split.
    assert folded == {"losses", "matching", "geometry", "schedulers", "optimizers", "augmentation"}
    assert {arm.seeds for name in folded for arm in made.experiments[name].arms.values()} == {(0, 1, 2)}
    ranked = set(candidate_experiments(made.experiments["seeds"], made.experiments))
    assert ranked == {"eda_dedup", "eda_curation", "hpo", "nas"}
    trainings = sum(len(job) for name in made.experiments for job in made.training(name))
    trainings += sum(len(job) for name, one in made.experiments.items() if one.tuned for job in made.sweep(name))
    assert f"{trainings} trainings" in out
    # Of six images each, one split tests two, and the folds all.
    assert "one split tests 12 images of 6 individuals, five folds 36 images of 6 individuals" in out
    text = Path("small.yaml").read_text()
    Path("one.yaml").write_text(text[: text.index("overrides:")])
    without = plan.make(["config/config.yaml", "one.yaml"])
    assert not any(one.folds for one in without.experiments.values())


def test_enough_test_images_keep_one_split(init):
    folders(Path("many"), "{n}.png", each=115)
    rows = [f"{n}.png,{'abcdef'[n // 115]}" for n in range(PEOPLE * 115)]
    Path("many.csv").write_text("\n".join(["path,identity", *rows]) + "\n")
    status, out, err = init("many.csv", "--images", "many")
    assert status == 0, err
    assert "Folds" not in out and "overrides" not in Path("many.yaml").read_text()


def test_nothing_is_overwritten_and_only_headers_of_a_sample_are_read(init, monkeypatch):
    folders(Path("photos"), each=20)
    Path("photos.yaml").write_text("mine")
    status, _, err = init("photos")
    assert status == 1 and "exists already" in err and Path("photos.yaml").read_text() == "mine"
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **more: opened.append(given) or real(*given, **more))
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("an image was decoded"))
    assert init("photos", "--force")[0] == 0
    assert 0 < len(opened) <= 40


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "photos: no such file or folder"),
        (lambda root: root.mkdir(), "it is empty. Name the folder that holds the images"),
        (lambda root: folders(root, "IMG_{n}.png"), "their names do not show whom they are of"),
        (lambda root: folders(root, "one/{n}.png"), "name the folder that holds the folders of all"),
        (lambda root: (folders(root / "train"), folders(root / "test", "{n}.png")), "no individual's folder there, such as 'test/0.png'"),
        (lambda root: (folders(root / "query", "{n}.png"), folders(root / "gallery", "{n}.png")), "nothing can be learned"),
        (lambda root: (root.mkdir(), (root / "a.csv").write_text("x,y\n1,2\n")), "none of its 1 files is an image"),
    ],
)  # fmt: skip
def test_what_nothing_can_be_made_of_says_what_to_do(init, make, message):
    make(Path("photos"))
    status, _, err = init("photos")
    assert status == 1 and message in err and err.count("\n") == 1 and not Path("photos.yaml").exists()


def test_unusable_tables_say_what_to_do(init):
    folders(Path("p"))
    Path("p/bad.csv").write_bytes(b"\xff\xfe")
    assert "the table is empty" in init("p/bad.csv")[2]
    Path("p/odd.csv").write_text("x,y\n1,2\n")
    assert "Rename them to path and identity" in init("p/odd.csv")[2]
    Path("p/gone.csv").write_text("path,identity\nq/1.png,a\nq/2.png,b\n")
    assert "name their folder with --images" in init("p/gone.csv")[2]
    table(Path("p/one.csv"), "path,identity", "cat{who}/{k}.png,same")
    assert "all labelled images show 'same'" in init("p/one.csv")[2]
    table(Path("p/blank.csv"), "path,identity", "cat{who}/{k}.png,")
    assert "name" in init("p/blank.csv")[2]


def test_a_folder_of_links_is_followed_and_identified_by_the_config_that_says_so(init):
    folders(Path("store"))
    for path in sorted(Path("store").rglob("*.png")):
        link = Path("photos") / path.relative_to("store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.absolute())
    status, out, err = init("photos")
    assert status == 0 and "links that lead out of the folder are followed" in out, err
    made = plan.make([BASE, "photos.yaml"])
    assert load("photos.yaml")["dataset"]["links"] == "follow"
    refusing = made.config.model_copy(update={"dataset": made.config.dataset.model_copy(update={"links": "refuse"})})
    with pytest.raises(ReidflowError, match="`links: follow`"):
        identify(refusing, refresh=True)
    first = identify(made.config, refresh=True).digest
    draw(path, 901)
    assert identify(made.config, refresh=True).digest != first


def test_a_table_of_another_machine_is_recognised_with_its_order_of_days(project):
    folders(Path("photos/pictures"))
    table(Path("photos/meta.csv"), "path,identity,date", r"D:\Data\cat{who}\{k}.PNG,{who},2{k}/03/2024")
    found = recognise("photos")
    assert found.source["images"] == "photos/pictures" and found.keys == {"dates": "day_first"}
    assert not found.listing.faults and all(row.time.startswith("2024-03-2") for row in found.listing.rows)
    assert "paths of another machine" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("text", "odd", "read"),
    [
        ("2{k}/03/2024", "some day", {"dates": "day_first"}),
        ("17100000{k}0", "1710000000", "write under dataset: `dates: unix`"),
    ],
)
def test_times_are_kept_where_one_cannot_be_read_and_where_all_need_a_line(project, text, odd, read):
    folders(Path("photos"))
    table(Path("photos/meta.csv"), "path,identity,date", "cat{who}/{k}.png,{who}," + text)
    path = Path("photos/meta.csv")
    path.write_text(path.read_text().rsplit(",", 1)[0] + f",{odd}\n")
    found = recognise("photos/meta.csv")
    assert found.source["time"] == "date" and "that cannot be read" in " ".join(found.notes)
    assert found.keys == read if isinstance(read, dict) else read in " ".join(found.notes)


def test_names_above_the_folder_of_a_table_do_not_make_its_parent_the_data_set(project):
    folders(Path("photos"))
    table(Path("photos/meta.csv"), "path,identity", "photos/cat{who}/{k}.png,{who}")
    found = recognise("photos/meta.csv")
    assert "images" not in found.source and len(found.listing.rows) == PEOPLE * EACH


@pytest.mark.parametrize("make", [market, products, two_sides])
def test_a_benchmark_is_recognised_in_the_folder_that_its_archive_made(project, make):
    Path("download").mkdir()
    make(Path("download/set"))
    inner = recognise("download/set")
    assert inner.source["name"] != "folder" and recognise("download").source == inner.source


def test_of_several_tables_the_one_used_is_named_and_another_can_be(project):
    folders(Path("photos"))
    for name in ("a.csv", "b.csv"):
        table(Path("photos") / name, "path,identity", "cat{who}/{k}.png,{who}")
    assert "'a.csv' is the table used; to use another (b.csv)" in " ".join(recognise("photos").notes)
    assert recognise("photos/b.csv").source["path"] == "photos/b.csv"


def test_a_coco_file_of_another_machine_is_recognised(project):
    coco_file(Path("photos"))
    path = Path("photos/annotations/train.json")
    path.write_text(path.read_text().replace('"file_name": "', '"file_name": "C:\\\\data\\\\images\\\\2020\\\\'))
    found = recognise("photos")
    assert found.source["name"] == "coco" and len(found.listing.rows) == PEOPLE * EACH and not found.listing.faults


def test_labels_that_look_alike_or_unknown_are_named(project):
    folders(Path("photos"))
    for name in ("CATA", "unknown"):
        draw(Path("photos") / name / "0.png", 900)
    found = recognise("photos")
    assert "'CATA' (1), 'cata' (" in " ".join(found.notes) and found.keys == {"unlabelled": ["unknown"]}
    with pytest.raises(ReidflowError, match="no such file"):
        recognise("nowhere")
    with pytest.raises(ReidflowError, match="Did you mean 'photos'") as caught:
        recognise("Photo")
    assert recognise(str(caught.value).split("'")[1]).source == found.source
