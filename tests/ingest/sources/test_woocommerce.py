"""WooCommerce's webhooks and those of the cart plug-ins: exact events, who may send, and what a bad body can do."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Parsed, Refused, Shop
from ingest.sources.woocommerce import SOURCE
from ringback.errors import BadEvent
from ringback.records import CartEvent, Consent, DeadLetterReason, EventKind, Item, Refs, Shopper
from tests.ingest.sources.samples import LIMITS, NOW, fixture, mutated, names, parsed, sample

SHOP = Shop(
    "woocommerce",
    "example",
    currency="GBP",
    country="US",
    consent={"voice": "meta_data._call_me", "sms": "meta_data._sms_me"},
)
START = 1_790_000_000.0
MUGS = (
    Item(product_id="93", quantity=2, unit_price=1667, title="Mug"),
    Item(product_id="93", quantity=1, unit_price=1666, title="Mug"),
)
TYCHE_ITEMS = (
    Item(product_id="93", unit_price=5000, title="Mug"),
    Item(product_id="95", unit_price=1250, title="Tray, blue"),
)
EVIDENCE = "woocommerce meta_data._call_me, meta_data._sms_me"
BEA = Shopper(name="Bea Sample", phone="+442079460101", country="GB")
BEA_AGREED = msgspec.structs.replace(BEA, consent=Consent(voice=True, sms=False, evidence=EVIDENCE, captured=START))
REFS = Refs(email="bea.sample@example.com", phone="+442079460101", checkout="wc_order_58d2d042d1d", order="727")
CY = Shopper(name="Cy Model", phone="+12125550188", country="US")
CY_REFS = Refs(email="cy.model@example.com", phone="+12125550188", cart="cartflows-3f2a9c81d4e5b6a7")


def event(event_id: str, kind: EventKind, time: float, **fields: Any) -> CartEvent:
    return CartEvent(event_id=event_id, source="woocommerce/example", kind=kind, time=time, **fields)


def of_order(topic: str, modified: str, kind: EventKind, after: float, **fields: Any) -> CartEvent:
    name = f"17:{topic}:727:{modified}:{kind}"
    return event(name, kind, START + after, **{"cart_id": "order-727", "refs": REFS, **fields})


def completed(modified: str, after: float, **fields: Any) -> CartEvent:
    given_fields = {"order_id": "727", "items": MUGS, "currency": "GBP", "value": 5500, "shopper": BEA_AGREED, **fields}
    return of_order("order.updated", modified, EventKind.ORDER_COMPLETED, after, **given_fields)


def digest(name: str) -> str:
    return hashlib.sha256(sample("woocommerce", name).body).hexdigest()


OPEN_CART: dict[str, Any] = {"items": MUGS, "currency": "GBP", "shopper": BEA_AGREED}
GOLDEN: dict[str, list[CartEvent]] = {
    "order-created": [
        of_order("order.created", "2026-09-21T14:13:20", EventKind.CHECKOUT_STARTED, 0, **OPEN_CART),
    ],
    "order-updated-failed": [
        of_order("order.updated", "2026-09-21T14:15:00", EventKind.CHECKOUT_STARTED, 100, **OPEN_CART),
        of_order("order.updated", "2026-09-21T14:15:00", EventKind.PAYMENT_FAILED, 100, shopper=BEA_AGREED),
    ],
    "order-updated": [completed("2026-09-21T14:16:02", 160, refs=msgspec.structs.replace(REFS, customer="26"))],
    "order-updated-on-hold": [completed("2026-09-21T14:16:02", 162)],
    "order-updated-partial-refund": [
        completed("2026-09-21T15:00:00", 160),
        event(
            "refund:730",
            EventKind.ORDER_REFUNDED,
            START + 2800,
            cart_id="order-727",
            order_id="727",
            currency="GBP",
            value=1667,
            refs=REFS,
        ),
    ],
    "order-updated-refunded": [
        completed("2026-09-21T15:00:00", 160),
        of_order(
            "order.updated",
            "2026-09-21T15:00:00",
            EventKind.ORDER_REFUNDED,
            2800,
            order_id="727",
            currency="GBP",
            value=5500,
        ),
    ],
    "order-updated-cancelled": [
        of_order(
            "order.updated",
            "2026-09-21T15:14:00",
            EventKind.ORDER_CANCELLED,
            3640,
            order_id="727",
            shopper=BEA_AGREED,
        )
    ],
    "order-deleted": [
        event(
            "17:order.deleted:727::order_cancelled",
            EventKind.ORDER_CANCELLED,
            NOW,
            cart_id="order-727",
            order_id="727",
            refs=Refs(order="727"),
        )
    ],
    "customer-updated": [
        event(
            "17:customer.updated:26:2026-09-21T14:13:20:identified",
            EventKind.IDENTIFIED,
            START,
            shopper=BEA,
            refs=Refs(customer="26", email="bea.sample@example.com", phone="+442079460101"),
        )
    ],
    "product-updated": [],
    "wcap-cart-cutoff": [
        event(
            digest("wcap-cart-cutoff"),
            EventKind.CART_SNAPSHOT,
            NOW,
            cart_id="tyche-12",
            items=TYCHE_ITEMS,
            currency="GBP",
            shopper=BEA,
            refs=Refs(customer="26", email="bea.sample@example.com", phone="+442079460101", cart="tyche-12"),
        )
    ],
    "wcap-cart-recovered": [
        event(
            digest("wcap-cart-recovered"),
            EventKind.ORDER_COMPLETED,
            NOW,
            cart_id="tyche-12",
            order_id="727",
            items=TYCHE_ITEMS,
            currency="GBP",
            value=5500,
            shopper=Shopper(name="Bea Sample"),
            refs=Refs(email="bea.sample@example.com", cart="tyche-12", order="727"),
        )
    ],
    "cartflows-abandoned": [
        event(
            digest("cartflows-abandoned"),
            EventKind.CART_SNAPSHOT,
            NOW,
            cart_id="cartflows-3f2a9c81d4e5b6a7",
            items=(Item(product_id="cartflows-3f2a9c81d4e5b6a7", unit_price=6250, title="Mug & Tray, blue"),),
            currency="GBP",
            shopper=CY,
            refs=CY_REFS,
        )
    ],
    "cartflows-completed": [
        event(
            digest("cartflows-completed"),
            EventKind.CART_SNAPSHOT,
            NOW,
            cart_id="cartflows-3f2a9c81d4e5b6a7",
            shopper=CY,
            refs=CY_REFS,
        )
    ],
}


def changed(name: str, **values: Any) -> Parsed:
    """What a fixture gives with some of its body's fields changed."""
    told = fixture("woocommerce", name)
    if "text" in told:
        return parsed(SOURCE, SHOP, {}, urlencode({**dict(parse_qsl(told["text"])), **values}).encode())
    return parsed(SOURCE, SHOP, sample("woocommerce", name).headers, {**told["body"], **values})


