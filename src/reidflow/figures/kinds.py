"""Figures that every experiment has."""

TITLES = {
    "arms": "Arms, and their differences from the baseline",
    "profiles": "Performance profiles: how many identities are ranked how well",
    "curves": "Training curves",
    "identities": "Differences per identity",
    "pareto": "Value against cost",
    "tuning": "Tuned hyperparameters on validation",
}
"""Name -> title of the figure, in it and in the report."""


def figures_of(tuned: bool) -> list[str]:
    """Return the names of an experiment's figures; that of tuned hyperparameters only where there are any."""
    return ["arms", "profiles", "curves", "identities", *(["tuning"] if tuned else []), "pareto"]
