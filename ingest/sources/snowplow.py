"""Snowplow's enriched events as JSON (the form of its analytics SDKs), one or an array, with its ecommerce plug-in.

Signals only: what shoppers look at, put into their carts and buy. An e-mail address in the user entity is not read;
whoever is to be called must be known from elsewhere under the same ``user_id`` or ``domain_userid``.

- The static key is sent as ``X-Ringback-Key`` or ``Authorization: Bearer``.
- An event is known by its ``event_id``; its time is ``derived_tstamp``, else ``collector_tstamp``, in UTC.
- What happened is the ``type`` of the ecommerce action; products, cart, transaction and so on are entities beside it.
  The first step of a checkout starts it. Any other event is activity.
- Where a visit came from are the campaign's source and medium, or else the referring page as Snowplow knows it.
- ``geo_timezone`` is where the sender's IP address is, by Snowplow's enrichment: a shopper's network, unless
  ``platform`` is ``srv``, a shop's own server. ``geo_country`` and ``geo_region`` are no address and are not read.
- Prices are floating-point numbers at the sender and are rounded half to even; see `ingest.products`.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from ingest import traffic
from ingest.fields import Json, inner, json_object, minor, quantity, seconds, text
from ingest.ids import digest, ref
from ingest.judge import judged
from ingest.parts import readable, split
from ingest.products import ItemNames, currency_of, items, products, total
from ingest.signatures import static_key
from ingest.source import Parsed, Refused, Shop, Source
from ingest.whereabouts import zone
from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, Refs, Shopper
from ringback.settings import IngestSettings

KEYS = ("x-ringback-key", "authorization")
ACTION = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
ENTITY = "contexts_com_snowplowanalytics_snowplow_ecommerce_{}_1"
KINDS = {
    "product_view": EventKind.PRODUCT_VIEWED,
    "add_to_cart": EventKind.ITEM_ADDED,
    "remove_from_cart": EventKind.ITEM_REMOVED,
    "checkout_step": EventKind.CHECKOUT_STEP,
    "trns_error": EventKind.PAYMENT_FAILED,
    "transaction": EventKind.ORDER_COMPLETED,
    "refund": EventKind.ORDER_REFUNDED,
}
# The ``platform`` of what a shop's own server sends.
SERVER = "srv"
# Of Snowplow's referer parser; the others are ``internal`` and ``unknown``.
KNOWN_REFERRERS = frozenset({"search", "social", "email", "paid"})
WITH_PRODUCTS = frozenset(
    {EventKind.PRODUCT_VIEWED, EventKind.ITEM_ADDED, EventKind.ITEM_REMOVED, EventKind.ORDER_COMPLETED}
)
NAMES = ItemNames(("id",), title="name", category="category", brand="brand")


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether the request has one of the keys."""
    return static_key(headers, KEYS, secrets)


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """An event for each of the request's, in their order."""
    body = readable(body)
    parts = split(body) if body.lstrip().startswith(b"[") else [body]
    return [_read(raw, shop, now, limits) for raw in parts]


def _read(raw: bytes, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    try:
        given = json_object(raw)
    except BadEvent as error:
        return Refused(error, raw)
    user, cart = _entity(given, "user"), _entity(given, "cart")
    # A guest's id is new with every order.
    customer = ref(given, "user_id") or (None if user.get("is_guest") is True else ref(user, "id"))
    order = ref(_entity(given, "transaction"), "transaction_id") or ref(_entity(given, "refund"), "transaction_id")
    known = CartEvent(
        event_id=ref(given, "event_id") or digest(raw),
        source=shop.source,
        kind=KINDS.get(text(inner(given, ACTION), "type") or "", EventKind.OTHER),
        time=0.0,
        cart_id=ref(cart, "cart_id"),
        session_id=ref(given, "domain_sessionid"),
        order_id=order,
        traffic=_traffic(given),
        shopper=_shopper(given),
        refs=Refs(
            customer=customer,
            anonymous=ref(given, "domain_userid"),
            cart=ref(cart, "cart_id"),
            order=order,
            session=ref(given, "domain_sessionid"),
        ),
    )
    time = partial(seconds, given, "derived_tstamp", "collector_tstamp")
    return judged(known, time, partial(_complete, given=given, shop=shop), raw, now=now, limits=limits)


def _traffic(given: Json) -> str | None:
    told = traffic.campaign(given, "mkt_source", "mkt_medium")
    if told is None and text(given, "refr_medium") in KNOWN_REFERRERS:
        told = traffic.campaign(given, "refr_source", "refr_medium")
    return told or traffic.referral(text(given, "page_referrer"), text(given, "page_url"))


def _shopper(given: Json) -> Shopper | None:
    network = None if text(given, "platform") == SERVER else zone(text(given, "geo_timezone"))
    return Shopper(ip_timezone=network) if network else None


def _entity(given: Json, name: str) -> Json:
    held = given.get(ENTITY.format(name))
    return held[0] if isinstance(held, list) and held and isinstance(held[0], dict) else {}


def _complete(known: CartEvent, given: Json, shop: Shop) -> CartEvent:
    if known.kind is EventKind.CHECKOUT_STEP:
        checkout = _entity(given, "checkout_step")
        step = quantity(checkout, "step") if text(checkout, "step") else None
        kind = EventKind.CHECKOUT_STARTED if step == 1 else known.kind
        return msgspec.structs.replace(known, kind=kind, step=step)
    if known.kind is EventKind.ORDER_REFUNDED:
        refund = _entity(given, "refund")
        currency = currency_of(refund, (), shop.currency)
        value = minor(refund, ("refund_amount",), currency, rounded=True)
        return msgspec.structs.replace(known, currency=currency, value=value)
    if known.kind not in WITH_PRODUCTS:
        return known
    lines, order = products(given, ENTITY.format("product")), _entity(given, "transaction")
    currency = currency_of(order, lines, shop.currency)
    bought = items(lines, NAMES, currency)
    value = total(order, ("revenue",), bought, currency) if known.kind is EventKind.ORDER_COMPLETED else None
    return msgspec.structs.replace(known, items=bought, currency=currency, value=value)


SOURCE = Source("snowplow", authentic=authentic, parse=parse)
