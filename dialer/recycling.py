"""What becomes of a lead after its call: called again, called back, or left in peace. Pure.

The rules by cause are settings (`ringback.lead_settings.DEFAULT_RECYCLING`). Whoever answered, declined or hung up has
decided, and a wrong number stays wrong: what is not listed is not called again. What the law asks for, a time without
calls after some ends (`dialer.compliance`), comes on top: it binds person and number, whatever lead comes next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from dialer.compliance.attempts import spacing
from dialer.compliance.places import Place
from dialer.compliance.rules import Rules
from ringback.decisions import Lead
from ringback.lead_settings import Again, LeadSettings
from ringback.records import Outcome

Interval = tuple[float, float]
# The first interval between two times in which a lead may be called, or None.
Window = Callable[[Lead, float, float], Interval | None]

# A clock in the call centre that is a little ahead does not move a callback to tomorrow.
LATE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Next:
    """When a lead is called again (None: never) if it had fewer than ``most_calls``; until when nobody calls at all."""

    retry_at: float | None
    most_calls: int
    lockout_until: float | None


def after(outcome: Outcome, now: float, rules: Mapping[Outcome, Again], spacing: float | None) -> Next:
    """What follows from the end of a call at business time ``now``.

    ``spacing`` is for how many seconds the law forbids another call after such an end; None: for none.
    """
    rule = rules.get(outcome, Again())
    lockout = None if spacing is None else now + spacing
    retry = max(now + rule.delay, lockout or now) if rule.attempts else None
    return Next(retry, rule.attempts, lockout)


def spacing_of(lead: Lead, outcome: str, now: float) -> float | None:
    """For how many seconds the law forbids another call to a lead after such an end, or ``refused``; None: for none."""
    asked = (spacing(outcome, code, now) for code in lead.jurisdictions or (lead.country,))
    return max((seconds for seconds in asked if seconds is not None), default=None)


def windows(rules: Rules) -> Window:
    """When leads may be called, by the rules of law and of the settings."""

    def window(lead: Lead, begin: float, end: float) -> Interval | None:
        place = Place(lead.jurisdictions, lead.zones) if lead.zones else rules.place(lead.phone, lead.country)
        return rules.calendar(place).window(begin, end)

    return window


@dataclass(frozen=True, slots=True)
class NoCallback:
    """Why a callback can't be promised."""

    why: str


def callback(
    lead: Lead, at: float, agent: str | None, now: float, settings: LeadSettings, window: Window
) -> Lead | NoCallback:
    """The lead of a callback at a time (epoch seconds) that a shopper asked for, by ``agent`` or, where None, by any.

    The law's hours hold for it too: it is made at the first moment from ``at`` on when the shopper may be called, at
    most `LeadSettings.callback_window` later.
    """
    if at < now - LATE_SECONDS:
        return NoCallback("the time is past")
    if at > now + settings.callback_ahead:
        return NoCallback(f"the time is more than {settings.callback_ahead / 86400:g} days ahead")
    begin = max(at, now)
    found = window(lead, begin, begin + settings.callback_window)
    if found is None:
        return NoCallback("it is outside the hours in which the shopper may be called")
    return msgspec.structs.replace(lead, callable_from=found[0], callable_until=found[1], agent=agent)
