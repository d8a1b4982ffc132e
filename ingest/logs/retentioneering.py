"""The synthetic shop that ships with retentioneering: CSV, grouped by user, so that it is sorted by time in memory.

``user_id,session_id,event,timestamp,acquisition_channel`` and more; times are taken for UTC. It has the whole checkout,
and neither products nor prices: every piece is of the product `UNKNOWN_PRODUCT` and costs 0.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from ingest.logs.lines import BrokenLine, Line, Row, sorted_events, stable_id
from ringback.records import CartEvent, EventKind, Item

SOURCE = "retentioneering"
COLUMNS = ("user_id", "session_id", "event", "timestamp", "acquisition_channel")
UNKNOWN_PRODUCT = "unknown"
KINDS = {
    "product_view": EventKind.PRODUCT_VIEWED,
    "add_to_cart": EventKind.ITEM_ADDED,
    "shipping_details": EventKind.CHECKOUT_STARTED,
    "payment_details": EventKind.CHECKOUT_STEP,
    "payment_error": EventKind.PAYMENT_FAILED,
    "purchase": EventKind.ORDER_COMPLETED,
}
STEPS = {"shipping_details": 1, "payment_details": 2, "payment_error": 2}


def read(lines: Iterable[Line]) -> Iterator[CartEvent | BrokenLine]:
    """The events of the log by time, broken lines first. Raises `RingbackError` for a header of another log."""
    return sorted_events(lines, COLUMNS, _parse)


def _parse(line: Line, row: Row) -> CartEvent:
    name = row["event"]
    if not name:
        raise ValueError("no event")
    kind = KINDS.get(name, EventKind.OTHER)
    return CartEvent(
        event_id=stable_id(line),
        source=SOURCE,
        shopper_id=row["user_id"],
        kind=kind,
        time=datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp(),
        session_id=row["session_id"] or None,
        items=(Item(product_id=UNKNOWN_PRODUCT),) if kind is EventKind.ITEM_ADDED else (),
        step=STEPS.get(name),
        traffic=row["acquisition_channel"] or None,
        replay=True,
    )
