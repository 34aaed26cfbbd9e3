"""Detection of edited copies: crops, mirror images, rotations, brightness, compression, overlays, and pairs of these.

Copies with one known edit each, or two, are planted among photographs. Every round edits each photograph once, and
the methods compare the photographs and the copies of that round. A pair found is right if it is a photograph and its
copy, and wrong if the two come from different photographs. Neither are pairs within a group of the data set (a
sighting, a burst), which may be near-duplicates by themselves: they are counted apart. With `--pasted`, further images
show a photograph's background with the animal of another photograph pasted onto its own. They are of the group of the
photograph whose pixels the animal has; every other pair that they form is wrong.

    python benchmarks/edited.py path/to/photographs --methods edited:0.3 phash:8 hash_ssim:0.2

Photographs: a folder per animal, all of which are one group, or `train.csv` (filename, ground_truth), `train/train/` and, if there are groups,
`meta.csv` (filename, sighting). Times are of one process, in seconds of the processor per 1,000 images.
"""

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from reidflow.dedup.images import Images, find_pairs
from reidflow.ingest.decode import decode
from reidflow.ingest.framing import cut
from reidflow.spec import components

Random = np.random.Generator
SUFFIXES = {".png", ".jpg", ".jpeg", ".pgm"}


@dataclass(frozen=True)
class Photograph:
    """A photograph (RGBA, alpha being the mask), its identity and the group that it belongs to."""

    name: str
    identity: str
    group: str
    image: Image.Image


def photographs(root: Path) -> list[Photograph]:
    """Return the photographs below `root`; copies that its `truth.parquet` lists are left out."""
    if not (root / "train.csv").exists():
        files = sorted(path for path in root.glob("*/*") if path.suffix.lower() in SUFFIXES)
        return [
            Photograph(str(path.relative_to(root)), path.parent.name, path.parent.name, _opened(path)) for path in files
        ]
    table = pl.read_csv(root / "train.csv")
    groups = dict(pl.read_csv(root / "meta.csv").select("filename", "sighting").iter_rows())
    copies: set[str] = set()
    if (root / "truth.parquet").exists():
        truth = pl.read_parquet(root / "truth.parquet").filter(pl.col("duplicate_of").is_not_null())
        copies = {Path(image).name for image in truth["image"]}
    found = []
    for name, identity in table.select("filename", "ground_truth").iter_rows():
        path = root / "train" / "train" / name
        if name not in copies and path.exists():
            found.append(Photograph(name, identity, f"{identity} {groups.get(name, name)}", _opened(path)))
    return found


def _opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGBA")


def cropped(image: Image.Image, random: Random) -> Image.Image:
    """Return 60 to 95 % of the area, in proportions that differ by up to a quarter."""
    share, stretch = random.uniform(0.6, 0.95), np.exp(random.uniform(-0.22, 0.22))
    wide, high = min(1.0, np.sqrt(share * stretch)), min(1.0, np.sqrt(share / stretch))
    width, height = max(2, round(image.width * wide)), max(2, round(image.height * high))
    left, top = random.integers(0, image.width - width + 1), random.integers(0, image.height - height + 1)
    return image.crop((left, top, left + width, top + height))


def turned(image: Image.Image, random: Random) -> Image.Image:
    """Return the image rotated by 90, 180 or 270 degrees."""
    return image.rotate(int(random.choice([90, 180, 270])), expand=True)


def mirrored(image: Image.Image, random: Random) -> Image.Image:
    """Return the mirror image."""
    return ImageOps.mirror(image)


def _colours(change: Callable[[Image.Image], Image.Image], image: Image.Image) -> Image.Image:
    changed = change(image.convert("RGB"))
    changed.putalpha(image.getchannel("A"))
    return changed


def brightened(image: Image.Image, random: Random) -> Image.Image:
    """Return the image 0.6 to 1.5 times as bright."""
    factor = random.uniform(0.6, 0.85) if random.random() < 0.5 else random.uniform(1.15, 1.5)
    return _colours(lambda colours: ImageEnhance.Brightness(colours).enhance(factor), image)


def contrasted(image: Image.Image, random: Random) -> Image.Image:
    """Return the image of 0.6 to 1.5 times the contrast."""
    factor = random.uniform(0.6, 0.85) if random.random() < 0.5 else random.uniform(1.15, 1.5)
    return _colours(lambda colours: ImageEnhance.Contrast(colours).enhance(factor), image)


def gamma(image: Image.Image, random: Random) -> Image.Image:
    """Return the image at a gamma of 0.6 to 1.7."""
    power = random.uniform(0.6, 0.8) if random.random() < 0.5 else random.uniform(1.25, 1.7)
    table = [round(255 * (value / 255) ** power) for value in range(256)] * 3
    return _colours(lambda colours: colours.point(table), image)


