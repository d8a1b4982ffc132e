"""The state of one shopper: what is in the cart, whether it was judged, bought, and who was reached. Pure.

Everything here is idempotent. An event at or before the place that the state already covers changes nothing, and so
does an event whose id was seen lately; so a worker may read the same records again after a crash.
"""

from hashlib import blake2b
from struct import Struct
from typing import Literal

import msgspec

from ringback.cart import PASSIVE, Cart
from ringback.decisions import Decision, Route
from ringback.errors import BadEvent
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, Conversion, EventKind, Shopper
from scoring.features import FeatureState
from scoring.fold import Order, waiting_since
from stream import details, history
from stream.details import Details
from stream.history import History

REMEMBERED_EVENTS = 32
FINGERPRINT_BYTES = 8
REACHED = frozenset({ContactKind.CONNECTED, ContactKind.SENT})
NEVER = float("-inf")


class Part(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Base of what a state is made of: arrays of values, without names."""


class Decided(Part, frozen=True, kw_only=True, gc=False):
    """What attribution must know of the last decision by which the shopper could be contacted."""

    decision_id: str
    cart_id: str
    time: float
    arm: Literal["treated", "holdout"]
    called: bool = False


class Reached(Part, frozen=True, kw_only=True, gc=False):
    """The last contact in which the shopper was reached."""

    contact_id: str
    channel: Channel
    time: float


class Returned(Part, frozen=True, kw_only=True, gc=False):
    """What was given back of an order, minor units: all of it when it was cancelled."""

    order_id: str
    amount: int = 0
    cancelled: bool = False


class Waiting(Part, frozen=True, kw_only=True, gc=False):
    """The beginning of a `ShopperState`: all that must be known of it after a recovery; see `decode_waiting`.

    ``waiting_since`` is the last activity of an open cart that was not judged, None where nothing waits to be judged.
    ``last_time`` is the newest event's time, and ``lag`` how long after it that event arrived.
    """

    waiting_since: float | None = None
    last_time: float = NEVER
    lag: float = 0.0


class ShopperState(Waiting, frozen=True, kw_only=True, gc=False):
    """Everything that is known of one shopper; stored under the shopper's id.

    ``offset`` and ``index`` are the last event applied, and ``contact_offset`` the last contact. ``judged`` is when the
    open cart was last found due. ``seen`` are the fingerprints of the last events, one after the other. What is known
    under another id since two shoppers turned out to be one (`stream.merge`) is told by ``moved_to``; ``aliases`` are
    the other ids of this shopper, and ``joined`` those of them whose states are in this one.
    """

    offset: int = -1
    index: int = -1
    contact_offset: int = -1
    judged: float | None = None
    replay: bool = False
    opted_out: bool = False
    seen: bytes = b""
    history: History = history.EMPTY
    details: Details | None = None
    decided: Decided | None = None
    reached: Reached | None = None
    returned: tuple[Returned, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    erased: float | None = None
    moved_to: str | None = None
    aliases: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()

    @property
    def cart(self) -> Cart | None:
        """The open cart."""
        return self.history.head.cart

    @property
    def features(self) -> FeatureState:
        """What the model's features are computed from."""
        return self.history.head.features

    @property
    def orders(self) -> tuple[Order, ...]:
        """The last orders, oldest first."""
        return self.history.head.orders

    @property
    def shopper(self) -> Shopper | None:
        """Who it is, as far as the shop told."""
        return None if self.details is None else self.details.shopper


EMPTY = ShopperState()

# Version of the form, then the ends of the two output partitions before the state was written: see `stream.flush`.
_HEADER = Struct("<Bqq")
_FORM = 1
_encoder = msgspec.msgpack.Encoder()
_decode_state = msgspec.msgpack.Decoder(ShopperState).decode
_decode_waiting = msgspec.msgpack.Decoder(Waiting).decode


def encode_state(state: ShopperState, marks: tuple[int, int] = (0, 0)) -> bytes:
    """The form in which a state is stored. ``marks`` are ends of the output topics' partitions, see `stream.flush`."""
    return _HEADER.pack(_FORM, *marks) + _encoder.encode(state)


def decode_state(raw: bytes) -> ShopperState:
    """The state in stored bytes. Raises `ValueError` when they are of another version of Ringback."""
    _check_form(raw)
    return _decode_state(memoryview(raw)[_HEADER.size :])


def decode_waiting(raw: bytes) -> Waiting:
    """The beginning of the state in stored bytes, without a look at the rest. Raises as `decode_state` does."""
    _check_form(raw)
    return _decode_waiting(memoryview(raw)[_HEADER.size :])


def decode_marks(raw: bytes) -> tuple[int, int]:
    """The marks with which a state was stored. Raises as `decode_state` does."""
    _check_form(raw)
    _, decisions, conversions = _HEADER.unpack_from(raw)
    return decisions, conversions


def _check_form(raw: bytes) -> None:
    if len(raw) <= _HEADER.size or raw[0] != _FORM:
        raise ValueError(
            f"a stored state begins with {raw[:1]!r}, not with form {_FORM}: it is of another version of Ringback; "
            "start the stream under another kafka.group, so that it has a changelog of its own"
        )


def fingerprint(event: CartEvent) -> bytes:
    """What an event is recognised by when it comes again."""
    return blake2b(f"{event.source}\0{event.event_id}".encode(), digest_size=FINGERPRINT_BYTES).digest()


def is_repeated(state: ShopperState, print_: bytes, offset: int, index: int) -> bool:
    """Whether an event was applied already: by its place in the log or by its fingerprint."""
    return (offset, index) <= (state.offset, state.index) or has_seen(state.seen, print_)


def has_seen(seen: bytes, print_: bytes) -> bool:
    """Whether a fingerprint is among those of the last events."""
    at = seen.find(print_)
    while at % FINGERPRINT_BYTES and at != -1:
        at = seen.find(print_, at + 1)
    return at != -1


def follow(
    state: ShopperState, event: CartEvent, print_: bytes, offset: int, index: int, lag: float
) -> tuple[ShopperState, BadEvent | None]:
    """The state after an event that is not repeated, and why the event does not count for the cart, if it does not.

    ``lag`` is how long after its own time the event arrived, seconds. Handing over (`stream.merge`), erasure and
    the values of orders that were given back are others' business.
    """
    past, refusal, judged, replay = state.history, None, state.judged, state.replay
    last_time = state.last_time
    newest = event.time >= last_time
    if newest:
        last_time = event.time
    else:
        lag = state.lag
    if event.kind not in PASSIVE:
        past, refusal = history.extended(past, event)
        if newest:
            replay = event.replay
        if past.head.cart is None:
            judged = None
    told = event.shopper
    after = msgspec.structs.replace(
        state,
        waiting_since=waiting_since(past.head.cart, judged),
        last_time=last_time,
        lag=lag,
        offset=offset,
        index=index,
        judged=judged,
        replay=replay,
        opted_out=state.opted_out or event.kind is EventKind.OPTED_OUT,
        seen=_remembered(state.seen, print_),
        history=past,
        details=state.details if told is None else details.told(state.details, told, event.time),
    )
    return after, refusal


def has_come_back(before: ShopperState, after: ShopperState) -> bool:
    """Whether what happened shows that a shopper whose cart was judged is in the shop again."""
    judged, cart, now = before.judged, before.cart, after.cart
    if judged is None or cart is None or now is None:
        return False
    return cart.last_activity < judged <= now.last_activity


def moved_on(state: ShopperState, event: CartEvent, print_: bytes, offset: int, index: int) -> ShopperState:
    """The state after an event that changes nothing in it but what was applied last."""
    return msgspec.structs.replace(
        state,
        last_time=max(state.last_time, event.time),
        offset=offset,
        index=index,
        seen=_remembered(state.seen, print_),
    )


def emptied(state: ShopperState) -> ShopperState:
    """What stays when a shopper is forgotten: nothing personal, but that nobody may call, and what was applied last."""
    return ShopperState(
        last_time=state.last_time,
        lag=state.lag,
        offset=state.offset,
        index=state.index,
        contact_offset=state.contact_offset,
        opted_out=state.opted_out,
        erased=state.erased,
    )


def last_known(state: ShopperState) -> float:
    """When the shopper was last heard of or reached; minus infinity: never."""
    return state.last_time if state.reached is None else max(state.last_time, state.reached.time)


def judge(state: ShopperState, decision: Decision) -> ShopperState:
    """The state after its cart was decided on. A cart that may not be contacted leaves the former decision standing."""
    decided = state.decided
    if decision.arm != "ineligible":
        decided = Decided(
            decision_id=decision.decision_id,
            cart_id=decision.cart_id,
            time=decision.time,
            arm=decision.arm,
            called=decision.route is Route.VOICE,
        )
    return msgspec.structs.replace(
        state,
        waiting_since=None,
        judged=decision.time,
        decided=decided,
        history=history.settled(state.history),
    )


def contacted(state: ShopperState, contact: ContactEvent, offset: int) -> ShopperState:
    """The state after a contact event."""
    reached = state.reached
    if contact.kind in REACHED and (reached is None or contact.time >= reached.time):
        reached = Reached(contact_id=contact.contact_id, channel=contact.channel, time=contact.time)
    opted_out = state.opted_out or contact.kind is ContactKind.OPTED_OUT
    return msgspec.structs.replace(state, contact_offset=offset, reached=reached, opted_out=opted_out)


def due_at(state: Waiting, abandon_after: float) -> float | None:
    """When the cart becomes due if nothing more happens; None without an open cart, or when it was judged."""
    return None if state.waiting_since is None else state.waiting_since + abandon_after


def _remembered(seen: bytes, print_: bytes) -> bytes:
    if len(seen) >= REMEMBERED_EVENTS * FINGERPRINT_BYTES:
        seen = seen[FINGERPRINT_BYTES:]
    return seen + print_
