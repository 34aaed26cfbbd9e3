"""What the submissions of a competitor read, and the params of their jobs."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reidflow.spec import plan as plans
from reidflow.spec.errors import ReidflowError
from reidflow.spec.experiment import Arm
from reidflow.spec.plan import Plan
from reidflow.spec.run import RunSpec
from reidflow.spec.submission import candidate_networks, chosen_arms, mirroring_specs, runs_of, unjoined
from reidflow.workflow.files import Files, digest_of
from reidflow.workflow.inputs import Inputs
from reidflow.workflow.params import Params, executed


@dataclass(frozen=True)
class Submission:
    """The submissions of a plan. raw: the digest of the raw data."""

    inputs: Inputs
    params: Params
    raw: str

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.inputs.plan

    @property
    def files(self) -> Files:
        """The results folder."""
        return self.inputs.files

    @property
    def folder(self) -> str:
        """The folder of what is submitted."""
        return f"{self.files.results}/submission"

    @cached_property
    def pairs(self) -> str | None:
        """The table of the pairs that a competition wants scored, where the data come with one."""
        if self.params.reporting:
            # The raw data need not be there any more; the submission says what it was.
            found = Path(self.folder) / "submission.csv"
            return str(found) if found.is_file() else None
        source = self.plan.config.dataset.source
        path = Path(source.get("path") or "").expanduser() / "test.csv"
        if source["name"] != "jaguar" or not path.is_file():
            return None
        with path.open(encoding="utf-8-sig") as table:
            return str(path) if "query_image" in table.readline() else None

    @property
    def file(self) -> str:
        """The submission itself: a CSV of pairs, or a JSON of ranked candidates."""
        return f"{self.folder}/submission.{'csv' if self.pairs else 'json'}"

    def check(self) -> None:
        """Raise ReidflowError where the data want something else than the config submits."""
        if self.plan.config.submission.new is not None and self.pairs:
            raise ReidflowError(
                f"submission.new: {self.pairs} lists pairs, to which 'new individual' is no answer. Write new: null."
            )

    @property
    def submitted(self) -> dict[str, str]:
        """What is written beside the submission, by name: all answers as a table, where some may be `new individual`."""
        return {"answers": f"{self.folder}/answers.csv"} if self.plan.config.submission.new is not None else {}

    @cached_property
    def chosen(self) -> list[tuple[str, str, list[int]]]:
        """Experiment, arm and seeds of the runs behind the submission."""
        return chosen_arms(self.plan.config, self.plan.experiments)

    @property
    def specs(self) -> list[RunSpec]:
        """Runs that read and execute whatever those behind the submission may."""
        return [spec for arm in self._arms for spec in arm.specs]

    @property
    def _arms(self) -> list[Arm]:
        """The arms of `chosen`, in its order."""
        return [self.plan.experiments[name].arms[arm] for name, arm, _ in self.chosen]

    def _jobs(self, experiment: str, arm: str, seeds: list[int]) -> list[str]:
        """Return the records of the jobs that train the chosen runs of an arm."""
        wanted = {(arm, *run) for run in self._runs(experiment, arm).items() if run[0] in seeds}
        batches = [batch for batch, job in enumerate(self.plan.training(experiment)) if wanted & set(job)]
        return [self.files.trained.format(experiment=experiment, batch=batch) for batch in batches]

    def _runs(self, experiment: str, arm: str) -> dict[int, int]:
        return runs_of(self.plan.experiments[experiment], arm)

    @cached_property
    def read(self) -> dict[str, Any]:
        """The small files that a job which embeds images with these runs reads, by name."""
        splits = dict.fromkeys(split for chosen in self.chosen for split in self._splits(*chosen).values())
        return {
            "runs": [file for chosen in self.chosen for file in self._jobs(*chosen)],
            "manifest": f"{self.files.data}/manifest.parquet",
            "quarantine": f"{self.files.data}/quarantine.parquet",
            "splits": list(splits),
            "images": f"{self.files.data}/images.json",
            "digests": list(map(digest_of, self._embedded)),
            "local": [f"{folder}/local.json" for folder in self._banks],
        }

    def _splits(self, experiment: str, arm: str, seeds: list[int]) -> dict[int, str]:
        """Return seed -> the table of the split of its run."""
        divisions, runs = self.plan.experiments[experiment].divisions, self._runs(experiment, arm)
        return {seed: f"{self.plan.split_folder(divisions[runs[seed]])}/split.parquet" for seed in seeds}

    @cached_property
    def arrays(self) -> list[str]:
        """The arrays that it reads: what embeddings are made of, and local features where these are ranked by."""
        names = ("rows.parquet", "points.npy", "descriptors.npy")
        return [*self._embedded, *(f"{folder}/{name}" for folder in self._banks for name in names)]

    @cached_property
    def _embedded(self) -> list[str]:
        """The arrays of images or features, and of mirrored ones where these are ranked by."""
        own = {
            self.files.features(plans.tested_bank(spec)) if spec.frozen else f"{self.files.data}/images.npy"
            for spec in self.specs
        }
        mirroring = mirroring_specs(self.plan.config, self.plan.experiments)
        return sorted(own | set(map(self.files.mirrored_array, mirroring)))

    @cached_property
    def _banks(self) -> list[str]:
        """The folders of the banks of local features by which the chosen arms are ranked, sorted."""
        return sorted({bank for arm in self._arms for bank in self._banks_of(arm)})

    def _banks_of(self, arm: Arm) -> list[str]:
        rankings = [spec.ranking for _, spec in arm.points if spec.ranking]
        banks = {plans.local_bank_id(score.matcher) for ranking in rankings for score in ranking.local}
        return [self.files.local_bank.format(bank=bank) for bank in sorted(banks)]

    def _param(self, script: str, what: dict[str, Any], modules: list[str]) -> str:
        """Return the param of a job that embeds images with the runs behind the submission."""
        runs = [
            {
                "experiment": name,
                "arm": arm,
                "seeds": seeds,
                "splits": self._splits(name, arm, seeds),
                "arms": list(self.plan.experiments[name].arms),
                "runs": self._jobs(name, arm, seeds),
                "local": [f"{folder}/local.json" for folder in self._banks_of(made)],
            }
            for (name, arm, seeds), made in zip(self.chosen, self._arms, strict=True)
        ]
        points = [spec for arm in self._arms for _, spec in arm.points]
        steps = [*self._inference, *(step for spec in points for step in spec.inference)]
        ranking = [("geometry", spec.model.geometry) for spec in self.specs] + [("inference", step) for step in steps]
        local = {name for spec in points if spec.ranking for name in spec.ranking.modules()}
        used = {*executed(self.specs), *plans.modules(*ranking), *local, *modules}
        config = self.plan.config
        pairs = {"pairs": self.pairs, "raw": self.raw if self.pairs else ""}
        if config.dataset.detections:
            pairs["detections"] = config.dataset.detections.path
        what = {"runs": runs, "source": config.dataset.source, "gallery": config.gallery, **pairs, **what}
        return self.params.job(script, what, sorted(used))

    @property
    def _inference(self) -> list[dict[str, Any]]:
        return self.plan.config.submission.model_dump(mode="json")["inference"]

    def submission(self, wildcards: Any) -> str:
        """Return the param of the job that writes the submission."""
        chosen = self.plan.config.submission.model_dump(mode="json", include={"combine", "inference", "k", "new"})
        return self._param("submission", {"submission": chosen}, [])

    @property
    def gallery(self) -> dict[str, str]:
        """The files of the gallery, by name."""
        folder, local = f"{self.folder}/gallery", ("rows.parquet", "points.npy", "descriptors.npy", "local.json")
        names = {"faiss": "index.faiss", "table": "keys.parquet", "vectors": "vectors.npy", "runs": "runs.zip"}
        names |= {"ranking": "ranking.json"}
        for number, bank in enumerate(self._banks):
            names |= {f"local_{number}_{Path(file).stem}": f"local/{Path(bank).name}/{file}" for file in local}
        return {name: f"{folder}/{file}" for name, file in {**names, "facts": "gallery.json"}.items()}

    def index(self, wildcards: Any) -> str:
        """Return the param of the job that indexes the gallery. Raises ReidflowError where the runs have no one ranking."""
        for why in unjoined(self.chosen, self.plan.experiments):
            raise ReidflowError(
                f"submission.runs: a gallery compares the joined embeddings of all runs, and {why} Choose seeds of one arm and "
                "split, or make a gallery of each with `reidflow index`."
            )
        config = self.plan.config
        index, max_pixels = config.submission.index, config.dataset.max_pixels
        what = {"index": index, "max_pixels": max_pixels, "new": config.submission.new}
        return self._param("index", what, plans.modules(("index", index)))

    def faces(self, wildcards: Any) -> str:
        """Return the param of the job that chooses a network, trains its head and ranks the gallery in a time budget."""
        config = self.plan.config
        arms = [arm for experiment in self.plan.experiments.values() for arm in experiment.arms.values()]
        specs = [spec for arm in arms for spec in arm.specs]
        banks = [
            plans.frozen_bank(spec) for spec in candidate_networks(config.protocol, specs, config.submission.candidates)
        ]
        plain = config.protocol.with_seed(config.seeds[0]).plain()
        protocol = {**plain, "inference": [*plain["inference"], *self._inference]}
        used = ["reidflow.training.loop", "reidflow.models.geometries.hypersphere"]
        used += config.protocol.component_modules()
        used += [module for bank in banks for module in plans.bank_modules(bank)]
        steps = [(kind, step) for kind in ("augmentation", "inference") for step in protocol[kind]]
        used += plans.modules(*steps, ("index", {"name": "flat"}))
        source = config.dataset.source
        what = {
            "networks": [plans.network_of(bank) for bank in banks],
            "protocol": protocol,
            "folders": {side: source[side] for side in ("query", "gallery") if source["name"] == "query_gallery"},
            "k": config.submission.k,
            "minutes": config.submission.time_budget,
            "title": config.title,
        }
        return self.params.job("faces_submission", what, sorted(set(used)))
