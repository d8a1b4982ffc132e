"""Generated cases: people, histories and moments that lie close to where a rule begins or ends.

Draws come from a `random.Random`: a seeded one makes a million cases a run, hypothesis' own one makes few and shrinks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

from dialer.compliance.check import History, Person, Rules, rules_of
from ringback.calling_hours import DEFAULT_HOURS, Hours
from ringback.records import Consent
from ringback.settings import Settings
from tests.dialer.compliance import oracle

HOUR, DAY = 3600.0, 86400.0
ALWAYS = Hours(open="00:00", close="24:00", days=(0, 1, 2, 3, 4, 5, 6))
YES = Consent(voice=True, evidence="checkout")
FIRST, LAST = datetime(2022, 11, 1, tzinfo=UTC).timestamp(), datetime(2029, 3, 1, tzinfo=UTC).timestamp()
ABROAD = {
    # Ranges kept for fiction, or the like: numbers that belong to nobody.
    "GB": ("+442079460123", "+441214960456", "+447700900123"),
    "FR": ("+33199000123", "+33639981234"),
    "DE": ("+493023125123", "+4915228817386"),
    "ES": ("+34910123456", "+34600123456"),
    "IT": ("+390635550123", "+393123456789"),
    "NL": ("+31201234567", "+31612345678"),
}
WRONG = (
    *("+18765550123", "+12425550123", "+19005550123", "+18005550123", "+12129765551", "+447012345678", "+448701234567"),
    *("+881612345678", "+8821612345678", "911", "+1911", "12125550123", "+1212555", "+17875550123", "+19765550123"),
)
ZONES = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Phoenix"),
    *("America/Anchorage", "Pacific/Honolulu", "America/St_Johns", "America/Vancouver", "Europe/London"),
    *("Europe/Paris", "Europe/Berlin", "Atlantic/Canary", "Pacific/Auckland", "Australia/Lord_Howe", "no/zone", ""),
)


@dataclass(frozen=True)
class World:
    """Settings, the rules made of them, and the oracle's view of both."""

    settings: Settings
    rules: Rules
    law: oracle.Law

    @property
    def skew(self) -> float:
        return self.settings.compliance.clock_skew


@cache
def worlds() -> tuple[World, ...]:
    """Settings as they ship; such that only the law speaks; stricter ones; clocks that are right or far off."""
    everywhere = {"destinations": tuple(DEFAULT_HOURS), "hours": dict.fromkeys(DEFAULT_HOURS, ALWAYS)}
    most = {"max_attempts_per_day": 50, "max_attempts_per_week": 50, "max_attempts_per_month": 50}
    found = [
        Settings(),
        Settings.model_validate({"compliance": everywhere | most | {"clock_skew": 0.0}}),
        Settings.model_validate({"compliance": everywhere | {"clock_skew": 60.0}}),
        Settings.model_validate({"compliance": {"destinations": tuple(DEFAULT_HOURS), "clock_skew": 0.0}}),
        Settings.model_validate(
            {
                "compliance": everywhere
                | {"closed_days": {"US-LA": (date(2026, 9, 3),), "GB": (date(2026, 12, 24),)}, "clock_skew": 0.0}
                | {"max_calls_per_hour": 100, "max_spend_per_day": 50}
            }
        ),
    ]
    return tuple(World(one, rules_of(one), oracle.Law(one)) for one in found)


@cache
def area_codes() -> tuple[str, ...]:
    """Split ones three times as often."""
    codes = sorted({code for _, _, code in oracle.table()})
    split = [code for code in codes if len({zone for _, zone, each in oracle.table() if each == code}) > 1]
    return (*codes, *split, *split)


@cache
def edges() -> tuple[float, ...]:
    """Changes of the clocks, leap days and ends of years."""
    found = []
    for zone in ZONES[:-2]:
        moment = FIRST
        while moment < LAST:
            if oracle.offset(zone, moment) != oracle.offset(zone, moment + HOUR):
                found.append(moment)
            moment += HOUR
    for day in ((2024, 2, 29), (2028, 2, 29), (2024, 3, 1), (2026, 1, 1), (2027, 1, 1), (2026, 12, 24), (2027, 3, 26)):
        found += [datetime(*day, hour, tzinfo=UTC).timestamp() for hour in (0, 6, 12, 18)]
    return tuple(found)


