"""Plays a log as the stream would have followed it: carts judged when they become due, vectors as they were served.

Shoppers are followed by the stream's own rule (`scoring.fold`). What is bounded: who was silent for as long as the
stream remembers a shopper is forgotten, as it is there. Two shoppers who turn out to be one have one state in the
stream, made of what is not in the log (`stream.merge`); so where both had one, only served vectors make rows of them
from then on, until they are forgotten.
"""

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ringback.cart import CHANGES, PASSIVE
from ringback.decisions import Decision
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind
from scoring.data.columns import FOR_EVER, NEVER, Numbers
from scoring.errors import TrainingError
from scoring.features import FEATURES, feature_hash, vector
from scoring.fold import Folded, advanced, waiting_since

DAY = 86400.0
FORGET_AFTER_SECONDS = 30 * DAY
REMEMBERED_EVENTS = 32
GIVEN_BACK = frozenset({EventKind.ORDER_CANCELLED, EventKind.ORDER_REFUNDED})
_PRINT_BYTES = 8
_LOW_BITS = 32
_DRAWS = 2**31
NOTHING = Folded()

Vector = tuple[float, ...]


def number_of(shopper_id: str) -> int:
    """A shopper's number: a stable hash of the id, of 63 bits."""
    return int.from_bytes(blake2b(shopper_id.encode(), digest_size=8).digest()) >> 1


def draws(numbers: Numbers) -> NDArray[np.float64]:
    """A share in [0, 1) for each shopper, by which whole shoppers are left out; independent of `groups`."""
    return np.asarray((numbers >> _LOW_BITS) / _DRAWS, dtype=np.float64)


def groups(numbers: Numbers) -> NDArray[np.float64]:
    """A share in [0, 1) for each shopper, by which splits keep a shopper's rows together."""
    return np.asarray((numbers & (2**_LOW_BITS - 1)) / 2**_LOW_BITS, dtype=np.float64)


class Sink(Protocol):
    """What takes the rows of a replay. ``number`` is a shopper's; times are epoch seconds."""

    def row(self, number: int, time: float, row: Vector, *, due: bool) -> None:
        """A vector as it was at a moment."""
        ...

    def ordered(self, number: int, time: float) -> None:
        """A shopper has bought."""
        ...

    def joined(self, number: int, other: int) -> None:
        """The shopper with the second number is the same person as the first."""
        ...


@dataclass(slots=True)
class _Shopper:
    number: int
    last: float
    folded: Folded = NOTHING
    judged: float | None = None
    seen: bytes = b""
    erased: float = NEVER
    known: bool = True  # whether ``folded`` is what the stream had; see the module's docstring


