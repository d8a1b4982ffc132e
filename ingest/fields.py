"""Reading what platforms send: JSON whose fields may be null, absent, text instead of numbers or the reverse. Pure.

What is absent or of another type is None or empty; what is there and must not be misread (money, times) is a `BadEvent`
whose detail names the field and never repeats the value, which may be personal.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, DecimalException
from typing import Any, NoReturn

import msgspec

from ingest.parts import readable
from ringback.errors import BadEvent
from ringback.money import exponent, to_minor
from ringback.records import DeadLetterReason, Item
from ringback.validation import MOST_QUANTITY

Json = Mapping[str, Any]

LONGEST_TEXT = 200
# More lines than an event can have within ingest.max_event_bytes.
MOST_OBJECTS = 10_000
_LONGEST_ID = 1000
_LONGEST_NUMBER = 40

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def json_object(body: bytes) -> Json:
    """The JSON object that a body is, its fractions as exact decimals. Raises `BadEvent` (malformed, wrong type)."""
    try:
        value = _decode(readable(body))
    except RecursionError:
        raise BadEvent(DeadLetterReason.TOO_DEEP, "JSON nested without end") from None
    except (ValueError, ArithmeticError) as error:
        raise BadEvent(DeadLetterReason.MALFORMED, f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadEvent(DeadLetterReason.WRONG_TYPE, "the body must be a JSON object")
    return value


def text(node: Json, *names: str) -> str | None:
    """The first of the fields that has something in it, as text without spaces around it."""
    for name in names:
        value = node.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            stripped = _as_text(value).strip()
            if stripped:
                return stripped
    return None


def shown(node: Json, *names: str) -> str | None:
    """Text for people, cut at 200 characters."""
    value = text(node, *names)
    return value[:LONGEST_TEXT] if value else None


def entity_id(node: Json, *names: str) -> str | None:
    """The first of the fields that has an id; 0 is what platforms write for none (WooCommerce's guests)."""
    return next((value for name in names if (value := text(node, name)) not in (None, "0")), None)


def inner(node: Json, name: str) -> Json:
    """The object in a field; empty where there is none, or something else (an empty PHP array becomes ``[]``)."""
    value = node.get(name)
    return value if isinstance(value, dict) else {}


def objects(node: Json, name: str) -> list[Json]:
    """The objects in a field's list. Raises `BadEvent` where it has more than `MOST_OBJECTS`."""
    value = node.get(name)
    if not isinstance(value, list):
        return []
    if len(value) > MOST_OBJECTS:
        raise BadEvent(DeadLetterReason.TOO_LARGE, f"{name} has {len(value)} entries, more than {MOST_OBJECTS}")
    return [one for one in value if isinstance(one, dict)]


def seconds(node: Json, *names: str) -> float | None:
    """The first of the fields that has an ISO 8601 time, in epoch seconds; without an offset it is UTC.

    Raises `BadEvent` where the first that is there is no such time.
    """
    for name in names:
        value = node.get(name)
        if value in (None, ""):
            continue
        try:
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, AttributeError):
            _refuse(name, "is not an ISO 8601 time such as '2026-09-21T14:13:20Z'")
    return None


def currency_of(node: Json, names: Iterable[str], default: str | None) -> str | None:
    """The first of the fields that has something in it, in capitals; else the shop's.

    Raises `BadEvent` for what does not look like a code.
    """
    for name in names:
        given = text(node, name)
        if given is None:
            continue
        if len(given) != 3 or not given.isascii() or not given.isalpha():
            raise BadEvent(DeadLetterReason.UNKNOWN_CURRENCY, f"{name} is not an ISO 4217 code such as 'USD'")
        return given.upper()
    return default


def minor(node: Json, names: Iterable[str], currency: str | None, *, rounded: bool = False) -> int | None:
    """The first of the fields that is there, in minor units of the currency.

    ``rounded`` is for platforms that compute with floats: what has more digits than the currency is rounded half to
    even. Otherwise that is a `BadEvent`, as is an amount below 0, one that is no number, and one without a currency.
    """
    for name in names:
        value = node.get(name)
        if value not in (None, ""):
            return _minor(name, value, currency, rounded=rounded)
    return None


def quantity(node: Json, *names: str) -> int:
    """The first of the fields that is there as a whole number; 1 where there is none, `BadEvent` where it is none."""
    for name in names:
        value = node.get(name)
        if value in (None, ""):
            continue
        number = _number(value)
        if number is None or number != number.to_integral_value() or not 0 <= number <= MOST_QUANTITY:
            _refuse(name, f"is not a whole number from 0 to {MOST_QUANTITY}")
        return int(number)
    return 1


def shared(total: int, pieces: int, line: Item) -> list[Item]:
    """A line of so many pieces whose prices add up to a total exactly: some cost one minor unit more than others."""
    if pieces <= 0:
        return []
    price, dearer = divmod(total, pieces)
    counts = [(price + 1, dearer), (price, pieces - dearer)]
    return [msgspec.structs.replace(line, quantity=count, unit_price=each) for each, count in counts if count]


def one_currency(currencies: Iterable[str | None], expected: str | None) -> None:
    """Raise `BadEvent` (``mixed_currencies``) where lines are in another currency than the whole."""
    others = {one.upper() for one in currencies if one} - ({expected} if expected else set())
    if len(others) > (0 if expected else 1):
        raise BadEvent(DeadLetterReason.MIXED_CURRENCIES, "lines are in other currencies than the whole")


def _minor(name: str, value: object, currency: str | None, *, rounded: bool) -> int:
    amount = _number(value)
    if amount is None:
        _refuse(name, "is not an amount of money")
    if amount < 0:
        raise BadEvent(DeadLetterReason.NEGATIVE_PRICE, f"{name} is below 0")
    if currency is None:
        if amount == 0:
            return 0
        detail = f"{name} is an amount without a currency: set the shop's under ingest.shops"
        raise BadEvent(DeadLetterReason.UNKNOWN_CURRENCY, detail)
    digits = exponent(currency)
    try:
        if rounded:
            amount = amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)
        return to_minor(amount, currency)
    except (BadEvent, DecimalException):
        _refuse(name, f"is not an amount of money of at most {digits} digits after the point")


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    given = value.strip() if isinstance(value, str) else _as_text(value) if isinstance(value, int) else value
    if isinstance(given, str) and (len(given) > _LONGEST_NUMBER or "_" in given):  # Decimal reads 1_000
        return None
    try:
        number = Decimal(given)
    except DecimalException:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _LONGEST_NUMBER else None


def _as_text(value: str | int) -> str:
    # Python refuses to print integers of thousands of digits.
    return value if isinstance(value, str) else str(value) if abs(value) < 10**_LONGEST_NUMBER else ""


def _refuse(name: str, expectation: str) -> NoReturn:
    raise BadEvent(DeadLetterReason.WRONG_TYPE, f"{name} {expectation}")
