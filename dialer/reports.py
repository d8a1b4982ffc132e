"""What agents and shoppers say about a call: dispositions, callbacks, and the wish not to be called again."""

import logging
from collections import OrderedDict
from datetime import UTC, datetime

from dialer import recycling
from dialer.chores import Chores
from dialer.compliance.check import rules_of
from dialer.hopper import Hopper, Offer
from dialer.journal import Journal
from dialer.signals import Reported
from ringback.decisions import Lead
from ringback.metrics import DialerMetrics
from ringback.records import ContactKind, Disposition
from ringback.settings import Settings

log = logging.getLogger(__name__)

REMEMBERED_CALLS = 10_000


class Reports:
    """Knows whom a call went to, for what is said after its end: its own calls, and by Redis those of another process.

    What is said is on record, and done, before `Chores` are done.
    """

    def __init__(
        self, settings: Settings, hopper: Hopper, journal: Journal, chores: Chores, metrics: DialerMetrics
    ) -> None:
        self._settings = settings
        self._hopper = hopper
        self._journal = journal
        self._chores = chores
        self._metrics = metrics
        self._clock = settings.simulation.clock()
        self._recent: OrderedDict[str, Lead] = OrderedDict()

    def remember(self, call_id: str, lead: Lead) -> None:
        """Keep a call's lead."""
        self._recent[call_id] = lead
        if len(self._recent) > REMEMBERED_CALLS:
            self._recent.popitem(last=False)

    def disposition(self, reported: Reported) -> None:
        """What an agent reports of a call; as it came, and so checked here."""
        if reported.disposition not in list(Disposition):
            log.warning(
                "agent %s, call %s: %r is no disposition; not recorded",
                reported.agent_id,
                reported.call_id,
                reported.disposition,
            )
            return
        self._chores.spawn(self._disposition(reported, Disposition(reported.disposition)))

    def opted_out(self, call_id: str) -> None:
        """The shopper pressed the key that means: do not call again."""
        self._chores.spawn(self._opted_out(call_id))

    async def _disposition(self, reported: Reported, disposition: Disposition) -> None:
        call_id, agent = reported.call_id, reported.agent_id
        lead = await self._lead_of(call_id)
        if lead is None:
            log.warning("agent %s: no call %s today; its disposition is not recorded", agent, call_id)
            return
        self._metrics.dispositions.labels(disposition.value).inc()
        self._journal.tell(ContactKind.DISPOSITION, lead, call_id, agent=agent, disposition=disposition)
        self._journal.ledger.reported(call_id, lead, disposition, agent, reported.callback_at)
        match disposition:
            case Disposition.CALLBACK:
                await self._call_back(lead, reported)
            case Disposition.NOT_INTERESTED:
                await self._lock_out(lead)
            case Disposition.WRONG_NUMBER:
                # Whoever has it now asked for nothing.
                await self._chores.insist(lambda: self._hopper.suppress(lead.phone_ref))
            case Disposition.DO_NOT_CALL:
                await self._never_again(lead, call_id, agent)

    async def _opted_out(self, call_id: str) -> None:
        lead = await self._lead_of(call_id)
        if lead is None:
            log.error("call %s: its shopper opted out by key, and it is not known who that is", call_id)
            return
        self._journal.ledger.reported(call_id, lead, Disposition.DO_NOT_CALL, None)
        await self._never_again(lead, call_id, None)

    async def _lead_of(self, call_id: str) -> Lead | None:
        known = self._recent.get(call_id)
        return known or await self._chores.insist(lambda: self._hopper.lead_of(call_id))

    async def _never_again(self, lead: Lead, call_id: str, agent: str | None) -> None:
        at = self._clock.now()
        self._journal.tell(ContactKind.OPTED_OUT, lead, call_id, agent=agent)
        await self._chores.insist(lambda: self._hopper.suppress(lead.phone_ref))
        await self._chores.insist(lambda: self._hopper.withdraw(lead.shopper_id, "opted_out", at, lead.phone_ref))

    async def _lock_out(self, lead: Lead) -> None:
        now = self._clock.now()
        seconds = recycling.spacing_of(lead, "refused", now)
        if seconds is not None:
            await self._chores.insist(lambda: self._hopper.lock_out(lead, now + seconds, now))

    async def _call_back(self, lead: Lead, reported: Reported) -> None:
        if reported.callback_at is None:
            log.warning("agent %s, call %s: a callback without a time is not made", reported.agent_id, reported.call_id)
            return
        now = self._clock.now()
        promised = recycling.callback(
            lead,
            reported.callback_at,
            reported.callback_agent,
            now,
            self._settings.leads,
            recycling.windows(rules_of(self._settings)),
        )
        if isinstance(promised, recycling.NoCallback):
            why = promised.why
        else:
            offer = await self._chores.insist(lambda: self._hopper.promise(promised, now))
            if offer in (Offer.QUEUED, Offer.CALLING):
                log.info("call %s: to be called back from %s on", reported.call_id, _utc(promised.callable_from))
                return
            why = offer.value
        log.warning("agent %s, call %s: the callback is not made: %s", reported.agent_id, reported.call_id, why)


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
