"""Where somebody may be: whose rules hold, and in which time zones it must be a decent time of day.

All that is known counts: the number, by libphonenumber and by our own table of area codes (libphonenumber gives split
area codes a single zone), the address and the network. What is unknown is taken at its strictest. A number moves with
its owner, so where there is neither address nor network, all zones of the country are taken beside the number's.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import phonenumbers
from phonenumbers import timezone as phone_timezone

from dialer.compliance.book import SHIPPED, read

NORTH_AMERICA = ("US", "CA")
_AREA = slice(2, 5)
_UNKNOWN_ZONE = "Etc/Unknown"
# By these two moments zones are told apart: winter and summer of a year.
_WINTER, _SUMMER = datetime(2026, 1, 15), datetime(2026, 7, 15)  # noqa: DTZ001 - local times, given a zone below

Offsets = tuple[object, object]


@dataclass(frozen=True, slots=True)
class Place:
    """``codes`` of the jurisdictions that hold (``US``, ``US-FL``), ``zones`` by their IANA names; both sorted."""

    codes: tuple[str, ...]
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """The states and zones of North American area codes, and the zones of each state."""

    states: dict[str, frozenset[str]]
    zones: dict[str, frozenset[str]]
    zones_of_state: dict[str, frozenset[str]]


@cache
def areas() -> Areas:
    """Our own table. Raises `SettingsError` when it can't be read."""
    content: dict[str, Any] = dict(read(SHIPPED / "area_codes.toml", dict[str, Any]))
    del content["reviewed"]
    table = msgspec.convert(content, dict[str, dict[str, tuple[int, ...]]])
    states: dict[str, frozenset[str]] = {}
    zones: dict[str, frozenset[str]] = {}
    of_state: dict[str, frozenset[str]] = {}
    for state, lines in table.items():
        of_state[state] = frozenset(zone for names in lines for zone in names.split())
        for names, codes in lines.items():
            for code in map(str, codes):
                states[code] = states.get(code, frozenset()) | {state}
                zones[code] = zones.get(code, frozenset()) | frozenset(names.split())
    return Areas(states, zones, of_state)


@lru_cache(maxsize=65536)
def place_of(
    phone: str,
    country: str,
    timezone: str | None = None,
    region: str | None = None,
    ip_timezone: str | None = None,
    *,
    elsewhere: tuple[str, ...] = (),
) -> Place:
    """Where the owner of an E.164 number of a country may be.

    ``timezone`` and ``region`` (ISO 3166-2, ``US-FL``) are those of the address, ``ip_timezone`` that of the network; a
    name that is none is unknown. ``elsewhere`` are the zones of the country, taken where only the number is known.
    """
    told = {zone for zone in (timezone, ip_timezone) if zone is not None and is_zone(zone)}
    told |= areas().zones_of_state.get(region or "", frozenset())
    zones = told | zones_of_number(phone, country)
    if not told:
        zones |= set(elsewhere)
    states = _states(phone, country, region, told) if country in NORTH_AMERICA else set()
    return Place((country, *sorted(states)), tuple(sorted(zones)))


def zones_of_number(phone: str, country: str) -> set[str]:
    """The zones that a number tells: libphonenumber's, and in North America those of our own table."""
    found = {zone for zone in _zones_by_metadata(phone) if zone != _UNKNOWN_ZONE}
    return found | areas().zones.get(phone[_AREA], frozenset()) if country in NORTH_AMERICA else found


def is_zone(name: str) -> bool:
    """Whether a text is the IANA name of a time zone."""
    return _offsets(name) is not None


def _states(phone: str, country: str, region: str | None, told: Iterable[str]) -> set[str]:
    """The states whose rules may hold: of the area code, of the address, and where a zone that was told lies."""
    table = areas()
    of_country = {state for state in table.zones_of_state if state.startswith(f"{country}-")}
    likely = table.states.get(phone[_AREA], frozenset(of_country)) | ({region or ""} & of_country)
    found = set(likely)
    for zone in told:
        offsets = _offsets(zone)
        if not any(offsets in _of_state(state) for state in likely):
            found |= {state for state in of_country if offsets in _of_state(state)} or of_country
    return found


@cache
def _of_state(state: str) -> frozenset[Offsets | None]:
    return frozenset(_offsets(zone) for zone in areas().zones_of_state[state])


@lru_cache(maxsize=1024)
def _offsets(name: str) -> Offsets | None:
    """By what a zone is told apart from others; None for a name that is none."""
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
    return _WINTER.replace(tzinfo=zone).utcoffset(), _SUMMER.replace(tzinfo=zone).utcoffset()


@lru_cache(maxsize=65536)
def _zones_by_metadata(phone: str) -> tuple[str, ...]:
    try:
        return tuple(phone_timezone.time_zones_for_number(phonenumbers.parse(phone)))
    except phonenumbers.NumberParseException:
        return ()
