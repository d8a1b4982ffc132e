"""How rows are divided into training and test, so that the test is honest.

A shopper's rows are never on both sides. Sides are drawn by a hash of the shopper's number alone: who is tested on is
tested on in the next log too, and for every seed, so models of overlapping logs can be compared on the same people.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scoring.dataset import Dataset, Mask

TEST_SHARE = 0.2
# Forward, both shoppers and time are divided: the test is this share of the shoppers in the last part of the time.
FORWARD_TEST_SHOPPERS = 0.3
FORWARD_TEST_TIME = 0.25
LEAST_POSITIVES = 20


@dataclass(frozen=True, slots=True)
class Split:
    """Masks over the rows; no row and no shopper is in both. ``boundary`` and ``embargo`` are those of a forward one.

    ``grouped`` is by shopper, ``random`` by row where nobody knows whose rows they are.
    """

    kind: Literal["forward", "grouped", "random"]
    train: Mask
    test: Mask
    boundary: float | None = None
    embargo: float | None = None


def split(data: Dataset) -> Split:
    """Forward in time where the rows have times and both sides get buyers enough, else by shopper."""
    if data.times is not None:
        division = forward(data, data.horizon or 0.0)
        if is_usable(data, division):
            return division
    return grouped(data)


def forward(data: Dataset, horizon: float, test_share: float = FORWARD_TEST_TIME) -> Split:
    """Trained on the past of some shoppers, tested on the future of the others.

    Rows within one ``horizon`` (seconds) before the boundary are in neither part: their labels were not known yet when
    the test began. Other ways to part the shoppers would choose by who came back, which training can't know. Raises
    `ValueError` for rows without times.
    """
    if data.times is None:
        raise ValueError("rows without times can't be split forward")
    boundary = float(np.quantile(data.times, 1.0 - test_share)) if len(data) else 0.0
    past, future = data.times + horizon <= boundary, data.times > boundary
    if data.groups is None:
        return Split("forward", past, future, boundary, horizon)
    tested = _draw(data, seed=0) < FORWARD_TEST_SHOPPERS
    return Split("forward", past & ~tested, future & tested, boundary, horizon)


def grouped(data: Dataset, seed: int = 0, test_share: float = TEST_SHARE) -> Split:
    """A share of the shoppers is the test; of rows without shoppers, a share of the rows."""
    test = _draw(data, seed) < test_share
    return Split("random" if data.groups is None else "grouped", ~test, test)


def folds(data: Dataset, k: int, seed: int = 0) -> NDArray[np.int64]:
    """A number from 0 to k - 1 for each row, the same for all rows of a shopper."""
    # Another salt than that of the test: within the training part, its draws are no longer uniform.
    return (_draw(data, seed + 1_000_003) * k).astype(np.int64)


def is_usable(data: Dataset, division: Split) -> bool:
    """Whether both parts have at least 20 rows of either label."""
    counts = ((int(data.labels[part].sum()), int(part.sum())) for part in (division.train, division.test))
    return all(min(positives, rows - positives) >= LEAST_POSITIVES for positives, rows in counts)


def _draw(data: Dataset, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, by its shopper or else its place (splitmix64, Steele et al. 2014)."""
    numbers = np.arange(len(data)) if data.groups is None else data.groups
    mixed = numbers.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53
