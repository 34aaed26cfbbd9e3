"""Where results may be written: below the working folder, away from the photographs and from the project's own files."""

from pathlib import Path

from reidflow.spec.config import Config
from reidflow.spec.errors import Problems

OWN = {"benchmarks", "config", "docs", "envs", "profiles", "rules", "src", "tests", "workflow"}


def check_results(config: Config, where: str, problems: Problems) -> None:
    """Note where the results folder holds the photographs, lies among them, or is one of the project's own folders."""
    place = f"{where}, key 'results'"
    results = Path(config.results)
    if results.parts[0] in OWN:
        problems.add(place, f"'{results.parts[0]}' is a folder of the project itself.", "Write e.g. results: results.")
    if results.is_file():
        problems.add(place, f"'{results}' is a file.", "Name a folder, or one that does not exist yet.")
    data = _data(config)
    if data is None:
        return
    ours, theirs = results.resolve(), data.resolve()
    if ours == theirs or theirs.is_relative_to(ours):
        problems.add(
            place,
            f"the folder '{results}' holds the photographs ('{data}').",
            "Results are written and removed there: give them a folder of their own.",
        )
    elif ours.is_relative_to(theirs):
        problems.add(
            place,
            f"the folder '{results}' lies in that of the photographs ('{data}').",
            "What is written there would become part of the data: move one of them, or give 'images' beside a table.",
        )


def _data(config: Config) -> Path | None:
    """Return the folder of the data set; None where its source has none, or where it cannot be looked at."""
    source = config.dataset.source
    given = source.get("path")
    if not given or source["name"] == "demo":
        return None
    try:
        path = Path(given).expanduser()
        if path.is_file():
            path = Path(source["images"]).expanduser() if source.get("images") else path.parent
        path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None
    return path
