"""What is learnt of durations: rings, conversations and wrap-ups. Weak priors, slow forgetting, no tail without a law.

Every answer is a probability in [0, 1] and every hazard is positive and finite, whatever was observed.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def seconds_of(value: float, longest: float) -> float:
    """A duration as it may be used: not a number is 0, and it lies between 0 and ``longest``."""
    return min(max(value, 0.0), longest) if value == value else 0.0  # noqa: PLR0124 - only NaN differs from itself


class Durations:
    """A distribution of durations as a histogram with an exponential law as prior, which is also its tail.

    ``weight`` is how many observations the prior is worth; of ``memory`` observations each later one dims the older.
    """

    def __init__(self, *, step: float, longest: float, mean: float, weight: float, memory: float) -> None:
        self.step = step
        self.edges: Floats = np.arange(0.0, longest + step, step)
        self._prior: Floats = weight * np.diff(-np.expm1(-self.edges / mean), append=1.0)
        self._seen: Floats = np.zeros_like(self._prior)
        self._keep = 1.0 - 1.0 / memory

    def observe(self, seconds: float) -> None:
        """One duration."""
        self._seen *= self._keep
        self._seen[int(seconds_of(seconds, float(self.edges[-1])) / self.step)] += 1.0

    def cumulative(self) -> Floats:
        """The probability to have ended, at each edge; what is missing to 1 lies beyond the last."""
        mass = self._prior + self._seen
        reached = np.cumsum(mass) / mass.sum()
        return np.concatenate(([0.0], reached[:-1]))


class Hazard:
    """How likely a conversation is to end in the next moment, given how long it has lasted.

    Occurrence over exposure in intervals of its length (the piecewise exponential model), so conversations that still
    go on count as well. Each interval leans towards the rate of all.
    """

    EDGES: Floats = np.array(
        [0, 3, 6, 10, 15, 20, 30, 40, 50, 60, 75, 90, 110, 130, 160, 200, 250, 300, 400, 500, 700, 1000, 1500, 2500.0]
    )
    LEAN = 4.0

    def __init__(self, *, mean: float, weight: float, memory: float) -> None:
        self._ended: Floats = np.zeros(len(self.EDGES))
        self._exposed: Floats = np.zeros(len(self.EDGES))
        self._upper: Floats = np.append(self.EDGES[1:], math.inf)
        self._prior = (weight, weight * mean)
        self._keep = 1.0 - 1.0 / memory

    def expose(self, since: Floats, until: Floats) -> None:
        """Conversations went on from one age to another; two arrays of the same length."""
        upper, lower = self._upper, self.EDGES
        spent = np.minimum(until[:, None], upper) - np.maximum(since[:, None], lower)
        self._exposed += np.maximum(spent, 0.0).sum(axis=0)

    def end(self, seconds: float) -> None:
        """A conversation ended."""
        self._ended *= self._keep
        self._exposed *= self._keep
        age = seconds_of(seconds, 1e6)
        self._ended[int(np.searchsorted(self.EDGES, age, side="right")) - 1] += 1.0

    def cumulative(self, ages: Floats) -> Floats:
        """The integral of the hazard from 0 to each age."""
        weight, exposure = self._prior
        rate = (weight + self._ended.sum()) / (exposure + self._exposed.sum())
        hazards = (self.LEAN + self._ended) / (self.LEAN / rate + self._exposed)
        reached = np.concatenate(([0.0], np.cumsum(hazards[:-1] * np.diff(self.EDGES))))
        beyond = np.maximum(ages - self.EDGES[-1], 0.0) * hazards[-1]
        return np.asarray(np.interp(ages, self.EDGES, reached) + beyond)


class Ratio:
    """A part of calls. Forgets in ``seconds``, or in ``calls`` where they come slower; ``weight`` is its prior's."""

    def __init__(self, *, mean: float, weight: float, seconds: float, calls: float) -> None:
        self._mean = mean
        self._weight = weight
        self._seconds = seconds
        self._slowest = 1.0 - 1.0 / calls
        self._hits = 0.0
        self._at = 0.0
        self.calls = 0.0

    def observe(self, now: float, hit: bool) -> None:
        """One more call; whether it is of the part."""
        keep = max(math.exp(-max(now - self._at, 0.0) / self._seconds), self._slowest)
        self._hits = self._hits * keep + hit
        self.calls = self.calls * keep + 1.0
        self._at = now

    @property
    def value(self) -> float:
        """The ratio, strictly between 0 and 1."""
        return (self._weight * self._mean + self._hits) / (self._weight + self.calls)


class Share:
    """The part of calls that a person answers, measured fast and slowly.

    What the last 5 minutes say counts as far as it differs from the last 30 by more than chance would have it.
    """

    FAST, SLOW = 300.0, 1800.0
    CALLS = 80.0
    DOUBT = 2.0

    def __init__(self, *, mean: float, weight: float) -> None:
        slower = self.SLOW / self.FAST
        self._fast = Ratio(mean=mean, weight=weight, seconds=self.FAST, calls=self.CALLS)
        self._slow = Ratio(mean=mean, weight=weight, seconds=self.SLOW, calls=self.CALLS * slower)

    def observe(self, now: float, hit: bool) -> None:
        """One call was resolved; whether by a person."""
        self._fast.observe(now, hit)
        self._slow.observe(now, hit)

    @property
    def value(self) -> float:
        """The share, strictly between 0 and 1."""
        slow = self._slow.value
        apart = self._fast.value - slow
        chance = slow * (1.0 - slow) / max(self._fast.calls, 1.0)
        return slow + apart * apart**2 / (apart**2 + self.DOUBT * chance)
