# What `snakemake --report` shows of the results, and under which words. It runs nothing: what is absent is left out.
from types import SimpleNamespace

FIGURE_TITLES = {
    "arms": "Arms, and their differences from the baseline",
    "curves": "Training curves",
    "identities": "Differences per identity",
    "pareto": "Value against cost",
    "tuning": "Tuned settings on validation",
    "tested_on": "Trained on one background, tested on another",
    "query_only": "Backgrounds: the query alone altered",
    "reliance": "Backgrounds: reliance on them",
    "interventions": "Backgrounds: the interventions, image by image",
    "detection": "Duplicates: what each method finds",
    "thresholds": "Duplicates: share left out and mAP by threshold",
    "dynamics": "Duplicates: training with and without them",
    "groups": "Duplicates: groups around the threshold",
    "suspects": "Duplicates that carry the labels of two identities",
    "shares": "Curation: mAP by the share that stays",
    "distributions": "Curation: scores of kept and dropped images",
    "valuable": "Curation: the most and the least valuable images",
    "scores": "Curation: the highest and the lowest of each score",
    "geodesic": "Geometry: mAP by the space's distance and by the cosine",
    "radii": "Geometry: distance from the origin",
    "projections": "Geometry: identities in each space",
    "rates": "Learning rate of each arm",
    "stages": "Resizing: size of the images in each epoch",
    "sizes": "Resizing: mAP at each tested size",
    "training_flops": "Resizing: mAP by operations of the training",
    "parts": "Augmentation: each part alone and among all",
    "strengths": "Augmentation: mAP by strength",
    "augmented": "Augmentation: images as the network sees them",
    "seeds": "Seeds: mAP of each seed and of each split",
    "readings": "Seeds: differences beside the noise",
    "progress": "Search: best validation mAP so far",
    "slices": "Search: validation mAP along each axis",
    "parallel": "Search: all trials",
    "importances": "Search: what each axis decides",
    "effects": "Search: effect of each choice",
    "front": "Search: validation mAP by cost",
    "architectures": "Search: the architectures found",
    "gap": "Gap: mAP of each arm by setting",
    "remedies": "Gap: what each remedy changes",
    "errors": "Errors: wrong first candidates that look alike",
    "score_by_rate": "Score by learning rate",
    "score_by_epochs": "Score by epochs",
    "score_ablation": "Score: what one setting is worth",
    "score_per_minute": "Score per minute",
    "score_by_time": "Score by time",
    "methods": "Inference: difference of each method",
    "queries": "Inference: queries before and after",
    "ranked": "Queries with their ten best candidates",
    "worst": "The worst query of each identity",
}


def present(path):
    """Return whether a result is there as it was written."""
    return Path(path).is_file() and Path(path) not in DAMAGED


def shown(path, category, caption, label, subcategory=None):
    """Return a result that the report shows; one that is the same for all experiments only where it is there.

    caption: the name of its text in workflow/report. label: (heading, words) in the list of results: one alone, as the
    report makes a switch of any further one that has two values.
    """
    if REPORTING and "{" not in path and not present(path):
        return path
    return report(
        path,
        caption=f"../workflow/report/{caption}.rst",
        category=category,
        subcategory=subcategory,
        labels=dict([label]),
    )


def shown_figure(kind, suffix, caption):
    """Return a figure of an experiment, shown in the report."""
    path = f"{FIGURES}/{{experiment}}/{kind}.{suffix}"
    return shown(path, "Figures", caption, ("figure", FIGURE_TITLES[kind]), "{experiment}")


def shown_plots(kinds, caption=None):
    """Return plots of an experiment as named outputs; of the two formats, the report shows the one that scales.

    caption: as in `shown`; each plot has one of its own name unless given.
    """
    found = {f"{kind}_png": f"{FIGURES}/{{experiment}}/{kind}.png" for kind in kinds}
    return {**found, **{f"{kind}_svg": shown_figure(kind, "svg", caption or kind) for kind in kinds}}


def shown_files(experiment):
    """Return the results of an experiment that the report shows."""
    wildcards = SimpleNamespace(experiment=experiment)
    tables = [f"{RESULTS}/pages/{experiment}.html"]
    tables += [f"{TABLES}/{experiment}.{suffix}" for suffix in ("csv", "findings.md")]
    kinds = figures_of(PLAN.experiments[experiment].tuned)
    return [*tables, *(f"{FIGURES}/{experiment}/{kind}.svg" for kind in kinds), *details_figures(wildcards)]


def reported_results():
    """Return what is there of all that the report shows, an experiment only once all of it is there.

    What is left out is told, here and on the report's first page.
    """
    wanted = [f"{FIGURES}/data/identities.png", f"{DATA}/audit.json"]
    wanted += [f"{TABLES}/leaderboard.csv", f"{FIGURES}/leaderboard.svg"]
    wanted += [f"{RESULTS}/submission/{name}" for name in ("submission.csv", "submission.json", "faces/submission.md")]
    wanted = list(filter(present, wanted))
    absent = {name: [path for path in shown_files(name) if not present(path)] for name in PLAN.experiments}
    for name, paths in absent.items():
        if paths:
            print(f"{name}: left out of the report, as {paths[0]} is not there (yet)", file=sys.stderr)
        else:
            wanted += shown_files(name)
    told = {"title": in_rst(CONFIG.title), "scale": in_rst(CONFIG.scale)}
    told["questions"] = {name: in_rst(found.file.question) for name, found in PLAN.experiments.items()}
    config["report"] = {**told, "absent": [name for name, paths in absent.items() if paths]}
    return wanted


def in_rst(words):
    """Return free text for the report's texts: on one line, and read as nothing but letters."""
    return "".join(letter if letter.isalnum() or letter == " " else f"\\{letter}" for letter in " ".join(words.split()))


def mend_report():
    """Let the report show tall figures from their top on, and large pages at all."""
    from snakemake.report.html_reporter import Reporter

    folder, begin = Path(workflow.basedir) / "workflow" / "report", Reporter.__post_init__

    def mended(reporter):
        begin(reporter)
        style, script = [(folder / f"report.{kind}").read_text() for kind in ("css", "js")]
        # Snakemake lets a report have styles of its own, between these two marks, but no script.
        own = f"{style}</style>\n<script>{script}</script>\n<style>"
        reporter.custom_stylesheet = f"{reporter.custom_stylesheet or ''}\n{own}"

    Reporter.__post_init__ = mended


if REPORTING:
    mend_report()
