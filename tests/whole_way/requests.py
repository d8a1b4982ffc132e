"""What platforms send about made-up shoppers of one shop: short bodies in their own formats."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

NOON = 1_790_000_000.0  # Monday 2026-09-21 14:13:20 UTC, 10:13 in New York: inside calling hours there
PRICES = {"boots": "120.00", "hat": "35.50", "lamp": "249.99", "socks": "9.95"}


class Sent(NamedTuple):
    """One authentic request; header names are in lower case."""

    platform: str
    headers: Mapping[str, str]
    body: bytes


class Person(NamedTuple):
    """By what names a shop's platforms may know somebody."""

    number: int

    @property
    def email(self) -> str:
        return f"shopper{self.number}@example.com"

    @property
    def phone(self) -> str:
        return f"+1 212-555-01{self.number:02}"

    @property
    def customer(self) -> int:
        return 7001 + self.number

    @property
    def cart(self) -> str:
        return f"cart-{self.number}"

    @property
    def order(self) -> int:
        return 8001 + self.number

    def device(self, which: int = 0) -> str:
        return f"device-{self.number}-{which}"


def shopify_cart(person: Person, at: float, lines: Mapping[str, int], *, token: str | None = None) -> Sent:
    body = {"token": token or person.cart, "line_items": _shopify_lines(lines), "updated_at": iso(at)}
    return shopify("carts/update", at, body)


def shopify_checkout(person: Person, at: float, lines: Mapping[str, int], **more: Any) -> Sent:
    """``more`` says who it is: email, phone, customer={"id": …}, note_attributes."""
    body = {
        "token": f"checkout-{person.number}",
        "cart_token": person.cart,
        "currency": "USD",
        "line_items": _shopify_lines(lines),
        "created_at": iso(at),
        "updated_at": iso(at),
        **more,
    }
    return shopify("checkouts/update", at, body)


def shopify_order(
    person: Person,
    at: float,
    lines: Mapping[str, int],
    *,
    topic: str = "orders/create",
    told: float | None = None,
    **more: Any,
) -> Sent:
    """The order made at a time; ``told`` is when this message was sent, for those that come later."""
    body = {
        "id": person.order,
        "cart_token": person.cart,
        "checkout_token": f"checkout-{person.number}",
        "currency": "USD",
        "total_price": total(lines),
        "line_items": _shopify_lines(lines),
        "created_at": iso(at),
        "updated_at": iso(at if told is None else told),
        **more,
    }
    return shopify(topic, at if told is None else told, body)


def shopify_refund(person: Person, at: float, amount: str) -> Sent:
    paid = {"kind": "refund", "status": "success", "amount": amount, "currency": "USD"}
    return shopify("refunds/create", at, {"order_id": person.order, "created_at": iso(at), "transactions": [paid]})


def shopify_redact(person: Person, at: float) -> Sent:
    customer = {"id": person.customer, "email": person.email, "phone": person.phone}
    return shopify("customers/redact", at, {"customer": customer, "orders_to_redact": [person.order]})


def shopify(topic: str, at: float, body: Mapping[str, Any]) -> Sent:
    raw = json.dumps(body).encode()
    headers = {
        "x-shopify-topic": topic,
        "x-shopify-webhook-id": hashlib.sha256(topic.encode() + raw).hexdigest()[:32],
        "x-shopify-triggered-at": iso(at),
    }
    return Sent("shopify", headers, raw)


def segment_track(event: str, at: float, properties: Mapping[str, Any], **who: Any) -> Sent:
    """``who`` is anonymousId, userId, context."""
    return segment({"type": "track", "event": event, "properties": properties, **who}, at)


def segment_added(at: float, product: str, quantity: int = 1, *, kind: str = "Product Added", **who: Any) -> Sent:
    cart = {"cart_id": who.pop("cart_id")} if "cart_id" in who else {}
    return segment_track(kind, at, {**segment_product(product, quantity), "currency": "USD", **cart}, **who)


def segment_cart(at: float, lines: Mapping[str, int], *, kind: str = "Cart Viewed", **who: Any) -> Sent:
    named: dict[str, Any] = {name: who.pop(name) for name in ("cart_id", "order_id", "total") if name in who}
    products = [segment_product(product, quantity) for product, quantity in lines.items()]
    return segment_track(kind, at, {"products": products, "currency": "USD", **named}, **who)


def segment_identify(at: float, traits: Mapping[str, Any], **who: Any) -> Sent:
    return segment({"type": "identify", "traits": traits, **who}, at)


def segment_product(product: str, quantity: int = 1) -> dict[str, Any]:
    return {"product_id": product, "name": product.title(), "price": float(PRICES[product]), "quantity": quantity}


def segment(message: Mapping[str, Any], at: float) -> Sent:
    raw = json.dumps({**message, "timestamp": iso(at)}).encode()
    message_id = hashlib.sha256(raw).hexdigest()[:32]
    return Sent("segment", {}, json.dumps({**message, "timestamp": iso(at), "messageId": message_id}).encode())


def woo_order(
    person: Person, at: float, status: str, lines: Mapping[str, int], *, paid: float | None = None, **more: Any
) -> Sent:
    body = {
        "id": person.order,
        "order_key": f"wc_order_{person.number}",
        "status": status,
        "currency": "USD",
        "date_created_gmt": iso(0)[:19],
        "date_modified_gmt": iso(at)[:19],
        "date_paid_gmt": iso(paid)[:19] if paid is not None else None,
        "total": total(lines),
        "customer_id": 0,
        "billing": {"first_name": "Bea", "country": "US", "email": person.email, "phone": person.phone},
        "line_items": [
            {"product_id": product, "name": product.title(), "quantity": quantity, "total": _price(product, quantity)}
            for product, quantity in lines.items()
        ],
        **more,
    }
    headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-id": "17"}
    return Sent("woocommerce", headers, json.dumps(body).encode())


def iso(at: float) -> str:
    return datetime.fromtimestamp(NOON + at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def total(lines: Mapping[str, int]) -> str:
    cents = sum(int(PRICES[product].replace(".", "")) * quantity for product, quantity in lines.items())
    return f"{cents // 100}.{cents % 100:02}"


def _price(product: str, quantity: int) -> str:
    return total({product: quantity})


def _shopify_lines(lines: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"product_id": product, "title": product.title(), "quantity": quantity, "price": PRICES[product]}
        for product, quantity in lines.items()
    ]
