"""WooCommerce's webhooks, and those of its two usual abandoned-cart plug-ins.

WooCommerce itself (class-wc-webhook.php) tells of orders and customers, not of carts. It never repeats a failed
delivery. An order's status says whether it was bought:

- pending, failed, checkout-draft: not yet. CHECKOUT_STARTED with all lines; after a failed payment PAYMENT_FAILED too.
- processing, completed, on-hold and every status that a plug-in adds (shipped, …): ORDER_COMPLETED. What a shop
  invents comes after the purchase, and a shopper who bought must not be called.
- refunded, cancelled: ORDER_COMPLETED if it was ever paid, then ORDER_REFUNDED or ORDER_CANCELLED. Each partial refund
  is an ORDER_REFUNDED of its own, by the id of the refund.

An order that was deleted gives ORDER_CANCELLED. ``cart_hash`` is no reference: it is a digest of what is in a cart,
the same for all who buy the same. Nor is customer 0, which stands for guests.

An event id has webhook id, topic, resource id, ``date_modified_gmt`` and the event's kind: an order is often saved
twice in one second, and the second time it is paid. Delivery ids differ with each delivery.

Abandoned Cart Lite and Pro by TycheSoftwares (from 5.12.0) add the topics ``wcap_cart.cutoff`` and
``wcap_cart.recovered`` to WooCommerce's own webhooks, signed as those are. Cart Abandonment Recovery by CartFlows
posts a form without signature or headers; its settings have nothing but a URL. A key in the form field ``key`` proves
it, which its PHP filter ``woo_ca_webhook_trigger_details`` adds; whoever passes it on may send a header
``X-Ringback-Key`` and JSON instead. See `ingest.sources.woocommerce_carts` for both.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from ingest import fields
from ingest.contact import consent_at, country_of, e164
from ingest.fields import Json
from ingest.ids import email
from ingest.signatures import hmac_sha256_base64, is_key, static_key
from ingest.source import Parsed, Refused, Shop, Source
from ingest.sources.woocommerce_carts import form_of, parse_cartflows, parse_tyche
from ingest.whereabouts import alpha2, region_of
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Refs, Shopper
from ringback.settings import IngestSettings
from ringback.validation import check

SIGNATURE = "x-wc-webhook-signature"
KEY_HEADER = "x-ringback-key"
DRAFT = frozenset({"checkout-draft", "auto-draft", "draft", "new"})
OPEN = DRAFT | {"pending", "failed"}
UNDONE = frozenset({"cancelled", "refunded", "trash"})
ORDER_TOPICS = frozenset({"order.created", "order.updated", "order.restored"})
CUSTOMER_TOPICS = frozenset({"customer.created", "customer.updated"})
CART_TOPICS = frozenset({"wcap_cart.cutoff", "wcap_cart.recovered"})
# An account that is deleted is no request for erasure: WordPress asks its shops for those elsewhere.
IGNORED = re.compile(r"(?:product|coupon)\..*|customer\.deleted")

_PING = re.compile(rb"webhook_id=\d{1,20}")


@dataclass(frozen=True, slots=True)
class _Delivery:
    headers: Mapping[str, str]
    topic: str
    body: Json
    digest: str
    shop: Shop
    now: float
    limits: IngestSettings

    def event_id(self, kind: EventKind) -> str:
        """What is the same whenever the same is told again."""
        webhook, entity = self.headers.get("x-wc-webhook-id", ""), fields.entity_id(self.body, "id")
        version = fields.text(self.body, "date_modified_gmt")
        if not webhook or not entity or not (version or self.topic.endswith(".deleted")):
            return f"{self.digest}:{kind}"
        return f"{webhook}:{self.topic}:{entity}:{version or ''}:{kind}"

    def version(self) -> float:
        """When the resource was last saved; `BadEvent` where it does not say so."""
        time = fields.seconds(self.body, "date_modified_gmt", "date_created_gmt")
        if time is None:
            raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{self.topic} has no date_modified_gmt")
        return time

    def checked(self, event: CartEvent) -> CartEvent:
        """The event, if it can be used."""
        check(event, now=self.now, limits=self.limits)
        return event


def is_ping(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether this is what WooCommerce sends when a webhook is saved: ``webhook_id=<n>``, as a form and unsigned."""
    return len(body) < 64 and _PING.fullmatch(body.strip()) is not None


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether a request is signed with the webhook's secret, or brings it as a key; see the module."""
    if SIGNATURE in headers:
        return hmac_sha256_base64(headers, body, [SIGNATURE], secrets)
    if KEY_HEADER in headers:
        return static_key(headers, [KEY_HEADER], secrets)
    try:
        return is_key(fields.text(form_of(body), "key") or "", secrets)
    except BadEvent:
        return False


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """The events of one webhook; see `ingest.source.Parse`."""
    topic = headers.get("x-wc-webhook-topic", "").strip()
    if IGNORED.fullmatch(topic):
        return []
    digest = hashlib.sha256(body).hexdigest()
    if not topic:
        return parse_cartflows(form_of(body), digest, shop=shop, now=now, limits=limits)
    told = fields.json_object(body)
    if topic in CART_TOPICS:
        return parse_tyche(topic, told, digest, shop=shop, now=now, limits=limits)
    delivery = _Delivery(headers, topic, told, digest, shop, now, limits)
    if topic in ORDER_TOPICS:
        return _order_or_purchase(delivery, body)
    if topic == "order.deleted":
        return [_order_event(delivery, EventKind.ORDER_CANCELLED, now)]
    if topic in CUSTOMER_TOPICS:
        return _customer(delivery)
    known = sorted(ORDER_TOPICS | CUSTOMER_TOPICS | CART_TOPICS | {"order.deleted"})
    detail = f"X-WC-Webhook-Topic {topic[:60]!r} is none of {', '.join(known)}"
    raise BadEvent(DeadLetterReason.UNKNOWN_TOPIC, detail)


