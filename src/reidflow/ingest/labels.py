"""Labels and viewpoints as people write them: those that mean that nobody knows, those that look alike, and those that spreadsheets damage."""

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import cache

from reidflow.spec.errors import ReidflowError
from reidflow.spec.names import look
from reidflow.spec.reading import Spellings
from reidflow.spec.yaml import flow

KEPT = "!"
_SHOWN = 12
_MANY = 8


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Whole words that mean it in any label: `unknown_female`, `whale unknown 3`.
_TELLING = _words(
    """unknown unknowns unkown unidentified unidentifiable unlabelled unlabeled unnamed undetermined unassigned unclassified
    unrecognized unrecognised untagged unmarked unidentifed unindentified unbekannt unbestimmt inconnu inconnue inconnus indetermine desconocido desconocida desconocidos
    indeterminado indeterminada desconhecido desconhecida sconosciuto sconosciuta onbekend okand ukjent ukendt tuntematon
    nieznany nieznana neznamy ismeretlen necunoscut bilinmeyen bilinmiyor haijulikani неизвестный неизвестная неизвестно неизвестен
    невідомий άγνωστο αγνωστο αγνωστος مجهول अज्ञात 未知 未识别 未識別 未确认 不明 未同定 미상 불명"""
)
_STEMS = ("unknown", "unidentif", "unbekannt", "desconocid", "desconhecid", "неизвест")
# Labels that mean it as a whole, or with a number behind them.
_NUMBERED = _words(
    """unk unkn unid unident noid no_id no_identity no_label no_name not_identified not_id_d not_known not_labelled not_labeled
    no_tag no_data nodata n_d non_id nonid not_matched non_match not_identifiable unclear unmatch ukn unknow unknwon uknown
    unkonwn unkwown nicht_identifiziert nicht_erkannt nicht_bekannt non_identifie non_identifiee sans_nom sin_identificar no_identificado no_identificada sin_nombre sin_id
    nao_identificado nao_identificada sem_nome sem_id sem_identificacao non_identificato non_identificata niet_geidentificeerd
    ikke_identificeret ikke_identifisert tidak_diketahui tbd un_id unid'd un_id'd un_id_d un_ided unided unid_d not_sure"""
)
_ALONE = _words(
    """none null undefined unspecified unsure uncertain unmatched missing n_a n_n n_k undef nomatch incognito incognita
    can't_tell not_available not_applicable not_assigned no_match no_one nobody anonymous noname nolabel na_na tbd tba tbc
    tbi to_be_determined to_be_identified todo blank empty new other others misc miscellaneous indet distractor distractors
    junk background ohne_namen keine keiner aucun aucune ninguno ninguna nenhum nenhuma nessuno nessuna geen ingen
    keine_angabe k_a s_n s_d xxx -1 -1.0 -99 -999 -9999 nil 無 无 なし 없음 нет"""
)
# Short ones are names too, so that only what programs write counts: Nan, Na and Nil may be animals.
_EXACT = _words("nan NaN NAN NA na N.A. <NA> nat NaT #N/A #N/A! #NA #NAME? #REF! #VALUE! #NULL! #NUM! #DIV/0! -nan")
_NAMES = _words("Nil Tba Tbc Tbi Todo Blank")
# What `new_whale` and `no individual` are of.
_NOUNS = "|".join(
    _words(
        """animal individual identity id name label class subject person face one specimen object sample entry whale dolphin orca porpoise
        seal turtle shark ray manta fish bird penguin owl gull cat lion tiger leopard jaguar cheetah lynx ocelot puma dog wolf fox hyena
        bear panda otter badger deer moose elk elephant rhino giraffe zebra horse cow cattle pig sheep goat monkey ape chimp chimpanzee
        gorilla lemur macaque bat newt toad frog salamander snake lizard crab spider insect bee vehicle car"""
    )
)
_NEW = re.compile(
    rf"(?:new|no)_(?:{_NOUNS})s?(?:_?\d+)?|(?:unk|unkn|unid)_(?:{_NOUNS}|female|male|adult|juvenile|calf|pup|cub)(?:_?\d+)?|new_?\d+"
)
_DOUBTED = re.compile(rf"(?:(?:{_NOUNS})s?)?[\s_\d-]*")
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕһԁԛԝкмтвнАЕОРСУХІЈЅКМТВНαοικρτυνΑΒΕΖΗΙΚΜΝΟΡΤΥΧ‐‑‒–—−’‘“”",
    "aeopcyxijshdqwkmtbhAEOPCYXIJSKMTBHaoikptuvABEZHIKMNOPTYX------''\"\"",
)
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|mrz|mär|mai|okt|dez|janv|févr|avr|juin|juil|août|déc|ene|abr|ago|dic)"
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]+{_MONTH}(?:[-. ]+\d\d(?:\d\d)?)?|{_MONTH}-\d\d|(?:19|20)\d\d-\d\d-\d\d(?:[t ]00:00(?::00(?:\.0+)?)?)?|"
    r"\d{1,2}([/.])\d{1,2}\1(?:19|20)?\d\d(?: 0?0:00(?::00)?)?",
    re.IGNORECASE,
)
_EXPONENT = re.compile(r"[+-]?\d(?:[.,]\d+)?E[+-]?\d\d+", re.IGNORECASE)
_THOUSANDS = re.compile(r"\d{1,3}(?:([,'])\d{3})(?:\1\d{3})*(?:\.0+)?")
_DECIMAL = re.compile(r"[+-]?\d+(?:[.,]0+)?")


