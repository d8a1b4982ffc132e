"""How well a score finds those whom a contact changes: the Qini curve, its coefficient Q, and the uplift of the top.

Needs a trial, in which chance decided who was treated: only then do the untreated say what the treated would have done.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record
from scoring.judging.bootstrap import ROUNDS, interval, weights

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Name = Literal["q", "effect", "uplift_10", "uplift_20", "uplift_30"]
NAMES: tuple[Name, ...] = get_args(Name)
TOPS: tuple[tuple[Name, float], ...] = (("uplift_10", 0.1), ("uplift_20", 0.2), ("uplift_30", 0.3))


class Estimate(Record, frozen=True, kw_only=True):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def clears_zero(self) -> bool:
        """Whether it is over 0 beyond chance."""
        return self.low > 0


class TrialRanking:
    """Rows of a trial in order of falling score, prepared so that they can be measured many times.

    Rows of equal score have no order among themselves.
    """

    def __init__(self, labels: Mask, treated: Mask, scores: Floats) -> None:
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._treated = treated[self._order].astype(np.float64)
        self._labels = labels[self._order].astype(np.float64)

    def curve(self, weight: Floats | None = None) -> tuple[Floats, Floats]:
        """The Qini curve (Radcliffe 2007): the share of all who are treated, and what that gains per capita of all.

        The gain is the purchases of the treated less those of the untreated, as many as there are treated; both begin
        at 0, with a point for each distinct score.
        """
        return _curve(self._sums(weight))

    def measure(self, weight: Floats | None = None) -> dict[Name, float]:
        """All numbers, with rows counted as often as ``weight`` says (in the rows' own order; None: once each).

        ``q`` is the area between the Qini curve and the straight line to its end. ``effect`` is the difference of the
        arms' shares, ``uplift_30`` that among the 30 % with the highest scores. NaN where an arm is empty.
        """
        sums = self._sums(weight)
        share, gain = _curve(sums)
        return {
            "q": float((np.diff(share) * (gain[1:] + gain[:-1]) / 2).sum() - gain[-1] / 2),
            "effect": _difference(sums, 1.0),
            **{name: _difference(sums, top) for name, top in TOPS},
        }

    def _sums(self, weight: Floats | None) -> tuple[Floats, ...]:
        ones = np.ones(len(self._order)) if weight is None else weight[self._order]
        treated = ones * self._treated
        columns = (ones, treated, treated * self._labels, (ones - treated) * self._labels)
        summed = [np.concatenate([[0.0], np.cumsum(column)[self._ends]]) for column in columns]
        return tuple(summed)


def _curve(sums: Sequence[Floats]) -> tuple[Floats, Floats]:
    rows, treated, bought, bought_anyway = sums
    return rows / rows[-1], (bought - _ratio(bought_anyway, rows - treated) * treated) / rows[-1]


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _difference(sums: Sequence[Floats], top: float) -> float:
    rows = sums[0]
    taken, treated, bought, bought_anyway = (float(np.interp(top * rows[-1], rows, column)) for column in sums[:4])
    untreated = taken - treated
    return bought / treated - bought_anyway / untreated if treated and untreated else float("nan")


def measure(labels: Mask, treated: Mask, scores: Floats) -> dict[Name, float]:
    """All numbers of one score; see `TrialRanking.measure`."""
    return TrialRanking(labels, treated, scores).measure()


def estimates(
    labels: Mask,
    treated: Mask,
    scores: dict[str, Floats],
    groups: NDArray[np.int64] | None = None,
    seed: int = 7,
    rounds: int = ROUNDS,
) -> tuple[dict[str, dict[Name, Estimate]], dict[tuple[str, str], Estimate]]:
    """What several scores are worth on the same rows: their numbers by name, and by pair how much more Q the first has.

    ``scores`` has for each name one column a way of scoring (say, a repetition of the cross-fitting); numbers are means
    over the columns. Intervals come from drawing shoppers (``groups``; None: rows) with replacement, the same ones for
    all. A number that has no meaning on the rows is left out.
    """
    rankings = {
        name: [TrialRanking(labels, treated, column) for column in columns.T] for name, columns in scores.items()
    }

    def measured(weight: Floats | None = None) -> Floats:
        return np.array([_mean(columns, weight) for columns in rankings.values()])

    point = measured()
    drawn = np.array([measured(weight) for weight in weights(len(labels), groups, seed, rounds)])
    names = list(rankings)
    found = {
        name: {
            number: estimate
            for column, number in enumerate(NAMES)
            if (estimate := _estimate(point[row, column], drawn[:, row, column])) is not None
        }
        for row, name in enumerate(names)
    }
    differences = {
        (names[a], names[b]): estimate
        for a in range(len(names))
        for b in range(len(names))
        if a != b and (estimate := _estimate(point[a, 0] - point[b, 0], drawn[:, a, 0] - drawn[:, b, 0])) is not None
    }
    return found, differences


def _mean(rankings: Sequence[TrialRanking], weight: Floats | None) -> list[float]:
    numbers = [ranking.measure(weight) for ranking in rankings]
    return [float(np.mean([one[name] for one in numbers])) for name in NAMES]


def _estimate(value: float, drawn: Floats) -> Estimate | None:
    ends = interval(drawn)
    return None if ends is None or np.isnan(value) else Estimate(value=float(value), low=ends[0], high=ends[1])
