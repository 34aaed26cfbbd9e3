"""The command `reidflow`: a config for own images, planning, watching, cleaning up, retrieval and interpretations."""

import argparse
import sys
from pathlib import Path

from reidflow.spec import components, plan, yaml
from reidflow.spec.errors import ReidflowError
from reidflow.store import disk

CONFIGFILE = "--configfile"
DEFAULT = Path("config/config.yaml")
SUFFIXES = (".yaml", ".yml", ".json")


def make_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of the command line, and the parser of each command by name."""
    parser = argparse.ArgumentParser(
        prog="reidflow",
        description="Commands beside the workflow.",
    )
    parser.add_argument(
        "--version", action="version", version=f"reidflow {components.version()}", help="show the version"
    )
    _add_configfile(parser, "files_before")
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "interpretations": "check that each experiment's interpretation fits its table; fails if one does not",
        "stamp": "record in an experiment's file the table that its interpretation was written for",
    }
    for name, text in helps.items():
        commands.add_parser(name, help=text).add_argument("experiments", nargs="*", help="default: all of the config")
    _add_init(commands)
    _add_plan(commands)
    _add_watch(commands)
    _add_gc(commands)
    _add_index(commands)
    _add_retrieve(commands)
    _add_export(commands)
    for name, each in commands.choices.items():
        if name not in WITHOUT_CONFIG:
            _add_configfile(each, "files_after")
    return parser, commands.choices


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 1 where something is wrong."""
    parser, commands = make_parser()
    given = parser.parse_args(one_configfile_each(sys.argv[1:] if arguments is None else arguments, [*commands]))
    try:
        with disk.explained():
            files = [*given.files_before, *getattr(given, "files_after", [])]
            if given.command in WITHOUT_CONFIG:
                if files:
                    raise ReidflowError(f"reidflow {given.command} reads no config: leave {CONFIGFILE} out.")
                return WITHOUT_CONFIG[given.command](given)
            files = files or [default_config()]
            if given.command in WITHOUT_PLAN:
                return WITHOUT_PLAN[given.command](files, given)
            return COMMANDS[given.command](plan.make(files), given)
    except ReidflowError as error:
        print(error, file=sys.stderr)
        return 1


def _add_configfile(parser: argparse.ArgumentParser, dest: str) -> None:
    parser.add_argument(
        CONFIGFILE,
        action="append",
        default=[],
        dest=dest,
        metavar="FILE",
        help="config files, before or after the command, several after one flag; later ones override earlier ones "
        f"(default: {DEFAULT})",
    )


def one_configfile_each(arguments: list[str], commands: list[str]) -> list[str]:
    """Return the arguments with a `--configfile` of its own for each config file.

    As in Snakemake, several files may follow one `--configfile`. A further word is a file where it is named like one, or
    is the path of one; so neither a command nor an experiment is taken for a file.
    """
    found: list[str] = []
    for place, word in enumerate(arguments):
        if word == "--":
            return found + arguments[place:]
        if word == CONFIGFILE:
            files = _following(arguments[place + 1 :], commands)
            rest = one_configfile_each(arguments[place + 1 + len(files) :], commands)
            return [*found, *([f"{CONFIGFILE}={file}" for file in files] or [word]), *rest]
        found.append(word)
    return found


def _following(words: list[str], commands: list[str]) -> list[str]:
    """Return the config files that follow a `--configfile`."""
    found: list[str] = []
    for word in words:
        is_file = word.endswith(SUFFIXES) or Path(word).is_file()
        if word.startswith("-") or word in commands or (found and not is_file):
            break
        found.append(word)
    return found


def default_config() -> str:
    """Return the config of a command that names none. Raises ReidflowError outside a project's folder."""
    if DEFAULT.is_file():
        return str(DEFAULT)
    here, own = Path.cwd(), components.SOURCE_ROOT.parent
    project = next((folder for folder in [*here.parents, own] if (folder / DEFAULT).is_file()), None)
    where = f"cd {project}" if project else "cd to the project's folder"
    raise ReidflowError(f"{here}: no {DEFAULT} in this folder: {where}, or name a config with {CONFIGFILE} FILE.")


