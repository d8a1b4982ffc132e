"""Money: whole minor units (cents) of an ISO 4217 currency; decimals only at the edges."""

from decimal import Decimal, InvalidOperation
from functools import cache

from iso4217 import Currency

from ringback.errors import BadEvent

MOST_DIGITS = 18


@cache
def exponent(currency: str) -> int:
    """Return how many digits after the point a currency has (USD 2, JPY 0, KWD 3).

    Raises `BadEvent` (``unknown_currency``) for a code that ISO 4217 does not list.
    """
    try:
        digits = Currency(currency.upper()).exponent
    except ValueError:
        raise BadEvent("unknown_currency", f"{currency!r} is not an ISO 4217 code such as 'USD'") from None
    return digits or 0


def to_minor(amount: str | int | Decimal, currency: str) -> int:
    """Turn a decimal amount (``"19.99"``) into minor units (1999), exactly.

    Raises `BadEvent` for text that is no number or has more digits than the currency (``wrong_type``), and for an
    unknown currency.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise BadEvent("wrong_type", f"amount {str(amount)[:40]!r} is not a decimal number") from None
    if not value.is_finite() or abs(value.adjusted()) > MOST_DIGITS:
        raise BadEvent("wrong_type", f"amount {str(amount)[:40]!r} is not an amount of money")
    value = value.scaleb(exponent(currency))
    if value != value.to_integral_value():
        raise BadEvent("wrong_type", f"amount {amount!r} has more digits than {currency} allows")
    return int(value)


def show(minor: int, currency: str) -> str:
    """Format minor units for people: ``show(123456, "USD") == "1,234.56 USD"``."""
    digits = exponent(currency)
    return f"{Decimal(minor).scaleb(-digits):,.{digits}f} {currency}"
