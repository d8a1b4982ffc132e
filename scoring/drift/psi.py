"""How far what a model sees today is from what it was trained on: the population stability index (PSI).

The bins are frozen when the model is trained and travel in its manifest. PSI is the symmetric Kullback-Leibler
divergence of the shares per bin: 0 for equal shares; by custom, from 0.1 on a model is to be watched, and from 0.25 on
it should not be believed (Siddiqi, Credit Risk Scorecards, 2006).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record

if TYPE_CHECKING:
    from scoring.dataset import Dataset

SCORE = "score"
WARN, ALARM = 0.1, 0.25
LEAST_ROWS = 1000
BINS = 10
# An empty bin would make the index infinite; a share this small counts as this.
LEAST_SHARE = 1e-4

Floats = NDArray[np.float64]


class Reference(Record, frozen=True, kw_only=True):
    """How one feature, or the score, was distributed over the ``rows`` that a model was trained on.

    A feature of few different values has them as ``levels``; another one has ``edges``, the inner edges of its quantile
    bins, each bin with its upper edge. ``shares`` are of all rows, one for each level or bin, and ``missing`` is the
    share of rows without a value: together they are 1.
    """

    name: str
    shares: tuple[float, ...]
    missing: float
    rows: int
    edges: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()

    @property
    def expected(self) -> tuple[float, ...]:
        """The share of each place: the bins or the levels, values that are none of the levels, missing values."""
        return (*self.shares, 0.0, self.missing)

    def place(self, value: float) -> int:
        """Where a value is counted: an index into `expected`."""
        if math.isnan(value):
            return len(self.shares) + 1
        if not self.levels:
            return bisect_left(self.edges, value)
        found = bisect_left(self.levels, value)
        return found if found < len(self.levels) and self.levels[found] == value else len(self.levels)

    def counts(self, values: Floats) -> Floats:
        """How many values are at each place of `expected`."""
        known = values[~np.isnan(values)]
        inner = np.asarray(self.levels or self.edges, dtype=np.float64)
        places = np.searchsorted(inner, known, side="left")
        if self.levels:
            seen = inner[np.minimum(places, len(inner) - 1)] == known
            places = np.where(seen, places, len(inner))
        counts = np.bincount(places, minlength=len(self.shares) + 2).astype(np.float64)
        counts[-1] = len(values) - len(known)
        return counts


def reference(data: "Dataset", scores: Floats) -> tuple[Reference, ...]:
    """The frozen bins of each column of ``data``, and last those of the model's ``scores`` on it.

    Of a log only the rows at abandonment count, because decisions are taken on such rows. Raises `ValueError` where
    there are no rows.
    """
    rows = np.ones(len(scores), dtype=np.bool_) if data.due is None or not data.due.any() else data.due
    columns = [
        _reference(column.name, values, len(column.levels) if column.kind == "category" else None)
        for column, values in zip(data.columns, data.vectors[rows].T, strict=True)
    ]
    return (*columns, _reference(SCORE, scores[rows], None))


def _reference(name: str, values: Floats, categories: int | None) -> Reference:
    if not len(values):
        raise ValueError(f"{name}: there are no rows to be compared with later")
    known = values[np.isfinite(values)]
    distinct = np.unique(known) if categories is None else np.arange(categories, dtype=np.float64)
    levels, edges = distinct, distinct[:0]
    if categories is None and len(distinct) > BINS:
        # An edge at the greatest value would leave the last bin empty.
        quantiles = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
        levels, edges = edges, np.unique(quantiles[quantiles < distinct[-1]])
    bare = Reference(
        name=name,
        shares=(0.0,) * (len(levels) or len(edges) + 1),
        missing=0.0,
        rows=len(values),
        edges=tuple(edges.tolist()),
        levels=tuple(levels.tolist()),
    )
    shares = (bare.counts(values) / len(values)).tolist()
    return Reference(
        name=name,
        # What no category stands for, and infinities among levels, are the missing ones of the training data.
        shares=tuple(shares[:-2]),
        missing=shares[-2] + shares[-1],
        rows=bare.rows,
        edges=bare.edges,
        levels=bare.levels,
    )


def psi(reference: Reference, counts: Sequence[float] | Floats) -> float:
    """The PSI of rows that are counted by place (see `Reference.counts`) against the reference; 0 for no rows."""
    total = float(sum(counts))
    if not total:
        return 0.0
    # That none of 50 rows is in a bin does not tell that a share is less than one in a hundred.
    least = max(LEAST_SHARE, 0.5 / total)
    index = 0.0
    for expected, count in zip(reference.expected, counts, strict=True):
        then, now = max(expected, least), max(float(count) / total, least)
        index += (now - then) * math.log(now / then)
    return index


def chance(reference: Reference, rows: float, tests: int = 1) -> float:
    """The PSI that ``rows`` rows of the very same distribution stay under in 999 of 1,000 looks at ``tests`` of them.

    Without drift, PSI / (1/rows + 1/reference.rows) is distributed like chi-squared with one degree of freedom fewer
    than there are bins (Yurdakul, Statistical properties of population stability index, 2018); its quantile is Wilson
    and Hilferty's. Rows are taken to be independent.
    """
    freedom = max(1, sum(share > 0 for share in reference.expected) - 1)
    z = NormalDist().inv_cdf(1 - 0.001 / tests)
    spread = 2 / (9 * freedom)
    quantile = freedom * (1 - spread + z * math.sqrt(spread)) ** 3
    return float(quantile * (1 / rows + 1 / reference.rows))


@dataclass(frozen=True, slots=True)
class Shift:
    """How one feature, or the score, is now: ``missing`` and ``unseen`` are shares of the rows.

    ``unseen`` counts values that are none of the reference's levels. ``chance`` is what noise alone may reach.
    """

    name: str
    rows: int
    psi: float
    missing: float
    missing_then: float
    unseen: float
    chance: float

    def over(self, limit: float) -> bool:
        """Whether the PSI is over a limit, and more than noise."""
        return self.psi > max(limit, self.chance)


def shift(reference: Reference, counts: Sequence[float] | Floats, tests: int = 1) -> Shift:
    """What counts by place say; ``tests`` is how many features are looked at together. There must be rows."""
    rows = float(sum(counts))
    return Shift(
        name=reference.name,
        rows=round(rows),
        psi=psi(reference, counts),
        missing=float(counts[-1]) / rows,
        missing_then=reference.missing,
        unseen=float(counts[-2]) / rows,
        chance=chance(reference, rows, tests),
    )


class Tally:
    """Rows counted by place in the bins of each reference; a row has one value a reference, None where missing."""

    def __init__(self, references: Sequence[Reference]) -> None:
        self.references = tuple(references)
        self.rows = 0
        self._counts = [[0] * len(reference.expected) for reference in self.references]

    def add(self, values: Sequence[float | None]) -> bytes:
        """Count a row; returns its places, by which it can be taken back."""
        places = bytes(
            reference.place(math.nan if value is None else value)
            for reference, value in zip(self.references, values, strict=True)
        )
        for counts, place in zip(self._counts, places, strict=True):
            counts[place] += 1
        self.rows += 1
        return places

    def add_all(self, columns: Sequence[Floats]) -> None:
        """Count many rows, given as a column a reference."""
        for at, (reference, values) in enumerate(zip(self.references, columns, strict=True)):
            found = reference.counts(values).astype(np.int64).tolist()
            self._counts[at] = [a + b for a, b in zip(self._counts[at], found, strict=True)]
        self.rows += len(columns[0])

    def take_back(self, places: bytes) -> None:
        """Count a row no longer."""
        for counts, place in zip(self._counts, places, strict=True):
            counts[place] -= 1
        self.rows -= 1

    def shift(self, index: int, tests: int = 1) -> Shift:
        """How one feature was in these rows; there must be some."""
        return shift(self.references[index], tuple(self._counts[index]), tests)

    def shifts(self) -> tuple[Shift, ...]:
        """How each feature was in these rows; there must be some."""
        return tuple(self.shift(index, len(self.references)) for index in range(len(self.references)))
