"""Ringback's own events over HTTP: one canonical cart event in JSON, or an array of them.

The schema is docs/cart-event.schema.json. ``time`` may also be written in RFC 3339 with its offset.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from ingest.source import Parsed, Refused
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason
from ringback.settings import IngestSettings
from ringback.validation import read_event, salvage_stop


class _Timed(msgspec.Struct):
    time: Annotated[datetime, msgspec.Meta(tz=True)] | float


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_timed = msgspec.json.Decoder(_Timed).decode


def parse(headers: Mapping[str, str], body: bytes, *, now: float, limits: IngestSettings) -> Parsed:
    """The events of a request, in their order, each checked on its own. ``now`` is business time.

    An array that is no JSON as a whole is one refusal.
    """
    if not body.lstrip().startswith(b"["):
        return [_read(body, now, limits)]
    try:
        parts = _split(body)
    except (ValueError, RecursionError) as error:
        return [Refused(BadEvent(DeadLetterReason.MALFORMED, str(error)), body)]
    return [_read(bytes(part), now, limits) for part in parts]


def _read(raw: bytes, now: float, limits: IngestSettings) -> CartEvent | Refused:
    in_seconds = _with_epoch_time(raw)
    try:
        return read_event(in_seconds, key=None, now=now, limits=limits)
    except BadEvent as error:
        return Refused(error, raw, salvage_stop(in_seconds, key=None, now=now, limits=limits))


def _with_epoch_time(raw: bytes) -> bytes:
    """The same event with its time in epoch seconds, or unchanged where it has no readable time in RFC 3339."""
    try:
        time = _timed(raw).time
        if not isinstance(time, datetime):
            return raw
        return msgspec.json.encode({**msgspec.json.decode(raw), "time": time.timestamp()})
    except (ValueError, RecursionError):
        return raw
