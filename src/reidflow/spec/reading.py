"""How the labels, times and links of a data set are read: the values of keys of `dataset`."""

from typing import Literal

Spellings = Literal["keep", "join"]
"""What becomes of labels that differ in their spelling alone."""
Dates = Literal["iso", "day_first", "month_first", "unix", "excel"]
"""How a data set writes its times, beside the forms that leave no doubt."""
Links = Literal["refuse", "follow"]
"""What becomes of links that lead out of a data set."""
