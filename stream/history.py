"""What a shopper's events come to, in the order of what they tell and not of their arrival. Pure.

A shop's messages overtake each other. The last events of a shopper are kept beside what the earlier ones came to; one
that arrives late is put where its time belongs, and what followed is told anew. So any order of arrival, and any
repetition, ends in the same cart, features and orders, as long as an event is not overtaken by more than `LONGEST_TAIL`
others or by a decision.
"""

from bisect import bisect
from collections.abc import Sequence

import msgspec

from ringback.errors import BadEvent
from ringback.records import CartEvent, EventKind, Item
from scoring import traffic
from scoring.fold import Folded, advanced

LONGEST_TAIL = 12
# Of a tail of large carts the oldest are let go before, so that a state stays far below what a Kafka record may be.
MOST_TAIL_BYTES = 24 * 1024


class Told(CartEvent, frozen=True, kw_only=True, array_like=True, gc=False):
    """The part of an event that decides about cart, features and orders; the rest is left out."""


Version = tuple[float, str, str]


class History(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What all events came to (``head``), the last of them in order, and what all came to before those (``base``).

    The events of the tail are kept encoded, as they are seldom needed: they take a fifth of the memory. ``newest`` is
    the version of the last one. Without a tail there is neither a base nor a newest event.
    """

    head: Folded = Folded()
    base: Folded | None = None
    tail: tuple[bytes, ...] = ()
    newest: Version | None = None


EMPTY = History()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Told).decode


def extended(history: History, event: CartEvent) -> tuple[History, BadEvent | None]:
    """The history with an event that it does not hold, and why the event has no effect, if it has none.

    An event that is refused stays in the tail: what makes it acceptable may still arrive.
    """
    version, told = _version(event), _encode(_told(event))
    head, tail, base, newest = history.head, history.tail, history.base or history.head, history.newest
    refusal = None
    if newest is None or newest < version:
        tail, newest = (*tail, told), version
        try:
            head = advanced(head, event)
        except BadEvent as error:
            refusal = error
    else:
        decoded = [_decode(one) for one in tail]
        place = bisect(decoded, version, key=_version)
        tail = (*tail[:place], told, *tail[place:])
        head = _refolded(base, decoded[:place])
        try:
            head = advanced(head, event)
        except BadEvent as error:
            refusal = error
        head = _refolded(head, decoded[place:])
    large = len(told) > MOST_TAIL_BYTES // LONGEST_TAIL
    while len(tail) > LONGEST_TAIL or (large and sum(map(len, tail)) > MOST_TAIL_BYTES):
        base, tail = _refolded(base, [_decode(tail[0])]), tail[1:]
    if not tail:
        return History(head=head), refusal
    return History(head=head, base=base, tail=tail, newest=newest), refusal


def united(one: History, other: History, base: Folded) -> History:
    """The history of two shoppers who are one. ``base`` is what both came to before their tails."""
    told = {one: _decode(one) for one in (*one.tail, *other.tail)}
    tail = sorted(told, key=lambda one: _version(told[one]))
    while len(tail) > LONGEST_TAIL or sum(map(len, tail)) > MOST_TAIL_BYTES:
        base = _refolded(base, [told[tail.pop(0)]])
    if not tail:
        return History(head=base)
    head = _refolded(base, [told[one] for one in tail])
    return History(head=head, base=base, tail=tuple(tail), newest=_version(told[tail[-1]]))


def settled(history: History) -> History:
    """The history after a decision: what was decided on is not told anew."""
    return History(head=history.head) if history.tail else history


def _refolded(folded: Folded, events: Sequence[CartEvent]) -> Folded:
    for event in events:
        try:
            folded = advanced(folded, event)
        except BadEvent:
            continue
    return folded


def _version(event: CartEvent) -> Version:
    return event.time, event.event_id, event.source


def _told(event: CartEvent) -> Told:
    items = event.items
    if event.kind is EventKind.PRODUCT_VIEWED:
        items = tuple([Item(product_id=item.product_id) for item in items])
    return Told(
        event_id=event.event_id,
        source=event.source,
        kind=event.kind,
        time=event.time,
        cart_id=event.cart_id,
        session_id=event.session_id,
        order_id=event.order_id,
        items=items,
        currency=event.currency,
        value=event.value,
        step=event.step,
        traffic=traffic.source(event.traffic) if event.traffic else None,
    )
