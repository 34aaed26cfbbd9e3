"""Report a competition's program: its tables, its statements and its figures."""

from reidflow.analyses.faces.arms import controlled_arms
from reidflow.analyses.faces.collected import CONTRACTS, Found, all_tables
from reidflow.analyses.faces.figures import draw_all
from reidflow.analyses.faces.findings import sections
from reidflow.evaluation.arm import METRICS, MIRRORED, merged
from reidflow.evaluation.other_splits import ALSO_ON
from reidflow.evaluation.validated import validate_runs
from reidflow.figures.style import Heading
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.plan import rebuild
from reidflow.splits.split import SPLIT
from reidflow.store.job import Job, run
from reidflow.store.runs import RunStore
from reidflow.store.tables import read_table, write_table
from reidflow.tables.experiment import EFFICIENCY, RESULTS
from reidflow.tables.sections import write_sections


def main(job: Job) -> None:
    config, experiment = rebuild(job.given["experiment"])
    split, manifest = read_table(job.input.split, SPLIT), read_table(job.input.manifest, MANIFEST)
    mirrored = read_table(job.input.mirrored, MIRRORED) if job.input.mirrored else None
    chosen = controlled_arms(experiment)
    runs = merged(job.input.runs, list(experiment.arms), RunStore(job.results / ".store")).runs
    validated = validate_runs([r for r in runs if r.arm in chosen], split, manifest, job.given["gallery"], mirrored)
    other = read_table(job.input.also_on, ALSO_ON) if job.input.also_on else None
    results, efficiency = read_table(job.input.results, RESULTS), read_table(job.input.efficiency, EFFICIENCY)
    found = Found(read_table(job.input.metrics, METRICS), results, efficiency, validated, other)
    faces = all_tables(experiment, found, dict(split["role"].value_counts().iter_rows()))
    for name, contract in CONTRACTS.items():
        write_table(getattr(faces, name), getattr(job.out, name), contract)
    write_sections(job.out.sections, sections(experiment.file, faces, results, job.given["links"]))
    heading = Heading(experiment.file.question, " · ".join(filter(None, [config.title, config.scale])))
    draw_all(faces, heading, lambda name: {kind: getattr(job.out, f"{name}_{kind}") for kind in ("png", "svg")})


if __name__ == "__main__":
    run(main, snakemake)
