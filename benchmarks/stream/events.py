"""The events of the benchmark, each made from its number alone."""

from ringback.records import CartEvent, EventKind, Item

SHOPPERS = 5_000
START = 1_750_000_000.0
SECONDS_APART = 0.05

_KINDS = (EventKind.PRODUCT_VIEWED, EventKind.ITEM_ADDED, EventKind.ITEM_ADDED, EventKind.CHECKOUT_STEP)
_TRAFFIC = ("direct", "email", "search", "social")


def event(number: int, sent_wall: float) -> CartEvent:
    """The event of this number, about 300 bytes of JSON. Shoppers come in no order and all equally often."""
    mixed = _mixed(number)
    shopper = mixed % SHOPPERS
    product = (mixed >> 11) % 800
    return CartEvent(
        event_id=str(number),
        source="native/benchmark",
        shopper_id=f"shopper-{shopper:05}",
        kind=_KINDS[mixed >> 5 & 3],
        time=START + number * SECONDS_APART,
        cart_id=f"cart-{shopper:05}",
        items=(
            Item(
                product_id=f"product-{product:04}",
                quantity=1 + (mixed >> 13 & 1),
                unit_price=499 + product * 25,
                category=f"shoes.{product % 12}",
            ),
        ),
        currency="EUR",
        traffic=_TRAFFIC[mixed >> 17 & 3],
        step=1 + (mixed >> 19 & 3),
        received_wall=sent_wall,
    )


def _mixed(number: int) -> int:
    # The finalizer of MurmurHash3: looks like chance, and is the same everywhere.
    mixed = (number ^ number >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return mixed ^ mixed >> 16
