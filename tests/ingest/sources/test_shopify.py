"""Shopify's webhooks: every fixture's exact events, who may send, and that whatever is in a body is refused at most."""

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
from ingest.sources.shopify import SOURCE
from ringback.errors import BadEvent
from ringback.records import CartEvent, Consent, DeadLetterReason, EventKind, Item, Refs, Shopper
from tests.ingest.sources.samples import LIMITS, NOW, fixture, mutated, names, parsed, sample

SHOP = Shop("shopify", "example", currency="USD", country="US", consent={"voice": "note_attributes.call_me"})
START = 1_790_000_000.0
CART = "Z2NwLXVzLWVhc3QxOjAxSg"
CHECKOUT = "b1946ac92492d2347c6235b4d2611184"
ORDER = "820982911946154508"
ADA = "7064055069303"
MAIL = "ada.example@example.com"
LAMP = Item(product_id="632910392", quantity=2, unit_price=19900, brand="Lumen", title="Lamp, oak")
REDUCED_LAMP = msgspec.structs.replace(LAMP, unit_price=17910)
BULB = Item(product_id="921728736", unit_price=995, brand="Lumen", title="Bulb, warm")
ALL_REFS = Refs(customer=ADA, email=MAIL, phone="+12125550123", cart=CART, checkout=CHECKOUT)
ORDER_REFS = msgspec.structs.replace(ALL_REFS, order=ORDER)
ADA_AT_HOME = Shopper(name="Ada Example", phone="+12125550123", country="US", region="US-NY")


def event(name: str, kind: EventKind, after: float, **fields: Any) -> CartEvent:
    return CartEvent(event_id=f"wh-{name}", source="shopify/example", kind=kind, time=START + after, **fields)


def agreed(shopper: Shopper, after: float, evidence: str, **answers: bool) -> Shopper:
    consent = Consent(**answers, evidence=evidence, captured=START + after)
    return msgspec.structs.replace(shopper, consent=consent)


def bought(name: str, version: int) -> CartEvent:
    purchase = event(
        name,
        EventKind.ORDER_COMPLETED,
        401,
        cart_id=CART,
        order_id=ORDER,
        items=(LAMP, BULB),
        currency="USD",
        value=40795,
        shopper=agreed(ADA_AT_HOME, 401, "shopify note_attributes.call_me", voice=False),
        refs=ORDER_REFS,
    )
    return msgspec.structs.replace(purchase, event_id=f"{START + version:.0f}:{purchase.event_id}")


def snapshot(name: str, after: float, *items: Item) -> CartEvent:
    return event(name, EventKind.CART_SNAPSHOT, after, cart_id=CART, items=items, currency="USD", refs=Refs(cart=CART))


