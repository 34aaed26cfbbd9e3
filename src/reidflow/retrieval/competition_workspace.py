"""What a competition works with: time budget, candidate networks, images, feature cache and the training of heads."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from reidflow.features.bank import PLAIN, Augment, build_bank
from reidflow.models.backbones._hub import MissingWeightsError
from reidflow.models.network import build_features, count_flops
from reidflow.spec import code
from reidflow.spec.canonical import canonical, short
from reidflow.spec.plan import bank_code
from reidflow.spec.run import ORIGINAL, RANKED_BY, RunSpec
from reidflow.store import activity
from reidflow.store.runs import RunStore, run_key
from reidflow.training.augment import make_augment
from reidflow.training.data import RunData
from reidflow.training.embedding import embed_stored
from reidflow.training.execute import LOOP, note

Clock = Callable[[], float]

RESERVE = 0.25
"""Share of the budget in which no network is evaluated: for the final training, queries, gallery and ranking."""


class OutOfTimeError(Exception):
    """The time budget is used up; what the step finished by then is kept."""


@dataclass(frozen=True)
class Budget:
    """`seconds` from the moment `started` (seconds since the epoch, as `clock` gives them)."""

    seconds: float
    started: float
    clock: Clock = time.time

    def spent(self) -> float:
        """Return the seconds since the start."""
        return self.clock() - self.started

    def left(self) -> float:
        """Return the seconds until the deadline; negative after it."""
        return self.seconds - self.spent()

    def usable(self) -> float:
        """Return the seconds until the reserve begins; negative after that."""
        return self.left() - RESERVE * self.seconds


@dataclass(frozen=True)
class Candidate:
    """A network of `Plan.backbones` with its display name.

    left_out: why it does not take part, or None. flops: of one image, None where it was not built.
    """

    name: str
    network: dict[str, Any]
    left_out: str | None = None
    flops: int | None = None

    def without(self, reason: str) -> "Candidate":
        """Return the same network, left out for a reason."""
        return replace(self, left_out=reason)


def named(networks: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Return the candidates in the order given, each network once, with distinct names."""
    distinct = list({canonical(network): network for network in networks}.values())
    names = [f"{_backbone_name(network['backbone'])} at {network['size']}" for network in distinct]
    unique = [name if names.count(name) == 1 else f"{name} ({row + 1})" for row, name in enumerate(names)]
    return [Candidate(name, network) for name, network in zip(unique, distinct, strict=True)]


def with_flops(candidates: Sequence[Candidate], budget: Budget) -> list[Candidate]:
    """Return the candidates with their operations, or with the reason why their weights are unavailable.

    Once the budget is used up, one available network is enough.
    """
    found: list[Candidate] = []
    for candidate in candidates:
        if budget.usable() <= 0 and any(other.left_out is None for other in found):
            found.append(candidate.without("the time budget was used up before it was built"))
            continue
        network = candidate.network
        try:
            built = build_features(network["backbone"], network["size"], network["pooling"], seed=0)
        except MissingWeightsError as error:
            found.append(candidate.without(str(error)))
        else:
            found.append(replace(candidate, flops=count_flops(built, network["size"])))
    return found


def _backbone_name(backbone: dict[str, Any]) -> str:
    return str(backbone.get("model") or backbone.get("family") or backbone["name"])


SEED = 0
"""Of the backbones' initialisation and of augmented views; that of the pipeline's own feature banks."""


class Rows:
    """Rows of a memory-mapped array in another order, read on access."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self.array, self.rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: list[int]) -> np.ndarray:
        return self.array[self.rows[places]]


@dataclass(frozen=True)
class Workspace:
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
        changes |= {"checkpoint": "last", "train_sides": "both", **RANKED_BY}
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

    def features(
        self, bank: dict[str, Any], rows: np.ndarray, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Return the features (len(rows), 1 + views, D) float32 of images;
        what is known of them is not computed again.
        """
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
                plain_code=code.run_digest(*bank_code({**bank, **PLAIN})),
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
