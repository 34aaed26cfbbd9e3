"""A folder of drawn images, the pipeline's data made of it, and finished runs on them."""

from pathlib import Path

import numpy as np
from PIL import Image

from reidflow.features.bank import build_bank
from reidflow.ingest.build import Outputs, ingest
from reidflow.ingest.sources.folder import open_source
from reidflow.spec import yaml
from reidflow.spec.plan import tested_bank
from reidflow.spec.run import RunSpec
from reidflow.training.data import RunData
from reidflow.training.loop import train

FRAME = {"name": "mask_box", "margin": 0.1}
SIZE = 40
SEEN = 32


def spec_of(trainable: str = "head", **changes) -> RunSpec:
    backbone = {"name": "small", "family": "resnet_half"}
    model = {"backbone": backbone, "size": SEEN, "head": {"dim": 8}, "trainable": {"name": trainable}}
    fixed = {"loss": "arcface", "sampler": {"name": "shuffled", "batch": 8}, "scheduler": "cosine", "epochs": 1}
    return RunSpec(model=model, optimizer={"name": "adamw", "learning_rate": 0.01}, **(fixed | changes))


def draw(path: Path, seed: int, width: int = 50, height: int = 44) -> None:
    """Draw an image; every third has an animal's mask as alpha, every third is a JPEG."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    if seed % 3 == 0:
        alpha = np.zeros((height, width), np.uint8)
        alpha[8:30, 10 : 22 + seed % 7] = 255
        picture.putalpha(Image.fromarray(alpha))
    picture.save(path, "JPEG" if seed % 3 == 1 else "PNG")


def drawn_folder(root: Path, identities: int = 3, each: int = 7) -> Path:
    for number in range(identities * each):
        draw(root / f"animal {number % identities}" / f"{number // identities}.img.png", number)
    return root


def pipeline_data(root: Path, data: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Return the images, pixels and pixel digests that ingest stores for a folder per identity."""
    import polars as pl

    outputs = {name: data / f"{name}" for name in ("manifest", "quarantine", "images", "masks", "digest")}
    ingest(
        open_source(path=str(root)),
        Outputs(**outputs, rejected=data / "rejected"),
        frame=FRAME,
        size=SIZE,
        max_bad_share=0.5,
        max_pixels=10**6,
        workers=1,
    )
    table = pl.read_parquet(outputs["manifest"])
    return table["image"].to_list(), np.load(outputs["images"]), table["pixels"].to_list()


def finished_run(
    folder: Path, spec: RunSpec, images: list[str], pixels: np.ndarray, digests: list[str]
) -> dict[str, np.ndarray]:
    """Train a run on the pipeline's data, lay its folder out for people, and return what it stored: image -> vector."""
    import polars as pl

    features = None
    if spec.frozen:
        build_bank(pixels, None, digests, tested_bank(spec), (folder / "f.npy", folder / "f.json"), folder / "cache")
        features = np.load(folder / "f.npy")
    roles = ["train" if number % 7 < 3 else "val" if number % 7 < 5 else "test" for number in range(len(images))]
    identities = [image.split("/")[0] for image in images]
    seen = {"features": features, "pixels": None if spec.frozen else pixels}
    data = RunData(images, identities, [None] * len(images), roles, gallery="all", **seen)
    train(spec, data, folder / "work", folder / "out", "cpu", key="key")
    (folder / "out" / "run.yaml").write_text(yaml.dumps(spec.plain()))
    table = pl.read_parquet(folder / "out" / "embeddings.parquet").filter(pl.col("stage") == "final")
    return dict(zip(table["image"], np.array(table["vector"].to_list(), np.float32), strict=True))
