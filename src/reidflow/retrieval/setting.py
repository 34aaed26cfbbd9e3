"""What a competition has: images, training settings, a place to keep work, and time."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from reidflow.features.bank import Augment, build_bank, remaining
from reidflow.models.network import Network
from reidflow.retrieval.budget import Budget
from reidflow.retrieval.survey import Candidate
from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.plan import bank_code
from reidflow.spec.run import ORIGINAL, RunSpec
from reidflow.store import activity
from reidflow.store.runs import RunStore, run_key
from reidflow.training.augment import make_augment
from reidflow.training.data import RunData
from reidflow.training.embedding import embed_stored
from reidflow.training.execute import LOOP, note

SEED = 0
"""Of the backbones' initialisation and of augmented views; that of the pipeline's own feature banks."""


class Rows:
    """Rows of a memory-mapped array in another order, read when asked for."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self.array, self.rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: list[int]) -> np.ndarray:
        return self.array[self.rows[places]]


@dataclass(frozen=True)
class Setting:
    """Row i of `manifest` describes row i of `images` (N, S, S, 3) uint8; `results` keeps features and runs.

    protocol: the run that decides head, loss, optimizer and augmented views; its network is one candidate of several.
    """

    manifest: pl.DataFrame
    images: np.ndarray
    protocol: RunSpec
    results: Path
    device: str
    budget: Budget

    @property
    def cache(self) -> Path:
        """Where features are kept by the digest of their image."""
        return self.results / ".store" / "features"

    def spec(self, candidate: Candidate) -> RunSpec:
        """Return the run that trains the protocol's head on a candidate's features, for a fixed number of epochs."""
        plain = self.protocol.plain()
        network = {key: candidate.network[key] for key in ("backbone", "size", "pooling")}
        model = {**plain["model"], **network, "trainable": {"name": "head"}}
        changes = {"background": ORIGINAL, "dedup": None, "curation": None, "resizing": None, "patience": None}
        changes |= {"checkpoint": "last", "inference": [], "ensemble": None, "train_sides": "both"}
        if not self.protocol.views:
            changes["augmentation"] = []
        return RunSpec.model_validate({**plain, **changes, "model": model})

    def bank(self, candidate: Candidate, *, plain: bool) -> dict[str, Any]:
        """Return what decides a candidate's features: of the plain images alone, or with the protocol's views."""
        spec = self.spec(candidate)
        bank = spec.bank() or {}
        return {key: value for key, value in {**bank, **(PLAIN if plain else {})}.items() if key != "background"}

    def augment(self, bank: dict[str, Any]) -> Augment | None:
        """Return what makes the augmented views of a bank, where it has any."""
        return make_augment(bank["augmentation"], bank["size"], seed=SEED) if bank["views"] else None

    def remaining(self, network: Network, bank: dict[str, Any], rows: np.ndarray) -> int:
        """Return how many of the images are still to be embedded."""
        given = {"code": code.run_digest(*bank_code(bank)), "seed": SEED, "device": self.device}
        return remaining(network, self._digests(rows), bank, self.cache, **given)

    def features(
        self, bank: dict[str, Any], rows: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Return the features (len(rows), 1 + views, D) float32 of images; what is known of them is not computed again."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.cache.parent, prefix=".tmp-features-") as folder:
            out = Path(folder) / "features.npy", Path(folder) / "features.json"
            build_bank(
                Rows(self.images, rows),
                None,
                self._digests(rows),
                bank,
                out,
                self.cache,
                augment=self.augment(bank),
                code=code.run_digest(*bank_code(bank)),
                seed=SEED,
                device=self.device,
                progress=progress,
            )
            return np.load(out[0])

    def trained(self, candidate: Candidate, features: np.ndarray, rows: np.ndarray) -> Path:
        """Return the folder of the run that trains a head on these images, made unless the store has it.

        features: (len(rows), 1 + views, D).
        """
        spec, manifest = self.spec(candidate), self.manifest[rows.tolist()]
        identities = manifest["identity"].to_list()
        seen = [hashlib.sha256(np.ascontiguousarray(features).data).hexdigest(), identities]
        key = run_key(spec.apart_from_data(), code.run_digest(LOOP, *spec.component_modules()), short(seen, 64))
        data = RunData(
            images=manifest["image"].to_list(),
            identities=identities,
            groups=manifest["group"].to_list(),
            roles=["train"] * len(rows),
            features=features,
            gallery="all",
        )

        def make(work: Path, out: Path) -> None:
            from reidflow.training.loop import train

            activity.run(work, arm="faces submission", spec=spec.plain())
            train(spec, data, work, out, self.device, key=key)

        folder, restored = RunStore(self.results / ".store").get_or_make(key, make)
        note(self.results, "restored" if restored else "trained", key, spec)
        return folder

    def project(self, candidate: Candidate, folder: Path, features: np.ndarray) -> np.ndarray:
        """Return the embeddings (N, dim) of features (N, 1 + views, D) by a trained head."""
        rows = np.arange(len(features))
        spec = self.spec(candidate)
        return embed_stored(folder, spec, rows, features=features, pixels=None, device=self.device)

    def _digests(self, rows: np.ndarray) -> list[str]:
        return self.manifest["pixels"].gather(rows).to_list()


PLAIN = {"augmentation": [], "views": 0}
