"""Optional packages: the extras of pyproject.toml."""


def install(extra: str) -> str:
    """Return the command that installs an extra where this package is used from its folder."""
    return f".venv/bin/pip install -e '.[{extra}]'"