class Replay:
    """One pass through a log; `play` is called once.

    ``gap`` is `stream.abandon_after`, ``forget_after`` `stream.forget_after`. ``keep`` says of a shopper's number
    whether the shopper is followed at all. With ``decisions`` (in order of time) the rows of due carts have the vectors
    that were served; where `scoring.features` has changed since, the replay's own.
    """

    def __init__(
        self,
        sink: Sink,
        gap: float,
        *,
        decisions: Iterable[Decision] = (),
        forget_after: float = FORGET_AFTER_SECONDS,
        keep: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self.events = 0
        self.first, self.last = 0.0, NEVER
        self.refused: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.served = 0
        self.differing = 0
        self.could_be_contacted = False
        self._sink = sink
        self._gap = gap
        self._forget_after = forget_after
        self._keep = keep
        self._shoppers: dict[str, _Shopper] = {}
        self._moved: dict[str, str] = {}
        self._due: list[tuple[float, str]] = []
        self._decisions = _in_time(decisions)
        self._next = next(self._decisions, None)
        self._forgetting = NEVER
        self._numbers = array("q")

    def play(self, events: Iterable[CartEvent]) -> Iterator[CartEvent]:
        """Follow the events, which are in order of time, and give each on when it was taken.

        Raises `TrainingError` where they are not in order of time, naming the first one that is not.
        """
        for event in _in_order(events):
            if not self.events:
                self.first = event.time
            self._settle(event.time)
            self.events, self.last = self.events + 1, event.time
            self._take(event)
            yield event
        if self.events:
            self._settle(self.last)

    def numbers(self) -> Numbers:
        """The numbers of the shoppers who were followed; who was forgotten meanwhile comes again."""
        return np.array(self._numbers, dtype=np.int64)

    def forget_those_not_kept(self) -> None:
        """Let go of the shoppers whom ``keep`` does not want any more."""
        self._shoppers = {id_: one for id_, one in self._shoppers.items() if self._keep(one.number)}
        self._due = [(due, id_) for due, id_ in self._due if id_ in self._shoppers]
        heapq.heapify(self._due)

    def _take(self, event: CartEvent) -> None:
        if event.kind in GIVEN_BACK and event.order_id is None:
            # The stream makes a dead letter of it, and does not count it as a sign of its shopper.
            self.refused[DeadLetterReason.WRONG_TYPE] += 1
            return
        shopper_id = self._present(event.shopper_id)
        shopper = self._shoppers.pop(shopper_id, None)
        if shopper is None:
            number = number_of(shopper_id)
            if not self._keep(number):
                self.left_out["events of shoppers who are too many"] += 1
                return
            shopper = _Shopper(number, event.time)
            self._numbers.append(number)
        elif shopper.last < event.time - self._forget_after:
            shopper = _Shopper(shopper.number, event.time)
        # The last in the dictionary is who was heard of last: so those to be forgotten are found at its beginning.
        self._shoppers[shopper_id] = shopper
        self._forget(event.time)
        if _is_repeated(shopper, event):
            self.left_out["repeated events"] += 1
            return
        shopper.last = event.time
        if event.time <= shopper.erased:
            return
        if event.kind in PASSIVE:
            self._tell(shopper_id, shopper, event)
        else:
            self._follow(shopper_id, shopper, event)

    def _follow(self, shopper_id: str, shopper: _Shopper, event: CartEvent) -> None:
        before = shopper.folded
        try:
            after = advanced(before, event)
        except BadEvent as error:
            self.refused[error.reason] += 1
            return
        shopper.folded = after
        if event.kind is EventKind.ORDER_COMPLETED and not _knows(before, event):
            self._sink.ordered(shopper.number, event.time)
        cart = after.cart
        if cart is None:
            shopper.judged = None
            return
        since = waiting_since(cart, shopper.judged)
        if since is not None and since != waiting_since(before.cart, shopper.judged):
            heapq.heappush(self._due, (since + self._gap, shopper_id))
        if cart.lines and event.kind in CHANGES:
            if shopper.known:
                self._sink.row(shopper.number, event.time, vector(after.features, cart, event.time), due=False)
            else:
                self.left_out["rows of joined shoppers"] += 1

    def _tell(self, shopper_id: str, shopper: _Shopper, event: CartEvent) -> None:
        if event.kind is EventKind.ERASED:
            shopper.folded, shopper.judged, shopper.known = NOTHING, None, True
            shopper.erased = event.time
        elif event.other is not None and event.other != shopper_id:
            if event.kind is EventKind.MOVED:
                self._join(self._present(event.other), shopper_id)
            elif event.kind in (EventKind.ABSORBED, EventKind.HANDED_OVER):
                self._join(shopper_id, self._present(event.other))

    def _join(self, winner_id: str, loser_id: str) -> None:
        if winner_id == loser_id:
            return
        loser = self._shoppers.pop(loser_id, None)
        winner = self._shoppers.get(winner_id)
        self._moved[loser_id] = winner_id
        number = winner.number if winner else number_of(winner_id)
        self._sink.joined(number, loser.number if loser else number_of(loser_id))
        if loser is None or loser.folded == NOTHING or not self._keep(number):
            return
        if winner is None or winner.folded == NOTHING:
            seen = (winner.seen if winner else b"") + loser.seen
            self._shoppers[winner_id] = _Shopper(
                number, loser.last, loser.folded, loser.judged, seen, known=loser.known
            )
            since = waiting_since(loser.folded.cart, loser.judged)
            if since is not None:
                heapq.heappush(self._due, (since + self._gap, winner_id))
        else:
            winner.known = False
            winner.seen += loser.seen

    def _present(self, shopper_id: str) -> str:
        while (moved := self._moved.get(shopper_id)) is not None:
            shopper_id = moved
        return shopper_id

    def _forget(self, now: float) -> None:
        if now < self._forgetting:
            return
        while self._shoppers:
            shopper_id = next(iter(self._shoppers))
            last = self._shoppers[shopper_id].last
            if last >= now - self._forget_after:
                self._forgetting = last + self._forget_after
                return
            del self._shoppers[shopper_id]

    def _settle(self, until: float) -> None:
        """Judge what is due, and take the decisions that were made, moment by moment."""
        while True:
            decided = FOR_EVER if self._next is None else self._next.time
            moment = min(decided, self._due[0][0] if self._due else FOR_EVER)
            if moment > until:
                return
            replayed = self._judge(moment)
            while self._next is not None and self._next.time == moment:
                self._decided(self._next, replayed)
                self._next = next(self._decisions, None)
            for shopper, row in replayed.values():
                self._sink.row(shopper.number, moment, row, due=True)

    def _judge(self, moment: float) -> dict[str, tuple[_Shopper, Vector]]:
        rows: dict[str, tuple[_Shopper, Vector]] = {}
        while self._due and self._due[0][0] == moment:
            _, shopper_id = heapq.heappop(self._due)
            shopper = self._shoppers.get(shopper_id)
            if shopper is None:
                continue
            cart = shopper.folded.cart
            since = waiting_since(cart, shopper.judged)
            if cart is None or since is None or since + self._gap != moment:
                continue
            shopper.judged = moment
            if shopper.known:
                rows[shopper_id] = (shopper, vector(shopper.folded.features, cart, moment))
        return rows

    def _decided(self, decision: Decision, replayed: dict[str, tuple[_Shopper, Vector]]) -> None:
        self.could_be_contacted |= decision.arm == "treated" and not decision.replay
        shopper_id = self._present(decision.shopper_id)
        if not self.events or decision.time < self.first:
            self.left_out["decisions before the first event"] += 1
            return
        shopper = self._shoppers.get(shopper_id)
        number = shopper.number if shopper else number_of(shopper_id)
        if not self._keep(number):
            return
        if decision.feature_hash != feature_hash() or len(decision.features) != len(FEATURES):
            self.left_out["decisions of other features"] += 1
            return
        row = served(decision)
        own = replayed.pop(shopper_id, None)
        self.served += 1
        self.differing += own is not None and not np.array_equal(own[1], row, equal_nan=True)
        self._sink.row(number, decision.time, row, due=True)


def served(decision: Decision) -> Vector:
    """The vector that a decision was made on, NaN where a feature was missing."""
    return tuple(np.nan if number is None else number for number in decision.features)


def _knows(folded: Folded, event: CartEvent) -> bool:
    name = event.order_id or event.event_id
    return any(order.order_id == name for order in folded.orders)


def _is_repeated(shopper: _Shopper, event: CartEvent) -> bool:
    """Whether an event is among the shopper's last ones; if not, it is from now on."""
    print_ = blake2b(f"{event.source}\0{event.event_id}".encode(), digest_size=_PRINT_BYTES).digest()
    seen = shopper.seen
    at = seen.find(print_)
    while at % _PRINT_BYTES and at != -1:
        at = seen.find(print_, at + 1)
    if at != -1:
        return True
    shopper.seen = seen[-(REMEMBERED_EVENTS - 1) * _PRINT_BYTES :] + print_
    return False


def _in_order(events: Iterable[CartEvent]) -> Iterator[CartEvent]:
    """The events, those of one moment in the order in which the stream tells them; raises `TrainingError`."""
    last = NEVER
    for time, same in groupby(events, key=lambda event: event.time):
        moment = list(same)
        if time < last:
            raise TrainingError(
                f"event {moment[0].event_id} of {moment[0].source} is at {time:.3f}, after one at {last:.3f}: "
                "sort the log by time first"
            )
        if len(moment) > 1:
            moment.sort(key=lambda event: (event.event_id, event.source))
        last = time
        yield from moment


def _in_time(decisions: Iterable[Decision]) -> Iterator[Decision]:
    """The decisions, each once; raises `TrainingError` where they are not in order of time."""
    last, seen = NEVER, set[str]()
    for decision in decisions:
        if decision.time < last:
            raise TrainingError(
                f"decision {decision.decision_id} is at {decision.time:.3f}, after one at {last:.3f}: "
                "sort the decisions by time first"
            )
        if decision.time > last:
            last = decision.time
            seen.clear()
        if decision.decision_id not in seen:
            seen.add(decision.decision_id)
            yield decision
