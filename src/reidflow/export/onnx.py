"""A run's network in one ONNX file, from stored squares to embeddings. Needs the extra `onnx`."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import nn
from torch.nn import functional as F

from reidflow.evaluation.runs import METRICS, of_runs
from reidflow.ingest.manifest import MANIFEST
from reidflow.models.geometries._geometry import Geometry
from reidflow.models.images import to_pixels
from reidflow.retrieval.commands import framing_of
from reidflow.retrieval.embedder import Embedder
from reidflow.retrieval.finished_runs import run_folder
from reidflow.spec.errors import ReidflowError
from reidflow.spec.extras import install
from reidflow.spec.names import slug_of
from reidflow.spec.plan import Plan
from reidflow.splits.split import SPLIT
from reidflow.store.atomic import replacing
from reidflow.store.runs import readable_name
from reidflow.store.tables import read_table
from reidflow.training.outputs import EMBEDDINGS

INPUT, OUTPUT = "images", "embeddings"
BALL = "poincare"
OPSET = 18
TOLERANCE = 1e-4
"""Largest difference in a coordinate, relative to the embedding's largest coordinate where that is above 1."""
RESIZED = 1e-2
"""Tolerance for squares that the file itself makes smaller: halves between two grey values may be rounded otherwise."""
CHECKED = 256
BATCH = 32
INSIDE = 0.996
"""Largest norm of a point of the ball in float32, as in geoopt."""
LOGGERS = ("torch.onnx", "torch._dynamo", "torch.export", "torch.fx", "torch._export", "onnxscript", "onnx_ir")


class SquaresToEmbeddings(nn.Module):
    """All that happens to a stored square: uint8 RGB (N, H, W, 3) -> embeddings (N, D) as they are compared.

    The resizing is that of `models.images.to_pixels`. Embeddings of the hypersphere are unit vectors, those of other
    geometries their coordinates.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.size, self.cosine = embedder.spec.model.size, embedder.cosine
        self.network = embedder.network or nn.Identity()
        self.module = embedder.module
        for part in self.module.modules():
            if (
                isinstance(part, Geometry)
                and hasattr(part, "exponential")
                and embedder.spec.model.geometry["name"] == BALL
            ):
                part.exponential = exponential_in_ball

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embeddings (N, D) float32."""
        planes = images.permute(0, 3, 1, 2).float()
        size = (self.size, self.size)
        pixels = F.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
        embeddings = self.module(self.network(pixels.round().clamp(0, 255)))
        return F.normalize(embeddings, dim=1) if self.cosine else embeddings


def exponential_in_ball(vectors: torch.Tensor) -> torch.Tensor:
    """Return tanh(|v|) v / |v| within the ball: geoopt's maps, which branch on values, as one expression."""
    norms = vectors.norm(dim=1, keepdim=True).clamp_min(1e-15)
    return vectors / norms * norms.tanh().clamp_max(INSIDE)


class Check(NamedTuple):
    """Stored squares (n, S, S, 3) uint8 of the images `names`, and their embeddings (n, D) as `source` has them."""

    names: list[str]
    squares: np.ndarray
    embeddings: np.ndarray
    source: str


def export_onnx(made: Plan, run: str, out: Path | None) -> Path:
    """Write the ONNX file of a finished run, say what it holds, and return its path.

    run: as experiment/arm/seed-0 or the path of its folder. out: by default a file of the working directory named after
    the run. Raises ReidflowError where the file's embeddings are not the run's, or the extra is not installed.
    """
    _check_installed()
    results = Path(made.config.results)
    folder = run_folder(results, run)
    embedder = Embedder(folder)
    network = SquaresToEmbeddings(embedder).eval()
    check = _check_data(results, folder, embedder, network)
    out = out or Path("-".join(folder.resolve().parts[-3:]) + ".onnx")
    with replacing(out) as temporary:
        write_onnx(network, check.squares[:2], _properties(made, folder, embedder), temporary)
        lines = confirm(temporary, check, embedder.spec.model.size)
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, {INPUT} uint8 (N, H, W, 3) -> {OUTPUT} float32 (N, {embedder.dim})"
    )
    print(*lines, sep="\n")
    return out


def _check_installed() -> None:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ReidflowError(f"{error.name} is not installed. Install it: {install('onnx')}") from error


def write_onnx(network: nn.Module, example: np.ndarray, properties: dict[str, str], path: Path) -> None:
    """Write a network with its metadata. example: squares (2, S, S, 3) uint8. Raises ReidflowError where torch cannot."""
    dynamic = torch.export.Dim.DYNAMIC
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        # The exporter warns of its own deprecated functions and prints whole graphs.
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (torch.from_numpy(np.ascontiguousarray(example)),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"images": {0: dynamic, 1: dynamic, 2: dynamic}},
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise ReidflowError(
            f"torch {torch.__version__} cannot express this network in ONNX: {cause}. Export a run of another backbone."
        ) from error
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    program.model.metadata_props.update(properties)
    program.save(path, external_data=False)


