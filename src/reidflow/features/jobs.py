"""Feature banks as jobs make them: of all images at once, or first in shards, each of which embeds some images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reidflow.features.bank import PLAIN, Augment, build_bank
from reidflow.spec import code
from reidflow.spec.plan import bank_code
from reidflow.spec.shards import rows_of


@dataclass(frozen=True)
class BankJob:
    """What a bank is made of, by the code on disk, and where.

    Attributes:
        images: (N, S, S, 3) uint8, maybe memory-mapped.
        digests: of their pixels, one per image.
        bank: as a plan describes it.
        wanted: (N,) bool, the images to embed; None: all.
        augment: makes the augmented views, where the bank has any.
        store: the folder of the run store, which keeps the rows of features.
        device: a torch device.
    """

    images: np.ndarray
    digests: Sequence[str]
    bank: dict[str, Any]
    wanted: np.ndarray | None
    augment: Augment | None
    store: Path
    device: str

    def make(self, out: tuple[Path, Path]) -> dict[str, Any]:
        """Write the bank as `build_bank` does, and print its progress."""
        bank = {key: value for key, value in self.bank.items() if key != "background"}
        return build_bank(
            self.images,
            None,
            self.digests,
            bank,
            out,
            self.store / "features",
            augment=self.augment,
            code=code.run_digest(*bank_code(bank)),
            plain_code=code.run_digest(*bank_code({**bank, **PLAIN})),
            device=self.device,
            wanted=self.wanted,
            progress=lambda done, total: print(f"{done} of {total} rows (of plain images, then of augmented views)"),
        )

    def make_shard(self, shard: list[int], out: Path) -> None:
        """Embed the images of a shard, whose rows `make` of all images then finds in the store; write what they are.

        shard: its number, from 1, and how many there are. out: a JSON file.
        """
        rows = rows_of(shard, len(self.digests))
        wanted = None if self.wanted is None else self.wanted[rows]
        own = replace(self, images=self.images[rows], digests=self.digests[rows], wanted=wanted)
        array = out.with_suffix(".npy")
        try:
            own.make((array, out))
        finally:
            array.unlink(missing_ok=True)
