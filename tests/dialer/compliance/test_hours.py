from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.compliance.hours import Calendar, own_hours
from dialer.compliance.rules import Rules, rules_of
from ringback.calling_hours import DEFAULT_HOURS, Hours
from ringback.settings import Settings
from tests.dialer.compliance.cases import ALWAYS, worlds

DAY = 86400.0
ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Phoenix",
    "America/Santiago",
    "Europe/London",
    "Europe/Paris",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
NUMBERS = {
    "US": "+12125550123",
    "CA": "+14165550123",
    "GB": "+442079460123",
    "FR": "+33199000123",
    "DE": "+493023125123",
    "ES": "+34910123456",
    "IT": "+390635550123",
    "NL": "+31201234567",
}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def country_of(phone: str) -> str:
    return str(phonenumbers.region_code_for_number(phonenumbers.parse(phone)))


def window(
    phone: str, zone: str | None, start: str, end: str, rules: Rules | None = None, **where: str
) -> tuple[str, str] | None:
    rules = rules or rules_of(Settings.model_validate({"compliance": {"clock_skew": 0}}))
    found = rules.calendar(rules.place(phone, country_of(phone), zone, **where)).window(at(start), at(end))
    if found is None:
        return None
    opens, closes = (datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in found)
    return opens, closes


def law(skew: float = 0.0) -> Rules:
    """Settings that leave all to the law."""
    hours = {"destinations": tuple(DEFAULT_HOURS), "hours": dict.fromkeys(DEFAULT_HOURS, ALWAYS)}
    return rules_of(Settings.model_validate({"compliance": hours | {"clock_skew": skew}}))


EAST = "America/New_York"
NY, LONDON, BERLIN = NUMBERS["US"], NUMBERS["GB"], NUMBERS["DE"]


def test_open_now() -> None:
    # Wednesday noon in New York, in summer four hours behind UTC.
    found = window(NY, EAST, "2026-07-01 16:00", "2026-07-01 20:00")
    assert found == ("2026-07-01 16:00", "2026-07-01 20:00")


def test_cut_at_closing_time() -> None:
    assert window(LONDON, None, "2026-07-01 18:00", "2026-07-01 22:00") == ("2026-07-01 18:00", "2026-07-01 19:00")


def test_opens_later() -> None:
    assert window(BERLIN, None, "2026-01-14 05:00", "2026-01-14 12:00") == ("2026-01-14 08:00", "2026-01-14 12:00")


def test_closed_until_the_end() -> None:
    assert window(BERLIN, None, "2026-01-14 20:00", "2026-01-15 07:59") is None


def test_sunday_is_skipped() -> None:
    # 2026-07-04 is a Saturday.
    assert window(LONDON, None, "2026-07-04 20:00", "2026-07-07 00:00") == ("2026-07-06 08:00", "2026-07-06 19:00")


def test_unknown_zone_means_open_in_all_zones_of_the_country() -> None:
    # 9 o'clock in Los Angeles is 16:00 UTC; 20 o'clock in New York is midnight UTC.
    assert window(NY, None, "2026-07-01 12:00", "2026-07-02 12:00") == ("2026-07-01 16:00", "2026-07-02 00:00")


def test_a_split_area_code_is_closed_when_one_half_is() -> None:
    # 19:30 in Pensacola is 20:30 in Tallahassee, and Florida closes at 20.
    assert window("+18505550123", "America/Chicago", "2026-07-02 00:30", "2026-07-02 02:00", law()) is None
    assert window("+13055550123", EAST, "2026-07-01 23:30", "2026-07-02 02:00", law()) == (
        "2026-07-01 23:30",
        "2026-07-02 00:00",
    )


