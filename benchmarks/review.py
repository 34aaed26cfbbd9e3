"""Label errors that the answers of the review page find, and what they make of the labels.

In a finished run of the pipeline some labels are changed at random, each to another identity. Pairs are chosen as for
`pages/review.html`, and answered by the truth in the order of the page until so many answers are given; 0: until the page
shows no more. An error is found where the answers change the label of its image.

    python benchmarks/review.py results --answers 200 --draws 10

Reported per share of wrong labels: the share found on average and in the worst draw, how many of these have their true label
again and how many are set aside, and how many right labels became others.
"""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from reidflow.curation.review import pairs_to_review
from reidflow.dedup.groups import GROUPS
from reidflow.ingest.manifest import MANIFEST
from reidflow.ingest.review import Answer, verdicts
from reidflow.store.tables import read_table


def planted(images: pl.DataFrame, share: float, seed: int) -> pl.DataFrame:
    """Return the images with `truth`, and with the label of another identity for a share of them."""
    random = np.random.default_rng(seed)
    truth = images["identity"].to_list()
    labels, identities = list(truth), sorted(set(truth))
    for row in random.permutation(len(images))[: round(share * len(images))]:
        others = [identity for identity in identities if identity != truth[row]]
        labels[row] = others[random.integers(len(others))]
    # Near-duplicates and bursts join within an identity alone.
    groups = [f"{label} {group}" for label, group in zip(labels, images["group"], strict=True)]
    return images.with_columns(truth=pl.Series(truth), identity=pl.Series(labels), group=pl.Series(groups))


def answers_of(pairs: pl.DataFrame, truth: dict[str, str], most: int) -> list[Answer]:
    """Return the answers that the truth gives to the pairs of the page, in their order."""
    found: dict[int, Answer] = {}
    for pair in pairs.to_dicts():
        if most and len(found) == most:
            break
        before = found.get(pair["after"])
        if pair["after"] is None or (before is not None and before.answer == "different"):
            same = truth[pair["image"]] == truth[pair["other"]]
            found[pair["pair"]] = Answer(pair["image"], pair["other"], "same" if same else "different")
    return list(found.values())


def measured(images: pl.DataFrame, features: np.ndarray, answers: int) -> dict[str, float]:
    """Return what answers find. images: as `planted` returns them."""
    truth = dict(images.select("image", "truth").iter_rows())
    labels = dict(images.select("image", "identity").iter_rows())
    given = answers_of(pairs_to_review(images.drop("truth"), features), truth, answers)
    after = labels | verdicts(labels, given).labels
    wrong = [image for image in labels if labels[image] != truth[image]]
    return {
        "errors": len(wrong),
        "answers": len(given),
        "found": sum(after[image] != labels[image] for image in wrong) / max(1, len(wrong)),
        "true label": sum(after[image] == truth[image] for image in wrong),
        "set aside": sum(after[image] is None for image in wrong),
        "made worse": sum(after[image] != truth[image] for image in labels if labels[image] == truth[image]),
    }


def main() -> None:
    """Print what the answers find, for each share of wrong labels."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("results", type=Path, help="results of a finished run")
    parser.add_argument(
        "--features", type=Path, help="features.npy of the bank; default: the only one, or the first by name"
    )
    parser.add_argument("--shares", type=float, nargs="+", default=[0.03, 0.05])
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--draws", type=int, default=10)
    args = parser.parse_args()
    groups = read_table(args.results / "data/groups.parquet", GROUPS).select("image", "group")
    images = read_table(args.results / "data/manifest.parquet", MANIFEST).with_row_index("row")
    images = images.select("row", "image", "identity", "flank").join(groups, on="image", maintain_order="left")
    images = images.filter(pl.col("identity").is_not_null())
    bank = args.features or sorted(args.results.glob("features/*/features.npy"))[0]
    features = np.load(bank, mmap_mode="r")[images["row"].to_numpy(), 0]
    print(f"{len(images)} images of {images['identity'].n_unique()} identities, features of {bank.parent.name}")
    for share in args.shares:
        draws = pl.DataFrame(
            [measured(planted(images.drop("row"), share, seed), features, args.answers) for seed in range(args.draws)]
        )
        mean = draws.mean().row(0, named=True)
        words = ", ".join(f"{name} {value:.1f}" for name, value in mean.items() if name != "found")
        print(
            f"{share:.0%} wrong: found {mean['found']:.3f} (worst draw {draws['found'].min():.3f}); {words}", flush=True
        )


if __name__ == "__main__":
    main()
