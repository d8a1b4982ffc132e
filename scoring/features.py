"""What the model sees of a shopper and a cart: one definition for the stream, for replay and for training.

`update` folds events into a small state, `vector` reads it at one moment. Nothing here looks at the calendar or at who
the shopper is. A vector is point-in-time: it depends only on events that came before it.
"""

import hashlib
import math
from collections.abc import Iterator
from functools import cache
from zlib import crc32

import msgspec

from ringback import cart as carts
from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.money import exponent
from ringback.records import CartEvent, EventKind, Item, Record
from scoring import industry, traffic

VISIT_GAP_SECONDS = 1800.0
REMEMBERED_VIEWS = 24
DAY = 86400.0
NAN = math.nan


class Feature(msgspec.Struct, frozen=True):
    """A column of the vector. ``missing`` says when it is NaN; empty: never.

    A feature with ``levels`` is a category: its number is the place of its level among them.
    """

    name: str
    unit: str
    meaning: str
    missing: str = ""
    levels: tuple[str, ...] = ()


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
    Feature(
        "industry",
        "level",
        "what kind of goods most of the cart's value is",
        "no line tells what it is",
        industry.INDUSTRIES,
    ),
    Feature("removals", "count", "times that something was taken out of the cart"),
    Feature("cart_age", "seconds", "since the first event of the cart"),
    Feature("cart_idle", "seconds", "since the last event of the cart: a change of it, or a step of its checkout"),
    Feature("checkout_step", "step", "farthest step of the checkout; 0: not started"),
    Feature("coupon_failures", "count", "coupons for the cart that were refused"),
    Feature("payment_failures", "count", "payments for the cart that failed"),
    Feature("idle", "seconds", "since the shopper's last event"),
    Feature("dwell", "seconds", "from the first to the last event of this visit", "the shopper has no visit"),
    Feature("pace", "seconds", "mean time between the events of this visit", "fewer than two events in this visit"),
    Feature("views", "count", "product views in this visit"),
    Feature("views_since_cart", "count", "product views since the last event of the cart"),
    Feature("products_viewed", "count", f"different products among the last {REMEMBERED_VIEWS} views of any visit"),
    Feature("cart_views", "count", f"views of what is in the cart among the last {REMEMBERED_VIEWS}"),
    Feature(
        "most_cart_views", "count", f"views of the product in the cart that has most of the last {REMEMBERED_VIEWS}"
    ),
    Feature(
        "traffic", "level", "where this visit came from", "not told, or in words that are unknown", traffic.SOURCES
    ),
    Feature("visit_number", "count", "visits so far, this one included"),
    Feature("past_carts", "count", "carts that the shopper opened before this one"),
    Feature("past_purchases", "count", "orders so far"),
    Feature("past_conversion", "ratio", "orders so far / carts before this one, at most 1", "no cart before this one"),
    Feature("days_since_visit", "days", "since the visit before this one ended", "first visit"),
    Feature("days_since_cart", "days", "since the last event of the cart before this one", "no cart before this one"),
    Feature("days_since_purchase", "days", "since the last order", "no order yet"),
)


