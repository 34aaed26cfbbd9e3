"""The index of the results: every experiment with its question, answer and state; and the leaderboard that sorts.

Both have the look of the experiments' pages. The index is written by the main process while jobs run; it imports neither
torch nor matplotlib.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from reidflow.pages.page import HELD, script_digest, styles
from reidflow.spec import code
from reidflow.store.atomic import write_text
from reidflow.tables.layout import Block
from reidflow.tables.sections import render
from reidflow.tables.text import number, plural

FOLDER = Path(__file__).parent
RELOAD = 10  # seconds after which an unfinished index loads itself again
STATES = ("done", "stale interpretation", "running", "waiting", "failed", "not finished", "not made")
LINKED = ("leaderboard", "review")
"""Pages of all experiments together, to which the index links where they are there."""
FILES = {
    "page": "pages/{}.html",
    "findings": "tables/{}.findings.md",
    "table (CSV)": "tables/{}.csv",
    "table (Parquet)": "tables/{}.parquet",
}


@dataclass(frozen=True)
class Entry:
    """An experiment in the index. state: done, running, waiting, failed, 'not finished' or 'not made'."""

    name: str
    question: str
    state: str


def write_index(results: Path, title: str, subtitle: str, entries: Sequence[Entry], doing: str) -> None:
    """Write results/index.html, whose links lead to what is there now.

    doing: what is going on, in a sentence; while something is, the index loads itself again and says when it was written.
    """
    shown = [_shown(results, entry) for entry in entries]
    counts = {state: sum(entry["state"] == state for entry in shown) for state in STATES}
    page = _page(
        f"{title}: all experiments",
        subtitle,
        entries=shown,
        data=data_notes(results),
        summary=", ".join(f"{count} {state}" for state, count in counts.items() if count),
        doing=doing,
        written=int(time.time()) if doing else None,
        reload=RELOAD,
        **{name: f"pages/{name}.html" for name in LINKED if (results / "pages" / f"{name}.html").exists()},
    )
    write_text(results / "index.html", page)


def _shown(results: Path, entry: Entry) -> dict[str, Any]:
    """Return an experiment as the template takes it."""
    answer = read_answer(results, entry.name)
    stale = entry.state == "done" and answer.get("interpretation") == "stale"
    links = {name: path.format(entry.name) for name, path in FILES.items()}
    return {
        "name": entry.name,
        "question": entry.question,
        "state": "stale interpretation" if stale else entry.state,
        "answer": Markup(MarkdownIt("commonmark", {"html": False}).disable("image").render(answer.get("answer") or "")),
        "held": HELD.get(answer.get("held"), ""),
        "best": _best(answer.get("best")),
        "links": {name: path for name, path in links.items() if (results / path).exists()},
    }


def _best(best: dict[str, Any] | None) -> dict[str, str] | None:
    if not best:
        return None
    others = len(best.get("ties") or [])
    ties = f"{plural(others, 'other arm')} {'ties' if others == 1 else 'tie'} with it" if others else ""
    return {"arm": best["arm"], "score": number(best.get("id_map")), "ties": ties}


def read_answer(results: Path, experiment: str) -> dict[str, Any]:
    """Return the answer of an experiment; {} where there is none yet."""
    return _content(results / "experiments" / experiment / "answer.json")


def data_notes(results: Path) -> list[str]:
    """Return sentences on the images: how many there are, what ingest noted, and what straddles roles; [] where none is known."""
    images, joined, audit = (_content(results / "data" / f"{name}.json") for name in ("images", "groups", "audit"))
    if not images:
        return []
    left_out = {reason.replace("_", " "): count for reason, count in images.get("quarantined", {}).items()}
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    unusable = f"; {sum(left_out.values())} cannot be used ({reasons}; see data/quarantine.parquet)" if left_out else ""
    notes = [f"{plural(images['count'], 'image')}{unusable}.", *images.get("notes", [])]
    notes += filter(None, [joined.get("note")])
    straddling = [
        f"{key.removeprefix('straddling_').replace('_', ' ')} ({found})"
        for key, found in audit.items()
        if key.startswith("straddling_") and isinstance(found, int) and found
    ]
    if audit.get("leaks"):
        notes.append(f"WARNING: the split leaks. In several roles are {', '.join(straddling)}; see data/audit.json.")
    return notes


def _content(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; {} where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def first_sentence(answer: str) -> str:
    """Return the first sentence of an answer in Markdown, as plain text."""
    text = re.sub(r"\\([^\w\s]|_)|\*\*|`", r"\1", " ".join(answer.split()))
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def write_leaderboard(
    title: str, subtitle: str, note: str, groups: Sequence[tuple[Block, Sequence[str]]], pages: Sequence[str], out: Path
) -> None:
    """Write the leaderboard as a page whose tables sort.

    note: what the ranks mean. groups: tables of rows that can be ranked together, each with the sentences below it. pages:
    experiments whose names lead to their pages.
    """
    tables = [
        {
            "title": block.title,
            "heads": list(zip(block.headings, block.meanings, strict=True)),
            "rows": block.rows,
            "notes": sentences,
        }
        for block, sentences in groups
    ]
    write_text(out, _page(title, subtitle, note=note, tables=tables, pages=set(pages)))


def _page(title: str, subtitle: str, **content: Any) -> str:
    script = code.read_data(FOLDER / ("page.js" if "tables" in content else "index.js"))
    return render(
        FOLDER / "index.html.j2",
        title=title,
        subtitle=subtitle,
        script=Markup(script),
        policy=script_digest(script),
        style=Markup(styles()),
        **{
            "entries": [],
            "data": [],
            "tables": [],
            "note": "",
            "doing": "",
            "written": None,
            **dict.fromkeys(LINKED, ""),
            **content,
        },
    )
