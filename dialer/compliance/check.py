"""May this person be called now? The rules that need nothing but the facts at hand, composed.

Purchases, opt-outs, do-not-call lists, caps and calls in progress are shared state: `dialer.hopper` checks them in the
same atomic step that offers or reserves a lead.
"""

from dataclasses import dataclass
from enum import StrEnum

from dialer.compliance.consent import consents
from dialer.compliance.destination import Destination, fault
from dialer.compliance.hours import next_window
from ringback.records import Channel, Consent, Lead
from ringback.settings import Settings


class Rule(StrEnum):
    """The rule that forbids a call."""

    NO_PHONE = "no_phone"
    NO_CONSENT = "no_consent"
    NOT_E164 = "not_e164"
    IMPOSSIBLE_NUMBER = "impossible_number"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    SPECIAL_NUMBER = "special_number"
    OUTSIDE_HOURS = "outside_hours"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about somebody who might be called. ``replay``: the events are of an old log."""

    phone: str | None
    country: str | None
    timezone: str | None
    consent: Consent | None
    replay: bool = False


_RULE_OF = {
    Destination.NOT_E164: Rule.NOT_E164,
    Destination.IMPOSSIBLE: Rule.IMPOSSIBLE_NUMBER,
    Destination.COUNTRY: Rule.COUNTRY_NOT_ALLOWED,
    Destination.SPECIAL: Rule.SPECIAL_NUMBER,
}


def forbidden(facts: Facts, now: float, settings: Settings) -> Rule | None:
    """The first rule that forbids to call somebody at business time ``now``, or None."""
    hours = settings.compliance.hours
    if facts.replay and not settings.simulation.enabled:
        return Rule.REPLAY
    if not facts.phone:
        return Rule.NO_PHONE
    if not consents(facts.consent, Channel.VOICE):
        return Rule.NO_CONSENT
    wrong = fault(facts.phone, facts.country or "", hours)
    if wrong:
        return _RULE_OF[wrong]
    window = next_window(facts.country or "", facts.timezone, now, now + 1.0, hours)
    return None if window and window[0] == now else Rule.OUTSIDE_HOURS


def forbidden_lead(lead: Lead, now: float, settings: Settings) -> Rule | None:
    """The same for a lead, whose consent was checked when it was routed and whose hours are its callable window."""
    if lead.replay and not settings.simulation.enabled:
        return Rule.REPLAY
    wrong = fault(lead.phone, lead.country, settings.compliance.hours)
    if wrong:
        return _RULE_OF[wrong]
    return None if lead.callable_from <= now < lead.callable_until else Rule.OUTSIDE_HOURS
