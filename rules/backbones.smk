# The networks behind the arms: whether their weights can be had, their size, and how fast they are on this machine.
# To try again after a download failed, delete the description.
rule backbone:
    output:
        description=f"{RESULTS}/backbones/{{backbone}}.json",
        speed=f"{RESULTS}/backbones/{{backbone}}.speed.json",
    log:
        f"{RESULTS}/logs/backbones/{{backbone}}.log",
    conda:
        "../envs/reidflow.yaml"
    threads: lambda wildcards: BACKBONES[wildcards.backbone]["threads"]
    resources:
        gpu=planning.cards(CONFIG.compute.device),
        mem_mb=growing(CONFIG.compute.image_memory_mb),
        runtime=growing(CONFIG.compute.minutes),
    params:
        job=lambda wildcards: describe(
            "backbone",
            {"network": BACKBONES[wildcards.backbone]},
            plan.network_modules(BACKBONES[wildcards.backbone]),
        ),
    script:
        "../workflow/scripts/backbone.py"
