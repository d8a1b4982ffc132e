from dataclasses import replace

import pytest

from dialer.compliance.attempts import caps, spacing, strictest
from dialer.compliance.book import book
from dialer.compliance.check import Finding, History, Person, Rule, forbidden, may_call, rules_of
from dialer.compliance.consent import consents
from dialer.compliance.destination import Destination, fault
from ringback.compliance_settings import ComplianceSettings
from ringback.records import Channel, Consent
from ringback.settings import Settings
from tests.dialer.leads import NOON, lead

DAY, HOUR = 86400.0, 3600.0
# Tuesday 2026-07-07, 15:00 UTC: 11:00 in New York, 17:00 in Paris.
NOW = 1_783_436_400.0
ALLOWED = frozenset({"US", "CA", "GB", "FR", "DE"})
ADA = Person(
    phone="+12125550123",
    country="US",
    timezone="America/New_York",
    consent=Consent(voice=True, evidence="checkout", captured=NOW - DAY),
)
CHLOE = replace(ADA, phone="+33199000123", country="FR", timezone="Europe/Paris")
CART = History(last_activity=NOW - HOUR)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Settings:
    monkeypatch.chdir(str(tmp_path))
    return Settings()


def against(person: Person, history: History, settings: Settings, now: float = NOW) -> set[str]:
    return {finding.rule for finding in may_call(person, history, now, rules_of(settings)).against}


def test_only_a_yes_is_consent() -> None:
    assert consents(Consent(voice=True, evidence="form"), Channel.VOICE)
    assert not consents(Consent(voice=True), Channel.VOICE)
    assert not consents(Consent(voice=True, evidence=""), Channel.VOICE)
    assert consents(Consent(sms=True), Channel.SMS)
    assert not consents(Consent(voice=False), Channel.VOICE)
    assert not consents(Consent(sms=True), Channel.VOICE)
    assert not consents(None, Channel.VOICE)


@pytest.mark.parametrize(
    ("phone", "country", "wrong"),
    [
        ("+12125550100", "US", None),
        ("+19075550123", "US", None),
        ("+14165550123", "CA", None),
        ("+442079460123", "GB", None),
        ("+447700900123", "GB", None),
        ("+33639981234", "FR", None),
        ("+493023125123", "DE", None),
        ("2125550100", "US", Destination.NOT_E164),
        ("+1 212 555 0100", "US", Destination.NOT_E164),
        ("+12125550100\r\nX: y", "US", Destination.NOT_E164),
        ("+١٢١٢٥٥٥٠١٠٠", "US", Destination.NOT_E164),
        ("", "US", Destination.NOT_E164),
        ("911", "US", Destination.NOT_E164),
        ("+1911", "US", Destination.NOT_E164),
        ("+1212555", "US", Destination.IMPOSSIBLE),
        ("+18765550100", "US", Destination.COUNTRY),
        ("+12425550123", "US", Destination.COUNTRY),
        ("+17875550123", "US", Destination.COUNTRY),
        ("+12125550100", "CA", Destination.COUNTRY),
        ("+390635550123", "IT", Destination.COUNTRY),
        ("+882161234567", "001", Destination.COUNTRY),
        ("+881612345678", "US", Destination.COUNTRY),
        ("+19005550100", "US", Destination.SPECIAL),
        ("+12129765550", "US", Destination.SPECIAL),
        ("+18005550100", "US", Destination.SPECIAL),
        ("+16225550100", "CA", Destination.SPECIAL),
        ("+448701234567", "GB", Destination.SPECIAL),
        ("+447012345678", "GB", Destination.SPECIAL),
        ("+33899123456", "FR", Destination.SPECIAL),
        ("+499001234567", "DE", Destination.SPECIAL),
    ],
)
def test_destinations(phone: str, country: str, wrong: Destination | None) -> None:
    assert fault(phone, country, ALLOWED) is wrong


def test_no_destinations_means_nobody() -> None:
    assert fault("+12125550100", "US", frozenset()) is Destination.COUNTRY


