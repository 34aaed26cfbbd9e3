"""Answers of people who compared two photographs, read back as labels (`dataset.review`)."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from reidflow.ingest.listing import Listing, Row
from reidflow.ingest.manifest import SET_ASIDE
from reidflow.ingest.sources import _table
from reidflow.spec.errors import Problems, ReidflowError

COLUMNS = ("image", "other", "answer", "label", "other_label")
"""The columns of a file of answers; the first three are read."""
ANSWERS = ("same", "different", "unsure")
JOINED_BY = 2
"""Pairs without a common image that must be the same before two identities are joined."""
_ROUNDS = 50
_NAMED = 5
_NEEDED = "Each row has image, other and answer (same, different or unsure), as the review page exports them."


@dataclass(frozen=True)
class Answer:
    """What somebody said of two images; `image` is the one whose label is in question. where: file and row."""

    image: str
    other: str
    answer: str
    where: str = ""


@dataclass(frozen=True)
class Verdicts:
    """What answers say of labels.

    labels: image -> label or None (unlabelled), of the images whose label changes. moved, named, aside, open, contradictory:
    images that take the label of others, that had none and get one, that become unlabelled, that are the same as one of
    another identity while nothing speaks against their own label, and whose answers contradict each other; the last two
    keep their labels. joined: identity -> the one that it is joined to. confirmed: images whose label is confirmed.
    """

    labels: dict[str, str | None]
    moved: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    contradictory: list[str] = field(default_factory=list)
    joined: dict[str, str] = field(default_factory=dict)
    confirmed: list[str] = field(default_factory=list)


def read(paths: Sequence[str]) -> list[Answer]:
    """Return the answers of all files, without blank and unsure ones. Raises ReidflowError that lists all wrong rows."""
    problems = Problems()
    found = []
    for path in paths:
        table = _table.read(Path(path).expanduser())
        missing = [name for name in COLUMNS[:3] if name not in table.columns]
        if missing:
            raise ReidflowError(
                f"{path}: there is no column {' and no column '.join(map(repr, missing))}; the columns are "
                f"{', '.join(table.columns) or 'none'}. {_NEEDED}"
            )
        rows = zip(*(table.column(name) for name in COLUMNS[:3]), strict=True)
        for number, (image, other, text) in enumerate(rows, 1):
            image, other, answer = image or "", other or "", (text or "").strip()
            where = f"{path}, row {number}"
            if answer.lower() not in ("", *ANSWERS):
                problems.add(
                    where, f"the answer '{answer}' is none of {', '.join(ANSWERS)}.", "Correct it, or leave it blank."
                )
            elif not image.strip() or not other.strip():
                problems.add(where, "an image has no name.", "Write both names, or delete the row.")
            elif image == other:
                problems.add(where, f"'{image}' is compared with itself.", "Correct a name, or delete the row.")
            elif answer.lower() in ANSWERS[:2]:
                found.append(Answer(image, other, answer.lower(), where))
    problems.raise_if_any("the answers of dataset.review")
    return found


def decided(paths: Sequence[str]) -> set[str]:
    """Return the images of which it was answered whether they are the same as another, or different."""
    return {name for answer in read(paths) for name in (answer.image, answer.image.strip())}


def reviewed(listing: Listing, paths: Sequence[str]) -> Listing:
    """Return the listing with the labels that the answers give, and notes on what was done.

    An image that becomes unlabelled has the role `SET_ASIDE`, whatever role the data give it: unlike others that nobody knows,
    it may show the individual of any query.
    Raises ReidflowError for wrong rows, and for answers on images that the data set does not have.
    """
    labels = {row.image: row.identity for row in listing.rows}
    answers = [replace(one, image=_name(one.image, labels), other=_name(one.other, labels)) for one in read(paths)]
    _require_known(answers, labels, {fault.image for fault in listing.faults}, listing.root)
    answers = [one for one in answers if one.image in labels and one.other in labels]
    found = verdicts(labels, answers)

    def changed(row: Row) -> Row:
        if row.image not in found.labels:
            return row
        label = found.labels[row.image]
        return replace(row, identity=label, role=row.role if label else SET_ASIDE)

    notes = [*listing.notes, *_notes(found, labels, len(answers), ", ".join(paths))]
    return replace(listing, rows=[changed(row) for row in listing.rows], notes=notes)


def _name(written: str, labels: Mapping[str, str | None]) -> str:
    """Return the name of an image as it is written, without blanks around it where only that is one."""
    return written if written in labels or written.strip() not in labels else written.strip()


def _require_known(answers: Sequence[Answer], labels: Mapping[str, str | None], unusable: set[str], root: Path) -> None:
    unknown = [
        (name, one) for one in answers for name in (one.image, one.other) if name not in labels and name not in unusable
    ]
    if not unknown:
        return
    name, one = unknown[0]
    close = get_close_matches(name, labels, n=1, cutoff=0.6)
    hint = f" Did you mean '{close[0]}'?" if close else f" Its images have names such as '{next(iter(labels), '')}'."
    rows = len({one.where for _, one in unknown})
    more = f" {rows} rows have such names." if rows > 1 else ""
    raise ReidflowError(
        f"{one.where}: there is no image '{name}' in the dataset {root}.{hint}{more} Correct the names, or delete the rows."
    )


def verdicts(labels: Mapping[str, str | None], answers: Sequence[Answer]) -> Verdicts:
    """Return what answers on pairs of images say of labels.

    Several answers on a pair count by their majority. Each pair is evidence on its image in question, as far as the other
    one's label stands: `same` speaks for the other's label, `different` against it. An image takes the label that most
    speaks for it where more speaks against its own than for it, and becomes unlabelled where nothing speaks for another.
    Where labels of others change by that, the evidence is weighed again until nothing changes. Images whose answers have
    no such end, or contradict each other, keep their labels. Two identities are joined where `JOINED_BY` pairs without a
    common image (one where an identity has a single image) are the same across them and none is different, nor any between
    others that are joined with them.
    """
    pairs, tied = _pairs(labels, answers)
    evidence: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for (image, other), same in pairs.items():
        evidence[image].append((other, same))
    fixed: set[str] = set()
    while True:
        current, unstable = _settled(labels, evidence, fixed)
        if not unstable:
            break
        fixed |= unstable
    kinds: dict[str, list[str]] = defaultdict(list)
    for image in sorted(evidence):
        kinds[_kind(image, labels[image], current, evidence[image], image in fixed)].append(image)
    kinds["contradictory"] = sorted({*kinds["contradictory"], *tied} - set(kinds["moved"]) - set(kinds["aside"]))
    joined = _joined(current, pairs)
    final = {image: joined.get(label, label) if label else None for image, label in current.items()}
    return Verdicts(
        {image: label for image, label in final.items() if label != labels[image]},
        **{name: kinds[name] for name in ("moved", "named", "aside", "open", "contradictory", "confirmed")},
        joined=joined,
    )


def _pairs(
    labels: Mapping[str, str | None], answers: Sequence[Answer]
) -> tuple[dict[tuple[str, str], bool], list[str]]:
    """Return (image in question, other) -> whether they are the same, and the images in question of which as many say no."""
    votes: dict[tuple[str, str], int] = {}
    for one in answers:
        # Without a label an image is no evidence, so that it is in question itself.
        swapped = labels[one.other] is None and labels[one.image] is not None
        pair = (one.other, one.image) if swapped else (one.image, one.other)
        pair = pair[::-1] if pair[::-1] in votes else pair
        votes[pair] = votes.get(pair, 0) + (1 if one.answer == "same" else -1)
    return {pair: vote > 0 for pair, vote in votes.items() if vote}, [
        pair[0] for pair, vote in votes.items() if not vote
    ]


def _settled(
    labels: Mapping[str, str | None], evidence: Mapping[str, Sequence[tuple[str, bool]]], fixed: set[str]
) -> tuple[dict[str, str | None], set[str]]:
    """Return the labels once the evidence changes none of them, and the images whose labels do not come to rest."""
    current = dict(labels)
    unstable: set[str] = set()
    for _ in range(_ROUNDS):
        judged = {
            image: _label(labels[image], _votes(current, found))
            for image, found in evidence.items()
            if image not in fixed
        }
        unstable = {image for image, label in judged.items() if current[image] != label}
        if not unstable:
            break
        current |= judged
    return current, unstable


def _votes(current: Mapping[str, str | None], found: Sequence[tuple[str, bool]]) -> Counter[str]:
    """Return label -> answers for it less those against it."""
    votes: Counter[str] = Counter()
    for other, same in found:
        if (label := current[other]) is not None:
            votes[label] += 1 if same else -1
    return votes


def _label(own: str | None, votes: Counter[str]) -> str | None:
    """Return the label that an image takes by the votes on it; its own where nothing decides against that."""
    if own is not None and votes.get(own, 0) >= 0:
        return own
    most = max(votes.values(), default=0)
    best = [label for label, count in votes.items() if count == most and count > 0]
    return best[0] if len(best) == 1 else None


def _kind(
    image: str,
    own: str | None,
    current: Mapping[str, str | None],
    found: Sequence[tuple[str, bool]],
    fixed: bool,
) -> str:
    """Return which list of `Verdicts` an image in question is in, '' where none."""
    votes = _votes(current, found)
    if fixed:
        return "contradictory"
    if current[image] != own:
        return "aside" if current[image] is None else "named" if own is None else "moved"
    others = [label for label, count in votes.items() if count > 0 and label != own]
    if own is None:
        return "contradictory" if others else ""
    if votes.get(own, 0) > 0:
        return "confirmed"
    if any(current[other] == own for other, _ in found):
        return "contradictory"
    return "open" if others else ""


def _joined(current: Mapping[str, str | None], pairs: Mapping[tuple[str, str], bool]) -> dict[str, str]:
    """Return identity -> the one that it is joined to: that with most images, the first in order of equally large ones.

    Identities that are confirmed one by one, A and B, B and C, join only if no two of them are different, A and C neither.
    """
    sizes = Counter(label for label in current.values() if label is not None)
    same: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    refused: set[tuple[str, str]] = set()
    for (image, other), agree in pairs.items():
        one, two = current[image], current[other]
        if one is None or two is None or one == two:
            continue
        key = (min(one, two), max(one, two))
        if agree:
            same[key].append((image, other))
        else:
            refused.add(key)
    leader = {label: label for label in sizes}

    def find(label: str) -> str:
        return label if leader[label] == label else find(leader[label])

    for key in sorted(same.keys() - refused):
        used: set[str] = set()
        apart = 0
        for pair in same[key]:
            if not used & set(pair):
                used |= set(pair)
                apart += 1
        if apart >= min(JOINED_BY, *(sizes[label] for label in key)):
            first, second = sorted(map(find, key), key=lambda label: (-sizes[label], label))
            leader[second] = first
    denied = {find(one) for one, two in refused if find(one) == find(two)}
    found = {label: find(label) for label in sorted(sizes)}
    return {label: other for label, other in found.items() if other != label and other not in denied}


def _notes(found: Verdicts, labels: Mapping[str, str | None], answers: int, where: str) -> list[str]:
    """Return a sentence for each kind of what the answers did, with an example."""
    if not answers:
        return [f"{where}: no answer says that two images are the same, or different."]
    final = {**labels, **found.labels}
    texts = {
        "confirmed": "confirmed",
        "moved": "with another label, the same as others of it",
        "named": "without a label before, the same as others that have one",
        "aside": "unlabelled, different from others of their label",
        "open": "unchanged: the same as one of another identity, without an answer on their own",
        "contradictory": "unchanged, as the answers on them contradict each other",
    }
    parts = []
    for kind, text in texts.items():
        if images := getattr(found, kind):
            first = images[0]
            changed = final[first] != labels[first]
            change = f"'{first}' from {_shown(labels[first])} to {_shown(final[first])}"
            named = change if changed else ", ".join(f"'{image}'" for image in images[:_NAMED])
            example = f", e.g. {named}" if kind != "confirmed" else ""
            parts.append(f"{len(images)} {text}{example}")
    sentence = f"{where}: {answers} answers. Labels of images: {'; '.join(parts) or 'none is decided'}."
    joins = [f"'{label}' to '{other}'" for label, other in found.joined.items()]
    return [sentence, *([f"{where}: identities joined: {', '.join(joins)}."] if joins else [])]


def _shown(label: str | None) -> str:
    return "none" if label is None else f"'{label}'"
