"""Figures and numbers of README and docs, from the demo's results: `make docs-figures`, after `make tables`.

Each picture carries in its metadata what it shows: the digest of the table that its experiment's interpretation was
stamped for, or of the settings that the demo's images are drawn by. A test compares the two, so that a picture of
another table is noticed; CI holds the stamped tables against those that it makes.
"""

import re
import shutil
from pathlib import Path
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
    "losses.png": ("losses", "arms.png"),
    "backbones.png": ("backbones", "pareto.png"),
    "hpo.png": ("hpo", "slices.png"),
    "networks.png": ("nas_mbconv", "architectures.png"),
    "gap.png": ("faces_remedies", "gap.png"),
}
"""Picture -> experiment and figure."""
IDENTITIES = "identities.jpg"
TABLE = ("losses", "<!-- table -->", "<!-- /table -->")
"""The experiment whose table is in the README, and the marks around it."""


def stamped(experiment: str) -> dict[str, str]:
    """Return the table that the interpretation of an experiment of the demo was stamped for: arm -> value, verdict."""
    content = load(ROOT / "config" / "experiments" / f"{experiment}.yaml")
    return dict(next(entry["table"] for entry in content["interpretation"] if entry["dataset"] == "demo"))


def shown_by(picture: str) -> str:
    """Return the digest of what a picture has to show."""
    if picture == IDENTITIES:
        return short(dict(load(ROOT / "config" / "config.yaml")["dataset"]["source"]))
    return short(stamped(FIGURES[picture][0]))


def recorded(path: Path) -> str | None:
    """Return the digest that a picture carries."""
    info: dict[Any, Any] = Image.open(path).info
    return info["comment"].decode() if "comment" in info else info.get(KEY)


def mark(picture: str) -> None:
    """Put into a PNG what it shows."""
    info, path = PngInfo(), FOLDER / picture
    info.add_text(KEY, shown_by(picture))
    Image.open(path).save(path, pnginfo=info, optimize=True)


def main() -> None:
    """Copy the pictures whose experiments were made and rewrite the table between its marks."""
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
    experiment, begin, end = TABLE
    text = (RESULTS / "tables" / f"{experiment}.md").read_text()
    table = re.search(r"## Result\n\n(.*?)\n\n", text, re.DOTALL)[1]
    readme = ROOT / "README.md"
    new = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", readme.read_text(), flags=re.DOTALL)
    readme.write_text(new)


if __name__ == "__main__":
    main()
