"""The demo data set, which a rule renders into a folder before it is listed here."""

from reidflow.ingest.listing import Listing
from reidflow.ingest.sources._layout import list_layout
from reidflow.spec.errors import ReidflowError


def open_source(
    *,
    path: str = "",
    identities: int = 24,
    images: int = 500,
    size: int = 256,
    shortcut: float = 0.8,
    variety: float = 1.0,
    occluded: float = 0.25,
    night: float = 0.08,
    duplicates: float = 0.08,
    defects: float = 0.12,
    renders: int = 0,
    seed: int = 0,
) -> Listing:
    """List the demo in the folder `path`, which the pipeline sets.

    The other parameters are those of `reidflow.ingest.demo.settings.DemoSettings`, which describes them and from
    which the folder was rendered. Groups are the sightings, as far as a data set can know them. Renders, if any, are
    the side `gallery`.
    """
    if not path:
        raise ReidflowError("source 'demo': it does not exist yet. Run the pipeline, which renders it first.")
    return list_layout("demo", path, "meta.csv", {"group": "sighting", "flank": "flank", "time": "time"})
