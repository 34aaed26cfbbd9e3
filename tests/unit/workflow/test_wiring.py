"""What rules call: inputs, params, targets and requests are functions of the plan alone."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from reidflow.analyses.analysis import analyses_of, load, shipped
from reidflow.spec import code
from reidflow.spec import plan as plans
from reidflow.spec.errors import ReidflowError
from reidflow.spec.shards import EMBEDDED, EXTRACTED
from reidflow.workflow.files import Files, digest_of
from reidflow.workflow.inputs import ARRAYS, Inputs
from reidflow.workflow.params import Params
from reidflow.workflow.report import Shown
from reidflow.workflow.resources import Resources
from reidflow.workflow.startup import Session
from reidflow.workflow.submission import Submission
from reidflow.workflow.targets import Targets, in_rst, intact

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo with all arms of its experiments, and with results by flank as its config has them."""
    whole = tmp_path_factory.mktemp("demo") / "whole.yaml"
    whole.write_text("overrides: null")
    by_flank = {"overrides": {"losses": {"flanks": True}}}
    return Files(plans.make([ROOT / "config/config.yaml", whole], by_flank, root=ROOT))


@pytest.fixture(scope="module")
def jaguar():
    """The preset whose networks are downloaded and whose studies have two workers."""
    return Files(plans.make([ROOT / "config/jaguar.yaml"], root=ROOT))


def tiny(**changes):
    return Files(plans.make([ROOT / "config/tiny.yaml"], changes, root=ROOT))


def job(experiment, **wildcards):
    return SimpleNamespace(experiment=experiment, **wildcards)


def test_training_of_a_later_look_reads_the_look_before_which_reads_all_runs_so_far():
    added = {"seeds": {"from": 2, "to": 4, "step": 1, "until": "decided"}}
    made = tiny(overrides={"tiny_backbones": added})
    inputs, folder = Inputs(made), "results-tiny/experiments/tiny_backbones"
    assert [inputs.undecided(job("tiny_backbones", batch=batch)) for batch in range(6)] == [
        [], [], f"{folder}/looks/0.json", f"{folder}/looks/0.json", f"{folder}/looks/1.json", f"{folder}/looks/1.json",
    ]  # fmt: skip
    assert inputs.looked_at(job("tiny_backbones", look="1")) == [
        f"{folder}/runs/runs-{batch}.json" for batch in range(4)
    ]
    groups = [Resources(inputs, 1).training(job("tiny_backbones", batch=batch)) for batch in range(6)]
    # The frozen runs of later looks wait for runs on images: they cannot be submitted with those of the first look.
    assert groups == ["heads-tiny_backbones", None, None, None, None, None]


def test_a_bank_of_many_images_waits_for_shards_whose_number_only_the_data_decide():
    inputs = Inputs(tiny(compute={"workers": 1}), EMBEDDED)
    bank = next(iter(inputs.plan.banks()))
    assert inputs.bank_shards(SimpleNamespace(bank=bank)) == []
    many = Inputs(inputs.files, 2 * EMBEDDED + 1)
    folder = f"results-tiny/features/{bank}/shards"
    assert many.bank_shards(SimpleNamespace(bank=bank)) == [f"{folder}/{n}-of-3.json" for n in (1, 2, 3)]
    whole, second = (
        json.loads(Params(many).features(SimpleNamespace(bank=bank, **shard))) for shard in ({}, {"shard": "2-of-3"})
    )
    assert second == {**whole, "shard": [2, 3]}


LOCAL = """
question: Which local features?
motivation: "-"
hypothesis: "-"
varies: [ranking]
baseline: plain
arms:
  plain: {why: "-", ranking: {scores: [embedding, {matcher: rootsift}]}}
  finer: {why: "-", ranking: {scores: [embedding, {matcher: {name: rootsift, size: SIZE}}]}}
  learned: {why: "-", ranking: {scores: [embedding, {matcher: xfeat, compare: lightglue}]}}
"""


