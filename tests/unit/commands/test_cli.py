"""The command line: config files as Snakemake takes them, the version, and where to go from outside a project."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reidflow import cli
from reidflow.workflow.command_line import refuse_swallowed_target, swallowed_target

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("given", "files", "rest"),
    [
        ("--configfile a.yaml plan losses", ["a.yaml"], {"experiments": ["losses"]}),
        ("--configfile a.yaml b.yaml plan losses", ["a.yaml", "b.yaml"], {"experiments": ["losses"]}),
        ("plan --configfile a.yaml b.json losses", ["a.yaml", "b.json"], {"experiments": ["losses"]}),
        ("plan losses --configfile a.yaml b.yml", ["a.yaml", "b.yml"], {"experiments": ["losses"]}),
        ("--configfile a plan --configfile=b.yaml -v --configfile c", ["a", "b.yaml", "c"], {"verbose": True}),
        ("plan --config x=1 --configfile a.yaml losses", ["a.yaml"], {"config": ["x=1"], "experiments": ["losses"]}),
        ("gc --configfile a.yaml --remove", ["a.yaml"], {"remove": True}),
        ("gc", None, {"remove": False}),
    ],
)
def test_config_files_may_stand_anywhere_and_several_after_one_flag(given, files, rest, monkeypatch):
    seen = []
    for table in (cli.COMMANDS, cli.WITHOUT_PLAN):
        for name in table:
            monkeypatch.setitem(table, name, lambda *found: seen.append(found) or 0)
    monkeypatch.chdir(ROOT)
    assert cli.main(given.split()) == 0
    assert seen[0][0] == (files or ["config/config.yaml"])
    assert {key: getattr(seen[0][1], key) for key in rest} == rest


def test_a_command_is_never_taken_for_a_config_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plan").write_text("")
    for given in ("--configfile plan", "plan --configfile", "plan --configfile --json"):
        with pytest.raises(SystemExit, match="2"):
            cli.main(given.split())
    assert cli.one_configfile_each(["plan", "--", "--configfile", "a", "b.yaml"], ["plan"])[1:] == [
        "--", "--configfile", "a", "b.yaml"
    ]  # fmt: skip


def test_every_command_takes_config_files_after_it_except_those_that_read_none(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    needed = {"index": ["--run", "r", "--images", "i", "--out", "o"], "init": ["photos"]}
    needed["export"] = ["--onnx", "run"]
    for name in [*cli.COMMANDS, *cli.WITHOUT_PLAN]:
        assert cli.main([name, *needed.get(name, []), "--configfile", "nowhere.yaml", "other.yaml"]) == 1
        assert "nowhere.yaml: there is no such file" in capsys.readouterr().err, name
    for name in cli.WITHOUT_CONFIG:
        assert cli.main(["--configfile", "a.yaml", name, "--gallery", "g", "--queries", "q"]) == 1
        assert "reads no config" in capsys.readouterr().err


def test_outside_a_project_one_sentence_says_where_to_go(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ["plan", "watch", "gc", "stamp"]:
        assert cli.main([name]) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"cd {ROOT}, or name a config" in said
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert cli.main(["plan"]) == 1 and f"cd {tmp_path}, or name" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and re.fullmatch(r"reidflow \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("given", "corrected"),
    [
        ("--resources gpu=1 all_tables", "--resources gpu=1 -- all_tables"),
        ("--cores 2 --res gpu=1 mem_mb=9 all_tables -n", "--cores 2 --res gpu=1 mem_mb=9 -- all_tables -n"),
        ("--config title=x results/a.png", "--config title=x -- results/a.png"),
        ("--configfile a.yaml b.yaml all_tables", "--configfile a.yaml b.yaml -- all_tables"),
    ],
)
def test_a_forgotten_dash_before_a_target_is_explained(given, corrected):
    said = swallowed_target(given.split())
    assert said.endswith(f"snakemake {corrected}") and "\n" not in said


@pytest.mark.parametrize(
    "given",
    [
        "--cores 2 --resources gpu=1 -- all_tables",
        "all_tables --resources gpu=1",
        "--resources gpu=1 --cores 2 all_tables",
        "--resources=gpu=1 all_tables",
        "--configfile a.yaml -- all_tables",
        "--default-resources base64//dG1wZGlyPTE --config a=1 -- x",
        "-n all_tables",
    ],
)
def test_correct_commands_are_left_alone(given, monkeypatch):
    assert swallowed_target(given.split()) is None
    monkeypatch.setattr("sys.argv", ["/bin/snakemake", *given.split()])
    refuse_swallowed_target()


def test_only_snakemake_itself_is_ended(monkeypatch, capsys):
    arguments = ["--resources", "gpu=1", "all_tables"]
    monkeypatch.setattr("sys.argv", ["/bin/other", *arguments])
    refuse_swallowed_target()
    monkeypatch.setattr("sys.argv", ["/bin/snakemake", *arguments])
    with pytest.raises(SystemExit, match="1"):
        refuse_swallowed_target()
    assert capsys.readouterr().err.count("\n") == 1


def test_snakemake_says_it_before_it_fails_with_a_traceback(tmp_path):
    """The hook is in the logger plugin, which Snakemake's command line imports before it reads its arguments."""
    command = [sys.executable, "-m", "snakemake", "--resources", "gpu=1", "all_tables"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [swallowed_target(command[3:])]
