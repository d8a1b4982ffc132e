"""Resampling: how far a number might have come out differently, had other shoppers come."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ROUNDS = 200
LOW, HIGH = 0.025, 0.975


def weights(
    rows: int, groups: NDArray[np.int64] | None, seed: int, rounds: int = ROUNDS
) -> Iterator[NDArray[np.float64]]:
    """For each round, how often each row was drawn.

    Groups (shoppers) are drawn with replacement and bring all their rows, since rows of one shopper are no independent
    evidence; None: each row is its own group.
    """
    rng = np.random.default_rng(seed)
    place = None if groups is None else np.unique(groups, return_inverse=True)[1]
    count = rows if place is None else int(place.max(initial=-1)) + 1
    for _ in range(rounds):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)
        yield drawn if place is None else drawn[place]


def interval(found: NDArray[np.float64]) -> tuple[float, float] | None:
    """The central 95 % of what the rounds found; NaN (a round where the number has no meaning) is left out."""
    known = found[~np.isnan(found)]
    if not len(known):
        return None
    low, high = np.quantile(known, (LOW, HIGH))
    return float(low), float(high)
