"""Pages of the documentation's site that are files elsewhere in the project. Run by MkDocs (`hooks` in mkdocs.yml)."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "index.md": "README.md",
    "config.md": "config/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page -> file, relative to the project."""
LINK = re.compile(r"(\]\()([\w./-]+)(#[\w-]+)?(\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for page, name in PAGES.items():
        text = relinked((ROOT / name).read_text(), posixpath.dirname(name))
        files.append(File.generated(config, page, content=text))
    return files


def relinked(text: str, folder: str) -> str:
    """Return a page of a folder of the project with its links to files as the site has them."""
    page_of = {name: page for page, name in PAGES.items()}

    def target(match: re.Match) -> str:
        name = posixpath.normpath(posixpath.join(folder, match[2]))
        page = page_of.get(name, name.removeprefix("docs/"))
        return f"{match[1]}{page}{match[3] or ''}{match[4]}"

    return LINK.sub(target, text)
