"""Compare a run on the features of a frozen backbone with one that passes the images through it in every epoch.

Same spec, images, order of batches and epochs; no augmentation. Both train the head with the project's own loop, the one
on the feature bank in the results folder, the other with the backbone in front of the head, in evaluation mode
and without gradients. Process start and the building of networks are excluded. Prints processor time on the CPU (so that
other processes do not count), how far the features are apart, and how far the validation and the test mAP.
"""

import argparse
import time
from pathlib import Path

from never import Never


class ThroughBackbone:
    """The inputs of a head whose features are recomputed whenever they are needed."""

    def __init__(self, network, pixels, size: int, batch: int = 64) -> None:
        import torch

        self.network = network.to(memory_format=torch.channels_last)
        self.pixels, self.size, self.batch = pixels, size, batch

    def features(self, rows):
        """Return the features (len(rows), D) of rows of images."""
        import torch

        from reidflow.models.images import to_pixels

        parts = []
        with torch.inference_mode():
            for start in range(0, len(rows), self.batch):
                seen = to_pixels(self.pixels[rows[start : start + self.batch]], self.size)
                parts.append(self.network(seen.contiguous(memory_format=torch.channels_last)))
        return torch.cat(parts).clone()

    def epoch(self, number: int, batches: list, size: int | None = None):
        """Yield the features of each batch."""
        for rows in batches:
            yield self.features(rows).clone(), None

    def embed(self, module, rows):
        """Return the embeddings (len(rows), dim)."""
        import torch

        seen = self.features(rows)
        with torch.inference_mode():
            return module(seen).float().cpu().numpy()


def fit(spec, data, inputs) -> tuple[float, float, float]:
    """Return the seconds of a training, its validation mAP and its test mAP."""
    from reidflow.evaluation.average_precision import average_precisions, identity_balanced
    from reidflow.evaluation.ranking import integer_codes
    from reidflow.training.building import build_module
    from reidflow.training.fitting import Fitting

    module, dim = build_module(spec, data.features.shape[2], "cpu")
    fitting = Fitting(spec, data, module, inputs, dim, "cpu")
    start = time.process_time()
    fitting.run(Never(), Never())
    module.eval()
    rows = data.rows("test")
    vectors = inputs.embed(module, rows)
    seconds = time.process_time() - start
    (identity,), (group,) = integer_codes(data.identities), integer_codes(data.groups)
    same = {"query_group": group[rows], "gallery_group": group[rows]}
    ap = average_precisions(vectors, vectors, identity[rows], identity[rows], query_index=range(len(rows)), **same)
    return seconds, fitting.state.best or 0.0, float(identity_balanced(ap, identity[rows]))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--epochs", type=int, help="default: those of the protocol")
    arguments = parser.parse_args()
    import numpy as np
    import polars as pl

    from reidflow.models.determinism import deterministic
    from reidflow.models.network import build_features
    from reidflow.spec import config as configs
    from reidflow.spec import plan
    from reidflow.spec.yaml import load
    from reidflow.training.data import RunData
    from reidflow.training.feature_inputs import FeatureInputs

    config = configs.require(load(arguments.config), str(arguments.config))
    spec = config.protocol
    if arguments.epochs:
        spec = spec.model_copy(update={"epochs": arguments.epochs})
    results = Path(config.results)
    split = pl.read_parquet(results / "data/split.parquet")
    bank = results / "features" / plan.bank_id(plan.trained_bank(spec)) / "features.npy"
    features, pixels = np.array(np.load(bank)), np.load(results / "data/images.npy", mmap_mode="r")
    columns = {
        f"{c[:-1]}ies" if c.endswith("y") else f"{c}s": split[c].to_list() for c in ("image", "identity", "group")
    }
    manifest = {name: row for row, name in enumerate(pl.read_parquet(results / "data/manifest.parquet")["image"])}
    pixels = pixels[[manifest[name] for name in split["image"]]]
    data = RunData(**columns, roles=split["role"].to_list(), features=features)
    with deterministic(spec.threads, "cpu"):
        network = build_features(spec.model.backbone, spec.model.size, spec.model.pooling, 0)
        through = ThroughBackbone(network, pixels, spec.model.size)
        again = through.features(np.arange(len(pixels))).numpy()
        fast = [fit(spec, data, FeatureInputs(features, spec, "cpu")) for _ in range(3)]
        slow = fit(spec, data, through)
    quick = sorted(seconds for seconds, *_ in fast)[1]
    print(
        f"{len(data.rows('train'))} training images of {spec.model.size} px, {spec.epochs} epochs, {spec.threads} threads"
    )
    print(
        f"features: at most {np.abs(again - features[:, 0]).max():.2e} apart, their largest {np.abs(again).max():.2f}"
    )
    print(f"on features: {quick:.2f} s; through the backbone: {slow[0]:.1f} s; {slow[0] / quick:.0f} times as long")
    print(f"validation mAP {fast[0][1]:.4f} and {slow[1]:.4f}, test mAP {fast[0][2]:.4f} and {slow[2]:.4f}")


if __name__ == "__main__":
    main()
