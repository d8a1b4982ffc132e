"""The world of the demo, in one process: shoppers, their telephones, the call floor and the message provider.

``python -m simulation.world`` reads the settings as every process of Ringback does, and refuses to run unless
``simulation.enabled`` is true. Nothing here reaches anybody: the network is a loopback port, the numbers are fictional.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from ringback import kafka, logs, loop_lag, settings
from ringback.admin import AdminServer
from ringback.errors import RingbackError, SettingsError
from ringback.metrics import NeverEvent, WorldMetrics
from ringback.records import Channel, ContactEvent, ContactKind, Disposition, Topic, decoder, encode
from ringback.settings import Settings
from simulation.ami import AmiServer
from simulation.audit import Audit
from simulation.fates import Ending, Fate, Laws, draw
from simulation.floor import Floor
from simulation.provider import Posted, Provider
from simulation.shop import Shop
from simulation.telephone import Talk, Telephone

log = logging.getLogger(__name__)

TICK = 0.05
# The shop has been open for a while when the clock starts, so that the first carts are soon due.
HEAD_START = 900.0
# No shop sends a quarter of an hour in one moment: what is behind the clock is caught up with at 800 events a second.
MOST_EVENTS_A_TICK = 40
# As many visits as the floor can take calls from, whatever the clock's speed: a wall second and agent.
VISITS_PER_AGENT = 3.6
MOST_VISITS = 60.0
SHOPPERS = 20_000
# Probability that an order is rated afterwards.
RATED = 0.4
# A contact is named by its event at once; one that is not within this time stays unknown.
NAMED_WITHIN = 10.0
# A dialer that is being stopped too hears how its last calls ended, then leaves.
DIALER_LEAVES_WITHIN = 3.0
_decode_contact = decoder(ContactEvent).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What the world is made of."""

    seed: int
    agents: int
    provider_port: int


