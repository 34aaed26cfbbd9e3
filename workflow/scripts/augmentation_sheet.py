"""Draw some training images as the network sees them in each arm of an experiment."""

import numpy as np

from reidflow.analyses.augmentation import sheet as augmentation_sheet
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table
from reidflow.training.samples import augmented, batch_rows

SHOWN, VERSIONS = 2, 7


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    manifest = read_table(job.input.manifest, MANIFEST)
    rows = batch_rows(manifest, read_table(job.input.split, SPLIT))
    pixels, masks = (np.load(path, mmap_mode="r")[rows] for path in (job.input.images, job.input.masks))
    keys = [manifest["image"][row] for row in rows]
    specs = {name: arm.spec for name, arm in experiment.arms.items()}
    samples = {
        name: augmented(spec.augmentation, spec.model.size, pixels, masks, keys, shown=SHOWN, versions=VERSIONS)
        for name, spec in specs.items()
    }
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    augmentations = {name: spec.augmentation for name, spec in specs.items()}
    augmentation_sheet.draw(samples, augmentations, heading, job.out.sheet)


if __name__ == "__main__":
    run(main, snakemake)
