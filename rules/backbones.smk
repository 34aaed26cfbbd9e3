# The networks behind the arms: whether their weights can be had, their size, and how fast they are on this machine.
# A downloaded network has a job of its own, which every run that needs it waits for; to try again after a download
# failed, delete its description. All others are described in one job, for the tables: starting one takes longer.
for batch, networks in described_together().items():

    rule:
        name:
            f"backbones_{batch}"
        output:
            **{f"description_{place}": f"{RESULTS}/backbones/{name}.json" for place, name in enumerate(networks)},
            **{f"speed_{place}": f"{RESULTS}/backbones/{name}.speed.json" for place, name in enumerate(networks)},
        log:
            f"{RESULTS}/logs/backbones/{batch}.log",
        conda:
            "../envs/reidflow.yaml"
        threads: max(BACKBONES[name]["threads"] for name in networks)
        resources:
            gpu=GPUS,
            mem_mb=growing(CONFIG.compute.image_memory_mb),
            runtime=growing(CONFIG.compute.minutes),
        params:
            job=later(describe_networks, networks),
        script:
            "../workflow/scripts/backbones.py"
