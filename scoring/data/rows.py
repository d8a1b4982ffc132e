"""Training rows from a log of events: the same replay that the stream does, with the future as the label.

A row is made where the stream scores: at each change of a cart, and when the cart becomes due. Its vector knows the
events up to that moment; its label is whether the same shopper bought strictly after it, within the horizon, with
nobody's help: rows of shoppers who were reached by a call or a message around then are left out.

Memory is bounded, whatever the length of the log: rows lie in arrays, there are at most ``most_rows`` of them, and
shoppers are forgotten as the stream forgets them.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ringback.decisions import Decision
from ringback.records import CartEvent, ContactEvent, encode
from scoring.data.columns import Chunks, Moments, following, preceding
from scoring.data.contacts import reached
from scoring.data.logs import Log
from scoring.data.replay import FORGET_AFTER_SECONDS, Replay, Vector, draws, groups
from scoring.dataset import Column, Dataset
from scoring.errors import TrainingError
from scoring.features import FEATURES, VISIT_GAP_SECONDS
from scoring.manifest import DataSource

__all__ = ["MOST_ROWS", "Rows", "TrainingError", "log_rows", "prefix_rows"]

MOST_ROWS = 2_000_000
PROGRESS_EVERY = 10_000
# A log whose last shopper alone has more rows than are wanted is kept as it is.
LEAST_SHARE = 2.0**-24


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order of time; all arrays are as long as there are rows.

    ``shopper`` tells shoppers apart: a stable hash of the id; ``group`` is another one, in [0, 1), by which splits keep
    a shopper's rows together; ``due`` marks rows at abandonment. ``first`` and ``last`` are the times of the log's
    ends. ``refused`` counts events that the cart refused, and ``left_out``, by reason, whatever else was read and makes
    no row. ``share`` of the shoppers were kept. ``served`` rows have vectors from decisions; ``differing`` counts those
    of which the replay makes another one: where that is more than a few, training does not see what serving sees.
    """

    vectors: NDArray[np.float64]
    labels: NDArray[np.bool_]
    times: NDArray[np.float64]
    due: NDArray[np.bool_]
    shopper: NDArray[np.int64]
    group: NDArray[np.float64]
    sha256: str
    events: int
    refused: int
    shoppers: int
    first: float
    last: float
    horizon: float
    gap: float
    left_out: dict[str, int]
    share: float = 1.0
    served: int = 0
    differing: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def dataset(self, name: str, licence: str = "unknown") -> Dataset:
        """The rows as training and judging take them. ``name`` and ``licence`` are those of the log."""
        source = DataSource(
            name=name,
            licence=licence,
            sha256=self.sha256,
            events=self.events,
            refused_events=self.refused,
            shoppers=self.shoppers,
            first=self.first,
            last=self.last,
            left_out=self.left_out,
            share=self.share,
            served=self.served,
            differing=self.differing,
        )
        return Dataset(
            kind="log",
            columns=tuple(
                Column(name=feature.name, kind="category" if feature.levels else "number", levels=feature.levels)
                for feature in FEATURES
            ),
            vectors=self.vectors,
            labels=self.labels,
            times=self.times,
            groups=self.shopper,
            due=self.due,
            source=source,
            horizon=self.horizon,
        )


