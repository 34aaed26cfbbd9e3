"""The data set that the project draws itself; a rule draws it into a folder before it is listed here."""

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
    """List the drawn data set in the folder `path`, which the pipeline fills in.

    The other parameters are those of `reidflow.ingest.demo.settings.DemoSettings`, which describes them; they have
    decided what was drawn. Groups are the sightings, as far as a data set can know them. Renders, where there are any,
    are the side `gallery`.
    """
    if not path:
        raise ReidflowError("source 'demo': it has not been drawn yet. Run the pipeline, which draws it first.")
    return list_layout("demo", path, "meta.csv", {"group": "sighting", "flank": "flank", "time": "time"})