def test_an_ordinary_call_is_allowed_and_every_rule_says_so(settings: Settings) -> None:
    verdict = may_call(ADA, CART, NOW, rules_of(settings))
    assert verdict.allowed
    assert verdict.version == book().version
    assert len({finding.rule for finding in verdict.trace}) == len(verdict.trace) >= 20
    assert all(finding.source and finding.why for finding in verdict.trace)


@pytest.mark.parametrize(
    ("person", "rule"),
    [
        (replace(ADA, consent=None), "consent"),
        (replace(ADA, consent=Consent()), "consent"),
        (replace(ADA, consent=Consent(voice=True)), "consent"),
        (replace(ADA, consent=Consent(voice=False, evidence="form")), "consent"),
        (replace(ADA, country=None), "destination"),
        (replace(ADA, country="GB"), "destination"),
        (replace(ADA, phone="911"), "number"),
        (replace(ADA, phone="+19005550123"), "special_number"),
        (replace(ADA, timezone="Pacific/Auckland"), "US-hours"),
        (replace(ADA, ip_timezone="Pacific/Honolulu"), "US-hours"),
        (replace(ADA, region="US-KY", timezone="America/Los_Angeles"), "US-KY-hours"),
    ],
)
def test_what_is_missing_or_wrong_of_a_person_forbids(person: Person, rule: str, settings: Settings) -> None:
    assert rule in against(person, CART, settings)


@pytest.mark.parametrize(
    ("history", "rule"),
    [
        (History(), "cart_age"),
        (replace(CART, last_activity=NOW - 4 * HOUR), "cart_age"),
        (replace(CART, opted_out=True), "opt_out"),
        (replace(CART, do_not_call=True), "internal_do_not_call"),
        (replace(CART, national_do_not_call=True), "national_do_not_call"),
        (replace(CART, in_call=True), "in_call"),
        (replace(CART, replay=True), "replay"),
        (replace(CART, bought=NOW - HOUR), "bought"),
        (replace(CART, bought=NOW), "bought"),
        (replace(CART, about_cart=2), "cart_attempts"),
        (replace(CART, locked_until=NOW + 1), "lockout"),
        (replace(CART, to_number=[NOW - HOUR] * 3), "compliance.max_attempts_per_day"),
        (replace(CART, to_person=[NOW - DAY] * 3), "compliance.max_attempts_per_day"),  # clocks may differ
        (replace(CART, to_person=[NOW + HOUR] * 3), "compliance.max_attempts_per_day"),  # as if just now
        (replace(CART, to_person=[NOW - 6 * DAY] * 6), "compliance.max_attempts_per_week"),
        (replace(CART, to_person=[NOW - 29 * DAY] * 10), "compliance.max_attempts_per_month"),
        (replace(CART, ended=[(NOW - 71 * HOUR, "abandoned")]), "spacing-abandoned"),
        (replace(CART, ended=[(NOW - 71 * HOUR, "unknown")]), "spacing-unknown"),
        (replace(CART, ended=[(NOW - 23 * HOUR, "machine")]), "spacing-machine"),
    ],
)
def test_what_happened_before_forbids(history: History, rule: str, settings: Settings) -> None:
    assert against(ADA, history, settings) == {rule}


def test_what_happened_long_ago_forbids_nothing(settings: Settings) -> None:
    past = replace(
        CART,
        bought=NOW - 2 * HOUR,
        about_cart=1,
        locked_until=NOW - 60,
        to_number=[NOW - 2 * DAY] * 3,
        to_person=[NOW - 2 * DAY, NOW - 8 * DAY, NOW - 31 * DAY, NOW - HOUR],
        ended=[(NOW - 73 * HOUR, "abandoned"), (NOW - HOUR, "no_answer")],
    )
    assert against(ADA, past, settings) == set()


def test_france_has_caps_and_spacing_of_its_own(settings: Settings) -> None:
    assert against(CHLOE, CART, settings) == set()
    assert against(CHLOE, replace(CART, to_number=[NOW - 20 * DAY] * 4), settings) == {"FR-cap-month"}
    refused = replace(CART, ended=[(NOW - 59 * DAY, "refused")])
    assert against(CHLOE, refused, settings) == {"FR-spacing-refused"}
    assert against(ADA, refused, settings) == set()


