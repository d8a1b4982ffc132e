"""Shops' messages overtake each other and come twice: what they come to is the same."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.decisions import Reason
from ringback.records import CartEvent, Consent, EventKind, Item, Shopper
from scoring.fold import advanced
from stream import carts, history
from stream.history import LONGEST_TAIL, MOST_TAIL_BYTES
from stream.partition import Effects, Withdrawal
from tests.stream import shop
from tests.stream.shop import NOON, added, essence, event, feed, held, ordered, partition, viewed

HALF_AN_HOUR = 1800.0
SHOPPERS = ["ada", "bob", "eve"]


@st.composite
def messages(draw: st.DrawFn) -> list[CartEvent]:
    """What some shoppers do within less than half an hour, at most a tail of each."""
    made: list[CartEvent] = []
    kinds = st.sampled_from([kind for kind in EventKind if kind not in shop.UNORDERED])
    for shopper_id in draw(st.sets(st.sampled_from(SHOPPERS), min_size=1)):
        for number in range(draw(st.integers(1, LONGEST_TAIL))):
            kind = draw(kinds)
            items = draw(st.lists(st.builds(Item, product_id=st.sampled_from("abc"), quantity=st.integers(1, 3))))
            priced = tuple(msgspec.structs.replace(item, unit_price=4000) for item in items[:3])
            order_id = draw(st.sampled_from([None, "o1", "o2"]))
            made.append(
                event(
                    kind,
                    float(draw(st.integers(0, 20)) * 80),
                    shopper_id,
                    event_id=f"{shopper_id}-{number}",
                    items=priced,
                    currency=draw(st.sampled_from(["USD", "USD", "EUR"])),
                    cart_id=draw(st.sampled_from([None, "c1", "c2"])),
                    session_id=draw(st.sampled_from([None, "v1", "v2"])),
                    order_id=order_id or ("o3" if kind is EventKind.ORDER_REFUNDED else None),
                    value=draw(st.none() | st.integers(0, 9000)),
                    step=draw(st.none() | st.integers(0, 3)),
                    shopper=draw(st.none() | shoppers),
                )
            )
    return made


answers = st.none() | st.booleans()
consents = st.builds(
    Consent, voice=answers, sms=answers, captured=st.none() | st.sampled_from([NOON, NOON + 100, NOON + 900])
)
shoppers = st.builds(
    Shopper,
    name=st.sampled_from([None, "Ada", "Bob"]),
    phone=st.sampled_from([None, "+12125550123", "+12125550199"]),
    country=st.just("US"),
    consent=st.none() | consents,
)


@settings(max_examples=300, deadline=None)
@given(messages(), st.data())
def test_any_order_and_any_repetition_end_the_same(told: list[CartEvent], data: st.DataObject) -> None:
    first = partition()
    feed(first, told)
    first.tick(NOON + 10 * HALF_AN_HOUR)
    again = told + data.draw(st.lists(st.sampled_from(told), max_size=10), label="repeated")
    other = partition()
    feed(other, data.draw(st.permutations(again), label="arrival"))
    other.tick(NOON + 10 * HALF_AN_HOUR)

    made, remade = first.take_effects(), other.take_effects()
    assert essence(made.decisions) == essence(remade.decisions)
    last = {conversion.order_id: conversion for conversion in made.conversions}
    assert last == {conversion.order_id: conversion for conversion in remade.conversions}
    assert held(first).keys() == held(other).keys()
    for key, state in held(first).items():
        twin = held(other)[key]
        assert state.history.head == twin.history.head
        assert state.shopper == twin.shopper
        assert sorted(state.returned, key=repr) == sorted(twin.returned, key=repr)
        assert (state.judged, state.waiting_since) == (twin.judged, twin.waiting_since)
        assert (state.opted_out, state.last_time) == (twin.opted_out, twin.last_time)
    assert bought(made) == bought(remade)


def bought(effects: Effects) -> set[Withdrawal]:
    return {change for change in effects.hopper if isinstance(change, Withdrawal) and change.reason == "bought"}


def test_of_two_snapshots_the_newer_one_holds_whichever_comes_last() -> None:
    new = added(20, product="boots", kind=EventKind.CART_SNAPSHOT)
    old = added(10, product="socks", kind=EventKind.CART_SNAPSHOT)
    part = partition()
    feed(part, [new, old])
    cart = held(part)[b"ada"].cart
    assert cart is not None
    assert [line.product_id for line in cart.lines] == ["boots"]


def test_an_order_that_is_overtaken_by_its_cart_closes_it_all_the_same() -> None:
    part = partition()
    feed(part, [added(0, cart_id="c1"), added(30, cart_id="c1"), ordered(20, cart_id="c1"), added(40, cart_id="c1")])
    assert held(part)[b"ada"].cart is None
    part.tick(NOON + 10 * HALF_AN_HOUR)
    assert part.take_effects().decisions == []


def test_a_line_in_another_currency_counts_once_its_cart_turns_out_to_be_in_that_currency() -> None:
    part = partition()
    euro = msgspec.structs.replace(added(10), currency="EUR")
    feed(part, [added(5), euro])
    assert [letter.reason for letter in part.take_effects().dead_letters] == ["mixed_currencies"]
    feed(part, [msgspec.structs.replace(added(1, product="socks"), currency="EUR")], first_offset=2)
    cart = held(part)[b"ada"].cart
    assert cart is not None
    assert (cart.currency, cart.quantity) == ("EUR", 2)


def test_what_was_decided_is_not_told_anew() -> None:
    part = partition()
    feed(part, [added(0), added(10, product="socks")])
    part.tick(NOON + 10 + HALF_AN_HOUR)
    assert held(part)[b"ada"].history.tail == ()
    feed(part, [added(5, product="hat")], first_offset=2)
    part.tick(NOON + 10 * HALF_AN_HOUR)
    effects = part.take_effects()
    assert len(effects.decisions) == 1
    cart = held(part)[b"ada"].cart
    assert cart is not None
    assert len(cart.lines) == 3


def test_a_state_stays_small_whatever_is_in_the_carts() -> None:
    state = carts.EMPTY
    for number in range(3 * LONGEST_TAIL):
        items = tuple(Item(product_id=f"p{place}", unit_price=1) for place in range(1 + number * 30))
        one = event(EventKind.CART_SNAPSHOT, number, items=items, currency="USD")
        state, refusal = carts.follow(state, one, carts.fingerprint(one), number, 0, 0.0)
        assert refusal is None
        tail = state.history.tail
        assert len(tail) <= LONGEST_TAIL
        assert sum(map(len, tail)) <= MOST_TAIL_BYTES
        assert state.cart is not None
        assert len(state.cart.lines) == 1 + number * 30
        assert carts.decode_state(carts.encode_state(state)) == state


@given(st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=30))
def test_what_falls_out_of_the_tail_was_added_in_the_right_place(moments: list[int]) -> None:
    past, whole = history.EMPTY, history.EMPTY.head
    for at in sorted(moments):
        past, _ = history.extended(past, viewed(at * 60))
        whole = advanced(whole, viewed(at * 60))
    assert past.head == whole
    late = viewed(31 * 60 - 0.5, event_id="late")
    past, _ = history.extended(past, viewed(31 * 60, event_id="last"))
    past, _ = history.extended(past, late)
    assert past.head == advanced(advanced(whole, late), viewed(31 * 60))
    assert len(past.tail) <= LONGEST_TAIL


def test_an_opt_out_is_kept_where_a_consent_is_not() -> None:
    part = partition()
    feed(part, [event(EventKind.OPTED_OUT, 0), added(10)])
    part.tick(NOON + 10 * HALF_AN_HOUR)
    (decision,) = part.take_effects().decisions
    assert decision.reason is Reason.OPTED_OUT
