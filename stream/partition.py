"""One partition of the shoppers: records in, effects out. Pure but for the states it keeps; no I/O and no clock.

What it decides depends on nothing but the order of the records in the partition: before an event is applied, every cart
that its time makes due is judged. So a replay, a restarted worker and a test all come to the same decisions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from ringback.cart import Cart
from ringback.clock import Clock
from ringback.errors import BadEvent
from ringback.records import (
    CartEvent,
    ContactEvent,
    ContactKind,
    Conversion,
    DeadLetter,
    Decision,
    EventKind,
    Lead,
    Message,
    Route,
    decoder,
)
from ringback.settings import Settings
from ringback.validation import dead_letter, read_event, salvage_stop
from scoring import features
from stream import carts
from stream.abandonment import DueCarts, Watermark
from stream.attribution import attribute
from stream.carts import EMPTY, REACHED, ShopperState
from stream.decide import Scored, decide, lead, message


class _Source(msgspec.Struct):
    source: str


_decode_source = decoder(_Source).decode
_decode_contact = decoder(ContactEvent).decode


class Scorer(Protocol):
    """What a partition needs of a model: see `scoring.model.Model`."""

    version: str

    def score(self, row: Sequence[float]) -> float:
        """The calibrated probability of a purchase."""
        ...


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A shopper who may not be called any more."""

    shopper_id: str
    reason: Literal["bought", "opted_out", "changed"]
    at: float


@dataclass(slots=True)
class Effects:
    """What some records ask for. ``hopper`` is in the order in which things happened; ``states`` are to be written."""

    decisions: list[Decision] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    hopper: list[Lead | Withdrawal] = field(default_factory=list)
    states: dict[bytes, ShopperState] = field(default_factory=dict)
    events: Counter[EventKind] = field(default_factory=Counter)
    repeated: int = 0
    ordered: list[Literal["treated", "holdout"]] = field(default_factory=list)


