"""One call from the hopper to Asterisk: reserved, checked, on record, checked once more, originated."""

import asyncio
import logging
import time
from collections.abc import Sequence

from dialer import actions
from dialer.ami import NotConnected, OutcomeUnknown
from dialer.calls import OriginateFailed, new_call_id
from dialer.compliance.check import Rule, forbidden
from dialer.hopper import Hopper, Refusal, Refused, Reserved
from dialer.journal import Journal
from dialer.lease import Lease
from dialer.servers import Slot
from dialer.switchboard import Switchboard
from ringback.errors import Unavailable
from ringback.metrics import DialerMetrics
from ringback.records import Channel, ContactKind
from ringback.settings import Settings
from ringback.spend import Spend

log = logging.getLogger(__name__)

ACKNOWLEDGE_SECONDS = 3.0
# Far longer than from a reservation to its launch, even while Kafka is slow.
RESERVATION_SECONDS = 30.0
# Between two warnings of a national list that is missing or too old.
WARN_SECONDS = 3600.0


class Launcher:
    """Takes leads from the hopper and calls them. Not to be used while it is being reconciled."""

    def __init__(
        self,
        settings: Settings,
        hopper: Hopper,
        journal: Journal,
        lease: Lease,
        board: Switchboard,
        metrics: DialerMetrics,
    ) -> None:
        self._settings = settings
        self._hopper = hopper
        self._journal = journal
        self._lease = lease
        self._board = board
        self._metrics = metrics
        self._spend = Spend(metrics.spend, settings.decide.cost, (Channel.VOICE,))
        self._clock = settings.simulation.clock()
        self._warned = float("-inf")
        for reason in (*Rule, *Refusal):
            metrics.blocked.labels(Channel.VOICE.value, reason.value)

    async def reserve(
        self, count: int, agents: Sequence[str], seconds: float = RESERVATION_SECONDS
    ) -> list[tuple[Reserved, float]]:
        """Take up to ``count`` leads for ``seconds``, first those that the idle ``agents`` have promised to call back.

        Each comes with the monotonic time at which it was asked for.
        """
        asked = time.monotonic()
        rows = await self._hopper.reserve(
            [new_call_id() for _ in range(count)],
            self._clock.now(),
            self._lease.token,
            seconds * self._clock.speed,
            agents,
        )
        taken = []
        for row in rows:
            if isinstance(row, Refused):
                self._refused(row)
            elif await self._may_be_called(row):
                taken.append((row, asked))
        return taken

    async def call(self, reserved: Reserved, slot: Slot, asked: float, agent: str | None = None) -> None:
        """Call a reserved lead; ``agent`` gets the call if idle when it is answered."""
        call_id, lead = reserved.call_id, reserved.lead
        slot.trunk.take()
        self._board.open(call_id, lead, slot, agent or reserved.agent)
        why = await self._on_record(reserved)
        if why is None:
            # An Asterisk that is slow to answer keeps no other call waiting.
            self._board.chores.spawn(self._originate(reserved, slot, asked))
        else:
            self._board.undo(call_id, why)

    async def _may_be_called(self, reserved: Reserved) -> bool:
        rule = forbidden(reserved.lead, self._clock.now(), self._settings)
        if rule is None:
            return True
        self._metrics.blocked.labels(Channel.VOICE.value, rule.value).inc()
        await self._hopper.reject(reserved.call_id, rule.value)
        self._journal.tell(ContactKind.REFUSED, reserved.lead, reserved.lead.lead_id, detail=rule.value)
        return False

    def _refused(self, refused: Refused) -> None:
        self._metrics.blocked.labels(Channel.VOICE.value, refused.reason.value).inc()
        if refused.reason is Refusal.NOT_LEADER:
            self._lease.lost()
        if refused.reason is Refusal.NO_CURRENT_LIST and time.monotonic() - self._warned > WARN_SECONDS:
            self._warned = time.monotonic()
            log.warning("leads wait: their country's national do-not-call list is missing or too old (docs/operate.md)")
        if refused.over is not None:
            self._journal.tell(ContactKind.REFUSED, refused.over, refused.over.lead_id, detail=refused.reason.value)

    async def _on_record(self, reserved: Reserved) -> str | None:
        """Have the attempt on record, and look once more whether it may be made: None, or why not."""
        call_id = reserved.call_id
        told = self._journal.tell(ContactKind.ATTEMPTED, reserved.lead, call_id)
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                await asyncio.shield(told)
            refusal = await self._hopper.launch(call_id, self._clock.now(), self._lease.token)
        except TimeoutError:
            return "Kafka did not take the attempt"
        except Unavailable as error:
            self._lease.unreachable(error)
            return "Redis can't be reached"
        if refusal is None:
            return None
        self._metrics.blocked.labels(Channel.VOICE.value, refusal.value).inc()
        return refusal.value

    async def _originate(self, reserved: Reserved, slot: Slot, asked: float) -> None:
        call_id, lead = reserved.call_id, reserved.lead
        live = self._board.calls.get(call_id)
        if live is None:
            return
        if live.call.given_up or not self._lease.held:
            self._board.undo(call_id, live.call.withdrawn or "the campaign was lost")
            return
        server = slot.server
        live.began = time.monotonic()
        try:
            headers = actions.originate(call_id, lead, self._settings.dialer, slot.trunk.settings.channel)
            answer = await server.ami.send("Originate", **headers)
        except NotConnected as error:
            self._board.undo(call_id, str(error))
            return
        except ValueError:
            log.exception("call %s can't be placed", call_id)
            self._board.signal(call_id, OriginateFailed(None, refused=True))
            return
        except OutcomeUnknown as error:
            log.warning("call %s may have been placed: %s", call_id, error)
            server.look_at = 0.0
        else:
            self._metrics.originate.observe(time.monotonic() - asked)
            if not answer.success:
                log.warning("%s refuses call %s: %s", server.name, call_id, answer.message)
                self._board.signal(call_id, OriginateFailed(None, refused=True))
        self._metrics.originated.inc()
        self._spend.add(Channel.VOICE, lead.currency)
        self._count_delay(reserved)

    def _count_delay(self, reserved: Reserved) -> None:
        lead = reserved.lead
        callable_for = self._clock.wall_seconds(self._clock.now() - lead.callable_from)
        decided_for = time.time() - lead.decided_wall
        if lead.decided_wall:
            self._metrics.decision_to_originate.observe(max(0.0, decided_for), {"decision_id": lead.lead_id})
        if reserved.attempt == 1:
            self._metrics.first_dial.observe(max(0.0, min(callable_for, decided_for)))
