"""One partition of the shoppers: records in, effects out. Pure but for the states it keeps; no I/O and no clock.

What it decides depends on nothing but the order of the records in the partition: before an event is applied, every cart
that its time makes due is judged. So a replay, a restarted worker and a test all come to the same decisions.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Protocol, TypeVar

import msgspec

from ringback.cart import PASSIVE
from ringback.clock import Clock
from ringback.decisions import Decision, Lead, Message, Route
from ringback.envelope import is_packed, partition_of
from ringback.errors import BadEvent
from ringback.records import (
    CartEvent,
    Channel,
    ContactEvent,
    ContactKind,
    Conversion,
    DeadLetter,
    DeadLetterReason,
    EventKind,
    decoder,
)
from ringback.settings import Settings
from ringback.validation import dead_letter, salvage_stop
from scoring import features
from scoring.explain import basket
from scoring.model import Served
from stream import carts
from stream.abandonment import DueCarts, Watermark
from stream.attribution import Arm, Gain, gains
from stream.briefing import Case
from stream.carts import EMPTY, REACHED, ShopperState, Waiting
from stream.decide import Scored, decide, lead, message
from stream.reaction import Place, Rated, Reaction, Withdrawal, react, react_to_contact
from stream.reading import as_bytes, source, stop_in, unpacked, usable

__all__ = ["Effects", "Partition", "Scorer", "Served", "States", "Withdrawal"]

log = logging.getLogger(__name__)
Done = TypeVar("Done")
PriceAt = Callable[[float], int | None]


_decode_contact = decoder(ContactEvent).decode


class Scorer(Protocol):
    """What a partition needs of models: a `scoring.model.Model` alone, or all of `scoring.serving.Serving`."""

    def score(self, row: Sequence[float]) -> float:
        """The calibrated probability of a purchase."""
        ...

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        """The probability that a shopper's due cart is judged by."""
        ...


class States(Protocol):
    """The states of a partition's shoppers, by key."""

    def get(self, key: bytes) -> ShopperState | None:
        """A shopper's state, None for one who is not known."""
        ...

    def peek(self, key: bytes) -> ShopperState | None:
        """A shopper's state, when many are looked at in passing."""
        ...

    def put(self, key: bytes, state: ShopperState) -> None:
        """Set a shopper's state."""
        ...

    def delete(self, key: bytes) -> None:
        """Forget a shopper."""
        ...

    def keys(self) -> Iterable[bytes]:
        """Who is known. States may change while this is iterated."""
        ...


@dataclass(slots=True)
class Effects:
    """What some records ask for. ``hopper`` is in the order in which things happened.

    ``cases`` are what its leads are explained by, by lead_id. ``states`` are to be written, and those of ``forgotten``
    to be deleted; ``forwards`` are cart events for shoppers of any partition, to be published before that.
    """

    decisions: list[Decision] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    hopper: list[Lead | Withdrawal] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    forwards: list[CartEvent] = field(default_factory=list)
    states: dict[bytes, ShopperState] = field(default_factory=dict)
    forgotten: set[bytes] = field(default_factory=set)
    events: Counter[EventKind] = field(default_factory=Counter)
    repeated: int = 0
    ordered: list[Arm] = field(default_factory=list)
    gains: list[Gain] = field(default_factory=list)
    ratings: list[Rated] = field(default_factory=list)
    contacts: Counter[tuple[Channel, ContactKind]] = field(default_factory=Counter)


