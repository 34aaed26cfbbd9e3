"""Feature banks as jobs make them: of all images at once, or first in shards, each of which embeds some images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.features.bank import PLAIN, Augment, build_bank
from reidflow.spec import code
from reidflow.spec.plan import bank_code
from reidflow.spec.shards import rows_of


def make_bank(
    images: np.ndarray,
    digests: Sequence[str],
    bank: dict[str, Any],
    wanted: np.ndarray | None,
    augment: Augment | None,
    out: tuple[Path, Path],
    store: Path,
    device: str,
) -> dict[str, Any]:
    """Write a bank as `build_bank` does, by the code on disk, and print its progress.

    bank: as a plan describes it. store: the folder of the run store, which keeps the rows of features.
    """
    bank = {key: value for key, value in bank.items() if key != "background"}
    return build_bank(
        images,
        None,
        digests,
        bank,
        out,
        store / "features",
        augment=augment,
        code=code.run_digest(*bank_code(bank)),
        plain_code=code.run_digest(*bank_code({**bank, **PLAIN})),
        device=device,
        wanted=wanted,
        progress=lambda done, total: print(f"{done} of {total} rows (of plain images, then of augmented views)"),
    )


def make_shard(
    shard: list[int],
    images: np.ndarray,
    digests: Sequence[str],
    bank: dict[str, Any],
    wanted: np.ndarray | None,
    augment: Augment | None,
    out: Path,
    store: Path,
    device: str,
) -> None:
    """Embed the images of a shard, whose rows `make_bank` of all images then finds in the store; write what they are.

    shard: its number, from 1, and how many there are. out: a JSON file. Other arguments as of `make_bank`.
    """
    rows = rows_of(shard, len(digests))
    array = out.with_suffix(".npy")
    try:
        chosen = None if wanted is None else wanted[rows]
        make_bank(images[rows], digests[rows], bank, chosen, augment, (array, out), store, device)
    finally:
        array.unlink(missing_ok=True)
