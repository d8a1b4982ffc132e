"""Segment's ecommerce spec, v2 with the names of v1, as Segment's webhooks and RudderStack send it.

One call, an array of calls, or ``{"batch": [...]}``. Segment signs with the hex HMAC-SHA1 of the body in
``X-Segment-Signature`` or ``X-Signature``; of a batch the latter covers only the first event, so that such a batch is
not authentic. RudderStack sends a static key as ``X-Ringback-Key`` or ``Authorization: Bearer``.

- ``Cart Viewed`` and ``Checkout Started`` tell the whole cart, ``Product Added`` and ``Product Removed`` a change.
- ``Order Updated`` is sent for an order that is not placed yet as well, so it counts as activity only.
- ``cart_id`` is taken from every event, though the spec has it on few.
- ``timestamp`` is the time; without it ``originalTimestamp``, less the error of the sender's clock if
  ``sentAt`` and ``receivedAt`` tell it.
- ``Coupon Denied`` is a coupon that was refused; the campaign, or else the referring page, is where a visit came from.
- An order's value is ``value``, else ``total``, else ``revenue``, else the sum of its products.
- Prices are floating-point numbers at the sender and are rounded half to even; see `ingest.products`.
- An address is ``traits.address``; its ``state`` counts where it is a code and not a name. ``context.timezone`` is that
  of the device. RudderStack's geolocation enrichment writes ``context.geo.timezone`` by the sender's IP address: a
  shopper's network where the call's ``channel`` is ``web`` or ``mobile``, and the shop's own where it is ``server``.
- Consent is read at the shop's own paths, such as ``traits.call_me``. Segment's own categories
  (``context.consent.categoryPreferences``) are about uses of data, not about calls; a shop may still name one.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ingest import traffic
from ingest.contact import consent_at, country_of, e164
from ingest.fields import Json, inner, json_object, quantity, seconds, shown, text
from ingest.ids import digest, email, ref
from ingest.judge import judged
from ingest.parts import bound_shared, readable, split, unusable
from ingest.products import ItemNames, currency_of, items, products, total
from ingest.signatures import hmac_sha1_hex, static_key
from ingest.source import Parsed, Refused, Shop, Source
from ingest.whereabouts import alpha2, subdivision, zone
from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, Refs, Shopper
from ringback.settings import IngestSettings

SIGNATURES = ("x-segment-signature", "x-signature")
KEYS = ("x-ringback-key", "authorization")

TRACK = {
    "product viewed": EventKind.PRODUCT_VIEWED,
    "viewed product": EventKind.PRODUCT_VIEWED,
    "product added": EventKind.ITEM_ADDED,
    "added product": EventKind.ITEM_ADDED,
    "wishlist product added to cart": EventKind.ITEM_ADDED,
    "product removed": EventKind.ITEM_REMOVED,
    "removed product": EventKind.ITEM_REMOVED,
    "cart viewed": EventKind.CART_SNAPSHOT,
    "viewed cart": EventKind.CART_SNAPSHOT,
    "checkout started": EventKind.CHECKOUT_STARTED,
    "started order": EventKind.CHECKOUT_STARTED,
    "checkout step viewed": EventKind.CHECKOUT_STEP,
    "viewed checkout step": EventKind.CHECKOUT_STEP,
    "checkout step completed": EventKind.CHECKOUT_STEP,
    "completed checkout step": EventKind.CHECKOUT_STEP,
    "payment info entered": EventKind.CHECKOUT_STEP,
    "coupon denied": EventKind.COUPON_REFUSED,
    "order completed": EventKind.ORDER_COMPLETED,
    "completed order": EventKind.ORDER_COMPLETED,
    "order refunded": EventKind.ORDER_REFUNDED,
    "refunded order": EventKind.ORDER_REFUNDED,
    "order cancelled": EventKind.ORDER_CANCELLED,
    "order canceled": EventKind.ORDER_CANCELLED,
    "cancelled order": EventKind.ORDER_CANCELLED,
    "segment consent preference updated": EventKind.CONSENT_CHANGED,
}
ONE_PRODUCT = frozenset({EventKind.PRODUCT_VIEWED, EventKind.ITEM_ADDED, EventKind.ITEM_REMOVED})
WITH_PRODUCTS = ONE_PRODUCT | {EventKind.CART_SNAPSHOT, EventKind.CHECKOUT_STARTED}
WITH_VALUE = frozenset({EventKind.ORDER_COMPLETED, EventKind.ORDER_REFUNDED})
TOTALS = ("value", "total", "revenue")
NAMES = ItemNames(("product_id", "id", "sku"), title="name", category="category", brand="brand")

# Of RudderStack's channels those in which a shopper's own device sends.
OF_SHOPPERS = frozenset({"web", "mobile"})
# A country is free text, USA in Segment's own example; these are the two whose states have laws of calls.
COUNTRIES = {"USA": "US", "UNITED STATES": "US", "UNITED STATES OF AMERICA": "US", "CAN": "CA", "CANADA": "CA"}

# A part of a batch that is said once for all of its messages.
_SHARED = ("context", "sentAt", "receivedAt")


class _Body(msgspec.Struct):
    batch: msgspec.Raw = msgspec.Raw()
    context: Any = None
    sentAt: Any = None  # noqa: N815 - Segment's name
    receivedAt: Any = None  # noqa: N815 - Segment's name


_decode_body = msgspec.json.Decoder(_Body).decode


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether the body has Segment's signature, or the request a static key. Neither has a time."""
    return hmac_sha1_hex(headers, body, SIGNATURES, secrets) or static_key(headers, KEYS, secrets)


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """An event for each call, in their order."""
    calls, shared = _calls(readable(body))
    return [_read(raw, shared, shop, now, limits) for raw in calls]


