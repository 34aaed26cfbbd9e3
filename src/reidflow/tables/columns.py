"""The table of columns: type, heading, format, meaning and unit of every column that several tables share.

Contracts, headings and tooltips of pages, CSV, Markdown and LaTeX, the metadata of Parquet files and the table in
`docs/metric.md` come from here. A column of one analysis alone is declared in that analysis' contract, in the same way.
"""

import re
from collections.abc import Iterable, Mapping

import polars as pl

from reidflow.store.tables import Column, Span

S, B, I, F = pl.String, pl.Boolean, pl.Int64, pl.Float64  # noqa: E741
POINT = pl.Struct({"point": pl.String, "val_id_map": pl.Float64})
_C = Column

_ALL: list[Column | Span] = [
    # What a row is about.
    _C("experiment", S, "experiment", "text", "Name of the experiment."),
    _C("arm", S, "arm", "text", "Name of the arm: one value of the factor that the experiment varies."),
    _C("baseline", B, "baseline", "yes_no", "Whether the arm is the one that the others are compared with."),
    _C("seed", I, "seed", "text", "Training seed."),
    _C("seeds", I, "seeds", "count", "Number of training seeds behind the row."),
    _C("seed_numbers", pl.List(I), "seed numbers", "numbers", "The training seeds."),
    _C("run", S, "run", "text", "Key of the training run in the run store."),
    _C("epoch", I, "epoch", "count", "Epoch of training; 0 is before training."),
    _C("image", S, "image", "text", "Id of the image."),
    _C("query", S, "query", "text", "Id of the query image."),
    _C("identity", S, "identity", "text", "Individual that the image shows."),
    _C("flank", S, "flank", "text", "Flank or viewpoint; empty: all queries of the identity.", nullable=True),
    _C("method", S, "method", "text", "Id of the method with its parameters."),
    _C("label", S, "method", "text", "Name of the method, with the parameters in which others of that name differ."),
    _C("why", S, "why", "prose", "Why the arm is in the experiment."),
    _C("note", S, "note", "text", "What limits the row's numbers, or why there are none."),
    # Metrics on test.
    _C("id_map", F, "balanced mAP", "number",
       "Identity-balanced mAP on test: average precision per query, mean per identity, mean over identities; mean over seeds.",
       nullable=True),
    _C("id_map_std", F, "std over seeds", "number", "Standard deviation of the balanced mAP over training seeds.",
       nullable=True),
    Span("spread", ("id_map", "id_map_std"), "balanced mAP", "spread",
         "Identity-balanced mAP on test: average precision per query, mean per identity, mean over identities; mean ± "
         "standard deviation over training seeds."),
    _C("id_map_by_seed", pl.List(F), "balanced mAP of each seed", "numbers", "Balanced mAP of each training seed, in their order.",
       nullable=True),
    _C("val_id_map", F, "validation mAP", "number",
       "Identity-balanced mAP on validation of the weights that the run kept; mean over seeds.", nullable=True),
    _C("val_id_map_by_seed", pl.List(F), "validation mAP of each seed", "numbers",
       "Balanced mAP on validation of each training seed, in their order.", nullable=True),
    _C("chance", F, "chance", "number", "Expected balanced mAP of a random ranking under the same filters.", nullable=True),
    _C("id_map_unfiltered", F, "mAP with own group", "number",
       "Balanced mAP where candidates of the query's own group (sighting, burst, near-duplicates) stay in the gallery.",
       nullable=True),
    _C("id_map_untrained", F, "mAP before training", "number", "Balanced mAP of the same network before training.",
       nullable=True),
    _C("map", F, "plain mAP", "number", "Mean average precision over queries, not balanced by identity.", nullable=True),
    _C("top1", F, "top-1", "number", "Share of queries whose first candidate is a positive; under ties the probability of it.",
       nullable=True),
    _C("top5", F, "top-5", "number",
       "Share of queries with a positive among the first 5 candidates; under ties the probability of it.", nullable=True),
    _C("top10", F, "top-10", "number",
       "Share of queries with a positive among the first 10 candidates; under ties the probability of it.", nullable=True),
    _C("map_at_r", F, "mAP@R", "number",
       "Precisions at the positives among the first R candidates, summed and divided by R, the number of positives "
       "(Musgrave et al. 2020); mean over queries.", nullable=True),
    _C("nmi", F, "NMI", "number",
       "Normalised mutual information (arithmetic) of identities and k-means clusters of the query embeddings, one cluster "
       "an identity, best of 4 seeded starts; of more than 10,000 images, those of identities drawn at random, as many as "
       "fit; in a geometry, in the tangent space at its origin; mean over seeds.",
       nullable=True),
    _C("nmi_std", F, "std of the NMI", "number",
       "Standard deviation of the NMI over training seeds, which includes that of k-means' starts (about 0.01 on the demo).",
       nullable=True),
    Span("nmi_spread", ("nmi", "nmi_std"), "NMI", "spread",
         "Normalised mutual information of identities and k-means clusters of the query embeddings; mean ± standard "
         "deviation over training seeds."),
    _C("intra", F, "intra distance", "number",
       "Mean distance of query-candidate pairs of the same identity: 1 - cosine, or the geometry's own (hyperbolic: for "
       "curvature -1).", nullable=True),
    _C("inter", F, "inter distance", "number", "Mean distance of query-candidate pairs of different identities, as intra.",
       nullable=True),
    _C("score", F, "score", "number1", "Competition score on faces: 600 top-1 + 300 top-5 + 100 top-10.", nullable=True),
    _C("queries", I, "queries", "count", "Number of queries that were scored.", nullable=True),
    _C("skipped", I, "skipped", "count", "Number of queries without a positive, which are not scored.", nullable=True),
    _C("identities", I, "identities", "count", "Number of identities that were scored.", nullable=True),
    _C("ap", F, "average precision", "number", "Average precision of the query; none where it has no positive.", nullable=True),
    _C("first_hit", I, "first hit", "count",
       "Rank of the query's first positive; where it is tied, its rank behind the tied negatives.", nullable=True),
    # The comparison with the baseline.
    _C("delta", F, "difference", "signed",
       "Balanced mAP of the arm minus the baseline's, paired by identity and seed.", nullable=True),
    _C("delta_low", F, "lower end", "signed", "Lower end of the simultaneous interval of the difference.", nullable=True),
    _C("delta_high", F, "upper end", "signed", "Upper end of the simultaneous interval of the difference.", nullable=True),
    Span("interval", ("delta_low", "delta_high"), "interval", "interval",
         "Simultaneous 95 % interval of the difference, corrected for the number of comparisons."),
    _C("delta_by_seed", pl.List(F), "difference of each seed", "numbers", "Difference of each pair of seeds, in their order; of folds, of each fold (NaN: it does not test the identity).",
       nullable=True),
    _C("p_adjusted", F, "adjusted p", "probability", "p value of the difference, corrected for the number of comparisons.",
       nullable=True),
    _C("verdict", S, "verdict", "verdict",
       "equivalent: the whole interval lies within the margin of equivalence; else better, worse: significantly different; "
       "inconclusive: not significantly different; unavailable: not run."),
    _C("margin", F, "margin", "number",
       "Margin of equivalence: a difference in balanced mAP of this size or less is too small to matter.", nullable=True),
    _C("ties_with_best", B, "ties with best", "yes_no",
       "Whether the arm is not significantly different from the arm with the highest mean."),
    _C("improvement", F, "probability of improvement", "number2",
       "Probability that the arm scores higher than the baseline on an identity, each with a seed of its own (Agarwal et al. "
       "2021); ties count one half.", nullable=True),
    _C("improvement_low", F, "lower end", "number2",
       "Lower end of the 95 % interval of the probability of improvement, by a bootstrap over identities and seeds; not "
       "corrected for the number of arms.", nullable=True),
    _C("improvement_high", F, "upper end", "number2", "Upper end of the same interval.", nullable=True),
    Span("improves", ("improvement", "improvement_low", "improvement_high"), "P(better)", "estimate",
         "Probability that the arm scores higher than the baseline on an identity, each with a seed of its own (Agarwal et al. "
         "2021), with its 95 % interval for this arm alone."),
    _C("smallest_detectable", F, "smallest detectable", "number",
       "Difference that this comparison would find with 80 % power.", nullable=True),
    _C("half_width_seeds", F, "half width with twice the seeds", "number",
       "Half the width that the interval of the difference would have with twice as many seeds, from the parts of its variance.",
       nullable=True),
    _C("half_width_identities", F, "half width with twice the identities", "number",
       "The same with twice as many test identities.", nullable=True),
    # The comparison with a control.
    _C("against", S, "control", "text", "The arm that is this arm's control.", nullable=True),
    _C("against_delta", F, "difference", "signed",
       "Balanced mAP of the arm minus its control's, paired by identity and seed.", nullable=True),
    _C("against_low", F, "lower end", "signed", "Lower end of the interval of the difference from the control.", nullable=True),
    _C("against_high", F, "upper end", "signed", "Upper end of the interval of the difference from the control.", nullable=True),
    Span("against_interval", ("against_low", "against_high"), "interval", "interval",
         "Simultaneous 95 % interval of the difference from the control, corrected over all comparisons with controls."),
    _C("against_p_adjusted", F, "adjusted p", "probability",
       "p value of the difference from the control, corrected over all comparisons with controls.", nullable=True),
    _C("against_verdict", S, "verdict", "verdict", "Verdict on the difference from the control.", nullable=True),
    _C("against_smallest_detectable", F, "smallest detectable", "number",
       "Difference from the control that this comparison would find with 80 % power.", nullable=True),
    # Training.
    _C("train_images", I, "training images", "count", "Number of training images.", nullable=True),
    _C("steps", F, "steps", "count", "Optimizer steps; mean over seeds.", nullable=True),
    _C("epochs", I, "epochs", "count", "Epochs of training."),
    _C("epochs_to_best", F, "epochs to best", "count", "Epoch of the weights that were kept; mean over seeds.", nullable=True),
    _C("epochs_to_95", F, "epochs to 95 %", "count",
       "First epoch with 95 % of the gain in validation mAP, from before training to the weights that were kept; mean over "
       "seeds, none where a seed does not gain.", nullable=True),
    _C("parameters", I, "parameters", "count", "Parameters of the network.", nullable=True),
    _C("trainable_parameters", I, "trainable", "count", "Parameters of the network that are trained.", nullable=True),
    _C("loss_parameters", I, "of the loss", "count", "Parameters of the loss, such as class centres.", nullable=True),
    _C("flops", I, "FLOPs", "count", "Floating-point operations of a forward pass of one image.", nullable=True),
    _C("train_flops", F, "training FLOPs", "magnitude", "Floating-point operations of the whole training; mean over seeds.",
       nullable=True),
    _C("divergence", F, "diverged", "share",
       "Share of seeds that diverged: loss not finite, or higher at the end than at the start.", nullable=True),
    _C("below_untrained", F, "below untrained", "share",
       "Share of seeds that rank worse than the same network before training.", nullable=True),
    _C("gradient_norm", F, "gradient norm", "magnitude",
       "Norm of the gradient before clipping: mean over steps, epochs and seeds.", nullable=True),
    _C("gradient_norm_max", F, "largest gradient norm", "magnitude", "Largest norm of the gradient at any step.", nullable=True),
    _C("loss", F, "loss", "number", "Training loss of the epoch.", nullable=True),
    _C("loss_last", F, "last loss", "number", "Training loss of the last epoch; mean over seeds.", nullable=True),
    _C("learning_rate", F, "learning rate", "magnitude", "Learning rate."),
    _C("matched", S, "matched", "text", "What is equal to training on all images: epochs, or optimizer steps."),
    _C("same_as", S, "same as", "text", "An arm above that keeps the same images and trains for as many steps.", nullable=True),
    _C("tested_on", S, "tested on", "text", "Version of the images that the arm is tested on."),
    # Tuned settings.
    _C("on_edge", B, "on the grid's edge", "yes_no", "Whether a chosen value is at the edge of its grid.", nullable=True),
    _C("sensitivity", pl.List(POINT), "validation mAP at each point", "grid",
       "Mean validation mAP at every point of the grid of tuned settings.", nullable=True),
    _C("sensitivity_range", F, "best minus worst point", "number",
       "Highest minus lowest mean validation mAP over the grid; diverged runs count as 0.", nullable=True),
    _C("near_best", I, "points near the best", "count",
       "Number of grid points with at least 95 % of the best mean validation mAP.", nullable=True),
    Span("near_best_of", ("near_best", "sensitivity"), "points near the best", "near_best",
         "Number of grid points with at least 95 % of the best mean validation mAP, of all."),
    # Measured on this machine.
    _C("seconds_train", F, "seconds", "seconds", "Time of training; mean over seeds.", "s", nullable=True),
    _C("seconds_by_seed", pl.List(F), "seconds of each seed", "numbers", "Time of training of each seed, in their order.", "s",
       nullable=True),
    _C("images_per_second", F, "images per second", "count", "Training images per second; mean over seeds.", "1/s",
       nullable=True),
    _C("peak_memory_mb", F, "peak memory, MB", "count", "Highest memory use of the device in training.", "MB", nullable=True),
    _C("device", S, "device", "text", "Device on which the runs were trained.", nullable=True),
    _C("latency_ms", F, "latency, ms", "number2", "Median time of the backbone's forward pass of one image, after a warm-up.",
       "ms", nullable=True),
    _C("latency_ms_low", F, "lower quartile, ms", "number2", "Lower quartile of the latency.", "ms", nullable=True),
    _C("latency_ms_high", F, "upper quartile, ms", "number2", "Upper quartile of the latency.", "ms", nullable=True),
    Span("latency_quartiles", ("latency_ms_low", "latency_ms_high"), "latency quartiles", "range2",
         "Lower and upper quartile of the latency."),
    _C("throughput", F, "images per second", "count", "Median images per second of the backbone's forward pass in batches.",
       "1/s", nullable=True),
    _C("throughput_low", F, "lower quartile", "count", "Lower quartile of the throughput.", "1/s", nullable=True),
    _C("throughput_high", F, "upper quartile", "count", "Upper quartile of the throughput.", "1/s", nullable=True),
    Span("throughput_quartiles", ("throughput_low", "throughput_high"), "its quartiles", "range0",
         "Lower and upper quartile of the throughput."),
    _C("batch", I, "batch size", "count", "Images per batch at which the throughput was measured.", nullable=True),
    # What decides which rows may be compared.
    _C("data_set", S, "data set", "text", "Title of the data set."),
    _C("data", S, "data digest", "text", "Digest of the images and labels."),
    _C("split", S, "split digest", "text", "Digest of the split and the gallery."),
    _C("gallery", S, "gallery", "text", "Candidates: role, the other images of the query's role; all, every labelled image."),
    _C("filters", S, "filters", "text",
       "What is ignored beside the query's own group, and whether there are distractors; empty where neither."),
    _C("leaking", B, "leaking", "yes_no", "Whether the same moment is in two roles of the split, so that scores are too high."),
    _C("evaluated", S, "evaluated images", "text", "Digest of the queries that were scored.", nullable=True),
    _C("versions", S, "versions", "text", "Versions of the software that computed the runs.", nullable=True),
    _C("versions_mixed", B, "mixed versions", "yes_no", "Whether the runs come from different versions of the software."),
]  # fmt: skip
COLUMNS: dict[str, Column | Span] = {column.name: column for column in _ALL}
METRICS = (
    "id_map", "chance", "id_map_unfiltered", "map", "top1", "top5", "top10", "map_at_r", "intra", "inter", "nmi",
    "nmi_std", "queries", "skipped", "identities", "first_hit", "score",
)  # fmt: skip
"""Columns that `docs/metric.md` explains."""
_MARKED = re.compile(r"(<!-- columns: (\w+) \(.*?\) -->\n).*?(<!-- end of columns -->)", re.DOTALL)


def column(name: str) -> Column:
    """Return a shared column. Raises KeyError for an unknown name."""
    return columns(name)[0]


def columns(*names: str) -> tuple[Column | Span, ...]:
    """Return shared columns and spans by name. Raises KeyError for an unknown one."""
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise KeyError(
            f"no column {unknown} in reidflow.tables.columns: declare it there, or in the table's own contract"
        )
    return tuple(COLUMNS[name] for name in names)


def documented(page: str, groups: Mapping[str, Iterable[Column | Span]]) -> str:
    """Return a Markdown page with the tables of columns between its marks renewed. groups: name in the mark -> columns."""

    def table(match: re.Match) -> str:
        rows = [f"| `{c.name}` | {c.heading} | {c.meaning} |" for c in groups[match[2]] if isinstance(c, Column)]
        return "\n".join([f"{match[1]}| Column | Heading | Meaning |", "| --- | --- | --- |", *rows, match[3]])

    return _MARKED.sub(table, page)
