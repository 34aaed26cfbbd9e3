"""How the embeddings of a geometry are ranked."""

from reidflow.evaluation.ranking import Similarity
from reidflow.spec.components import load
from reidflow.spec.errors import ReidflowError


def similarity_of(geometry: str) -> Similarity | None:
    """Return the `similarity` of the geometry's file, which maps (q, D), (G, D) to (q, G); None is the cosine.

    geometry: its name, or the dotted path of a user's own. Raises ReidflowError where its file does not say.
    """
    module = load("geometry", geometry)
    if not hasattr(module, "similarity"):
        raise ReidflowError(
            f"the geometry '{geometry}' does not say how to rank by it. Define `similarity(queries, gallery)` in its "
            "file (or `similarity = None` for the cosine)."
        )
    return module.similarity
