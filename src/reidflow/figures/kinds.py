"""Which figures every experiment has."""


def figures_of(tuned: bool) -> list[str]:
    """Return the names of an experiment's figures; that of its tuned settings only where there are any."""
    return ["arms", "curves", "identities", *(["tuning"] if tuned else []), "pareto"]
