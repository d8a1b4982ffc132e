"""Ringback's own events: one canonical cart event in JSON, or an array of them. See docs/cart-event.schema.json.

``time`` may also be written in RFC 3339 with its offset. A request is signed as standardwebhooks.com says, or with the
hex HMAC-SHA256 of its body in ``X-Ringback-Signature: sha256=…``.

An event says whose it is by ``shopper_id``, or by ``refs``, of which a ``shopper_id`` beside them is the customer. At
/v1/events (the shop ``native:default``) events keep the source that they name, and a ``shopper_id`` without ``refs`` is
taken as it is. At any other shop's endpoint the source is the shop, an event is known by the source that it names and
its id together, and a ``shopper_id`` is the customer's id in that shop.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from ingest.contact import e164
from ingest.ids import email, event_id
from ingest.judge import stop
from ingest.parts import split
from ingest.signatures import hmac_sha256_hex, standard_webhooks
from ingest.source import Parsed, Refused, Shop, Source
from ingest.whereabouts import subdivision, zone
from ringback.errors import BadEvent
from ringback.records import INTERNAL_KINDS, CartEvent, DeadLetterReason, EventKind, Refs, Shopper
from ringback.settings import IngestSettings
from ringback.validation import check, decode, salvage_stop

SIGNATURE = "x-ringback-signature"
DEFAULT = "native/default"


class _Timed(msgspec.Struct):
    time: Annotated[datetime, msgspec.Meta(tz=True)] | float


class _Stop(msgspec.Struct):
    """As much of an event with refs as tells that somebody bought or opted out."""

    event_id: str
    source: str
    kind: EventKind
    time: float
    refs: dict[str, object]
    shopper_id: object = None
    replay: bool = False


_timed = msgspec.json.Decoder(_Timed).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_stop = msgspec.json.Decoder(_Stop).decode


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether one of the two signatures is there and good; only that of Standard Webhooks has a time."""
    return standard_webhooks(headers, body, secrets=secrets, now=now, window=window) or hmac_sha256_hex(
        headers, body, (SIGNATURE,), secrets, prefix="sha256="
    )


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """The events of a request, in their order, each checked on its own.

    An array that is no JSON as a whole is one refusal.
    """
    if not body.lstrip().startswith(b"["):
        return [read(body, shop=shop, now=now, limits=limits)]
    try:
        parts = split(body)
    except BadEvent as error:
        return [Refused(error, body)]
    return [read(raw, shop=shop, now=now, limits=limits) for raw in parts]


def read(raw: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    """One event."""
    in_seconds = _with_epoch_time(raw)
    try:
        event = decode(in_seconds, limits)
        _refuse_internal(event)
        event = _of_whom(event, shop)
        check(event, now=now, limits=limits)
    except BadEvent as error:
        return Refused(error, raw, _stop(in_seconds, shop, now, limits))
    return _of_shop(event, shop)


def _refuse_internal(event: CartEvent) -> None:
    if event.kind in INTERNAL_KINDS or event.other is not None or event.carried is not None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "the event has a kind or a field that is Ringback's own")


def _of_whom(event: CartEvent, shop: Shop) -> CartEvent:
    """The event with its references in the form that identity needs, and the shop's currency if it names none."""
    refs = event.refs
    if refs is None and shop.source != DEFAULT:
        refs = Refs()
    if refs is not None:
        refs = msgspec.structs.replace(
            refs,
            customer=refs.customer or event.shopper_id or None,
            email=email({"email": refs.email}, "email"),
            phone=e164(refs.phone, shop.country),
        )
    shopper = event.shopper
    if shopper is not None:
        shopper = _located(shopper)
    has_amount = bool(event.items) or event.value is not None
    return msgspec.structs.replace(
        event,
        refs=refs,
        shopper=shopper,
        shopper_id=event.shopper_id if refs is None else "",
        currency=event.currency or (shop.currency if has_amount else None),
    )


def _located(shopper: Shopper) -> Shopper:
    """The shopper with the region's code in capitals, and without what is no region of the country, or no zone."""
    region = subdivision(shopper.country, shopper.region)
    return msgspec.structs.replace(shopper, region=region, ip_timezone=zone(shopper.ip_timezone))


def _of_shop(event: CartEvent, shop: Shop) -> CartEvent:
    if shop.source == DEFAULT:
        return event
    return msgspec.structs.replace(event, source=shop.source, event_id=event_id(event.source, event.event_id))


def _stop(in_seconds: bytes, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | None:
    found = _stop_with_refs(in_seconds) if len(in_seconds) <= limits.max_event_bytes else None
    if found is None:
        found = salvage_stop(in_seconds, key=None, now=now, limits=limits)
    if found is None:
        return None
    found = _of_whom(found, shop)
    if found.refs is not None:
        found = stop(found, found.time, now=now, limits=limits)
    return None if found is None else _of_shop(found, shop)


def _stop_with_refs(in_seconds: bytes) -> CartEvent | None:
    try:
        given = _decode_stop(in_seconds)
    except (ValueError, RecursionError):
        return None
    told = {name: value for name, value in given.refs.items() if name in Refs.__struct_fields__}
    return CartEvent(
        event_id=given.event_id,
        source=given.source,
        shopper_id=given.shopper_id if isinstance(given.shopper_id, str) else "",
        kind=given.kind,
        time=given.time,
        replay=given.replay,
        refs=Refs(**{name: value for name, value in told.items() if isinstance(value, str)}),
    )


def _with_epoch_time(raw: bytes) -> bytes:
    """The same event with its time in epoch seconds, or unchanged where it has no readable time in RFC 3339."""
    try:
        time = _timed(raw).time
        return (
            raw if not isinstance(time, datetime) else msgspec.json.encode({**_fields(raw), "time": time.timestamp()})
        )
    except (ValueError, RecursionError):
        return raw


SOURCE = Source("native", authentic=authentic, parse=parse)
