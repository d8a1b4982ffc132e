"""The cart rules: any sequence of events gives a cart, and never a negative one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.cart import PASSIVE, Cart, apply
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item

CURRENCIES = st.sampled_from([None, "USD", "EUR"])


@st.composite
def events(draw: st.DrawFn) -> CartEvent:
    currency = draw(CURRENCIES)
    prices = st.integers(0, 10_000) if currency else st.just(0)
    items = st.builds(Item, product_id=st.sampled_from("abc"), quantity=st.integers(1, 5), unit_price=prices)
    return CartEvent(
        event_id=draw(st.uuids()).hex,
        source="shop",
        shopper_id="s1",
        kind=draw(st.sampled_from(EventKind)),
        time=draw(st.integers(0, 1000)),
        items=tuple(draw(st.lists(items, max_size=3))),
        currency=currency,
        step=draw(st.none() | st.integers(0, 5)),
    )


def event(kind: EventKind, time: float, *items: Item, currency: str | None = "USD") -> CartEvent:
    return CartEvent(
        event_id=f"{kind}-{time}",
        source="shop",
        shopper_id="s1",
        kind=kind,
        time=time,
        items=items,
        currency=currency,
    )


def follow(*given_events: CartEvent) -> Cart | None:
    cart = None
    for one in given_events:
        cart = apply(cart, one)
    return cart


@given(st.lists(events(), max_size=30))
def test_any_sequence(sequence: list[CartEvent]) -> None:
    cart: Cart | None = None
    for one in sequence:
        before = cart
        try:
            cart = apply(cart, one)
        except BadEvent as refused:
            assert refused.reason == DeadLetterReason.MIXED_CURRENCIES  # noqa: PT017 - the only one allowed
            continue
        if cart is None:
            assert before is None or one.kind is EventKind.ORDER_COMPLETED
            continue
        assert cart.value >= 0
        assert all(line.quantity > 0 for line in cart.lines)
        assert cart.currency is not None or cart.value == 0
        assert cart.opened <= cart.last_activity
        assert cart.last_activity >= one.time or one.kind in PASSIVE
        assert before is None or cart.cart_id == before.cart_id


@given(st.lists(events(), max_size=10))
def test_after_an_order_there_is_no_cart(sequence: list[CartEvent]) -> None:
    cart = None
    for one in sequence:
        try:
            cart = apply(cart, one)
        except BadEvent:
            continue
    assert apply(cart, event(EventKind.ORDER_COMPLETED, 2000)) is None


SHOE = Item(product_id="shoe", quantity=1, unit_price=5000)
SOCK = Item(product_id="sock", quantity=2, unit_price=300)


def test_adding_and_removing() -> None:
    cart = follow(
        event(EventKind.ITEM_ADDED, 1, SHOE),
        event(EventKind.ITEM_ADDED, 2, SOCK),
        event(EventKind.ITEM_ADDED, 3, SHOE),
        event(EventKind.ITEM_REMOVED, 4, Item(product_id="sock", quantity=1)),
    )
    assert cart is not None
    assert (cart.value, cart.quantity, cart.removals) == (10_300, 3, 1)


def test_more_is_removed_than_was_added() -> None:
    cart = follow(
        event(EventKind.ITEM_ADDED, 1, SHOE), event(EventKind.ITEM_REMOVED, 2, Item(product_id="shoe", quantity=9))
    )
    assert cart is not None
    assert cart.value == 0


def test_a_snapshot_replaces_and_older_changes_are_not_added_to_it() -> None:
    cart = follow(
        event(EventKind.ITEM_ADDED, 1, SHOE),
        event(EventKind.CART_SNAPSHOT, 5, SOCK),
        event(EventKind.ITEM_ADDED, 3, SHOE),
    )
    assert cart is not None
    assert cart.lines == (SOCK,)


def test_a_view_opens_no_cart() -> None:
    assert follow(event(EventKind.PRODUCT_VIEWED, 1, SHOE)) is None


def test_two_currencies_do_not_mix() -> None:
    cart = follow(event(EventKind.ITEM_ADDED, 1, SHOE))
    with pytest.raises(BadEvent):
        apply(cart, event(EventKind.ITEM_ADDED, 2, SOCK, currency="EUR"))
