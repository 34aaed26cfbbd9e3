"""What an experiment on several splits found, in computed sentences."""

from collections.abc import Mapping

import polars as pl

from reidflow.analyses.gap.tables import VALIDATION, effects
from reidflow.tables.layout import Block, block_of, count, share
from reidflow.tables.sections import Section
from reidflow.tables.text import NOTHING, interval, listed, markdown, number, probability, signed

GAP, REMEDIES = "gap", "remedies"
FIGURES = (GAP, REMEDIES)


def sections(
    gap: pl.DataFrame, lost: pl.DataFrame, transductive: Mapping[str, list[str]], inferred: list[str]
) -> list[Section]:
    """Return the sections of the findings, from the tables GAP and LOST of `tables.gap`.

    transductive: arm -> its inference components that use the other queries. inferred: arms with any inference.
    """
    rows, changed = gap.to_dicts(), effects(gap)
    settings = list(dict.fromkeys(row["setting"] for row in rows if row["setting"] != VALIDATION))
    return [
        Section(
            "From validation to the experiment's own condition",
            [*_chain(rows), *_promised(rows), *_kept(lost), *_steepest(lost), *_most(lost)],
            [_gap_block(rows), _lost_block(lost)],
            {GAP: "mAP of each arm from the easiest setting to the experiment's own"},
        ),
        Section(
            "Which remedy helps where",
            [
                *_compared(changed),
                *(line for setting in settings for line in _in_setting(changed, setting)),
                *_unchanged(changed),
                *_everywhere(changed, settings),
                *_alone(changed, settings),
                *_used(transductive, inferred),
            ],
            [_difference_block(rows)],
            {REMEDIES: "What each remedy changes in each setting"},
        ),
    ]


def _bold(name: str) -> str:
    return f"**{markdown(name)}**"


def _in(setting: str) -> str:
    return f"*{markdown(setting)}*"


def _baseline(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["baseline"]]


def _own(rows: list[dict]) -> str:
    return next(row["setting"] for row in rows if row["own"])


def _chain(rows: list[dict]) -> list[str]:
    """Say what the baseline scores from validation to the experiment's own condition."""
    told = [
        f"{number(row['id_map'])} in {_in(row['setting'])} (chance {number(row['chance'])})"
        for row in _baseline(rows)
        if row["setting"] != VALIDATION
    ]
    return [f"The baseline {_bold(_baseline(rows)[0]['arm'])} has a test mAP of {listed(told)}."]


def _promised(rows: list[dict]) -> list[str]:
    """Say what validation in each setting tells of the baseline, beside what the test gives in its own condition."""
    own = next(row for row in _baseline(rows) if row["own"])
    told = [
        f"{number(row['val_id_map'])} in {_in(row['setting'])}"
        for row in _baseline(rows)
        if row["setting"] != VALIDATION and row["val_id_map"] is not None
    ]
    if not told:
        return []
    return [
        f"Its validation mAP is {listed(told)}; of these, only that in {_in(own['setting'])} is asked as the test of "
        f"{number(own['id_map'])} is."
    ]


def _kept(lost: pl.DataFrame) -> list[str]:
    rows = [row for row in lost.to_dicts() if row["baseline"]]
    others = [row for row in rows if row["setting"] != row["reference"] and row["kept"] is not None]
    if not others:
        return [f"What share of its score the baseline keeps is not defined: {rows[-1]['note']}."]
    told = [f"{_share(row)} in {_in(row['setting'])}" for row in others]
    return [f"Of its score above chance in {_in(rows[0]['reference'])}, the baseline keeps {listed(told)}."]


def _share(row: dict) -> str:
    return f"{row['kept']:.0%} [{row['kept_low']:.0%}, {row['kept_high']:.0%}]"


