"""CloudEvents 1.0 over HTTP, structured, batched or binary, whose data is Ringback's own cart event.

``type`` is ``ringback.cart-event`` and ``data`` is as docs/cart-event.schema.json says, but that its ``event_id``,
``source`` and ``time`` come from the attributes ``id``, ``source`` and ``time``; only ``time`` may be left to the data.
The same ``source`` and ``id`` are the same event. A request is signed as standardwebhooks.com says.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import msgspec

from ingest.parts import split, unusable
from ingest.signatures import standard_webhooks
from ingest.source import Parsed, Refused, Shop, Source
from ingest.sources import native
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason
from ringback.settings import IngestSettings

TYPE = "ringback.cart-event"
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"


class _Cloud(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


_decode = msgspec.json.Decoder(_Cloud).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def authentic(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[bytes], now: float, window: float) -> bool:
    """Whether the body is signed. The ``ce-`` headers of binary mode are not: the signature covers the body alone."""
    return standard_webhooks(headers, body, secrets=secrets, now=now, window=window)


def parse(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    """The events of a request, in their order."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == BATCHED:
        return [_read(raw, shop, now, limits) for raw in split(body)]
    if media_type == STRUCTURED:
        return [_read(body, shop, now, limits)]
    return [_checked(_binary(headers, body, media_type), body, shop, now, limits)]


def _binary(headers: Mapping[str, str], body: bytes, media_type: str) -> _Cloud:
    given = {
        name: unquote(headers.get(f"ce-{name}", "")).strip() for name in ("specversion", "id", "source", "type", "time")
    }
    return _Cloud(
        specversion=given["specversion"],
        id=given["id"],
        source=given["source"],
        type=given["type"],
        time=given["time"] or None,
        datacontenttype=media_type or None,
        data=msgspec.Raw(body),
    )


def _read(raw: bytes, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    try:
        cloud = _decode(raw)
    except (ValueError, RecursionError) as error:
        return Refused(unusable(error), raw)
    return _checked(cloud, raw, shop, now, limits)


def _checked(cloud: _Cloud, raw: bytes, shop: Shop, now: float, limits: IngestSettings) -> CartEvent | Refused:
    try:
        event = _canonical(cloud)
    except BadEvent as error:
        return Refused(error, raw)
    read = native.read(event, shop=shop, now=now, limits=limits)
    return read if isinstance(read, CartEvent) else read._replace(raw=raw)


def _canonical(cloud: _Cloud) -> bytes:
    """The cart event in JSON, with what the attributes say of it."""
    if cloud.specversion != "1.0":
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "specversion is not '1.0'")
    if not cloud.id or not cloud.source:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "id or source is missing")
    if cloud.type != TYPE:
        raise BadEvent(DeadLetterReason.UNKNOWN_TOPIC, f"type is not {TYPE!r}")
    content = (cloud.datacontenttype or "application/json").partition(";")[0].strip().lower()
    if content != "application/json" and not content.endswith("+json"):
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "datacontenttype is not JSON")
    try:
        fields: dict[str, object] = {**_fields(_data(cloud)), "event_id": cloud.id, "source": cloud.source}
        if cloud.time is not None:
            fields["time"] = cloud.time
        return msgspec.json.encode(fields)
    except (ValueError, RecursionError) as error:
        raise unusable(error) from None


def _data(cloud: _Cloud) -> bytes:
    if cloud.data_base64 is not None:
        try:
            return base64.b64decode(cloud.data_base64, validate=True)
        except binascii.Error:
            raise BadEvent(DeadLetterReason.WRONG_TYPE, "data_base64 is not base64") from None
    return bytes(cloud.data)


SOURCE = Source("cloudevents", authentic=authentic, parse=parse)
