"""The feature bank: the features of a frozen backbone, computed once per image and augmented view."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reidflow.features.shards import assemble, keep, stored
from reidflow.models.determinism import deterministic
from reidflow.models.images import to_pixels
from reidflow.models.network import Network, build_features, count_flops, count_parameters, weights_digest
from reidflow.spec.canonical import canonical, short
from reidflow.spec.errors import ReidflowError
from reidflow.store import published
from reidflow.store.atomic import write_text

BATCH = {"cpu": 16, "cuda": 128}
SHARD = 256

Augment = Callable[..., torch.Tensor]


def build_bank(
    images: np.ndarray,
    masks: np.ndarray | None,
    digests: Sequence[str],
    bank: dict[str, Any],
    out: tuple[Path, Path],
    cache: Path,
    *,
    augment: Augment | None = None,
    code: str = "",
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    wanted: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write the features, float32 (N, 1 + V, C), and the JSON of what they are, to the two files of `out`; return it.

    images: (N, S0, S0, 3) uint8, best memory-mapped. masks: (N, S0, S0) uint8, only where an augmentation uses
    them, else None. digests: a text per row that identifies its pixels. bank: what `RunSpec.bank()` returns.
    View 0 is the plain image; view v is `augment(pixels (B, 3, S, S) uint8, keys, v, masks)` with the rows' digests
    as keys, so copies of an image share their views. `code` is the digest of the code that decides the numbers, `seed`
    that of the backbone's initialisation and of `augment`. progress(done, total) is called with rows to embed. wanted:
    which rows are embedded, bool (N,), by default all; the features of the others are NaN.

    Rows are kept in `cache` under everything that decides their bits, so that only images not seen before are
    embedded, and an interrupted bank goes on from its last shard. Every forward pass has the same number of rows
    (the last one is filled up), because a row's bits depend on that number; they do not depend on the other rows.
    Raises ReidflowError for views without an augmentation, images that are too small, unavailable weights.
    """
    if bank["views"] and augment is None:
        raise ReidflowError(f"the feature bank is to hold {bank['views']} augmented views, but has no augmentation.")
    kind = torch.device(device).type
    rows: list[str | None] = list(_row_digests(digests, masks))
    if wanted is not None:
        rows = [row if kept else None for row, kept in zip(rows, wanted, strict=True)]
    with deterministic(bank["threads"], device):
        network = build_features(bank["backbone"], bank["size"], bank["pooling"], seed)
        facts = {
            "count": len(rows),
            "dim": network.backbone.dim,
            "views": bank["views"],
            "parameters": count_parameters(network).total,
            "flops": count_flops(network, _seen(bank)),
        }
        place = Path(cache) / _key(network, bank, code, seed, kind)
        published.note_use(published.FEATURES, place.name)
        missing = _missing(rows, set(stored(place)))
        embed = _Embedder(network, bank, augment, device)
        step = _shard_rows(BATCH[kind], bank["views"])
        for start in range(0, len(missing), step):
            chosen = missing[start : start + step]
            features = embed(images, masks, chosen, [rows[i] for i in chosen])
            keep(place, [rows[i] for i in chosen], features)
            if progress:
                progress(min(start + step, len(missing)), len(missing))
    shape = (len(rows), 1 + bank["views"], facts["dim"])
    facts = {"digest": assemble(place, rows, shape, out[0]), **facts}
    write_text(out[1], json.dumps(facts, indent=1) + "\n")
    return facts


def without_network(reason: str, required: bool, features: Path, digest: Path) -> None:
    """Write the files of a bank whose network is unavailable: no rows, and the reason.

    Raises ReidflowError where nothing can be compared without it.
    """
    if required:
        raise ReidflowError(f"{reason} A baseline, or the choice of training images, depends on this network.")
    np.save(features, np.zeros((0, 1, 0), np.float32))
    write_text(digest, json.dumps({"unavailable": reason}) + "\n")


class _Embedder:
    """Embeds rows in batches of one fixed size."""

    def __init__(self, network: Network, bank: dict[str, Any], augment: Augment | None, device: str) -> None:
        self.network = network.to(device=device, memory_format=torch.channels_last)
        self.bank = bank
        self.augment = augment
        self.device = torch.device(device)
        self.batch = BATCH[self.device.type]

    def __call__(self, images: np.ndarray, masks: np.ndarray | None, rows: list[int], keys: list[str]) -> np.ndarray:
        """Return the features of the rows, float32 (len(rows), 1 + V, C)."""
        parts = []
        for start in range(0, len(rows), self.batch):
            chosen = rows[start : start + self.batch]
            padding = self.batch - len(chosen)
            stored = np.concatenate([images[chosen], np.zeros((padding, *images.shape[1:]), np.uint8)])
            held = (
                None
                if masks is None
                else np.concatenate([masks[chosen], np.zeros((padding, *masks.shape[1:]), np.uint8)])
            )
            parts.append(self._views(stored, held, [*keys[start : start + self.batch], *[""] * padding])[: len(chosen)])
        return np.concatenate(parts)

    @torch.inference_mode()
    def _views(self, stored: np.ndarray, masks: np.ndarray | None, keys: list[str]) -> np.ndarray:
        size = _seen(self.bank)
        pixels = to_pixels(torch.from_numpy(stored).to(self.device), size)
        if self.bank.get("mirrored"):
            pixels = pixels.flip(-1)
        small = None
        if masks is not None:
            planes = torch.from_numpy(masks).to(self.device)[..., None].expand(-1, -1, -1, 3)
            small = to_pixels(planes, size)[:, :1]
        views = [self._features(pixels)]
        for view in range(1, self.bank["views"] + 1):
            views.append(self._features(self.augment(pixels, keys, view, small)))
        return torch.stack(views, dim=1).cpu().numpy()

    def _features(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bank["precision"] == "bf16"):
            return self.network(pixels).float()


def _seen(bank: dict[str, Any]) -> int:
    """Return the side of the images that the backbone sees; `size` is the one that it is built for."""
    return bank.get("seen", bank["size"])


def _row_digests(digests: Sequence[str], masks: np.ndarray | None) -> list[str]:
    """Return a digest per row of all that the features see of it: its pixels, and its mask where masks are used."""
    if masks is None:
        return list(digests)
    return [hashlib.sha256(d.encode() + b"\0" + m.tobytes()).hexdigest() for d, m in zip(digests, masks, strict=True)]


def _missing(rows: list[str | None], known: set[str]) -> list[int]:
    """Return the first row of each digest that is not known, in order."""
    seen = {None, *known}
    found = []
    for index, digest in enumerate(rows):
        if digest not in seen:
            seen.add(digest)
            found.append(index)
    return found


def _shard_rows(batch: int, views: int) -> int:
    """Return the rows of a shard: about SHARD forward rows, whole batches."""
    return max(1, SHARD // (batch * (1 + views))) * batch


def _key(network: Network, bank: dict[str, Any], code: str, seed: int, kind: str) -> str:
    """Return the name of the folder of rows whose bits are decided by the same things."""
    import timm

    return short(
        canonical(
            {
                "bank": bank,
                "weights": weights_digest(network),
                "code": code,
                "seed": seed if bank["views"] else None,
                "device": kind,
                "versions": [torch.__version__, timm.__version__],
            }
        ),
        length=32,
    )
