"""How often a wrong first candidate looks more like the query than the best true match, and by chance."""

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from reidflow.analyses.errors.tables import INCONCLUSIVE, LESS, MORE
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, MUTED, VERMILLION, Heading, need
from reidflow.figures.text import fit, number

MARKS = {MORE: (">", VERMILLION), LESS: ("<", BLUE), INCONCLUSIVE: ("o", MUTED)}
NOTE = (
    "Queries with a wrong first candidate: how often that candidate is closer to the query in the cue than the true match that "
    "ranks highest, with 95 % intervals over identities and seeds. Verdicts: against a random wrong candidate of the same "
    "query, corrected for the number of arms and cues."
)


@drawing
def errors(errors: pl.DataFrame, heading: Heading) -> Figure:
    """Draw the shares of the table ERRORS: a panel per arm, a row per cue."""
    need(errors, ["arm", "cue", "share", "share_low", "share_high", "chance", "verdict", "wrong", "queries"], "errors")
    rows = errors.filter(pl.col("share").is_finite()).to_dicts()
    if not rows:
        return parts.placeholder("No query has a wrong first candidate.", heading)
    arms, cues = (list(dict.fromkeys(row[key] for row in rows)) for key in ("arm", "cue"))
    found = {(row["arm"], row["cue"]): row for row in rows}
    titles = {}
    for arm in arms:
        own = [row for row in rows if row["arm"] == arm]
        titles[arm] = (
            f"{fit(arm, 1.4, 8.5)}: {max(row['wrong'] for row in own):.3g} of {own[0]['queries']} queries wrong"
        )
    height = parts.ROW * 1.2 * len(cues)
    figure, panels = parts.small_multiples(
        heading, arms, height, NOTE, titles=titles, xlabel="closer than the best true match", columns=len(arms)
    )
    for i, (arm, (axes,)) in enumerate(panels.items()):
        estimates = [_estimate(cue, found.get((arm, cue))) for cue in cues]
        parts.forest(axes, estimates, point="share", reference=None, labels=i == 0)
        known = {cue: found.get((arm, cue), {}).get("chance") for cue in cues}
        parts.chance_ticks(axes, known)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    names = {MORE: "more often than by chance", LESS: "less often than by chance"}
    handles = parts.mark_handles(MARKS, {row["verdict"] for row in rows})
    handles = {names.get(verdict, verdict): handle for verdict, handle in handles.items()}
    parts.legend(figure, handles | {"by chance": parts.chance_handle()})
    return figure


def _estimate(cue: str, row: dict | None) -> Estimate:
    if row is None:
        return Estimate(cue, None, text="")
    marker, colour = MARKS[row["verdict"]]
    ends = number(row["share_low"]), number(row["share_high"])
    return Estimate(cue, row["share"], *ends, text=f"{row['share']:.0%}", colour=colour, marker=marker)
