"""Pictures of README and docs, from the demo's results: `make docs-figures`, after `make tables`.

Each picture carries in its metadata what it shows: the digest of the table that its experiment's interpretation was
stamped for, or of the settings that the demo's images are drawn by. A test compares the two, so that a picture of
another table is noticed; CI holds the stamped tables against those that it makes.
"""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reidflow.spec.canonical import short
from reidflow.spec.yaml import load

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FOLDER = ROOT / "docs" / "figures"
KEY = "reidflow"
FIGURES = {
    "backbones.png": ("backbones", "pareto.png"),
    "hpo.png": ("hpo", "slices.png"),
    "networks.png": ("nas_mbconv", "architectures.png"),
    "gap.png": ("faces_remedies", "gap.png"),
}
"""Picture -> experiment and figure."""
IDENTITIES = "identities.jpg"
PAGE, SHOWN = "page.jpg", "losses"
"""The picture of a page's first screen, and its experiment."""
SCREEN = (1280, 720)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def stamped(experiment: str) -> dict[str, str]:
    """Return the table that the interpretation of an experiment of the demo was stamped for: arm -> value, verdict."""
    content = load(ROOT / "config" / "experiments" / f"{experiment}.yaml")
    return dict(next(entry["table"] for entry in content["interpretation"] if entry["dataset"] == "demo"))


def shown_by(picture: str) -> str:
    """Return the digest of what a picture has to show."""
    if picture == IDENTITIES:
        return short(dict(load(ROOT / "config" / "config.yaml")["dataset"]["source"]))
    return short(stamped(SHOWN if picture == PAGE else FIGURES[picture][0]))


def recorded(path: Path) -> str | None:
    """Return the digest that a picture carries."""
    info: dict[Any, Any] = Image.open(path).info
    return info["comment"].decode() if "comment" in info else info.get(KEY)


def mark(picture: str) -> None:
    """Put into a PNG what it shows."""
    info, path = PngInfo(), FOLDER / picture
    info.add_text(KEY, shown_by(picture))
    Image.open(path).save(path, pnginfo=info, optimize=True)


def photograph(page: Path, picture: Path) -> None:
    """Put the first screen of a page into a JPEG that says what it shows, by the Chromium that is installed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"{picture.name} stays as it is: no {' or '.join(BROWSERS)} is installed")
        return
    with TemporaryDirectory() as folder:
        screen = Path(folder) / "screen.png"
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]
        size = f"--window-size={SCREEN[0]},{SCREEN[1]}"
        command = [browser, *options, size, f"--screenshot={screen}", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        Image.open(screen).convert("RGB").save(picture, quality=88, comment=shown_by(picture.name))


def main() -> None:
    """Make the pictures of all experiments whose results are there."""
    FOLDER.mkdir(exist_ok=True)
    for picture, (experiment, figure) in FIGURES.items():
        source = RESULTS / "figures" / experiment / figure
        if source.is_file():
            shutil.copyfile(source, FOLDER / picture)
            mark(picture)
        else:
            print(f"{source}: not there; {picture} stays as it is")
    sheet = Image.open(RESULTS / "figures" / "data" / "identities.png").convert("RGB")
    top = sheet.crop((0, 0, sheet.width, min(sheet.height, 820)))
    top.save(FOLDER / IDENTITIES, quality=80, comment=shown_by(IDENTITIES))
    photograph(RESULTS / "pages" / f"{SHOWN}.html", FOLDER / PAGE)


if __name__ == "__main__":
    main()
