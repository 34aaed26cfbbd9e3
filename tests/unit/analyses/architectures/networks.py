"""Run specs of networks whose architectures are drawn."""

from reidflow.spec.run import RunSpec


def spec(**model) -> dict:
    whole = {"backbone": {"name": "small", "family": "vit"}, "trainable": {"name": "all"}, "size": 32, **model}
    parts = {"loss": "supcon", "sampler": "shuffled", "optimizer": "adamw", "scheduler": "constant"}
    return RunSpec(model=whole, **parts).plain()


def blocks(**settings) -> dict:
    return spec(backbone={"name": "mbconv", **settings})


STRANGE = blocks(
    widths=[8, 320, 16, 8, 16, 8, 8],
    depths=[1, 4, 1, 1, 1, 1, 1],
    kernels=[3, 5, 9, 7, 3, 3, 3],
    expansions=[1] * 7,
    squeeze=[0.0] * 7,
    strides=[1] * 7,
    features=0,
)
HEADS = [
    spec(pooling={"name": "gem", "p": 4.0}, head={"hidden": 64, "depth": 3, "norm": "layer", "dropout": 0.25, "dim": 32}),
    spec(pooling="max", head={"hidden": 256, "norm": "none", "activation": "silu"}),
    spec(),
]  # fmt: skip
