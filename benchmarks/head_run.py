"""Time runs on frozen features, as a job of several makes them: start of the process, each run, peak memory.

Prints the project's runs beside a bare loop of the same optimizer steps (same head, loss and optimizer, batches in
order, no validation, history, checkpoint or files) in the same process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

START = time.perf_counter()


def spec_of(arguments: argparse.Namespace, seed: int):
    """Return the run spec of one run."""
    from reidflow.spec.run import RunSpec

    return RunSpec(
        model={
            "backbone": {"name": "small", "family": "resnet"},
            "size": 128,
            "head": {"hidden": arguments.hidden, "dim": arguments.dim},
        },
        loss=arguments.loss,
        miner=arguments.miner,
        sampler=arguments.sampler,
        optimizer=arguments.optimizer,
        scheduler="cosine",
        epochs=arguments.epochs,
        seed=seed,
    )


def data_of(arguments: argparse.Namespace):
    """Return features of `identities` clusters, three fifths of them for training."""
    import numpy as np

    from reidflow.training.data import RunData

    generator = np.random.default_rng(0)
    identity = np.arange(arguments.images) % arguments.identities
    centre = generator.normal(size=(arguments.identities, arguments.features))
    features = centre[identity] + 3 * generator.normal(size=(arguments.images, arguments.features))
    turn = np.arange(arguments.images) // arguments.identities % 5
    return RunData(
        images=[f"{i}.png" for i in range(arguments.images)],
        identities=[f"id{i}" for i in identity],
        groups=[None] * arguments.images,
        roles=[["train", "train", "train", "val", "test"][t] for t in turn],
        features=features[:, None].astype(np.float32),
    )


def bare(arguments: argparse.Namespace, data, spec) -> float:
    """Return the seconds of the same steps in a bare loop."""
    import torch

    from reidflow.models.head import build_head
    from reidflow.spec import components

    labels, classes = data.labels()
    rows = torch.from_numpy(data.rows("train"))
    features, labels = torch.from_numpy(data.features[:, 0])[rows], torch.from_numpy(labels)[rows]
    head = build_head(spec.model.head, features.shape[1], 0)
    loss = components.call("loss", spec.loss, arguments.dim, len(classes))
    miner = components.call("miner", spec.miner) if spec.miner else None
    parameters = [*head.parameters(), *loss.parameters()]
    optimizer = components.call("optimizer", spec.optimizer, [{"name": "model", "params": parameters}])
    start = time.perf_counter()
    for _ in range(spec.epochs):
        for x, y in zip(features.split(32), labels.split(32), strict=True):
            embeddings = head(x)
            loss(embeddings, y, miner(embeddings, y) if miner else None).backward()
            optimizer.step()
            optimizer.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for name, default in (("images", 500), ("identities", 24), ("features", 1280), ("dim", 128), ("hidden", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("epochs", 30), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("loss", "arcface"), ("miner", None), ("sampler", "shuffled"), ("optimizer", "adamw")):
        parser.add_argument(f"--{name}", default=default)
    arguments = parser.parse_args()
    from reidflow.models.determinism import deterministic
    from reidflow.training.loop import train

    data = data_of(arguments)
    for kind in ("loss", "optimizer", "sampler", "scheduler"):
        from reidflow.spec import components

        components.load(kind, getattr(arguments, kind, "cosine"))
    print(f"start (imports, synthetic features): {time.perf_counter() - START:.2f} s")
    seconds = []
    for seed in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            train(spec_of(arguments, seed), data, Path(folder) / "work", Path(folder) / "out", "cpu", key="benchmark")
            seconds.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with deterministic(1, "cpu"):
        floor = min(bare(arguments, data, spec_of(arguments, 0)) for _ in range(3))
    print("runs: " + ", ".join(f"{s:.2f}" for s in seconds) + " s")
    print(f"bare loop: {floor:.2f} s; a run takes {sorted(seconds)[len(seconds) // 2] / floor:.2f} times as long")
    print(f"peak memory: {memory:.0f} MB")


if __name__ == "__main__":
    main()
