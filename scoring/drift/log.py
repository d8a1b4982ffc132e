"""Drift in a log, period by period: the features and scores of its due carts, what became of them, and the checkout."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ringback.decisions import Decision
from ringback.records import CartEvent, Record
from scoring.dataset import Dataset
from scoring.drift.incidents import Funnel, Incident, Period, incidents
from scoring.drift.psi import Floats, Shift, Tally
from scoring.features import feature_hash
from scoring.judging.metrics import log_loss
from scoring.manifest import Manifest

By = Literal["day", "week", "month", "all"]
PERIODS: tuple[By, ...] = get_args(By)


class Look(Record, frozen=True, kw_only=True):
    """What one period looked like.

    ``shifts`` are of each feature and, last, of the score; empty where there were too few rows to tell. ``log_loss`` is
    the model's on the ``matured`` carts: those that nobody was contacted about, and whose horizon the log covers.
    """

    begin: float
    end: float
    rows: int
    shifts: tuple[Shift, ...] = ()
    matured: int = 0
    log_loss: float | None = None

    def over(self, limit: float) -> list[Shift]:
        """The shifts that are over a limit and more than noise, the largest first."""
        return sorted((one for one in self.shifts if one.over(limit)), key=lambda one: -one.psi)


class Report(Record, frozen=True, kw_only=True):
    """``looks`` in order of time. ``incidents`` is None where too little is known of the checkout before."""

    model: str
    looks: tuple[Look, ...]
    incidents: tuple[Incident, ...] | None

    def is_alarming(self, alarm: float) -> bool:
        """Whether anything is over the limit for alarms, or an incident was found."""
        return bool(self.incidents) or any(look.over(alarm) for look in self.looks)


@dataclass(slots=True)
class _Counts:
    features: Tally
    score: Tally
    first: float = math.inf
    last: float = -math.inf
    matured: int = 0
    log_loss: float | None = None


class DriftLog:
    """Takes a log, and tells the drift against a model, which must have frozen bins.

    Of the events it counts the checkout's steps on their way. Rows are due carts: of decisions, where the log has
    them, else those that `scoring.data.rows` replays.
    """

    def __init__(self, manifest: Manifest, by: By) -> None:
        self._manifest = manifest
        self._by: By = by
        self._periods: dict[Period, _Counts] = {}
        self._funnel = Funnel()
        self._first, self._last = math.inf, -math.inf

    def counted(self, events: Iterable[CartEvent]) -> Iterator[CartEvent]:
        """The same events; to be read to their end."""
        for event in events:
            self._first, self._last = min(self._first, event.time), max(self._last, event.time)
            self._funnel.take(event)
            yield event
        self._funnel.finish()

    def decisions(self, decisions: Iterable[Decision]) -> tuple[int, int]:
        """Count decisions; returns how many, and how many are of other features or of a log that was played again."""
        taken = left_out = 0
        for decision in decisions:
            if decision.feature_hash != feature_hash() or decision.replay:
                left_out += 1
                continue
            taken += 1
            counts = self._counts(period_of(decision.time, self._by), decision.time, decision.time)
            counts.features.add(decision.features)
            if decision.model_version == self._manifest.version:
                counts.score.add((decision.score,))
        return taken, left_out

    def rows(self, data: Dataset, scores: Floats) -> None:
        """Count a replay's due rows."""
        for period, places in self._grouped(data):
            times = _times(data)[places]
            counts = self._counts(period, float(times.min()), float(times.max()))
            counts.features.add_all(list(data.vectors[places].T))
            counts.score.add_all([scores[places]])

    def matured(self, data: Dataset, scores: Floats) -> None:
        """Take rows with final labels of shoppers whom nobody contacted."""
        for period, places in self._grouped(data):
            times = _times(data)[places]
            counts = self._counts(period, float(times.min()), float(times.max()))
            counts.matured = len(places)
            counts.log_loss = log_loss(data.labels[places], scores[places])

    def report(self, least_rows: int, quiet: Period | None = None) -> Report:
        """What was found; ``quiet`` is the time in which the checkout was in order, none: that of the training data."""
        looks = tuple(self._look(period, counts, least_rows) for period, counts in sorted(self._periods.items()))
        return Report(model=self._manifest.version, looks=looks, incidents=self._incidents(quiet))

    def _incidents(self, quiet: Period | None) -> tuple[Incident, ...] | None:
        data = self._manifest.data
        if quiet is None and data.first is not None and data.last is not None:
            quiet = (data.first, data.last)
        if quiet is None or self._first > self._last:
            return None
        by: By = "week" if self._by == "all" else self._by
        after = [period for period in periods_between(self._first, self._last, by) if period[0] >= quiet[1]]
        found = incidents(self._funnel, after, quiet)
        return None if found is None else tuple(found)

    def _counts(self, period: Period, first: float, last: float) -> _Counts:
        counts = self._periods.get(period)
        if counts is None:
            references = self._manifest.reference
            counts = self._periods[period] = _Counts(Tally(references[:-1]), Tally(references[-1:]))
        counts.first, counts.last = min(counts.first, first), max(counts.last, last)
        return counts

    def _grouped(self, data: Dataset) -> Iterator[tuple[Period, NDArray[np.int64]]]:
        found: dict[Period, list[int]] = {}
        for place, time in enumerate(_times(data).tolist()):
            found.setdefault(period_of(time, self._by), []).append(place)
        for period, places in found.items():
            yield period, np.array(places, dtype=np.int64)

    def _look(self, period: Period, counts: _Counts, least_rows: int) -> Look:
        begin, end = period if self._by != "all" else (counts.first, counts.last)
        shifts: tuple[Shift, ...] = ()
        if counts.features.rows >= least_rows:
            shifts = counts.features.shifts()
        if counts.score.rows >= least_rows:
            shifts += counts.score.shifts()
        return Look(
            begin=begin,
            end=end,
            rows=counts.features.rows,
            shifts=shifts,
            matured=counts.matured,
            log_loss=counts.log_loss,
        )


def period_of(time: float, by: By) -> Period:
    """The day, week (from Monday) or month (UTC) that a moment is in, epoch seconds; for ``all`` one and the same."""
    if by == "all":
        return 0.0, 0.0
    begin = datetime.fromtimestamp(time, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if by == "day":
        return begin.timestamp(), (begin + timedelta(days=1)).timestamp()
    if by == "week":
        begin -= timedelta(days=begin.weekday())
        return begin.timestamp(), (begin + timedelta(weeks=1)).timestamp()
    begin = begin.replace(day=1)
    return begin.timestamp(), (begin + timedelta(days=31)).replace(day=1).timestamp()


def periods_between(first: float, last: float, by: By) -> list[Period]:
    """All periods from that of ``first`` to that of ``last``; ``by`` is not ``all``."""
    periods = [period_of(first, by)]
    while periods[-1][1] <= last:
        periods.append(period_of(periods[-1][1], by))
    return periods


def _times(data: Dataset) -> Floats:
    if data.times is None:
        raise ValueError("rows of a log have times")
    return data.times