class FeatureState(Record, frozen=True, kw_only=True):
    """What is remembered of one shopper, some 300 bytes at most. Ids are kept as CRC-32, which is enough here.

    ``began``, ``events``, ``views`` and ``traffic`` are of the present visit; ``previous`` is when the one before it
    ended. ``touched`` is the last event of a cart, its order included, ``looked`` the product views since then, and
    ``left`` the last event of the cart before the present one.
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
    traffic: str | None = None
    touched: float | None = None
    looked: int = 0
    left: float | None = None


EMPTY = FeatureState()


def update(state: FeatureState, event: CartEvent) -> FeatureState:
    """The state after an event; defined for every event.

    A visit ends with more than 30 minutes of silence or another session id. An event from before the visit counts as a
    cart or an order, and leaves the visit as it is. An opt-out is no visit: it may come by telephone; nor is what the
    shop or the platform tells of a shopper.
    """
    kind, time = event.kind, event.time
    if kind is EventKind.OPTED_OUT or kind in carts.PASSIVE:
        return state
    late = state.visits > 0 and time < state.began
    session = crc32(event.session_id.encode()) if event.session_id and not late else state.session
    fresh = not late and _is_new_visit(state, time, session)
    views = event.items if kind is EventKind.PRODUCT_VIEWED and not late else ()
    came_by = None if fresh else state.traffic
    if came_by is None and event.traffic is not None and not late:
        came_by = traffic.source(event.traffic)

    bought = kind is EventKind.ORDER_COMPLETED
    cart, carts_so_far, left = state.cart, state.carts, state.left
    if bought:
        cart = None
    elif carts.opens(event):
        cart = crc32((event.cart_id or "").encode())
        if cart != state.cart:
            carts_so_far += 1
            left = state.touched
    touches = bought or (cart is not None and kind in carts.CHANGES)
    newest = state.touched is None or time >= state.touched
    return FeatureState(
        session=session,
        began=time if fresh else state.began,
        last=max(state.last, time) if state.visits else time,
        events=(0 if fresh else state.events) + (not late),
        views=(0 if fresh else state.views) + len(views),
        viewed=_remember(state.viewed, views) if views else state.viewed,
        visits=state.visits + fresh,
        previous=state.last if fresh and state.visits else state.previous,
        cart=cart,
        carts=carts_so_far,
        purchases=state.purchases + bought,
        purchased=max(state.purchased or time, time) if bought else state.purchased,
        traffic=came_by,
        touched=time if touches and newest else state.touched,
        looked=0 if touches and newest else state.looked + len(views),
        left=left,
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
    seen = [view for view in state.viewed if view in held]
    past_carts = max(0, state.carts - 1)
    return (
        _value_log(cart) if prices else NAN,
        float(cart.quantity),
        float(len(lines)),
        float(len(categories)) if categories else NAN,
        1.0 - min(prices) / max(prices) if len(prices) > 1 else NAN,
        _INDUSTRY[industry.basket(lines)],
        float(cart.removals),
        max(0.0, now - cart.opened),
        max(0.0, now - (cart.opened if state.touched is None else max(cart.opened, state.touched))),
        float(cart.step),
        float(cart.coupon_failures),
        float(cart.payment_failures),
        max(0.0, now - max(state.last, cart.last_activity)),
        state.last - state.began if state.visits else NAN,
        (state.last - state.began) / (state.events - 1) if state.events > 1 else NAN,
        float(state.views),
        float(state.looked),
        float(len(set(state.viewed))),
        float(len(seen)),
        float(max(map(seen.count, set(seen)), default=0)),
        _TRAFFIC.get(state.traffic, NAN),
        float(state.visits),
        float(past_carts),
        float(state.purchases),
        min(1.0, state.purchases / past_carts) if past_carts else NAN,
        NAN if state.previous is None else max(0.0, now - state.previous) / DAY,
        NAN if state.left is None or not past_carts else max(0.0, now - state.left) / DAY,
        NAN if state.purchased is None else max(0.0, now - state.purchased) / DAY,
    )


def _codes(levels: tuple[str, ...]) -> dict[str | None, float]:
    return {None: NAN, **{level: float(place) for place, level in enumerate(levels)}}


_INDUSTRY, _TRAFFIC = _codes(industry.INDUSTRIES), _codes(traffic.SOURCES)


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
    digest = hashlib.sha256(msgspec.json.encode((FEATURES, industry.STRONG, industry.WEAK, traffic.TABLE)))
    for row in probed():
        digest.update(" ".join(f"{number:.9g}" for number in row).encode())
    return digest.hexdigest()


def probed() -> Iterator[tuple[float, ...]]:
    """The vectors of a fixed log in which every feature moves, a minute after each event with a cart."""
    state, cart = EMPTY, None
    for event in _PROBE:
        state, cart = update(state, event), carts.apply(cart, event)
        if cart is not None:
            yield vector(state, cart, event.time + 60.0)


def _probe(
    number: int, kind: EventKind, time: float, *products: str, session: str | None = "1", came_by: str | None = None
) -> CartEvent:
    return CartEvent(
        event_id=str(number),
        source="probe",
        shopper_id="probe",
        kind=kind,
        time=time,
        cart_id=str(number // 15),
        session_id=session,
        items=tuple(
            Item(product_id=product, quantity=place, unit_price=1000 * place + number, category=_PROBE_GOODS[product])
            for place, product in enumerate(products, start=1)
        ),
        currency="EUR",
        traffic=came_by,
    )


_PROBE_GOODS = {
    "a": "electronics.audio.headphone",
    "b": "Home > Garden tools",
    "c": "Health & Beauty",
    "d": "women/shoes",
    "e": "2053013",
    "f": "vouchers",
    "z": None,
}
_PROBE = (
    _probe(0, EventKind.PRODUCT_VIEWED, 0.0, "a", came_by="google / cpc"),
    _probe(1, EventKind.PRODUCT_VIEWED, 20.0, "b", "a"),
    _probe(2, EventKind.ITEM_ADDED, 50.0, "a"),
    _probe(3, EventKind.ITEM_ADDED, 90.0, "b", "c"),
    _probe(4, EventKind.ORDER_COMPLETED, 140.0, "a", "b", "c"),
    _probe(5, EventKind.ITEM_ADDED, 90_000.0, "d", session=None),
    _probe(6, EventKind.PRODUCT_VIEWED, 90_100.0, "d", session="2", came_by="somewhere"),
    _probe(7, EventKind.ITEM_REMOVED, 90_100.0, "d", session="2"),
    _probe(8, EventKind.ITEM_ADDED, 91_700.0, "f", session=None),
    _probe(9, EventKind.PRODUCT_VIEWED, 93_600.0, "f", session=None, came_by="Newsletter"),
    _probe(10, EventKind.CART_SNAPSHOT, 99_000.0, "d", "e", session="2"),
    _probe(11, EventKind.CHECKOUT_STARTED, 99_060.0, session="3"),
    _probe(12, EventKind.PRODUCT_VIEWED, 98_000.0, "z", session="2"),
    _probe(13, EventKind.PAYMENT_FAILED, 99_500.0, session="3"),
    _probe(14, EventKind.COUPON_REFUSED, 99_600.0, session="3"),
    _probe(15, EventKind.ORDER_COMPLETED, 99_700.0, "d", session="3"),
    _probe(16, EventKind.PRODUCT_VIEWED, 200_000.0, "z", "a", "a", session="4", came_by="(none)"),
    _probe(17, EventKind.ITEM_ADDED, 200_100.0, "z", session="4", came_by="facebook"),
    _probe(18, EventKind.PRODUCT_VIEWED, 200_150.0, "a", session="4"),
    _probe(30, EventKind.ITEM_ADDED, 200_200.0, "a", session="4"),
)
