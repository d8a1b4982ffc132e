"""What every source's parser returns: for each event of a request, the event or why it was refused."""

from typing import NamedTuple

from ringback.errors import BadEvent
from ringback.records import CartEvent


class Refused(NamedTuple):
    """An event that could not be used; it becomes a dead letter.

    ``stop`` is what must be kept of it all the same: that its shopper bought or opted out.
    """

    error: BadEvent
    raw: bytes
    stop: CartEvent | None = None


Parsed = list[CartEvent | Refused]
