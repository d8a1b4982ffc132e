"""What the model sees of a shopper and a cart: one definition for the stream, for replay and for training.

`update` folds events into a small state, `vector` reads it at one moment. Nothing here looks at the calendar or at who
the shopper is. A vector is point-in-time: it depends only on events that came before it.
"""

import hashlib
import math
from functools import cache
from zlib import crc32

import msgspec

from ringback import cart as carts
from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.money import exponent
from ringback.records import CartEvent, EventKind, Item, Record

VISIT_GAP_SECONDS = 1800.0
REMEMBERED_VIEWS = 24
DAY = 86400.0
NAN = math.nan


class Feature(msgspec.Struct, frozen=True):
    """A column of the vector. ``missing`` says when it is NaN; empty: never."""

    name: str
    unit: str
    meaning: str
    missing: str = ""


FEATURES: tuple[Feature, ...] = (
    Feature(
        "cart_value_log", "log(1 + major units)", "value of the cart in its own currency", "no line has a known price"
    ),
    Feature("pieces", "count", "pieces in the cart"),
    Feature("products", "count", "different products in the cart"),
    Feature("categories", "count", "different categories in the cart", "no line names its category"),
    Feature(
        "price_spread", "ratio", "(dearest - cheapest) / dearest unit price", "fewer than two lines with a known price"
    ),
    Feature("removals", "count", "times that something was taken out of the cart"),
    Feature("checkout_step", "step", "farthest step of the checkout; 0: not started"),
    Feature("payment_failures", "count", "payments that failed"),
    Feature("cart_age", "seconds", "since the cart was opened"),
    Feature("idle", "seconds", "since the shopper's last event"),
    Feature("visit_age", "seconds", "since this visit began", "the shopper has no visit"),
    Feature("views", "count", "product views in this visit"),
    Feature("products_viewed", "count", f"different products among the last {REMEMBERED_VIEWS} views of any visit"),
    Feature("cart_views", "count", f"views of what is in the cart among the last {REMEMBERED_VIEWS}"),
    Feature("pace", "seconds", "mean time between the events of this visit", "fewer than two events in this visit"),
    Feature("visit_number", "count", "visits so far, this one included"),
    Feature("past_carts", "count", "carts that the shopper opened before this one"),
    Feature("past_purchases", "count", "orders so far"),
    Feature("days_since_visit", "days", "since the visit before this one ended", "first visit"),
    Feature("days_since_purchase", "days", "since the last order", "no order yet"),
)


class FeatureState(Record, frozen=True, kw_only=True):
    """What is remembered of one shopper, some 300 bytes of JSON at most. Ids are kept as CRC-32, which is enough here.

    ``began``, ``events`` and ``views`` are of the present visit; ``previous`` is when the visit before it ended.
    """

    session: int | None = None
    began: float = 0.0
    last: float = 0.0
    events: int = 0
    views: int = 0
    viewed: tuple[int, ...] = ()
    visits: int = 0
    previous: float | None = None
    cart: int | None = None
    carts: int = 0
    purchases: int = 0
    purchased: float | None = None


EMPTY = FeatureState()


def update(state: FeatureState, event: CartEvent) -> FeatureState:
    """The state after an event; defined for every event.

    A visit ends with more than 30 minutes of silence or another session id. An event from before the visit counts as a
    cart or an order, and leaves the visit as it is. An opt-out is no visit: it may come by telephone; nor is what the
    shop or the platform tells of a shopper.
    """
    if event.kind is EventKind.OPTED_OUT or event.kind in carts.PASSIVE:
        return state
    bought = event.kind is EventKind.ORDER_COMPLETED
    carts_so_far, cart = state.carts, state.cart
    if bought:
        cart = None
    elif carts.opens(event):
        opened = crc32((event.cart_id or "").encode())
        carts_so_far += opened != cart
        cart = opened
    late = state.visits > 0 and event.time < state.began
    session = crc32(event.session_id.encode()) if event.session_id and not late else state.session
    fresh = not late and _is_new_visit(state, event.time, session)
    views = event.items if event.kind is EventKind.PRODUCT_VIEWED and not late else ()
    return FeatureState(
        session=session,
        began=event.time if fresh else state.began,
        last=max(state.last, event.time) if state.visits else event.time,
        events=(0 if fresh else state.events) + (not late),
        views=(0 if fresh else state.views) + len(views),
        viewed=_remember(state.viewed, views) if views else state.viewed,
        visits=state.visits + fresh,
        previous=state.last if fresh and state.visits else state.previous,
        cart=cart,
        carts=carts_so_far,
        purchases=state.purchases + bought,
        purchased=max(state.purchased or event.time, event.time) if bought else state.purchased,
    )


