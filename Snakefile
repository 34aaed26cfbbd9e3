from snakemake.utils import min_version

min_version("9.19")


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/asking.smk"
include: "rules/analyses.smk"
include: "rules/report.smk"


wildcard_constraints:
    experiment="|".join(PLAN.experiments),
    batch="[0-9]+",
    study="[A-Za-z0-9][A-Za-z0-9_-]*",
    worker="[0-9]+",
    backbone="|".join(BACKBONES),
    bank="[^/]+",
    split="[^/]+",
    background="[^/]+",
    method="[^/]+",


onstart:
    if workflow.is_main_process:
        digests.save_parsed_code()
        try:
            if CLUSTER:
                invocation.require_job_memory(getattr(workflow.executor_settings, "status_command", None))
            with disk.explained(RESULTS):
                workflow.reidflow_lock = invocation.begin(Path(RESULTS))
                # All that ran is known by digests; what lies behind them is needed to say later what has changed.
                digests.record_code(Path(RESULTS), params_of(workflow.dag.needrun_jobs()))
                if RAW:
                    digests.record_images(Path(RESULTS), RAW, rawdata.cache_file(Path(RESULTS)))
        except ReidflowError as error:
            raise WorkflowError(str(error)) from None


localrules:
    all_tables,


# The first rule, so that `snakemake` alone makes everything.
rule all_tables:
    input:
        reported_results() if REPORTING else all_results(),


include: "rules/data.smk"
include: "rules/backgrounds.smk"
include: "rules/backbones.smk"
include: "rules/features.smk"
include: "rules/subsets.smk"
include: "rules/training.smk"
include: "rules/ranking.smk"
include: "rules/best.smk"
include: "rules/competing.smk"
include: "rules/retrieval.smk"
include: "rules/details.smk"
include: "rules/searches.smk"
include: "rules/rankings.smk"
include: "rules/tables.smk"


# A dry run would form groups of jobs for this machine too, where they run one by one: it takes long with many runs.
if not CLUSTER:
    for each in workflow.rules:
        each.group = None