def _add_init(commands: argparse._SubParsersAction) -> None:
    found = commands.add_parser("init", help="look at a folder or table of images and write a config that fits it")
    found.add_argument("photos", metavar="PHOTOS", help="folder, or CSV or Parquet table, of the images")
    found.add_argument("--images", metavar="FOLDER", help="folder to which a table's file names are relative")
    found.add_argument("--out", type=Path, metavar="FILE", help="config to write (default: named after PHOTOS)")
    found.add_argument("--force", action="store_true", help="overwrite it")


def _add_plan(commands: argparse._SubParsersAction) -> None:
    planned = commands.add_parser("plan", help="list the jobs that would run, why, and about how long they would take")
    planned.add_argument("experiments", nargs="*", help="default: all of the config")
    planned.add_argument("--cores", help="number of CPU cores, or all (default: the profile's)")
    planned.add_argument("--profile", help="Snakemake profile, such as profiles/slurm (default: profiles/default)")
    planned.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="single keys of the config")
    planned.add_argument("--json", action="store_true", help="print the plan as JSON")
    planned.add_argument("-v", "--verbose", action="store_true", help="list every job")


def _add_watch(commands: argparse._SubParsersAction) -> None:
    shown = commands.add_parser("watch", help="show what is being trained, here or on a cluster")
    shown.add_argument("--once", action="store_true", help="print the state once, as plain text")
    shown.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between two updates (2)")


def _add_gc(commands: argparse._SubParsersAction) -> None:
    gc = commands.add_parser("gc", help="list what the latest runs of the pipeline do not use, or remove it")
    gc.add_argument("--remove", action="store_true", help="remove what is listed")
    gc.add_argument(
        "--hours", type=float, default=12.0, help="keep what was used within so many hours, whoever used it (12)"
    )


def _add_index(commands: argparse._SubParsersAction) -> None:
    index = commands.add_parser("index", help="make a gallery of a folder of images, or bring one up to date")
    index.add_argument(
        "--run",
        action="append",
        required=True,
        help="the finished run that embeds them, as experiment/arm/seed-0; again for each further one beside it",
    )
    index.add_argument("--images", required=True, type=Path, help="folder with the images, at any depth")
    index.add_argument("--out", required=True, type=Path, help="folder of the gallery")
    index.add_argument(
        "--index", default="flat", help="flat (exact), hnsw, ivf_pq, or with parameters: '{name: hnsw, ef_search: 128}'"
    )
    index.add_argument(
        "--false-matches",
        type=float,
        default=0.05,
        metavar="RATE",
        help="of queries of new individuals, the share that may be answered with a known one (0.05)",
    )
    index.add_argument(
        "--rebuild", action="store_true", help="embed all images again, whatever made the gallery before"
    )


def _add_retrieve(commands: argparse._SubParsersAction) -> None:
    retrieve = commands.add_parser("retrieve", help="find the images of a gallery that are most like queries")
    retrieve.add_argument("--gallery", required=True, type=Path, help="folder that `reidflow index` made")
    retrieve.add_argument("--queries", required=True, type=Path, help="folder with images, or one image")
    retrieve.add_argument("-k", type=int, default=10, help="answers to each query (10)")
    retrieve.add_argument(
        "--out", type=Path, help="write the answers to this file instead of showing them: .csv, else JSON"
    )
    retrieve.add_argument(
        "--new",
        action="store_true",
        help="let 'new individual' be an answer in JSON, after the images that count as matches",
    )


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser("export", help="give runs to other tools: all to MLflow, or one as an ONNX file")
    export.add_argument("experiments", nargs="*", help="with --mlflow; default: all that are evaluated")
    target = export.add_mutually_exclusive_group(required=True)
    target.add_argument("--mlflow", metavar="PLACE", help="a folder, or MLflow's tracking URI")
    target.add_argument("--onnx", metavar="RUN", help="the finished run, as experiment/arm/seed-0")
    export.add_argument("--out", type=Path, metavar="FILE", help="with --onnx (experiment-arm-seed-0.onnx)")


