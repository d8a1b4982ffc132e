"""Google Analytics 4 events in the JSON of its Measurement Protocol, as a server-side tag manager forwards them.

Signals only: what shoppers look at, put into their carts and buy. The format has no cart id and, by Google's policy, no
contact data; whoever is to be called must be known from elsewhere under the same ``user_id`` or ``client_id``.

- The static key is sent as ``X-Ringback-Key`` or ``Authorization: Bearer``.
- ``timestamp_micros`` of the event, or else of the request, is needed: without it a repeated request can't be told from
  a shopper who does the same again.
- A purchase is known by its ``transaction_id``; any other event by a hash of itself, its place, sender and time.
- ``session_id`` is the second in which a session began, and not of one shopper only: it is no reference to one.
- Prices are floating-point numbers at the sender and are rounded half to even; see `ingest.products`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ingest.fields import Json, inner, json_object, shown, text
from ingest.ids import digest, event_id, ref
from ingest.judge import judged
from ingest.parts import bound_shared, readable, separate, unusable
from ingest.products import ItemNames, currency_of, items, products, total
from ingest.signatures import static_key
from ingest.source import Parsed, Refused, Shop, Source
from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, Refs
from ringback.settings import IngestSettings

SENDER = ("client_id", "app_instance_id", "user_id", "timestamp_micros")
KEYS = ("x-ringback-key", "authorization")
KINDS = {
    "view_item": EventKind.PRODUCT_VIEWED,
    "add_to_cart": EventKind.ITEM_ADDED,
    "remove_from_cart": EventKind.ITEM_REMOVED,
    "view_cart": EventKind.CART_SNAPSHOT,
    "begin_checkout": EventKind.CHECKOUT_STARTED,
    "add_shipping_info": EventKind.CHECKOUT_STEP,
    "add_payment_info": EventKind.CHECKOUT_STEP,
    "purchase": EventKind.ORDER_COMPLETED,
    "refund": EventKind.ORDER_REFUNDED,
}
STEPS = {"add_shipping_info": 2, "add_payment_info": 3}
WITH_PRODUCTS = frozenset(KINDS.values()) - {EventKind.CHECKOUT_STEP}
WITH_VALUE = frozenset({EventKind.ORDER_COMPLETED, EventKind.ORDER_REFUNDED})
NAMES = ItemNames(("item_id", "item_name"), title="item_name", category="item_category", brand="item_brand")


_LONGEST_MICROS = 20


class _Body(msgspec.Struct):
    events: list[msgspec.Raw]
    client_id: Any = None
    app_instance_id: Any = None
    user_id: Any = None
    timestamp_micros: Any = None


_decode_body = msgspec.json.Decoder(_Body).decode


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether the request has one of the keys."""
    return static_key(headers, KEYS, secrets)


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """An event for each of the request's, in their order."""
    try:
        whole = _decode_body(readable(body))
    except (ValueError, RecursionError) as error:
        raise unusable(error) from None
    sender, events = {name: text(msgspec.structs.asdict(whole), name) for name in SENDER}, separate(whole.events)
    bound_shared(sum(len(one) for one in sender.values() if one), len(events))
    return [_read(raw, place, sender, shop, now, limits) for place, raw in enumerate(events)]


def _read(raw: bytes, place: int, sender: Json, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    try:
        given = json_object(raw)
    except BadEvent as error:
        return Refused(error, raw)
    params = inner(given, "params")
    name = shown(given, "name") or ""
    order = ref(params, "transaction_id")
    known = CartEvent(
        event_id=_event_id(name, order, raw, place, sender),
        source=shop.source,
        kind=_kind(name, params),
        time=0.0,
        session_id=ref(params, "session_id", "ga_session_id"),
        order_id=order,
        step=STEPS.get(name),
        refs=Refs(customer=ref(sender, "user_id"), anonymous=ref(sender, "client_id", "app_instance_id"), order=order),
    )
    time = partial(_time, text(given, "timestamp_micros") or text(sender, "timestamp_micros"))
    return judged(known, time, partial(_complete, params=params, shop=shop), raw, now=now, limits=limits)


def _kind(name: str, params: Json) -> EventKind:
    # Without its items it tells nothing of the cart.
    untold = name == "view_cart" and params.get("items") is None
    return EventKind.OTHER if untold else KINDS.get(name, EventKind.OTHER)


def _event_id(name: str, order: str | None, raw: bytes, place: int, sender: Json) -> str:
    if name == "purchase" and order is not None:
        return event_id(name, order)
    return digest(raw, str(place).encode(), *((sender[field] or "").encode() for field in SENDER))


def _time(micros: str | None) -> float | None:
    usable = micros is not None and len(micros) <= _LONGEST_MICROS and micros.isascii() and micros.isdigit()
    return int(micros) / 1_000_000 if usable and micros else None


def _complete(known: CartEvent, params: Json, shop: Shop) -> CartEvent:
    if known.kind not in WITH_PRODUCTS:
        return known
    given = products(params, "items")
    currency = currency_of(params, given, shop.currency)
    lines = items(given, NAMES, currency)
    value = total(params, ("value",), lines, currency) if known.kind in WITH_VALUE else None
    return msgspec.structs.replace(known, items=lines, currency=currency, value=value)


SOURCE = Source("ga4", authentic=authentic, parse=parse)
