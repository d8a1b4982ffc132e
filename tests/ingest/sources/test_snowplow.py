"""Snowplow's ecommerce actions: signals of what shoppers do, and purchases that protect them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Refused
from ingest.sources.snowplow import ACTION, ENTITY, SOURCE
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Refs, Shopper
from tests.ingest.sources.tracked import (
    LAMP,
    NOW,
    ONE_LAMP,
    SECRETS,
    TIME,
    fixture,
    mutated,
    names,
    refused,
    sent,
    sent_fixture,
    survives,
)

SESSION = "83d7ac4f-2a91-4a5e-9a4f-5f2f5a6b7c02"
CUP = Item(product_id="4711", unit_price=800, category="Kitchen", title="Coffee cup")
VISITOR = Refs(anonymous="bc2e92ec-6c15-4e0b-8a4d-3e7d7a1f0c01", session=SESSION)
WITH_CART = msgspec.structs.replace(VISITOR, cart="cart-77")
CUSTOMER = msgspec.structs.replace(VISITOR, customer="90210")
BUYER = msgspec.structs.replace(CUSTOMER, order="50314b8e")


def event(number: int, kind: EventKind, refs: Refs, **fields: Any) -> CartEvent:
    known = CartEvent(
        event_id=f"c6ef3124-b53a-4b13-a233-{number:012d}",
        source="snowplow/example",
        kind=kind,
        time=TIME,
        session_id=SESSION,
        shopper=Shopper(ip_timezone="America/New_York"),
        refs=refs,
    )
    return msgspec.structs.replace(known, **fields)


GOLDEN: dict[str, CartEvent] = {
    "product-view": event(1, EventKind.PRODUCT_VIEWED, VISITOR, items=(ONE_LAMP,), currency="USD"),
    "add-to-cart": event(2, EventKind.ITEM_ADDED, WITH_CART, cart_id="cart-77", items=(LAMP, CUP), currency="USD"),
    "remove-from-cart": event(3, EventKind.ITEM_REMOVED, WITH_CART, cart_id="cart-77", items=(CUP,), currency="USD"),
    "checkout-step-1": event(4, EventKind.CHECKOUT_STARTED, CUSTOMER, step=1),
    "checkout-step-2": event(5, EventKind.CHECKOUT_STEP, CUSTOMER, step=2),
    "transaction": event(
        6, EventKind.ORDER_COMPLETED, BUYER, order_id="50314b8e", items=(LAMP, CUP), value=7250, currency="USD"
    ),
    "refund": event(7, EventKind.ORDER_REFUNDED, BUYER, order_id="50314b8e", value=800, currency="USD"),
    "trns-error": event(8, EventKind.PAYMENT_FAILED, BUYER, order_id="50314b8e"),
    "page-view": event(9, EventKind.OTHER, VISITOR),
}


@pytest.mark.parametrize("name", sorted(names("snowplow")))
def test_golden(name: str) -> None:
    assert sent_fixture(SOURCE, name) == [GOLDEN[name]]


def given_event(**fields: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = fixture("snowplow", "transaction")["body"]
    return loaded | fields


def test_no_address_is_read() -> None:
    for name in names("snowplow"):
        assert b"example.com" not in b"".join(msgspec.json.encode(one) for one in sent_fixture(SOURCE, name))


@pytest.mark.parametrize(
    ("times", "time"),
    [
        ({"derived_tstamp": "2026-09-21 14:13:21.500"}, TIME + 1.5),
        ({"derived_tstamp": None}, TIME + 1.01),
        ({"derived_tstamp": "2026-09-21T14:13:22Z"}, TIME + 2),
    ],
)
def test_times_are_in_utc(times: dict[str, Any], time: float) -> None:
    (one,) = sent(SOURCE, given_event(**times))
    assert isinstance(one, CartEvent)
    assert one.time == pytest.approx(time)


@pytest.mark.parametrize(
    ("told", "traffic"),
    [
        ({"mkt_source": "google", "mkt_medium": "cpc", "refr_medium": "search"}, "google / cpc"),
        ({"refr_medium": "search", "refr_source": "Google"}, "Google / search"),
        ({"refr_medium": "unknown", "page_referrer": "https://a.example/x"}, "a.example / referral"),
        ({"refr_medium": "internal", "page_referrer": "https://b.example/", "page_url": "https://b.example/x"}, None),
    ],
)
def test_where_a_visit_came_from(told: dict[str, Any], traffic: str | None) -> None:
    (one,) = sent(SOURCE, given_event(**told))
    assert isinstance(one, CartEvent)
    assert one.traffic == traffic


def test_a_guest_is_no_customer() -> None:
    user = {ENTITY.format("user"): [{"id": "g1", "is_guest": True}]}
    (one,) = sent(SOURCE, given_event(user_id=None, **user))
    assert isinstance(one, CartEvent)
    assert one.refs == msgspec.structs.replace(BUYER, customer=None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"derived_tstamp": "today"}, DeadLetterReason.WRONG_TYPE),
        ({"derived_tstamp": None, "collector_tstamp": None}, DeadLetterReason.WRONG_TYPE),
        ({ENTITY.format("product"): [{"id": "p", "currency": "EUR"}]}, DeadLetterReason.MIXED_CURRENCIES),
        ({ENTITY.format("product"): [{"name": "no id"}]}, DeadLetterReason.WRONG_TYPE),
        ({ENTITY.format("transaction"): [{"transaction_id": "t", "revenue": -1}]}, DeadLetterReason.NEGATIVE_PRICE),
    ],
)
def test_a_refused_order_still_stops_calls(fields: dict[str, Any], reason: DeadLetterReason) -> None:
    one = refused(sent(SOURCE, given_event(**fields)))
    assert one.error.reason == reason
    assert one.stop is not None
    assert one.stop.kind is EventKind.ORDER_COMPLETED
    assert one.stop.refs is not None
    assert one.stop.refs.customer == "90210"


def test_a_bad_event_spoils_no_other() -> None:
    good = json.dumps(given_event()).encode()
    first, second, third = sent(SOURCE, b"[%s, 7, %s]" % (good, good))
    assert isinstance(first, CartEvent)
    assert isinstance(second, Refused)
    assert isinstance(third, CartEvent)


@pytest.mark.parametrize("action", [None, [], {"type": 7}, {"type": "promo_view"}, {}])
def test_any_other_action_is_activity(action: object) -> None:
    (one,) = sent(SOURCE, given_event(**{ACTION: action}))
    assert isinstance(one, CartEvent)
    assert one.kind is EventKind.OTHER


@pytest.mark.parametrize("raw", [b"[", b'["a"', b"[" * 5000])
def test_what_is_no_array(raw: bytes) -> None:
    with pytest.raises(BadEvent):
        sent(SOURCE, raw)


@pytest.mark.parametrize("raw", [b"", b"7", b"\xff", b'{"a":', b"{" * 5000])
def test_what_is_no_event(raw: bytes) -> None:
    assert refused(sent(SOURCE, raw)).raw == raw


def test_authentic() -> None:
    for headers in ({"x-ringback-key": "new secret"}, {"authorization": "Bearer old secret"}):
        assert SOURCE.authentic(headers, b"", secrets=SECRETS, now=NOW, window=300)
    for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Basic old secret"}):
        assert not SOURCE.authentic(headers, b"", secrets=SECRETS, now=NOW, window=300)


@given(mutated("snowplow"))
def test_any_mutation(case: tuple[bytes, dict[str, str]]) -> None:
    survives(SOURCE, case[0])


@given(st.binary(max_size=200))
def test_any_body(raw: bytes) -> None:
    survives(SOURCE, raw)
    survives(SOURCE, b"[%s]" % raw)