def _is_new_visit(state: FeatureState, time: float, session: int | None) -> bool:
    if not state.visits or time - state.last > VISIT_GAP_SECONDS:
        return True
    return state.session is not None and session != state.session and time >= state.last


def _remember(viewed: tuple[int, ...], items: tuple[Item, ...]) -> tuple[int, ...]:
    return (*viewed, *(crc32(item.product_id.encode()) for item in items))[-REMEMBERED_VIEWS:]


def vector(state: FeatureState, cart: Cart, now: float) -> tuple[float, ...]:
    """The features at the moment ``now`` (epoch seconds), in the order of `FEATURES`; NaN where missing.

    ``state`` and ``cart`` hold the shopper's events up to ``now``, and no later ones.
    """
    lines = cart.lines
    prices = [line.unit_price for line in lines if line.unit_price > 0]
    categories = {line.category for line in lines if line.category}
    held = {crc32(line.product_id.encode()) for line in lines}
    return (
        _value_log(cart) if prices else NAN,
        float(cart.quantity),
        float(len(lines)),
        float(len(categories)) if categories else NAN,
        1.0 - min(prices) / max(prices) if len(prices) > 1 else NAN,
        float(cart.removals),
        float(cart.step),
        float(cart.payment_failures),
        max(0.0, now - cart.opened),
        max(0.0, now - max(state.last, cart.last_activity)),
        max(0.0, now - state.began) if state.visits else NAN,
        float(state.views),
        float(len(set(state.viewed))),
        float(sum(view in held for view in state.viewed)),
        (state.last - state.began) / (state.events - 1) if state.events > 1 else NAN,
        float(state.visits),
        float(max(0, state.carts - 1)),
        float(state.purchases),
        NAN if state.previous is None else max(0.0, now - state.previous) / DAY,
        NAN if state.purchased is None else max(0.0, now - state.purchased) / DAY,
    )


def _value_log(cart: Cart) -> float:
    try:
        digits = exponent(cart.currency) if cart.currency else 2
    except BadEvent:
        return NAN
    return math.log1p(max(0, cart.value) / 10**digits)


@cache
def feature_hash() -> str:
    """SHA-256 of the definitions and of what this code makes of a probe.

    A model is refused where it differs from the one that it was trained with, so that neither a changed definition nor
    a changed computation goes unnoticed.
    """
    digest = hashlib.sha256(msgspec.json.encode(FEATURES))
    state, cart = EMPTY, None
    for event in _PROBE:
        state, cart = update(state, event), carts.apply(cart, event)
        if cart is not None:
            digest.update(" ".join(f"{number:.9g}" for number in vector(state, cart, event.time + 60.0)).encode())
    return digest.hexdigest()


def _probe(number: int, kind: EventKind, time: float, *products: str, session: str | None = "1") -> CartEvent:
    items = tuple(
        Item(product_id=product, quantity=place, unit_price=1000 * place + number, category=f"kind-{place % 2}")
        for place, product in enumerate(products, start=1)
    )
    return CartEvent(
        event_id=str(number),
        source="probe",
        shopper_id="probe",
        kind=kind,
        time=time,
        cart_id="1",
        session_id=session,
        items=items,
        currency="EUR",
    )


_PROBE = (
    _probe(0, EventKind.PRODUCT_VIEWED, 0.0, "a"),
    _probe(1, EventKind.PRODUCT_VIEWED, 20.0, "b", "a"),
    _probe(2, EventKind.ITEM_ADDED, 50.0, "a"),
    _probe(3, EventKind.ITEM_ADDED, 90.0, "b", "c"),
    _probe(4, EventKind.ORDER_COMPLETED, 140.0, "a", "b", "c"),
    _probe(5, EventKind.ITEM_ADDED, 90_000.0, "d", session=None),
    _probe(6, EventKind.PRODUCT_VIEWED, 90_100.0, "d", session="2"),
    _probe(7, EventKind.ITEM_REMOVED, 90_100.0, "d", session="2"),
    _probe(8, EventKind.ITEM_ADDED, 91_700.0, "f", session=None),
    _probe(9, EventKind.PRODUCT_VIEWED, 93_600.0, "f", session=None),
    _probe(10, EventKind.CART_SNAPSHOT, 99_000.0, "d", "e", session="2"),
    _probe(11, EventKind.CHECKOUT_STARTED, 99_060.0, session="3"),
    _probe(12, EventKind.PRODUCT_VIEWED, 98_000.0, "z", session="2"),
    _probe(13, EventKind.PAYMENT_FAILED, 99_500.0, session="3"),
)
