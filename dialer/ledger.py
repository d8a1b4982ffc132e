"""The record of each call, as the law wants it kept: on `ringback.calls`, which only grows and keeps five years.

It is not chained by hashes: several dialers write, and whoever may write to Kafka may write a chain anew. What an
export hands over has a digest instead (`ringback calls export`).
"""

import asyncio

from dialer.calls import Call
from dialer.compliance.book import book
from dialer.contacts import Contacts
from ringback.call_records import CallRecord, ReportRecord
from ringback.decisions import Lead
from ringback.records import Disposition, Outcome
from ringback.settings import Settings


def record(call: Call, lead: Lead, placed: float, ended: float, settings: Settings) -> CallRecord:
    """The record of a call that has ended; ``placed`` and ``ended`` are business time."""
    clock, ledger = settings.simulation.clock(), settings.ledger
    outcome = call.outcome or Outcome.UNKNOWN
    return CallRecord(
        call_id=call.call_id,
        campaign=settings.dialer.campaign,
        seller=ledger.seller or settings.outreach.shop_name,
        purpose=ledger.purpose,
        calling_number=settings.dialer.caller_id,
        called_number=lead.phone,
        country=lead.country,
        shopper_id=lead.shopper_id,
        lead_id=lead.lead_id,
        cart_id=lead.cart_id,
        placed=placed,
        answered=None if call.answered_at is None else clock.at(call.answered_at),
        connected=None if call.connected_at is None else clock.at(call.connected_at),
        ended=ended,
        duration=max(0.0, clock.wall_seconds(ended - placed)),
        talk_seconds=call.talk_seconds,
        wait_seconds=call.wait_seconds,
        outcome=outcome,
        agent=call.agent,
        withdrawn=call.withdrawn,
        message=ledger.message if call.message_begun else None,
        message_played=call.message_played,
        consent_evidence=lead.consent_evidence,
        consent_captured=lead.consent_captured,
        rules=book().version,
        do_not_call=ledger.do_not_call,
        simulated=settings.simulation.enabled,
    )


class Ledger:
    """Writes the records of one campaign."""

    def __init__(self, settings: Settings, contacts: Contacts) -> None:
        self._settings = settings
        self._clock = settings.simulation.clock()
        self._contacts = contacts

    def ended(self, call: Call, lead: Lead, placed: float) -> asyncio.Future[None]:
        """Queue the record of a call that has just ended; done when Kafka has it. ``placed`` is business time."""
        return self._contacts.post(record(call, lead, placed, self._clock.now(), self._settings))

    def reported(
        self, call_id: str, lead: Lead, disposition: Disposition, agent: str | None, callback: float | None = None
    ) -> asyncio.Future[None]:
        """Queue what was said of a call."""
        return self._contacts.post(
            ReportRecord(
                call_id=call_id,
                campaign=self._settings.dialer.campaign,
                called_number=lead.phone,
                shopper_id=lead.shopper_id,
                lead_id=lead.lead_id,
                time=self._clock.now(),
                disposition=disposition,
                agent=agent,
                callback=callback,
            )
        )
