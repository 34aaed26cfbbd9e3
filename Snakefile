from snakemake.utils import min_version

min_version("9.19")


report: "workflow/report/workflow.rst"


include: "rules/common.smk"


wildcard_constraints:
    experiment="|".join(plan.experiments),
    batch="[0-9]+",
    look="[0-9]+",
    study="[A-Za-z0-9][A-Za-z0-9_-]*",
    worker="[0-9]+",
    bank="[^/]+",
    shard="[0-9]+-of-[0-9]+",
    split="[^/]+",
    background="[^/]+",
    method="[^/]+",


# The first rule, so that `snakemake` alone makes everything.
rule all_tables:
    input:
        session.all_tables(config),
    localrule: True


include: "rules/data.smk"
include: "rules/splits.smk"
include: "rules/backgrounds.smk"
include: "rules/features.smk"
include: "rules/subsets.smk"
include: "rules/tuning.smk"
include: "rules/training.smk"
include: "rules/evaluation.smk"
include: "rules/other_splits.smk"
include: "rules/tables.smk"
include: "rules/analyses.smk"
include: "rules/pages.smk"
include: "rules/submission.smk"


# A dry run would form groups of jobs for this machine too, where they run one by one: it takes long with many runs.
if not session.cluster:
    for each in workflow.rules:
        each.group = None