def is_nobody(label: str) -> bool:
    """Return whether a label reads as if nobody knew whom the image shows: `unknown`, `nan`, `____`, `new_whale`, `不明`."""
    text = unicodedata.normalize("NFKC", look(label)).strip()
    if not text or text in _NAMES:
        return False
    if text in _EXACT or not any(unicodedata.category(c)[0] in "LNSM" or c in "+<>=" for c in text):
        return True
    plain = _unaccented(text.casefold()).strip("()[]{}<>\"'*!.:;,# ")
    if "?" in plain and _DOUBTED.fullmatch(plain.replace("?", "").strip("() ")):
        return True
    plain = plain.replace("?", "").strip()
    joined = re.sub(r"[\s_./\\-]+", "_", plain)
    numberless = re.sub(r"(?<=[a-z])_?#?\d*$|_[a-z]$", "", joined)
    return (
        any(word.startswith(_STEMS) or word in _TELLING for word in re.split(r"[\s_./\\()\d-]+", plain))
        or any(form in joined for form in ("un_known", "un_identified"))
        or numberless in _NUMBERED
        or joined in _NUMBERED | _ALONE
        or plain in _ALONE
        or (len(numberless) > 4 and numberless in _ALONE)
        or _NEW.fullmatch(joined) is not None
    )


_OF_FLANKS = frozenset({"side", "flank", "view", "viewpoint"})
_GLUED = re.compile(r"^(left|right|l|r|front|back|top|upper|lower|dorsal|ventral)(?:side|flank|viewpoint|view)+$")


def viewpoint(text: str | None) -> str | None:
    """Return a flank or viewpoint in one spelling; None where nobody knows.

    `Left side`, `left-flank`, `Left flank view`, `LEFT`, `Left (L)` and `L` are left. Words alone are left out: `Overview` stays.
    """
    words = re.split(r"[\s_./\\()\[\]-]+", unicodedata.normalize("NFKC", look(text or "")).casefold())
    plain = list(filter(None, words))
    if not plain or is_nobody(text or ""):
        return None
    plain = [_GLUED.sub(r"\1", word) for word in plain]
    plain = [word for word in plain if word not in _OF_FLANKS] or plain
    plain = [{"l": "left", "r": "right"}.get(word, word) for word in plain]
    return "".join(dict.fromkeys(plain))


def marked(entries: Sequence[str], labels: Iterable[str]) -> tuple[set[str], list[str]]:
    """Return the labels that `entries` mark as unlabelled, and the entries that mark none.

    An entry that is one of the labels, or holds neither letter nor digit, stands for itself alone; others are patterns as in
    a shell. Case and Unicode forms make no difference, but for names: beside the label NA, the entry does not mark Na. An
    entry behind `!` keeps its labels, whatever others say.
    """
    known = {label: _folded(label) for label in labels}
    same = set(known.values())
    found: set[str] = set()
    kept: set[str] = set()
    idle: list[str] = []
    for entry in entries:
        keeps = entry.startswith(KEPT) and _folded(entry) not in same
        wanted = _folded(entry.removeprefix(KEPT) if keeps else entry)
        literal = wanted in same or not any(c.isalnum() for c in wanted)
        hits = {label for label, text in known.items() if text == wanted or (not literal and fnmatchcase(text, wanted))}
        if entry in known and is_nobody(entry):
            hits = {label for label in hits if label == entry or is_nobody(label)}
        (kept if keeps else found).update(hits)
        if not hits:
            idle.append(entry)
    return found - kept, idle


