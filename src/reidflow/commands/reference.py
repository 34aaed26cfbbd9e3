"""Reference pages of the docs: every command with its options, every component with its parameters, every analysis."""

import argparse
import ast
import json
import re
from collections.abc import Iterable
from inspect import cleandoc, getdoc

from reidflow import cli
from reidflow.analyses import analysis
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError

ROOT = components.SOURCE_ROOT.parent
NOTE = "<!-- Generated from {source} by `make generated`; edit those. -->\n"


def pages() -> dict[str, str]:
    """Return path -> content of the reference pages. Raises ReidflowError for what has no description."""
    return {
        "docs/commands.md": _page("Commands", "src/reidflow/cli.py and the Makefile", _commands()),
        "docs/components.md": _page("Components", "the docstrings of the components", _components()),
        "docs/analyses.md": _page("Analyses", "src/reidflow/analyses", _analyses()),
    }


def _page(title: str, source: str, parts: Iterable[str]) -> str:
    return "\n".join([NOTE.format(source=source), f"# {title}\n", *parts])


def _table(headings: list[str], rows: Iterable[list[str]]) -> str:
    cells = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _described(text: str | None, what: str) -> str:
    if not text or not text.strip():
        raise ReidflowError(f"{what} has no description. Write one where it is declared.")
    return " ".join(text.split())


def _commands() -> Iterable[str]:
    parser, commands = cli.make_parser()
    yield "`make` and `snakemake` make results; `reidflow` does what is beside the workflow. All run inside `.venv`.\n"
    yield "## make\n"
    targets = re.findall(r"^([a-z-]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    yield _table(["target", ""], [[f"`make {name}`", text] for name, text in targets])
    yield "## reidflow\n"
    yield _table(["option", ""], _options(parser, "reidflow"))
    for name, command in commands.items():
        help_of = {action.dest: action.help for action in _choices(parser)}
        yield f"## reidflow {name}\n"
        yield f"{_sentence(_described(help_of.get(name), f'reidflow {name}'))}\n"
        if rows := _options(command, f"reidflow {name}"):
            yield _table(["argument", ""], rows)


def _choices(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the entries of a parser's commands, which hold their help."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return [entry for action in found for entry in action._get_subactions()]


def _options(parser: argparse.ArgumentParser, command: str) -> list[list[str]]:
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        name = ", ".join(action.option_strings) or action.dest
        value = "" if action.nargs == 0 or not action.option_strings else f" {action.metavar or action.dest.upper()}"
        needed = "; required" if action.required and action.option_strings else ""
        rows.append([f"`{name}{value}`", f"{_described(action.help, f'{command} {name}')}{needed}"])
    return rows


def _components() -> Iterable[str]:
    yield (
        "What a config may name, by kind: `{name: ..., parameters}`, or the name alone. "
        "[Experiments, losses, analyses and other components](extending.md) says how to add one.\n"
    )
    for kind, (package, verb) in components.KINDS.items():
        folder = package.replace(".", "/")
        yield f"## {kind}\n"
        yield f"Files of `src/{folder}/`.\n"
        for name in components.names(kind):
            tree = ast.parse((components.SOURCE_ROOT / folder / f"{name}.py").read_text())
            function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == verb)
            yield f"### {name}\n"
            yield f"{_described(ast.get_docstring(tree), f'{kind} {name}')}\n"
            yield f"```text\n{_written(kind, name)}\n\n{cleandoc(ast.get_docstring(function) or '')}\n```\n"


def _written(kind: str, name: str) -> str:
    """Return a component as a config may write it, with all defaults; the type of what it needs."""
    given = components.parameters(kind, name)
    values = (f"{key}: {type_ if needed else json.dumps(value)}" for key, (type_, needed, value) in given.items())
    return f"{{{', '.join([f'name: {name}', *values])}}}"


def _analyses() -> Iterable[str]:
    yield (
        "Each applies by itself to the experiments that its condition names, and adds tables, sections of the findings and "
        "figures. [Your own](extending.md#an-analysis) are listed in the config.\n"
    )
    for each in map(analysis.load, analysis.shipped()):
        condition = _described(getdoc(each.module.applies), f"the analysis {each.key}: applies")
        named = {
            "reads": [f"`{name}`" for name in each.inputs],
            "tables": [f"`tables/<experiment>.{name}.parquet`" for name in each.tables],
            "figures": [f"{title} (`{name}`)" for name, title in {**each.figures, **each.sheets}.items()],
            "files": [f"`tables/<experiment>.{name}`" for name in each.files],
        }
        yield f"## {each.name}\n"
        what, where = (
            _described(each.module.__doc__, f"the analysis {each.key}"),
            condition.removeprefix("Return whether "),
        )
        yield f"{what} Applies where {where}\n"
        yield "".join(f"- {what}: {', '.join(names)}\n" for what, names in named.items() if names)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
