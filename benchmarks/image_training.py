"""Compare the speed of training from images with that of the bare steps of the same network.

Bare: forward, loss, backward and optimizer step on one batch that is already on the device, repeatedly. Training:
whole epochs as a run makes them (sampler, images from the store, history, weights kept), without validation. Same
network, loss, optimizer, batch size and threads; rounds of both alternate and medians are compared, in processor time on
the CPU (so that other processes do not count) and in wall time on a GPU. Without augmentation, and with.
"""

import argparse
import statistics
import time
from pathlib import Path

from never import Never

EPOCHS = 4
AUGMENTATION = [
    {"name": "flip"},
    {"name": "crop"},
    {"name": "rotation"},
    {"name": "colour"},
    {"name": "erasing"},
]


def spec_of(arguments: argparse.Namespace, augmentation: list[dict]):
    """Return the spec of a run over all images, in batches of one size."""
    from reidflow.spec.run import RunSpec

    backbone = {"name": "small", "family": arguments.family}
    if arguments.timm:
        backbone = {"name": "timm", "model": arguments.timm}
    return RunSpec(
        model={"backbone": backbone, "size": arguments.size, "trainable": {"name": "all"}},
        loss="arcface",
        sampler={"name": "shuffled", "batch": arguments.batch},
        optimizer="adamw",
        scheduler="cosine",
        epochs=EPOCHS,
        checkpoint="last",
        augmentation=augmentation,
        precision=arguments.precision,
        threads=arguments.threads,
    )


def data_of(arguments: argparse.Namespace):
    """Return training images alone: those of a results folder, or random pixels; as many as fill whole batches."""
    import numpy as np

    from reidflow.training.data import RunData

    if arguments.data:
        import polars as pl

        table = pl.read_parquet(arguments.data / "split.parquet")
        rows = np.flatnonzero((table["role"] == "train").to_numpy())[: arguments.images]
        names = table["identity"].gather(rows).to_list()
        images = dict(zip(pl.read_parquet(arguments.data / "manifest.parquet")["image"], range(10**9), strict=False))
        stored = np.load(arguments.data / "images.npy", mmap_mode="r")
        pixels = stored[[images[name] for name in table["image"].gather(rows)]]
    else:
        generator = np.random.default_rng(0)
        names = [f"id{n % 24}" for n in range(arguments.images)]
        pixels = generator.integers(0, 256, (arguments.images, arguments.size, arguments.size, 3), dtype=np.uint8)
    count = len(names) // arguments.batch * arguments.batch
    return RunData(
        images=[f"{n}.png" for n in range(count)],
        identities=names[:count],
        groups=[None] * count,
        roles=["train"] * count,
        pixels=pixels[:count],
    )


class Trained:
    """A run of several epochs."""

    def __init__(self, spec, data, device: str) -> None:
        from reidflow.training.fitting import Fitting
        from reidflow.training.loop import _build

        self.make = lambda: Fitting(spec, data, self.module, self.inputs, self.dim, device)
        self.module, self.inputs, self.dim = _build(spec, data, device)

    def __call__(self) -> None:
        """Train from the start to the end."""
        self.make().run(Never(), Never())


class Bare:
    """As many steps as the run has, on one resident batch."""

    def __init__(self, spec, data, device: str) -> None:
        import torch

        from reidflow.spec import components
        from reidflow.training.loop import _build

        self.module, inputs, dim = _build(spec, data, device)
        labels, classes = data.labels()
        batch = data.rows("train")[: spec.sampler["batch"]]
        self.images, _ = next(iter(inputs.epoch(1, [batch])))
        self.labels = torch.from_numpy(labels[batch]).to(device)
        self.loss = components.call("loss", spec.loss, dim, len(classes)).to(device)
        parameters = [p for part in (self.module, self.loss) for p in part.parameters() if p.requires_grad]
        self.optimizer = components.call("optimizer", spec.optimizer, [{"name": "model", "params": parameters}])
        self.steps, self.half = spec.epochs * (len(data.images) // len(batch)), spec.precision == "bf16"
        self.kind = torch.device(device).type
        self.module.train()

    def __call__(self) -> None:
        """Make the steps."""
        import torch

        for _ in range(self.steps):
            with torch.autocast(self.kind, torch.bfloat16, enabled=self.half):
                embeddings = self.module(self.images)
            self.loss(embeddings.float(), self.labels).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()


def seconds(work, device: str) -> float:
    """Return the time that `work` takes: processor time of this process, or wall time on a GPU."""
    import torch

    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, default in (("images", 320), ("size", 48), ("batch", 32), ("threads", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("family", "resnet"), ("precision", "fp32"), ("device", "cpu")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--timm", help="a network of timm at full size, in place of the small family")
    parser.add_argument("--data", type=Path, help="folder of split.parquet, manifest.parquet and images.npy")
    arguments = parser.parse_args()
    from reidflow.models.determinism import deterministic

    data, device = data_of(arguments), arguments.device
    plain = spec_of(arguments, [])
    with deterministic(arguments.threads, device):
        work = {
            "bare": Bare(plain, data, device),
            "training": Trained(plain, data, device),
            "augmented": Trained(spec_of(arguments, AUGMENTATION), data, device),
        }
        first = {name: seconds(each, device) for name, each in work.items()}
        found = {name: [] for name in work}
        for _ in range(arguments.rounds):
            for name, each in work.items():
                found[name].append(seconds(each, device))
    count = len(data.images)
    print(f"{count} images of {arguments.size} px, batches of {arguments.batch}, {arguments.threads} threads, {device}")
    bare = statistics.median(found["bare"])
    for name, values in found.items():
        middle = statistics.median(values)
        speed = f"{EPOCHS * count / middle:8.1f} images/s, {bare / middle:6.1%} of bare"
        print(f"{name:>10}: {speed}; first round {first[name]:.2f} s, then {middle:.2f} s")


if __name__ == "__main__":
    main()