def _named(made: plan.Plan, names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in made.experiments]
    if unknown:
        raise ReidflowError(f"no experiment '{unknown[0]}' in {made.where}. Known: {', '.join(made.experiments)}.")
    return names or list(made.experiments)


def _interpretations(made: plan.Plan, given: argparse.Namespace) -> int:
    # No command imports what only another one needs, so that each starts quickly.
    from reidflow.commands.interpretations import check_interpretations

    return check_interpretations(made, _named(made, given.experiments))


def _stamp(made: plan.Plan, given: argparse.Namespace) -> int:
    from reidflow.commands.interpretations import stamp_tables

    return stamp_tables(made, _named(made, given.experiments))


def _index(made: plan.Plan, given: argparse.Namespace) -> int:
    try:
        written = yaml.loads(given.index)
    except ReidflowError as error:
        raise ReidflowError(
            f"--index {given.index}: not a component. Write hnsw, or '{{name: hnsw, m: 16}}'."
        ) from error
    if not isinstance(written, str | dict):
        raise ReidflowError(f"--index {given.index}: not a component. Write hnsw, or '{{name: hnsw, m: 16}}'.")
    index = components.resolve("index", written)
    if not 0 < given.false_matches < 1:
        raise ReidflowError(f"--false-matches {given.false_matches}: must lie between 0 and 1, such as 0.05.")
    # The other commands need neither torch nor faiss, which take seconds to import.
    from reidflow.retrieval.commands import index_images

    index_images(made, given.run, given.images, given.out, index, given.rebuild, given.false_matches)
    return 0


def _init(files: list[str], given: argparse.Namespace) -> int:
    from reidflow.commands.init import init

    init(given.photos, given.images, given.out, files, given.force)
    return 0


def _retrieve(given: argparse.Namespace) -> int:
    if given.k < 1:
        raise ReidflowError(f"-k {given.k}: must be at least 1.")
    from reidflow.retrieval.commands import retrieve

    retrieve(given.gallery, given.queries, given.k, given.out, given.new)
    return 0


def _export(made: plan.Plan, given: argparse.Namespace) -> int:
    if given.onnx and given.experiments:
        raise ReidflowError(f"--onnx exports one run: remove '{given.experiments[0]}', or write --mlflow.")
    if given.mlflow and given.out:
        raise ReidflowError("--out belongs to --onnx; --mlflow names its place itself.")
    if given.mlflow:
        from reidflow.export.mlflow import export_experiments

        _named(made, given.experiments)
        export_experiments(made, given.experiments, given.mlflow)
    else:
        from reidflow.export.onnx import export_onnx

        export_onnx(made, given.onnx, given.out)
    return 0


def _plan(files: list[str], given: argparse.Namespace) -> int:
    from reidflow.commands.plan import print_plan
    from reidflow.commands.plan_dag import Request

    request = Request(files, given.experiments, given.cores, given.profile, given.config)
    return print_plan(request, given.json, given.verbose)


def _watch(made: plan.Plan, given: argparse.Namespace) -> int:
    if not given.interval > 0:
        raise ReidflowError(f"--interval {given.interval}: give a number of seconds above 0.")
    from reidflow.commands.watch import watch

    return watch(made, given.once, given.interval)


def _gc(files: list[str], given: argparse.Namespace) -> int:
    from reidflow.commands.gc import collect

    return collect(files, given.hours, given.remove)


WITHOUT_CONFIG = {"retrieve": _retrieve}
# The Snakefile, which these read, makes the plan itself.
WITHOUT_PLAN = {"plan": _plan, "gc": _gc, "init": _init}
COMMANDS = {
    "interpretations": _interpretations,
    "stamp": _stamp,
    "index": _index,
    "export": _export,
    "watch": _watch,
}


if __name__ == "__main__":
    sys.exit(main())
