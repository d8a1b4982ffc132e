"""Values are written as Grafana writes them."""

import math

import pytest

from dashboards.units import written


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0, "s", None, "0 s"),
        (0.0042, "s", None, "4.2 ms"),
        (0.000085, "s", None, "85 µs"),
        (90.0, "s", None, "1.5 min"),
        (0.997, "percentunit", None, "99.7 %"),
        (0.25, "percentunit", 0, "25 %"),
        (1234567.0, "short", None, "1.23 M"),
        (0.5, "short", None, "0.5"),
        (1234.5, "locale", None, "1,234"),
        (1234.5, "locale", 2, "1,234.50"),
        (3 * 2.0**20, "bytes", None, "3 MiB"),
        (12.34, "cps", None, "12.3 /s"),
        (7.0, "none", 0, "7"),
        (100.0, "none", None, "100"),
        (math.nan, "s", None, "-"),
        (math.inf, "s", None, "∞"),
    ],
)
def test_a_value_has_its_unit_and_three_digits(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals) == text