def _calls(body: bytes) -> tuple[list[bytes], Json]:
    if body.lstrip().startswith(b"["):
        return split(body), {}
    try:
        whole = _decode_body(body)
    except (ValueError, RecursionError) as error:
        raise unusable(error) from None
    batch = bytes(whole.batch)
    if not batch:
        return [body], {}
    calls = split(batch)
    bound_shared(len(body) - len(batch), len(calls))
    return calls, {name: getattr(whole, name) for name in _SHARED}


def _read(raw: bytes, shared: Json, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    try:
        message = {**shared, **json_object(raw)}
    except BadEvent as error:
        return Refused(error, raw)
    known = _known(message, raw, shop)
    complete = partial(_complete, message=message, shop=shop)
    return judged(known, partial(_time, message), complete, raw, now=now, limits=limits)


def _known(message: Json, raw: bytes, shop: Shop) -> CartEvent:
    properties = inner(message, "properties")
    return CartEvent(
        event_id=ref(message, "messageId") or digest(raw),
        source=shop.source,
        kind=_kind(message, properties),
        time=0.0,
        cart_id=ref(properties, "cart_id"),
        session_id=ref(inner(message, "context"), "sessionId"),
        order_id=ref(properties, "order_id", "orderId"),
        traffic=_traffic(message),
        refs=_refs(message, properties, shop),
    )


def _traffic(message: Json) -> str | None:
    context = inner(message, "context")
    page = inner(context, "page")
    told = traffic.campaign(inner(context, "campaign"), "source", "medium")
    return told or traffic.referral(text(page, "referrer"), text(page, "url"))


def _kind(message: Json, properties: Json) -> EventKind:
    match message.get("type"):
        case "track":
            name = " ".join((shown(message, "event") or "").lower().replace("_", " ").split())
            kind = TRACK.get(name, EventKind.OTHER)
            # Without its products it tells nothing of the cart.
            untold = kind is EventKind.CART_SNAPSHOT and properties.get("products") is None
            return EventKind.OTHER if untold else kind
        case "page" | "screen" if ref(properties, "product_id"):
            return EventKind.PRODUCT_VIEWED
        case "identify" | "alias":
            return EventKind.IDENTIFIED
        case _:
            return EventKind.OTHER


def _refs(message: Json, properties: Json, shop: Shop) -> Refs:
    traits = _traits(message)
    is_alias = message.get("type") == "alias"
    previous_mail = email(message, "previousId") if is_alias else None
    known_before = ("previousId",) if is_alias and previous_mail is None else ()
    return Refs(
        customer=ref(message, "userId"),
        email=previous_mail or email(traits, "email"),
        phone=e164(traits.get("phone"), _country(traits) or shop.country),
        anonymous=ref(message, *known_before, "anonymousId"),
        cart=ref(properties, "cart_id"),
        checkout=ref(properties, "checkout_id"),
        order=ref(properties, "order_id", "orderId"),
    )


def _traits(message: Json) -> Json:
    return {**inner(inner(message, "context"), "traits"), **inner(message, "traits")}


def _country(traits: Json) -> str | None:
    given = text(inner(traits, "address"), "country") or text(traits, "country") or ""
    return COUNTRIES.get(given.upper()) or alpha2(given)


def _time(message: Json) -> float | None:
    told = seconds(message, "timestamp")
    if told is not None:
        return told
    original, sent, received = (seconds(message, name) for name in ("originalTimestamp", "sentAt", "receivedAt"))
    return original if original is None or sent is None or received is None else received - (sent - original)


def _complete(known: CartEvent, message: Json, shop: Shop) -> CartEvent:
    properties = inner(message, "properties")
    shopper = _shopper(message, shop, known.time)
    event = msgspec.structs.replace(known, shopper=shopper)
    if known.kind is EventKind.CONSENT_CHANGED and (shopper is None or shopper.consent is None):
        return msgspec.structs.replace(event, kind=EventKind.OTHER)
    if known.kind is EventKind.CHECKOUT_STEP and text(properties, "step"):
        return msgspec.structs.replace(event, step=quantity(properties, "step"))
    if known.kind not in WITH_PRODUCTS | WITH_VALUE:
        return event
    given = products(properties, "products")
    if known.kind in ONE_PRODUCT and not given:
        given = [properties]
    currency = currency_of(properties, given, shop.currency)
    lines = items(given, NAMES, currency)
    value = total(properties, TOTALS, lines, currency) if known.kind in WITH_VALUE else None
    return msgspec.structs.replace(event, items=lines, currency=currency, value=value)


def _shopper(message: Json, shop: Shop, time: float) -> Shopper | None:
    traits = _traits(message)
    country = _country(traits)
    phone = e164(traits.get("phone"), country or shop.country)
    context, of_shopper = inner(message, "context"), text(message, "channel") in OF_SHOPPERS
    both = " ".join(name for part in ("firstName", "lastName") if (name := shown(traits, part)))
    shopper = Shopper(
        name=shown(traits, "name") or both or None,
        phone=phone,
        country=country or country_of(phone),
        timezone=zone(text(context, "timezone")),
        region=subdivision(country, text(inner(traits, "address"), "state")),
        ip_timezone=zone(text(inner(context, "geo"), "timezone")) if of_shopper else None,
        consent=consent_at(message, shop, time),
    )
    return None if shopper == Shopper() else shopper


SOURCE = Source("segment", authentic=authentic, parse=parse)
