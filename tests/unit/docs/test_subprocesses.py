"""No test can hang: every process that one starts has a time limit."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[2]
STARTS = {"run", "check_call", "check_output", "call"}
WAITS = {"wait", "communicate"}


def unlimited(source: str) -> list[int]:
    """Return the lines of calls that start a process, or wait for one, without a time limit."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            starts = isinstance(owner, ast.Name) and owner.id == "subprocess" and node.func.attr in STARTS
            waits = node.func.attr in WAITS and not node.args
            if (starts or waits) and not any(keyword.arg in ("timeout", None) for keyword in node.keywords):
                found.append(node.lineno)
    return found


def test_every_subprocess_has_a_timeout():
    found = [f"{path}:{line}" for path in sorted(TESTS.rglob("*.py")) for line in unlimited(path.read_text())]
    assert not found, f"add a timeout: {found}"


def test_a_call_without_one_is_seen():
    assert unlimited(
        "import subprocess\nsubprocess.run(['a'])\nsubprocess.run(['a'], timeout=1)\np.wait()\np.wait(3)\n"
    ) == [2, 4]
