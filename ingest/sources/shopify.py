"""Shopify's webhooks: carts, checkouts, orders, refunds, customers, and the three privacy topics.

Shapes are those of shopify.dev/docs/api/webhooks. Headers are read in both spellings, ``X-Shopify-Topic`` and
``shopify-topic``. Deliveries are repeated, late and out of order; ``X-Shopify-Webhook-Id`` is the same in all
deliveries of one webhook and is the event id; that of a purchase begins with the order's version.

A cart's token is the cart id of its checkout (``cart_token``) and of its order; a checkout that began without a cart is
known by its own token. What each topic gives:

- carts: CART_SNAPSHOT. They have no currency and no customer; the currency is the shop's in the settings.
- checkouts: CHECKOUT_STARTED with all lines, and where the visit came from. One that is completed (or deleted) gives a
  CART_SNAPSHOT without lines: its order may come a day later, and its shopper must not be called until then about what
  is bought. It is no ORDER_COMPLETED, because it does not know the order's id, and the order would count twice.
- orders: ORDER_COMPLETED at the time of the purchase, the same whichever topic tells it; a cancelled one gives
  ORDER_CANCELLED after it. An update of an order bought longer ago than ``ingest.max_age`` tells nothing new.
- refunds: ORDER_REFUNDED with the sum of the successful refund transactions.
- customers: IDENTIFIED, CONSENT_CHANGED (SMS; e-mail consent says nothing of calls), ERASED, DATA_REQUESTED.

An order that can't be used, say for its total, still tells that its shopper bought: see `ingest.source.Refused`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ingest import fields
from ingest.fields import Json
from ingest.signatures import hmac_sha256_base64
from ingest.source import Parsed, Refused, Shop, Source
from ingest.sources.shopify_shopper import refs_of, shopper_of, sms_consent
from ingest.traffic import referral, tagged
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item, Shopper
from ringback.settings import IngestSettings
from ringback.validation import check

SIGNATURES = ("x-shopify-hmac-sha256", "shopify-hmac-sha256")
# An order is bought by whatever is done to it afterwards.
ORDER_TOPICS = frozenset({"orders/create", "orders/updated", "orders/paid", "orders/cancelled"})
# The first tells of e-mail only; the second would end what is known of a shop that is no longer connected.
IGNORED_TOPICS = frozenset({"customers_email_marketing_consent/update", "shop/redact"})


@dataclass(frozen=True, slots=True)
class _Delivery:
    """One webhook: what it is about, and what its headers say."""

    topic: str
    body: Json
    shop: Shop
    now: float
    limits: IngestSettings
    webhook_id: str | None
    triggered: float | None

    @property
    def event_id(self) -> str:
        """What is the same whenever this webhook is delivered again."""
        if self.webhook_id:
            return self.webhook_id
        entity = fields.entity_id(self.body, "id", "token") or fields.entity_id(
            fields.inner(self.body, "customer"), "id"
        )
        version = fields.text(self.body, "updated_at", "created_at", "consent_updated_at")
        return ":".join((self.topic, entity or "", version or str(self.triggered or "")))

    def time(self, *names: str) -> float:
        """The version of what is told: a time in the body, else when the webhook was triggered."""
        time = fields.seconds(self.body, *names)
        if time is None:
            time = self.triggered
        if time is None:
            detail = f"{self.topic} has neither {' nor '.join(names)} nor the header X-Shopify-Triggered-At"
            raise BadEvent(DeadLetterReason.WRONG_TYPE, detail)
        return time

    def event(
        self,
        kind: EventKind,
        time: float,
        *,
        prefix: str = "",
        suffix: str = "",
        cart_id: str | None = None,
        order_id: str | None = None,
        items: Sequence[Item] = (),
        currency: str | None = None,
        value: int | None = None,
        shopper: Shopper | None = None,
        traffic: str | None = None,
    ) -> CartEvent:
        """An event of this delivery, checked."""
        event = CartEvent(
            event_id=prefix + self.event_id + suffix,
            source=self.shop.source,
            kind=kind,
            time=time,
            cart_id=cart_id,
            order_id=order_id,
            items=tuple(items),
            currency=currency if items or value is not None else None,
            value=value,
            shopper=shopper,
            traffic=traffic,
            refs=refs_of(self.topic, self.body, shopper),
        )
        check(event, now=self.now, limits=self.limits)
        return event


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether the body is signed with the app's client secret, or one that it had; Shopify signs no time."""
    return hmac_sha256_base64(headers, body, SIGNATURES, secrets)


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """The events of one webhook; see `ingest.source.Parse`."""
    topic = _header(headers, "topic")
    if topic in IGNORED_TOPICS:
        return []
    if topic not in _TOPICS:
        detail = f"X-Shopify-Topic {topic[:60]!r} is none of {', '.join(sorted(_TOPICS))}"
        raise BadEvent(DeadLetterReason.UNKNOWN_TOPIC, detail)
    delivery = _Delivery(
        topic=topic,
        body=fields.json_object(body),
        shop=shop,
        now=now,
        limits=limits,
        webhook_id=_header(headers, "webhook-id") or None,
        triggered=_triggered(headers),
    )
    try:
        return _TOPICS[topic](delivery)
    except BadEvent as error:
        stop = _purchase(delivery) if topic in ORDER_TOPICS else None
        if stop is None:
            raise
        return [Refused(error, body, stop)]


