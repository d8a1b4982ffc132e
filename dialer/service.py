"""The dialer of one campaign: takes leads from the hopper as fast as the pacer allows, and calls them.

It dials only while it holds the campaign's lease, Redis, Kafka and Asterisk can be reached, and it is known what lives
in Asterisk. Whatever is away is waited for; the dialer need not be restarted.
"""

import asyncio
import logging
import time
from uuid import uuid4

from redis.asyncio import Redis

from dialer import wallboard, withdrawals
from dialer.ami import ActionRefused, Ami, NotConnected, OutcomeUnknown
from dialer.calls import OriginateFailed, State
from dialer.compliance.attempts import Caps
from dialer.compliance.check import forbidden
from dialer.contacts import Contacts
from dialer.hopper import Hopper, Refusal, Refused
from dialer.lease import Lease
from dialer.pacing import Pacer, Progressive
from dialer.reconcile import reconcile
from dialer.switchboard import Switchboard
from ringback.decisions import Lead
from ringback.errors import Unavailable
from ringback.metrics import DialerMetrics
from ringback.records import ContactKind
from ringback.settings import Settings

log = logging.getLogger(__name__)

ACKNOWLEDGE_SECONDS = 3.0
DIAL_SECONDS = 0.25
TICK_SECONDS = 0.5
LOOK_SECONDS = 1.0
SAY_SECONDS = 1.0
ALIVE_SECONDS = 10.0
HOUR = 3600.0
# Beyond the ring time: who has heard nothing of a call by then asks Asterisk.
OVERDUE_SECONDS = 10.0


