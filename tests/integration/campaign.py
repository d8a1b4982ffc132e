"""A campaign on the real servers: leads in, calls out, and what became of each."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from dialer.hopper import Hopper, Offer
from dialer.service import Dialer
from ringback.call_records import CallEntry, CallRecord
from ringback.decisions import Lead
from ringback.metrics import DialerMetrics
from ringback.records import ContactEvent, ContactKind, Outcome, Topic, decoder
from ringback.redis_client import NATIONAL_LISTS, connect
from ringback.settings import Settings
from tests.dialer import waiting
from tests.dialer.leads import NOON, lead
from tests.dialer.world import read_contacts
from tests.servers.ami import AmiSession
from tests.servers.asterisk import Asterisk
from tests.servers.dialer import DialerProcess, through
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.shoppers import Kind

Value = str | int | float | bool
Servers = tuple[Asterisk, Redis, Kafka]

_contact = decoder(ContactEvent)
_entry = msgspec.json.Decoder(CallEntry)
# A phone that nobody answers takes 15 s, on an idle machine.
PATIENCE_S = 60.0
LOCAL = "Local/{number}@shoppers"
SIP = "PJSIP/{number}@carrier"
OUTCOMES = {
    Kind.HUMAN: {Outcome.CONNECTED},
    Kind.BUSY: {Outcome.BUSY},
    Kind.NO_ANSWER: {Outcome.NO_ANSWER},
    Kind.CONGESTION: {Outcome.CONGESTION},
    Kind.INVALID: {Outcome.INVALID},
    Kind.DECLINED: {Outcome.DECLINED},
    # Who leaves at once may be gone before the agent is there.
    Kind.HANGS_UP_EARLY: {Outcome.CONNECTED, Outcome.HUNG_UP},
}


async def until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds."""
    await waiting.until(condition, what, PATIENCE_S)


class Campaign:
    """A campaign of its own name, with a dialer in this process (`start`) or in one that can be killed (`process`)."""

    def __init__(
        self,
        servers: Servers,
        name: str = "",
        channel: str = LOCAL,
        dialer: Mapping[str, Value] | None = None,
        ami_port: int | None = None,
    ) -> None:
        asterisk, redis, kafka = servers
        self.name = name or uuid4().hex[:12]
        self.channel = channel
        self.sections: dict[str, dict[str, Value]] = {
            "ami": {
                "host": asterisk.host,
                "port": ami_port or asterisk.port,
                "user": asterisk.user,
                "secret": asterisk.secret,
                "ping_interval": 0.5,
                "action_timeout": 2.0,
                "reconnect_max": 0.5,
            },
            "redis": {"url": redis.url},
            "kafka": {"bootstrap": kafka.bootstrap},
            "simulation": {"enabled": True, "origin": NOON, "wall_origin": time.time()},
            "dialer": {
                "campaign": self.name,
                "mode": "progressive",
                "channel": LOCAL,
                "calls_per_second": 50.0,
                "wrap_up": 0.0,
                "lease": 2.0,
                "ring_timeout": 15.0,
                **(dialer or {}),
            },
        }
        self.settings = through(Settings.model_validate(self.sections), channel)
        self.redis = connect(self.settings.redis)
        self.hopper = Hopper.of(self.redis, self.settings)
        self.dialer = Dialer(self.settings, self.redis, DialerMetrics())
        self._task: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        """Business time."""
        return self.settings.simulation.clock().now()

    def start(self) -> None:
        self._task = asyncio.create_task(self.dialer.run())

    def process(self) -> DialerProcess:
        """A dialer of this campaign as a process of its own, not started yet."""
        values = {f"RINGBACK_{part}__{key}".upper(): str(value) for part, key, value in self._flat()}
        return DialerProcess(values, self.channel)

    def _flat(self) -> list[tuple[str, str, Value]]:
        return [(part, key, value) for part, values in self.sections.items() for key, value in values.items()]

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            await self.dialer.release()
        await self.redis.aclose()

    async def offer(self, *leads: Lead) -> None:
        await self.redis.hset(NATIONAL_LISTS, mapping={one.country: repr(NOON) for one in leads})
        for one in leads:
            assert await self.hopper.offer(one, NOON) is Offer.QUEUED

    async def offer_numbers(self, numbers: list[str], first: int = 0, **changes: object) -> None:
        """A lead for each number: lead ``first`` + n calls numbers[n]."""
        await self.offer(*(lead(first + n, phone=f"+{number}", **changes) for n, number in enumerate(numbers)))

    async def contacts(self, last: ContactKind, count: int = 1) -> list[ContactEvent]:
        return await read_contacts(self.settings.kafka, self.name, last, count, PATIENCE_S)

    async def history(self) -> list[ContactEvent]:
        """Every contact event of this campaign up to now."""
        return [
            event for event in map(_contact.decode, await self._read(Topic.CONTACTS)) if event.campaign == self.name
        ]

    async def records(self) -> dict[str, CallRecord]:
        """The record of each call of this campaign that has ended, by lead."""
        found = map(_entry.decode, await self._read(Topic.CALLS))
        calls = [one for one in found if isinstance(one, CallRecord) and one.campaign == self.name]
        return {one.lead_id: one for one in calls}

    async def _read(self, topic: Topic) -> list[bytes]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            places = [TopicPartition(topic.value, n) for n in range(self.settings.kafka.partitions)]
            consumer.assign(places)
            last = await consumer.end_offsets(places)
            found = []
            for place in places:
                while await consumer.position(place) < last[place]:
                    found.append((await consumer.getone(place)).value)
            return found
        finally:
            await consumer.stop()

    async def settled(self) -> None:
        await until(lambda: not self.dialer._board.busy(), "all calls are settled")


def ends(events: list[ContactEvent]) -> dict[str, ContactEvent]:
    """How each lead's only call ended, by lead."""
    ended = [event for event in events if event.kind is ContactKind.ENDED]
    counts = Counter(event.lead_id for event in ended)
    assert set(counts.values()) <= {1}, counts
    return {event.lead_id: event for event in ended}


async def agents(tester: AmiSession, count: int, first: int) -> list[str]:
    """Nail up so many agents, ids from ``first`` on; the legs."""
    return [await tester.log_in_agent(str(first + n)) for n in range(count)]


def mixed(count: int) -> list[str]:
    """Numbers of all kinds, the same kinds each time; a tenth of them rings for ever."""
    areas = (212, 315, 617, 412, 814, 919)
    return [f"1{areas[n % len(areas)]}555{100 + (n * 7) % 100:04d}" for n in range(count)]