def compressed(image: Image.Image, random: Random) -> Image.Image:
    """Return the image after JPEG at a quality of 20 to 60."""

    def through_jpeg(colours: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        colours.save(stream, "JPEG", quality=int(random.integers(20, 61)))
        return Image.open(stream).convert("RGB")

    return _colours(through_jpeg, image)


def resized(image: Image.Image, random: Random) -> Image.Image:
    """Return the image at 0.4 to 0.8 of its size, compressed at a quality of 20 to 60."""
    factor = random.uniform(0.4, 0.8)
    size = max(2, round(image.width * factor)), max(2, round(image.height * factor))
    small = image.convert("RGB").resize(size)  # an RGBA image would lose its colours under a transparent alpha
    small.putalpha(image.getchannel("A").resize(size, Image.Resampling.NEAREST))
    return compressed(small, random)


def captioned(image: Image.Image, random: Random) -> Image.Image:
    """Return the image with a bar of text over 5 to 10 % of it, at its top or bottom, as camera traps write it."""

    def write(colours: Image.Image) -> Image.Image:
        high = max(3, round(colours.height * random.uniform(0.05, 0.10)))
        top = 0 if random.random() < 0.5 else colours.height - high
        draw = ImageDraw.Draw(colours)
        draw.rectangle((0, top, colours.width, top + high), fill=(0, 0, 0))
        stamp = f"2024-{random.integers(1, 13):02}-{random.integers(1, 29):02} {random.integers(0, 24):02}:15  21C"
        draw.text((3, top), stamp, fill=(255, 255, 255), font_size=max(4, high * 0.8))
        return colours

    return _colours(write, image)


def marked(image: Image.Image, random: Random) -> Image.Image:
    """Return the image with an opaque logo over 3 to 8 % of it, anywhere."""

    def paste(colours: Image.Image) -> Image.Image:
        side = round(np.sqrt(random.uniform(0.03, 0.08) * colours.width * colours.height))
        left = random.integers(0, max(1, colours.width - side))
        top = random.integers(0, max(1, colours.height - side))
        draw = ImageDraw.Draw(colours)
        box = (int(left), int(top), int(left + side), int(top + side))
        draw.rectangle(box, fill=tuple(int(part) for part in random.integers(0, 256, 3)))
        draw.ellipse(box, fill=tuple(int(part) for part in random.integers(0, 256, 3)))
        return colours

    return _colours(paste, image)


EDITS = {
    "crop": cropped,
    "mirror": mirrored,
    "rotation": turned,
    "brightness": brightened,
    "contrast": contrasted,
    "gamma": gamma,
    "jpeg": compressed,
    "resize": resized,
    "text": captioned,
    "logo": marked,
}
FAMILIES = [{"crop"}, {"mirror", "rotation"}, {"brightness", "contrast", "gamma"}, {"jpeg", "resize"}, {"text", "logo"}]
DOUBLE = [
    (one, other)
    for position, family in enumerate(FAMILIES)
    for one in sorted(family)
    for later in FAMILIES[position + 1 :]
    for other in sorted(later)
]


def planted(photos: list[Photograph], round_: int, random: Random) -> list[tuple[str, Image.Image]]:
    """Return one edited copy of each photograph, with the name of its edit; every third has two edits."""
    single = list(EDITS)
    copies = []
    for number, photo in enumerate(photos):
        turn = number + round_ * 7
        if number % 3 == round_ % 3:
            pair = DOUBLE[int(random.integers(len(DOUBLE)))]
            copies.append(("two: " + _family(pair), EDITS[pair[1]](EDITS[pair[0]](photo.image, random), random)))
        else:
            name = single[turn % len(single)]
            copies.append((name, EDITS[name](photo.image, random)))
    return copies


def _family(pair: tuple[str, str]) -> str:
    names = ["crop", "symmetry", "tone", "encoding", "overlay"]
    return " + ".join(
        next(name for name, family in zip(names, FAMILIES, strict=True) if edit in family) for edit in pair
    )


def pasted(photos: list[Photograph], random: Random) -> list[tuple[Photograph, Image.Image]]:
    """Return each masked photograph's background with the animal of another identity pasted onto its own animal.

    With the photograph that the animal comes from.
    """
    made = []
    for photo in photos:
        other = photos[int(random.integers(len(photos)))]
        box, animal = photo.image.getchannel("A").getbbox(), other.image.getchannel("A").getbbox()
        if other.identity == photo.identity or box is None or box == (0, 0, *photo.image.size):
            continue
        colours = other.image.crop(animal).resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST)
        scene = photo.image.convert("RGB")
        scene.paste(colours.convert("RGB"), box[:2], colours.getchannel("A"))
        alpha = Image.new("L", scene.size, 0)
        alpha.paste(colours.getchannel("A"), box[:2])
        scene.putalpha(alpha)
        made.append((other, scene))
    return made


