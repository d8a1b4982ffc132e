"""GA4 events: signals of what shoppers do, and purchases that protect them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Refused, Shop
from ingest.sources.ga4 import SOURCE
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Refs
from tests.ingest.sources.tracked import (
    LAMP,
    NOW,
    ONE_LAMP,
    SECRETS,
    TIME,
    mutated,
    names,
    refused,
    sent,
    sent_fixture,
    survives,
)

CUP = Item(product_id="4711", unit_price=800, title="Coffee cup")
VISITOR = Refs(anonymous="1733240201.1790000000")
CUSTOMER = msgspec.structs.replace(VISITOR, customer="90210")
BUYER = msgspec.structs.replace(CUSTOMER, order="50314b8e")


def event(kind: EventKind, refs: Refs, **fields: Any) -> CartEvent:
    known = CartEvent(event_id="", source="ga4/example", kind=kind, time=TIME, session_id="1789999000", refs=refs)
    return msgspec.structs.replace(known, **fields)


GOLDEN: dict[str, CartEvent] = {
    "view-item": event(EventKind.PRODUCT_VIEWED, VISITOR, items=(ONE_LAMP,), currency="USD"),
    "add-to-cart": event(EventKind.ITEM_ADDED, VISITOR, items=(LAMP,), currency="USD"),
    "remove-from-cart": event(EventKind.ITEM_REMOVED, VISITOR, items=(ONE_LAMP,), currency="USD"),
    "view-cart": event(EventKind.CART_SNAPSHOT, VISITOR, items=(LAMP, CUP), currency="USD"),
    "begin-checkout": event(EventKind.CHECKOUT_STARTED, CUSTOMER, items=(LAMP, CUP), currency="USD"),
    "add-payment-info": event(EventKind.CHECKOUT_STEP, CUSTOMER, step=3),
    "purchase": event(
        EventKind.ORDER_COMPLETED,
        BUYER,
        event_id="purchase 50314b8e",
        order_id="50314b8e",
        items=(LAMP, CUP),
        value=7250,
        currency="USD",
    ),
    "refund": event(EventKind.ORDER_REFUNDED, BUYER, order_id="50314b8e", items=(CUP,), value=800, currency="USD"),
    "page-view": event(EventKind.OTHER, VISITOR),
}


@pytest.mark.parametrize("name", sorted(names("ga4")))
def test_golden(name: str) -> None:
    (parsed,) = sent_fixture(SOURCE, name)
    expected = GOLDEN[name]
    assert msgspec.structs.replace(parsed, event_id=expected.event_id) == expected
    assert parsed.event_id == (expected.event_id or parsed.event_id) != ""


def body(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"client_id": "c.1", "timestamp_micros": 1_790_000_000_000_000, "events": list(events), **fields}


def purchase(**params: Any) -> dict[str, Any]:
    return {"name": "purchase", "params": params}


def ids(*requests: dict[str, Any]) -> list[str]:
    return [one.event_id for request in requests for one in sent(SOURCE, request) if isinstance(one, CartEvent)]


def test_a_purchase_is_known_by_its_transaction() -> None:
    first, again = (
        body(purchase(transaction_id=5)),
        body(purchase(transaction_id="5"), timestamp_micros="1790000001000000"),
    )
    assert len(set(ids(first, again))) == 1


@pytest.mark.parametrize("transaction", ["", None, "(not set)", "undefined"])
def test_a_purchase_without_a_transaction_is_known_by_what_it_says(transaction: object) -> None:
    told = purchase(transaction_id=transaction)
    requests = [body(told), body(told, client_id="c.2"), body(told, timestamp_micros=1_790_000_001_000_000)]
    assert len(set(ids(*requests))) == 3


def test_any_other_event_is_known_by_itself_and_its_place() -> None:
    added = {"name": "add_to_cart", "params": {"items": [{"item_id": "p"}]}}
    assert ids(body(added, added)) == ids(body(added, added))
    assert len(set(ids(body(added, added)))) == 2


def test_an_events_own_time_comes_first() -> None:
    (one,) = sent(SOURCE, body({"name": "page_view", "timestamp_micros": 1_790_000_005_500_000}))
    assert isinstance(one, CartEvent)
    assert one.time == TIME + 5.5


@pytest.mark.parametrize("micros", [None, "soon", -1, 1.5, [], 10**30])
def test_a_purchase_without_a_time_still_stops_calls(micros: object) -> None:
    one = refused(sent(SOURCE, body(purchase(transaction_id="t"), timestamp_micros=micros)))
    assert one.error.reason in (DeadLetterReason.WRONG_TYPE, DeadLetterReason.FROM_THE_FUTURE)
    assert one.stop == CartEvent(
        event_id="purchase t",
        source="ga4/example",
        kind=EventKind.ORDER_COMPLETED,
        time=NOW,
        refs=Refs(anonymous="c.1", order="t"),
    )


def test_milliseconds_taken_for_microseconds_are_too_old() -> None:
    one = refused(sent(SOURCE, body(purchase(), timestamp_micros=1_790_000_000_000)))
    assert one.error.reason == DeadLetterReason.TOO_OLD


def test_a_session_is_no_reference_to_a_shopper() -> None:
    request = body({"name": "page_view", "params": {"session_id": 1789999000}}, client_id=None)
    assert refused(sent(SOURCE, request)).error.reason == DeadLetterReason.NO_SHOPPER


def test_an_app_is_a_visitor_too() -> None:
    (one,) = sent(SOURCE, body({"name": "page_view"}, client_id=None, app_instance_id="a" * 32))
    assert isinstance(one, CartEvent)
    assert one.refs == Refs(anonymous="a" * 32)


def test_lines_in_several_currencies() -> None:
    lines = [{"item_id": "a", "currency": "USD"}, {"item_id": "b", "currency": "EUR"}]
    one = refused(sent(SOURCE, body(purchase(transaction_id="t", items=lines))))
    assert one.error.reason == DeadLetterReason.MIXED_CURRENCIES
    assert one.stop is not None


def test_the_currency_of_the_lines_or_the_shop() -> None:
    lines = [{"item_id": "a", "price": 1, "currency": "eur"}]
    in_euro, in_yen = (
        sent(SOURCE, body(purchase(transaction_id="t", **params)), shop=Shop("ga4", "example", currency="JPY"))[0]
        for params in ({"items": lines}, {"value": 100})
    )
    assert isinstance(in_euro, CartEvent)
    assert (in_euro.currency, in_euro.value) == ("EUR", 100)
    assert isinstance(in_yen, CartEvent)
    assert (in_yen.currency, in_yen.value) == ("JPY", 100)


def test_a_view_of_a_cart_without_its_items_empties_none() -> None:
    (one,) = sent(SOURCE, body({"name": "view_cart", "params": {}}))
    assert isinstance(one, CartEvent)
    assert one.kind is EventKind.OTHER


def test_a_bad_event_spoils_no_other() -> None:
    good = {"name": "page_view"}
    first, second, third = sent(SOURCE, body(good, {"name": "add_to_cart", "params": {"items": 1}}, good))
    assert isinstance(first, CartEvent)
    assert isinstance(second, Refused)
    assert isinstance(third, CartEvent)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"events": {}}',
        b"\xff",
        b'{"events": [',
        b"[" * 5000,
        b'{"events": [%s0]}' % (b"0," * 10_000),
    ],
)
def test_what_is_no_request(raw: bytes) -> None:
    with pytest.raises(BadEvent):
        sent(SOURCE, raw)


def test_authentic() -> None:
    for headers in ({"x-ringback-key": "new secret"}, {"authorization": "bearer old secret"}):
        assert SOURCE.authentic(headers, b"", secrets=SECRETS, now=NOW, window=300)
    for headers in ({}, {"x-ringback-key": "newer secret"}, {"x-ringback-key": ""}):
        assert not SOURCE.authentic(headers, b"", secrets=SECRETS, now=NOW, window=300)
        assert not SOURCE.authentic(headers, b"", secrets=[b""], now=NOW, window=300)


@given(mutated("ga4"))
def test_any_mutation(case: tuple[bytes, dict[str, str]]) -> None:
    survives(SOURCE, case[0])


@given(st.binary(max_size=200))
def test_any_body(raw: bytes) -> None:
    survives(SOURCE, raw)
    survives(SOURCE, b'{"events": [%s]}' % raw)
