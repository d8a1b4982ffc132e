"""Segment and RudderStack: every documented call becomes the right event, whatever its fields hold."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Refused, Shop
from ingest.sources.segment import SOURCE
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Refs, Shopper
from tests.ingest.sources.segment_golden import GOLDEN, SHOP
from tests.ingest.sources.tracked import (
    NOW,
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


@pytest.mark.parametrize("name", sorted(names("segment")))
def test_golden(name: str) -> None:
    assert sent_fixture(SOURCE, name, SHOP) == GOLDEN[name]


def call(**fields: Any) -> dict[str, Any]:
    """A call of a customer, at `TIME`."""
    return {"type": "track", "messageId": "m1", "userId": "u1", "timestamp": "2026-09-21T14:13:20Z", **fields}


def track(name: str, /, **properties: Any) -> dict[str, Any]:
    return call(event=name, properties=properties)


def only(body: object, shop: Shop = SHOP) -> CartEvent:
    (one,) = sent(SOURCE, body, shop=shop)
    assert isinstance(one, CartEvent), one
    return one


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Viewed Product", EventKind.PRODUCT_VIEWED),
        ("added_product", EventKind.ITEM_ADDED),
        ("  PRODUCT   ADDED ", EventKind.ITEM_ADDED),
        ("Wishlist Product Added to Cart", EventKind.ITEM_ADDED),
        ("Removed Product", EventKind.ITEM_REMOVED),
        ("Started Order", EventKind.CHECKOUT_STARTED),
        ("Viewed Checkout Step", EventKind.CHECKOUT_STEP),
        ("Completed Checkout Step", EventKind.CHECKOUT_STEP),
        ("Refunded Order", EventKind.ORDER_REFUNDED),
        ("Order Canceled", EventKind.ORDER_CANCELLED),
        ("Updated Order", EventKind.OTHER),
        ("Product List Viewed", EventKind.OTHER),
        ("Coupon Denied", EventKind.COUPON_REFUSED),
        ("Something of our own", EventKind.OTHER),
    ],
)
def test_names(name: str, kind: EventKind) -> None:
    assert only(track(name, product_id="p")).kind is kind


def test_a_cart_viewed_without_its_products_empties_no_cart() -> None:
    assert only(track("Cart Viewed", cart_id="c")).kind is EventKind.OTHER
    assert only(track("Cart Viewed", cart_id="c", products=[])).kind is EventKind.CART_SNAPSHOT


@pytest.mark.parametrize("type_", ["page", "screen"])
def test_a_page_of_a_product_is_a_view_of_it(type_: str) -> None:
    viewed = only(call(type=type_, properties={"product_id": "p"}))
    assert (viewed.kind, viewed.items) == (EventKind.PRODUCT_VIEWED, (Item(product_id="p"),))


@pytest.mark.parametrize(
    ("totals", "value"),
    [
        ({"value": 3, "total": 2, "revenue": 1}, 300),
        ({"total": 2, "revenue": 1}, 200),
        ({"revenue": 1}, 100),
        ({"total": None, "revenue": ""}, 3998),
    ],
)
def test_an_orders_value(totals: dict[str, Any], value: int) -> None:
    lamps = [{"product_id": "lamp-1", "price": 19.99, "quantity": 2}]
    assert only(track("Order Completed", products=lamps, currency="USD", **totals)).value == value


def test_an_order_that_tells_no_amount_has_no_value() -> None:
    assert only(track("Order Completed", order_id="o")).value is None


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("19.99", "USD", 1999),
        ("59.970000000000006", "USD", 5997),
        ("0.285", "USD", 28),
        ("0.295", "USD", 30),
        ("1e2", "USD", 10000),
        ("1234.5678", "KWD", 1234568),
        ("499.5", "JPY", 500),
        ('"19.99"', "USD", 1999),
        ("1990000000.01", "USD", 199000000001),
    ],
)
def test_money_is_exact(price: str, currency: str, minor: int) -> None:
    body = json.dumps(track("Product Added", product_id="p", price="@", currency=currency)).replace('"@"', price)
    (item,) = only(body.encode()).items
    assert item.unit_price == minor


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"product_id": "p", "price": 1}, DeadLetterReason.UNKNOWN_CURRENCY),
        ({"product_id": "p", "price": 1, "currency": "XXY"}, DeadLetterReason.UNKNOWN_CURRENCY),
        ({"product_id": "p", "price": -1, "currency": "USD"}, DeadLetterReason.NEGATIVE_PRICE),
        ({"product_id": "p", "price": "cheap", "currency": "USD"}, DeadLetterReason.WRONG_TYPE),
        ({"product_id": "p", "price": True, "currency": "USD"}, DeadLetterReason.WRONG_TYPE),
        ({"product_id": "p", "quantity": 1.5}, DeadLetterReason.WRONG_TYPE),
        ({"product_id": ["p"]}, DeadLetterReason.WRONG_TYPE),
        ({"name": "no id"}, DeadLetterReason.WRONG_TYPE),
        ({"products": "lamp"}, DeadLetterReason.WRONG_TYPE),
        ({"products": [1]}, DeadLetterReason.WRONG_TYPE),
        (
            {"currency": "USD", "products": [{"product_id": "p", "currency": "EUR"}]},
            DeadLetterReason.MIXED_CURRENCIES,
        ),
    ],
)
def test_what_is_refused(properties: dict[str, Any], reason: DeadLetterReason) -> None:
    assert refused(sent(SOURCE, track("Product Added", **properties))).error.reason == reason


def test_a_shops_currency_and_country_stand_in_for_what_is_not_said() -> None:
    shop = Shop("segment", "example", currency="GBP", country="GB")
    body = call(
        event="Product Added",
        properties={"product_id": "p", "price": 5},
        context={"traits": {"phone": "020 7946 0123"}},
    )
    added = only(body, shop)
    assert (added.currency, added.items[0].unit_price) == ("GBP", 500)
    assert added.refs is not None
    assert added.refs.phone == "+442079460123"
    assert added.shopper == Shopper(phone="+442079460123", country="GB")


def test_ids_may_be_numbers() -> None:
    refs = only(call(userId=7, anonymousId=8, properties={"order_id": 9, "checkout_id": 10, "cart_id": 11})).refs
    assert refs == Refs(customer="7", anonymous="8", order="9", checkout="10", cart="11")


@pytest.mark.parametrize("placeholder", ["null", "undefined", "0", 0, "", " ", "00000000-0000-0000-0000-000000000000"])
def test_a_placeholder_is_nobodys_id(placeholder: object) -> None:
    assert only(call(userId=placeholder, anonymousId="a")).refs == Refs(anonymous="a")
    assert refused(sent(SOURCE, call(userId=placeholder))).error.reason == DeadLetterReason.NO_SHOPPER


@pytest.mark.parametrize(
    ("context", "traffic"),
    [
        ({"campaign": {"source": "Newsletter", "medium": "email"}}, "Newsletter / email"),
        ({"page": {"referrer": "https://a.example/x?y", "url": "https://shop.example/"}}, "a.example / referral"),
        ({"page": {"referrer": "https://shop.example/x", "url": "https://shop.example/"}}, None),
        ({"campaign": "spring", "page": [1]}, None),
    ],
)
def test_where_a_visit_came_from(context: dict[str, Any], traffic: str | None) -> None:
    assert only(call(type="page", context=context)).traffic == traffic


def test_an_alias_links_an_address() -> None:
    aliased = only(call(type="alias", previousId="Jo@example.com", anonymousId="a"))
    assert aliased.refs == Refs(customer="u1", email="jo@example.com", anonymous="a")


def test_consent_without_paths_is_unknown() -> None:
    body = call(type="identify", traits={"call_me": True}, context={"consent": {"categoryPreferences": {"Ads": True}}})
    assert only(body, Shop("segment", "example")).shopper is None


def test_a_shop_may_name_one_of_segments_categories() -> None:
    shop = Shop("segment", "example", consent={"voice": "context.consent.categoryPreferences.Calls"})
    body = call(
        event="Segment Consent Preference Updated", context={"consent": {"categoryPreferences": {"Calls": False}}}
    )
    changed = only(body, shop)
    assert changed.kind is EventKind.CONSENT_CHANGED
    assert changed.shopper is not None
    assert changed.shopper.consent is not None
    assert changed.shopper.consent.voice is False
    assert only(body, SHOP).kind is EventKind.OTHER


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"timestamp": "2026-09-21T14:13:21Z", "originalTimestamp": "2026-09-21T14:00:00Z"}, TIME + 1),
        ({"originalTimestamp": "2026-09-21T14:13:22Z"}, TIME + 2),
        (
            {
                "originalTimestamp": "2026-09-21T15:13:22Z",
                "sentAt": "2026-09-21T15:13:32Z",
                "receivedAt": "2026-09-21T14:13:40Z",
            },
            TIME + 10,
        ),
    ],
)
def test_the_time_is_the_events_own(times: dict[str, str], expected: float) -> None:
    body = call() | {"timestamp": None} | times
    assert only(body).time == expected


def test_a_call_without_an_id_is_known_by_what_it_says() -> None:
    body = {name: value for name, value in call().items() if name != "messageId"}
    assert only(body).event_id == only(body).event_id != only(body | {"userId": "u2"}).event_id


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "yesterday"},
        {"timestamp": None},
        {"timestamp": "2036-09-21T14:13:20Z"},
        {"properties": {"total": "much", "currency": "USD"}},
        {"properties": {"total": 5}},
        {"properties": {"products": [{}]}},
    ],
)
def test_a_refused_order_still_stops_calls(fields: dict[str, Any]) -> None:
    one = refused(sent(SOURCE, call(event="Order Completed") | fields))
    assert one.stop is not None
    assert TIME <= one.stop.time <= NOW
    assert one.stop == CartEvent(
        event_id="m1",
        source="segment/example",
        kind=EventKind.ORDER_COMPLETED,
        time=one.stop.time,
        refs=Refs(customer="u1"),
    )


def test_a_too_large_order_still_stops_calls() -> None:
    one = refused(sent(SOURCE, track("Order Completed", note="x" * 300_000)))
    assert one.error.reason == DeadLetterReason.TOO_LARGE
    assert one.stop is not None


def test_a_bad_call_spoils_no_other() -> None:
    bad = [b"7", b'{"a": 1e999999999999999999999}', b'{"userId": "\xff"}', b'{"type": "track"}']
    for between in bad:
        good = json.dumps(call()).encode()
        first, second, third = sent(SOURCE, b'{"batch": [%s, %s, %s]}' % (good, between, good))
        assert isinstance(first, CartEvent)
        assert isinstance(second, Refused)
        assert second.raw == between
        assert isinstance(third, CartEvent)


def test_an_array_of_calls() -> None:
    assert [one.event_id for one in sent(SOURCE, [call(), call(messageId="m2")]) if isinstance(one, CartEvent)] == [
        "m1",
        "m2",
    ]


def test_half_an_emoji_spoils_nothing() -> None:
    body = json.dumps(track("Order Completed", affiliation="@")).replace("@", "\\ud83d").encode()
    assert only(body).kind is EventKind.ORDER_COMPLETED
    whole = json.dumps(call(event="Product Viewed", properties={"product_id": "p", "name": "😀 \\ud83d"})).encode()
    assert only(whole).items[0].title == "😀 \\ud83d"


@pytest.mark.parametrize("body", [b"", b"[", b"7", b"null", b'{"batch": 1}', b"\xff", b"[" * 5000, b'{"batch": null}'])
def test_what_is_no_call_at_all(body: bytes) -> None:
    with pytest.raises(BadEvent):
        sent(SOURCE, body)


def signed(body: bytes, secret: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha1).hexdigest()


@pytest.mark.parametrize("header", ["x-signature", "x-segment-signature"])
@pytest.mark.parametrize("secret", SECRETS)
def test_signed_by_segment(header: str, secret: bytes) -> None:
    body = json.dumps(fixture("segment", "identify")["body"]).encode()
    headers = {header: signed(body, secret)}
    assert SOURCE.authentic(headers, body, secrets=SECRETS, now=NOW, window=300)
    assert not SOURCE.authentic(headers, body + b" ", secrets=SECRETS, now=NOW, window=300)
    assert not SOURCE.authentic(headers, body, secrets=[b"another"], now=NOW, window=300)


@pytest.mark.parametrize("header", [{"x-ringback-key": "new secret"}, {"authorization": "Bearer old secret"}])
def test_the_key_of_rudderstack(header: dict[str, str]) -> None:
    assert SOURCE.authentic(header, b"{}", secrets=SECRETS, now=NOW, window=300)
    assert not SOURCE.authentic(header, b"{}", secrets=[b"another"], now=NOW, window=300)


def test_unauthentic() -> None:
    first = json.dumps(call()).encode()
    batch = b"[%s, %s]" % (first, first)
    for headers in ({}, {"x-signature": ""}, {"x-ringback-key": ""}, {"x-signature": signed(first, SECRETS[0])}):
        assert not SOURCE.authentic(headers, batch, secrets=SECRETS, now=NOW, window=300)
    assert not SOURCE.authentic({"x-ringback-key": ""}, batch, secrets=[b""], now=NOW, window=300)


@given(mutated("segment"))
def test_any_mutation(case: tuple[bytes, dict[str, str]]) -> None:
    survives(SOURCE, case[0], shop=SHOP)


@given(st.binary(max_size=200))
def test_any_body(body: bytes) -> None:
    survives(SOURCE, body)
    survives(SOURCE, b'{"batch": [%s]}' % body)
