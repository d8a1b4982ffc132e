"""What is in a cart: the pure rule by which events fill, change and empty it.

Used by the stream, by training and by the simulated shop, so that all of them see the same value.
"""

from ringback.errors import BadEvent
from ringback.records import INTERNAL_KINDS, CartEvent, DeadLetterReason, EventKind, Item, Record

FILLS = frozenset({EventKind.ITEM_ADDED, EventKind.CART_SNAPSHOT, EventKind.CHECKOUT_STARTED})
CHECKOUT = frozenset({EventKind.CHECKOUT_STARTED, EventKind.CHECKOUT_STEP, EventKind.PAYMENT_FAILED})
# What a shopper does with a cart, short of buying it.
CHANGES = FILLS | CHECKOUT | {EventKind.ITEM_REMOVED, EventKind.COUPON_REFUSED}
# What becomes known of a shopper without an act of the shopper in the shop.
PASSIVE = INTERNAL_KINDS | {
    EventKind.ORDER_CANCELLED,
    EventKind.ORDER_REFUNDED,
    EventKind.CONSENT_CHANGED,
    EventKind.ERASED,
    EventKind.DATA_REQUESTED,
    EventKind.RATED,
}


class Cart(Record, frozen=True, kw_only=True, gc=False):
    """An open cart. ``snapshot`` is the time of the last full state; an older change may not be added on top of it."""

    cart_id: str
    opened: float
    last_activity: float
    currency: str | None = None
    lines: tuple[Item, ...] = ()
    snapshot: float = float("-inf")
    step: int = 0
    removals: int = 0
    payment_failures: int = 0
    coupon_failures: int = 0

    @property
    def value(self) -> int:
        """Sum of price x quantity, minor units."""
        return sum(line.unit_price * line.quantity for line in self.lines)

    @property
    def quantity(self) -> int:
        """How many pieces."""
        return sum(line.quantity for line in self.lines)


def opens(event: CartEvent) -> bool:
    """Whether an event puts something into a cart, and so opens one where none is open."""
    return event.kind in FILLS and bool(event.items)


def apply(cart: Cart | None, event: CartEvent) -> Cart | None:
    """The cart after an event; None while nothing was put into one, and after an order.

    Any event of the shopper but the `PASSIVE` ones counts as activity. Raises `BadEvent` (``mixed_currencies``) when an
    event's currency is not the cart's.
    """
    if event.kind is EventKind.ORDER_COMPLETED:
        return None
    if event.kind in PASSIVE:
        return cart
    if cart is None:
        if not opens(event):
            return None
        cart = Cart(cart_id=event.cart_id or event.event_id, opened=event.time, last_activity=event.time)
    return Cart(
        cart_id=cart.cart_id,
        opened=min(cart.opened, event.time) if opens(event) else cart.opened,
        last_activity=max(cart.last_activity, event.time),
        currency=_currency(cart, event),
        lines=_lines(cart, event),
        snapshot=max(cart.snapshot, event.time) if event.kind is EventKind.CART_SNAPSHOT else cart.snapshot,
        step=max(cart.step, event.step or int(event.kind in CHECKOUT)),
        removals=cart.removals + (event.kind is EventKind.ITEM_REMOVED),
        payment_failures=cart.payment_failures + (event.kind is EventKind.PAYMENT_FAILED),
        coupon_failures=cart.coupon_failures + (event.kind is EventKind.COUPON_REFUSED),
    )


def _currency(cart: Cart, event: CartEvent) -> str | None:
    if event.currency is None or event.kind not in FILLS:
        return cart.currency
    if cart.currency not in (None, event.currency):
        detail = f"cart {cart.cart_id} is in {cart.currency}, event {event.event_id} in {event.currency}"
        raise BadEvent(DeadLetterReason.MIXED_CURRENCIES, detail)
    return event.currency


def _lines(cart: Cart, event: CartEvent) -> tuple[Item, ...]:
    if event.time < cart.snapshot:
        return cart.lines
    match event.kind:
        case EventKind.CART_SNAPSHOT:
            return event.items
        case EventKind.CHECKOUT_STARTED:
            return event.items or cart.lines
        case EventKind.ITEM_ADDED:
            return _changed(cart.lines, event.items, +1)
        case EventKind.ITEM_REMOVED:
            return _changed(cart.lines, event.items, -1)
        case _:
            return cart.lines


def _changed(lines: tuple[Item, ...], items: tuple[Item, ...], sign: int) -> tuple[Item, ...]:
    by_product = {line.product_id: line for line in lines}
    for item in items:
        held = by_product.get(item.product_id)
        quantity = (held.quantity if held else 0) + sign * item.quantity
        if quantity > 0:
            newest = item if sign > 0 or held is None else held
            by_product[item.product_id] = Item(
                product_id=newest.product_id,
                quantity=quantity,
                unit_price=newest.unit_price,
                category=newest.category,
                brand=newest.brand,
                title=newest.title,
            )
        else:
            by_product.pop(item.product_id, None)
    return tuple(by_product.values())
