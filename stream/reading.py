"""From the bytes of a record to events that can be used, and what is kept of those that can't. Pure."""

from collections.abc import Sequence

import msgspec

from ringback.envelope import unpack
from ringback.errors import BadEvent
from ringback.records import CartEvent, ContactEvent, ContactKind, DeadLetterReason, decoder, encode
from ringback.settings import IngestSettings
from ringback.validation import check, read_event, salvage_stop
from stream.reaction import STOPS, Withdrawal


class _Source(msgspec.Struct):
    source: str


_decode_source = decoder(_Source).decode
_decode_contact = decoder(ContactEvent).decode
_decode_packed = msgspec.json.Decoder(list[CartEvent]).decode


def unpacked(raw: bytes, most_bytes: int) -> Sequence[bytes | CartEvent]:
    """The events of a packed record, decoded if all of them can be; the record itself if it can't be taken apart."""
    try:
        return _decode_packed(raw) if len(raw) <= most_bytes else unpack(raw)
    except (ValueError, RecursionError):
        try:
            return unpack(raw)
        except (ValueError, RecursionError):
            return [raw]


def usable(given: bytes | CartEvent, key: bytes | None, now: float, limits: IngestSettings) -> CartEvent:
    """The event, decoded and checked; its key too, where there is one. Raises `BadEvent`."""
    if isinstance(given, bytes):
        event = read_event(given, key=key, now=now, limits=limits)
    else:
        event = given
        check(event, now=now, limits=limits)
    if not event.shopper_id:
        raise BadEvent(DeadLetterReason.NO_SHOPPER, f"event {event.event_id!r} does not say whose it is")
    return event


def stop_in(given: bytes | CartEvent, now: float, limits: IngestSettings) -> Withdrawal | None:
    """What must be done even about a record that can't be applied: nobody calls who bought or said no."""
    if isinstance(given, bytes):
        try:
            contact = _decode_contact(given)
        except (ValueError, RecursionError):
            stop = salvage_stop(given, key=None, now=now, limits=limits)
            return None if stop is None else stop_in(stop, now, limits)
        said_no = contact.kind is ContactKind.OPTED_OUT
        return Withdrawal(contact.shopper_id, "opted_out", contact.time) if said_no else None
    return Withdrawal(given.shopper_id, STOPS[given.kind], given.time) if given.kind in STOPS else None


def as_bytes(given: bytes | CartEvent) -> bytes:
    """What was given, encoded."""
    return given if isinstance(given, bytes) else encode(given)


def source(raw: bytes) -> str:
    """Where an event says that it is from, whatever else is wrong with it."""
    try:
        return _decode_source(raw).source
    except (ValueError, RecursionError):
        return "unknown"
