"""A target that Snakemake's command line would take for the value of an option: one sentence instead of a traceback.

It happens in Snakemake's own parser, before any Snakefile is read. The only code of the project that runs earlier is the
logger plugin, which that parser imports. Hence this module imports only the standard library.
"""

import sys
from pathlib import Path

PAIRS = frozenset(
    {"--resources", "--res", "--config", "-C", "--default-resources", "--default-res", "--set-resources", "--set-threads"}
)  # fmt: skip
"""Options of Snakemake whose values are KEY=VALUE."""
FILES = frozenset({"--configfile", "--configfiles"})
SUFFIXES = (".yaml", ".yml", ".json")


def swallowed_target(arguments: list[str]) -> str | None:
    """Return what to write instead where an option takes a word that cannot be its value; None where none does.

    arguments: those of the command `snakemake`, without its name.
    """
    option, values = "", 0
    for place, word in enumerate(arguments):
        if word == "--":
            return None
        if word.startswith("-"):
            option, values = (word, 0) if word in PAIRS | FILES else ("", 0)
        elif option and not _fits(option, word) and (values or option in PAIRS):
            corrected = " ".join(["snakemake", *arguments[:place], "--", *arguments[place:]])
            return f"{option} takes every word that follows it, also '{word}'. Put -- before the target: {corrected}"
        else:
            values += 1
    return None


def refuse_swallowed_target() -> None:
    """End the command `snakemake` with one sentence where a `--` before the target was forgotten."""
    command = Path(sys.argv[0])
    if command.name != "snakemake" and command.parts[-2:] != ("snakemake", "__main__.py"):
        return
    sentence = swallowed_target(sys.argv[1:])
    if sentence:
        print(sentence, file=sys.stderr)
        raise SystemExit(1)


def _fits(option: str, word: str) -> bool:
    if option in FILES:
        return word.endswith(SUFFIXES) or Path(word).is_file()
    # Jobs are given such pairs in base64.
    return "=" in word or word.startswith("base64//")
