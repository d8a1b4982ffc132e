"""What makes an event usable: decoding and every check that keeps a bad one out of the state."""

import re
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from iso4217 import Currency

from ringback.errors import BadEvent
from ringback.records import (
    DEAD_LETTER_PAYLOAD_BYTES,
    INTERNAL_KINDS,
    CartEvent,
    DeadLetter,
    DeadLetterReason,
    EventKind,
    Item,
    Refs,
    Shopper,
    decoder,
)
from ringback.settings import IngestSettings

LONGEST_ID = 256
LONGEST_STEP = 1000
BEST_RATING = 5
MOST_QUANTITY = 100_000
# Exact as a float, and a cart that is filled 900,000 times still fits in 64 bits.
MOST_MINOR_UNITS = 10**13
LAST_TIME = 4_102_444_800.0  # 2100-01-01; milliseconds taken for seconds are far beyond it
E164 = r"\+[1-9][0-9]{6,14}"
REGION = r"[A-Z]{2}-[A-Z0-9]{1,3}"
LONGEST_ZONE = 64

_CURRENCIES = frozenset(currency.code for currency in Currency)
_PHONE = re.compile(E164)
_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(REGION)

_decode = decoder(CartEvent).decode


def read_event(raw: bytes | None, *, key: bytes | None, now: float, limits: IngestSettings) -> CartEvent:
    """Decode and check one event in canonical JSON; ``now`` is business time.

    ``key`` is the Kafka key that the event came with, None where there is none. Raises `BadEvent` with a
    `DeadLetterReason`, and nothing else, whatever the bytes are.
    """
    event = decode(raw, limits)
    if key is not None and key != event.shopper_id.encode():
        raise BadEvent(DeadLetterReason.WRONG_KEY, f"the Kafka key is not the shopper_id of event {event.event_id!r}")
    check(event, now=now, limits=limits)
    return event


def decode(raw: bytes | None, limits: IngestSettings) -> CartEvent:
    """Decode one event without a look at its values; raises `BadEvent` as `read_event` does."""
    if raw is None:
        raise BadEvent(DeadLetterReason.MALFORMED, "a message without a value")
    if len(raw) > limits.max_event_bytes:
        raise too_large(len(raw), limits)
    try:
        return _decode(raw)
    except msgspec.ValidationError as error:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, str(error)) from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
        raise BadEvent(DeadLetterReason.MALFORMED, str(error)) from None


def check(event: CartEvent, *, now: float, limits: IngestSettings) -> None:
    """Raise `BadEvent` when a decoded event has values that can't be used: ids, times, money, identity."""
    _check_ids(event)
    _check_time(event, now, limits)
    if event.items or event.value is not None or event.currency is not None:
        _check_money(event)
    if event.step is not None and not 0 <= event.step <= LONGEST_STEP:
        raise _wrong(event, f"step is not from 0 to {LONGEST_STEP}")
    if event.rating is not None and not 1 <= event.rating <= BEST_RATING:
        raise _wrong(event, f"rating is not from 1 to {BEST_RATING}")
    if event.shopper is not None:
        _check_shopper(event, event.shopper)


def too_large(size: int, limits: IngestSettings) -> BadEvent:
    """The error for an event of too many bytes."""
    detail = f"{size} bytes, more than ingest.max_event_bytes = {limits.max_event_bytes}"
    return BadEvent(DeadLetterReason.TOO_LARGE, detail)


def dead_letter(
    error: BadEvent,
    payload: bytes | None,
    *,
    source: str,
    stage: Literal["replay", "ingest", "stream"],
    time: float,
    line: int | None = None,
    partition: int | None = None,
    offset: int | None = None,
) -> DeadLetter:
    """The record of what could not be used; the payload is cut."""
    return DeadLetter(
        source=source,
        stage=stage,
        reason=error.reason,
        detail=error.detail,
        payload=(payload or b"")[:DEAD_LETTER_PAYLOAD_BYTES],
        time=time,
        line=line,
        partition=partition,
        offset=offset,
    )


class _Stop(msgspec.Struct):
    event_id: str
    source: str
    shopper_id: str
    kind: Literal["order_completed", "opted_out", "erased"]
    time: float
    replay: bool = False
    received_wall: float = 0.0


_decode_stop = msgspec.json.Decoder(_Stop).decode


def salvage_stop(raw: bytes | None, *, key: bytes | None, now: float, limits: IngestSettings) -> CartEvent | None:
    """What must be kept of a refused event: that a shopper has bought, opted out, or is to be erased.

    A shop may send an order with a nonsensical total; its shopper has bought all the same and must not be called. The
    event returned has no details (no money, no lines, no identity), and a time in the future becomes ``now``. None
    where the event is no such stop, or where it can't be told whose.
    """
    if raw is None or len(raw) > limits.max_event_bytes:
        return None
    try:
        stop = _decode_stop(raw)
    except (ValueError, RecursionError):
        return None
    event = CartEvent(
        event_id=stop.event_id,
        source=stop.source,
        shopper_id=stop.shopper_id,
        kind=EventKind(stop.kind),
        time=min(stop.time, now),
        replay=stop.replay,
        received_wall=stop.received_wall,
    )
    try:
        check(event, now=now, limits=limits)
    except BadEvent:
        return None
    return event if key is None or key == stop.shopper_id.encode() else None