def only(events: Parsed) -> CartEvent:
    (one,) = events
    assert isinstance(one, CartEvent)
    return one


@pytest.mark.parametrize("name", [name for name in names("woocommerce") if name != "ping"])
def test_every_fixture_gives_exactly_its_events(name: str) -> None:
    assert parsed(SOURCE, SHOP, *sample("woocommerce", name)) == GOLDEN[name]


def test_no_golden_without_a_fixture() -> None:
    assert sorted([*GOLDEN, "ping"]) == names("woocommerce")


def test_only_the_ping_is_a_ping() -> None:
    assert SOURCE.is_ping(*sample("woocommerce", "ping"))
    for name in GOLDEN:
        assert not SOURCE.is_ping(*sample("woocommerce", name))
    for body in (b"", b"webhook_id=", b"webhook_id=1&key=x", b"webhook_id=x", b"webhook_id=" + b"1" * 100):
        assert not SOURCE.is_ping({}, body)


def authentic(headers: dict[str, str], body: bytes, *secrets: bytes) -> bool:
    return SOURCE.authentic(headers, body, secrets=secrets, now=NOW, window=300)


def test_a_signed_request_is_authentic_with_any_live_secret() -> None:
    for secret in (b"new", b"old"):
        signed = base64.b64encode(hmac.digest(secret, b"{}", hashlib.sha256)).decode()
        assert authentic({"x-wc-webhook-signature": signed}, b"{}", b"new", b"old")
        assert not authentic({"x-wc-webhook-signature": signed}, b"{ }", b"new", b"old")
        assert not authentic({"x-wc-webhook-signature": signed}, b"{}")


