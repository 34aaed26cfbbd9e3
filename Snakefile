from snakemake.utils import min_version

min_version("9.19")


include: "rules/common.smk"


localrules:
    all_tables,


# The first rule, so that `snakemake` alone makes everything.
rule all_tables:
    input:
        all_results(),


include: "rules/data.smk"
include: "rules/features.smk"
include: "rules/training.smk"
include: "rules/tables.smk"
