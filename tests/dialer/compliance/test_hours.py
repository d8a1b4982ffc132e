from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.compliance.hours import next_window
from ringback.calling_hours import DEFAULT_HOURS, Hours

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


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def window(country: str, zone: str | None, start: str, end: str) -> tuple[str, str] | None:
    found = next_window(country, zone, at(start), at(end), DEFAULT_HOURS)
    if found is None:
        return None
    opens, closes = (datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in found)
    return opens, closes


def test_open_now() -> None:
    # Wednesday noon in New York, in summer four hours behind UTC.
    found = window("US", "America/New_York", "2026-07-01 16:00", "2026-07-01 20:00")
    assert found == ("2026-07-01 16:00", "2026-07-01 20:00")


def test_cut_at_closing_time() -> None:
    assert window("GB", None, "2026-07-01 18:00", "2026-07-01 22:00") == ("2026-07-01 18:00", "2026-07-01 19:00")


def test_opens_later() -> None:
    assert window("DE", None, "2026-01-14 05:00", "2026-01-14 12:00") == ("2026-01-14 08:00", "2026-01-14 12:00")


def test_closed_until_the_end() -> None:
    assert window("DE", None, "2026-01-14 20:00", "2026-01-15 07:59") is None


def test_sunday_is_skipped() -> None:
    # 2026-07-04 is a Saturday.
    assert window("GB", None, "2026-07-04 20:00", "2026-07-07 00:00") == ("2026-07-06 08:00", "2026-07-06 19:00")


def test_unknown_zone_means_open_in_all_zones_of_the_country() -> None:
    # 9 o'clock in Los Angeles is 16:00 UTC; 20 o'clock in New York is midnight UTC.
    assert window("US", None, "2026-07-01 12:00", "2026-07-02 12:00") == ("2026-07-01 16:00", "2026-07-02 00:00")
    assert window("US", "no/such zone", "2026-07-01 12:00", "2026-07-02 12:00") == window(
        "US", None, "2026-07-01 12:00", "2026-07-02 12:00"
    )


def test_unknown_country_is_never_called() -> None:
    assert window("XX", "Europe/Paris", "2026-07-01 00:00", "2026-07-08 00:00") is None


def test_country_without_zones_needs_the_shoppers() -> None:
    hours = {"IT": Hours()}
    start, end = at("2026-07-01 10:00"), at("2026-07-01 12:00")
    assert next_window("IT", None, start, end, hours) is None
    assert next_window("IT", "Europe/Rome", start, end, hours) == (start, end)


def test_an_empty_span_has_no_window() -> None:
    assert window("GB", None, "2026-07-01 12:00", "2026-07-01 12:00") is None


def test_midnight_joins_two_days() -> None:
    hours = {"GB": Hours(open="00:00", close="24:00", days=(0, 1, 2, 3, 4, 5, 6), timezones=("Europe/London",))}
    start = at("2026-03-28 12:00")
    assert next_window("GB", None, start, start + 3 * DAY, hours) == (start, start + 3 * DAY)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "", "\0"])
def test_hostile_zone_is_unknown(zone: str) -> None:
    assert window("GB", zone, "2026-07-01 12:00", "2026-07-01 13:00") is not None


def minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def allowed(moment: float, zone: str, rule: Hours) -> bool:
    """The rule as a person would read it off a clock on the wall there."""
    local = datetime.fromtimestamp(moment, ZoneInfo(zone))
    clock = local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 60e6
    return local.weekday() in rule.days and minutes(rule.open) <= clock < minutes(rule.close)


CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
RULES = st.builds(
    Hours,
    open=CLOCK,
    close=CLOCK | st.just("24:00"),
    days=st.sets(st.integers(0, 6), min_size=1).map(tuple),
    timezones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=4).map(tuple),
)
# Across every change of the clocks of two years, and the day that Samoa left out.
MOMENTS = st.integers(int(at("2025-01-01 00:00")), int(at("2027-01-01 00:00"))) | st.integers(
    int(at("2011-12-28 00:00")), int(at("2012-01-02 00:00"))
)


@settings(max_examples=400, deadline=None)
@given(RULES, st.none() | st.sampled_from(ZONES), MOMENTS, st.integers(1, int(9 * DAY)), st.floats(0, 0.999))
@example(Hours(timezones=("Pacific/Apia",)), None, at("2011-12-29 20:00"), 3 * DAY, 0.0)
@example(Hours(open="02:30", timezones=("America/New_York",)), None, at("2026-03-08 05:00"), DAY, 0.0)
@example(Hours(open="01:30", timezones=("America/New_York",)), None, at("2026-11-01 04:00"), DAY, 0.0)
def test_every_moment_of_a_window_is_allowed_everywhere(
    rule: Hours, zone: str | None, start: float, span: float, where: float
) -> None:
    found = next_window("XX", zone, start, start + span, {"XX": rule})
    if found is None:
        return
    opens, closes = found
    assert start <= opens < closes <= start + span
    for moment in (opens, opens + (closes - opens) * where, closes - min(1e-3, (closes - opens) / 2)):
        assert all(allowed(moment, name, rule) for name in ([zone] if zone else rule.timezones))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(DEFAULT_HOURS)), MOMENTS, st.floats(0, 1))
def test_no_time_is_wasted_with_the_usual_hours(country: str, start: float, where: float) -> None:
    rule = DEFAULT_HOURS[country]
    found = next_window(country, None, start, start + 3 * DAY, DEFAULT_HOURS)
    until = found[0] if found else start + 3 * DAY
    before = start + (until - start) * where * 0.999
    if before < until:
        assert not all(allowed(before, zone, rule) for zone in rule.timezones)
