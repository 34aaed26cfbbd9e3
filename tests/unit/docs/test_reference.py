"""No part is undocumented: commands, config keys, components and analyses have their lines, pages have their place in the site."""

import argparse
import ast
import json
import re
from pathlib import Path

import pytest

from reidflow import cli
from reidflow.commands import reference
from reidflow.spec import plan, yaml
from reidflow.spec.components import KINDS
from reidflow.spec.errors import ReidflowError

ROOT = Path(__file__).parents[3]


def page(name: str) -> str:
    return (ROOT / name).read_text()


def sections(text: str, level: int) -> dict[str, str]:
    """Return heading -> text below it, of the headings of one level."""
    parts = re.split(rf"^{'#' * level} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_component_folder_has_a_sentence_and_its_parameters(kind):
    package, verb = KINDS[kind]
    shown = sections(sections(page("docs/components.md"), 2)[kind], 3)
    files = {p.stem: p for p in (ROOT / "src").joinpath(*package.split(".")).glob("*.py") if p.stem[0] != "_"}
    assert set(shown) == set(files)
    for name, text in shown.items():
        assert len(text.strip().splitlines()[0].split()) > 2, name
        signature = re.search(rf"^def {verb}\((.*?)\) ->", files[name].read_text(), re.MULTILINE | re.DOTALL)[1]
        keyword_only = signature.partition("*,")[2]
        missing = [
            key
            for key in re.findall(r"^\s*(\w+):|[,(] (\w+):", keyword_only, re.MULTILINE)
            if not any(f"{part}:" in text for part in key if part)
        ]
        assert not missing, f"{kind} {name}: {missing}"


def test_every_command_and_each_of_its_options_has_a_line():
    shown = sections(page("docs/commands.md"), 2)
    parser, commands = cli.make_parser()
    listed = re.search(r"\{([\w,-]+)\}", parser.format_help())[1].split(",")
    assert {f"reidflow {name}" for name in listed} == {name for name in shown if name.startswith("reidflow ")}
    for name in listed:
        options = set(re.findall(r"^  (-{1,2}[\w-]+)", commands[name].format_help(), re.MULTILINE)) - {"-h"}
        rows = re.findall(r"^\| `([^`]+)` \| (\S.*) \|$", shown[f"reidflow {name}"], re.MULTILINE)
        assert options <= {part.split()[0] for row, _ in rows for part in row.split(", ")}, name


def test_a_command_without_help_is_refused():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quietly")
    with pytest.raises(ReidflowError, match="--quietly has no description"):
        reference._options(parser, "reidflow")


def test_every_target_of_make_has_a_line():
    targets = set(re.search(r"^\.PHONY: (.*)$", page("Makefile"), re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^\| `make ([\w-]+)` \| \S", page("docs/commands.md"), re.MULTILINE))


def keys(schema: dict, definitions: dict, prefix: str = "", above: tuple[str, ...] = ()) -> set[str]:
    """Return the dotted keys of a JSON schema, `[]` for entries of a list and `*` for free names."""
    if "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        return set() if name in above else keys(definitions[name], definitions, prefix, (*above, name))
    found = set()
    for name, below in schema.get("properties", {}).items():
        found |= {f"{prefix}{name}"} | keys(below, definitions, f"{prefix}{name}.", above)
    for choice in [each for kind in ("anyOf", "oneOf", "allOf") for each in schema.get(kind, [])]:
        found |= keys(choice, definitions, prefix, above)
    if isinstance(schema.get("items"), dict):
        found |= keys(schema["items"], definitions, f"{prefix[:-1]}[].", above)
    for below in [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]:
        if isinstance(below, dict):
            found |= keys(below, definitions, f"{prefix}*.", above)
    return found


@pytest.mark.parametrize(("schema", "heading"), [("schema", "config"), ("experiment.schema", "experiment")])
def test_every_key_of_configs_and_experiments_has_a_meaning(schema, heading):
    content = json.loads(page(f"config/{schema}.json"))
    text = re.search(rf"<!-- keys: {heading} .*?<!-- end of keys -->", page("config/README.md"), re.DOTALL)[0]
    rows = re.findall(r"^\| `([^`]+)` \| .* \| .* \| (\S.*) \|$", text, re.MULTILINE)
    expected = keys(content, content["$defs"])
    assert len(expected) > 30
    assert expected == {name for name, _ in rows}


def test_every_analysis_has_its_sentence_and_its_tables_and_figures():
    shown = sections(page("docs/analyses.md"), 2)
    folders = {path.parent.name: path for path in (ROOT / "src/reidflow/analyses").glob("*/__init__.py")}
    assert set(shown) == set(folders)
    for name, path in folders.items():
        assert " Applies where " in shown[name]
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and node.targets[0].id in ("TABLES", "FIGURES", "SHEETS", "FILES"):
                entries = ast.literal_eval(node.value)
                assert [e for e in entries if not re.search(rf"[`.]{e}(?:\.parquet)?`", shown[name])] == [], name


def test_every_page_of_the_docs_is_in_the_navigation_of_the_site():
    def pages(entry) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for below in (entry.values() if isinstance(entry, dict) else entry) for page in pages(below)]

    hook = re.findall(r'^    "([\w./-]+\.md)": "([\w./-]+)",$', page("docs/site.py"), re.MULTILINE)
    assert all((ROOT / file).is_file() for _, file in hook)
    expected = [path.name for path in (ROOT / "docs").glob("*.md")] + [name for name, _ in hook]
    assert sorted(pages(yaml.loads(page("mkdocs.yml"))["nav"])) == sorted(expected)


def test_the_submission_of_the_jaguar_page_is_one_that_the_config_allows():
    text = re.search(r"```yaml\n(# best.yaml.*?)```", page("docs/jaguar.md"), re.DOTALL)[1]
    made = plan.make([ROOT / "config/jaguar.yaml"], yaml.loads(text), root=ROOT)
    assert len(made.config.submission.runs) == 2