def test_a_wrong_signature_is_not_outweighed_by_a_key() -> None:
    assert not authentic({"x-wc-webhook-signature": "", "x-ringback-key": "new"}, b"key=new", b"new")


@pytest.mark.parametrize("secret", ["new", "old", "s&cret ="])
def test_a_key_in_a_header_a_form_or_json_is_authentic(secret: str) -> None:
    secrets = (b"new", b"old", b"s&cret =")
    assert authentic({"x-ringback-key": secret}, b"", *secrets)
    assert authentic({}, urlencode({"first_name": "Cy", "key": secret}).encode(), *secrets)
    assert authentic({}, json.dumps({"key": secret}).encode(), *secrets)


@pytest.mark.parametrize(
    "body", [b"", b"key=", b"key=stolen", b"{}", b'{"key": ""}', b'{"key": ["new"]}', b"{", b"\xff", b"[" * 9]
)
def test_any_other_request_is_not(body: bytes) -> None:
    assert not authentic({}, body, b"new", b"")
    assert not authentic({}, body)
    assert not authentic({"x-ringback-key": "stolen"}, body, b"new")


@pytest.mark.parametrize(
    ("status", "paid", "kinds"),
    [
        ("pending", None, ["checkout_started"]),
        ("checkout-draft", None, ["checkout_started"]),
        ("failed", None, ["checkout_started", "payment_failed"]),
        ("processing", None, ["order_completed"]),
        ("wc-completed", None, ["order_completed"]),
        ("on-hold", None, ["order_completed"]),
        ("shipped-by-drone", None, ["order_completed"]),
        ("pending", "2026-09-21T14:16:00", ["order_completed"]),
        ("cancelled", "2026-09-21T14:16:00", ["order_completed", "order_cancelled"]),
        ("cancelled", None, ["order_cancelled"]),
        ("refunded", "2026-09-21T14:16:00", ["order_completed", "order_refunded"]),
        ("refunded", None, ["order_refunded"]),
        ("trash", None, ["order_cancelled"]),
    ],
)
def test_what_a_status_means(status: str, paid: str | None, kinds: list[str]) -> None:
    found = changed("order-updated", status=status, date_paid=paid, date_paid_gmt=paid)
    assert [one.kind for one in found if isinstance(one, CartEvent)] == kinds


def test_two_states_of_one_second_are_two_events() -> None:
    waiting, paid = (
        only(changed("order-updated", status=status, date_paid=None, date_paid_gmt=None))
        for status in ("pending", "processing")
    )
    assert waiting.event_id != paid.event_id


def test_the_delivery_id_does_not_make_a_new_event() -> None:
    headers, body = sample("woocommerce", "order-updated")
    assert parsed(SOURCE, SHOP, {**headers, "x-wc-webhook-delivery-id": "other"}, body) == GOLDEN["order-updated"]


def test_without_the_webhook_id_the_body_is_what_an_event_is_known_by() -> None:
    headers, body = sample("woocommerce", "order-updated")
    del headers["x-wc-webhook-id"]
    found = only(parsed(SOURCE, SHOP, headers, body))
    assert found.event_id == f"{hashlib.sha256(body).hexdigest()}:order_completed"


