"""Unknown networks are found while planning: names are read from timm's and open_clip's files, neither is imported."""

import difflib
import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reidflow.spec.mbconv import wrong_blocks

LIBRARIES = ("timm", "open_clip")
HUBS = ("hf-hub", "hf_hub")


def unknown_network(backbone: dict[str, Any]) -> str | None:
    """Return what is wrong with the network of a resolved backbone: its name, or its blocks; None where nothing shows.

    A network of a hub is named by an address, a component of the user's own knows its names alone. Addresses of folders
    are refused: both libraries would load what is there.
    """
    if backbone["name"] == "mbconv":
        return wrong_blocks(backbone)
    if backbone.get("vision") is not None:
        return None  # a custom tower of open_clip, whose `model` is a display name
    model = backbone.get("model", "")
    address = model.split(":")[0] if backbone["name"] in LIBRARIES and ":" in model else ""
    if address not in ("", *HUBS):
        return (
            f"'{model}' names weights in a file, which are not read: results would not follow a change of it, and a "
            ".pt or .pth file may hold more than weights. Name a model of the library or of the hub (hf-hub:...), or write "
            "a backbone of your own that reads safetensors."
        )
    found = {"timm": _timm, "open_clip": _open_clip}.get(backbone["name"], frozenset)()
    name = model.split(".")[0] if backbone["name"] == "timm" else model
    if not found or ":" in model or name in found:
        return None
    close = difflib.get_close_matches(name, sorted(found), n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"{backbone['name']} has no model '{name}'.{hint}"


@lru_cache(None)
def _timm() -> frozenset[str]:
    """Return the names of all networks of the installed timm, those of former versions included."""
    names: set[str] = set()
    for path in sorted(_folder("timm", "models").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        # Splitting takes a tenth of the time of a search by a regular expression, and every command does it.
        names.update(part[: part.find("(")] for part in text.split("\n@register_model\ndef ")[1:])
        _, _, former = text.partition("register_model_deprecations(")
        names.update(re.findall(r"^\s+'(\w+)'\s*:", former, re.MULTILINE))
    return frozenset(names)


@lru_cache(None)
def _open_clip() -> frozenset[str]:
    return frozenset(path.stem for path in _folder("open_clip", "model_configs").glob("*.json"))


def _folder(package: str, inner: str) -> Path:
    """Return a folder of an installed package; one that does not exist where it is not installed."""
    spec = find_spec(package)
    places = (spec and spec.submodule_search_locations) or ["/nonexistent"]
    return Path(next(iter(places))) / inner