UNTICKED = "shopify checkouts/{} buyer_accepts_sms_marketing"
PRIVACY_REFS = Refs(customer=ADA, email=MAIL, phone="+442079460123")
GOLDEN: dict[str, list[CartEvent]] = {
    "carts-create": [snapshot("carts-create", 0, REDUCED_LAMP)],
    "carts-update": [snapshot("carts-update", 120, REDUCED_LAMP, BULB)],
    "carts-update-ajax": [
        snapshot(
            "carts-update-ajax",
            1.123456,
            msgspec.structs.replace(LAMP, category="Lamps"),
            msgspec.structs.replace(BULB, category="Lamps"),
        )
    ],
    "checkouts-create": [
        event(
            "checkouts-create",
            EventKind.CHECKOUT_STARTED,
            40,
            cart_id=CART,
            items=(LAMP, BULB),
            currency="USD",
            shopper=agreed(Shopper(), 40, UNTICKED.format("create"), sms=False),
            refs=Refs(email=MAIL, cart=CART, checkout=CHECKOUT),
        )
    ],
    "checkouts-update": [
        event(
            "checkouts-update",
            EventKind.CHECKOUT_STARTED,
            160,
            cart_id=CART,
            items=(LAMP, BULB),
            currency="USD",
            shopper=agreed(
                ADA_AT_HOME,
                160,
                f"{UNTICKED.format('update')}; shopify note_attributes.call_me",
                voice=True,
                sms=True,
            ),
            refs=ALL_REFS,
        )
    ],
    "checkouts-update-completed": [
        event(
            "checkouts-update-completed",
            EventKind.CART_SNAPSHOT,
            405,
            cart_id=CART,
            shopper=agreed(ADA_AT_HOME, 405, UNTICKED.format("update"), sms=False),
            refs=ALL_REFS,
        )
    ],
    "checkouts-delete": [],
    "orders-create": [bought("orders-create", 402)],
    "orders-updated": [bought("orders-updated", 67600)],
    "orders-paid": [bought("orders-paid", 430)],
    "orders-cancelled": [
        bought("orders-cancelled", 6401),
        msgspec.structs.replace(
            bought("orders-cancelled", 6401),
            event_id="wh-orders-cancelled:cancelled",
            kind=EventKind.ORDER_CANCELLED,
            time=START + 6400,
            items=(),
            currency=None,
            value=None,
        ),
    ],
    "orders-create-test": [],
    "refunds-create": [
        event(
            "refunds-create",
            EventKind.ORDER_REFUNDED,
            2800,
            order_id=ORDER,
            currency="USD",
            value=995,
            refs=Refs(order=ORDER),
        )
    ],
    "customers-update": [
        event(
            "customers-update",
            EventKind.IDENTIFIED,
            1000,
            shopper=agreed(
                Shopper(name="Ada Example", phone="+442079460123", country="GB"),
                -108800,
                "shopify customers/update sms_marketing_consent",
                sms=True,
            ),
            refs=PRIVACY_REFS,
        )
    ],
    "customers_marketing_consent-update": [
        event(
            "customers_marketing_consent-update",
            EventKind.CONSENT_CHANGED,
            1.123456,
            shopper=agreed(
                Shopper(phone="+442079460123", country="GB"),
                -1,
                "shopify customers_marketing_consent/update sms_marketing_consent",
                sms=False,
            ),
            refs=PRIVACY_REFS,
        )
    ],
    "customers_email_marketing_consent-update": [],
    "customers-data_request": [event("customers-data_request", EventKind.DATA_REQUESTED, 1.123456, refs=PRIVACY_REFS)],
    "customers-redact": [event("customers-redact", EventKind.ERASED, 1.123456, refs=PRIVACY_REFS)],
    "shop-redact": [],
}


def changed(name: str, **values: Any) -> Parsed:
    """What a fixture gives with some of its body's fields changed."""
    return parsed(SOURCE, SHOP, sample("shopify", name).headers, {**fixture("shopify", name)["body"], **values})


def only(events: Parsed) -> CartEvent:
    (one,) = events
    assert isinstance(one, CartEvent)
    return one


@pytest.mark.parametrize("name", names("shopify"))
def test_every_fixture_gives_exactly_its_events(name: str) -> None:
    assert parsed(SOURCE, SHOP, *sample("shopify", name)) == GOLDEN[name]


def test_no_golden_without_a_fixture() -> None:
    assert sorted(GOLDEN) == names("shopify")


def signature(body: bytes, secret: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()


@pytest.mark.parametrize("header", ["x-shopify-hmac-sha256", "shopify-hmac-sha256"])
def test_a_request_signed_with_any_live_secret_is_authentic(header: str) -> None:
    body, secrets = b'{"id": 1}', [b"new", b"old"]
    for secret in secrets:
        headers = {header: signature(body, secret)}
        assert SOURCE.authentic(headers, body, secrets=secrets, now=NOW, window=300)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-shopify-hmac-sha256": ""},
        {"x-shopify-hmac-sha256": "ü"},
        {"x-shopify-hmac-sha256": signature(b"other", b"new")},
        {"x-shopify-hmac-sha256": signature(b"{}", b"stolen")},
        {"x-shopify-hmac-sha256": signature(b"{}", b"")},
    ],
)
def test_any_other_request_is_not(headers: dict[str, str]) -> None:
    assert not SOURCE.authentic(headers, b"{}", secrets=[b"new", b""], now=NOW, window=300)
    assert not SOURCE.authentic(headers, b"{}", secrets=[], now=NOW, window=300)


@pytest.mark.parametrize("topic", ["", "products/update", "x" * 1000])
def test_an_unknown_topic_is_refused(topic: str) -> None:
    with pytest.raises(BadEvent, match="X-Shopify-Topic") as refused:
        parsed(SOURCE, SHOP, {"x-shopify-topic": topic}, {})
    assert refused.value.reason == DeadLetterReason.UNKNOWN_TOPIC
    assert len(refused.value.detail) < 500