def test_a_bank_of_local_features_depends_on_its_matcher_and_the_images_alone(tmp_path):
    def jobs(size, raw="r", **dataset):
        file = tmp_path / "local.yaml"
        file.write_text(LOCAL.replace("SIZE", str(size)))
        made = tiny(experiments=[str(file)], **({"dataset": dataset} if dataset else {}))
        gpu = Resources(Inputs(made), gpus=1).local["gpu"]
        assert [gpu(SimpleNamespace(bank=bank)) for bank in made.plan.local_banks()] == [0, 0, 1]
        param = Params(Inputs(made)).local_features(raw, ["reidflow.ingest.sources.demo"])
        return {bank: json.loads(param(SimpleNamespace(bank=bank))) for bank in made.plan.local_banks()}

    first, other = jobs(640), jobs(768)
    plain, finer, learned = first
    assert set(first) & set(other) == {plain, learned}
    assert first[plain] == other[plain]
    assert first[finer]["matcher"]["size"] == 640
    for bank, mine in ((plain, "rootsift"), (learned, "xfeat")):
        executed = [file for file in code.closure(*first[bank]["roots"]) if "/matching/" in file]
        assert [Path(file).stem for file in executed if "/matchers/" in file] == ["__init__", mine]
        assert not [file for file in executed if "/comparisons/" in file]
    assert jobs(640, raw="other")[plain] != first[plain]
    assert jobs(640, max_bad_share=0.5)[plain] == first[plain]
    assert jobs(640, frame={"name": "squash"})[plain] != first[plain]


def test_local_features_of_many_images_wait_for_shards():
    bank = SimpleNamespace(bank="rootsift-x")
    assert Inputs(tiny(), EXTRACTED).local_shards(bank) == []
    assert Inputs(tiny(), EXTRACTED + 1).local_shards(bank) == [
        f"results-tiny/local/rootsift-x/shards/{number}-of-2.json" for number in (1, 2)
    ]


def test_an_edited_network_computes_masks_again_and_the_images_follow_by_their_digest_alone():
    masked = Params(Inputs(tiny(dataset={"masks": {"name": "rembg"}})))
    one, other = (masked.network_masks("raw", network)(None) for network in ("one", "other"))
    assert json.loads(one) == json.loads(other) | {"network": "one"}
    assert masked.ingest("raw", [])(None) == Params(Inputs(tiny())).ingest("raw", [])(None)


def test_edited_answers_to_the_review_read_the_labels_again_and_compute_no_mask():
    given = {"masks": {"name": "rembg"}, "review": "review.csv"}
    plain, reviewed = (Params(Inputs(tiny(dataset=dataset))) for dataset in ({"masks": given["masks"]}, given))
    assert plain.network_masks("raw", "net")(None) == reviewed.network_masks("raw", "net")(None)
    jobs = [
        job({"review.csv": digest}) for digest in "12" for job in (partial(reviewed.ingest, "raw", []), reviewed.review)
    ]
    assert len({job(None) for job in jobs}) == 4


def test_every_analysis_of_the_project_applies_to_an_experiment_of_the_demo(demo):
    applied = {found.name for name in demo.plan.experiments for found in analyses_of(demo.plan.experiments[name])}
    assert applied == set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_what_an_analysis_reads_is_known_and_depends_on_digests_of_arrays(demo, name):
    analysis, inputs = load(name), Inputs(demo)
    experiment = next(e for e, found in demo.plan.experiments.items() if analysis.applies(found))
    small = inputs.of_analysis(analysis)(job(experiment))
    arrays = {kind: inputs.array(analysis, kind)(job(experiment)) for kind in ARRAYS}
    assert set(small) == {*analysis.inputs, "digests"} - set(ARRAYS)
    assert {kind for kind, found in arrays.items() if found} <= set(analysis.inputs)
    listed = [
        path for found in [*small.values(), *arrays.values()] for path in ([found] if isinstance(found, str) else found)
    ]
    assert listed and all(path.startswith("results/") and "{" not in path for path in listed)
    assert not any(path.endswith(".npy") for found in small.values() for path in found)
    masked = "results/data/images.json"
    for found in arrays.values():
        for path in [found] if isinstance(found, str) else found:
            assert (masked if path.endswith("masks.npy") else digest_of(path)) in small["digests"]


def test_an_input_that_does_not_exist_is_named_with_the_known_ones(demo):
    with pytest.raises(ReidflowError, match=r"reads 'pictures', which is not an input.*per_query"):
        Inputs(demo).named("pictures", job("losses"))


