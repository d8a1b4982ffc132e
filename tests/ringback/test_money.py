"""Money is exact, and only what ISO 4217 knows."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import BadEvent
from ringback.money import exponent, show, to_minor

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@given(minor=st.integers(0, 10**15), currency=CURRENCIES)
def test_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(Decimal(minor).scaleb(-exponent(currency)), currency) == minor
    amount, code = show(minor, currency).split(" ")
    assert to_minor(amount.replace(",", ""), code) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("19.99", "USD", 1999), ("0.1", "EUR", 10), ("1999", "JPY", 1999), ("1.234", "KWD", 1234), ("5.00", "JPY", 5)],
)
def test_amounts(amount: str, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@pytest.mark.parametrize("amount", ["", "abc", "1,50", "0.001", "NaN", "Infinity", "1 USD"])
def test_what_is_no_amount(amount: str) -> None:
    with pytest.raises(BadEvent):
        to_minor(amount, "USD")


def test_an_unknown_currency() -> None:
    with pytest.raises(BadEvent) as refused:
        exponent("ABC")
    assert refused.value.reason == "unknown_currency"


def test_how_money_is_shown() -> None:
    assert show(123_456, "USD") == "1,234.56 USD"
    assert show(123_456, "JPY") == "123,456 JPY"
