"""Our own events over HTTP: each judged on its own, whatever the body."""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Parsed, Refused, Shop
from ingest.sources.native import SOURCE
from ringback.records import CartEvent, Consent, DeadLetterReason, EventKind, Item, Refs, Shopper
from tests.ingest.sources.tracked import (
    ANY_JSON,
    NOW,
    SECRETS,
    TIME,
    mutated,
    names,
    refused,
    sent,
    sent_fixture,
    survives,
)

DEFAULT = Shop("native", "default")
EXAMPLE = Shop("native", "example")
GOOD = CartEvent(
    event_id="e1",
    source="shop",
    shopper_id="s1",
    kind=EventKind.ITEM_ADDED,
    time=TIME,
    items=(Item(product_id="p", unit_price=1999),),
    currency="EUR",
)
LAMPS = (Item(product_id="lamp-1", quantity=3, unit_price=1999, category="Lighting", title="Desk lamp"),)
ADDED = CartEvent(
    event_id="n1",
    source="shop.example.com",
    shopper_id="90210",
    kind=EventKind.ITEM_ADDED,
    time=TIME,
    cart_id="cart-77",
    items=LAMPS,
    currency="USD",
)
ORDERED = CartEvent(
    event_id="n2",
    source="shop.example.com",
    shopper_id="90210",
    kind=EventKind.ORDER_COMPLETED,
    time=TIME,
    cart_id="cart-77",
    order_id="50314b8e",
    value=7250,
    currency="USD",
)
IDENTIFIED = CartEvent(
    event_id="n3",
    source="shop.example.com",
    kind=EventKind.IDENTIFIED,
    time=TIME,
    shopper=Shopper(
        name="Jo Sample",
        phone="+12025550143",
        country="US",
        region="US-DC",
        timezone="America/New_York",
        ip_timezone="America/New_York",
        consent=Consent(voice=True, sms=False, evidence="checkbox in the checkout"),
    ),
    refs=Refs(customer="90210", email="jo.sample@example.com", phone="+12025550143", cart="cart-77"),
)
GOLDEN: dict[str, list[CartEvent]] = {
    "item-added": [ADDED],
    "order-completed": [ORDERED],
    "identified": [IDENTIFIED],
    "events": [ADDED, ORDERED],
}


def in_shop(event: CartEvent) -> CartEvent:
    """The event as the endpoint of the shop ``example`` understands it."""
    return msgspec.structs.replace(
        event,
        event_id=f"{event.source} {event.event_id}",
        source="native/example",
        shopper_id="",
        refs=event.refs or Refs(customer=event.shopper_id),
    )


def body(**fields: Any) -> dict[str, Any]:
    return {**msgspec.to_builtins(GOOD), **fields}


def parsed(given_body: object, shop: Shop = DEFAULT) -> Parsed:
    return sent(SOURCE, given_body, shop=shop)


@pytest.mark.parametrize("name", sorted(names("native")))
def test_golden(name: str) -> None:
    assert sent_fixture(SOURCE, name, DEFAULT) == GOLDEN[name]
    assert sent_fixture(SOURCE, name, EXAMPLE) == [in_shop(event) for event in GOLDEN[name]]


def test_one_event() -> None:
    assert parsed(body()) == [GOOD]


def test_an_array_keeps_its_order() -> None:
    assert parsed([body(event_id=name) for name in "cab"]) == [
        msgspec.structs.replace(GOOD, event_id=name) for name in "cab"
    ]
    assert parsed([]) == []


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-09-21T14:13:20Z", TIME),
        ("2026-09-21T16:13:20.25+02:00", TIME + 0.25),
        ("2026-09-21 14:13:20Z", TIME),
    ],
)
def test_times_in_rfc_3339(text: str, time: float) -> None:
    assert parsed(body(time=text)) == [msgspec.structs.replace(GOOD, time=time)]


@pytest.mark.parametrize("text", ["2026-09-21T14:13:20", "yesterday", "", "1790000000"])
def test_a_time_without_its_offset_is_refused(text: str) -> None:
    assert refused(parsed(body(time=text))).error.reason == DeadLetterReason.WRONG_TYPE


def test_a_bad_event_spoils_no_other() -> None:
    first, second, third = parsed([body(), body(event_id="e2", currency="ABC"), body(event_id="e3")])
    assert isinstance(first, CartEvent)
    assert isinstance(second, Refused)
    assert second.error.reason == DeadLetterReason.UNKNOWN_CURRENCY
    assert json.loads(second.raw)["event_id"] == "e2"
    assert isinstance(third, CartEvent)


def test_an_order_with_a_nonsensical_total_still_stops_calls() -> None:
    order = body(kind="order_completed", value=-1, time="2026-09-21T14:13:20Z")
    stop = CartEvent(event_id="e1", source="shop", shopper_id="s1", kind=EventKind.ORDER_COMPLETED, time=TIME)
    assert refused(parsed(order)).stop == stop
    assert refused(parsed(order, EXAMPLE)).stop == in_shop(stop)


