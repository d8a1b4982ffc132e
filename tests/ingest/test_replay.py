"""A replay on the embedded broker: everything arrives, once, in order, whatever the broker does meanwhile."""

import asyncio
from pathlib import Path

import pytest

from ingest.replay import replay
from ringback.errors import RingbackError, Unavailable
from ringback.records import CartEvent, DeadLetter, EventKind, Shopper, Topic
from ringback.settings import KafkaSettings, Settings
from tests.ingest.replays import REES46, arrived, assert_complete, line_numbers_by_shopper, write_log
from tests.integration.topics import read
from tests.servers.embedded import EmbeddedKafka

DRAMA = "+442079460123"


def settings_of(broker: EmbeddedKafka) -> Settings:
    return Settings(kafka=broker.kafka_settings(partitions=3))


async def test_events_and_dead_letters(embedded_kafka: EmbeddedKafka) -> None:
    summary = await replay(settings_of(embedded_kafka), REES46, "rees46", people=lambda _: Shopper(phone=DRAMA))
    assert (summary.events, summary.dead_letters) == (4, 5)
    assert (summary.first, summary.last) == (1_569_888_000.0, 1_569_888_009.0)
    assert summary.rate > 0
    events = await read(embedded_kafka.bootstrap, Topic.CART_EVENTS, CartEvent)
    assert {event.kind: event.shopper is not None for event in events} == {
        EventKind.PRODUCT_VIEWED: False,
        EventKind.ITEM_ADDED: True,
        EventKind.ITEM_REMOVED: False,
        EventKind.ORDER_COMPLETED: False,
    }
    assert all(event.replay and event.received_wall > 0 for event in events)
    letters = await read(embedded_kafka.bootstrap, Topic.DEAD_LETTERS, DeadLetter)
    assert [(letter.line, letter.reason) for letter in letters] == [
        (6, "broken_line"),
        (7, "negative_price"),
        (8, "broken_line"),
        (9, "wrong_type"),
        (10, "broken_line"),
    ]
    assert all(letter.source == "rees46" and letter.stage == "replay" for letter in letters)


async def test_a_limit(embedded_kafka: EmbeddedKafka) -> None:
    summary = await replay(settings_of(embedded_kafka), REES46, "rees46", limit=3)
    assert (summary.events, summary.dead_letters) == (3, 0)
    assert len(await read(embedded_kafka.bootstrap, Topic.CART_EVENTS, CartEvent)) == 3


async def test_the_log_sets_the_pace(embedded_kafka: EmbeddedKafka) -> None:
    summary = await replay(settings_of(embedded_kafka), REES46, "rees46", speed=30.0)
    assert summary.seconds >= 9 / 30  # the log's events span nine seconds


@pytest.mark.parametrize("lose", ["stop", "pause"])
async def test_the_broker_goes_away_and_comes_back(embedded_kafka: EmbeddedKafka, tmp_path: Path, lose: str) -> None:
    events = 3_000
    log = write_log(tmp_path / "log.csv", events)
    playing = asyncio.create_task(replay(settings_of(embedded_kafka), log, "rees46", speed=2_000.0))
    await arrived(embedded_kafka.bootstrap, playing)
    getattr(embedded_kafka, lose)()
    done, _ = await asyncio.wait([playing], timeout=2.0)  # longer than the rest of the log
    assert not done
    embedded_kafka.resume() if lose == "pause" else embedded_kafka.start()
    summary = await asyncio.wait_for(playing, 60)
    assert (summary.events, summary.dead_letters) == (events, 0)
    assert_complete(await line_numbers_by_shopper(embedded_kafka.bootstrap), events)


async def test_no_broker_at_all() -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap="127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 can't be reached"):
        await replay(settings, REES46, "rees46", patience=0.1)


async def test_a_missing_log(embedded_kafka: EmbeddedKafka) -> None:
    with pytest.raises(RingbackError, match=r"missing\.csv"):
        await replay(settings_of(embedded_kafka), REES46.with_name("missing.csv"), "rees46")


async def test_the_real_log(embedded_kafka: EmbeddedKafka, public_logs: Path) -> None:
    log = public_logs / "rees46_2019-10-01_first_2h50.csv.gz"
    summary = await replay(settings_of(embedded_kafka), log, "rees46")
    assert (summary.events, summary.dead_letters) == (17_434, 1)
    assert_complete(await line_numbers_by_shopper(embedded_kafka.bootstrap), 17_434)