def confirm(path: Path, check: Check, size: int) -> list[str]:
    """Return what comparing a file with a run's embeddings shows, as sentences.

    size: side of the images that the network sees. Raises ReidflowError above TOLERANCE, or above RESIZED where the file
    makes the squares smaller itself.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    seen = to_pixels(check.squares, size).permute(0, 2, 3, 1).contiguous().numpy()
    given = [(seen, TOLERANCE)] + ([(check.squares, RESIZED)] if check.squares.shape[1] != size else [])
    lines = []
    for squares, tolerance in given:
        steps = range(0, len(squares), BATCH)
        found = np.concatenate([session.run(None, {INPUT: squares[start : start + BATCH]})[0] for start in steps])
        apart = np.abs(found - check.embeddings).max(axis=1) / np.abs(check.embeddings).max(axis=1).clip(1)
        worst = int(apart.argmax())
        # A comparison with NaN is false.
        if not apart[worst] <= tolerance:
            raise ReidflowError(
                f"the ONNX file embeds {check.names[worst]} otherwise than {check.source}: a difference of "
                f"{apart[worst]:.1e}, above {tolerance:.0e}, so nothing was written. Try other versions of torch "
                f"({torch.__version__}) and ONNX Runtime ({onnxruntime.__version__})."
            )
        lines.append(
            f"checked with {len(squares)} images of {squares.shape[1]} pixels: within {apart[worst]:.1e} of {check.source}"
        )
    return lines


def _check_data(results: Path, folder: Path, embedder: Embedder, network: SquaresToEmbeddings) -> Check:
    """Return what the file is checked against: up to CHECKED of the images whose embeddings the run stored.

    A run in bf16 is checked against its own network in fp32, as the file computes in fp32.
    """
    table = read_table(folder / "embeddings.parquet", EMBEDDINGS).filter(pl.col("stage") == "final")
    manifest = read_table(results / "data" / "manifest.parquet", MANIFEST, columns=["image"])
    row_of = {image: row for row, image in enumerate(manifest["image"])}
    some = np.unique(np.linspace(0, len(table) - 1, min(CHECKED, len(table))).round().astype(np.int64)).tolist()
    names = [table["image"][row] for row in some]
    missing = [name for name in names if name not in row_of]
    if missing:
        raise ReidflowError(
            f"{folder}: the run was tested on {missing[0]}, which {results / 'data'} does not hold. Name the config that "
            "made the run with --configfile."
        )
    pixels = np.load(results / "data" / "images.npy", mmap_mode="r")
    squares = np.ascontiguousarray(pixels[[row_of[name] for name in names]])
    if embedder.spec.precision == "bf16":
        steps = range(0, len(squares), BATCH)
        with torch.inference_mode():
            parts = [network(torch.from_numpy(squares[start : start + BATCH])) for start in steps]
        return Check(names, squares, torch.cat(parts).numpy(), "the run's network in fp32 (it was trained in bf16)")
    stored = torch.from_numpy(np.stack(table["vector"].gather(some).to_list()))
    stored = F.normalize(stored, dim=1) if embedder.cosine else stored
    return Check(names, squares, stored.numpy(), "the stored embeddings")


def _properties(made: Plan, folder: Path, embedder: Embedder) -> dict[str, str]:
    """Return the file's metadata; what is not a text is JSON."""
    spec, framing = embedder.spec, framing_of(made.config)
    arm = folder.resolve().parent
    experiment, facts = made.experiments.get(arm.parent.name), _facts(folder)
    own = experiment.divisions[facts.get("split", 0)] if experiment else made.division
    split = Path(made.split_folder(own))
    table = read_table(split / "split.parquet", SPLIT)
    trained = table.filter(pl.col("role") == "train")["identity"].unique().sort().to_list()
    return {
        "run": facts.get("run", ""),
        "weights": embedder.identity(),
        "geometry": json.dumps(spec.model.geometry),
        "comparison": "cosine" if embedder.cosine else f"distance of {spec.model.geometry['name']}, curvature -1",
        "identities": json.dumps(trained, ensure_ascii=False),
        "frame": json.dumps(framing.frame),
        "stored_size": str(framing.size),
        "size": str(spec.model.size),
        "spec": json.dumps(spec.plain()),
    }


def _facts(folder: Path) -> dict[str, Any]:
    """Return a run's row in the metrics of its experiment, by its readable folder; nothing for a run copied elsewhere."""
    arm = folder.resolve().parent
    file = arm.parent / "metrics.parquet"
    if not file.is_file():
        return {}
    rows = [row for row in of_runs(read_table(file, METRICS)).to_dicts() if slug_of(row["arm"]) == arm.name]
    names = [{readable_name(row["seed"]), readable_name(row["seed"], row["split"])} for row in rows]
    return next((row for row, known in zip(rows, names, strict=True) if folder.name in known), {})
