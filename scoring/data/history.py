"""What a table's shoppers did on earlier visits, where a column numbers the visits of each.

A visit has ended when the next one begins, so whether it ended in a purchase is known by then: no row sees its own
label, nor that of another row of the same visit, nor any later one.
"""

import re

import numpy as np
from numpy.typing import NDArray

from scoring.dataset import Column

ORDER = re.compile(r"(visit|session)_?(no|nr|num|number|index|count|ordinal)", re.IGNORECASE)
COLUMNS = tuple(
    Column(name=name)
    for name in ("history_visits", "history_bought", "history_share", "history_last_bought", "history_visits_since")
)
"""Earlier visits in the table; how many of them ended in a purchase, and what share; whether the last one did (1 or 0);
and how many visits ago it was. The last three are NaN for a shopper's first visit in the table."""


def history(groups: NDArray[np.int64], order: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows x `COLUMNS`. A visit is all rows of one group with one order number; it was bought if any of them was."""
    if not len(labels):
        return np.empty((0, len(COLUMNS)))
    sorted_rows = np.lexsort((order, groups))
    group, number = groups[sorted_rows], order[sorted_rows]
    new_group = np.append(True, group[1:] != group[:-1])
    new_visit = new_group | np.append(True, number[1:] != number[:-1])
    visit_of_row = np.cumsum(new_visit) - 1
    first_row = np.flatnonzero(new_visit)
    bought = np.maximum.reduceat(labels[sorted_rows].astype(np.float64), first_row)
    first_visit = visit_of_row[np.maximum.accumulate(np.where(new_group, np.arange(len(group)), 0))][first_row]
    place = np.arange(len(bought))
    earlier = (place - first_visit).astype(np.float64)
    sums = np.append(0.0, np.cumsum(bought))
    earlier_bought = sums[place] - sums[first_visit]
    is_first = earlier == 0
    share = np.where(is_first, np.nan, earlier_bought / np.maximum(earlier, 1.0))
    last_bought = np.where(is_first, np.nan, np.append(0.0, bought[:-1]))
    numbers = number[first_row]
    since = np.where(is_first, np.nan, numbers - np.append(0.0, numbers[:-1]))
    by_visit = np.column_stack([earlier, earlier_bought, share, last_bought, since])
    found = np.empty((len(labels), len(COLUMNS)))
    found[sorted_rows] = by_visit[visit_of_row]
    return found