def test_without_the_webhook_id_the_event_is_known_by_what_it_is_about() -> None:
    name = "checkouts-update"
    headers = {key: value for key, value in sample("shopify", name).headers.items() if key != "x-shopify-webhook-id"}
    found = only(parsed(SOURCE, SHOP, headers, fixture("shopify", name)["body"]))
    assert found.event_id == "checkouts/update:981820079255243537:2026-09-21T14:16:00Z"


def test_a_checkout_without_a_cart_is_known_by_its_own_token() -> None:
    started = only(changed("checkouts-update", cart_token=None))
    ordered = only(changed("orders-create", cart_token=None))
    assert started.cart_id == ordered.cart_id == CHECKOUT


@pytest.mark.parametrize(
    ("values", "phone"),
    [
        ({"sms_marketing_phone": "+12125550199", "phone": "+12125550111"}, "+12125550199"),
        ({"sms_marketing_phone": "soon", "phone": "(212) 555-0111"}, "+12125550111"),
        ({"sms_marketing_phone": None, "phone": 12125550111}, "+12125550111"),
        ({"sms_marketing_phone": None, "customer": {"phone": "+12125550112"}}, "+12125550112"),
        ({"sms_marketing_phone": None}, "+12125550123"),
        ({"sms_marketing_phone": None, "shipping_address": []}, "+12125550123"),
        ({"sms_marketing_phone": None, "shipping_address": [], "billing_address": None}, "+12125550147"),
        (
            {
                "sms_marketing_phone": None,
                "shipping_address": {"country_code": "GB", "phone": "020 7946 0321"},
                "customer": None,
            },
            "+442079460321",
        ),
        ({"sms_marketing_phone": None, "shipping_address": {}, "billing_address": "none", "customer": 1}, None),
    ],
)
def test_the_first_number_that_can_be_valid_is_taken(values: dict[str, Any], phone: str | None) -> None:
    found = only(changed("checkouts-update", **values))
    assert found.refs is not None
    assert found.refs.phone == phone
    assert (found.shopper.phone if found.shopper else None) == phone


@pytest.mark.parametrize(
    ("values", "sms"),
    [
        ({}, True),
        ({"sms_marketing_phone": None}, None),
        ({"sms_marketing_phone": "not a number"}, None),
        ({"buyer_accepts_sms_marketing": None}, None),
        ({"buyer_accepts_sms_marketing": "yes"}, None),
        ({"buyer_accepts_sms_marketing": False}, False),
    ],
)
def test_a_yes_to_sms_holds_for_its_own_number_only(values: dict[str, Any], sms: bool | None) -> None:
    consent = (only(changed("checkouts-update", **values)).shopper or Shopper()).consent or Consent()
    assert (consent.sms, consent.voice) == (sms, True)


@pytest.mark.parametrize("state", ["not_subscribed", "pending", "invalid", None, 3])
def test_what_is_no_answer_is_unknown(state: object) -> None:
    assert changed("customers_marketing_consent-update", sms_marketing_consent={"state": state}) == []
    assert (
        only(changed("customers-update", sms_marketing_consent={"state": state})).shopper or Shopper()
    ).consent is None


def test_email_consent_says_nothing_of_other_channels() -> None:
    found = only(changed("customers-update", sms_marketing_consent=None))
    assert found.shopper is not None
    assert found.shopper.consent is None


def test_an_old_yes_does_not_look_new_in_an_update_of_its_order() -> None:
    told = changed("orders-updated", note_attributes=[{"name": "call_me", "value": "yes"}])
    consent = (only(told).shopper or Shopper()).consent
    assert consent == Consent(voice=True, evidence="shopify note_attributes.call_me", captured=START + 401)


def test_an_update_of_an_order_bought_long_ago_tells_nothing() -> None:
    assert changed("orders-updated", created_at="2026-08-01T00:00:00Z") == []
    (cancelled,) = changed("orders-cancelled", created_at="2026-08-01T00:00:00Z")
    assert isinstance(cancelled, CartEvent)
    assert cancelled.kind is EventKind.ORDER_CANCELLED


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"total_price": "a lot"}, DeadLetterReason.WRONG_TYPE),
        ({"total_price": "19.999"}, DeadLetterReason.WRONG_TYPE),
        ({"total_price": "-1.00"}, DeadLetterReason.NEGATIVE_PRICE),
        ({"currency": "ZZZ"}, DeadLetterReason.UNKNOWN_CURRENCY),
        ({"updated_at": "yesterday"}, DeadLetterReason.WRONG_TYPE),
        ({"created_at": "2030-01-01T00:00:00Z"}, DeadLetterReason.FROM_THE_FUTURE),
        ({"id": None}, DeadLetterReason.WRONG_TYPE),
        ({"currency": "EUR"}, DeadLetterReason.MIXED_CURRENCIES),
        ({"line_items": [{"product_id": 1, "quantity": 0.5, "price": "1.00"}]}, DeadLetterReason.WRONG_TYPE),
    ],
)
def test_an_order_that_cannot_be_used_still_says_that_its_shopper_bought(values: dict[str, Any], reason: str) -> None:
    (refused,) = changed("orders-create", **values)
    assert isinstance(refused, Refused)
    assert refused.error.reason == reason
    assert refused.stop is not None
    assert refused.stop.kind is EventKind.ORDER_COMPLETED
    assert refused.stop.refs is not None
    assert refused.stop.refs.customer == ADA
    assert refused.stop.time <= NOW
    assert (refused.stop.items, refused.stop.value) == ((), None)


