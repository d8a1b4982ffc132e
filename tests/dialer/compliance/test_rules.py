import pytest

from dialer.compliance.attempts import Caps, retry_at
from dialer.compliance.check import Rule, forbidden
from dialer.compliance.consent import consents
from dialer.compliance.destination import Destination, fault
from ringback.calling_hours import DEFAULT_HOURS
from ringback.compliance_settings import ComplianceSettings
from ringback.records import Channel, Consent, Outcome
from ringback.settings import Settings
from tests.dialer.leads import NOON, lead


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Settings:
    monkeypatch.chdir(str(tmp_path))
    return Settings()


def test_only_a_yes_is_consent() -> None:
    assert consents(Consent(voice=True), Channel.VOICE)
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
        ("+1212555", "US", Destination.IMPOSSIBLE),
        ("+18765550100", "US", Destination.COUNTRY),
        ("+12425550123", "US", Destination.COUNTRY),
        ("+12125550100", "CA", Destination.COUNTRY),
        ("+390635550123", "IT", Destination.COUNTRY),
        ("+882161234567", "001", Destination.COUNTRY),
        ("+19005550100", "US", Destination.SPECIAL),
        ("+18005550100", "US", Destination.SPECIAL),
        ("+448701234567", "GB", Destination.SPECIAL),
        ("+447012345678", "GB", Destination.SPECIAL),
    ],
)
def test_destinations(phone: str, country: str, wrong: Destination | None) -> None:
    assert fault(phone, country, DEFAULT_HOURS) is wrong


def test_when_to_try_again() -> None:
    settings = ComplianceSettings(retry_after=1800)
    again = {outcome: retry_at(outcome, 100.0, settings) for outcome in Outcome}
    assert again.pop(Outcome.BUSY) == again.pop(Outcome.NO_ANSWER) == 1900.0
    assert again.pop(Outcome.CONGESTION) == again.pop(Outcome.FAILED) == 400.0
    assert set(again.values()) == {None}


def test_caps_come_from_the_settings() -> None:
    assert Caps.of(ComplianceSettings(max_attempts_per_day=5, max_attempts_per_lead=4)) == Caps(5, 4)


def test_a_lead_is_bound_to_its_window(settings: Settings) -> None:
    assert forbidden(lead(1), NOON, settings) is None
    assert forbidden(lead(1), NOON - 1, settings) is Rule.OUTSIDE_HOURS
    assert forbidden(lead(1), NOON + 3600, settings) is Rule.OUTSIDE_HOURS
    assert forbidden(lead(1, replay=True), NOON, settings) is Rule.REPLAY
    assert forbidden(lead(1, phone="+18765550100"), NOON, settings) is Rule.COUNTRY_NOT_ALLOWED
    assert forbidden(lead(1, phone="+19005550100"), NOON, settings) is Rule.SPECIAL_NUMBER
