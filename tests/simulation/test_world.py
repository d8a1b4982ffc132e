"""The simulated world on an embedded broker: it trades, answers the telephone, and sees what must never happen."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import generate_latest

from ringback import kafka
from ringback.calling_hours import DEFAULT_HOURS
from ringback.embedded import EmbeddedServer, start_kafka
from ringback.errors import SettingsError
from ringback.metrics import NeverEvent
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, Disposition, Topic, decoder, encode
from ringback.scrape import Samples
from ringback.settings import Settings
from simulation.fates import Ending, Laws, draw
from simulation.world import World, WorldOptions
from tests.simulation.test_ami import Client

pytestmark = pytest.mark.skipif(find_spec("noida_db") is None, reason="the extra ringback[demo] is not installed")

SEED = 3
DEADLINE = 20.0
ALL_DAY = {"open": "00:00", "close": "24:00", "days": range(7)}
decode = decoder(CartEvent).decode


def made(**sections: object) -> Settings:
    return Settings.model_validate(sections)


class Playing:
    """A world that runs, and what it publishes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world = World(settings, WorldOptions(seed=SEED, agents=2, provider_port=0))
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.world.run(self.stop))
        self.events: list[CartEvent] = []

    async def read(self, count: int) -> None:
        consumer = AIOKafkaConsumer(
            Topic.CART_EVENTS.value, bootstrap_servers=self.settings.kafka.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            async with asyncio.timeout(DEADLINE):
                while len(self.events) < count:
                    record = await consumer.getone()
                    event = decode(record.value)
                    assert record.key == event.shopper_id.encode()
                    self.events.append(event)
        finally:
            await consumer.stop()

    async def named(self, contact_id: str, event: CartEvent, cart_id: str = "c1") -> None:
        contact = ContactEvent(
            contact_id=contact_id,
            lead_id="l1",
            shopper_id=event.shopper_id,
            cart_id=cart_id,
            channel=Channel.VOICE,
            kind=ContactKind.ATTEMPTED,
            time=event.time,
        )
        producer = await kafka.producer(self.settings.kafka)
        await producer.send_and_wait(Topic.CONTACTS.value, encode(contact), key=event.shopper_id.encode())
        await kafka.close(producer)

    def never(self) -> dict[str, int]:
        samples = Samples([generate_latest(self.world.metrics.registry).decode()])
        counts = samples.by("ringback_never_events_total", "event")
        return {name: round(count) for name, count in counts.items() if count}

    async def until_never(self, **wanted: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.never() != wanted:  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.02)

    def callable(self, ending: Ending) -> list[CartEvent]:
        """Who said yes to calls and whose first call ends so, one of each number; the shortest calls first."""
        by_number: dict[str, CartEvent] = {}
        for event in self.events:
            who = event.shopper
            if who and who.phone and who.consent and who.consent.voice:
                by_number.setdefault(who.phone[1:], event)
        fates = {number: draw(Laws(), SEED, number, 1) for number in by_number}
        such = [number for number, fate in fates.items() if fate.ending is ending]
        return [
            by_number[number] for number in sorted(such, key=lambda number: fates[number].ring + fates[number].talk)
        ]


@pytest.fixture
def broker(tmp_path: Path) -> EmbeddedServer:
    return start_kafka(tmp_path)


@pytest.fixture
async def playing(broker: EmbeddedServer) -> AsyncIterator[Playing]:
    now = time.time()
    settings = made(
        kafka={"bootstrap": broker.address, "partitions": 2},
        ami={"port": 0, "secret": "s3cret"},
        dialer={"channel": "Local/{number}@shoppers"},
        compliance={"hours": dict.fromkeys(DEFAULT_HOURS, ALL_DAY)},
        simulation={"enabled": True, "origin": 1_772_568_000.0, "wall_origin": now, "speed": 600.0},
    )
    await kafka.create_topics(settings.kafka)
    it = Playing(settings)
    try:
        await it.read(200)
        yield it
    finally:
        it.stop.set()
        with suppress(asyncio.CancelledError):
            await it.task
        await asyncio.to_thread(broker.stop)


async def login(playing: Playing) -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", playing.world._ami.port))
    await client.reader.readline()
    await client.ask("Login", ("Username", "ringback"), ("Secret", "s3cret"))
    await client.until(Event="FullyBooted")
    return client


def number(event: CartEvent) -> str:
    assert event.shopper is not None
    return str(event.shopper.phone)[1:]


async def test_a_call_goes_from_originate_to_disposition(playing: Playing) -> None:
    assert all(abs(event.received_wall - time.time()) < DEADLINE for event in playing.events)
    client = await login(playing)
    async with asyncio.timeout(DEADLINE):
        while int((await agents(client))["ListItems"]) < 2:  # noqa: ASYNC110 - Asterisk is asked, as after a reconnect
            await asyncio.sleep(0.05)
    shopper = playing.callable(Ending.HUMAN)[0]
    await playing.named("a" * 32, shopper)
    await client.originate("a" * 32, number(shopper))
    await client.until(Stage="answered")
    await client.ask(
        "Redirect", ("Channel", "a" * 32), ("Context", "ringback-connect"), ("Exten", "1001"), ("Priority", "1")
    )
    await client.until(Stage="connected", Agent="1001")
    reported = await client.until(UserEvent="RingbackDisposition", CallID="a" * 32, Agent="1001")
    assert Disposition(reported["Disposition"])
    assert playing.never() == {}
    client.writer.close()


async def agents(client: Client) -> dict[str, str]:
    await client.ask("CoreShowChannels")
    return await client.until(Event="CoreShowChannelsComplete")


async def test_what_must_never_happen_is_seen(playing: Playing) -> None:
    client = await login(playing)
    one, other = playing.callable(Ending.NO_ANSWER)[:2]
    await client.originate("a" * 32, number(one))
    await client.originate("b" * 32, number(one))
    await playing.until_never(**{NeverEvent.SECOND_CALL_AT_ONCE: 1})
    await client.originate("c" * 32, number(other))
    await playing.named("c" * 32, one)
    await playing.until_never(**{NeverEvent.SECOND_CALL_AT_ONCE: 1, NeverEvent.FORBIDDEN_CONTACT: 1})
    client.writer.close()


def test_the_world_is_not_played_on_real_settings() -> None:
    with pytest.raises(SettingsError, match=r"simulation\.enabled"):
        World(made(), WorldOptions(seed=1, agents=1, provider_port=0))
