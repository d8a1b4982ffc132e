"""What the calls that Segment documents become, whole: by the names of their fixtures."""

from typing import Any

import msgspec

from ingest.source import Shop
from ringback.records import CartEvent, Consent, EventKind, Item, Refs, Shopper
from tests.ingest.sources.tracked import LAMP, ONE_LAMP, TIME

ANONYMOUS = "5d1b8a6e-3f0c-4c57-9a2b-7e1f5d0c9a11"
SHOP = Shop("segment", "example", consent={"voice": "traits.call_me", "sms": "traits.text_me"})
CUP = Item(product_id="4711", unit_price=800, category="Kitchen", title="Coffee cup")
VISITOR = Refs(anonymous=ANONYMOUS)
CUSTOMER = Refs(customer="90210", anonymous=ANONYMOUS)
IN_NEW_YORK = Shopper(timezone="America/New_York")


def event(number: int, kind: EventKind, refs: Refs, **fields: Any) -> CartEvent:
    return msgspec.structs.replace(
        CartEvent(
            event_id=f"ajs-next-{number:04d}",
            source="segment/example",
            kind=kind,
            time=TIME,
            shopper=IN_NEW_YORK,
            refs=refs,
        ),
        **fields,
    )


def with_refs(refs: Refs, **more: str) -> Refs:
    return msgspec.structs.replace(refs, **more)


ORDER = with_refs(CUSTOMER, order="50314b8e")
GOLDEN: dict[str, list[CartEvent]] = {
    "product-viewed": [event(1, EventKind.PRODUCT_VIEWED, VISITOR, items=(ONE_LAMP,), currency="USD")],
    "product-added": [
        event(
            2,
            EventKind.ITEM_ADDED,
            with_refs(VISITOR, cart="cart-77"),
            cart_id="cart-77",
            items=(LAMP,),
            currency="USD",
        )
    ],
    "product-removed": [
        event(
            3,
            EventKind.ITEM_REMOVED,
            with_refs(VISITOR, cart="cart-77"),
            cart_id="cart-77",
            items=(msgspec.structs.replace(LAMP, quantity=2),),
            currency="USD",
        )
    ],
    "cart-viewed": [
        event(
            4,
            EventKind.CART_SNAPSHOT,
            with_refs(VISITOR, cart="cart-77"),
            cart_id="cart-77",
            items=(LAMP, CUP),
            currency="USD",
        )
    ],
    "checkout-started": [
        event(
            5,
            EventKind.CHECKOUT_STARTED,
            with_refs(ORDER, cart="cart-77", email="jo.sample@example.com", phone="+12025550143"),
            cart_id="cart-77",
            order_id="50314b8e",
            items=(LAMP, CUP),
            currency="USD",
            shopper=Shopper(phone="+12025550143", country="US", timezone="America/New_York"),
        )
    ],
    "checkout-step-completed": [event(6, EventKind.CHECKOUT_STEP, with_refs(CUSTOMER, checkout="chk-9"), step=2)],
    "payment-info-entered": [
        event(7, EventKind.CHECKOUT_STEP, with_refs(ORDER, checkout="chk-9"), order_id="50314b8e", step=3)
    ],
    "coupon-applied": [
        event(8, EventKind.OTHER, with_refs(ORDER, cart="cart-77"), order_id="50314b8e", cart_id="cart-77")
    ],
    "coupon-denied": [
        event(
            19,
            EventKind.COUPON_REFUSED,
            with_refs(ORDER, cart="cart-77"),
            order_id="50314b8e",
            cart_id="cart-77",
            traffic="google / cpc",
        )
    ],
    "order-updated": [event(9, EventKind.OTHER, ORDER, order_id="50314b8e")],
    "order-completed": [
        event(
            10,
            EventKind.ORDER_COMPLETED,
            with_refs(ORDER, cart="cart-77", checkout="chk-9"),
            order_id="50314b8e",
            cart_id="cart-77",
            items=(LAMP, CUP),
            value=7250,
            currency="USD",
        )
    ],
    "order-refunded": [
        event(11, EventKind.ORDER_REFUNDED, ORDER, order_id="50314b8e", items=(CUP,), value=800, currency="USD")
    ],
    "order-cancelled": [event(12, EventKind.ORDER_CANCELLED, ORDER, order_id="50314b8e")],
    "completed-order": [
        event(
            13,
            EventKind.ORDER_COMPLETED,
            with_refs(CUSTOMER, order="50315"),
            order_id="50315",
            items=(Item(product_id="lamp-1", quantity=2, unit_price=1999, title="Desk lamp"),),
            value=3998,
            currency="USD",
        )
    ],
    "identify": [
        event(
            14,
            EventKind.IDENTIFIED,
            with_refs(CUSTOMER, email="jo.sample@example.com", phone="+12025550143"),
            shopper=Shopper(
                name="Jo Sample",
                phone="+12025550143",
                country="US",
                region="US-DC",
                timezone="America/New_York",
                consent=Consent(
                    voice=True, sms=False, evidence="segment traits.call_me, traits.text_me", captured=TIME
                ),
            ),
        )
    ],
    "alias": [event(15, EventKind.IDENTIFIED, CUSTOMER)],
    "page": [event(16, EventKind.OTHER, VISITOR)],
    "batch": [
        event(17, EventKind.ITEM_ADDED, VISITOR, items=(LAMP,), currency="USD"),
        event(
            18,
            EventKind.ITEM_REMOVED,
            VISITOR,
            items=(Item(product_id="lamp-1", unit_price=1999),),
            currency="USD",
            shopper=None,
        ),
    ],
}