class _Collector:
    """Rows without their labels, which only the rest of the log can tell; a `scoring.data.replay.Sink`."""

    def __init__(self, most_rows: int) -> None:
        self.chunks = Chunks(len(FEATURES))
        self.orders = Moments()
        self.same: dict[int, int] = {}
        self.share = 1.0
        self._most = most_rows

    def keeps(self, number: int) -> bool:
        """Whether a shopper's rows are wanted."""
        return self.share == 1.0 or bool(draws(np.array([number], dtype=np.int64))[0] < self.share)

    def is_full(self) -> bool:
        return len(self.chunks) > self._most and self.share > LEAST_SHARE

    def halve(self) -> None:
        """Leave out half of the shoppers, whole."""
        self.share /= 2
        self.chunks.keep(lambda numbers: draws(numbers) < self.share)
        self.orders.keep(lambda numbers: draws(numbers) < self.share)

    def row(self, number: int, time: float, row: Vector, *, due: bool) -> None:
        self.chunks.add(number, time, row, due=due)

    def ordered(self, number: int, time: float) -> None:
        self.orders.add(number, time)

    def joined(self, number: int, other: int) -> None:
        self.same[other] = number

    def person(self, number: int) -> int:
        """The number by which a shopper who was several is counted."""
        while (same := self.same.get(number)) is not None:
            number = same
        return number

    def people(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """`person` of each."""
        if not self.same or not len(numbers):
            return numbers
        distinct, place = np.unique(numbers, return_inverse=True)
        return np.array([self.person(int(number)) for number in distinct], dtype=np.int64)[place]

    def split_people(self) -> NDArray[np.int64]:
        """People of whom not every half was kept: nothing of them may stay."""
        if self.share == 1.0:
            return np.empty(0, dtype=np.int64)
        halves = {half: self.person(half) for half in self.same}
        lost = {person for half, person in halves.items() if not (self.keeps(half) and self.keeps(person))}
        return np.array(sorted(lost), dtype=np.int64)


def prefix_rows(
    events: Iterable[CartEvent],
    horizon: float,
    gap: float = VISIT_GAP_SECONDS,
    *,
    contacts: Iterable[ContactEvent] | None = None,
    decisions: Iterable[Decision] | None = None,
    uncovered: bool = False,
    most_rows: int = MOST_ROWS,
    forget_after: float = FORGET_AFTER_SECONDS,
    progress: Callable[[int], None] | None = None,
) -> Rows:
    """Replay a log, in order of time, into rows.

    ``horizon``, ``gap`` (without activity until a cart is due: `stream.abandon_after`) and ``forget_after`` are
    seconds. Rows whose horizon reaches beyond the log's end are left out, as nobody knows their label.
    ``uncovered=True`` keeps them, for logs shorter than a few horizons: "bought before the log ended" is then all that
    a negative label denies, and base rate and scores come out too low. An event that the cart refuses (`BadEvent`) is
    counted and skipped, as the stream would. ``progress`` is told the number of events read, now and then.

    ``decisions`` are in order of time; rows at abandonment then have the vectors that were served. ``contacts`` are in
    any order; rows of a shopper who was reached within one horizon before or after them are left out. Of a log with
    more than ``most_rows`` rows whole shoppers are left out, by a hash of their ids: the same log, the same rows.

    Raises `TrainingError` where events or decisions are not in order of time, naming the first that is not, and where
    there are decisions to contact shoppers, but not the contacts.
    """
    digest = hashlib.sha256()
    rows = _Collector(most_rows)
    replay = Replay(rows, gap, decisions=decisions or (), forget_after=forget_after, keep=rows.keeps)
    for event in replay.play(events):
        digest.update(encode(event))
        if rows.is_full():
            rows.halve()
            replay.forget_those_not_kept()
        if progress is not None and replay.events % PROGRESS_EVERY == 0:
            progress(replay.events)
    if replay.could_be_contacted and contacts is None:
        raise TrainingError(
            "the log has decisions to contact shoppers, but not the contacts: who bought after a call teaches "
            "the model its own effect. Export the contacts too (ringback export --topic contacts …)"
        )
    return _labelled(rows, replay, digest.hexdigest(), contacts or (), horizon, gap, uncovered=uncovered)


def log_rows(
    log: Log,
    horizon: float,
    gap: float = VISIT_GAP_SECONDS,
    *,
    uncovered: bool = False,
    most_rows: int = MOST_ROWS,
    forget_after: float = FORGET_AFTER_SECONDS,
    progress: Callable[[int], None] | None = None,
) -> Rows:
    """`prefix_rows` of an exported log; what could be read and not used is among ``left_out``.

    Raises `TrainingError`, for a log without cart events too.
    """
    rows = prefix_rows(
        log.events,
        horizon,
        gap,
        contacts=log.contacts,
        decisions=log.decisions,
        uncovered=uncovered,
        most_rows=most_rows,
        forget_after=forget_after,
        progress=progress,
    )
    if not rows.events:
        raise TrainingError(f"{log.name or 'the log'}: there are no cart events; export them, or give another log")
    return replace(rows, left_out=rows.left_out | log.refused())


def _labelled(
    rows: _Collector,
    replay: Replay,
    digest: str,
    contacts: Iterable[ContactEvent],
    horizon: float,
    gap: float,
    *,
    uncovered: bool,
) -> Rows:
    numbers, times, due = rows.chunks.columns()
    numbers = rows.people(numbers)
    bought = _of_people(rows, rows.orders)
    met = _of_people(rows, reached(contacts))
    known = np.full(len(times), uncovered) | (times + horizon <= replay.last)
    alone = (following(numbers, times, met) > times + horizon) & (preceding(numbers, times, met) < times - horizon)
    whole = ~np.isin(numbers, rows.split_people())
    kept = known & alone & whole
    next_order = following(numbers[kept], times[kept], bought)
    left_out = dict(replay.left_out)
    left_out |= {f"events refused as {reason}": count for reason, count in replay.refused.items()}
    left_out |= {
        "rows whose label is not known yet": int((~known & whole).sum()),
        "rows of contacted shoppers": int((known & ~alone & whole).sum()),
    }
    numbers, times = numbers[kept], times[kept]
    everybody = rows.people(np.unique(replay.numbers()))
    return Rows(
        vectors=rows.chunks.take_vectors(kept),
        labels=next_order <= times + horizon,
        times=times,
        due=due[kept],
        shopper=numbers,
        group=groups(numbers),
        sha256=digest,
        events=replay.events,
        refused=sum(replay.refused.values()),
        shoppers=len(np.unique(everybody[draws(everybody) < rows.share])),
        first=replay.first,
        last=replay.last if replay.events else 0.0,
        horizon=horizon,
        gap=gap,
        left_out={reason: count for reason, count in left_out.items() if count},
        share=rows.share,
        served=replay.served,
        differing=replay.differing,
    )


def _of_people(rows: _Collector, moments: Moments) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    numbers, times = moments.columns()
    return rows.people(numbers), times