def test_those_who_buy_the_same_are_not_taken_for_one() -> None:
    one = only(changed("order-updated", id=1, order_key="a", customer_id=0, billing={}, shipping={}))
    two = only(changed("order-updated", id=2, order_key="b", customer_id="0", billing={}, shipping={}))
    assert one.refs == Refs(checkout="a", order="1")
    assert two.refs == Refs(checkout="b", order="2")


@pytest.mark.parametrize(
    ("total", "quantity", "prices"),
    [
        ("50.00", 3, [(1667, 2), (1666, 1)]),
        ("50.00", 2, [(2500, 2)]),
        ("0.00", 2, [(0, 2)]),
        (0.02, 3, [(1, 2), (0, 1)]),
        ("16.666666666666668", 1, [(1667, 1)]),
        ("16.665", 1, [(1666, 1)]),
        ("50.00", 0, []),
    ],
)
def test_lines_add_up_to_what_is_paid_for_them(total: object, quantity: int, prices: list[tuple[int, int]]) -> None:
    line = {"product_id": 93, "quantity": quantity, "total": total}
    items = only(changed("order-updated", line_items=[line])).items
    assert [(item.unit_price, item.quantity) for item in items] == prices


def test_each_refund_is_told_once_however_often_its_order_is_updated() -> None:
    refunds = [{"id": 730, "total": "-16.67"}, {"id": 731, "total": "-5.00"}]
    first = changed("order-updated-partial-refund", refunds=refunds[:1])
    second = changed("order-updated-partial-refund", refunds=refunds, date_modified_gmt="2026-09-21T16:00:00")
    assert [one.event_id for one in first[1:] if isinstance(one, CartEvent)] == ["refund:730"]
    assert [(one.event_id, one.value) for one in second[1:] if isinstance(one, CartEvent)] == [
        ("refund:730", 1667),
        ("refund:731", 500),
    ]


def test_an_update_of_an_order_bought_long_ago_tells_nothing_of_the_purchase() -> None:
    assert changed("order-updated", date_paid_gmt="2026-08-01T00:00:00") == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"total": "a lot"}, DeadLetterReason.WRONG_TYPE),
        ({"total": "-1.00"}, DeadLetterReason.NEGATIVE_PRICE),
        ({"currency": "ZZZ"}, DeadLetterReason.UNKNOWN_CURRENCY),
        ({"currency": "bea.sample@example.com"}, DeadLetterReason.UNKNOWN_CURRENCY),
        ({"date_modified_gmt": "yesterday"}, DeadLetterReason.WRONG_TYPE),
        ({"date_paid_gmt": "2030-01-01T00:00:00"}, DeadLetterReason.FROM_THE_FUTURE),
        ({"line_items": [{"product_id": 1, "quantity": "some", "total": "1.00"}]}, DeadLetterReason.WRONG_TYPE),
    ],
)
def test_an_order_that_cannot_be_used_still_says_that_its_shopper_bought(values: dict[str, Any], reason: str) -> None:
    (refused,) = changed("order-updated", **values)
    assert isinstance(refused, Refused)
    assert refused.error.reason == reason
    assert "@" not in str(refused.error)
    assert refused.stop is not None
    assert refused.stop.kind is EventKind.ORDER_COMPLETED
    assert refused.stop.refs is not None
    assert refused.stop.refs.order == "727"
    assert refused.stop.time <= NOW


def test_an_open_order_that_cannot_be_used_says_nothing() -> None:
    with pytest.raises(BadEvent, match="total"):
        changed("order-created", total="a lot")


@pytest.mark.parametrize("topic", ["action.woocommerce_add_to_cart", "order", "x" * 500])
def test_an_unknown_topic_is_refused(topic: str) -> None:
    with pytest.raises(BadEvent, match="X-WC-Webhook-Topic") as refused:
        parsed(SOURCE, SHOP, {"x-wc-webhook-topic": topic}, {})
    assert refused.value.reason == DeadLetterReason.UNKNOWN_TOPIC