def kept(entries: Sequence[str], labels: Iterable[str]) -> set[str]:
    """Return the labels that entries behind `!` keep as identities."""
    labels = list(labels)
    same = set(map(_folded, labels))
    own = [entry.removeprefix(KEPT) for entry in entries if entry.startswith(KEPT) and _folded(entry) not in same]
    return marked(own, labels)[0]


def nobodies(counts: Mapping[str, int]) -> list[str]:
    """Return the entries of `dataset.unlabelled` that mark the labels which read as if nobody knew; most images first."""
    found = sorted(filter(is_nobody, counts), key=lambda label: (-counts[label], label))
    return _patterns(found, counts)


def require_named(counts: Mapping[str, int], entries: Sequence[str] | None, where: str) -> None:
    """Raise ReidflowError for labels that mean nobody and that the config says nothing of.

    counts: label -> its images, the marked ones left out. entries: `dataset.unlabelled`; an empty list keeps all labels.
    """
    if entries is not None and not entries:
        return
    keeping = kept(entries or [], counts)
    nobody = sorted(
        (label for label in counts if label not in keeping and is_nobody(label)), key=lambda x: (-counts[x], x)
    )
    if not nobody:
        return
    images = sum(counts[label] for label in nobody)
    shown = ", ".join(f"'{visible(label)}' ({counts[label]})" for label in nobody[:_SHOWN])
    more = f" and {len(nobody) - _SHOWN} more" if len(nobody) > _SHOWN else ""
    each = "Each would be an identity of its own" if len(nobody) > 1 else "It would be an identity of its own"
    line = line_for([*(entries or []), *_patterns(nobody, counts)])
    keeping_line = (
        line_for([*entries, *(KEPT + label for label in _patterns(nobody, counts))]) if entries else "unlabelled: []"
    )
    raise ReidflowError(
        f"{where}: {_number(len(nobody), 'label')} of {images} images read as if nobody knew whom they show: {shown}{more}. "
        f"{each}. If nobody knows, write under dataset:\n  {line}\n"
        "The images are embedded then, but belong to no identity. If these are names of individuals, write\n"
        f"  {keeping_line}"
    )


def line_for(entries: Sequence[str]) -> str:
    """Return the line of a config that marks labels as unlabelled."""
    return f"unlabelled: {flow(list(dict.fromkeys(entries)))}"


