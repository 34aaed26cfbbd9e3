"""The key that identifies a study; imports no search library."""

import importlib.metadata

from reidflow.spec import code
from reidflow.spec.canonical import short
from reidflow.spec.components import module_name
from reidflow.spec.search import Study, apart
from reidflow.training.execute import Source

DECIDING = ("reidflow.search.optuna_studies", "reidflow.search.trial")
LIBRARIES = ("optuna", "numpy", "scipy")
FOLDER = "studies"
JOURNAL = "journal.log"


def study_key(study: Study, source: Source) -> str:
    """Return what identifies a study's trials: its settings without the budget, the code and data behind its runs, and
    the code and libraries that propose and prune.
    """
    components = (module_name("algorithm", study.algorithm["name"]), module_name("pruner", study.pruner["name"]))
    plain = apart(study).plain()
    runs = [source.key(spec) for spec in study.variants]
    versions = [importlib.metadata.version(library) for library in LIBRARIES]
    return short([plain, runs, code.run_digest(*DECIDING, *components), versions], 32)
