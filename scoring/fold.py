"""What the events of one shopper come to, one after the other: cart, features and orders. Pure.

The stream, the replay of a log and training all follow a shopper by these rules, so that they see the same.
"""

import msgspec

from ringback import cart as cart_rules
from ringback.cart import Cart
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind
from scoring import features
from scoring.features import FeatureState

REMEMBERED_CARTS = 4
REMEMBERED_ORDERS = 4


class Order(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One order. ``time`` is when it was first told of, ``version`` the time of what ``value`` is known from."""

    order_id: str
    time: float
    version: float
    value: int
    currency: str


class Folded(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What events came to. ``orders`` are the last ones, oldest first; ``bought_carts`` the carts that they closed."""

    features: FeatureState = features.EMPTY
    cart: Cart | None = None
    orders: tuple[Order, ...] = ()
    bought_carts: tuple[str, ...] = ()


def advanced(folded: Folded, event: CartEvent) -> Folded:
    """What the events come to with the next one.

    A purchase is final: an event about a bought cart raises `BadEvent` (``cart_already_bought``); so does one in
    another currency than its cart's (``mixed_currencies``). Another message about the same order changes its value
    only, and the newest one holds.
    """
    kind = event.kind
    if kind is EventKind.ORDER_COMPLETED:
        return _ordered(folded, event)
    if kind in cart_rules.FILLS or kind in cart_rules.CHECKOUT:
        _refuse_bought(folded, event)
    cart = cart_rules.apply(folded.cart, event)
    if cart is not None and folded.cart is None and folded.features.last > event.time:
        # An event that opens its cart late: what the shopper did since then was activity.
        cart = msgspec.structs.replace(cart, last_activity=folded.features.last)
    return Folded(
        features=features.update(folded.features, event),
        cart=cart,
        orders=folded.orders,
        bought_carts=folded.bought_carts,
    )


def waiting_since(cart: Cart | None, judged: float | None) -> float | None:
    """From when a cart waits to be judged: its last activity, if that is not before it was ``judged`` last."""
    if cart is None or not cart.lines or (judged is not None and cart.last_activity < judged):
        return None
    return cart.last_activity


def _refuse_bought(folded: Folded, event: CartEvent) -> None:
    if not folded.orders:
        return
    last = folded.orders[-1]
    same_cart = event.cart_id is not None and event.cart_id in folded.bought_carts
    before_order = folded.cart is None and event.time <= last.time
    if same_cart or before_order:
        detail = f"cart {event.cart_id or 'of this shopper'} was bought at {last.time:.0f}; a purchase is final"
        raise BadEvent(DeadLetterReason.CART_ALREADY_BOUGHT, detail)


def _ordered(folded: Folded, event: CartEvent) -> Folded:
    name = event.order_id or event.event_id
    for place, known in enumerate(folded.orders):
        if known.order_id == name:
            orders = (*folded.orders[:place], _newer(known, event), *folded.orders[place + 1 :])
            bought = _bought(folded, event.cart_id)
            cart = None if folded.cart and folded.cart.cart_id in bought else folded.cart
            return msgspec.structs.replace(folded, cart=cart, orders=orders, bought_carts=bought)
    cart = folded.cart
    lines = sum(item.unit_price * item.quantity for item in event.items)
    order = Order(
        order_id=name,
        time=event.time,
        version=event.time,
        value=event.value if event.value is not None else lines or (cart.value if cart else 0),
        currency=event.currency or (cart.currency if cart else None) or "",
    )
    return Folded(
        features=features.update(folded.features, event),
        orders=(*folded.orders, order)[-REMEMBERED_ORDERS:],
        bought_carts=_bought(folded, event.cart_id, cart.cart_id if cart else None),
    )


def _newer(known: Order, event: CartEvent) -> Order:
    if event.value is None or event.time < known.version:
        return known
    return msgspec.structs.replace(
        known, version=event.time, value=event.value, currency=event.currency or known.currency
    )


def _bought(folded: Folded, *cart_ids: str | None) -> tuple[str, ...]:
    known = folded.bought_carts
    new = [cart_id for cart_id in dict.fromkeys(cart_ids) if cart_id and cart_id not in known]
    return (*known, *new)[-REMEMBERED_CARTS:]
