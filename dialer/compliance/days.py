"""Days of a year by name: how the data files write holidays, most of which move.

``12-25`` is that day, ``easter-2`` so many days from Easter Sunday, ``3 mon jan`` or ``last mon may`` a weekday of a
month, ``mon before 05-25`` the last one earlier than a day. Any of them may have days added: ``1 mon nov+1``.
"""

import calendar
import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

Observed = Literal["monday", "next", "nearest", "saturday"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SATURDAY, _SUNDAY = 5, 6
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY, _MONTH = "|".join(WEEKDAYS), "|".join(_MONTHS)
_NAME = re.compile(
    rf"(?:(?P<fixed>\d\d-\d\d)|(?P<easter>easter)|(?P<nth>[1-5]|last) (?P<weekday>{_WEEKDAY}) (?P<month>{_MONTH})"
    rf"|(?P<earlier>{_WEEKDAY}) before (?P<limit>\d\d-\d\d))(?P<offset>[+-]\d{{1,2}})?",
)


def in_year(name: str, year: int) -> date | None:
    """The day of a name in a year; None where the year has none, such as 29 February. Raises ValueError."""
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} is no day such as '12-25', 'easter-2', '3 mon jan' or 'mon before 05-25'")
    day = _unmoved(match, year)
    return day and day + timedelta(days=int(match["offset"] or 0))


def days_of(names: Iterable[str], observed: Observed | None) -> Callable[[date], bool]:
    """Whether a day is one of those named, or the one on which such a day is kept.

    ``observed``: a holiday on a Sunday is kept on Monday too; with ``next`` one on a Saturday too; with ``nearest``
    one on a Saturday on Friday; with ``saturday`` one on a Sunday on the Saturday before. Raises ValueError when a name
    is none.
    """
    names = tuple(names)
    for name in names:
        in_year(name, 2000)

    @lru_cache(maxsize=16)
    def kept(year: int) -> frozenset[date]:
        # A day of the neighbouring years may be moved into this one.
        there = {day for name in names for near in (year - 1, year, year + 1) if (day := in_year(name, near))}
        return frozenset(there | {moved for day in there if (moved := _moved(day, observed))})

    return lambda day: day in kept(day.year)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar. Source: J. Meeus, Astronomical Algorithms, 1991, chapter 8."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    l_ = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * l_) // 433
    month = (h + l_ - 7 * m + 90) // 25
    return date(year, month, (h + l_ - 7 * m + 33 * month + 19) % 32)


def _unmoved(match: re.Match[str], year: int) -> date | None:
    if match["easter"]:
        return easter(year)
    if match["fixed"]:
        return _fixed(match["fixed"], year)
    if match["earlier"]:
        limit = _fixed(match["limit"], year)
        return limit and limit - timedelta(days=(limit.weekday() - WEEKDAYS.index(match["earlier"]) - 1) % 7 + 1)
    month, weekday = _MONTHS.index(match["month"]) + 1, WEEKDAYS.index(match["weekday"])
    length = calendar.monthrange(year, month)[1]
    found = [day for day in range(1, length + 1) if date(year, month, day).weekday() == weekday]
    place = len(found) if match["nth"] == "last" else int(match["nth"])
    return date(year, month, found[place - 1]) if place <= len(found) else None


def _fixed(text: str, year: int) -> date | None:
    month, day = map(int, text.split("-"))
    if month == 2 and day == 29 and not calendar.isleap(year):
        return None
    return date(year, month, day)


def _moved(day: date, observed: Observed | None) -> date | None:
    if day.weekday() == _SUNDAY and observed:
        return day + timedelta(days=-1 if observed == "saturday" else 1)
    if day.weekday() == _SATURDAY and observed in ("nearest", "next"):
        return day + timedelta(days=-1 if observed == "nearest" else 2)
    return None
