# What analyses add to an experiment: tables, findings and figures of their own. One script runs any of them.
for analysis in targets.all_analyses():

    rule:
        name:
            f"analysis_{analysis.name}"
        input:
            unpack(inputs.of_analysis(analysis)),
            images=ancient(inputs.array(analysis, "images")),
            masks=ancient(inputs.array(analysis, "masks")),
            features=ancient(inputs.array(analysis, "features")),
            versions=ancient(inputs.array(analysis, "versions")),
            local_arrays=ancient(inputs.local_arrays_of(analysis)),
        output:
            **shown.analysis(analysis),
        log:
            files.log(f"analyses/{analysis.name}", "{experiment}"),
        group:
            "tables-{experiment}"
        conda:
            "../envs/reidflow.yaml"
        resources:
            **requests.small,
        params:
            job=params.analysis(analysis),
        script:
            "../workflow/scripts/analysis.py"
