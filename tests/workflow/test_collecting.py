"""`reidflow gc` after a real run: exactly the runs of a former arm go, and nothing has to run again."""

import subprocess
import sys

LOSSES = "tiny_losses"
YAML = f"config/experiments/{LOSSES}.yaml"
TABLE = f"results-tiny/tables/{LOSSES}.parquet"


def reidflow(project, *arguments):
    """Run the command of the copy and return what it says."""
    command = [sys.executable, "-m", "reidflow.cli", "--configfile", project.config, *arguments]
    environment = {**project.environment, "PYTHONPATH": str(project.folder / "src")}
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stored(project):
    return {path.name for path in (project.results / ".store" / "runs").glob("*/*")}


def test_exactly_the_runs_of_a_changed_arm_are_removed_and_nothing_is_done_again(tiny, tmp_path):
    project = tiny.copy(tmp_path / "copy")
    first = stored(project)
    project.edit(YAML, "{name: arcface}", "{name: arcface, margin: 0.4}")
    changed = project.run("--", TABLE)
    assert changed.status == 0 and len(changed.trained) == 4, changed.text
    gone = {line["key"] for line in tiny.outcome.trained if line["loss"] == "arcface"}
    assert "Unused: nothing" in reidflow(project, "gc"), "what was used in the last hours is kept"
    said = reidflow(project, "gc", "--remove", "--hours", "0")
    assert "Unused: 4 runs" in said and "tiny_losses/arcface: arcface, seed" in said
    assert stored(project) == (first - gone) | {line["key"] for line in changed.trained}
    again = project.run("-n", "--", TABLE)
    assert again.status == 0 and "Nothing to be done" in again.text, again.text
    assert "16 of 16 runs are done. Nothing is running." in reidflow(project, "watch", "--once")
