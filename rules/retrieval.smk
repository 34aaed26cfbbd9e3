# What a competitor hands in, and the gallery that `reidflow retrieve` searches.


rule submission:
    input:
        **SUBMISSION_INPUTS,
    output:
        submission=shown(
            f"{SUBMISSION}/submission.{'csv' if PAIRS else 'json'}",
            "Submission",
            "submission",
            ("submission", "what is handed in"),
        ),
    log:
        f"{RESULTS}/logs/submission.log",
    conda:
        "../envs/reidflow.yaml"
    threads: max(spec.threads for spec in submission_specs())
    resources:
        gpu=0 if all(spec.frozen for spec in submission_specs()) else GPUS,
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_submission(
            "submission",
            {
                "pairs": PAIRS,
                "raw": RAW if PAIRS else "",
                "source": CONFIG.dataset.source,
                "gallery": CONFIG.gallery,
                "submission": CONFIG.submission.model_dump(mode="json", include={"combine", "inference", "k"}),
            },
        ),
    script:
        "../workflow/scripts/submission.py"


rule index:
    input:
        **SUBMISSION_INPUTS,
    output:
        faiss=f"{SUBMISSION}/gallery/index.faiss",
        table=f"{SUBMISSION}/gallery/keys.parquet",
        vectors=f"{SUBMISSION}/gallery/vectors.npy",
        told=f"{SUBMISSION}/gallery/gallery.json",
    log:
        f"{RESULTS}/logs/index.log",
    conda:
        "../envs/reidflow.yaml"
    threads: max(spec.threads for spec in submission_specs())
    resources:
        gpu=0 if all(spec.frozen for spec in submission_specs()) else GPUS,
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe_submission(
            "index",
            {
                "index": CONFIG.submission.index,
                "gallery": CONFIG.gallery,
                "source": CONFIG.dataset.source,
                "pairs": PAIRS,
                "raw": RAW if PAIRS else "",
            },
            plan.modules(("index", CONFIG.submission.index)),
        ),
    script:
        "../workflow/scripts/index.py"


rule faces_submission:
    input:
        manifest=f"{DATA}/manifest.parquet",
        digest=f"{DATA}/images.json",
        images=ancient(f"{DATA}/images.npy"),
    output:
        submission=f"{FACES}/submission.json",
        report=f"{FACES}/report.json",
        efficiency=f"{FACES}/efficiency.json",
        text=shown(
            f"{FACES}/submission.md",
            "Submission",
            "faces_submission",
            ("submission", "faces: how it was made"),
        ),
    log:
        f"{RESULTS}/logs/faces_submission.log",
    conda:
        "../envs/reidflow.yaml"
    threads: CONFIG.protocol.threads
    resources:
        gpu=GPUS,
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(max(CONFIG.compute.minutes, int(CONFIG.submission.time_budget))),
    params:
        job=lambda wildcards: describe_faces_submission(),
    script:
        "../workflow/scripts/faces_submission.py"