@pytest.mark.parametrize(
    ("own", "path"), [("errors", "analyses/<experiment>/errors.json"), ("other", "figures/<experiment>/rates.png")]
)
def test_an_analysis_that_would_write_the_files_of_another_one_stops(tmp_path, monkeypatch, own, path):
    (tmp_path / f"labof{own}").mkdir()
    declared = "TITLE, INPUTS, FIGURES = 'Mine', (), {'rates': 'Rates'}\napplies = bool\nrun = None\n"
    (tmp_path / f"labof{own}" / f"{own}.py").write_text(declared)
    monkeypatch.syspath_prepend(tmp_path)
    made = plans.make([ROOT / "config/config.yaml"], {"analyses": [f"labof{own}.{own}"]}, root=ROOT)
    with pytest.raises(ReidflowError, match=rf"'labof{own}\.{own}'.* both write {path}"):
        Targets(Files(made), present=bool).all_analyses()


def test_only_the_texts_that_an_analysis_prints_decide_it(demo, monkeypatch):
    described = {}
    monkeypatch.setattr(
        plans.Plan, "experiment_params", lambda plan, name, *texts: described.update({name: texts}) or {}
    )
    for name, analysis in (("augmentation", "augmentation"), ("schedulers", "schedules"), ("losses", "browsing")):
        Params(Inputs(demo)).analysis(load(analysis))(job(name))
    assert described == {"augmentation": ("question", "why"), "schedulers": ("question",), "losses": ()}


def test_runs_on_features_read_features_and_those_on_images_read_images(demo):
    inputs = Inputs(demo)
    heads, images = job("losses", batch=0), job("augmentation", batch=0)
    assert all("/features/" in path for path in inputs.arrays_of_runs(inputs.reported)(heads))
    assert set(inputs.arrays_of_runs(inputs.reported)(images)) == {"results/data/images.npy", "results/data/masks.npy"}
    small = inputs.of_runs(inputs.reported)(heads)
    assert small[:3] == [f"results/data/{name}" for name in ("manifest.parquet", "split.parquet", "split.json")]
    assert all(digest_of(path) in small for path in inputs.arrays_of_runs(inputs.reported)(heads))


def test_a_job_that_runs_a_network_requests_a_gpu_and_one_on_features_none(demo):
    inputs = Inputs(demo)
    requests = Resources(inputs, gpus=1)
    resources = requests.of_runs(inputs.reported)
    heads, images = job("losses", batch=0), job("augmentation", batch=0)
    compute = demo.plan.config.compute
    assert (resources["gpu"](heads), resources["gpu"](images)) == (0, 1)
    assert [resources["mem_mb"](images, attempt) for attempt in (1, 2, 3)] == [
        compute.image_memory_mb * n for n in (1, 2, 4)
    ]
    assert resources["mem_mb"](heads, 1) == compute.memory_mb
    assert Resources(inputs, gpus=0).of_runs(inputs.reported)["gpu"](images) == 0
    assert requests.heads(inputs.reported)(images) is None and requests.scoring(heads) == "heads-losses"
    assert requests.scoring(images) == "scores-augmentation"


def test_a_downloaded_network_has_a_job_of_its_own_that_every_run_with_it_waits_for(demo, jaguar):
    jobs = Session(jaguar.plan, "", [], reporting=False, cluster=False, gpus=1).networks()
    inputs, one = Inputs(jaguar), job("losses", batch=0)
    (description,) = jaguar.networks_of(inputs.reported(one))
    assert jobs[Path(description).stem] == [Path(description).stem]
    assert description in inputs.of_runs(inputs.reported)(one)
    assert [description] in json.loads(Params(inputs).train(one))["downloaded"].values()
    installed = Session(demo.plan, "", [], reporting=False, cluster=False, gpus=1).networks()
    assert list(installed) == ["installed"] and not demo.networks_of(Inputs(demo).reported(one))
    assert not any(json.loads(Params(Inputs(demo)).train(one))["downloaded"].values())