def _steepest(lost: pl.DataFrame) -> list[str]:
    """Say which of the settings between the first and the last costs the baseline most, where that can be told."""
    rows = [row for row in lost.to_dicts() if row["baseline"]]
    between = [row for row in rows[:-1] if row["setting"] != row["reference"] and row["kept"] is not None]
    if len(between) < 2:
        return []
    first, second, *_ = sorted(between, key=lambda row: row["kept"])
    if first["kept_high"] < second["kept_low"]:
        return [f"Taken alone, {_in(first['setting'])} costs it most: its interval lies below the others'."]
    names = listed([_in(row["setting"]) for row in between])
    return [f"Which of {names} costs it most cannot be told: the intervals of the shares kept overlap."]


def _most(lost: pl.DataFrame) -> list[str]:
    """Say which arm keeps most in the last setting; means, nothing is concluded from them."""
    last = lost["setting"][-1]
    rows = [row for row in lost.to_dicts() if row["setting"] == last and row["kept"] is not None]
    if len(rows) < 2:
        return []
    best = max(rows, key=lambda row: row["kept"])
    least = min(rows, key=lambda row: row["kept"])
    return [
        f"By the means, {_bold(best['arm'])} keeps the largest share in {_in(last)}, {_share(best)}, and "
        f"{_bold(least['arm'])} the smallest, {_share(least)}; shares are of each arm's own score, so a low one can stand "
        "beside a high mAP."
    ]


def _compared(changed: list[dict]) -> list[str]:
    """Say what the arms are compared with: a remedy that stands on another one is told from that one."""
    besides: dict[str, list[str]] = {}
    for row in changed:
        arms = besides.setdefault(row["beside"], [])
        arms += [row["arm"]] if row["arm"] not in arms else []
    if len(besides) < 2:
        return []
    told = [f"{listed([_bold(arm) for arm in arms])} with {_bold(beside)}" for beside, arms in besides.items()]
    return [f"What a remedy changes is its difference to the arm that it stands on: {'; '.join(told)}."]


def _in_setting(changed: list[dict], setting: str) -> list[str]:
    own = [row for row in changed if row["setting"] == setting]
    if not own:
        return []
    told = [
        f"{verdict} with "
        + listed(
            [
                f"{_bold(row['arm'])} ({signed(row['delta'])} {interval(row['low'], row['high'])})"
                for row in own
                if row["verdict"] == verdict
            ]
        )
        for verdict in ("better", "worse")
        if any(row["verdict"] == verdict for row in own)
    ]
    if told:
        return [f"In {_in(setting)}: {'; '.join(told)}."]
    seen = max((row["smallest_detectable"] for row in own if row["smallest_detectable"] is not None), default=1.0)
    small = f"a change of {number(seen)} would most likely have been found" if seen < 1 else "the noise hides any"
    return [f"In {_in(setting)} no remedy is found to change anything: {small}."]


def _unchanged(changed: list[dict]) -> list[str]:
    """Say which arms score as what they stand on to the last digit: what they change is not in the setting."""
    same: dict[tuple[str, str], list[str]] = {}
    for row in changed:
        if row["delta"] == 0 and row["low"] == row["high"] == 0:
            same.setdefault((row["arm"], row["beside"]), []).append(_in(row["setting"]))
    return [
        f"{_bold(arm)} changes nothing in {listed(settings)}: it scores there as {_bold(beside)} to the last digit."
        for (arm, beside), settings in same.items()
    ]


def _verdicts(changed: list[dict], settings: list[str]) -> dict[str, dict[str, str]]:
    """Return arm -> setting -> verdict of the arms that were compared in every setting."""
    found: dict[str, dict[str, str]] = {}
    for row in changed:
        found.setdefault(row["arm"], {})[row["setting"]] = row["verdict"]
    return {arm: verdicts for arm, verdicts in found.items() if len(verdicts) == len(settings)}


