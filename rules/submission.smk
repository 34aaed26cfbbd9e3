# What a competitor submits, and the gallery that `reidflow retrieve` searches.


rule submission:
    input:
        **submission.read,
        arrays=ancient(submission.arrays),
    output:
        **submission.submitted,
        submission=shown.result(submission.file, "Submission", ("submission", "what is submitted"), "submission"),
    log:
        files.log("submission"),
    conda:
        "../envs/reidflow.yaml"
    threads: max(spec.threads for spec in submission.specs)
    resources:
        **requests.images,
        gpu=0 if all(spec.frozen for spec in submission.specs) else session.gpus,
    params:
        job=submission.submission,
    script:
        "../workflow/scripts/submission.py"


rule index:
    input:
        **submission.read,
        arrays=ancient(submission.arrays),
    output:
        **submission.gallery,
    log:
        files.log("index"),
    conda:
        "../envs/reidflow.yaml"
    threads: max(spec.threads for spec in submission.specs)
    resources:
        **requests.images,
        gpu=0 if all(spec.frozen for spec in submission.specs) else session.gpus,
    params:
        job=submission.index,
    script:
        "../workflow/scripts/index.py"


rule faces_submission:
    input:
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
    output:
        submission=f"{submission.folder}/faces/submission.json",
        report=f"{submission.folder}/faces/report.json",
        efficiency=f"{submission.folder}/faces/efficiency.json",
        text=shown.result(
            f"{submission.folder}/faces/submission.md",
            "Submission",
            ("submission", "faces: how it was made"),
            "faces_submission",
        ),
    log:
        files.log("faces_submission"),
    conda:
        "../envs/reidflow.yaml"
    threads: plan.config.protocol.threads
    resources:
        gpu=session.gpus,
        mem_mb=requests.images["mem_mb"],
        runtime=growing(max(plan.config.compute.minutes, int(plan.config.submission.time_budget))),
    params:
        job=submission.faces,
    script:
        "../workflow/scripts/faces_submission.py"
