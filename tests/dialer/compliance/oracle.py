"""A second opinion on who may be called: slow, one moment at a time, straight from the files of rules.

It shares no code with `dialer.compliance`, but for the answer about numbers that libphonenumber gives to both.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import PhoneNumberType as Kind
from phonenumbers import timezone as zones_by_number

from dialer.compliance.check import History, Person
from ringback.settings import Settings
from tests.conftest import ROOT

DATA = ROOT / "dialer/compliance/data"
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAY = 86400.0
CHANGE = 3 * 3600.0


@cache
def file(name: str | None) -> dict[str, Any]:
    path = Path(DATA / f"{name}.toml")
    return tomllib.loads(path.read_text()) if path.exists() else {}


@cache
def countries() -> frozenset[str]:
    return frozenset(path.stem for path in DATA.glob("??.toml"))


@cache
def table() -> list[tuple[str, str, str]]:
    """(state, zone, area code), one row for each that go together."""
    rows = []
    for state, lines in file("area_codes").items():
        if state != "reviewed":
            for zones, codes in lines.items():
                rows += [(state, zone, str(code)) for zone in zones.split() for code in codes]
    return rows


@cache
def rows_of(state: str | None = None, code: str | None = None, country: str | None = None) -> tuple[set[str], set[str]]:
    """States and zones of the rows of the table that fit."""
    rows = [
        row for row in table() if state in (None, row[0]) and code in (None, row[2]) and country in (None, row[0][:2])
    ]
    return {row[0] for row in rows}, {row[1] for row in rows}


@cache
def named(year: int) -> dict[str, date]:
    """Every day of a year under all its names, found by walking through the year."""
    names: dict[str, date] = {}
    counts: dict[tuple[str, str], int] = {}
    day = date(year, 1, 1)
    while day.year == year:
        names[f"{day:%m-%d}"] = day
        weekday, month = WEEK[day.weekday()], MONTHS[day.month - 1]
        counts[weekday, month] = counts.get((weekday, month), 0) + 1
        names[f"{counts[weekday, month]} {weekday} {month}"] = day
        names[f"last {weekday} {month}"] = day
        day += timedelta(days=1)
    names["easter"] = easter(year)
    return names


def easter(year: int) -> date:
    """Gauss's rule with the exceptions of the Gregorian calendar; another way than the one of `dialer.compliance`."""
    k = year // 100
    m = (15 - (13 + 8 * k) // 25 + k - k // 4) % 30
    n = (4 + k - k // 4) % 7
    d = (19 * (year % 19) + m) % 30
    e = (2 * (year % 4) + 4 * (year % 7) + 6 * d + n) % 7
    if d == 29 and e == 6:
        return date(year, 4, 19)
    if d == 28 and e == 6 and (11 * m + 11) % 30 < 19:
        return date(year, 4, 18)
    return date(year, 3, 22) + timedelta(days=d + e)


@cache
def when(name: str, year: int) -> date | None:
    if " before " in name:
        weekday, limit = name.split(" before ")
        day = named(year)[limit] - timedelta(days=1)
        while WEEK[day.weekday()] != weekday:
            day -= timedelta(days=1)
        return day
    for sign, factor in (("+", 1), ("-", -1)):
        head, found, tail = name.rpartition(sign)
        if found and head and not head.isdecimal():
            base = named(year).get(head)
            return base and base + factor * timedelta(days=int(tail))
    return named(year).get(name)


@cache
def kept_in(names: tuple[str, ...], observed: str | None, year: int) -> frozenset[date]:
    days = set()
    for name in names:
        for near in (year - 1, year, year + 1):
            day = when(name, near)
            if day is None:
                continue
            days.add(day)
            shift = {
                "monday": {6: 1},
                "next": {5: 2, 6: 1},
                "nearest": {5: -1, 6: 1},
                "saturday": {6: -1},
            }.get(observed or "", {})
            if day.weekday() in shift:
                days.add(day + timedelta(days=shift[day.weekday()]))
    return frozenset(days)


def holds(rule: dict[str, Any], day: date) -> bool:
    return bool(rule.get("since", date.min) <= day <= rule.get("until", date.max))


def closed(rule: dict[str, Any], day: date) -> bool:
    return holds(rule, day) and day in kept_in(tuple(rule["days"]), rule.get("observed"), day.year)


def within(rule: dict[str, Any], others: Iterable[dict[str, Any]], local: datetime) -> bool:
    """Whether a rule of hours lets a call through at a local time."""
    day = local.date()
    if not holds(rule, day):
        return True
    on = rule.get("on", ())
    tomorrow = day + timedelta(days=1)
    if on and not (
        day in kept_in(tuple(set(on) - {"eve"}), None, day.year)
        or ("eve" in on and any(closed(other, tomorrow) for other in others))
    ):
        return True
    clock = f"{local:%H:%M}"
    for days, spans in rule["open"].items():
        first, _, last = days.partition("-")
        if WEEK.index(first) <= local.weekday() <= WEEK.index(last or first) and any(
            span[:5] <= clock < span[6:] for span in spans
        ):
            return True
    return False


@dataclass(frozen=True, eq=False)
class Law:
    """The settings that matter, beside the files. ``seen`` are the places of somebody who was asked about before."""

    settings: Settings
    seen: dict[Person, tuple[set[str], set[str]]] = field(default_factory=dict)

    def places(self, person: Person) -> tuple[set[str], set[str]]:
        """The files that hold, and the zones; none for somebody whose country is not known."""
        if person not in self.seen:
            self.seen.clear()
            self.seen[person] = self._places(person)
        return self.seen[person]

    def _places(self, person: Person) -> tuple[set[str], set[str]]:
        country, code = person.country, person.phone[2:5]
        if country is None:
            return set(), set()
        american = country in ("US", "CA")
        told = {zone for zone in (person.timezone, person.ip_timezone) if zone and exists(zone)}
        told |= rows_of(state=person.region or "")[1]
        zones = told | {zone for zone in by_number(person.phone) if zone != "Etc/Unknown"}
        if american:
            zones |= rows_of(code=code)[1]
        if not told:
            own = self.settings.compliance.hours.get(country)
            zones |= {*file(country).get("zones", ()), *(own.timezones if own else ())}
        files = {country}
        if american:
            every = rows_of(country=country)[0]
            likely = (rows_of(code=code)[0] or every) | ({person.region or ""} & every)
            files |= likely
            for zone in told:
                if not any(same_clock(zone, other) for state in likely for other in rows_of(state=state)[1]):
                    files |= {
                        one for one in every if any(same_clock(zone, it) for it in rows_of(state=one)[1])
                    } or every
        return files, zones

    def hours(self, person: Person, moment: float) -> set[str]:
        """The ids of the rules of hours that forbid a call."""
        files, zones = self.places(person)
        rules = self.settings.compliance
        known = person.country in rules.hours or person.country in countries()
        found = set() if zones and known else {"hours"}
        for name in files | {"everywhere"}:
            own = rules.hours.get(name)
            days = rules.closed_days.get(name, ())
            for zone in zones:
                local = datetime.fromtimestamp(moment, zone_of(zone))
                if own and not (local.weekday() in own.days and own.open <= f"{local:%H:%M}" < own.close):
                    found.add(f"compliance.hours.{name}")
                if local.date() in days:
                    found.add(f"compliance.closed_days.{name}")
                shut = file(name).get("closed", ())
                found |= {rule["id"] for rule in shut if closed(rule, local.date())}
                found |= {rule["id"] for rule in file(name).get("hours", ()) if not within(rule, shut, local)}
        return found

    def against(self, person: Person, history: History, moment: float) -> set[str]:
        """The ids of all rules that forbid a call at a moment, when all clocks are right."""
        rules = self.settings.compliance
        found = self.of_number(person)
        consent = person.consent
        if not (consent and consent.voice and consent.evidence):
            found.add("consent")
        flags = {
            "opt_out": history.opted_out,
            "internal_do_not_call": history.do_not_call,
            "national_do_not_call": history.national_do_not_call,
            "in_call": history.in_call,
            "replay": history.replay,
            "cart_attempts": history.about_cart >= rules.max_attempts_per_lead,
            "lockout": history.locked_until is not None and moment < history.locked_until,
            "campaign_rate": rules.max_calls_per_hour > 0 and history.campaign_calls >= rules.max_calls_per_hour,
            "campaign_spend": rules.max_spend_per_day > 0 and history.campaign_spent >= rules.max_spend_per_day,
        }
        found |= {name for name, forbids in flags.items() if forbids}
        if history.last_activity is None or moment - history.last_activity >= self.settings.decide.max_age:
            found.add("cart_age")
        if history.bought is not None and history.bought >= (history.last_activity or float("-inf")):
            found.add("bought")
        return found | self.hours(person, moment) | set(self.of_calls(person, history, moment))

    def of_calls(self, person: Person, history: History, moment: float) -> Iterator[str]:
        rules = self.settings.compliance
        files, _ = self.places(person)
        # Of rules without hours nobody says whose midnight they begin at.
        today = {datetime.fromtimestamp(moment + hours * 3600, UTC).date() for hours in range(-12, 15)}
        caps: list[dict[str, Any]] = [
            {"id": "compliance.max_attempts_per_day", "days": 1, "calls": rules.max_attempts_per_day},
            {"id": "compliance.max_attempts_per_week", "days": 7, "calls": rules.max_attempts_per_week},
            {"id": "compliance.max_attempts_per_month", "days": 30, "calls": rules.max_attempts_per_month},
        ]
        laws = [file(name) for name in files | {"everywhere"}]
        caps += [cap for law in laws for cap in law.get("cap", ()) if any(holds(cap, day) for day in today)]
        for cap in caps:
            for calls in (history.to_number, history.to_person):
                if len([at for at in calls if moment - at < cap["days"] * DAY]) >= cap["calls"]:
                    yield str(cap["id"])
        for law in laws:
            for rule in law.get("spacing", ()):
                for at, outcome in history.ended:
                    if (
                        any(holds(rule, day) for day in today)
                        and outcome == rule["after"]
                        and moment - at < rule["hours"] * 3600
                    ):
                        yield str(rule["id"])

    def of_number(self, person: Person) -> set[str]:
        allowed = self.settings.compliance
        region, special = facts(person.phone)
        if region is None:
            return {"number", "destination"}
        known = region in allowed.destinations and region in allowed.hours and region in countries()
        if region != person.country or not known:
            # Of a number that is not dialled anyway, nobody asks what kind it is.
            return {"destination"}
        return {"special_number"} if special else set()

    def clock_changes(self, person: Person, moment: float) -> bool:
        """Whether the clocks are changed near a moment anywhere where the person may be."""
        _, zones = self.places(person)
        return any(offset(zone, moment - CHANGE) != offset(zone, moment + CHANGE) for zone in zones)


@lru_cache(maxsize=256)
def facts(phone: str) -> tuple[str | None, bool]:
    """The country of a number ("": of none), or None when it is no possible one; whether it is a special one."""
    if not (phone.isascii() and phone[:1] == "+" and phone[1:].isdecimal() and 7 <= len(phone[1:]) <= 15):
        return None, False
    number = phonenumbers.parse(phone) if phone[1] != "0" else None
    if number is None or not phonenumbers.is_possible_number(number):
        return None, False
    region = phonenumbers.region_code_for_number(number)
    if region is None and phone[1] != "1":
        region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    ordinary = (Kind.FIXED_LINE, Kind.MOBILE, Kind.FIXED_LINE_OR_MOBILE, Kind.VOIP, Kind.UNKNOWN)
    listed = any(
        phone.startswith(prefix) for one in file("special_numbers")["refused"] for prefix in one.get("prefixes", ())
    )
    pay = phone.startswith("+1") and phone[5:8] == "976"
    return region or "", listed or pay or phonenumbers.number_type(number) not in ordinary


@cache
def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def exists(name: str) -> bool:
    try:
        zone_of(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def offset(zone: str, moment: float) -> timedelta | None:
    return datetime.fromtimestamp(moment, zone_of(zone)).utcoffset()


@cache
def same_clock(one: str, other: str) -> bool:
    """Whether two zones show the same time in the winter and the summer of 2026."""
    return all(offset(one, at) == offset(other, at) for at in (1_768_478_400.0, 1_784_116_800.0))


@cache
def by_number(phone: str) -> tuple[str, ...]:
    try:
        return tuple(zones_by_number.time_zones_for_number(phonenumbers.parse(phone)))
    except phonenumbers.NumberParseException:
        return ()
