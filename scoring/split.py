"""How rows are divided into training, early stopping and test, so that the test is honest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scoring.rows import Rows

Mask = NDArray[np.bool_]

TEST_SHARE = 0.25
STOP_SHARE = 0.2
LEAST_BUYERS = 20


@dataclass(frozen=True, slots=True)
class Split:
    """Masks over the rows; no row is in two. ``boundary`` and ``embargo`` are None for a split by shopper."""

    kind: str
    train: Mask
    stop: Mask
    test: Mask
    boundary: float | None = None
    embargo: float | None = None


def split(rows: Rows, horizon: float) -> Split:
    """Forward in time where the log is long enough, else by shopper.

    Forward, the last quarter of the rows is the test, and rows within one horizon before it are left out, because
    their labels were not known yet when the test began. Shoppers may be on both sides, as they are in production. By
    shopper, a quarter of the shoppers is the test. Rows for early stopping are always of shoppers who have none for
    training.
    """
    forward = _forward(rows, horizon)
    return forward if _is_usable(rows, forward) else _by_shopper(rows)


def _forward(rows: Rows, horizon: float) -> Split:
    boundary = float(np.quantile(rows.times, 1.0 - TEST_SHARE)) if len(rows) else 0.0
    past = rows.times + horizon <= boundary
    stop = rows.group < STOP_SHARE
    return Split("forward", past & ~stop, past & stop, rows.times > boundary, boundary, horizon)


def _by_shopper(rows: Rows) -> Split:
    stop = rows.group < STOP_SHARE
    test = rows.group >= 1.0 - TEST_SHARE
    return Split("by_shopper", ~stop & ~test, stop, test)


def _is_usable(rows: Rows, division: Split) -> bool:
    parts = (division.train, division.stop, division.test)
    return all(LEAST_BUYERS <= rows.labels[part].sum() < part.sum() for part in parts)