@dataclass(slots=True)
class Partition:
    """The shoppers of one partition. ``batch_wall`` is the wall time at which decisions are said to be taken."""

    number: int
    settings: Settings
    clock: Clock
    model: Scorer
    states: dict[bytes, ShopperState] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    watermark: Watermark = field(init=False)
    due: DueCarts = field(default_factory=DueCarts)
    last_arrival: float = 0.0
    batch_wall: float = 0.0

    def __post_init__(self) -> None:
        self.watermark = Watermark(self.settings.stream.lateness)

    def load(self, key: bytes, state: ShopperState) -> None:
        """Take over a shopper's state after a recovery.

        The watermark stays unknown until events arrive: records after the last commit come again, and a watermark
        that knew their successors would judge carts earlier than they were judged before.
        """
        self.states[key] = state
        self.due.put(key, carts.due_at(state, self.settings.stream.abandon_after))

    def take_effects(self) -> Effects:
        """What has been asked for since the last call."""
        effects, self.effects = self.effects, Effects()
        return effects

    def cart_event(self, key: bytes, raw: bytes, offset: int, arrived_wall: float) -> float | None:
        """Take one record of the cart events. ``arrived_wall`` is when it reached the log, wall time.

        Returns the wall time at which the event reached Ringback when it led to a new score.
        """
        arrived = self.clock.at(arrived_wall)
        self.last_arrival = arrived_wall
        try:
            event = read_event(raw, key=key, now=arrived, limits=self.settings.ingest)
        except BadEvent as error:
            self._dead(error, raw, key, offset, arrived)
            stop = salvage_stop(raw, key=key, now=arrived, limits=self.settings.ingest)
            if stop is None:
                return None
            event = stop
        self.watermark.see(event.time, arrived)
        self._judge_until(self.watermark.time, arrived_wall)
        state = self.states.get(key, EMPTY)
        due = carts.due_at(state, self.settings.stream.abandon_after)
        if due is not None and due <= event.time:
            state = self._judge(key, due, arrived_wall)
        if carts.is_repeated(state, event, offset):
            self.effects.repeated += 1
            return None
        try:
            after = carts.follow(state, event, offset, lag=arrived - event.time)
        except BadEvent as error:
            self._dead(error, raw, key, offset, arrived)
            return None
        self.effects.events[event.kind] += 1
        self._withdraw(state, event)
        if event.kind is EventKind.ORDER_COMPLETED:
            after = self._attribute(event.shopper_id, after)
        self._keep(key, after)
        if after.cart is None:
            return None
        self._score(after, after.cart, event.time)
        return event.received_wall or arrived_wall

    def contact(self, key: bytes, raw: bytes, offset: int) -> None:
        """Take one record of the contacts. A record that can't be read is left out: the dialer wrote it, or nobody."""
        try:
            contact = _decode_contact(raw)
        except msgspec.DecodeError as error:
            self._dead(BadEvent("malformed", f"contact event: {error}"), raw, key, offset, 0.0)
            return
        if contact.kind not in REACHED and contact.kind is not ContactKind.OPTED_OUT:
            return
        state = self.states.get(key, EMPTY)
        if offset <= state.contact_offset:
            return
        after = carts.contacted(state, contact, offset)
        if contact.kind is ContactKind.OPTED_OUT:
            self.effects.hopper.append(Withdrawal(contact.shopper_id, "opted_out", contact.time))
        if after.order is not None and after.reached != state.reached:
            after = self._attribute(contact.shopper_id, after)
        self._keep(key, after)

    def tick(self, now_wall: float) -> None:
        """Judge by the clock what no event has made due; to be called only when no record waits."""
        idle_since = self.last_arrival + self.settings.stream.idle_after
        if now_wall < idle_since or not self.due:
            return
        mark = self._idle_watermark()
        reached = mark.idle(self.clock.at(now_wall))
        while (found := self.due.pop(reached)) is not None:
            key, due = found[1], found[0]
            crossed = now_wall - self.clock.wall_seconds(reached - due)
            self._judge(key, due, max(crossed, idle_since))

    def _idle_watermark(self) -> Watermark:
        # After a recovery no event has set the watermark: the newest event that the states remember does.
        if self.watermark.newest > float("-inf"):
            return self.watermark
        newest = max(self.states.values(), key=lambda state: state.last_time, default=EMPTY)
        return Watermark(self.watermark.lateness, newest.last_time, newest.lag)

    def _judge_until(self, until: float, noticed_wall: float) -> None:
        while (found := self.due.pop(until)) is not None:
            self._judge(found[1], found[0], noticed_wall)

    def _judge(self, key: bytes, due: float, noticed_wall: float) -> ShopperState:
        state = self.states[key]
        if state.cart is None:
            raise AssertionError("a cart that is not there can't be due")
        scored = self._score(state, state.cart, due)
        decision, verdict = decide(key.decode(), state, state.cart, due, scored, self.settings)
        decision = msgspec.structs.replace(decision, due_wall=noticed_wall, decided_wall=self.batch_wall)
        self.effects.decisions.append(decision)
        if decision.route is Route.VOICE and state.shopper is not None:
            self.effects.hopper.append(lead(decision, verdict, state.shopper, self.settings))
        elif decision.route in (Route.SMS, Route.CHAT) and state.shopper is not None:
            self.effects.messages.append(message(decision, verdict, state.shopper, self.settings))
        after = carts.judge(state, decision)
        self._keep(key, after)
        return after

    def _score(self, state: ShopperState, cart: Cart, at: float) -> Scored:
        row = features.vector(state.features, cart, at)
        return Scored(row, self.model.score(row), self.model.version)

    def _withdraw(self, before: ShopperState, event: CartEvent) -> None:
        if event.kind is EventKind.ORDER_COMPLETED:
            self.effects.hopper.append(Withdrawal(event.shopper_id, "bought", event.time))
        elif event.kind is EventKind.OPTED_OUT:
            self.effects.hopper.append(Withdrawal(event.shopper_id, "opted_out", event.time))
        elif before.decided is not None and before.decided.called and carts.comes_back(before, event):
            self.effects.hopper.append(Withdrawal(event.shopper_id, "changed", event.time))

    def _attribute(self, shopper_id: str, state: ShopperState) -> ShopperState:
        conversion = attribute(shopper_id, state, self.settings.decide.attribution_window)
        if conversion is None or (state.attributed and conversion.channel is None):
            return state
        if not state.attributed:
            self.effects.ordered.append(conversion.arm)
        self.effects.conversions.append(conversion)
        return msgspec.structs.replace(state, attributed=True)

    def _keep(self, key: bytes, state: ShopperState) -> None:
        self.states[key] = state
        self.effects.states[key] = state
        self.due.put(key, carts.due_at(state, self.settings.stream.abandon_after))

    def _dead(self, error: BadEvent, raw: bytes, key: bytes, offset: int, now: float) -> None:
        try:
            source = _decode_source(raw).source
        except (ValueError, RecursionError):
            source = "unknown"
        self.effects.dead_letters.append(
            dead_letter(error, raw, source=source, stage="stream", time=now, partition=self.number, offset=offset)
        )