def _order_or_purchase(delivery: _Delivery, raw: bytes) -> Parsed:
    """The events of an order; of one that can't be used, at least that its shopper bought."""
    try:
        return _order(delivery)
    except BadEvent as error:
        if not _is_bought(delivery.body):
            raise
        try:
            when = min(_bought_at(delivery), delivery.now)
        except BadEvent:
            when = delivery.now
        try:
            stop = _order_event(delivery, EventKind.ORDER_COMPLETED, when, suffix=":stop")
        except BadEvent:
            raise error from None
        return [Refused(error, raw, stop)]


def _order(delivery: _Delivery) -> Parsed:
    order, version = delivery.body, delivery.version()
    currency = fields.currency_of(order, ["currency"], delivery.shop.currency)
    items = tuple(_items(order, currency))
    value = fields.minor(order, ["total"], currency, rounded=True)
    status = _status(order)
    # What was agreed to at the checkout is no newer for every update of the order.
    placed = version if status in DRAFT else fields.seconds(order, "date_created_gmt")
    shopper = _shopper(order, delivery.shop, version if placed is None else placed)
    if status is None or fields.entity_id(order, "id") is None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{delivery.topic} has no status or no id")
    if status in OPEN and not _is_bought(order):
        started = _order_event(
            delivery, EventKind.CHECKOUT_STARTED, version, items=items, currency=currency, shopper=shopper
        )
        if status != "failed":
            return [started]
        return [started, _order_event(delivery, EventKind.PAYMENT_FAILED, version, shopper=shopper)]
    events: Parsed = []
    bought = _bought_at(delivery)
    if _is_bought(order) and bought >= delivery.now - delivery.limits.max_age:
        completed = _order_event(
            delivery,
            EventKind.ORDER_COMPLETED,
            bought,
            items=items,
            currency=currency,
            value=value,
            shopper=shopper,
        )
        events.append(completed)
    events.extend(_refunds(delivery, version, currency, value))
    if status in ("cancelled", "trash"):
        events.append(_order_event(delivery, EventKind.ORDER_CANCELLED, version, shopper=shopper))
    return events


def _refunds(delivery: _Delivery, version: float, currency: str | None, value: int | None) -> list[CartEvent]:
    """One event a refund, which every later update of the order repeats under the same id."""
    refunds = [one for one in fields.objects(delivery.body, "refunds") if fields.entity_id(one, "id")]
    if not refunds and _status(delivery.body) == "refunded":
        return [_order_event(delivery, EventKind.ORDER_REFUNDED, version, currency=currency, value=value)]
    events = []
    for refund in refunds:
        total = str(refund.get("total") or 0).strip().removeprefix("-")  # WooCommerce writes "-12.50"
        paid = fields.minor({"refunds.total": total}, ["refunds.total"], currency, rounded=True)
        told = _order_event(delivery, EventKind.ORDER_REFUNDED, version, currency=currency, value=paid)
        events.append(msgspec.structs.replace(told, event_id=f"refund:{fields.entity_id(refund, 'id')}"))
    return events


