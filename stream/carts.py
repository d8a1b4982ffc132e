"""The state of one shopper: what is in the cart, whether it was judged, bought, and who was reached. Pure.

Everything here is idempotent. An event at or before the offset that the state already covers changes nothing, and so
does an event whose id was seen lately; so a worker may read the same records again after a crash.
"""

from hashlib import blake2b
from typing import Literal

import msgspec

from ringback import cart as cart_rules
from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.records import (
    CartEvent,
    Channel,
    Consent,
    ContactEvent,
    ContactKind,
    DeadLetterReason,
    Decision,
    EventKind,
    Record,
    Route,
    Shopper,
)
from scoring import features
from scoring.features import FeatureState

REMEMBERED_EVENTS = 32
REMEMBERED_CARTS = 4
REACHED = frozenset({ContactKind.CONNECTED, ContactKind.SENT})


class Decided(Record, frozen=True, kw_only=True):
    """What attribution must know of the last decision by which the shopper could be contacted."""

    decision_id: str
    cart_id: str
    time: float
    arm: Literal["treated", "holdout"]
    called: bool = False


class Reached(Record, frozen=True, kw_only=True):
    """The last contact in which the shopper was reached."""

    contact_id: str
    channel: Channel
    time: float


class Order(Record, frozen=True, kw_only=True):
    """The shopper's last order."""

    order_id: str
    time: float
    value: int
    currency: str


class ShopperState(Record, frozen=True, kw_only=True):
    """Everything that is known of one shopper; stored under the shopper's id.

    ``offset`` and ``contact_offset`` are the last records applied, of the two topics that change a state. ``judged``
    is when the cart was last found due, None while it waits. ``marks`` are ends of the output topics' partitions before
    this state was written; see `stream.flush`.
    """

    offset: int = -1
    contact_offset: int = -1
    marks: tuple[int, int] = (0, 0)
    seen: tuple[int, ...] = ()
    last_time: float = float("-inf")
    lag: float = 0.0
    features: FeatureState = features.EMPTY
    cart: Cart | None = None
    judged: float | None = None
    shopper: Shopper | None = None
    opted_out: bool = False
    replay: bool = False
    bought_carts: tuple[str, ...] = ()
    decided: Decided | None = None
    reached: Reached | None = None
    order: Order | None = None
    attributed: bool = False


EMPTY = ShopperState()


def is_repeated(state: ShopperState, event: CartEvent, offset: int) -> bool:
    """Whether an event was applied already: by its offset, its id, or an order's id."""
    if offset <= state.offset or _fingerprint(event) in state.seen:
        return True
    return (
        event.kind is EventKind.ORDER_COMPLETED
        and state.order is not None
        and state.order.order_id == (event.order_id or event.event_id)
    )


def follow(state: ShopperState, event: CartEvent, offset: int, lag: float) -> ShopperState:
    """The state after an event that is not repeated.

    ``lag`` is how long after its own time the event arrived, seconds. A purchase is sticky: an event about a bought
    cart raises `BadEvent` (``cart_already_bought``); so does one in another currency than its cart's
    (``mixed_currencies``).
    """
    _refuse_bought(state, event)
    cart = cart_rules.apply(state.cart, event)
    ordered = event.kind is EventKind.ORDER_COMPLETED
    newest = event.time >= state.last_time
    return msgspec.structs.replace(
        state,
        offset=offset,
        seen=(*state.seen[1 - REMEMBERED_EVENTS :], _fingerprint(event)),
        last_time=max(state.last_time, event.time),
        lag=lag if newest else state.lag,
        features=features.update(state.features, event),
        cart=cart,
        judged=None if cart is None or comes_back(state, event) else state.judged,
        shopper=_merged(state.shopper, event.shopper),
        opted_out=state.opted_out or event.kind is EventKind.OPTED_OUT,
        replay=event.replay,
        bought_carts=_bought(state, event) if ordered else state.bought_carts,
        order=_order(state, event) if ordered else state.order,
        attributed=False if ordered else state.attributed,
    )


def comes_back(state: ShopperState, event: CartEvent) -> bool:
    """Whether an event shows that a shopper whose cart was judged is in the shop again."""
    return state.judged is not None and event.time >= state.judged


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
    return msgspec.structs.replace(state, judged=decision.time, decided=decided)


def contacted(state: ShopperState, contact: ContactEvent, offset: int) -> ShopperState:
    """The state after a contact event."""
    reached = state.reached
    if contact.kind in REACHED and (reached is None or contact.time >= reached.time):
        reached = Reached(contact_id=contact.contact_id, channel=contact.channel, time=contact.time)
    opted_out = state.opted_out or contact.kind is ContactKind.OPTED_OUT
    return msgspec.structs.replace(state, contact_offset=offset, reached=reached, opted_out=opted_out)


def due_at(state: ShopperState, abandon_after: float) -> float | None:
    """When the cart becomes due if nothing more happens; None without an open cart, or when it was judged."""
    if state.cart is None or not state.cart.lines or state.judged is not None:
        return None
    return state.cart.last_activity + abandon_after


def _refuse_bought(state: ShopperState, event: CartEvent) -> None:
    if event.kind not in cart_rules.FILLS and event.kind not in cart_rules.CHECKOUT:
        return
    same_cart = event.cart_id is not None and event.cart_id in state.bought_carts
    before_order = state.cart is None and state.order is not None and event.time <= state.order.time
    if same_cart or before_order:
        when = state.order.time if state.order else 0.0
        detail = f"cart {event.cart_id or 'of this shopper'} was bought at {when:.0f}; a purchase is final"
        raise BadEvent(DeadLetterReason.CART_ALREADY_BOUGHT, detail)


def _merged(known: Shopper | None, told: Shopper | None) -> Shopper | None:
    if known is None or told is None:
        return told or known
    return Shopper(
        name=told.name or known.name,
        phone=told.phone or known.phone,
        country=told.country or known.country,
        timezone=told.timezone or known.timezone,
        consent=_merged_consent(known.consent, told.consent),
    )


def _merged_consent(known: Consent | None, told: Consent | None) -> Consent | None:
    if known is None or told is None:
        return told or known
    return Consent(
        voice=known.voice if told.voice is None else told.voice,
        sms=known.sms if told.sms is None else told.sms,
        chat=known.chat if told.chat is None else told.chat,
    )


def _bought(state: ShopperState, event: CartEvent) -> tuple[str, ...]:
    carts = {cart_id: None for cart_id in (event.cart_id, state.cart.cart_id if state.cart else None) if cart_id}
    return (*state.bought_carts, *carts)[-REMEMBERED_CARTS:]


def _order(state: ShopperState, event: CartEvent) -> Order:
    lines = sum(item.unit_price * item.quantity for item in event.items)
    return Order(
        order_id=event.order_id or event.event_id,
        time=event.time,
        value=event.value if event.value is not None else lines or (state.cart.value if state.cart else 0),
        currency=event.currency or (state.cart.currency if state.cart else None) or "",
    )


def _fingerprint(event: CartEvent) -> int:
    digest = blake2b(f"{event.source}\0{event.event_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
