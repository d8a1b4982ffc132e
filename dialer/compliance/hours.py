"""Calling hours: when it is a decent time of day where the shopper is.

Sources of the rule: US 47 CFR 64.1200(c)(1) and 16 CFR 310.4(c) (local time at the called party's location), stricter
state laws; Canada CRTC UTR part III section 23; France, Code de la consommation D223-9; UK and German industry codes.
The hours themselves are settings (`ringback.calling_hours.DEFAULT_HOURS`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from ringback.calling_hours import Hours

Interval = tuple[float, float]

# An open weekday comes within a week. Looking no further only makes a window shorter.
_HORIZON_SECONDS = 8 * 86400.0
_MIDNIGHT = "24:00"


def next_window(
    country: str, timezone: str | None, start: float, end: float, hours: Mapping[str, Hours]
) -> Interval | None:
    """The first interval within [start, end) throughout which a shopper may be called, in epoch seconds.

    The country's hours must be open in the shopper's own ``timezone`` where that is known (an IANA name), else in all
    time zones of the country at once. None when that does not happen before ``end``, and for a country or zones that
    are not in ``hours``: where nothing is known, nobody is called.
    """
    rule = hours.get(country)
    if rule is None or start >= end:
        return None
    zones = zones_of(country, timezone, hours)
    if not zones:
        return None
    end = min(end, start + _HORIZON_SECONDS)
    opened = reduce(_intersection, (_open_intervals(zone, rule, start, end) for zone in zones))
    for opens, closes in opened:
        if closes > start and opens < end:
            return max(opens, start), min(closes, end)
    return None


def zones_of(country: str, timezone: str | None, hours: Mapping[str, Hours]) -> list[ZoneInfo]:
    """Where a shopper may be: the own time zone where that is known, else every zone of the country."""
    own = _zone(timezone)
    if own:
        return [own]
    rule = hours.get(country)
    return [ZoneInfo(name) for name in rule.timezones] if rule else []


def _zone(name: str | None) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _open_intervals(zone: ZoneInfo, rule: Hours, start: float, end: float) -> list[Interval]:
    """When the hours are open in one zone, in order, with neighbours that touch (24:00 and 00:00) joined."""
    day = datetime.fromtimestamp(start, UTC).date() - timedelta(days=2)
    last = datetime.fromtimestamp(end, UTC).date() + timedelta(days=2)
    found: list[Interval] = []
    while day <= last:
        if day.weekday() in rule.days:
            opens = max(_moments(day, rule.open, zone))
            closes = min(_moments(day, rule.close, zone))
            if found and opens == found[-1][1]:
                found[-1] = (found[-1][0], closes)
            elif opens < closes:
                found.append((opens, closes))
        day += timedelta(days=1)
    return found


def _moments(day: date, clock: str, zone: ZoneInfo) -> tuple[float, float]:
    """Both readings of a local time: they differ when the clocks are changed over it.

    Opening takes the later, closing the earlier one, so that a doubtful hour is never used.
    """
    if clock == _MIDNIGHT:
        day, clock = day + timedelta(days=1), "00:00"
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    return local.replace(fold=0).timestamp(), local.replace(fold=1).timestamp()


def _intersection(left: Sequence[Interval], right: Sequence[Interval]) -> list[Interval]:
    both = [(max(a, c), min(b, d)) for a, b in left for c, d in right]
    return [(opens, closes) for opens, closes in both if opens < closes]
