"""A worker's lease, by what a real Kafka says to a member of a group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer

from stream.membership import Lease, keep
from tests.dialer.waiting import until
from tests.integration import topics
from tests.servers.kafka import Kafka

GROUP = TOPIC = "leased"
SESSION, REBALANCE, DEADLINE = 3.0, 30.0, 30.0


class Member:
    """A member of the group, and its lease."""

    def __init__(self, kafka: Kafka) -> None:
        self.lease = Lease(SESSION, REBALANCE)
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap,
            group_id=GROUP,
            session_timeout_ms=int(SESSION * 1000),
            rebalance_timeout_ms=int(REBALANCE * 1000),
            heartbeat_interval_ms=300,
        )

    @property
    def coordinator(self) -> Any:
        return self.consumer._coordinator

    def holds(self) -> bool:
        return self.lease.holds(self.coordinator.generation)


@asynccontextmanager
async def joined(kafka: Kafka) -> AsyncIterator[Member]:
    member = Member(kafka)
    await member.consumer.start()
    keep(member.lease, member.coordinator)
    member.consumer.subscribe([TOPIC])
    try:
        yield member
    finally:
        await member.consumer.stop()


async def test_a_member_has_a_lease_as_long_as_kafka_answers_and_it_stays(kafka: Kafka) -> None:
    await topics.create(kafka.bootstrap, TOPIC, partitions=2)
    async with joined(kafka) as first:
        await until(first.holds, "it is a member", DEADLINE)
        former = first.coordinator.generation
        async with joined(kafka) as second:
            await until(lambda: first.holds() and second.holds(), "both are members of a new deal", DEADLINE)
            assert first.coordinator.generation > former
            assert not first.lease.holds(former)
        assert not second.lease.holds(first.coordinator.generation)

        kafka.pause()
        try:
            await until(lambda: not first.holds(), "Kafka was silent for too long", DEADLINE)
        finally:
            kafka.resume()
        await until(first.holds, "Kafka is there again", DEADLINE)
    assert not first.holds()