def _customer(delivery: _Delivery) -> Parsed:
    customer, version = delivery.body, delivery.version()
    shopper = _shopper(customer, delivery.shop, version)
    event = CartEvent(
        event_id=delivery.event_id(EventKind.IDENTIFIED),
        source=delivery.shop.source,
        kind=EventKind.IDENTIFIED,
        time=version,
        shopper=shopper,
        refs=Refs(
            customer=fields.entity_id(customer, "id"),
            email=email(fields.inner(customer, "billing"), "email") or email(customer, "email"),
            phone=shopper.phone if shopper else None,
        ),
    )
    return [delivery.checked(event)]


def _order_event(
    delivery: _Delivery,
    kind: EventKind,
    time: float,
    *,
    suffix: str = "",
    items: tuple[Item, ...] = (),
    currency: str | None = None,
    value: int | None = None,
    shopper: Shopper | None = None,
) -> CartEvent:
    order = delivery.body
    order_id = fields.entity_id(order, "id")
    return delivery.checked(
        CartEvent(
            event_id=delivery.event_id(kind) + suffix,
            source=delivery.shop.source,
            kind=kind,
            time=time,
            cart_id=f"order-{order_id}" if order_id else None,
            order_id=order_id if kind not in (EventKind.CHECKOUT_STARTED, EventKind.PAYMENT_FAILED) else None,
            items=items,
            currency=currency if items or value is not None else None,
            value=value,
            shopper=shopper,
            refs=Refs(
                customer=fields.entity_id(order, "customer_id"),
                email=email(fields.inner(order, "billing"), "email"),
                phone=_phone(order, delivery.shop)[0],
                checkout=fields.text(order, "order_key"),
                order=order_id,
            ),
        )
    )


def _status(order: Json) -> str | None:
    status = fields.text(order, "status")
    return status.lower().removeprefix("wc-") if status else None


def _is_bought(order: Json) -> bool:
    if fields.text(order, "date_paid_gmt", "date_paid", "date_completed_gmt", "date_completed"):
        return True
    status = _status(order)
    return status is not None and status not in OPEN | UNDONE


def _bought_at(delivery: _Delivery) -> float:
    # Not when the order was created: that may be when its checkout was opened, before the last change of the cart.
    paid = fields.seconds(delivery.body, "date_paid_gmt")
    return delivery.version() if paid is None else paid


def _items(order: Json, currency: str | None) -> list[Item]:
    """The lines at what is paid for them after discounts; WooCommerce computes with floats, so amounts are rounded."""
    items = []
    for line in fields.objects(order, "line_items"):
        item = Item(
            product_id=fields.entity_id(line, "product_id", "variation_id", "sku", "id") or "custom",
            title=fields.shown(line, "name", "parent_name"),
        )
        total = fields.minor(line, ["total", "subtotal"], currency, rounded=True)
        items += fields.shared(total or 0, fields.quantity(line, "quantity"), item)
    return items


def _shopper(node: Json, shop: Shop, answered: float) -> Shopper | None:
    phone, country = _phone(node, shop)
    billing, shipping = fields.inner(node, "billing"), fields.inner(node, "shipping")
    shopper = Shopper(
        name=_name(billing) or _name(shipping) or _name(node),
        phone=phone,
        country=country or country_of(phone),
        region=region_of(country, ((_country(place), fields.text(place, "state")) for place in (shipping, billing))),
        consent=consent_at(node, shop, answered),
    )
    return None if shopper == Shopper() else shopper


def _phone(node: Json, shop: Shop) -> tuple[str | None, str | None]:
    """The billing address's number, else the shipping address's, each read in its own country; and the country."""
    places = [fields.inner(node, "shipping"), fields.inner(node, "billing")]
    known = next((country for place in places if (country := _country(place))), None)
    numbers = (e164(place.get("phone"), _country(place) or shop.country) for place in reversed(places))
    return next((number for number in numbers if number), None), known


def _country(place: Json) -> str | None:
    return alpha2(fields.text(place, "country"))


def _name(node: Json) -> str | None:
    parts = (fields.shown(node, "first_name"), fields.shown(node, "last_name"))
    return " ".join(part for part in parts if part) or None


SOURCE = Source("woocommerce", authentic, parse, is_ping)