@dataclass(slots=True)
class Partition:
    """The shoppers of one partition. ``batch_wall`` is the wall time at which decisions are said to be taken.

    ``price_at`` gives the price of the agents' time when a cart became due, None where the fixed thresholds hold: see
    `stream.price`. For one moment it always gives the same, or what is decided again after a crash might differ.
    """

    number: int
    settings: Settings
    clock: Clock
    model: Scorer
    states: States
    last_arrival: float = 0.0
    effects: Effects = field(default_factory=Effects)
    watermark: Watermark = field(init=False)
    due: DueCarts = field(default_factory=DueCarts)
    batch_wall: float = 0.0
    price_at: PriceAt = lambda _: None
    _remembered: Watermark = field(init=False)
    _abandon_after: float = field(init=False)
    _forget_after: float = field(init=False)
    _window: float = field(init=False)
    _sweeping: Iterator[bytes] | None = None

    def __post_init__(self) -> None:
        self.watermark = Watermark(self.settings.stream.lateness)
        self._remembered = Watermark(self.settings.stream.lateness)
        # A settings model is slow to read for every event.
        self._abandon_after = self.settings.stream.abandon_after
        self._forget_after = self.settings.stream.forget_after
        self._window = self.settings.decide.attribution_window

    def load(self, key: bytes, waiting: Waiting) -> None:
        """Take over a shopper's state after a recovery.

        The watermark stays unknown until events arrive: records after the last commit come again, and a watermark
        that knew their successors would judge carts earlier than they were judged before.
        """
        if waiting.last_time > self._remembered.newest:
            self._remembered.newest, self._remembered.lag = waiting.last_time, waiting.lag
        due = carts.due_at(waiting, self._abandon_after)
        if due is not None:
            self.due.load(key, due)

    def waiting(self) -> int:
        """How many open carts wait to be judged."""
        return len(self.due)

    def take_effects(self) -> Effects:
        """What has been asked for since the last call."""
        effects, self.effects = self.effects, Effects()
        return effects

    def records(self, key: bytes | None, raw: bytes, offset: int, arrived_wall: float) -> list[float]:
        """Take one record of the cart events, a single event or many packed (see `ringback.envelope`).

        ``arrived_wall`` is when it reached the log, wall time. Returns, of the events that led to a new score, the wall
        times at which they reached Ringback.
        """
        self.last_arrival = arrived_wall
        packed = is_packed(raw)
        given = unpacked(raw, self.settings.ingest.max_event_bytes) if packed else [raw]
        scored = []
        for index, one in enumerate(given):
            reached = self._guarded(
                one, offset, self._cart_event, one, None if packed else key, offset, index, arrived_wall
            )
            if reached is not None:
                scored.append(reached)
        return scored

    def contact(self, key: bytes, raw: bytes, offset: int) -> None:
        """Take one record of the contacts. A record that can't be read is left out: the dialer wrote it, or nobody."""
        self._guarded(raw, offset, self._contact, key, raw, offset)

    def tick(self, now_wall: float) -> None:
        """Judge by the clock what no event has made due; to be called only when no record waits."""
        idle_since = self.last_arrival + self.settings.stream.idle_after
        if now_wall < idle_since or not self.due:
            return
        # After a recovery no event has set the watermark: the newest event that the states remember does.
        mark = self.watermark if self.watermark.newest > carts.NEVER else self._remembered
        reached = mark.idle(self.clock.at(now_wall))
        while (found := self.due.pop(reached)) is not None:
            due, key = found
            crossed = now_wall - self.clock.wall_seconds(reached - due)
            self._guarded(key, -1, self._judge, key, due, max(crossed, idle_since))

    def sweep(self, at_most: int, committed: int) -> None:
        """Forget those of the next ``at_most`` shoppers who were silent for `stream.forget_after`.

        ``committed`` is the offset from which a successor would read the cart events: whoever was changed by a record
        from there on is kept, so that what comes again is recognised. That nobody may call a shopper is kept for ever.
        """
        before = self.watermark.time - self._forget_after
        if self._sweeping is None:
            self._sweeping = iter(self.states.keys())
        for _ in range(at_most):
            key = next(self._sweeping, None)
            if key is None:
                self._sweeping = None
                return
            state = self.states.peek(key)
            if state is not None and carts.last_known(state) < before and state.offset < committed:
                self._forget(key, state)

    def _cart_event(
        self, given: bytes | CartEvent, key: bytes | None, offset: int, index: int, arrived_wall: float
    ) -> float | None:
        arrived = self.clock.at(arrived_wall)
        event = self._readable(given, key, offset, arrived)
        if event is None:
            return None
        self.watermark.see(event.time, arrived)
        shopper = event.shopper_id.encode()
        state = self._state_at(shopper, event.time, offset, arrived_wall)
        if state is None:
            if key is None and partition_of(event.shopper_id, self.settings.kafka.partitions) != self.number:
                detail = f"the shopper of event {event.event_id!r} belongs to another partition"
                self._dead(BadEvent(DeadLetterReason.WRONG_KEY, detail), given, offset)
                return None
            state = EMPTY
        print_ = carts.fingerprint(event)
        if carts.is_repeated(state, print_, offset, index):
            self.effects.repeated += 1
            return None
        try:
            place = Place(offset, index, arrived - event.time)
            reaction = react(state, event, print_, place, self._window)
        except BadEvent as error:
            self._dead(error, given, offset)
            return None
        after = reaction.state
        counts = reaction.refusal is None and event.kind not in PASSIVE and state.moved_to is None
        if counts and after.cart is not None:
            self.model.score(features.vector(after.features, after.cart, event.time))
        # Whatever might fail has been done: from here on all of the event's effects follow, or none.
        if reaction.refusal is not None:
            self._dead(reaction.refusal, given, offset)
        elif state.moved_to is None:
            self.effects.events[event.kind] += 1
        self._follow(shopper, reaction)
        return (event.received_wall or arrived_wall) if counts and after.cart is not None else None

    def _state_at(self, key: bytes, time: float, offset: int, arrived_wall: float) -> ShopperState | None:
        """The shopper's state when an event comes: all that is due before it was judged."""
        while (found := self.due.pop(self.watermark.time)) is not None:
            self._guarded(found[1], offset, self._judge, found[1], found[0], arrived_wall)
        state = self.states.get(key)
        if state is None:
            return None
        due = carts.due_at(state, self._abandon_after)
        if due is not None and due <= time:
            state = self._guarded(key, offset, self._judge, key, due, arrived_wall) or state
        if carts.last_known(state) < time - self._forget_after:
            return carts.emptied(state)
        return state

    def _readable(self, given: bytes | CartEvent, key: bytes | None, offset: int, arrived: float) -> CartEvent | None:
        limits = self.settings.ingest
        try:
            return usable(given, key, arrived, limits)
        except BadEvent as error:
            self._dead(error, given, offset)
            return salvage_stop(as_bytes(given), key=key, now=arrived, limits=limits)

    def _contact(self, key: bytes, raw: bytes, offset: int) -> None:
        try:
            contact = _decode_contact(raw)
        except msgspec.DecodeError as error:
            self._dead(BadEvent(DeadLetterReason.MALFORMED, f"contact event: {error}"), raw, offset)
            return
        if contact.kind not in REACHED and contact.kind is not ContactKind.OPTED_OUT:
            return
        state = self.states.get(key) or EMPTY
        if offset > state.contact_offset:
            self._follow(key, react_to_contact(state, contact, offset, self._window))
            self.effects.contacts[contact.channel, contact.kind] += 1

    def _judge(self, key: bytes, due: float, noticed_wall: float) -> ShopperState:
        state = self.states.get(key)
        if state is None or state.cart is None:
            raise AssertionError("a cart that is not there can't be due")
        row = features.vector(state.features, state.cart, due)
        served = self.model.judge(key.decode(), row)
        scored = Scored(row, served.score, served.version, served.uplift)
        decision, verdict = decide(key.decode(), state, state.cart, due, scored, self.settings, self.price_at(due))
        decision = msgspec.structs.replace(
            decision,
            due_wall=noticed_wall,
            decided_wall=self.batch_wall,
            shadow_version=served.shadow_version,
            shadow_score=served.shadow_score,
        )
        after = carts.judge(state, decision)
        if decision.route is Route.VOICE and state.shopper is not None:
            self.effects.hopper.append(lead(decision, verdict, state.shopper, self.settings))
            if served.model is not None:
                case = Case(served.model, row, basket(state.features, state.cart))
                self.effects.cases[decision.decision_id] = case
        elif decision.route in (Route.SMS, Route.CHAT) and state.shopper is not None:
            self.effects.messages.append(message(decision, verdict, state.shopper, self.settings))
        self.effects.decisions.append(decision)
        self._keep(key, after)
        return after

    def _follow(self, key: bytes, reaction: Reaction) -> None:
        effects = self.effects
        if reaction.withdrawals:
            effects.hopper += reaction.withdrawals
        if reaction.forwards:
            effects.forwards += reaction.forwards
        if reaction.conversions:
            former = self.states.get(key)
            effects.gains += gains(former.conversions if former else (), reaction.conversions)
            effects.conversions += reaction.conversions
            effects.ordered += reaction.arms
        if reaction.rating is not None:
            effects.ratings.append(reaction.rating)
        self._keep(key, reaction.state)

    def _keep(self, key: bytes, state: ShopperState) -> None:
        self.states.put(key, state)
        self.effects.states[key] = state
        self.effects.forgotten.discard(key)
        self.due.put(key, carts.due_at(state, self._abandon_after))

    def _forget(self, key: bytes, state: ShopperState) -> None:
        if key in self.due:
            return
        if not state.opted_out:
            self.states.delete(key)
            self.effects.states.pop(key, None)
            self.effects.forgotten.add(key)
        elif state != (empty := carts.emptied(state)):
            self._keep(key, empty)

    def _guarded(self, given: bytes | CartEvent, offset: int, work: Callable[..., Done], *args: object) -> Done | None:
        """What ``work`` returns. A fault of ours must not stop a partition for ever: it makes a dead letter instead."""
        try:
            return work(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it would come again with every restart
            at = extract_tb(error.__traceback__)[-1]
            # Not what the error says: it may quote a shopper's data.
            detail = f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}"
        log.error("partition %d, offset %d: %s; see the dead letters", self.number, offset, detail)
        self._dead(BadEvent(DeadLetterReason.UNEXPECTED, detail), given, offset)
        stop = stop_in(given, self.clock.at(self.last_arrival), self.settings.ingest)
        if stop is not None:
            self.effects.hopper.append(stop)
        return None

    def _dead(self, error: BadEvent, given: bytes | CartEvent, offset: int) -> None:
        raw = as_bytes(given)
        self.effects.dead_letters.append(
            dead_letter(
                error,
                raw,
                source=source(raw),
                stage="stream",
                time=self.clock.at(self.last_arrival),
                partition=self.number,
                offset=offset,
            )
        )
