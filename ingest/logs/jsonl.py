"""Ringback's own log: one canonical cart event a line, in JSON (docs/cart-event.schema.json)."""

from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from ingest.logs.lines import LIMITS, BrokenLine, Line, checked
from ringback.records import CartEvent
from ringback.validation import decode


def read(lines: Iterable[Line]) -> Iterator[CartEvent | BrokenLine]:
    """The events of the log, each marked as a replay. Empty lines are passed over."""
    for line in lines:
        if line.raw.strip():
            yield checked(line, partial(_parse, line))


def _parse(line: Line) -> CartEvent:
    return msgspec.structs.replace(decode(line.raw, LIMITS), replay=True)
