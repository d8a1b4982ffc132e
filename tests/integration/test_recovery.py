"""How a worker comes back to its states: from the changelog, from a standby copy, from what lies on its disk."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.replay import replay
from ringback.decisions import Decision
from simulation.people import person
from tests.integration import topics
from tests.integration.test_stream import (
    SHOPPERS,
    TAKEN,
    configured,
    environment,
    essence,
    expected,
    growing,
    states_of,
    until,
)
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

READ = "ringback_stream_states_read_total"
CHANGELOG = "ringback-stream-shoppers-changelog"


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_a_killed_worker_goes_on_where_it_was(
    store: str, broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(broker, redis_server, log) | {"RINGBACK_STREAM__STORE": store}
    settings = configured(monkeypatch, env)
    with RingbackProcess("stream", env) as worker:
        await replay(settings, log, "rees46", limit=10_000, people=person)
        await until(lambda: worker.total(TAKEN) == 10_000, "the first part is taken")
        changes = len(await topics.records(broker.bootstrap, CHANGELOG))
        worker.kill()
        await asyncio.to_thread(worker.start)
        read = worker.total(READ)
        # What lies on the disk need not be read again, but for what was written as it was killed.
        assert read >= changes if store == "memory" else read < changes / 10
        summary = await replay(settings, log, "rees46", people=person)
        parts = await expected(settings)
        shoppers = len(states_of(parts))
        if store == "memory":  # RocksDB has an estimate
            await until(lambda: worker.total(SHOPPERS) == shoppers, "every shopper is held")
        wanted = [essence(decision) for part in parts.values() for decision in part.effects.decisions]
        made: list[Decision] = []
        async for made in growing(broker):
            if len(made) >= len(wanted):
                break
    assert summary.events > 10_000
    assert sorted(map(essence, made), key=lambda d: d.decision_id) == sorted(wanted, key=lambda d: d.decision_id)


async def test_a_standby_copy_cuts_what_must_be_read(
    broker: Kafka, redis_server: Redis, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(broker, redis_server, log) | {"RINGBACK_STREAM__STANDBY": "1"}
    settings = configured(monkeypatch, env)
    with ExitStack() as stack:
        first, second = (stack.enter_context(RingbackProcess("stream", env)) for _ in range(2))
        half = settings.kafka.partitions / 2
        await until(lambda: first.total("ringback_stream_partitions") == half, "both share")
        summary = await replay(settings, log, "rees46", people=person)
        await until(lambda: first.total(TAKEN) + second.total(TAKEN) >= summary.events, "all is taken")
        shoppers = len(states_of(await expected(settings)))
        # Each holds all shoppers: its own, and a copy of the other's.
        await until(lambda: first.total(SHOPPERS) == second.total(SHOPPERS) == shoppers, "the copies are complete")
        before = second.total(READ)
        first.kill()
        whole = settings.kafka.partitions
        await until(lambda: second.total("ringback_stream_partitions") == whole, "the second has taken over")
        changes = len(await topics.records(broker.bootstrap, CHANGELOG))
        assert second.total(READ) - before < changes / 10
