"""Code, docs, configs and file names use the field's terms: phrases that have a better term occur nowhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BETTER = {
    r"\btold\b": "given, reported; of a difference: not significant; for a variable, what it holds (facts, row, message)",
    r"\bask(?:ed|ing)\b|\bthat asks?\b": "requested, needed; of images: query",
    r"\banew\b": "again, re-, from scratch",
    r"\bhand(?:s|ed)?[ _]in\b": "submit",
    r"\bonce_each\b": "cached",
    r"\bc(?:an ?not|ould(?: not)?) be had\b": "unavailable",
    # A card in an identity's or a data set's name is no GPU.
    r"\bgraphics cards?\b|\ba card\b|\b(?:and|two|more|several|free) cards\b": "GPU",
    r"\bentrants?\b": "candidates",
    r"\bmistakes?\b": "errors",
    r"\bla(?:id|ys?) over\b": "merged into, overrides",
    r"\bstands? twice\b": "is listed twice",
    r"\b(?:and|or) the like\b": "name what is meant, or write: and other ...",
}
READ = (".py", ".md", ".smk", ".yaml", ".j2", ".rst", ".css", ".js", ".html", ".toml")


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """Return file -> lines of the tracked text files, but for this one."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file() and ROOT / name != Path(__file__)]
    assert names
    read = {name for name in names if name.endswith(READ) or name in ("Snakefile", "Makefile")}
    return {name: (ROOT / name).read_text().splitlines() if name in read else [] for name in names}


@pytest.mark.parametrize("phrase", BETTER)
def test_phrases_with_a_better_term_occur_nowhere(texts, phrase):
    found = []
    for name, lines in texts.items():
        if any(re.search(phrase, part, re.IGNORECASE) for part in (name, name.replace("_", " "))):
            found.append(f"{name}: the file's name")
        found += [
            f"{name}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(lines, start=1)
            if re.search(phrase, line, re.IGNORECASE)
        ]
    assert not found, f"better: {BETTER[phrase]}\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("phrase", "line"),
    [
        ("told", "told = provenance(out)"),
        ("card", "test precision and cards.py"),
        ("hand", "What a competitor hands in."),
        ("la(", "the arm's other settings laid over it"),
    ],
)
def test_the_phrases_are_found(phrase, line):
    assert any(re.search(pattern, line) for pattern in BETTER if phrase in pattern)
