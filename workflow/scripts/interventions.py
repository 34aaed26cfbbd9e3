"""Draw some photographs in all versions that an experiment tests on."""

import numpy as np

from reidflow.analyses.backgrounds import sheet as interventions
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table

SHOWN = 12


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    manifest = read_table(job.input.manifest, MANIFEST)
    rows = interventions.choose(manifest, np.load(job.input.masks, mmap_mode="r"), SHOWN)
    interventions.draw(
        {
            label: np.load(path, mmap_mode="r")
            for label, path in zip(experiment.file.tested_on, job.input.versions, strict=True)
        },
        rows,
        [f"{manifest['identity'][row]}\n{manifest['image'][row]}" for row in rows],
        Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale]))),
        job.out.sheet,
    )


if __name__ == "__main__":
    run(main, snakemake)