def _check_ids(event: CartEvent) -> None:
    if not 0 < len(event.event_id) <= LONGEST_ID or event.event_id.isspace():
        raise _bad_id(event, "event_id", event.event_id)
    if event.refs is not None:
        _check_refs(event, event.refs)
    elif not 0 < len(event.shopper_id) <= LONGEST_ID or event.shopper_id.isspace():
        raise _bad_id(event, "shopper_id", event.shopper_id)
    if not 0 < len(event.source) <= LONGEST_ID or event.source.isspace():
        raise _bad_id(event, "source", event.source)
    for name in ("cart_id", "session_id", "order_id", "other"):
        given = getattr(event, name)
        if given is not None and not 0 < len(given) <= LONGEST_ID:
            raise _bad_id(event, name, given)
    if event.kind in INTERNAL_KINDS and event.other is None:
        raise _wrong(event, f"{event.kind} names no other shopper")


def _check_refs(event: CartEvent, refs: Refs) -> None:
    given = [value for value in msgspec.structs.astuple(refs) if value is not None]
    if not given:
        raise BadEvent(DeadLetterReason.NO_SHOPPER, f"event {event.event_id!r} has nothing that tells whose it is")
    if not all(0 < len(value) <= LONGEST_ID and not value.isspace() for value in given):
        raise _wrong(event, f"a reference to its shopper is blank or has more than {LONGEST_ID} characters")


def _check_time(event: CartEvent, now: float, limits: IngestSettings) -> None:
    if not event.time >= 0.0:  # NaN too
        raise _wrong(event, f"time {event.time!r} is not in epoch seconds")
    if event.time > now + limits.max_ahead:
        hint = "; is it in milliseconds?" if event.time > LAST_TIME else ""
        detail = f"event {event.event_id!r} is {event.time - now:.0f} s ahead of the clock{hint}"
        raise BadEvent(DeadLetterReason.FROM_THE_FUTURE, detail)
    if event.time < now - limits.max_age and not event.replay:
        detail = f"event {event.event_id!r} is {(now - event.time) / 86400:.1f} days old"
        raise BadEvent(DeadLetterReason.TOO_OLD, detail)
    if not 0.0 <= event.received_wall <= LAST_TIME:
        raise _wrong(event, f"received_wall {event.received_wall!r} is not in epoch seconds")


def _check_money(event: CartEvent) -> None:
    currency = event.currency
    if currency is not None and currency not in _CURRENCIES:
        detail = f"event {event.event_id!r}: {currency[:40]!r} is not an ISO 4217 code such as 'USD'"
        raise BadEvent(DeadLetterReason.UNKNOWN_CURRENCY, detail)
    total = sum(_amount(event, item) for item in event.items)
    largest = max(total, event.value or 0)
    if event.value is not None and event.value < 0:
        raise _negative(event, "value")
    if largest > MOST_MINOR_UNITS:
        raise _wrong(event, f"an amount is over {MOST_MINOR_UNITS} minor units")
    if largest > 0 and currency is None:
        raise BadEvent(DeadLetterReason.UNKNOWN_CURRENCY, f"event {event.event_id!r} has an amount but no currency")


def _amount(event: CartEvent, item: Item) -> int:
    if not item.product_id or len(item.product_id) > LONGEST_ID:
        raise _bad_id(event, "product_id", item.product_id)
    if item.unit_price < 0:
        raise _negative(event, "unit_price")
    if item.quantity < 0:
        raise _negative(event, "quantity")
    if not 0 < item.quantity <= MOST_QUANTITY:
        raise _wrong(event, f"quantity of {item.product_id!r} is not from 1 to {MOST_QUANTITY}")
    return item.unit_price * item.quantity


def _check_shopper(event: CartEvent, shopper: Shopper) -> None:
    # The phone number itself is not repeated: errors are logged.
    if shopper.phone is not None and not _PHONE.fullmatch(shopper.phone):
        raise _wrong(event, "shopper.phone is not E.164, such as '+442079460123'")
    if shopper.country is not None and not _COUNTRY.fullmatch(shopper.country):
        raise _wrong(event, "shopper.country is not ISO 3166 alpha-2, such as 'GB'")
    if shopper.timezone is not None and not is_zone(shopper.timezone):
        raise _wrong(event, "shopper.timezone is not an IANA name, such as 'Europe/Paris'")
    if shopper.region is not None and not is_region(shopper.region, shopper.country):
        raise _wrong(event, "shopper.region is not ISO 3166-2, such as 'US-FL', or of another country")
    if shopper.ip_timezone is not None and not is_zone(shopper.ip_timezone):
        raise _wrong(event, "shopper.ip_timezone is not an IANA name, such as 'Europe/Paris'")


def is_region(code: str, country: str | None) -> bool:
    """Whether a code has the form of ISO 3166-2, and is of the country (alpha-2) where that is known."""
    return _REGION.fullmatch(code) is not None and country in (None, code[:2])


def is_zone(name: str) -> bool:
    """Whether a text is the IANA name of a time zone."""
    return len(name) <= LONGEST_ZONE and _is_zone(name)


@lru_cache(maxsize=1024)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _wrong(event: CartEvent, detail: str) -> BadEvent:
    return BadEvent(DeadLetterReason.WRONG_TYPE, f"event {event.event_id!r}: {detail}")


def _bad_id(event: CartEvent, name: str, given: str) -> BadEvent:
    fault = f"has {len(given)} characters, more than {LONGEST_ID}" if len(given) > LONGEST_ID else "is blank"
    return BadEvent(DeadLetterReason.WRONG_TYPE, f"event {event.event_id[:LONGEST_ID]!r}: {name} {fault}")


def _negative(event: CartEvent, name: str) -> BadEvent:
    # The number is not repeated: it may have thousands of digits.
    return BadEvent(DeadLetterReason.NEGATIVE_PRICE, f"event {event.event_id!r}: {name} is below 0")