def _everywhere(changed: list[dict], settings: list[str]) -> list[str]:
    arms = [arm for arm, told in _verdicts(changed, settings).items() if set(told.values()) == {"better"}]
    return [f"Better in every setting: {listed(list(map(_bold, arms)))}."] if arms and len(settings) > 1 else []


def _alone(changed: list[dict], settings: list[str]) -> list[str]:
    """Say which arms are better in one setting and in no other one, and what is seen of them elsewhere."""
    told = []
    for arm, verdicts in _verdicts(changed, settings).items():
        better = [setting for setting in settings if verdicts[setting] == "better"]
        worse = [setting for setting in settings if verdicts[setting] == "worse"]
        if len(better) == 1 and len(settings) > 1:
            less = f", and worse in {listed([_in(setting) for setting in worse])}" if worse else ""
            told.append(f"{_bold(arm)} in {_in(better[0])}{less}")
    if not told:
        return []
    return [f"Better in one setting alone: {'; '.join(told)}. Elsewhere they are not found to be better."]


def _used(transductive: Mapping[str, list[str]], inferred: list[str]) -> list[str]:
    if transductive:
        told = [f"{_bold(arm)} ({listed([markdown(name) for name in names])})" for arm, names in transductive.items()]
        return [
            f"Transductive, that is ranked with the help of the other queries: {listed(told)}. Such scores hold for queries "
            "that come together, not for one alone."
        ]
    if inferred:
        return [f"No arm is transductive: {listed(list(map(_bold, inferred)))} rank each query by itself."]
    return []


def _gap_block(rows: list[dict]) -> Block:
    columns = {
        "arm": lambda row: row["arm"],
        "setting": lambda row: row["setting"],
        "id_map": lambda row: number(row["id_map"]),
        "std over seeds": lambda row: number(row["id_map_std"]),
        "chance": lambda row: number(row["chance"]),
        "validation id_map": lambda row: number(row["val_id_map"]),
        **{name: lambda row, name=name: number(row[name]) for name in ("top1", "top5", "top10")},
        "queries": lambda row: count(row["queries"]),
        "identities": lambda row: count(row["identities"]),
        "seeds": lambda row: count(row["seeds"]),
        "split": lambda row: row["split"],
    }
    return block_of("mAP in each setting", columns, rows)


def _difference_block(rows: list[dict]) -> Block:
    columns = {
        "arm": lambda row: row["arm"],
        "setting": lambda row: row["setting"],
        "delta": lambda row: signed(row["delta"]),
        "interval": lambda row: interval(row["delta_low"], row["delta_high"]),
        "p_holm": lambda row: probability(row["p_holm"]),
        "verdict": lambda row: row["verdict"] or NOTHING,
        "smallest_detectable": lambda row: number(row["smallest_detectable"]),
        "control": lambda row: row["against"] or NOTHING,
        "delta to it": lambda row: signed(row["against_delta"]),
        "its interval": lambda row: interval(row["against_low"], row["against_high"]),
        "its p_holm": lambda row: probability(row["against_p_holm"]),
        "its verdict": lambda row: row["against_verdict"] or NOTHING,
    }
    others = [row for row in rows if not row["baseline"]]
    title = "Difference in the same setting to the baseline, and to the arm that is its control, each corrected over the arms"
    return block_of(title, columns, others)


def _lost_block(lost: pl.DataFrame) -> Block:
    columns = {
        "arm": lambda row: row["arm"],
        "setting": lambda row: row["setting"],
        "mAP above chance": lambda row: number(row["above"]),
        "interval": lambda row: interval(row["above_low"], row["above_high"]),
        "share kept": lambda row: share(row["kept"]),
        "interval of the share": lambda row: _ends(row["kept_low"], row["kept_high"]),
        "note": lambda row: row["note"] or NOTHING,
    }
    reference = lost["reference"][0] if len(lost) else ""
    return block_of(f"Score above chance, and its share of that in {reference}", columns, lost.to_dicts())


def _ends(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"[{low:.0%}, {high:.0%}]"