def test_a_campaign_may_be_bounded() -> None:
    bounded = Settings.model_validate({"compliance": {"max_calls_per_hour": 10, "max_spend_per_day": 5}})
    assert against(ADA, replace(CART, campaign_calls=9, campaign_spent=4.99), bounded) == set()
    assert against(ADA, replace(CART, campaign_calls=10), bounded) == {"campaign_rate"}
    assert against(ADA, replace(CART, campaign_spent=5.0), bounded) == {"campaign_spend"}


def test_what_was_not_verified_is_marked(settings: Settings) -> None:
    person = replace(ADA, phone="+12055550123", timezone="America/Chicago")
    marked = {one.rule: one.verified for one in may_call(person, CART, NOW, rules_of(settings)).trace}
    assert marked["US-hours"]
    assert not marked["US-AL-hours"]


def test_a_trace_says_what_time_it_is_there(settings: Settings) -> None:
    trace = may_call(ADA, CART, NOW, rules_of(settings)).trace
    (hours,) = (finding for finding in trace if finding.rule == "US-hours")
    assert isinstance(hours, Finding)
    assert "Tue 2026-07-07 11:00 America/New_York" in hours.why


@pytest.mark.parametrize(
    ("outcome", "jurisdiction", "hours"),
    [
        ("abandoned", "GB", 72),
        ("abandoned", "US-FL", 72),
        ("unknown", "US", 72),
        ("machine", "DE", 24),
        ("refused", "FR", 1440),
        ("refused", "US", None),
        ("no_answer", "FR", None),
        ("abandoned", "XX", 72),
    ],
)
def test_spacing_after_an_end(outcome: str, jurisdiction: str, hours: float | None) -> None:
    assert spacing(outcome, jurisdiction, NOW) == (None if hours is None else hours * HOUR)


def test_of_several_caps_the_strictest_holds() -> None:
    rules = ComplianceSettings(max_attempts_per_day=5, max_attempts_per_week=20, max_attempts_per_month=30)
    found = {code: strictest(caps((code,), rules, NOW, book())) for code in ("US", "US-FL", "FR", "DE")}
    assert found["US"] == ((DAY, 5), (7 * DAY, 20), (30 * DAY, 30))
    assert found["US-FL"] == ((DAY, 3), (7 * DAY, 20), (30 * DAY, 30))
    assert found["FR"] == ((DAY, 5), (7 * DAY, 20), (30 * DAY, 4))
    assert found["DE"] == ((DAY, 3), (7 * DAY, 15), (30 * DAY, 30))


def test_a_rule_holds_from_its_day_on() -> None:
    rules = ComplianceSettings(max_attempts_per_day=5)
    before, after = 1_767_000_000.0, 1_767_400_000.0  # 2025-12-29, 2026-01-03
    assert strictest(caps(("US-OR",), rules, before, book()))[0] == (DAY, 5)
    assert strictest(caps(("US-OR",), rules, after, book()))[0] == (DAY, 3)


def test_a_lead_is_bound_to_its_window(settings: Settings) -> None:
    assert forbidden(lead(1), NOON, settings) is None
    assert forbidden(lead(1), NOON - 1, settings) is Rule.OUTSIDE_HOURS
    assert forbidden(lead(1), NOON + 3600, settings) is Rule.OUTSIDE_HOURS
    assert forbidden(lead(1, replay=True), NOON, settings) is Rule.REPLAY
    assert forbidden(lead(1, phone="+18765550100"), NOON, settings) is Rule.COUNTRY_NOT_ALLOWED
    assert forbidden(lead(1, phone="+19005550100"), NOON, settings) is Rule.SPECIAL_NUMBER


def test_the_dialer_looks_at_the_hours_again(settings: Settings) -> None:
    window = {"callable_from": NOW - 9 * HOUR, "callable_until": NOW + 9 * HOUR}
    there = lead(1, jurisdictions=("US", "US-NY"), zones=("America/New_York",), **window)
    assert forbidden(there, NOW, settings) is None
    assert forbidden(there, NOW - 3 * HOUR, settings) is Rule.OUTSIDE_HOURS
    assert (
        forbidden(lead(1, jurisdictions=("US",), zones=("Asia/Tokyo",), **window), NOW, settings) is Rule.OUTSIDE_HOURS
    )