def _patterns(nobody: list[str], counts: Mapping[str, int]) -> list[str]:
    """Return entries that mark exactly these labels; a pattern for those that differ in a number alone."""
    if len(nobody) <= _MANY:
        return nobody
    stems: dict[str, list[str]] = defaultdict(list)
    for label in nobody:
        stems[re.sub(r"[\d.]+$", "", label)].append(label)
    entries: list[str] = []
    for stem, some in stems.items():
        pattern = f"{stem}*"
        exact = len(some) > 2 and len(stem) > 2 and marked([pattern], counts)[0] <= set(nobody)
        entries += [pattern] if exact else some
    return entries


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Return the sets of labels, each sorted, that differ in how they are written alone.

    Such are capitals, blanks, hyphens and underscores, Unicode forms, letters that look alike, invisible characters, accents
    that were lost or misread, quotes, and numbers as 7, 7.0 and 007 or 1,000 and 1000.
    """
    same: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        same[_bare(label)].append(label)
    return [some for some in same.values() if len(some) > 1]


def joined(counts: Mapping[str, int]) -> dict[str, str]:
    """Return label -> the commonest spelling of those that are alike, the first in order among equally common ones.

    Labels that keep their spelling are left out. A label in exponential notation may stand for several numbers: it stays.
    """
    found = {}
    for some in alike(label for label in counts if not _EXPONENT.fullmatch(label)):
        best = min(some, key=lambda label: (-counts[label], label))
        found |= {label: best for label in some if label != best}
    return found


def damaged(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return what spreadsheets and encodings made of labels, and cannot be undone: kind -> labels, sorted."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        if _DATE.fullmatch(label):
            kinds["dates"].append(label)
        elif _EXPONENT.fullmatch(label) and ("." in label or "+" in label or "," in label):
            kinds["numbers in exponential notation"].append(label)
        elif re.fullmatch(r"\d+\.0+", label):
            kinds["numbers with a fraction"].append(label)
        elif re.fullmatch(r"\d{16,}", label) and not label[15:].strip("0"):
            kinds["numbers cut to 15 digits"].append(label)
        elif "\ufffd" in label or re.fullmatch(r"#{3,}", label):
            kinds["lost characters"].append(label)
    return dict(kinds)


def notes(counts: Mapping[str, int], spellings: Spellings) -> list[str]:
    """Return what the owner of a data set should know of its labels. counts: label -> its images."""
    found = []
    groups = alike(counts)
    if groups:
        merged = joined(counts)
        shown = "; ".join(
            ", ".join(f"'{visible(label)}' ({counts[label]})" for label in some) for some in groups[:_SHOWN]
        )
        more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
        what = f"{_number(len(groups), 'identity', 'identities')} may be written in several ways: {shown}{more}."
        done = "They are joined, each to its commonest spelling."
        advice = "Each spelling counts as an identity of its own. If they are the same, write under dataset: `spellings: join`."
        left = (
            "Those in exponential notation stay."
            if any(_EXPONENT.fullmatch(x) for some in groups for x in some)
            else ""
        )
        found.append(" ".join(filter(None, [what, done if spellings == "join" else advice, left if merged else ""])))
    for kind, some in damaged(counts).items():
        shown = ", ".join(f"'{visible(label)}'" for label in some[:_SHOWN])
        found.append(
            f"{_number(len(some), 'label looks', 'labels look')} like {kind}, as spreadsheets write them: {shown}. If they were "
            "something else, correct them in the table, in a column of text: what they were is lost."
        )
    return found


def visible(label: str) -> str:
    """Return a label with invisible characters spelt out, so that two that look alike differ."""
    return "".join(c if c.isprintable() or c == "\u3000" else c.encode("unicode_escape").decode() for c in label)


@cache
def _folded(label: str) -> str:
    return unicodedata.normalize("NFKC", look(label)).casefold().strip()


@cache
def _bare(label: str) -> str:
    """Return what is left of a label without the differences that `alike` overlooks."""
    text = html.unescape(_unmangled(unicodedata.normalize("NFKC", look(label)))).strip("'\"` ").rstrip(".,;:?() ")
    number = _number_in(text)
    if number is not None:
        return f"={number}"
    text = _unaccented(text.translate(_LOOKALIKES)).casefold().translate(_LOOKALIKES)
    text = re.sub(r"[\s_-]+", " ", text).strip()
    # Luna1 and Luna 1, but not 1-1 and 11.
    text = re.sub(r"(?<=[^\W\d]) (?=\d)|(?<=\d) (?=[^\W\d])", "", text)
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", text) or label


def _unmangled(text: str) -> str:
    """Return UTF-8 that was read as Latin-1, such as `JosÃ©`, as what it was; other text as it is."""
    if text.isascii():
        return text
    for encoding in ("cp1252", "latin-1"):
        try:
            return unicodedata.normalize("NFC", text.encode(encoding).decode())
        except UnicodeError:
            continue
    return text


def _unaccented(text: str) -> str:
    """Return text without the accents of Latin and Greek letters; in other scripts marks make other letters."""
    parts = unicodedata.normalize("NFD", text)
    out: list[str] = []
    for c in parts:
        if not (unicodedata.combining(c) and out and unicodedata.name(out[-1], "").startswith(("LATIN", "GREEK"))):
            out.append(c)
    return unicodedata.normalize("NFC", "".join(out))


def _number_in(text: str) -> str | None:
    """Return the whole number that a label is, in one form; None for another label."""
    if _THOUSANDS.fullmatch(text):
        text = re.sub("[,']", "", text)
    if not (_DECIMAL.fullmatch(text) or _EXPONENT.fullmatch(text)):
        return None
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return str(int(number)) if abs(number) < Decimal("1e30") and number == int(number) else None


def _number(count: int, one: str, several: str | None = None) -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
