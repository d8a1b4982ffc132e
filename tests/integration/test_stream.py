"""The stream worker on Apache Kafka and Redis: a real log, and workers that die and join in the middle of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from dialer.hopper import Hopper
from ingest.logs import read
from ingest.replay import replay
from ringback.decisions import Decision, Lead
from ringback.records import CartEvent, Topic
from ringback.redis_client import connect
from ringback.settings import Settings, load
from scoring.model import Model, default_model_folder
from simulation.people import person
from stream.carts import ShopperState, decode_state
from stream.partition import Partition
from tests.integration import topics
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess
from tests.stream.shop import HeldStates

CHANGELOG = "ringback-stream-shoppers-changelog"
DEADLINE = 120.0
TAKEN = "ringback_stream_events_total"
SHOPPERS = "ringback_stream_shoppers"
REPEATED = "ringback_stream_repeated_events_total"


def environment(broker: Kafka, redis_server: Redis, log_file: Path) -> dict[str, str]:
    """Settings of workers that live at the end of the log, and wait for events alone."""
    last = max(event.time for event in read(log_file, "rees46") if isinstance(event, CartEvent))
    return {
        "RINGBACK_KAFKA__BOOTSTRAP": broker.bootstrap,
        "RINGBACK_REDIS__URL": redis_server.url,
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(last + 60),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(time.time()),
        "RINGBACK_STREAM__IDLE_AFTER": "3600",
        # Nine of ten carts of this log are filled in its last half hour.
        "RINGBACK_STREAM__ABANDON_AFTER": "180",
    }


def configured(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> Settings:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    return load()


async def expected(settings: Settings) -> dict[int, Partition]:
    """What the pure code makes of the records that lie in Kafka."""
    model = Model.load(default_model_folder())
    clock, numbers = settings.simulation.clock(), range(settings.kafka.partitions)
    parts = {number: Partition(number, settings, clock, model, HeldStates()) for number in numbers}
    for record in await topics.records(settings.kafka.bootstrap, Topic.CART_EVENTS):
        parts[record.partition].records(record.key, record.value or b"", record.offset, record.timestamp / 1000)
    return parts


def states_of(parts: dict[int, Partition]) -> dict[bytes, ShopperState | None]:
    return {key: part.states.get(key) for part in parts.values() for key in part.states.keys()}  # noqa: SIM118 - a shelf, no dict


def essence(decision: Decision) -> Decision:
    return msgspec.structs.replace(decision, due_wall=0.0, decided_wall=0.0)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE:.0f} s"
        await asyncio.sleep(0.1)


async def waiting_leads(settings: Settings, lead_ids: list[str]) -> list[Lead]:
    """Those of the leads that the hopper holds."""
    redis = connect(settings.redis)
    try:
        return [lead async for lead in Hopper(redis, settings.dialer.campaign).each() if lead.lead_id in lead_ids]
    finally:
        await redis.aclose()


async def test_a_real_log_gives_the_decisions_of_the_pure_functions(
    broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(broker, redis_server, log)
    settings = configured(monkeypatch, env)
    with RingbackProcess("stream", env) as worker:
        summary = await replay(settings, log, "rees46", people=person)
        await until(lambda: worker.total(TAKEN) == summary.events, "all events taken")
        parts = await expected(settings)
        wanted = [essence(decision) for part in parts.values() for decision in part.effects.decisions]
        await until(lambda: worker.total("ringback_decisions_total") == len(wanted), "all decisions published")
        made = [essence(decision) for decision in await topics.read(broker.bootstrap, Topic.DECISIONS, Decision)]
        abandoned = worker.total("ringback_carts_abandoned_total")
        by_route = {route: worker.total("ringback_decisions_total", route=route) for route in ("voice", "sms", "none")}
    assert len(wanted) > 40
    assert sorted(made, key=lambda d: d.decision_id) == sorted(wanted, key=lambda d: d.decision_id)
    assert abandoned == len(made)
    assert by_route == {route: sum(d.route == route for d in made) for route in by_route}

    states = topics.newest(await topics.records(broker.bootstrap, CHANGELOG))
    assert {key: decode_state(value) for key, value in states.items()} == states_of(parts)

    leads = await waiting_leads(settings, [one.decision_id for one in made if one.route == "voice"])
    assert leads
    assert all(2 <= len(lead.talking_points) <= 4 for lead in leads)
    assert any(lead.reasons for lead in leads)


async def test_a_worker_killed_and_another_joining_change_no_decision(
    broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(broker, redis_server, log)
    settings = configured(monkeypatch, env)
    with ExitStack() as stack:
        first = stack.enter_context(RingbackProcess("stream", env))
        second = RingbackProcess("stream", env)
        stack.callback(second.close)
        summary = await replay(settings, log, "rees46", people=person)
        await until(lambda: first.total(TAKEN) >= summary.events / 8, "the first worker is in the middle of it")
        first.kill()
        await asyncio.to_thread(second.start)
        await until(lambda: second.total(TAKEN) > 0, "the second worker is in the middle of it")
        await asyncio.to_thread(first.start)
        await until(lambda: first.total("ringback_stream_partitions") == settings.kafka.partitions / 2, "both share")
        parts = await expected(settings)
        wanted = {d.decision_id: essence(d) for part in parts.values() for d in part.effects.decisions}
        made: list[Decision] = []
        async for made in growing(broker):
            if {decision.decision_id for decision in made} >= wanted.keys():
                break
        # What the second worker held of partitions that the first took back is dropped.
        shoppers = len(states_of(parts))
        await until(lambda: first.total(SHOPPERS) + second.total(SHOPPERS) == shoppers, "each shopper is held once")
    assert sorted(decision.decision_id for decision in made) == sorted(wanted)
    assert {decision.decision_id: essence(decision) for decision in made} == wanted


async def growing(broker: Kafka) -> AsyncIterator[list[Decision]]:
    """All decisions, again and again until there are enough; raises `TimeoutError`."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        yield await topics.read(broker.bootstrap, Topic.DECISIONS, Decision)
        await asyncio.sleep(0.5)
    raise TimeoutError("decisions are missing")


