"""Who disturbs: at moments that are found by what has become of the events, not by the clock."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from ringback.records import Topic
from tests.chaos.feed import Feeder, Sent
from tests.chaos.fleet import MIB, Fleet, Worker
from tests.servers.process import Server

DEADLINE = 90.0
LOOK_SECONDS = 0.005
TAKEN_OVER = "ringback_stream_partitions"
HOPPER_UP = "ringback_stream_hopper_up"
# Kafka's client reads ahead, and frees what it has read when Python sees fit.
MOST_GROWTH = 48 * MIB
SECONDS_OF_JUMPS = (-86_400.0, -3600.0, -40.0, 40.0, 3600.0, 86_400.0)


class StuckError(Exception):
    """The workers did not go on."""


class Delays(Protocol):
    """The way to the broker; ``latency`` is what it adds to each answer, seconds."""

    latency: float


class Progress:
    """How far the workers have come, by what they have written to Kafka."""

    def __init__(self, consumer: AIOKafkaConsumer, changelog: str, partitions: int) -> None:
        self._consumer = consumer
        self._states = [TopicPartition(changelog, number) for number in range(partitions)]
        self._decisions = [TopicPartition(Topic.DECISIONS, number) for number in range(partitions)]

    async def written(self) -> int:
        """Records in the changelog, ever."""
        return await self._ends(self._states)

    async def decided(self) -> int:
        """Decisions published, ever."""
        return await self._ends(self._decisions)

    async def _ends(self, tops: list[TopicPartition]) -> int:
        while True:
            try:
                return sum((await self._consumer.end_offsets(tops)).values())
            except KafkaError:  # the broker is away
                await asyncio.sleep(0.1)


class Disturber:
    """Takes the disturbances of a deck one after the other, while the events are fed."""

    def __init__(
        self,
        fleet: Fleet,
        feeder: Feeder,
        progress: Progress,
        broker: Server,
        redis: Server,
        way: Delays,
        backlog: Iterable[Sent],
        rng: Random,
    ) -> None:
        self.journal: list[str] = []
        self.kills = 0
        self._fleet = fleet
        self._feeder = feeder
        self._progress = progress
        self._broker = broker
        self._redis = redis
        self._way = way
        self._backlog = backlog
        self._rng = rng
        self._began = time.monotonic()
        self._slow_until = -1
        self._regular = list(fleet.workers)
        self._actions: dict[str, Callable[[], Awaitable[None]]] = {
            "kill": self._kill,
            "kill two": self._kill_two,
            "rejoin": self._rejoin,
            "join and leave": self._join_and_leave,
            "zombie": self._zombie,
            "clock": self._clock,
            "broker": self._restart_broker,
            "redis": self._restart_redis,
            "redis away": self._redis_away,
        }

    async def run(self, deck: list[str]) -> None:
        """All that is in the deck; the events are spread over it evenly."""
        for step, name in enumerate(deck):
            target = self._feeder.events + (self._feeder.total - self._feeder.events) // (len(deck) - step + 1)
            feeding = asyncio.create_task(self._feeder.up_to(target))
            await self._moment()
            if name == "slow broker":
                self._way.latency = self._rng.uniform(0.02, 0.06)
                self._slow_until = step + 3
                self._note(f"the broker answers {self._way.latency * 1000:.0f} ms later")
            else:
                await self._actions[name]()
            if step == self._slow_until:
                self._way.latency = 0.0
                self._note("the broker is as fast as before")
            await feeding
        self._way.latency = 0.0
        await self._feeder.up_to(self._feeder.total)

    async def _moment(self) -> None:
        """A random moment after the workers have gone on since this was called."""
        written, decided = await self._progress.written(), await self._progress.decided()
        more = self._rng.randrange(1, 30)
        sign = self._rng.choice(("states", "states", "decisions"))
        deadline = time.monotonic() + DEADLINE
        while True:
            states = await self._progress.written() - written
            if states >= more if sign == "states" else states and await self._progress.decided() > decided:
                return
            # A chunk of events may hold less than was hoped for.
            if states and not await self._growing(written + states):
                return
            if time.monotonic() > deadline:
                raise StuckError(f"nothing was written within {DEADLINE:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)

    async def _growing(self, before: int) -> bool:
        for _ in range(10):
            await asyncio.sleep(LOOK_SECONDS * 4)
            if await self._progress.written() > before:
                return True
        return False

    async def _some_ready(self, least: int = 1) -> list[Worker]:
        deadline = time.monotonic() + DEADLINE
        while len(ready := await self._fleet.ready()) < least:
            if time.monotonic() > deadline:
                states = ", ".join(f"{w.label}: {w.health('readyz')}" for w in self._fleet.workers if w.alive)
                raise StuckError(f"no {least} workers are ready within {DEADLINE:.0f} s ({states})")
            await asyncio.sleep(0.05)
        return ready

    async def _kill(self, count: int = 1) -> None:
        ready = await self._some_ready(count)
        starting = [worker for worker in self._regular if worker.alive and worker not in ready]
        # Mostly one that works; at times one that has not begun to, or is being given its partitions.
        if count == 1 and starting and self._rng.random() < 0.15:
            ready = starting
        for worker in self._rng.sample(ready, count):
            worker.kill()
            self.kills += 1
            self._note(f"kill -9 of {worker.label}")
            worker.launch()

    async def _kill_two(self) -> None:
        await self._kill(2)

    async def _rejoin(self) -> None:
        worker = self._rng.choice(await self._some_ready())
        self._note(f"SIGTERM to {worker.label}")
        await self._leave(worker)
        worker.launch()

    async def _leave(self, worker: Worker) -> None:
        if fault := await worker.leave():
            self._fleet.faults.append(fault)

    async def _join_and_leave(self) -> None:
        worker = self._fleet.add(f"guest-{len(self._fleet.workers)}", self._regular[0].settings)
        worker.launch()
        self._note(f"{worker.label} joins")
        deadline = time.monotonic() + DEADLINE
        while worker not in await self._fleet.ready():
            if time.monotonic() > deadline:
                raise StuckError(f"{worker.label} was given no partitions within {DEADLINE:.0f} s")
            await asyncio.sleep(0.05)
        await self._next_events()
        self._note(f"{worker.label} leaves")
        await self._leave(worker)

    async def _next_events(self) -> None:
        """More events, until the workers have gone on."""
        feeding = asyncio.create_task(self._feeder.up_to(self._feeder.events + 200))
        await self._moment()
        await feeding

    async def _zombie(self) -> None:
        worker = self._rng.choice(await self._some_ready(2))
        worker.pause()
        self._note(f"{worker.label} is frozen")
        deadline = time.monotonic() + DEADLINE
        while await self._fleet.total(TAKEN_OVER) < len(self._progress._states):
            if time.monotonic() > deadline:
                raise StuckError(f"the others did not take over from {worker.label} within {DEADLINE:.0f} s")
            await asyncio.sleep(0.05)
        await self._next_events()
        worker.resume()
        self._note(f"{worker.label} wakes up")

    async def _clock(self) -> None:
        worker, offset = self._rng.choice(self._regular), self._rng.choice(SECONDS_OF_JUMPS)
        worker.set_clock(offset)
        self._note(f"the clock of {worker.label} is off by {offset:.0f} s")

    async def _restart_broker(self) -> None:
        self._note("the broker is killed")
        self._broker.kill()
        await asyncio.to_thread(self._broker.start)
        self._note("the broker is there again")

    async def _restart_redis(self) -> None:
        self._note("Redis is killed")
        self._redis.kill()
        await asyncio.to_thread(self._redis.start)
        self._note("Redis is there again")

    async def _redis_away(self) -> None:
        """Long enough for all to stop; what is published meanwhile lies in Kafka, not in the workers."""
        await self._some_ready(len(self._regular))
        self._redis.kill()
        self._note("Redis is away")
        deadline = time.monotonic() + DEADLINE
        while await self._fleet.total(HOPPER_UP) > 0:
            await self._feeder.up_to(self._feeder.events + 20)
            if time.monotonic() > deadline:
                raise StuckError(f"workers did not miss Redis within {DEADLINE:.0f} s")
        before = {worker.label: worker.resident() for worker in self._regular}
        stopped = await self._progress.written()
        for sent in self._backlog:
            await self._feeder.publish([sent])
        # What is to be read ahead has been read when it does not become more.
        sizes = await self._settled()
        if (more := await self._progress.written() - stopped) > 0:
            self._fleet.faults.append(f"{more} states were written while Redis was away")
        for worker in self._regular:
            growth = sizes[worker.label] - before[worker.label]
            self._note(f"{worker.label} grew by {growth / MIB:.1f} MiB, to {sizes[worker.label] / MIB:.0f} MiB")
            if growth > MOST_GROWTH:
                self._fleet.faults.append(f"{worker.label} grew by {growth / MIB:.0f} MiB while Redis was away")
        await asyncio.to_thread(self._redis.start)
        self._note("Redis is there again")

    async def _settled(self) -> dict[str, int]:
        deadline, same = time.monotonic() + DEADLINE, 0
        sizes: dict[str, int] = {}
        while same < 8 and time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            now = {worker.label: worker.resident() for worker in self._regular}
            same = same + 1 if all(now[key] < sizes.get(key, 0) + MIB for key in now) else 0
            sizes = {key: max(now[key], sizes.get(key, 0)) for key in now}
        return sizes

    def _note(self, what: str) -> None:
        self.journal.append(f"{time.monotonic() - self._began:7.2f} s, {self._feeder.events:6d} events: {what}")
