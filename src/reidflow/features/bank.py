"""The feature bank: the features of a frozen backbone, computed once per image and augmented view."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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

PLAIN = {"augmentation": [], "views": 0}
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
    plain_code: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    wanted: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write the features, float32 (N, 1 + V, C), and the JSON of what they are, to the two files of `out`; return it.

    images: (N, S0, S0, 3) uint8, best memory-mapped. masks: (N, S0, S0) uint8, only where an augmentation uses
    them, else None. digests: a text per row that identifies its pixels. bank: what `RunSpec.bank()` returns.
    View 0 is the plain image; view v is `augment(pixels (B, 3, S, S) uint8, keys, v, masks)` with the rows' digests
    as keys, so copies of an image share their views. `code` is the digest of the code that decides the numbers,
    `plain_code` that of the plain images alone, `seed` that of the backbone's initialisation and of `augment`.
    progress(done, total) is called with rows to embed, those of the augmented views counted apart. wanted: which rows are
    embedded, bool (N,), by default all; the features of the others are NaN.

    The plain images are embedded once for all banks of a network, whatever their views. Rows are kept in `cache` under everything that decides their bits, so that only images not seen before are
    embedded, and an interrupted bank goes on from its last shard. Every forward pass has the same number of rows
    (the last one is filled up), because a row's bits depend on that number; they do not depend on the other rows.
    Raises ReidflowError for views without an augmentation, images that are too small, unavailable weights.
    """
    if bank["views"] and augment is None:
        raise ReidflowError(f"the feature bank is to hold {bank['views']} augmented views, but has no augmentation.")
    kind = torch.device(device).type
    kept = np.ones(len(digests), bool) if wanted is None else wanted
    with deterministic(bank["threads"], device):
        network = build_features(bank["backbone"], bank["size"], bank["pooling"], seed)
        facts = {
            "count": len(digests),
            "dim": network.backbone.dim,
            "views": bank["views"],
            "parameters": count_parameters(network).total,
            "flops": count_flops(network, _seen(bank)),
        }
        plain = {**bank, **PLAIN}
        own = code if plain_code is None else plain_code
        parts = [_Part.of(Path(cache) / _key(network, plain, own, seed, kind), range(1), digests, kept)]
        if bank["views"]:
            place = Path(cache) / _key(network, bank, code, seed, kind)
            parts.append(_Part.of(place, range(1, 1 + bank["views"]), _row_digests(digests, masks), kept))
        embed, done, total = _Embedder(network, bank, augment, device), 0, sum(len(part.missing) for part in parts)
        for part in parts:
            published.note_use(published.FEATURES, part.place.name)
            step = _shard_rows(BATCH[kind], len(part.views))
            for start in range(0, len(part.missing), step):
                chosen = part.missing[start : start + step]
                names = [part.rows[i] for i in chosen]
                keep(part.place, names, embed(images, masks, chosen, names, part.views))
                done += len(chosen)
                if progress:
                    progress(done, total)
    shape = (len(digests), 1 + bank["views"], facts["dim"])
    facts = {"digest": assemble([(part.place, part.rows) for part in parts], shape, out[0]), **facts}
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


class _Part(NamedTuple):
    """Views that are kept together, in the folder `place`.

    rows: per image of the bank the digest under which its row is kept, None for one that is left out. missing: those
    images whose rows are not kept yet.
    """

    place: Path
    views: range
    rows: list[str | None]
    missing: list[int]

    @classmethod
    def of(cls, place: Path, views: range, digests: Sequence[str], wanted: np.ndarray) -> "_Part":
        rows = [digest if kept else None for digest, kept in zip(digests, wanted, strict=True)]
        return cls(place, views, rows, _missing(rows, set(stored(place))))


class _Embedder:
    """Embeds rows in batches of one fixed size."""

    def __init__(self, network: Network, bank: dict[str, Any], augment: Augment | None, device: str) -> None:
        self.network = network.to(device=device, memory_format=torch.channels_last)
        self.bank = bank
        self.augment = augment
        self.device = torch.device(device)
        self.batch = BATCH[self.device.type]

    def __call__(
        self, images: np.ndarray, masks: np.ndarray | None, rows: list[int], keys: list[str], views: range
    ) -> np.ndarray:
        """Return the features of some views of the rows, float32 (len(rows), len(views), C)."""
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
            names = [*keys[start : start + self.batch], *[""] * padding]
            parts.append(self._views(stored, held, names, views)[: len(chosen)])
        return np.concatenate(parts)

    @torch.inference_mode()
    def _views(self, stored: np.ndarray, masks: np.ndarray | None, keys: list[str], views: range) -> np.ndarray:
        size = _seen(self.bank)
        pixels = to_pixels(torch.from_numpy(stored).to(self.device), size)
        if self.bank.get("mirrored"):
            pixels = pixels.flip(-1)
        small = None
        if masks is not None:
            planes = torch.from_numpy(masks).to(self.device)[..., None].expand(-1, -1, -1, 3)
            small = to_pixels(planes, size)[:, :1]
        seen = [self._features(self.augment(pixels, keys, view, small) if view else pixels) for view in views]
        return torch.stack(seen, dim=1).cpu().numpy()

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
    return max(1, SHARD // (batch * views)) * batch


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
