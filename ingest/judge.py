"""One event of a request: accepted, or refused with what must be kept of it all the same. Pure."""

from collections.abc import Callable

import msgspec

from ingest.source import Refused
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind
from ringback.settings import IngestSettings
from ringback.validation import check, too_large

STOPS = frozenset({EventKind.ORDER_COMPLETED, EventKind.OPTED_OUT})


def judged(
    known: CartEvent,
    time: Callable[[], float | None],
    complete: Callable[[CartEvent], CartEvent],
    raw: bytes,
    *,
    now: float,
    limits: IngestSettings,
) -> CartEvent | Refused:
    """The event that ``complete`` makes of what is ``known`` for certain: its id, its kind and whose it is.

    ``time`` reads when it happened, None where the event does not say. Both may raise `BadEvent`; the event is then
    refused, as it is when `ringback.validation.check` finds a fault.
    """
    happened: float | None = None
    try:
        happened = time()
        event = complete(_timed(known, happened, raw, limits))
        check(event, now=now, limits=limits)
    except BadEvent as error:
        return Refused(error, raw, stop(known, now if happened is None else happened, now=now, limits=limits))
    return event


def _timed(known: CartEvent, happened: float | None, raw: bytes, limits: IngestSettings) -> CartEvent:
    if happened is None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "the event does not say when it happened")
    if len(raw) > limits.max_event_bytes:
        raise too_large(len(raw), limits)
    return msgspec.structs.replace(known, time=happened)


def stop(known: CartEvent, time: float, *, now: float, limits: IngestSettings) -> CartEvent | None:
    """What must be kept of a refused event: that its shopper has bought or opted out, and nothing else.

    A shopper whose order has a nonsensical total has bought all the same and must not be called; a time in the future
    becomes ``now``. None where the event is no such stop, or where it can't be told whose. For events with ``refs``
    what `ringback.validation.salvage_stop` is for those with a ``shopper_id``.
    """
    if known.kind not in STOPS:
        return None
    event = CartEvent(
        event_id=known.event_id,
        source=known.source,
        kind=known.kind,
        time=min(time, now),
        replay=known.replay,
        refs=known.refs,
    )
    try:
        check(event, now=now, limits=limits)
    except BadEvent:
        return None
    return event
