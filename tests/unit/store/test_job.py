"""A job publishes all of its outputs or none, and none over those of a newer invocation or from other code."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from reidflow.spec import code
from reidflow.spec.errors import ReidflowError
from reidflow.store import digests, invocation, published
from reidflow.store import job as jobs
from reidflow.store.locks import hold

ROOTS = ["workflow/scripts/choose.py"]
OUTPUTS = {"table": "results/tables/losses.parquet", "text": "results/tables/losses.md"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "_USED", {})
    monkeypatch.setenv(invocation.GENERATION, "current")
    # Other tests have imported more into this process than the script would.
    monkeypatch.setattr(code, "unseen", lambda *roots: [])
    invocation.generation_file(Path("results")).parent.mkdir()
    invocation.generation_file(Path("results")).write_text("current")
    return tmp_path


def snakemake(**given):
    param = {"results": "results", "roots": ROOTS, "code": code.digest(*ROOTS), **given}
    return SimpleNamespace(
        params=SimpleNamespace(job=json.dumps(param)),
        config={"compute": {}},
        threads=1,
        input={},
        output=OUTPUTS,
        log=["results/logs/table/losses.log"],
    )


def write_both(job):
    job.out.table.write_text("numbers")
    job.out.text.write_text("words")


def run(main, **given):
    jobs._run(main, jobs.Job(snakemake(**given)))


def there():
    return sorted(path.name for path in Path("results/tables").glob("*")) if Path("results/tables").exists() else []


def test_outputs_appear_together_and_are_on_the_ledger_with_what_the_job_used():
    def main(job):
        write_both(job)
        assert not any(map(os.path.exists, OUTPUTS.values())), "nothing is there before the end"
        published.note_use(published.RUNS, "ab" * 16)

    run(main, raw="f" * 64)
    assert there() == ["losses.md", "losses.parquet"]
    (entry,) = published.entries(Path("results")).values()
    assert entry.files.keys() == set(OUTPUTS.values())
    assert entry.uses == {
        published.RUNS: ["ab" * 16],
        digests.CODE: [f"{code.digest(*ROOTS)}.json.gz"],
        digests.IMAGES: [f"{'f' * 32}.json.gz"],
    }
    Path(OUTPUTS["text"]).write_text("edited")
    assert published.damaged(Path("results")) == [Path(OUTPUTS["text"])]


def test_a_job_that_fails_or_misses_an_output_publishes_nothing_and_leaves_nothing():
    def half(job):
        job.out.table.write_text("numbers")

    def fails(job):
        write_both(job)
        raise RuntimeError

    with pytest.raises(ReidflowError, match=r"did not write results/tables/losses\.md"):
        run(half)
    with pytest.raises(RuntimeError):
        run(fails)
    assert there() == []


def test_a_job_of_an_older_invocation_does_not_publish():
    def overtaken(job):
        write_both(job)
        invocation.generation_file(Path("results")).write_text("newer")

    with pytest.raises(ReidflowError, match="a newer run of the pipeline owns"):
        run(overtaken)
    assert there() == [] and not published.entries(Path("results"))


def test_a_job_whose_code_is_not_that_of_the_plan_does_not_start():
    with pytest.raises(ReidflowError, match="the code changed after planning"):
        run(lambda job: pytest.fail("it started"), code="0" * 16)


def test_code_that_the_digest_does_not_cover_is_refused(monkeypatch):
    monkeypatch.setattr(code, "unseen", lambda *roots: ["reidflow/hidden.py"])
    with pytest.raises(ReidflowError, match=r"imported but not in the code digest: .*hidden"):
        run(write_both)
    assert there() == []


def test_a_job_holds_the_lock_of_its_ledger_entry():
    lock = Path("results/.store/locks") / published.entry_name(OUTPUTS.values())

    def main(job):
        with pytest.raises(ReidflowError):
            hold(lock)
        write_both(job)

    run(main)
    os.close(hold(lock))


def test_an_error_of_the_user_is_logged_without_a_traceback_and_another_with_one(monkeypatch):
    monkeypatch.setattr(jobs, "die_with_main", lambda: None)
    monkeypatch.setattr(jobs, "die_with_parent", lambda: None)

    def log_of(error):
        def main(job):
            raise error

        with pytest.raises(SystemExit):
            jobs.run(main, snakemake())
        return Path("results/logs/table/losses.log").read_text()

    assert log_of(ReidflowError("column 'x' is missing")) == "\nERROR: column 'x' is missing\n"
    assert "Traceback" in log_of(KeyError("x"))
