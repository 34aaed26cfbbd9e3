"""Put the demo's table and figures into the README and the docs: `python docs/update.py`, after `make tables`."""

import re
import shutil
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
FIGURES = {
    "losses.png": "figures/losses/arms.png",
    "backbones.png": "figures/backbones/pareto.png",
    "hpo.png": "figures/hpo/slices.png",
    "networks.png": "figures/nas_mbconv/architectures.png",
    "gap.png": "figures/faces_remedies/gap.png",
}


def main() -> None:
    """Copy the figures and rewrite the table between its marks."""
    for name, source in FIGURES.items():
        (ROOT / "docs" / "figures").mkdir(exist_ok=True)
        shutil.copyfile(RESULTS / source, ROOT / "docs" / "figures" / name)
    sheet = Image.open(RESULTS / "figures" / "data" / "identities.png").convert("RGB")
    top = sheet.crop((0, 0, sheet.width, min(sheet.height, 820)))
    top.save(ROOT / "docs" / "figures" / "identities.jpg", quality=80)
    table = re.search(r"## Result\n\n(.*?)\n\n", (RESULTS / "tables" / "losses.md").read_text(), re.DOTALL)[1]
    readme = ROOT / "README.md"
    text = re.sub(
        r"<!-- table -->.*?<!-- /table -->",
        lambda _: f"<!-- table -->\n{table}\n<!-- /table -->",
        readme.read_text(),
        flags=re.DOTALL,
    )
    readme.write_text(text)


if __name__ == "__main__":
    main()
