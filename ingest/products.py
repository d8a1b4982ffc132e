"""The products of trackers' events, whose prices are floating-point numbers of a major unit. Pure.

Amounts with more digits than their currency has (``59.970000000000006``) come from arithmetic at the sender and are
rounded half to even; all others are exact.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ingest.fields import Json, minor, quantity, shown, text
from ingest.ids import ref
from ringback.errors import BadEvent
from ringback.records import DeadLetterReason, Item

_LONGEST_CURRENCY = 40


class ItemNames(NamedTuple):
    """What a platform calls the fields of a product; the first of ``ids`` that is there is the product's id."""

    ids: tuple[str, ...]
    title: str
    category: str
    brand: str


def products(node: Json, name: str) -> list[Json]:
    """The products in a field's list; a missing one is empty. Raises `BadEvent` where it holds anything else."""
    value = node.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{name} is not a list of objects")
    return value


def currency_of(whole: Json, lines: Sequence[Json], default: str | None) -> str | None:
    """The currency that an event and its lines name, or else the shop's. Raises `BadEvent` where they name several."""
    codes = {code.upper() for one in (whole, *lines) if (code := text(one, "currency"))}
    if len(codes) > 1:
        raise BadEvent(DeadLetterReason.MIXED_CURRENCIES, "the event and its lines name several currencies")
    return codes.pop()[:_LONGEST_CURRENCY] if codes else default


def items(lines: Sequence[Json], names: ItemNames, currency: str | None) -> tuple[Item, ...]:
    """The lines of an event. Raises `BadEvent` for a product without an id, and for a bad price or quantity."""
    return tuple(_item(line, names, currency) for line in lines)


def total(node: Json, names: Sequence[str], lines: tuple[Item, ...], currency: str | None) -> int | None:
    """An order's total in minor units: the first of the fields that is there, else the sum of its lines, if any."""
    given = minor(node, names, currency, rounded=True)
    if given is None and lines:
        return sum(line.unit_price * line.quantity for line in lines)
    return given


def _item(line: Json, names: ItemNames, currency: str | None) -> Item:
    product_id = ref(line, *names.ids)
    if product_id is None:
        raise BadEvent(DeadLetterReason.WRONG_TYPE, f"a product has no {' or '.join(names.ids)}")
    return Item(
        product_id=product_id,
        quantity=quantity(line, "quantity"),
        unit_price=minor(line, ("price",), currency, rounded=True) or 0,
        category=shown(line, names.category),
        brand=shown(line, names.brand),
        title=shown(line, names.title),
    )