class Dialer:
    """Run `run` in a task; `stop` ends the dialling, `drained` tells when the last call is over."""

    def __init__(self, settings: Settings, redis: Redis, metrics: DialerMetrics, pacer: Pacer | None = None) -> None:
        self._settings = settings
        self._redis = redis
        self._metrics = metrics
        self._clock = settings.simulation.clock()
        self._pacer = pacer or Progressive()
        self._hopper = Hopper(redis, settings.dialer.campaign, Caps.of(settings.compliance))
        self._lease = Lease(self._hopper, settings.dialer.lease, self._look_anew)
        self._contacts = Contacts(settings.kafka)
        self._board = Switchboard(
            settings, self._hopper, self._contacts, metrics, self._pacer, lambda: self._lease.may_route
        )
        self._ami = Ami(settings.ami, self._board.on_event, self._linked, self._unlinked, observe=self._observe)
        self._board.use(self._ami)
        self._sure = False  # it is known what lives in Asterisk
        self._look_at = 0.0  # when to reconcile again, monotonic; infinite: no need
        self._looked = 0.0
        self._next_slot = 0.0
        self._ticked = time.monotonic()
        self._stopping = False
        self._obstacle: str | None = "it has not begun"
        self._obstacle_since = time.monotonic()
        self._said: str | None = self._obstacle

    @property
    def ready(self) -> dict[str, bool]:
        """What must be there to dial."""
        return {"ami": self._ami.connected, "redis": self._lease.reachable, "kafka": self._contacts.ready}

    @property
    def alive(self) -> bool:
        """Whether the event loop turns."""
        return time.monotonic() - self._ticked < ALIVE_SECONDS

    @property
    def unsent(self) -> int:
        """Contact events that Kafka has not acknowledged yet."""
        return self._contacts.unsent

    async def run(self) -> None:
        """Dial until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._contacts.run())
                tasks.create_task(self._ami.run())
                tasks.create_task(self._lease.keep())
                tasks.create_task(withdrawals.watch(self._hopper, self._board))
                tasks.create_task(self._dial())
                tasks.create_task(self._keep_house())
        finally:
            await self._board.close()

    def stop(self) -> None:
        """Start no more calls."""
        self._stopping = True

    async def drained(self) -> None:
        """Wait until no call lives and all is on record."""
        while self._board.busy() or self.unsent:
            await self._news()

    async def release(self) -> None:
        """Let another dialer take the campaign."""
        await self._lease.release()

    def _linked(self) -> None:
        self._metrics.ami_connected.set(1)
        self._look_anew()

    def _unlinked(self) -> None:
        self._metrics.ami_connected.set(0)
        self._sure = False

    def _look_anew(self) -> None:
        self._sure = False
        self._look_at = 0.0
        self._board.changed.set()

    def _observe(self, action: str, seconds: float) -> None:
        self._metrics.ami_action.labels(action).observe(seconds)

    # Whatever reserves, launches or reconciles happens in this one task, one after the other.

    async def _dial(self) -> None:
        while True:
            try:
                await self._look()
                self._say(self._what_hinders())
                if self._obstacle is None:
                    await self._place()
            except NotConnected as error:
                log.debug("%s", error)
            except Unavailable as error:
                self._lease.unreachable(error)
            except (OutcomeUnknown, ActionRefused) as error:
                self._say(str(error))
            await self._news()

    async def _news(self) -> None:
        """Wait for news from the floor, at most a moment."""
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                await self._board.changed.wait()
        except TimeoutError:
            return
        self._board.changed.clear()

    async def _look(self) -> None:
        """Reconcile when it is time to."""
        now = time.monotonic()
        late = self._settings.dialer.ring_timeout + OVERDUE_SECONDS
        ringing = [live for live in self._board.calls.values() if live.call.state is State.ORIGINATING]
        due = now >= self._look_at or any(now - live.began > late for live in ringing)
        if not due or now - self._looked < LOOK_SECONDS * self._sure or not self._ami.connected or not self._lease.held:
            return
        self._looked = now
        done = await reconcile(self._hopper, self._ami, self._board, self._metrics, self._clock.now())
        self._look_at = float("inf") if done else now + LOOK_SECONDS
        self._sure = True

    def _what_hinders(self) -> str | None:
        for hinders, why in (
            (self._stopping, "the dialer is being stopped"),
            (not self._lease.reachable, "Redis can't be reached (redis.url)"),
            (not self._lease.held, "another dialer holds the campaign"),
            (not self._ami.connected, "there is no link to Asterisk (ami.host, ami.port)"),
            (not self._contacts.ready, "Kafka does not take contact events (kafka.bootstrap)"),
            (not self._sure, "it is not known yet which calls live in Asterisk"),
        ):
            if hinders:
                return why
        return None

    def _say(self, obstacle: str | None) -> None:
        """Log what hinders, once and only when it lasts."""
        now = time.monotonic()
        if obstacle != self._obstacle:
            self._obstacle, self._obstacle_since = obstacle, now
        if obstacle == self._said or (obstacle and now - self._obstacle_since < SAY_SECONDS):
            return
        self._said = obstacle
        if obstacle:
            log.warning("nobody is called: %s", obstacle)
        else:
            log.info("dialling campaign %s", self._settings.dialer.campaign)

    async def _place(self) -> None:
        wanted = self._wanted()
        if wanted <= 0:
            return
        for lead in await self._hopper.candidates(self._clock.now(), wanted):
            await self._slot()
            if self._wanted() <= 0 or self._what_hinders():
                return
            await self._call(lead)

    def _wanted(self) -> int:
        now = time.monotonic()
        floor = self._board.floor(now)
        allowed = self._board.breaker.allowance(now, len(floor.in_flight))
        wanted = self._pacer.decide(now, floor)
        return wanted if allowed is None else min(wanted, allowed)

    async def _slot(self) -> None:
        """Keep to so many originates a second."""
        now = time.monotonic()
        await asyncio.sleep(max(0.0, self._next_slot - now))
        self._next_slot = max(now, self._next_slot) + 1.0 / self._settings.dialer.calls_per_second

    async def _call(self, lead: Lead) -> None:
        """Reserve, put on record, look once more, originate."""
        now = self._clock.now()
        rule = forbidden(lead, now, self._settings)
        if rule is not None:
            self._metrics.blocked.labels(rule.value).inc()
            if await self._hopper.drop(lead.lead_id, rule.value):
                self._board.tell(ContactKind.REFUSED, lead, lead.lead_id, detail=rule.value)
            return
        call_id = uuid4().hex
        reserved = await self._hopper.reserve(lead.lead_id, call_id, now, self._lease.token)
        if isinstance(reserved, Refused):
            self._refused(reserved)
            return
        self._board.open(call_id, lead)
        told = self._board.tell(ContactKind.ATTEMPTED, lead, call_id)
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                await asyncio.shield(told)
            refusal = await self._hopper.launch(call_id, self._clock.now(), self._lease.token)
        except TimeoutError:
            self._board.undo(call_id, "Kafka did not take the attempt")
        except Unavailable as error:
            self._board.undo(call_id, "Redis can't be reached")
            self._lease.unreachable(error)
        else:
            if refusal is None:
                await self._originate(lead, call_id)
            else:
                self._metrics.blocked.labels(refusal.value).inc()
                self._board.undo(call_id, refusal.value)

    def _refused(self, refused: Refused) -> None:
        self._metrics.blocked.labels(refused.reason.value).inc()
        if refused.reason is Refusal.NOT_LEADER:
            self._lease.lost()
        if refused.over is not None:
            self._board.tell(ContactKind.REFUSED, refused.over, refused.over.lead_id, detail=refused.reason.value)

    async def _originate(self, lead: Lead, call_id: str) -> None:
        dialer = self._settings.dialer
        headers: dict[str, str | int] = {
            "ActionID": call_id,
            "ChannelId": call_id,
            "Channel": dialer.channel.format(number=lead.phone.removeprefix("+")),
            "Context": "ringback-answered",
            "Exten": "s",
            "Priority": 1,
            "Async": "true",
            "Timeout": round(dialer.ring_timeout * 1000),
            "Variable": f"RINGBACK_CALL_ID={call_id}",
        }
        if dialer.caller_id:
            headers["CallerID"] = dialer.caller_id
        self._board.calls[call_id].began = time.monotonic()
        try:
            answer = await self._ami.send("Originate", **headers)
        except NotConnected:
            self._board.undo(call_id, "the link to Asterisk was lost")
            return
        except OutcomeUnknown as error:
            log.warning("call %s may have been placed: %s", call_id, error)
            self._look_at = 0.0
        else:
            if not answer.success:
                log.warning("Asterisk refuses call %s: %s", call_id, answer.message)
                self._board.signal(call_id, OriginateFailed(None, refused=True))
        self._metrics.originated.inc()
        if lead.decided_wall:
            self._metrics.decision_to_originate.observe(max(0.0, time.time() - lead.decided_wall))

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._board.tick(now, now - self._ticked)
            self._ticked = now
            self._metrics.leader.set(self._lease.held)
            if not (self._lease.reachable and self._lease.held):
                continue
            try:
                self._metrics.hopper.set(await self._hopper.size())
                queued = await self._hopper.callable_by(self._clock.now() + HOUR)
                await wallboard.publish(self._redis, self._settings.dialer.campaign, self._board.agents, now, queued)
                await self._report_expired()
            except Unavailable as error:
                self._lease.unreachable(error)

    async def _report_expired(self) -> None:
        expired = await self._hopper.expired()
        told = [self._board.tell(ContactKind.EXPIRED, lead, lead.lead_id) for lead in expired]
        if told:
            await asyncio.wait(told, timeout=ACKNOWLEDGE_SECONDS)
            await self._hopper.forget([lead.lead_id for lead, done in zip(expired, told, strict=True) if done.done()])