def framed(images: list[Image.Image], frame: str, size: int) -> np.ndarray:
    """Return the images, decoded and in their frames, (N, size, size, 3) uint8."""
    squares = np.empty((len(images), size, size, 3), np.uint8)
    box = components.load("frame", frame).box
    for row, image in enumerate(images):
        stream = io.BytesIO()
        image.save(stream, "PNG", compress_level=1)
        photo = decode(stream.getvalue(), None, max_pixels=image.width * image.height)
        squares[row], _ = cut(photo, box(photo.width, photo.height, photo.bounds), size)
    return squares


@dataclass
class Score:
    """Counts of a method over all rounds: planted and found copies of each edit, wrong pairs, pairs within groups."""

    planted: Counter[str]
    found: Counter[str]
    wrong: int = 0
    within: int = 0
    images: int = 0
    seconds: float = 0.0


def add(score: Score, method: str, threshold: float, squares: np.ndarray, origins: list[str], edits: list[str]) -> None:
    """Add what a method finds among the images of a round.

    origins: one per image, `photograph|group` of the photograph that it comes from; a pasted image has its own. edits:
    one per image, empty for a photograph.
    """
    rows = np.arange(len(squares))
    names = [f"{row:06}" for row in rows]
    images = Images(squares, rows, names, ["x"] * len(rows), names, names, np.ones((len(rows), 1), np.float32))
    start = time.process_time()
    pairs = find_pairs(images, components.resolve("duplicates", method), threshold)
    score.seconds += time.process_time() - start
    score.images += len(rows)
    score.planted.update(edit for edit in edits if edit)
    for one, other in pairs.select("image", "other").rows():
        first, second = origins[int(one)], origins[int(other)]
        if first == second:
            score.found[edits[int(other)]] += 1
        elif first.split("|")[1] == second.split("|")[1]:
            score.within += 1
        else:
            score.wrong += 1


def main() -> None:
    """Plant, detect, and print precision and recall of each method, and the recall of each edit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--methods", nargs="+", default=["edited:0.3", "phash:8", "hash_ssim:0.2"])
    parser.add_argument("--frame", default="mask_box")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="use the first photographs only")
    parser.add_argument("--pasted", action="store_true", help="add other animals before the same background")
    options = parser.parse_args()
    photos = photographs(options.photographs)[: options.limit]
    origins = [f"{photo.name}|{photo.group}" for photo in photos]
    squares = framed([photo.image for photo in photos], options.frame, options.size)
    scenes = pasted(photos, np.random.default_rng(0)) if options.pasted else []
    others = framed([scene for _, scene in scenes], options.frame, options.size)
    scores = {method: Score(Counter(), Counter()) for method in options.methods}
    for turn in range(options.rounds):
        copies = planted(photos, turn, np.random.default_rng([17, turn]))
        edited = framed([image for _, image in copies], options.frame, options.size)
        together = np.concatenate([squares, edited, others])
        sources = origins * 2 + [f"pasted {number}|{animal.group}" for number, (animal, _) in enumerate(scenes)]
        edits = [""] * len(photos) + [name for name, _ in copies] + [""] * len(scenes)
        for method, score in scores.items():
            name, threshold = method.split(":")
            add(score, name, float(threshold), together, sources, edits)
    print(f"{len(photos)} photographs, {len(scenes)} pasted, {options.rounds} rounds, frame {options.frame}")
    print(f"{'method':16} {'precision':>9} {'recall':>7} {'copies':>7} {'wrong':>6} {'in groups':>9} {'s/1000':>7}")
    for method, score in scores.items():
        right, copies = score.found.total(), score.planted.total()
        precision = right / max(1, right + score.wrong)
        row = f"{method:16} {precision:9.3f} {right / copies:7.3f} {copies:7} {score.wrong:6} {score.within:9}"
        print(f"{row} {1000 * score.seconds / score.images:7.1f}")
    print(f"{'edit':28} {'copies':>6} " + " ".join(f"{method:>14}" for method in scores))
    for edit, copies in sorted(scores[options.methods[0]].planted.items()):
        print(f"{edit:28} {copies:6} " + " ".join(f"{score.found[edit] / copies:14.2f}" for score in scores.values()))


if __name__ == "__main__":
    main()