class World:
    """Joins the shop, the network, the floor and the provider; `run` ends with the process."""

    def __init__(self, configured: Settings, options: WorldOptions) -> None:
        if not configured.simulation.enabled:
            raise SettingsError("simulation.enabled: the simulated world needs true, came false")
        self._settings = configured
        self._seed = options.seed
        self._clock = configured.simulation.clock()
        self._laws = Laws()
        self.metrics = WorldMetrics()
        for ending in Ending:
            self.metrics.calls.labels(ending.value)
        visits = min(VISITS_PER_AGENT * options.agents, MOST_VISITS)
        self._shop = Shop(
            options.seed,
            visits_per_hour=visits * 3600 / self._clock.speed,
            shoppers=SHOPPERS,
            start=self._clock.at(self._clock.wall_origin) - HEAD_START,
            rated=RATED,
        )
        self._audit = Audit(configured.compliance, self._breach)
        self._contacts: dict[str, asyncio.Future[ContactEvent]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._telephone = Telephone(self._fate, dialled=self._dialled, talked=self._talked)
        self._ami = AmiServer(
            self._telephone,
            user=configured.ami.user,
            secret=configured.ami.secret.get_secret_value(),
            host=configured.ami.host,
            port=configured.ami.port,
        )
        self._floor = Floor(
            self._telephone,
            seed=options.seed,
            agents=options.agents,
            talk_pace=self._laws.pace.talk,
            reported=self._reported,
        )
        self._provider = Provider(options.provider_port, self._received)

    async def run(self, stop: asyncio.Event) -> None:
        """Play until ``stop`` is set."""
        producer = await kafka.producer(self._settings.kafka)
        consumer = AIOKafkaConsumer(
            Topic.CONTACTS.value,
            bootstrap_servers=self._settings.kafka.bootstrap,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        await self._ami.start()
        self._provider.start()
        log.info("the network answers at %s:%d", self._settings.ami.host, self._ami.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                playing = [
                    tasks.create_task(loop_lag.watch(self.metrics.loop_lag), name="loop"),
                    tasks.create_task(self._trade(producer), name="shop"),
                    tasks.create_task(self._floor.run(), name="floor"),
                    tasks.create_task(self._listen(consumer), name="contacts"),
                ]
                await stop.wait()
                await self._telephone.end_calls()
                for task in playing:
                    task.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DIALER_LEAVES_WITHIN):
                    await self._ami.until_alone()
        finally:
            self._provider.stop()
            await self._ami.close()
            await self._telephone.close()
            await consumer.stop()
            await kafka.close(producer)

    async def _trade(self, producer: AIOKafkaProducer) -> None:
        """Publish what happens in the shop, in step with the business clock."""
        while True:
            for number, event in enumerate(self._shop.events_until(self._clock.now())):
                if number % MOST_EVENTS_A_TICK == MOST_EVENTS_A_TICK - 1:
                    await asyncio.sleep(TICK)
                stamped = msgspec.structs.replace(event, received_wall=time.time())
                await producer.send(Topic.CART_EVENTS.value, encode(stamped), key=event.shopper_id.encode())
                self._audit.published(event, stamped.received_wall)
                self.metrics.published.labels(event.kind.value).inc()
            await asyncio.sleep(TICK)

    async def _listen(self, consumer: AIOKafkaConsumer) -> None:
        """Learn from the contacts who was called or written to."""
        async for record in consumer:
            contact = _decode_contact(record.value)
            if contact.kind in (ContactKind.ATTEMPTED, ContactKind.SENT):
                named = self._named(contact.contact_id)
                if not named.done():
                    named.set_result(contact)

    def _named(self, contact_id: str) -> asyncio.Future[ContactEvent]:
        return self._contacts.setdefault(contact_id, asyncio.get_running_loop().create_future())

    def _spawn(self, contact_id: str, then: Callable[[ContactEvent], None]) -> None:
        """Call ``then(contact)`` as soon as a contact has its name."""

        async def wait() -> None:
            try:
                async with asyncio.timeout(NAMED_WITHIN):
                    contact = await asyncio.shield(self._named(contact_id))
            except TimeoutError:
                self.metrics.nameless.inc()
                log.warning("contact %s: no event on %s says whom it reached", contact_id, Topic.CONTACTS)
            else:
                then(contact)

        task = asyncio.create_task(wait(), name=f"contact {contact_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fate(self, number: str, attempt: int) -> Fate:
        fate = draw(self._laws, self._seed, number, attempt)
        self.metrics.calls.labels(fate.ending.value).inc()
        return fate

    def _dialled(self, channel_id: str, number: str) -> None:
        wall, business = time.time(), self._clock.now()
        self._audit.dialled(number, self._telephone.live_calls(number), business)
        self._spawn(channel_id, partial(self._audit.contacted, number=number, wall=wall, business=business))

    def _talked(self, talk: Talk) -> None:
        self._floor.talked(talk)
        seconds = talk.seconds / self._laws.pace.talk
        self._spawn(talk.channel_id, partial(self._persuade, channel=Channel.VOICE, seconds=seconds))

    def _reported(self, talk: Talk, disposition: Disposition) -> None:
        note = partial(self._audit.disposed, disposition=disposition, wall=time.time())
        self._spawn(talk.channel_id, note)

    def _received(self, posted: Posted) -> None:
        wall, business = time.time(), self._clock.now()
        self.metrics.messages.inc()
        number = posted.to.lstrip("+")
        self._spawn(posted.message_id, partial(self._audit.contacted, number=number, wall=wall, business=business))
        self._spawn(posted.message_id, partial(self._persuade, channel=Channel(posted.channel), seconds=None))

    def _persuade(self, contact: ContactEvent, *, channel: Channel, seconds: float | None) -> None:
        self._shop.contacted(contact.shopper_id, channel, self._clock.now(), seconds)

    def _breach(self, event: NeverEvent, what: str) -> None:
        log.error("never event %s: %s", event, what)
        self.metrics.never_events.labels(event.value).inc()


async def play(configured: Settings, options: WorldOptions) -> None:
    """Run the world until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    if not configured.admin.port:
        raise SettingsError("admin.port: the simulated world has no usual port; set RINGBACK_ADMIN__PORT")
    world = World(configured, options)
    admin = AdminServer(configured.admin, "world", world.metrics.registry, live={}, ready={})
    admin.start()
    try:
        await world.run(stop)
    finally:
        admin.stop()


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m simulation.world", description="The simulated world of the demo.")
    parser.add_argument("--seed", type=int, required=True, help="draws shoppers, calls and agents")
    parser.add_argument("--agents", type=int, required=True, help="how many agents work on the floor")
    parser.add_argument("--provider-port", type=int, required=True, help="where messages are posted")
    flags = parser.parse_args(arguments)
    try:
        configured = settings.load()
        logs.set_up(configured.log_level)
        options = WorldOptions(seed=flags.seed, agents=flags.agents, provider_port=flags.provider_port)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(play(configured, options))
    except RingbackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
