"""A replay on Apache Kafka, which is killed meanwhile: everything arrives, once, in order."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.replay import replay
from ringback.errors import SettingsError
from ringback.kafka import create_topics, partition_counts
from ringback.records import Topic
from ringback.settings import KafkaSettings, Settings
from tests.ingest.replays import arrived, assert_complete, line_numbers_by_shopper, write_log
from tests.integration.conftest import _running
from tests.servers.kafka import Kafka


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """A broker that this test may kill."""
    yield from _running(Kafka)


async def test_a_killed_broker(own_kafka: Kafka, tmp_path: Path) -> None:
    events = 20_000
    settings = Settings(kafka=KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=3))
    log = write_log(tmp_path / "log.csv", events)
    playing = asyncio.create_task(replay(settings, log, "rees46", speed=4_000.0))
    await arrived(own_kafka.bootstrap, playing)
    own_kafka.kill()
    await asyncio.to_thread(own_kafka.start)
    summary = await asyncio.wait_for(playing, 120)
    assert (summary.events, summary.dead_letters) == (events, 0)
    assert_complete(await line_numbers_by_shopper(own_kafka.bootstrap), events)


async def test_topics(own_kafka: Kafka) -> None:
    settings = KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=3)
    await create_topics(settings)
    await create_topics(settings)
    counts = await partition_counts(settings, patience=10)
    assert {topic: counts[topic] for topic in Topic} == {
        topic: 1 if topic is Topic.DEAD_LETTERS else 3 for topic in Topic
    }
    with pytest.raises(SettingsError, match=r"set kafka\.partitions = 3"):
        await create_topics(KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=4))
    with pytest.raises(SettingsError, match=r"kafka\.partitions = 3"):
        await create_topics(KafkaSettings(bootstrap=own_kafka.bootstrap, partitions=4, replication=2))
