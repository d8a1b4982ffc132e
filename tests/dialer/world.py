"""A dialer between a fake Asterisk, a real Redis-protocol server and a real Kafka-protocol broker."""

import asyncio
import time
from contextlib import suppress
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from redis.asyncio import Redis

from dialer.hopper import Hopper, Offer
from dialer.service import Dialer
from ringback.decisions import Lead
from ringback.metrics import DialerMetrics
from ringback.records import ContactEvent, ContactKind, Topic, decoder
from ringback.redis_client import connect
from ringback.settings import KafkaSettings, RedisSettings, Settings
from tests.dialer.fake_ami import Action, FakeAmi
from tests.dialer.leads import NOON
from tests.dialer.waiting import PATIENCE_S, until
from tests.servers.embedded import EmbeddedKafka

_contact = decoder(ContactEvent)
PARTITIONS = 2


def leg(agent: str) -> Action:
    """The channel of an agent who is logged in."""
    return {
        "Uniqueid": f"leg-{agent}",
        "Context": "ringback-agent",
        "Exten": agent,
        "Application": "BridgeWait",
        "ChannelStateDesc": "Up",
    }


def talk(call_id: str, agent: str) -> Action:
    """The channel of a shopper who talks to an agent."""
    return {**leg(agent), "Uniqueid": call_id, "Context": "ringback-connect", "Application": "Bridge"}


class Pbx(FakeAmi):
    """A fake Asterisk. ``channels`` is what it shows when it is asked."""

    def __init__(self) -> None:
        super().__init__(self._reply_to)
        self.channels: list[Action] = []

    def _reply_to(self, action: Action) -> list[Action]:
        if action["Action"] == "CoreShowChannels":
            listed = [{"Event": "CoreShowChannel", **channel} for channel in self.channels]
            return [{"Response": "Success"}, *listed, {"Event": "CoreShowChannelsComplete"}]
        return [{"Response": "Success"}]

    async def agent(self, agent: str, state: str) -> None:
        """An agent's leg comes, goes or takes a break, once somebody has looked at what lives here."""
        await self.wait_for("CoreShowChannels")
        self.channels = [channel for channel in self.channels if channel["Uniqueid"] != f"leg-{agent}"]
        if state != "gone":
            self.channels.append(leg(agent))
        self.user_event("RingbackAgent", Agent=agent, State=state)

    def stage(self, call_id: str, stage: str, **more: object) -> None:
        self.user_event("Ringback", Stage=stage, CallID=call_id, Timestamp=time.time(), **more)

    def response(self, call_id: str, reason: int = 4) -> None:
        word = "Success" if reason == 4 else "Failure"
        self.event("OriginateResponse", ActionID=call_id, Uniqueid=call_id, Response=word, Reason=reason)

    def hangup(self, call_id: str, cause: int = 16, state: str = "Up") -> None:
        self.event("Hangup", Uniqueid=call_id, Cause=cause, ChannelStateDesc=state, Timestamp=time.time())


