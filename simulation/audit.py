"""An independent eye on the never events: what the simulated world sees of calls and messages, against what it knows.

It shares no code and no state with the stream, the hopper and the dialer, so that their own counters are not the only
proof.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from ringback.compliance_settings import ComplianceSettings
from ringback.metrics import NeverEvent
from ringback.records import CartEvent, Channel, ContactEvent, Disposition, EventKind, Shopper

# An order or an opt-out that was published this many wall seconds before a contact was still on its way.
GRACE = 2.0
DAY = 86_400.0
# Business seconds by which the two clocks of an attempt, ours and the dialer's, may differ.
CLOCKS = 600.0


@dataclass(slots=True)
class _Known:
    """What the shop has told about a shopper, and when (wall)."""

    person: Shopper = field(default_factory=Shopper)
    bought: dict[str, float] = field(default_factory=dict)
    opted_out: float = float("inf")


class Audit:
    """Counts never events by calling ``breach`` with the event and what was wrong, without personal data."""

    def __init__(self, rules: ComplianceSettings, breach: Callable[[NeverEvent, str], None]) -> None:
        self._rules = rules
        self._breach = breach
        self._known: dict[str, _Known] = {}
        self._attempts: dict[str, list[float]] = {}

    def published(self, event: CartEvent, wall: float) -> None:
        """The shop has published an event."""
        known = self._known.setdefault(event.shopper_id, _Known())
        if event.shopper is not None:
            known.person = event.shopper
        if event.kind is EventKind.ORDER_COMPLETED and event.cart_id:
            known.bought[event.cart_id] = wall
        if event.kind is EventKind.OPTED_OUT:
            known.opted_out = min(known.opted_out, wall)

    def disposed(self, contact: ContactEvent, disposition: Disposition, wall: float) -> None:
        """An agent has reported what came of a call."""
        if disposition is Disposition.DO_NOT_CALL:
            known = self._known.setdefault(contact.shopper_id, _Known())
            known.opted_out = min(known.opted_out, wall)

    def dialled(self, number: str, live: int, business: float) -> None:
        """A number is dialled while ``live`` other calls to it are up. ``business`` is business time."""
        if live:
            self._breach(NeverEvent.SECOND_CALL_AT_ONCE, "a number was dialled that was in a call")
        recent = [t for t in self._attempts.get(number, []) if t > business - DAY + CLOCKS]
        self._attempts[number] = [*recent, business]
        if len(recent) >= self._rules.max_attempts_per_day:
            self._forbidden("a number was dialled more often in 24 hours than compliance.max_attempts_per_day")

    def contacted(self, contact: ContactEvent, number: str, wall: float, business: float) -> None:
        """A contact that was made at ``wall`` turns out to be about a shopper and a cart. ``number`` has no plus."""
        known = self._known.get(contact.shopper_id)
        if known is None:
            self._forbidden(f"{contact.contact_id}: nobody knows shopper {contact.shopper_id}")
            return
        who = f"{contact.contact_id} to {contact.shopper_id}"
        person = known.person
        if known.bought.get(contact.cart_id, wall) < wall - GRACE:
            self._forbidden(f"{who}: cart {contact.cart_id} was bought")
        if known.opted_out < wall - GRACE:
            self._forbidden(f"{who}: opted out")
        if (person.phone or "").lstrip("+") != number:
            self._forbidden(f"{who}: the number is another person's")
        if person.consent is None or not person.consent.to(contact.channel):
            self._forbidden(f"{who}: no consent to {contact.channel}")
        if contact.channel is Channel.VOICE and not self._is_open(person, business):
            self._forbidden(f"{who}: outside the calling hours")

    def _is_open(self, person: Shopper, business: float) -> bool:
        hours = self._rules.hours.get(person.country or "")
        if hours is None or person.timezone is None:
            return False
        local = datetime.fromtimestamp(business, ZoneInfo(person.timezone))
        return local.weekday() in hours.days and hours.open <= f"{local:%H:%M}" < hours.close

    def _forbidden(self, what: str) -> None:
        self._breach(NeverEvent.FORBIDDEN_CONTACT, what)
