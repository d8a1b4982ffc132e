"""A request's body taken apart into its events, each still JSON, so that one bad event spoils no other. Pure."""

import re
from collections.abc import Sequence

import msgspec

from ringback.errors import BadEvent
from ringback.records import DeadLetterReason

# As many as fit into a body of the usual size when each says something; more take too long to be worth it.
MOST_EVENTS = 10_000
# What a request says once for all of its events is read again for each of them.
MOST_SHARED_BYTES = 4 * 1024 * 1024

_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)")
_LONE_HALF_BYTES = len(rb"\ud83d")

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def readable(body: bytes) -> bytes:
    r"""The same JSON with U+FFFD for halves of characters.

    JavaScript that cuts a text in the middle of an emoji writes ``\ud83d``, which is no text in any encoding.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: rb"\ufffd" if len(found[0]) == _LONE_HALF_BYTES else found[0], body)


def split(body: bytes) -> list[bytes]:
    """The elements of a JSON array. Raises `BadEvent`."""
    try:
        parts = _split(body)
    except (ValueError, RecursionError) as error:
        raise unusable(error) from None
    return separate(parts)


def separate(parts: Sequence[msgspec.Raw]) -> list[bytes]:
    """The elements of an array that was decoded. Raises `BadEvent` where there are more than `MOST_EVENTS`."""
    if len(parts) > MOST_EVENTS:
        raise BadEvent(DeadLetterReason.TOO_LARGE, f"{len(parts)} events in one request, more than {MOST_EVENTS}")
    return [bytes(part) for part in parts]


def bound_shared(size: int, events: int) -> None:
    """Raise `BadEvent` where the ``size`` bytes that all events of a request share are too many for so many events."""
    if size * events > MOST_SHARED_BYTES:
        detail = f"{size} bytes that {events} events share, together more than {MOST_SHARED_BYTES}"
        raise BadEvent(DeadLetterReason.TOO_LARGE, detail)


def unusable(error: Exception) -> BadEvent:
    """The `BadEvent` of what JSON's decoder raised."""
    match error:
        case msgspec.ValidationError():
            return BadEvent(DeadLetterReason.WRONG_TYPE, str(error))
        case RecursionError():
            return BadEvent(DeadLetterReason.TOO_DEEP, "JSON nested without end")
        case _:
            return BadEvent(DeadLetterReason.MALFORMED, str(error))