@pytest.mark.parametrize(
    ("phone", "zone", "open_", "shut"),
    [
        ("+13055550123", EAST, "2026-07-05 23:59", "2026-07-06 00:00"),  # Florida: until 20
        ("+12125550123", EAST, "2026-07-06 00:59", "2026-07-06 01:00"),  # New York: until 21
        ("+18595550123", EAST, "2026-07-06 14:00", "2026-07-06 13:59"),  # Kentucky: from 10
        ("+14015550123", EAST, "2026-07-11 14:00", "2026-07-11 13:59"),  # Rhode Island: Saturday from 10
        ("+14015550123", EAST, "2026-07-11 20:59", "2026-07-12 14:00"),  # not on Sunday
        ("+12145550123", "America/Chicago", "2026-07-12 17:00", "2026-07-12 16:59"),  # Texas: Sunday from noon
        ("+12055550123", "America/Chicago", "2026-07-11 14:00", "2026-07-12 14:00"),  # Alabama: not on Sunday
        ("+12055550123", "America/Chicago", "2026-12-02 15:00", "2026-12-01 15:00"),  # Rosa Parks Day
        ("+12155550123", EAST, "2026-11-04 15:00", "2026-11-03 15:00"),  # Pennsylvania: Election Day
        ("+12155550123", EAST, "2026-06-16 15:00", "2026-06-15 15:00"),  # Flag Day is a Sunday, and kept on Monday
        ("+15035550123", "America/Los_Angeles", "2025-12-31 04:30", "2026-01-02 04:30"),  # Oregon: until 20 from 2026
        ("+14165550123", "America/Toronto", "2026-07-07 01:29", "2026-07-07 01:30"),  # Canada: weekdays until 21:30
        ("+14165550123", "America/Toronto", "2026-07-11 21:59", "2026-07-11 22:00"),  # Saturday until 18
        ("+33199000123", None, "2026-07-06 08:00", "2026-07-06 11:00"),  # France: closed at 13
        ("+33199000123", None, "2026-07-06 12:00", "2026-07-06 18:00"),
        ("+33199000123", None, "2026-07-13 12:00", "2026-07-14 12:00"),  # 14 July
        ("+33199000123", None, "2026-07-10 12:00", "2026-07-11 12:00"),  # Saturday
        ("+493023125123", None, "2026-07-11 15:59", "2026-07-11 16:00"),  # Germany: Saturday until 18
        ("+34910123456", None, "2026-07-06 08:00", "2026-07-06 07:59"),  # Spain: from 9 on the Canaries too
        ("+390635550123", None, "2026-07-06 17:59", "2026-07-06 18:00"),  # Italy: weekdays until 20
        ("+390635550123", None, "2026-06-01 16:59", "2026-06-01 17:00"),  # the day before a holiday until 19
        ("+31201234567", None, "2026-07-06 19:59", "2026-07-06 20:00"),  # Netherlands: weekdays until 22
        ("+31201234567", None, "2026-05-04 16:29", "2026-05-04 16:30"),  # 4 May until 18:30
    ],
)
def test_the_law_of_a_place(phone: str, zone: str | None, open_: str, shut: str) -> None:
    rules = law()
    calendar = rules.calendar(rules.place(phone, country_of(phone), zone))
    assert calendar.is_open(at(open_))
    assert not calendar.is_open(at(shut))


def test_clocks_that_differ_take_seconds_off_at_both_ends() -> None:
    rules = law(skew=60.0)
    calendar = rules.calendar(rules.place(LONDON, "GB"))
    opens = at("2026-07-06 07:00")
    assert calendar.window(opens - 3600, opens + 20 * 3600) == (opens + 60, opens + 13 * 3600 - 60)


def test_days_can_be_closed_by_settings() -> None:
    closed = {"US-LA": (date(2026, 9, 3),)}
    rules = rules_of(Settings.model_validate({"compliance": {"closed_days": closed}}))
    there, elsewhere = (rules.calendar(rules.place(phone, "US")) for phone in ("+15045550123", "+12125550123"))
    assert not there.is_open(at("2026-09-03 18:00"))
    assert there.is_open(at("2026-09-04 18:00"))
    assert elsewhere.is_open(at("2026-09-03 18:00"))


def test_a_simulation_may_leave_out_the_laws_hours_but_not_the_settings() -> None:
    simulated = {"enabled": True, "any_hour": True}
    rules = rules_of(
        Settings.model_validate(
            {
                "simulation": simulated,
                "dialer": {"channel": "Local/{number}@x"},
                "compliance": {"hours": {"GB": ALWAYS}},
            }
        )
    )
    assert rules.calendar(rules.place(LONDON, "GB")).is_open(at("2026-07-06 02:00"))
    assert rules.place(NY, "US").codes == ("US", "US-NY")
    assert not rules.calendar(rules.place(NY, "US")).is_open(at("2026-07-06 16:00"))


def test_an_empty_span_has_no_window() -> None:
    assert window(LONDON, None, "2026-07-01 12:00", "2026-07-01 12:00") is None


def test_midnight_joins_days() -> None:
    calendar = Calendar([own_hours("always", ALWAYS)], ["Europe/London"], 60.0)
    start = at("2026-03-28 12:00")
    assert calendar.window(start, start + 6 * DAY) == (start, start + 6 * DAY)


def test_without_zones_or_rules_nothing_is_open() -> None:
    assert not Calendar([own_hours("always", ALWAYS)], [], 0.0).is_open(at("2026-07-01 12:00"))
    assert not Calendar([], ["Europe/London"], 0.0).is_open(at("2026-07-01 12:00"))


def minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def allowed(moment: float, zone: str, rule: Hours) -> bool:
    """The rule as a person would read it off a clock on the wall there."""
    local = datetime.fromtimestamp(moment, ZoneInfo(zone))
    clock = local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 60e6
    return local.weekday() in rule.days and minutes(rule.open) <= clock < minutes(rule.close)


CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
HOURS = st.builds(
    Hours, open=CLOCK, close=CLOCK | st.just("24:00"), days=st.sets(st.integers(0, 6), min_size=1).map(tuple)
)
PLACES = st.lists(st.sampled_from(ZONES), min_size=1, max_size=4, unique=True)
# Across every change of the clocks of two years, and the day that Samoa left out.
MOMENTS = st.integers(int(at("2025-01-01 00:00")), int(at("2027-01-01 00:00"))) | st.integers(
    int(at("2011-12-28 00:00")), int(at("2012-01-02 00:00"))
)


@settings(max_examples=400, deadline=None)
@given(HOURS, PLACES, MOMENTS, st.integers(1, int(9 * DAY)), st.floats(0, 0.999))
@example(Hours(), ["Pacific/Apia"], int(at("2011-12-29 20:00")), int(3 * DAY), 0.0)
@example(Hours(open="02:30"), ["America/New_York"], int(at("2026-03-08 05:00")), int(DAY), 0.0)
@example(Hours(open="01:30"), ["America/New_York"], int(at("2026-11-01 04:00")), int(DAY), 0.0)
def test_every_moment_of_a_window_is_allowed_everywhere(
    hours: Hours, zones: list[str], start: float, span: float, where: float
) -> None:
    found = Calendar([own_hours("own", hours)], zones, 0.0).window(start, start + span)
    if found is None:
        return
    opens, closes = found
    assert start <= opens < closes <= start + span
    for moment in (opens, opens + (closes - opens) * where, closes - min(1e-3, (closes - opens) / 2)):
        assert all(allowed(moment, zone, hours) for zone in zones)


# What shipped before there were files of rules.
FORMER: dict[str, tuple[str, str, tuple[int, ...], tuple[str, ...]]] = {
    "US": ("09:00", "20:00", (0, 1, 2, 3, 4, 5), (EAST, "America/Chicago", "America/Denver", "America/Los_Angeles")),
    "CA": (
        *("10:00", "18:00", (0, 1, 2, 3, 4, 5)),
        ("America/St_Johns", "America/Halifax", "America/Toronto", "America/Winnipeg", "America/Edmonton"),
    ),
    "GB": ("09:00", "20:00", (0, 1, 2, 3, 4, 5), ("Europe/London",)),
    "FR": ("14:00", "20:00", (0, 1, 2, 3, 4), ("Europe/Paris",)),
    "DE": ("09:00", "20:00", (0, 1, 2, 3, 4, 5), ("Europe/Berlin",)),
}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FORMER)), st.none() | st.sampled_from(ZONES), MOMENTS)
def test_the_defaults_are_never_looser_than_they_were(country: str, zone: str | None, moment: float) -> None:
    rules = rules_of(Settings())
    opens, closes, days, zones = FORMER[country]
    if rules.calendar(rules.place(NUMBERS[country], country, zone)).is_open(moment):
        for name in [zone] if zone else zones:
            local = datetime.fromtimestamp(moment, ZoneInfo(name))
            assert local.weekday() in days
            assert opens <= f"{local:%H:%M}" < closes


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(NUMBERS)), HOURS, st.floats(0, 600), MOMENTS)
def test_no_setting_opens_what_the_law_closes(country: str, hours: Hours, skew: float, moment: float) -> None:
    own = {"destinations": tuple(NUMBERS), "hours": dict.fromkeys(NUMBERS, hours), "clock_skew": skew}
    rules = rules_of(Settings.model_validate({"compliance": own}))
    if rules.calendar(rules.place(NUMBERS[country], country)).is_open(moment):
        assert law().calendar(law().place(NUMBERS[country], country)).is_open(moment)


def test_only_what_was_switched_on_is_called() -> None:
    shipped = Settings()
    assert rules_of(shipped).allowed == {"US", "CA", "GB", "FR", "DE"}
    nobody = Settings.model_validate({"compliance": {"destinations": ()}})
    assert rules_of(nobody).allowed == frozenset()
    assert not shipped.simulation.any_hour
    assert worlds()[0].settings.compliance.clock_skew > 0