def test_a_guest_of_tyche_is_no_customer() -> None:
    found = only(changed("wcap-cart-cutoff", user_type="GUEST", user_id=63000001))
    assert found.refs is not None
    assert found.refs.customer is None


def test_a_recovered_cart_needs_its_order() -> None:
    with pytest.raises(BadEvent, match="order_id"):
        changed("wcap-cart-recovered", order_id=None)


def test_cartflows_may_be_passed_on_as_json() -> None:
    told = dict(parse_qsl(fixture("woocommerce", "cartflows-abandoned")["text"]))
    found = only(parsed(SOURCE, SHOP, {}, told))
    (expected,) = GOLDEN["cartflows-abandoned"]
    assert msgspec.structs.replace(found, event_id=expected.event_id) == expected


@pytest.mark.parametrize("query", ["wcf_session_id=3f2a9c81d4e5b6a7", "a=b&wcf_session_id=3f2a9c81d4e5b6a7|0f1e2d"])
@pytest.mark.parametrize("before", ["?", "?utm=x&", "?utm=x&#038;"])
def test_the_session_is_read_from_signed_and_unsigned_links(query: str, before: str) -> None:
    link = (
        f"https://example.com/checkout/{before}{urlencode({'wcf_ac_token': base64.b64encode(query.encode()).decode()})}"
    )
    assert only(changed("cartflows-abandoned", checkout_url=link)).cart_id == "cartflows-3f2a9c81d4e5b6a7"


@pytest.mark.parametrize(
    "link", ["", "https://example.com/", "https://example.com/?wcf_ac_token=%%%", "?wcf_ac_token=é"]
)
def test_a_cart_without_a_session_is_still_a_cart(link: str) -> None:
    found = only(changed("cartflows-abandoned", checkout_url=link))
    assert (found.cart_id, found.items[0].unit_price) == (None, 6250)


def test_a_lost_cart_tells_nothing_new() -> None:
    assert changed("cartflows-abandoned", order_status="lost") == []


def test_the_order_of_meta_data_changes_nothing() -> None:
    meta = fixture("woocommerce", "order-created")["body"]["meta_data"]
    assert changed("order-created", meta_data=meta[::-1]) == GOLDEN["order-created"]


HEADERS = [sample("woocommerce", name).headers for name in names("woocommerce")]


@given(headers=st.sampled_from(HEADERS), body=st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_worse(headers: dict[str, str], body: bytes) -> None:
    assert not SOURCE.authentic(headers, body, secrets=[b"a secret of some length"], now=NOW, window=300)
    _usable_or_refused(headers, body)


@given(data=st.data(), name=st.sampled_from([name for name in GOLDEN if "cartflows" not in name]))
def test_mutated_bodies_are_refused_and_nothing_worse(data: st.DataObject, name: str) -> None:
    body = data.draw(mutated(fixture("woocommerce", name)["body"]))
    _usable_or_refused(sample("woocommerce", name).headers, json.dumps(body).encode())


@given(data=st.data())
def test_mutated_forms_are_refused_and_nothing_worse(data: st.DataObject) -> None:
    fields = dict(parse_qsl(fixture("woocommerce", "cartflows-abandoned")["text"]))
    _usable_or_refused({}, urlencode(data.draw(mutated(fields)), errors="replace").encode())


def _usable_or_refused(headers: dict[str, str], body: bytes) -> None:
    try:
        found = SOURCE.parse(headers, body, shop=SHOP, now=NOW, limits=LIMITS)
    except BadEvent:
        return
    for one in found:
        told = one.stop if isinstance(one, Refused) else one
        assert told is None or msgspec.json.encode(told)
    ids = [one.event_id for one in found if isinstance(one, CartEvent)]
    assert len(ids) == len(set(ids))
