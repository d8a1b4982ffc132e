"""The independent eye: each never event it knows is seen, and nothing else."""

from datetime import UTC, datetime

import pytest

from ringback.compliance_settings import ComplianceSettings
from ringback.metrics import NeverEvent
from ringback.records import CartEvent, Channel, Consent, ContactEvent, ContactKind, Disposition, EventKind, Shopper
from simulation.audit import DAY, GRACE, Audit

# 15:00 in New York, a Tuesday.
BUSINESS = datetime(2026, 3, 3, 20, 0, tzinfo=UTC).timestamp()
NUMBER = "12125550142"
ADA = Shopper(
    name="Ada", phone=f"+{NUMBER}", country="US", timezone="America/New_York", consent=Consent(voice=True, sms=False)
)


class Eye:
    """An audit, and what it has seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[NeverEvent, str]] = []
        self.audit = Audit(ComplianceSettings(), lambda event, what: self.seen.append((event, what)))

    def tell(self, kind: EventKind, wall: float, person: Shopper | None = None, cart_id: str | None = None) -> None:
        event = CartEvent(
            event_id="e", source="t", shopper_id="s1", kind=kind, time=BUSINESS, cart_id=cart_id, shopper=person
        )
        self.audit.published(event, wall)

    def contact(
        self,
        wall: float = 100.0,
        *,
        number: str = NUMBER,
        channel: Channel = Channel.VOICE,
        business: float = BUSINESS,
        shopper_id: str = "s1",
    ) -> list[str]:
        contact = _contact(channel, shopper_id)
        self.audit.contacted(contact, number, wall, business)
        return [what for _, what in self.seen]


def _contact(channel: Channel = Channel.VOICE, shopper_id: str = "s1") -> ContactEvent:
    return ContactEvent(
        contact_id="call-1",
        lead_id="l1",
        shopper_id=shopper_id,
        cart_id="c1",
        channel=channel,
        kind=ContactKind.ATTEMPTED,
        time=BUSINESS,
    )


@pytest.fixture
def eye() -> Eye:
    known = Eye()
    known.tell(EventKind.IDENTIFIED, 0.0, ADA)
    return known


def test_a_lawful_call_is_no_breach(eye: Eye) -> None:
    assert eye.contact() == []
    eye.audit.dialled(NUMBER, 0, BUSINESS)
    assert eye.seen == []


def test_a_call_about_a_bought_cart_is_seen_and_one_about_the_next_cart_is_not(eye: Eye) -> None:
    eye.tell(EventKind.ORDER_COMPLETED, 50.0, cart_id="c0")
    assert eye.contact() == []
    eye.tell(EventKind.ORDER_COMPLETED, 100.0 - GRACE / 2, cart_id="c1")
    assert eye.contact() == []
    assert eye.contact(100.0 + 2 * GRACE) == ["call-1 to s1: cart c1 was bought"]


def test_an_opt_out_and_a_do_not_call_bind(eye: Eye) -> None:
    eye.tell(EventKind.OPTED_OUT, 50.0)
    assert eye.contact() == ["call-1 to s1: opted out"]
    other = Eye()
    other.tell(EventKind.IDENTIFIED, 0.0, ADA)
    other.audit.disposed(_contact(), Disposition.CALLBACK, 40.0)
    assert other.contact() == []
    other.audit.disposed(_contact(), Disposition.DO_NOT_CALL, 50.0)
    assert other.contact() == ["call-1 to s1: opted out"]


def test_consent_is_per_channel_and_unknown_is_no(eye: Eye) -> None:
    assert eye.contact(channel=Channel.SMS) == ["call-1 to s1: no consent to sms"]
    assert eye.contact(channel=Channel.CHAT)[1:] == ["call-1 to s1: no consent to chat"]


def test_another_persons_number_and_a_stranger_are_seen(eye: Eye) -> None:
    assert eye.contact(number="12125550143") == ["call-1 to s1: the number is another person's"]
    assert eye.contact(shopper_id="s9")[1:] == ["call-1: nobody knows shopper s9"]


def test_a_call_at_night_is_seen_and_a_message_is_not_judged_by_calling_hours() -> None:
    night = BUSINESS + 9 * 3600
    eye = Eye()
    eye.tell(
        EventKind.IDENTIFIED,
        0.0,
        Shopper(phone=ADA.phone, country="US", timezone=ADA.timezone, consent=Consent(sms=True)),
    )
    assert eye.contact(channel=Channel.SMS, business=night) == []
    eye.tell(EventKind.IDENTIFIED, 0.0, ADA)
    assert eye.contact(business=night) == ["call-1 to s1: outside the calling hours"]


def test_two_calls_at_once_and_one_too_many_a_day_are_seen(eye: Eye) -> None:
    eye.audit.dialled(NUMBER, 1, BUSINESS)
    assert [event for event, _ in eye.seen] == [NeverEvent.SECOND_CALL_AT_ONCE]
    eye.audit.dialled(NUMBER, 0, BUSINESS + 1000)
    eye.audit.dialled(NUMBER, 0, BUSINESS + 2000)
    assert len(eye.seen) == 1
    eye.audit.dialled(NUMBER, 0, BUSINESS + DAY / 2)
    assert [event for event, _ in eye.seen][1:] == [NeverEvent.FORBIDDEN_CONTACT]
    eye.audit.dialled(NUMBER, 0, BUSINESS + 3 * DAY)
    assert len(eye.seen) == 2


def test_what_is_seen_names_no_number(eye: Eye) -> None:
    eye.audit.dialled(NUMBER, 1, BUSINESS)
    eye.contact(number="12125550143")
    assert eye.seen
    assert not any("555" in what for _, what in eye.seen)