@pytest.mark.parametrize(
    ("told", "traffic"),
    [
        ({"landing_site": "/?utm_source=spring&utm_medium=email"}, "spring / email"),
        ({"referring_site": "https://a.example/x"}, "a.example / referral"),
        ({"landing_site": None, "referring_site": 5}, None),
    ],
)
def test_where_a_checkout_came_from(told: dict[str, Any], traffic: str | None) -> None:
    assert only(changed("checkouts-create", **told)).traffic == traffic


def test_a_test_order_never_counts_not_even_one_that_cannot_be_used() -> None:
    assert changed("orders-create-test", total_price="a lot") == []


def test_a_deleted_checkout_that_can_be_told_empties_its_cart() -> None:
    found = only(changed("checkouts-delete", token=CHECKOUT, cart_token=CART))
    assert (found.kind, found.cart_id, found.items) == (EventKind.CART_SNAPSHOT, CART, ())


def test_a_cart_without_a_currency_anywhere_is_refused() -> None:
    shop = Shop("shopify", "example")
    with pytest.raises(BadEvent, match="currency") as refused:
        parsed(SOURCE, shop, *sample("shopify", "carts-create"))
    assert refused.value.reason == DeadLetterReason.UNKNOWN_CURRENCY


@pytest.mark.parametrize(("price", "minor"), [(19900, 1_990_000), ("199.00", 19900), (199.0, 19900), (199, 19900)])
def test_only_the_shape_of_cart_js_makes_prices_cents(price: object, minor: int) -> None:
    lines = [{"product_id": 1, "quantity": 1, "price": price}]
    for more in ({}, {"item_count": 1}, {"items": lines}):
        assert only(changed("carts-create", line_items=lines, **more)).items[0].unit_price == minor


def test_erasure_is_never_refused_for_its_time() -> None:
    body = fixture("shopify", "customers-redact")["body"]
    for triggered in ("", "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "now"):
        headers = {"x-shopify-topic": "customers/redact", "x-shopify-triggered-at": triggered}
        assert only(parsed(SOURCE, SHOP, headers, body)).kind is EventKind.ERASED


def test_refusals_repeat_nothing_personal() -> None:
    for values in (
        {"updated_at": MAIL},
        {"line_items": [{"product_id": 1, "price": MAIL}]},
        {"currency": "+12125550123"},
    ):
        with pytest.raises(BadEvent) as refused:
            changed("checkouts-update", **values)
        assert MAIL not in str(refused.value)
        assert "2125550123" not in str(refused.value)


def test_the_order_of_lines_changes_nothing_but_their_order() -> None:
    lines = fixture("shopify", "orders-create")["body"]["line_items"]
    there, back = (
        only(changed("orders-create", line_items=lines)),
        only(changed("orders-create", line_items=lines[::-1])),
    )
    assert msgspec.structs.replace(back, items=back.items[::-1]) == there


@given(
    topic=st.sampled_from([fixture("shopify", name)["headers"] for name in names("shopify")]),
    body=st.binary(max_size=200),
)
def test_random_bytes_are_refused_and_nothing_worse(topic: dict[str, str], body: bytes) -> None:
    _usable_or_refused({key.lower(): value for key, value in topic.items()}, body)


@given(data=st.data(), name=st.sampled_from(names("shopify")))
def test_mutated_bodies_are_refused_and_nothing_worse(data: st.DataObject, name: str) -> None:
    body = data.draw(mutated(fixture("shopify", name)["body"]))
    _usable_or_refused(sample("shopify", name).headers, json.dumps(body).encode())


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