async def test_servers_that_go_away_are_waited_for(
    broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Redis() as redis:
        env = environment(broker, redis, log)
        settings = configured(monkeypatch, env)
        with RingbackProcess("stream", env) as worker:
            redis.kill()
            summary = await replay(settings, log, "rees46", people=person)
            await until(lambda: worker.health("readyz") is False, "the worker says that the hopper is away")
            stopped_at = worker.total(TAKEN)
            assert stopped_at < summary.events
            await asyncio.to_thread(redis.start)
            await until(lambda: worker.total(TAKEN) >= (stopped_at + summary.events) / 2, "it goes on")
            broker.kill()
            await asyncio.to_thread(broker.start)
            await until(lambda: worker.total(TAKEN) + worker.total(REPEATED) >= summary.events, "it goes on again")
            await until(lambda: worker.health("readyz") is True, "all is well")
            parts = await expected(settings)
            wanted = {d.decision_id: essence(d) for part in parts.values() for d in part.effects.decisions}
            made: list[Decision] = []
            async for made in growing(broker):
                if {decision.decision_id for decision in made} >= wanted.keys():
                    break
            assert worker.running
    assert sorted(decision.decision_id for decision in made) == sorted(wanted)
    assert {decision.decision_id: essence(decision) for decision in made} == wanted


async def test_a_worker_that_starts_before_kafka_waits_for_it(
    broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(broker, redis_server, log)
    settings = configured(monkeypatch, env)
    broker.kill()
    worker = RingbackProcess("stream", env)
    worker.start_deadline_s = DEADLINE
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(worker.start)
        try:
            await until(lambda: worker.health("livez") is True, "it lives and says so")
            assert worker.health("readyz") is False
            broker.start()
            await until(starting.done, "it is ready")
            starting.result()
            await replay(settings, log, "rees46", limit=100)
            await until(lambda: worker.total(TAKEN) == 100, "it takes events")
        finally:
            worker.close()
