"""Calling hours: when it is a decent time of day where somebody may be.

What says so is an `Opening`: a rule of law of `dialer.compliance.book`, a list of closed days, or a country's own hours
in the settings. Calls may be made while all openings that hold are open in all zones, so settings, states and zones can
only take time away.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache, lru_cache, reduce
from typing import Protocol
from zoneinfo import ZoneInfo

from dialer.compliance.book import EVE, ClosedDays, HoursRule, Jurisdiction, Rule, Span, minutes, week
from dialer.compliance.days import days_of
from ringback.calling_hours import Hours

Interval = tuple[float, float]

DAY = 86400.0
WHOLE_DAY: tuple[Span, ...] = ((0, 1440),)
_EPOCH = date(1970, 1, 1).toordinal()
# An open weekday comes within so many days. Looking no further only makes a window shorter.
_HORIZON_DAYS = 8
# Local days that a UTC day touches, and one more at either end so that what passes midnight is whole.
_AROUND = range(-2, 3)


class Spans(Protocol):
    """The open spans of a local day, in minutes from midnight."""

    def __call__(self, day: date, /) -> Sequence[Span]:
        """Those of one day, in order."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """Some hours, by what they are known, and their source."""

    id: str
    source: str
    spans: Spans
    verified: bool = True


@cache
def openings(jurisdiction: Jurisdiction) -> tuple[Opening, ...]:
    """What a jurisdiction says of hours and of days."""
    closed = [_Without(rule, days_of(rule.days, rule.observed)) for rule in jurisdiction.closed]
    weekly = [_Weekly(rule, week(rule), days_of(set(rule.on) - {EVE}, None), closed) for rule in jurisdiction.hours]
    return (*(_opening(one.rule, one) for one in weekly), *(_opening(one.rule, one) for one in closed))


def _opening(rule: Rule, spans: Spans) -> Opening:
    return Opening(rule.id, rule.source, spans, rule.verified)


def own_hours(name: str, hours: Hours) -> Opening:
    """A country's hours in the settings."""
    span = minutes(hours.open), minutes(hours.close)
    spans = (span,) if span[0] < span[1] else ()
    return Opening(name, "setting", lambda day: spans if day.weekday() in hours.days else ())


def own_closed_days(name: str, days: Sequence[date]) -> Opening:
    """Days in the settings on which nobody is called."""
    closed = frozenset(days)
    return Opening(name, "setting", lambda day: () if day in closed else WHOLE_DAY)


@dataclass(frozen=True, slots=True)
class _Without:
    rule: ClosedDays
    named: Callable[[date], bool]

    def __call__(self, day: date, /) -> Sequence[Span]:
        return () if self.rule.in_force(day) and self.named(day) else WHOLE_DAY


@dataclass(frozen=True, slots=True)
class _Weekly:
    rule: HoursRule
    week: Sequence[Sequence[Span]]
    named: Callable[[date], bool]
    closed: Sequence[_Without]

    def __call__(self, day: date, /) -> Sequence[Span]:
        holds = self.rule.in_force(day) and (not self.rule.on or self.named(day) or self._is_eve(day))
        return self.week[day.weekday()] if holds else WHOLE_DAY

    def _is_eve(self, day: date) -> bool:
        return EVE in self.rule.on and any(not closed(day + timedelta(days=1)) for closed in self.closed)


class Calendar:
    """When all of some openings are open in all of some zones, with ``margin`` seconds to spare at either end."""

    def __init__(self, openings: Sequence[Opening], zones: Sequence[str], margin: float) -> None:
        self.openings = tuple(openings)
        self.zones = tuple(zones)
        self.margin = margin
        self._days: dict[int, tuple[Interval, ...]] = {}

    def is_open(self, moment: float) -> bool:
        """Whether calls may be made."""
        return any(opens <= moment < closes for opens, closes in self._on(_utc_day(moment)))

    def is_open_by(self, opening: Opening, moment: float) -> bool:
        """Whether they may by one of the openings."""
        day = _utc_day(moment)
        return all(
            any(opens <= moment < closes for opens, closes in _intervals(opening, zone, day, self.margin))
            for zone in self.zones
        )

    def window(self, start: float, end: float) -> Interval | None:
        """The first interval within [start, end) throughout which calls may be made, at most some days ahead."""
        if start >= end:
            return None
        first = _utc_day(start)
        opened: float | None = None
        closed = start
        for day in range(first, min(_utc_day(end), first + _HORIZON_DAYS) + 1):
            for opens, closes in self._on(day):
                if closes <= start or opens >= end:
                    continue
                if opened is None:
                    opened, closed = max(opens, start), closes
                elif opens > closed:
                    return opened, min(closed, end)
                else:
                    closed = max(closed, closes)
        return (opened, min(closed, end)) if opened is not None else None

    def _on(self, day: int) -> tuple[Interval, ...]:
        """The open intervals that touch a UTC day, each as long as it is; none where there are no zones."""
        found = self._days.get(day)
        if found is None:
            each = [_intervals(opening, zone, day, self.margin) for zone in self.zones for opening in self.openings]
            found = reduce(_intersection, each) if each else ()
            if len(self._days) > 2 * _HORIZON_DAYS:
                self._days.clear()
            self._days[day] = found
        return found


def _utc_day(moment: float) -> int:
    return int(moment // DAY)


@lru_cache(maxsize=1 << 16)
def _intervals(opening: Opening, zone: str, day: int, margin: float) -> tuple[Interval, ...]:
    """When an opening is open in one zone on a UTC day. Neighbours that touch (24:00 and 00:00) are joined."""
    joined: list[Interval] = []
    where = ZoneInfo(zone)
    for near in _AROUND:
        local = date.fromordinal(_EPOCH + day + near)
        for opens, closes in opening.spans(local):
            start, end = max(_moments(local, opens, where)), min(_moments(local, closes, where))
            if joined and start == joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, start))
            elif start < end:
                joined.append((start, end))
    begin = day * DAY
    return tuple(
        (start + margin, end - margin)
        for start, end in joined
        if start + margin < end - margin and start < begin + DAY and end > begin
    )


def _moments(day: date, minute: int, zone: ZoneInfo) -> tuple[float, float]:
    """Both readings of a local time: they differ when the clocks are changed over it.

    Opening takes the later, closing the earlier one, so that a doubtful hour is never used.
    """
    if minute == WHOLE_DAY[0][1]:
        day, minute = day + timedelta(days=1), 0
    local = datetime.combine(day, time(*divmod(minute, 60)), zone)
    return local.timestamp(), local.replace(fold=1).timestamp()


def _intersection(left: tuple[Interval, ...], right: tuple[Interval, ...]) -> tuple[Interval, ...]:
    both = ((max(a, c), min(b, d)) for a, b in left for c, d in right)
    return tuple((opens, closes) for opens, closes in both if opens < closes)
