"""What numbers a component's parameter can be, where its name means the same in every component that has it.

The signature says the type alone. A number that no run can use is found while planning, not by a library hours later.
"""

from math import isfinite
from typing import Any

_SHARE = (0.0, 1.0)
_COUNT = (1, 10**6)
_NOT_NEGATIVE = (0.0, 1e6)
_TINY = 1e-12
RANGES: dict[tuple[str, str], tuple[float, float]] = {
    **{("split", role): _SHARE for role in ("train", "val", "test")},
    **{("sampler", name): _COUNT for name in ("batch", "identities", "images")},
    ("optimizer", "learning_rate"): (_TINY, 1e3),
    ("optimizer", "weight_decay"): _NOT_NEGATIVE,
    **{("optimizer", name): _SHARE for name in ("beta1", "beta2", "momentum", "decay")},
    **{("scheduler", name): _COUNT for name in ("cycles", "every")},
    ("augmentation", "p"): _SHARE,
    ("loss", "scale"): (_TINY, 1e6),
    ("loss", "temperature"): (_TINY, 1e6),
    ("loss", "centers"): (1, 1000),
    **{("source", name): _SHARE for name in ("shortcut", "occluded", "night", "duplicates", "defects")},
    **{("source", name): _COUNT for name in ("identities", "images")},
    ("source", "size"): (16, 4096),
    **{("inference", name): _COUNT for name in ("k", "k1", "k2")},
    ("inference", "lambda_"): _SHARE,
    **{("duplicates", name): _COUNT for name in ("candidates", "neighbours")},
    **{("algorithm", name): _COUNT for name in ("population", "startup", "candidates", "tournament")},
}


def outside(kind: str, parameter: str, value: Any) -> str | None:
    """Return what is wrong with the value of a parameter, or None."""
    if isinstance(value, list):
        return next((wrong for each in value if (wrong := outside(kind, parameter, each))), None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not isfinite(value) or abs(value) > 2**53:
        return f"{value!r} is no number that can be computed with"
    low, high = RANGES.get((kind, parameter), (float("-inf"), float("inf")))
    if low <= value <= high:
        return None
    return f"{value!r} is not {'above 0' if low == _TINY else f'from {low:g}'} to {high:g}"


def wrong_shares(split: dict[str, Any]) -> str | None:
    """Return what is wrong with the shares of a resolved split, or None; a method of the user's own may have none."""
    if not {"train", "val", "test"} <= split.keys():
        return None
    train, val, test = (split[role] for role in ("train", "val", "test"))
    if min(train, test) > 0 and abs(train + val + test - 1) <= 1e-9:
        return None
    return (
        f"the shares train {train:g}, val {val:g}, test {test:g} add up to {train + val + test:g}: they must add up to 1, "
        "with train and test above 0"
    )
