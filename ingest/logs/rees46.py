"""REES46's multi-category store: CSV, one event a line, in the order of time.

``event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session``, prices in US dollars.
An order is as many ``purchase`` lines as it has products, and nothing tells which of them belong together: each line
becomes an order of its own. Quantities are not logged: each line is one piece. The log knows no cart ids.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from ingest.logs.lines import BrokenLine, Line, Row, events, stable_id
from ringback.errors import BadEvent
from ringback.money import to_minor
from ringback.records import CartEvent, DeadLetterReason, EventKind, Item

SOURCE = "rees46"
CURRENCY = "USD"
COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
KINDS = {
    "view": EventKind.PRODUCT_VIEWED,
    "cart": EventKind.ITEM_ADDED,
    "remove_from_cart": EventKind.ITEM_REMOVED,
    "purchase": EventKind.ORDER_COMPLETED,
}


def read(lines: Iterable[Line]) -> Iterator[CartEvent | BrokenLine]:
    """The events of the log, in the order of its lines. Raises `RingbackError` for a header of another log."""
    return events(lines, COLUMNS, _parse)


def _parse(line: Line, row: Row) -> CartEvent:
    kind = KINDS.get(row["event_type"])
    if kind is None:
        raise BadEvent(DeadLetterReason.BROKEN_LINE, f"event_type {row['event_type']!r} is none of {', '.join(KINDS)}")
    price = to_minor(row["price"], CURRENCY)
    item = Item(
        product_id=row["product_id"],
        unit_price=price,
        category=row["category_code"] or row["category_id"] or None,
        brand=row["brand"] or None,
    )
    return CartEvent(
        event_id=stable_id(line),
        source=SOURCE,
        shopper_id=row["user_id"],
        kind=kind,
        time=_time(row["event_time"]),
        session_id=row["user_session"] or None,
        items=(item,),
        currency=CURRENCY,
        value=price if kind is EventKind.ORDER_COMPLETED else None,
        replay=True,
    )


def _time(text: str) -> float:
    moment, _, zone = text.rpartition(" ")
    if zone != "UTC":
        raise ValueError(f"event_time {text!r} is not like '2019-10-01 00:00:00 UTC'")
    return datetime.fromisoformat(f"{moment}+00:00").timestamp()
