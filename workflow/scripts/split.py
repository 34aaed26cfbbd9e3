"""Give every labelled image its role, and audit what straddles roles."""

import json
from functools import partial
from pathlib import Path

import polars as pl

from reidflow.dedup.groups import GROUPS, PAIRS, Rules, regrouped, with_scenes
from reidflow.ingest.manifest import MANIFEST
from reidflow.spec.components import is_given
from reidflow.splits.audit import audit
from reidflow.splits.split import SPLIT, split_digest, split_images
from reidflow.store.atomic import write_text
from reidflow.store.job import Job, run
from reidflow.store.tables import read_table, write_table


def main(job: Job) -> None:
    manifest = read_table(job.input.manifest, MANIFEST)
    gallery = job.given["gallery"]
    pairs, joined = read_table(job.input.pairs, PAIRS), json.loads(Path(job.input.joined).read_text())
    rules = Rules(**job.given["groups"] | {"phash_distance": joined["distance"]})
    groups = with_scenes(read_table(job.input.groups, GROUPS), manifest, rules)
    sides, queries = job.given.get("sides", "across"), job.given.get("queries")
    others = partial(regrouped, manifest.filter(pl.col("identity").is_not_null()), pairs, rules)
    ranked = job.given.get("ignore", ()), job.given.get("distractors", False)
    fold, advised = job.given.get("fold", 0), (others, job.given.get("same", ()), joined["note"])
    split = split_images(manifest, groups, job.given["split"], gallery, sides, queries, fold, *ranked, *advised)
    audited = audit(split, manifest, pairs, gallery, rules)
    write_table(split, job.out.split, SPLIT)
    given = {"given": True} if is_given(job.given["split"]) else {}
    whole = {"method": job.given["split"], **given, **audited, "near_duplicates": joined}
    write_text(job.out.audit, json.dumps(whole, indent=1))
    write_text(job.out.digest, json.dumps({"digest": split_digest(split, gallery)}))


if __name__ == "__main__":
    run(main, snakemake)