class World:
    """One campaign of its own name, on one server or on several that are called a, b, …"""

    def __init__(
        self,
        redis_settings: RedisSettings,
        broker: EmbeddedKafka,
        *,
        servers: int = 1,
        scrubbed_elsewhere: tuple[str, ...] = ("US",),
        **dialer: object,
    ) -> None:
        self.pbxs = [Pbx() for _ in range(servers)]
        self.pbx = self.pbxs[0]
        self._broker = broker
        self._redis_settings = redis_settings
        # The numbers are of those kept for fiction, which are on no list.
        self._scrubbed = scrubbed_elsewhere
        self._changes = {"wrap_up": 0.0, "lease": 2.0, "calls_per_second": 100.0, "mode": "progressive", **dialer}
        self._tasks: list[asyncio.Task[None]] = []
        self.campaign = uuid4().hex[:12]
        self.redis: Redis = connect(redis_settings)
        self.hopper = Hopper(self.redis, self.campaign)
        self.metrics = DialerMetrics()
        self.dialer: Dialer | None = None

    @property
    def channels(self) -> list[Action]:
        return self.pbx.channels

    async def open(self) -> None:
        """Start the servers that stand for Asterisk, on an empty Redis."""
        await self.redis.flushall()
        for pbx in self.pbxs:
            await pbx.start()

    def settings(self) -> Settings:
        ami = self.pbx.settings(action_timeout=2.0).model_dump()
        if len(self.pbxs) > 1:
            ami["servers"] = {name: f"127.0.0.1:{pbx.port}" for name, pbx in zip("abcd", self.pbxs, strict=False)}
        return Settings.model_validate(
            {
                "ami": ami,
                "redis": self._redis_settings,
                "kafka": self._broker.kafka_settings(partitions=PARTITIONS, request_timeout=5.0),
                "simulation": {"enabled": True, "origin": NOON, "wall_origin": time.time()},
                "compliance": {"scrubbed_elsewhere": self._scrubbed},
                "dialer": {"campaign": self.campaign, "channel": "Local/{number}@shoppers", **self._changes},
            }
        )

    async def start(self) -> Dialer:
        """Start a dialer, a new process as far as it knows. Others that run go on."""
        self.dialer = Dialer(self.settings(), self.redis, self.metrics)
        self._tasks.append(asyncio.create_task(self.dialer.run()))
        return self.dialer

    async def crash(self) -> None:
        """The dialer that was started first is gone, as after kill -9: it gives nothing back."""
        await _end(self._tasks.pop(0))

    async def kill(self) -> None:
        """End the dialers where they stand."""
        while self._tasks:
            await self.crash()
        if self.dialer:
            await self.dialer.release()

    async def close(self) -> None:
        await self.kill()
        for pbx in self.pbxs:
            await pbx.stop()
        await self.redis.aclose()

    async def offer(self, *leads: Lead) -> None:
        for lead in leads:
            assert await self.hopper.offer(lead, NOON) is Offer.QUEUED

    async def agent(self, agent: str, state: str = "ready") -> None:
        await until(lambda: self.dialer and self.dialer.ready["ami"], "the link to Asterisk")
        await self.pbx.agent(agent, state)

    async def originated(self, count: int = 1) -> str:
        """The id of the ``count``-th call."""
        return (await self.pbx.wait_for("Originate", count))["ChannelId"]

    def stage(self, call_id: str, stage: str, **more: object) -> None:
        self.pbx.stage(call_id, stage, **more)

    def response(self, call_id: str, reason: int = 4) -> None:
        self.pbx.response(call_id, reason)

    def hangup(self, call_id: str, cause: int = 16, state: str = "Up") -> None:
        self.pbx.hangup(call_id, cause, state)

    async def contacts(self, last: ContactKind, count: int = 1) -> list[ContactEvent]:
        """Every contact event of this campaign, once the ``count``-th of kind ``last`` is written."""
        return await read_contacts(self.settings().kafka, self.campaign, last, count)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def read_contacts(
    kafka: KafkaSettings, campaign: str, last: ContactKind, count: int, patience: float = PATIENCE_S
) -> list[ContactEvent]:
    """Every contact event of a campaign, once the ``count``-th of kind ``last`` is written."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(Topic.CONTACTS.value, n) for n in range(kafka.partitions)])
    found: list[ContactEvent] = []
    try:
        async with asyncio.timeout(patience):
            while sum(event.kind is last for event in found) < count:
                record = await consumer.getone()
                event = _contact.decode(record.value)
                if event.campaign == campaign:
                    assert record.key == event.shopper_id.encode()
                    found.append(event)
    except TimeoutError:
        raise TimeoutError(f"fewer than {count} {last} among {[event.kind for event in found]}") from None
    finally:
        await consumer.stop()
    return found