def test_a_search_waits_for_every_worker_of_every_study_and_for_the_study_that_its_budget_is_matched_to(jaguar):
    inputs, name = Inputs(jaguar), "hpo"
    studies = jaguar.plan.experiments[name].studies
    folder = f"results-jaguar/experiments/{name}/search"
    assert inputs.records(job(name)) == [f"{folder}/{study}-0.json" for study in studies]
    assert inputs.workers(job(name)) == [f"{folder}/{study}-1.json" for study in studies]
    assert inputs.matched_record(job(name, study="learning_rate")) == f"{folder}/tpe-0.json"
    assert inputs.matched_record(job(name, study="tpe")) == []
    wanted = Targets(jaguar, present=bool).results_of(name)
    assert {
        f"results-jaguar/tables/{name}.trials.parquet",
        f"results-jaguar/tables/{name}.trials.efficiency.parquet",
    } <= {*wanted}


def test_mirrored_images_are_embedded_where_an_arm_ranks_by_them_alone(demo):
    inputs = Inputs(demo)
    assert inputs.mirrored(job("inference")) == "results/experiments/inference/mirrored.parquet"
    assert inputs.mirrored_arrays(job("inference")) and inputs.mirrored(job("losses")) == []


def test_a_split_of_its_own_is_that_of_the_wildcard(demo):
    params = Params(Inputs(demo))
    assert json.loads(params.split(SimpleNamespace()))["split"] == demo.plan.division["split"]
    name = next(iter(Inputs(demo).other_splits(job("faces")).values()))
    assert json.loads(params.split(SimpleNamespace(split=name)))["split"] == demo.plan.splits()[name]["split"]
    assert json.loads(params.split(SimpleNamespace(split=name)))["split"] != demo.plan.division["split"]


def test_a_run_on_another_split_reads_what_its_choice_of_images_looks_at(demo):
    inputs = Inputs(demo)
    deduplicated = [spec for spec in inputs.all_runs(job("seeds")) if spec.dedup]
    assert deduplicated and {demo.pairs(spec) for spec in deduplicated} <= set(inputs.choosing_files(job("seeds")))
    assert inputs.choosing_files(job("losses")) == inputs.choosing_arrays(job("losses")) == []


def test_a_submission_reads_the_jobs_of_its_runs_and_what_they_rank_by():
    def planned(**given):
        return plans.make([ROOT / "config/config.yaml"], {"compute": {"feature_runs_per_job": 10}, **given}, root=ROOT)

    def submission(**given):
        inputs = Inputs(Files(planned(submission=given)))
        return Submission(inputs, Params(inputs), "raw")

    jobs = planned().training("eda_curation")
    arm, seed, split = jobs[-1][-1]
    last = submission(runs=[{"experiment": "eda_curation", "arm": arm, "seeds": [seed]}])
    assert len(jobs) > 1 and (arm, seed, split) not in jobs[0]
    assert last.read["runs"] == [f"results/experiments/eda_curation/runs/runs-{len(jobs) - 1}.json"]
    mirroring = submission(inference=[{"name": "flip"}])
    mirrored = mirroring.files.mirrored_array(mirroring.specs[0])
    assert mirrored in mirroring.arrays and mirrored not in last.arrays


def test_the_report_shows_what_is_there_and_every_experiment(demo):
    absent = Shown(demo, reporting=True, present=lambda path: False)
    assert type(absent.result("results/a.csv", "Data", ("data", "a"))) is str
    for shown, path in (
        (absent, "results/{experiment}.csv"),
        (Shown(demo, reporting=True, present=lambda path: True), "results/a.csv"),
        (Shown(demo, reporting=False, present=lambda path: False), "results/a.csv"),
    ):
        assert shown.result(path, "Data", ("data", "a")).flags["report"].labels == {"data": "a"}


def test_a_param_holds_what_determines_its_job_and_nothing_else():
    before, after = Params(Inputs(tiny())), Params(Inputs(tiny(title="other", seeds=[0, 1, 2])))
    one = job("tiny_losses", batch=0)
    params = json.loads(before.train(one))
    assert {"arms", "runs", "gallery", "splits", "code", "roots", "results"} <= set(params)
    assert len(json.loads(after.train(one))["runs"]) == len(params["runs"]) / 2 * 3
    assert before.sweep(one) == after.sweep(one), "title and reported seeds decide nothing of what is tried"
    assert before.choose(one) == after.choose(one)
    faster = Params(Inputs(tiny(compute={"workers": 1})))
    assert faster.train(one) == before.train(one) and faster.table(one) == before.table(one)


