"""What has been read off the code, kept beside Snakemake's records: every job's processes look at the code again."""

from pathlib import Path

from reidflow.spec import code
from reidflow.store.atomic import write_text

FILE = Path(".snakemake") / "reidflow-code.json"


def recall() -> None:
    """Take what earlier processes have read; nothing is believed of a file that has changed."""
    code.recall(FILE)


def keep() -> None:
    """Note what this process has read; where that cannot be, later ones read it again."""
    told = code.news()
    if told and FILE.parent.is_dir():
        try:
            write_text(FILE, told)
        except OSError:
            return
