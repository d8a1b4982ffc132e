"""The dialer of one campaign: takes leads from the hopper as fast as the pacer allows, and calls them.

It dials only while it holds the campaign's lease, Redis and Kafka can be reached, and only on the Asterisk servers
whose link stands and of which it is known what lives there. Whatever is away is waited for; the dialer need not be
restarted.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from panoramisk.message import Message
from redis.asyncio import Redis

from dialer import reconcile, wallboard, withdrawals
from dialer.ami import ActionRefused, Ami, NotConnected, OutcomeUnknown
from dialer.contacts import Contacts
from dialer.gauges import Gauges
from dialer.guard import AbandonmentGuard
from dialer.hopper import Hopper, Reserved
from dialer.journal import Journal
from dialer.launch import ACKNOWLEDGE_SECONDS, Launcher
from dialer.lease import Lease
from dialer.pacing import Pacing
from dialer.pacing.modes import pacer_for
from dialer.previews import Previews
from dialer.servers import Server, Slot, deal
from dialer.switchboard import Switchboard
from dialer.trunks import Trunk
from ringback import loop_lag
from ringback.dialer_settings import DialerSettings, Mode
from ringback.errors import Unavailable
from ringback.metrics import AgentState, DialerMetrics
from ringback.records import ContactKind, Outcome
from ringback.settings import Settings

log = logging.getLogger(__name__)

DIAL_SECONDS = 0.25
# Between two decisions: events come in bursts, and a burst is decided on as a whole.
BURST_SECONDS = 0.02
TICK_SECONDS = 0.5
LOOK_SECONDS = 1.0
SAY_SECONDS = 1.0
ALIVE_SECONDS = 10.0
HOUR = 3600.0
# Beyond the ring time: who has heard nothing of a call by then asks Asterisk.
OVERDUE_SECONDS = 10.0
MOST_AT_ONCE = 50


class Dialer:
    """Run `run` in a task; `stop` ends the dialling, `drained` tells when the last call is over."""

    def __init__(self, settings: Settings, redis: Redis, metrics: DialerMetrics) -> None:
        self._settings = settings
        self._redis = redis
        self._metrics = metrics
        self._clock = settings.simulation.clock()
        self._hopper = Hopper.of(redis, settings)
        self._lease = Lease(self._hopper, settings.dialer.lease, self._begin_anew, self._give_way)
        self._contacts = Contacts(settings.kafka)
        self._journal = Journal(settings, self._contacts)
        self._guard = AbandonmentGuard(settings, redis, metrics)
        self._servers = self._connect_to(settings)
        self._board = Switchboard(
            settings, self._hopper, self._journal, metrics, self._servers, self._guard, lambda: self._lease.may_route
        )
        self._launcher = Launcher(settings, self._hopper, self._journal, self._lease, self._board, metrics)
        self._previews = Previews(settings, self._hopper, self._launcher, self._board, self._slot_on)
        self._gauges = Gauges(settings, metrics, self._servers)
        self._adopted = False  # what another dialer left is taken over
        self._pause = DIAL_SECONDS
        self._ticked = time.monotonic()
        self._stopping = False
        self._obstacle: str | None = "it has not begun"
        self._obstacle_since = time.monotonic()
        self._said: str | None = self._obstacle

    def _connect_to(self, settings: Settings) -> Mapping[str, Server]:
        servers = {}
        for name, place in settings.ami.each().items():
            ami = Ami(
                place,
                partial(self._heard, name),
                partial(self._linked, name),
                partial(self._unlinked, name),
                observe=self._observe,
            )
            trunks = {key: Trunk(key, trunk) for key, trunk in settings.dialer.trunks_of(name).items()}
            servers[name] = Server(name, ami, trunks, self._pacer(settings.dialer, name))
        return servers

    def _pacer(self, dialer: DialerSettings, server: str) -> Pacing:
        def uncovered(name: str) -> int:
            return self._board.uncovered(name)

        return pacer_for(dialer.mode, limit=dialer.abandoned_limit, guard=self._guard.of(server, uncovered))

    @property
    def ready(self) -> dict[str, bool]:
        """What must be there to dial."""
        linked = any(server.ami.connected for server in self._servers.values())
        return {"ami": linked, "redis": self._lease.reachable, "kafka": self._contacts.ready}

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
                tasks.create_task(self._lease.keep())
                tasks.create_task(loop_lag.watch(self._metrics.loop_lag))
                tasks.create_task(withdrawals.watch(self._hopper, self._board))
                for server in self._servers.values():
                    tasks.create_task(server.ami.run())
                    tasks.create_task(self._watch(server))
                tasks.create_task(self._dial())
                tasks.create_task(self._keep_house())
        finally:
            await self._board.chores.close()

    def stop(self) -> None:
        """Start no more calls."""
        self._stopping = True

    async def drained(self) -> None:
        """Wait until no call lives and all is on record."""
        while self._board.busy() or self.unsent:
            await self._news(DIAL_SECONDS)

    async def release(self) -> None:
        """Let another dialer take the campaign."""
        await self._lease.release()

    def _heard(self, server: str, message: Message) -> None:
        chosen = self._board.on_event(server, message)
        if chosen is not None:
            self._previews.chosen(chosen.call_id, chosen.agent_id, accepted=chosen.accepted)

    def _linked(self, server: str) -> None:
        self._servers[server].look_at = 0.0
        self._servers[server].wake.set()
        self._show_links()

    def _unlinked(self, server: str) -> None:
        self._servers[server].sure = False
        self._board.unlinked(server)
        self._show_links()

    def _show_links(self) -> None:
        self._metrics.ami_connected.set(all(server.ami.connected for server in self._servers.values()))

    def _begin_anew(self) -> None:
        """The campaign is ours (again): another may have dialled meanwhile."""
        self._adopted = False
        for server in self._servers.values():
            server.sure = False
        self._board.changed.set()

    def _give_way(self) -> None:
        """The campaign is another's, and so are its calls."""
        self._board.forget()
        self._previews.forget()

    def _observe(self, action: str, seconds: float) -> None:
        self._metrics.ami_action.labels(action).observe(seconds)

    async def _watch(self, server: Server) -> None:
        """Look at what lives on a server whenever that may be unknown. A server that hangs keeps no other waiting."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(DIAL_SECONDS):
                    await server.wake.wait()
            server.wake.clear()
            now = time.monotonic()
            if not (self._adopted and self._lease.held and server.ami.connected and self._is_due(server, now)):
                continue
            server.looked = now
            try:
                done = await reconcile.look(server, self._board, self._metrics)
            except (NotConnected, OutcomeUnknown) as error:
                log.debug("%s", error)
            except ActionRefused as error:
                server.refusal = str(error)
            else:
                server.refusal = None
                server.look_at = float("inf") if done else now + LOOK_SECONDS
                server.sure = True

    def _is_due(self, server: Server, now: float) -> bool:
        late = self._settings.dialer.ring_timeout + OVERDUE_SECONDS
        wanted = now >= server.look_at or any(now - live.began > late for live in self._board.ringing(server.name))
        return not server.sure or (wanted and now - server.looked >= LOOK_SECONDS)

    # Whatever adopts, reserves or launches happens in this one task, one after the other.

    async def _dial(self) -> None:
        while True:
            self._pause = DIAL_SECONDS
            try:
                await self._adopt()
                await self._guard.save(self._lease.token)
                self._say(self._what_hinders())
                if self._obstacle is None:
                    await (self._preview() if self._settings.dialer.mode is Mode.PREVIEW else self._place())
            except Unavailable as error:
                self._lease.unreachable(error)
            await asyncio.sleep(BURST_SECONDS)
            await self._news(max(0.0, self._pause - BURST_SECONDS))

    async def _adopt(self) -> None:
        if self._adopted or not self._lease.held:
            return
        self._previews.forget()
        await self._guard.load()
        await reconcile.adopt(self._hopper, self._board, self._clock.now())
        self._adopted = True
        for server in self._servers.values():
            server.look_at = 0.0
            server.wake.set()

    async def _news(self, patience: float) -> None:
        """Wait for news from the floor, at most a moment."""
        try:
            async with asyncio.timeout(patience):
                await self._board.changed.wait()
        except TimeoutError:
            return
        self._board.changed.clear()

    def _what_hinders(self) -> str | None:
        servers = self._servers.values()
        refusal = next((server.refusal for server in servers if server.refusal), None)
        for hinders, why in (
            (self._stopping, "the dialer is being stopped"),
            (not self._lease.reachable, "Redis can't be reached (redis.url)"),
            (not self._lease.held, "another dialer holds the campaign"),
            (
                not any(server.ami.connected for server in servers),
                "there is no link to Asterisk (ami.host, ami.port, ami.servers)",
            ),
            (not self._contacts.ready, "Kafka does not take contact events (kafka.bootstrap)"),
            (
                not any(server.usable for server in servers),
                refusal or "it is not known yet which calls live in Asterisk",
            ),
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
        slots = self._slots(time.monotonic())
        if not slots:
            return
        promised = self._board.promised()
        idle = [
            agent.agent_id
            for agent in self._board.agents
            if agent.state is AgentState.IDLE and agent.agent_id not in promised and self._servers[agent.server].usable
        ]
        taken = await self._launcher.reserve(len(slots), idle)
        async with asyncio.TaskGroup() as calls:
            for reserved, asked in sorted(taken, key=lambda one: one[0].agent is None):
                calls.create_task(self._launcher.call(reserved, self._slot_for(reserved, slots), asked))

    async def _preview(self) -> None:
        await self._previews.round([server for server in self._servers.values() if server.usable])

    def _slots(self, now: float) -> list[Slot]:
        """Where calls may be started now. Every pacer decides every time: it learns by the clock of its decisions."""
        wanted = []
        for server in self._servers.values():
            if not server.usable:
                continue
            lines, room = self._room(server, now)
            floor = self._board.floor(server.name, now, sum(lines.values()))
            count = server.pacer.decide(now, floor)
            self._guard.claim(server.name, count - floor.uncovered)
            if count > sum(room.values()):
                pauses = [trunk.pause(now) for name, trunk in server.trunks.items() if lines[name] > room[name]]
                self._pause = min([self._pause, *pauses])
            wanted.append((server, min(count, MOST_AT_ONCE), room))
        return deal(wanted)

    def _room(self, server: Server, now: float) -> tuple[dict[str, int], dict[str, int]]:
        """By trunk: lines that are free, and how many of them may be used at once."""
        lines = {
            name: trunk.free_lines(now, *self._board.on_trunk(server.name, name))
            for name, trunk in server.trunks.items()
        }
        return lines, {name: min(free, server.trunks[name].tokens(now)) for name, free in lines.items()}

    def _slot_on(self, server: Server) -> Slot | None:
        """A place for one call that an agent has asked for."""
        return next(iter(deal([(server, 1, self._room(server, time.monotonic())[1])])), None)

    def _slot_for(self, reserved: Reserved, slots: list[Slot]) -> Slot:
        """Take a slot: on the server of the agent who promised the call, if there is one."""
        agent = self._board.agents.find(reserved.agent or "")
        slot = next((slot for slot in slots if agent and slot.server.name == agent.server), slots[0])
        slots.remove(slot)
        return slot

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._board.tick(now)
            self._gauges.show_floor(self._board, now - self._ticked, leading=self._lease.may_route)
            self._ticked = now
            self._guard.show()
            self._metrics.leader.set(self._lease.held)
            if not self._lease.reachable:
                continue
            try:
                # In standby too: what a former leader showed last would stand, whatever list is loaded since.
                await self._gauges.show_lists(self._hopper)
                if not self._lease.held:
                    continue
                await self._gauges.show_hopper(self._hopper)
                queued = await self._hopper.callable_by(self._clock.now() + HOUR)
                await wallboard.publish(self._redis, self._settings.dialer.campaign, self._board.agents, now, queued)
                await self._report_expired()
                await self._reclaim()
            except Unavailable as error:
                self._lease.unreachable(error)

    async def _reclaim(self) -> None:
        """Put on record that calls, which another process reserved and did not launch, will never be made."""
        for call in await self._hopper.reclaim(self._clock.now(), self._lease.token):
            if not self._board.knows(call.call_id):
                self._journal.tell(
                    ContactKind.ENDED, call.lead, call.call_id, outcome=Outcome.FAILED, detail="not placed: reclaimed"
                )

    async def _report_expired(self) -> None:
        expired = await self._hopper.expired()
        told = [self._journal.tell(ContactKind.EXPIRED, lead, lead.lead_id) for lead in expired]
        if told:
            await asyncio.wait(told, timeout=ACKNOWLEDGE_SECONDS)
            await self._hopper.forget([lead.lead_id for lead, done in zip(expired, told, strict=True) if done.done()])