def test_every_job_that_ranks_depends_on_what_its_ranking_executes():
    """The ranking is imported by computed names: a job whose param lacks its modules ends after all training."""
    own = {"protocol": {"ranking": {"scores": ["embedding", {"matcher": "rootsift"}]}}}
    best = {**own, "candidates": {"experiments": ["losses"]}}
    changes = {"experiments": ["losses", "optimizers", "seeds"], "overrides": {"optimizers": own, "seeds": best}}
    made = Files(plans.make([ROOT / "config/config.yaml"], changes, root=ROOT))
    params = Params(Inputs(made))
    for name, ranks in (
        ("optimizers", params.evaluate),
        ("optimizers", params.strengths),
        ("seeds", params.split_runs),
    ):
        wanted = set(plans.ranking_modules(made.plan.experiments[name]))
        assert {"reidflow.matching.matchers.rootsift", "reidflow.matching.comparisons.lnbnn"} <= wanted
        assert wanted <= set(json.loads(ranks(job(name)))["roots"]), ranks.__name__


def test_a_report_prints_no_params():
    params = Params(Inputs(tiny()), reporting=True)
    assert params.train(job("tiny_losses", batch=0)) == "workflow/scripts/train.py"


def test_targets_are_distinct_and_complete(demo):
    targets = Targets(demo, present=lambda path: True)
    wanted = targets.all_results()
    assert len(wanted) == len(set(wanted))
    for name in demo.plan.experiments:
        assert {f"results/tables/{name}.parquet", f"results/pages/{name}.html"} <= set(wanted)
    assert "results/tables/eda_dedup.methods.parquet" in wanted and "results/figures/eda_dedup/groups.png" in wanted
    assert "results/tables/seeds.best.yaml" in wanted
    assert not any(path.endswith(".svg") for path in wanted)


def test_a_report_leaves_out_an_experiment_of_which_anything_is_missing(capsys):
    gone = "results-tiny/figures/tiny_losses/pareto.svg"
    wanted, left_out = Targets(tiny(), present=lambda path: path != gone).reported()
    assert left_out == ["tiny_losses"] and gone in capsys.readouterr().err
    assert not any("tiny_losses" in path for path in wanted) and "results-tiny/pages/tiny_backbones.html" in wanted


def test_a_damaged_result_counts_as_absent(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("a")
    assert intact(str(file), []) and not intact(str(file), [file]) and not intact(str(tmp_path / "b"), [])


def test_free_text_is_no_markup_in_the_report():
    assert in_rst("a *b*\n|c|_") == r"a \*b\* \|c\|\_"


def test_renders_are_embedded_where_an_experiment_matches_across_sides_alone(demo):
    plan, inputs = demo.plan, Inputs(demo)
    two_sided = plan.two_sided_banks()
    across = plan.experiments["faces_remedies"].arms.values()
    assert {plans.bank_id(plans.tested_bank(arm.spec)) for arm in across if arm.frozen} <= two_sided
    for name in ("eda_backgrounds", "hpo"):
        for arm in plan.experiments[name].arms.values():
            bank = plans.bank_id(plans.trained_bank(arm.spec))
            assert (bank in two_sided) == (bank == plans.bank_id(plan.embedding()))
    assert len(two_sided) < len(plan.banks()) / 2
    for bank in plan.banks():
        given = inputs.bank_manifest(SimpleNamespace(bank=bank))
        assert (given == []) == (bank in two_sided)
        assert json.loads(Params(inputs).features(SimpleNamespace(bank=bank)))["two_sided"] == (bank in two_sided)


def test_where_all_images_are_ranked_all_are_embedded():
    """The sides are matched unless a config leaves one aside; the submission's arm needs all images in any case."""
    plain, aside = tiny().plan, tiny(sides="within").plan
    assert plain.two_sided_banks() >= set(plain.banks())
    baseline = next(iter(aside.experiments.values())).baseline
    assert plans.bank_id(plans.tested_bank(baseline.spec)) in aside.two_sided_banks()


def test_doubtful_labels_are_shown_where_an_experiment_trains_on_frozen_features(demo):
    page = "pages/review.html"
    assert any(path.endswith(page) for path in Targets(demo, lambda path: True).all_results())
    trained = tiny(protocol={"model": {"trainable": {"name": "all"}}}, experiments=["tiny_losses"])
    assert not any(path.endswith(page) for path in Targets(trained, lambda path: True).all_results())
