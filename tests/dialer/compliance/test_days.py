from datetime import date, timedelta

import pytest

from dialer.compliance.days import Observed, days_of, easter, in_year
from tests.dialer.compliance import oracle


@pytest.mark.parametrize(
    ("name", "year", "day"),
    [
        ("12-25", 2026, date(2026, 12, 25)),
        ("02-29", 2024, date(2024, 2, 29)),
        ("02-29", 2026, None),
        ("easter", 2026, date(2026, 4, 5)),
        ("easter-47", 2026, date(2026, 2, 17)),
        ("easter+60", 2024, date(2024, 5, 30)),
        ("3 mon jan", 2026, date(2026, 1, 19)),
        ("last mon may", 2026, date(2026, 5, 25)),
        ("5 fri feb", 2026, None),
        ("5 thu feb", 2024, date(2024, 2, 29)),
        ("4 thu nov+1", 2026, date(2026, 11, 27)),
        ("1 mon nov+1", 2026, date(2026, 11, 3)),
        ("mon before 05-25", 2026, date(2026, 5, 18)),
        ("wed before 11-23", 2026, date(2026, 11, 18)),
    ],
)
def test_a_day_by_its_name(name: str, year: int, day: date | None) -> None:
    assert in_year(name, year) == day


@pytest.mark.parametrize("name", ["", "christmas", "13-01", "12-32", "0 mon jan", "6 mon jan", "mon jan", "easter-470"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no day|month|day"):
        days_of([name], None)


@pytest.mark.parametrize(
    ("observed", "kept"),
    [
        # 4 July 2026 is a Saturday, 4 July 2027 a Sunday.
        (None, {date(2026, 7, 4), date(2027, 7, 4)}),
        ("monday", {date(2026, 7, 4), date(2027, 7, 4), date(2027, 7, 5)}),
        ("next", {date(2026, 7, 4), date(2026, 7, 6), date(2027, 7, 4), date(2027, 7, 5)}),
        ("nearest", {date(2026, 7, 3), date(2026, 7, 4), date(2027, 7, 4), date(2027, 7, 5)}),
        ("saturday", {date(2026, 7, 4), date(2027, 7, 3), date(2027, 7, 4)}),
    ],
)
def test_a_holiday_on_a_weekend_is_kept_on_a_weekday_too(observed: Observed | None, kept: set[date]) -> None:
    named = days_of(["07-04"], observed)
    july = [date(year, 7, day) for year in (2026, 2027) for day in range(1, 32)]
    assert {day for day in july if named(day)} == kept


def test_new_years_day_is_kept_in_the_old_year() -> None:
    # 1 January 2028 is a Saturday.
    assert days_of(["01-01"], "nearest")(date(2027, 12, 31))


def test_easter_by_two_rules() -> None:
    assert all(easter(year) == oracle.easter(year) for year in range(1900, 2200))
    assert all(easter(year).weekday() == 6 for year in range(1900, 2200))


def test_no_day_is_a_holiday_that_has_no_name() -> None:
    named = days_of(["easter+1", "last mon aug"], None)
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [day for day in days if named(day)] == [date(2026, 4, 6), date(2026, 8, 31)]
