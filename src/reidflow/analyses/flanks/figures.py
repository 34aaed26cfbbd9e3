"""What queries of one flank find among candidates of each flank, beside chance."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from reidflow.analyses.flanks.tables import ABOVE, BELOW
from reidflow.figures import parts
from reidflow.figures.parts import Estimate, drawing
from reidflow.figures.style import BLUE, MUTED, VERMILLION, Heading, need
from reidflow.figures.text import fit, number
from reidflow.tables.experiment import INCONCLUSIVE

MARKS = {ABOVE: (">", BLUE), BELOW: ("<", VERMILLION), INCONCLUSIVE: ("o", MUTED)}
MOST = 18
"""Pairs that are drawn: those of the table's first."""
NOTE = (
    "Identity-balanced mAP of queries of the first flank among candidates of the second alone, with simultaneous 95 % intervals of its "
    "distance from chance (black), over identities and seeds."
)


@drawing
def flanks(table: pl.DataFrame, arms: Sequence[str], heading: Heading) -> Figure:
    """Draw a panel for each of some arms, a row for each pair of flanks. table: FLANKS."""
    rows = table.filter(pl.col("arm").is_in(list(arms))).to_dicts()
    if not rows:
        return parts.placeholder("Fewer than two flanks are known of the test images.", heading)
    need(table, ["arm", "pair", "id_map", "chance", "excess_low", "excess_high", "verdict", "queries"], "flanks")
    pairs = list(dict.fromkeys(row["pair"] for row in rows))[:MOST]
    found = {(row["arm"], row["pair"]): row for row in rows}
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    titles = {arm: fit(arm, 1.9, 8.5) for arm in arms}
    figure, panels = parts.small_multiples(
        heading, arms, parts.ROW * 1.1 * len(pairs), NOTE, titles=titles, xlabel="balanced mAP", columns=len(arms)
    )
    for place, (arm, (axes,)) in enumerate(panels.items()):
        parts.forest(
            axes,
            [_estimate(pair, found.get((arm, pair))) for pair in pairs],
            point="mAP",
            reference=None,
            labels=place == 0,
        )
        chance = {pair: found.get((arm, pair), {}).get("chance") for pair in pairs}
        parts.chance_ticks(axes, chance)
    handles = parts.mark_handles(MARKS, {row["verdict"] for row in rows})
    parts.legend(figure, handles | {"chance": parts.chance_handle()})
    return figure


def _estimate(pair: str, row: dict | None) -> Estimate:
    if row is None:
        return Estimate(pair, None, text="")
    marker, colour = MARKS[row["verdict"]]
    ends = [None if row[f"excess_{end}"] is None else row["chance"] + row[f"excess_{end}"] for end in ("low", "high")]
    text = f"{row['id_map']:.2f}"
    return Estimate(pair, row["id_map"], *map(number, ends), text=text, colour=colour, marker=marker)