def person(dice: Random) -> Person:
    """Somebody; mostly one who may be called at some time."""
    country = dice.choice(("US", "US", "US", "US", "CA", "CA", *ABROAD))
    phone = dice.choice(ABROAD[country]) if country in ABROAD else f"+1{dice.choice(area_codes())}5550{_line(dice)}"
    if country in ("US", "CA"):
        code = phone[2:5]
        country = min(oracle.rows_of(code=code)[0])[:2]
    odd = dice.randrange(20)
    if odd == 0:
        phone = dice.choice(WRONG)
    if odd == 1:
        phone = f"+1{dice.randrange(200, 999)}5550{_line(dice)}"
    states = _states(country)
    return Person(
        phone=phone,
        country=dice.choice((None, "XX", "GB", "US", country)) if odd == 2 else country,
        timezone=dice.choice(ZONES) if dice.randrange(3) == 0 else None,
        region=dice.choice(states) if states and dice.randrange(3) == 0 else None,
        ip_timezone=dice.choice(ZONES) if dice.randrange(8) == 0 else None,
        consent=dice.choice((None, Consent(), Consent(voice=False, evidence="form"), Consent(voice=True)))
        if odd == 3
        else YES,
    )


def _line(dice: Random) -> int:
    return dice.randrange(100, 200)


@cache
def _states(country: str) -> tuple[str, ...]:
    return tuple(sorted({state for state, _, _ in oracle.table() if state.startswith(f"{country}-")}))


def day(dice: Random) -> float:
    """A time on any day, often one on which the clocks are changed, or one of a leap year or of a year's end."""
    return dice.choice(edges()) + dice.uniform(-DAY, DAY) if dice.randrange(3) == 0 else dice.uniform(FIRST, LAST)


def moment(dice: Random, who: Person, world: World, at: float) -> float:
    """A time near one: anywhere, or within seconds of a full or half hour in the daytime there."""
    at += dice.uniform(-DAY / 2, DAY / 2)
    if dice.randrange(3):
        _, zones = world.law.places(who)
        zone = dice.choice(sorted(zones) or ["Europe/London"])
        local = datetime.fromtimestamp(at, ZoneInfo(zone))
        clock = dice.choice((8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21))
        at = local.replace(hour=clock, minute=dice.choice((0, 0, 0, 30)), second=0, microsecond=0).timestamp()
        at += dice.choice((0.0, -0.001, 1.0, -1.0, dice.uniform(-90, 90), dice.uniform(-HOUR, HOUR)))
    return at


def history(dice: Random, at: float) -> History:
    """What happened before; mostly nothing that forbids a call, often nearly so."""
    odd = dice.randrange(40)
    last = at - dice.uniform(0, 3.9 * HOUR)
    return History(
        to_number=_calls(dice, at),
        to_person=_calls(dice, at),
        about_cart=dice.choice((0, 0, 0, 1, 1, 2)) if odd == 0 else dice.choice((0, 1)),
        ended=_ended(dice, at),
        locked_until=at + _near(dice) if dice.randrange(20) == 0 else None,
        opted_out=odd == 1,
        do_not_call=odd == 2,
        national_do_not_call=odd == 3,
        bought=last + _near(dice) if dice.randrange(20) == 0 else None,
        last_activity=None if odd == 4 else at - 4 * HOUR + _near(dice) if odd == 5 else last,
        in_call=odd == 6,
        replay=odd == 7,
        campaign_calls=dice.choice((0, 99, 100, 101)) if odd == 8 else 0,
        campaign_spent=dice.choice((0.0, 49.99, 50.0, 51.0)) if odd == 9 else 0.0,
    )


def _near(dice: Random) -> float:
    return dice.choice((0.0, -0.001, 0.001, dice.uniform(-130, 130), dice.uniform(-DAY, DAY)))


def _calls(dice: Random, at: float) -> Sequence[float]:
    if dice.randrange(6):
        return ()
    spans = (dice.choice((1.0, 7.0, 30.0)) * DAY for _ in range(dice.randrange(6)))
    return tuple(at - dice.choice((span + _near(dice), dice.uniform(0, span))) for span in spans)


def _ended(dice: Random, at: float) -> Sequence[tuple[float, str]]:
    if dice.randrange(8):
        return ()
    known = (("abandoned", 72), ("unknown", 72), ("machine", 24), ("refused", 1440), ("no_answer", 1), ("connected", 1))
    outcome, hours = dice.choice(known)
    return ((at - dice.choice((hours * HOUR + _near(dice), hours * HOUR * dice.uniform(0, 3))), outcome),)