def _cart(delivery: _Delivery) -> Parsed:
    cart, currency = delivery.body, fields.currency_of(delivery.body, ["currency"], delivery.shop.currency)
    items = _ajax_items(cart, currency) if _is_ajax(cart) else _items(cart, currency)
    time = delivery.time("updated_at", "created_at")
    cart_id = _token(cart, "token", "id")
    return [delivery.event(EventKind.CART_SNAPSHOT, time, cart_id=cart_id, items=items, currency=currency)]


def _checkout(delivery: _Delivery) -> Parsed:
    checkout = delivery.body
    cart_id = _token(checkout, "cart_token", "token")
    version = delivery.time("updated_at", "created_at")
    completed = fields.seconds(checkout, "completed_at")
    shopper = shopper_of(checkout, delivery.topic, delivery.shop, version)
    if completed is not None:
        bought = max(version, completed)
        return [delivery.event(EventKind.CART_SNAPSHOT, bought, cart_id=cart_id, shopper=shopper)]
    currency = fields.currency_of(checkout, ["currency"], delivery.shop.currency)
    started = delivery.event(
        EventKind.CHECKOUT_STARTED,
        version,
        cart_id=cart_id,
        items=_items(checkout, currency),
        currency=currency,
        shopper=shopper,
        traffic=tagged(fields.text(checkout, "landing_site")) or referral(fields.text(checkout, "referring_site")),
    )
    return [started]


def _checkout_deleted(delivery: _Delivery) -> Parsed:
    cart_id = _token(delivery.body, "cart_token", "token")
    if cart_id is None:  # Shopify sends little more than the id, by which nothing else knows the checkout
        return []
    return [delivery.event(EventKind.CART_SNAPSHOT, delivery.time("updated_at"), cart_id=cart_id)]


def _order(delivery: _Delivery) -> Parsed:
    order = delivery.body
    if _is_true(order, "test"):
        return []
    version = delivery.time("updated_at", "created_at")
    bought = delivery.time("created_at", "processed_at", "updated_at")
    currency = fields.currency_of(order, ["currency"], delivery.shop.currency)
    cart_id, order_id = _token(order, "cart_token", "checkout_token"), fields.entity_id(order, "id")
    if order_id is None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{delivery.topic} has no id")
    # What was agreed to at the checkout is no newer for every update of the order.
    shopper = shopper_of(order, delivery.topic, delivery.shop, bought)
    value = fields.minor(order, ["total_price"], currency)
    events: Parsed = []
    if bought >= delivery.now - delivery.limits.max_age:
        # Whatever is told of an order has the time of its purchase. Of equal times the last id counts: it must be that
        # of the order's newest version.
        completed = delivery.event(
            EventKind.ORDER_COMPLETED,
            bought,
            prefix=f"{version:.0f}:",
            cart_id=cart_id,
            order_id=order_id,
            items=_items(order, currency),
            currency=currency,
            value=value,
            shopper=shopper,
        )
        events.append(completed)
    if delivery.topic == "orders/cancelled":
        time = fields.seconds(order, "cancelled_at") or version
        cancelled = delivery.event(
            EventKind.ORDER_CANCELLED, time, suffix=":cancelled", cart_id=cart_id, order_id=order_id, shopper=shopper
        )
        events.append(cancelled)
    return events


def _purchase(delivery: _Delivery) -> CartEvent | None:
    """What remains of an order that can't be used: that this shopper bought."""
    if _is_true(delivery.body, "test"):
        return None
    try:
        bought = min(delivery.time("created_at", "processed_at", "updated_at"), delivery.now)
    except BadEvent:
        bought = delivery.now
    try:
        return delivery.event(
            EventKind.ORDER_COMPLETED,
            bought,
            suffix=":stop",
            cart_id=_token(delivery.body, "cart_token", "checkout_token"),
            order_id=fields.entity_id(delivery.body, "id"),
        )
    except BadEvent:
        return None


