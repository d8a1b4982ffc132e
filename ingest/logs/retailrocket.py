"""RetailRocket's e-commerce log: CSV, one event a line, in no order at all, so that it is sorted by time in memory.

``timestamp,visitorid,event,itemid,transactionid``, times in milliseconds. It has neither prices nor quantities nor
sessions: carts followed through it are worth 0.
"""

from collections.abc import Iterable, Iterator

from ingest.logs.lines import BrokenLine, Line, Row, sorted_events, stable_id
from ringback.errors import BadEvent
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item

SOURCE = "retailrocket"
COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
KINDS = {
    "view": EventKind.PRODUCT_VIEWED,
    "addtocart": EventKind.ITEM_ADDED,
    "transaction": EventKind.ORDER_COMPLETED,
}


def read(lines: Iterable[Line]) -> Iterator[CartEvent | BrokenLine]:
    """The events of the log by time, broken lines first. Raises `RingbackError` for a header of another log."""
    return sorted_events(lines, COLUMNS, _parse)


def _parse(line: Line, row: Row) -> CartEvent:
    kind = KINDS.get(row["event"])
    if kind is None:
        raise BadEvent(DeadLetterReason.BROKEN_LINE, f"event {row['event']!r} is none of {', '.join(KINDS)}")
    return CartEvent(
        event_id=stable_id(line),
        source=SOURCE,
        shopper_id=row["visitorid"],
        kind=kind,
        time=int(row["timestamp"]) / 1000,
        order_id=row["transactionid"].removesuffix(".0") or None,
        items=(Item(product_id=row["itemid"]),),
        replay=True,
    )