@pytest.mark.parametrize("shop", [DEFAULT, EXAMPLE])
@pytest.mark.parametrize(
    "fault", [{"value": -1}, {"items": "lamp"}, {"time": TIME + 1e6}, {"carried": "AA=="}, {"refs": {"customer": 7}}]
)
def test_an_order_with_references_still_stops_calls(shop: Shop, fault: dict[str, Any]) -> None:
    order = body(kind="order_completed", refs={"email": "Jo@example.com"})
    order["refs"] |= fault.get("refs", {})
    stop = refused(parsed({**order, **fault, "refs": order["refs"]}, shop)).stop
    assert stop is not None
    assert stop.refs == Refs(customer="s1", email="jo@example.com")
    assert (stop.kind, stop.shopper_id, stop.items) == (EventKind.ORDER_COMPLETED, "", ())
    assert stop.time <= NOW


def test_references_instead_of_a_shopper() -> None:
    (one,) = parsed(body(shopper_id="s1", refs={"anonymous": "a", "phone": "020 7946 0123"}))
    assert isinstance(one, CartEvent)
    assert (one.shopper_id, one.refs) == ("", Refs(customer="s1", anonymous="a"))
    (one,) = parsed(body(refs={"customer": "c", "phone": "020 7946 0123"}), Shop("native", "default", country="GB"))
    assert isinstance(one, CartEvent)
    assert one.refs == Refs(customer="c", phone="+442079460123")


@pytest.mark.parametrize("shop", [DEFAULT, EXAMPLE])
@pytest.mark.parametrize("fields", [{"shopper_id": "", "refs": {}}, {"shopper_id": "", "refs": {"email": "?"}}])
def test_an_event_of_nobody(shop: Shop, fields: dict[str, Any]) -> None:
    assert refused(parsed(body(**fields), shop)).error.reason == DeadLetterReason.NO_SHOPPER


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "absorbed", "other": "s2"},
        {"kind": "moved", "other": "s2"},
        {"kind": "handed_over", "other": "s2", "carried": "e30="},
        {"other": "s2"},
        {"carried": ""},
    ],
)
def test_nobody_sends_what_is_ringbacks_own(fields: dict[str, str]) -> None:
    one = refused(parsed(body(**fields)))
    assert one.error.reason == DeadLetterReason.WRONG_TYPE
    assert one.stop is None


def test_two_sources_of_one_shop_keep_their_ids_apart() -> None:
    pairs = [
        ("a", "b"),
        ("a", "c"),
        ("d", "b"),
        ("a b", "c"),
        ("a", "b c"),
        ("x" * 200, "y" * 200),
        ("x" * 200, "z" * 200),
    ]
    events = parsed([body(source=source, event_id=name) for source, name in pairs], EXAMPLE)
    assert all(isinstance(one, CartEvent) and len(one.event_id) <= 256 for one in events)
    assert len({one.event_id for one in events if isinstance(one, CartEvent)}) == len(pairs)


def test_a_shops_currency() -> None:
    (one,) = parsed(body(currency=None), Shop("native", "default", currency="GBP"))
    assert isinstance(one, CartEvent)
    assert one.currency == "GBP"
    assert refused(parsed(body(currency=None))).error.reason == DeadLetterReason.UNKNOWN_CURRENCY


@pytest.mark.parametrize("raw", [b"", b"[", b'[{"event_id"', b"\xff", b"[" * 5000, b"{" * 5000, b"null"])
def test_what_is_no_event_is_one_refusal(raw: bytes) -> None:
    assert refused(parsed(raw)).raw == raw


def standard(content: bytes, secret: bytes, at: float) -> dict[str, str]:
    stamp = str(int(at))
    mac = hmac.new(secret, b".".join((b"msg_1", stamp.encode(), content)), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def plain(content: bytes, secret: bytes) -> dict[str, str]:
    return {"x-ringback-signature": f"sha256={hmac.new(secret, content, hashlib.sha256).hexdigest()}"}


@pytest.mark.parametrize("secret", SECRETS)
def test_authentic(secret: bytes) -> None:
    content = json.dumps(body()).encode()
    for headers in (standard(content, secret, NOW), plain(content, secret)):
        assert SOURCE.authentic(headers, content, secrets=SECRETS, now=NOW + 200, window=300)
        assert not SOURCE.authentic(headers, content + b" ", secrets=SECRETS, now=NOW, window=300)
        assert not SOURCE.authentic(headers, content, secrets=[b"another"], now=NOW, window=300)


def test_unauthentic() -> None:
    late = standard(b"{}", SECRETS[0], NOW)
    assert not SOURCE.authentic(late, b"{}", secrets=SECRETS, now=NOW + 301, window=300)
    bare = {"x-ringback-signature": plain(b"{}", SECRETS[0])["x-ringback-signature"].removeprefix("sha256=")}
    for headers in (bare, {}, {"x-ringback-signature": ""}, {"x-ringback-key": "old secret"}):
        assert not SOURCE.authentic(headers, b"{}", secrets=SECRETS, now=NOW, window=300)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"[" + raw + b"]"))
def test_any_body(raw: bytes) -> None:
    for one in parsed(raw):
        assert isinstance(one, Refused)


@given(mutated("native"), st.sampled_from([DEFAULT, EXAMPLE]))
def test_any_mutation(case: tuple[bytes, dict[str, str]], shop: Shop) -> None:
    survives(SOURCE, case[0], shop=shop)


@given(
    name=st.sampled_from(["time", "refs", "shopper_id", "kind", "event_id", "source", "other", "carried", "value"]),
    value=ANY_JSON,
    shop=st.sampled_from([DEFAULT, EXAMPLE]),
)
def test_any_field(name: str, value: object, shop: Shop) -> None:
    survives(SOURCE, json.dumps(body(**{name: value})).encode(), shop=shop)