def _refund(delivery: _Delivery) -> Parsed:
    paid = [
        one
        for one in fields.objects(delivery.body, "transactions")
        if fields.text(one, "kind") == "refund" and fields.text(one, "status") == "success"
    ]
    if any(_is_true(one, "test") for one in fields.objects(delivery.body, "transactions")):
        return []
    named = next((one for one in paid if fields.text(one, "currency")), {})
    currency = fields.currency_of(named, ["currency"], delivery.shop.currency)
    fields.one_currency((fields.text(one, "currency") for one in paid), currency)
    value = sum(fields.minor(one, ["amount"], currency) or 0 for one in paid)
    refunded = delivery.event(
        EventKind.ORDER_REFUNDED,
        delivery.time("created_at", "processed_at"),
        order_id=fields.entity_id(delivery.body, "order_id"),
        currency=currency,
        value=value,
    )
    return [refunded]


def _customer(delivery: _Delivery) -> Parsed:
    time = delivery.time("updated_at", "created_at")
    shopper = shopper_of(delivery.body, delivery.topic, delivery.shop, time)
    return [delivery.event(EventKind.IDENTIFIED, time, shopper=shopper)]


def _consent(delivery: _Delivery) -> Parsed:
    told = fields.inner(delivery.body, "sms_marketing_consent")
    time = delivery.triggered if delivery.triggered is not None else fields.seconds(told, "consent_updated_at")
    if time is None:
        time = delivery.time("updated_at")
    shopper = shopper_of(delivery.body, delivery.topic, delivery.shop, time)
    if sms_consent(told, delivery.topic, time) is None or shopper is None:
        return []
    return [delivery.event(EventKind.CONSENT_CHANGED, time, shopper=shopper)]


def _privacy(kind: EventKind) -> Callable[[_Delivery], Parsed]:
    def told(delivery: _Delivery) -> Parsed:
        # Never refused for its time, nor for having none.
        time = delivery.now if delivery.triggered is None else delivery.triggered
        time = min(max(time, delivery.now - delivery.limits.max_age), delivery.now)
        return [delivery.event(kind, time)]

    return told


_TOPICS: dict[str, Callable[[_Delivery], Parsed]] = {
    "carts/create": _cart,
    "carts/update": _cart,
    "checkouts/create": _checkout,
    "checkouts/update": _checkout,
    "checkouts/delete": _checkout_deleted,
    **dict.fromkeys(ORDER_TOPICS, _order),
    "refunds/create": _refund,
    "customers/update": _customer,
    "customers_marketing_consent/update": _consent,
    "customers/redact": _privacy(EventKind.ERASED),
    "customers/data_request": _privacy(EventKind.DATA_REQUESTED),
}


def _items(node: Json, currency: str | None) -> list[Item]:
    lines = fields.objects(node, "line_items")
    codes = (
        fields.text(fields.inner(fields.inner(line, "price_set"), "shop_money"), "currency_code") for line in lines
    )
    fields.one_currency(codes, currency)
    return [_item(line, fields.minor(line, ["discounted_price", "price"], currency)) for line in lines if _count(line)]


def _is_ajax(cart: Json) -> bool:
    """Whether this is the storefront's /cart.js, which a theme may pass on: only there are prices whole cents."""
    return "line_items" not in cart and "item_count" in cart and isinstance(cart.get("items"), list)


def _ajax_items(cart: Json, currency: str | None) -> list[Item]:
    items = []
    for line in fields.objects(cart, "items"):
        cents = next((line[name] for name in ("final_price", "price") if line.get(name) is not None), 0)
        if isinstance(cents, bool) or not isinstance(cents, int) or abs(cents) >= 10**15:
            raise BadEvent(DeadLetterReason.WRONG_TYPE, "items.price is not in whole cents, as in /cart.js")
        price = fields.minor({"items.price": Decimal(cents).scaleb(-2)}, ["items.price"], currency)
        if _count(line):
            items.append(_item(line, price))
    return items


def _item(line: Json, price: int | None) -> Item:
    return Item(
        product_id=fields.entity_id(line, "product_id", "variant_id", "sku", "key", "id") or "custom",
        quantity=_count(line),
        unit_price=price or 0,
        category=fields.shown(line, "product_type"),
        brand=fields.shown(line, "vendor"),
        title=fields.shown(line, "presentment_title", "title", "product_title"),
    )


def _count(line: Json) -> int:
    return fields.quantity(line, "quantity")


def _token(node: Json, *names: str) -> str | None:
    """A cart's or checkout's token, without the key that storefronts hang on to it (``…?key=…``)."""
    given = fields.text(node, *names)
    return (given.partition("?")[0] or None) if given else None


def _is_true(node: Json, name: str) -> bool:
    return node.get(name) is True or node.get(name) == "true"


def _header(headers: Mapping[str, str], name: str) -> str:
    return (headers.get(f"x-shopify-{name}") or headers.get(f"shopify-{name}") or "").strip()


def _triggered(headers: Mapping[str, str]) -> float | None:
    try:
        return fields.seconds({"X-Shopify-Triggered-At": _header(headers, "triggered-at")}, "X-Shopify-Triggered-At")
    except BadEvent:
        return None  # it is only the second choice, and newer formats of it are not the shop's fault


SOURCE = Source("shopify", authentic, parse)
