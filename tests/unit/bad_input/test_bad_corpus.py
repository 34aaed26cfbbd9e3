"""The corpus as a whole: how many bad inputs there are, and that no two of them are the same."""

import importlib
from collections import Counter
from pathlib import Path

LEAST = 300


def test_the_corpus_is_large_and_each_case_is_there_once():
    corpus: dict[str, list[str]] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        cases = getattr(importlib.import_module(path.stem), "CASES", [])
        corpus[path.stem] = [getattr(case, "what", None) or str(case) for case in cases]
    counts = {name: len(cases) for name, cases in corpus.items() if cases}
    assert sum(counts.values()) >= LEAST, counts
    assert all(count == 1 for cases in corpus.values() for count in Counter(cases).values())
    print(counts, sum(counts.values()))
