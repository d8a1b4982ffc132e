"""What was answered with 200 arrives: over an absent Kafka or Redis, new starts and bugs."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from ingest import delivery
from ingest.publisher import Publisher
from ingest.source import Parsed, Refused, Shop
from ingest.sources import SOURCES
from ringback.errors import Unavailable
from ringback.redis_client import connect
from ringback.settings import IngestSettings, KafkaSettings, RedisSettings
from tests.ingest.door import EVENT, NOW, SECRET, Door, Stub, World, event, intake_of, post_cart, settings_for

# Kafka or Redis away.


async def test_while_kafka_was_never_there_requests_are_spooled(redis: Redis, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    intake = intake_of(Publisher(KafkaSettings(bootstrap="127.0.0.1:1")), redis, settings)
    async with Door(settings, intake) as door:
        answer = await door.send(EVENT)
        assert (answer.status_code, answer.json()) == (200, {"results": [{"status": "spooled"}]})
        assert door.counted("spooled") == 1
        assert door.spool.records == 1
        assert door.metrics.registry.get_sample_value("ringback_ingest_spool_requests") == 1


async def test_while_redis_is_away_requests_are_spooled(publisher: Publisher, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    away = connect(RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")))
    async with Door(settings, intake_of(publisher, away, settings)) as door:
        assert (await post_cart(door, "shopify secret")).json() == {"results": [{"status": "spooled"}]}
        assert (await post_cart(door, "shopify secret")).json() == {"results": [{"status": "spooled"}]}
        assert door.spool.records == 2
    await away.aclose()


async def test_without_room_on_the_disk_the_shop_must_send_again(redis: Redis, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, spool_bytes=0)
    intake = intake_of(Publisher(KafkaSettings(bootstrap="127.0.0.1:1")), redis, settings)
    async with Door(settings, intake) as door:
        answer = await door.send(EVENT)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert door.counted("unavailable") == 1


async def test_kafka_goes_and_comes_back(world: World) -> None:
    door, broker = world.door, world.broker
    assert (await door.send(event(1))).json()["results"][0]["status"] == "accepted"
    broker.stop()
    for number in range(2, 6):
        assert (await door.send(event(number))).status_code == 200
    assert door.spool.holds
    broker.start()
    await door.emptied()
    assert (await door.send(event(6))).status_code == 200
    found = [event.event_id for event in await world.events()]
    assert list(dict.fromkeys(found)) == [f"e{number}" for number in range(1, 7)]


async def test_what_is_left_of_an_earlier_run_comes_first(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        for number in range(5):
            assert (await door.send(event(number))).status_code == 200
    stub.failure = None
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(event(5))).status_code == 200
        await door.emptied()
    assert stub.ids() == [f"e{number}" for number in range(6)]


async def test_new_requests_go_behind_those_that_wait(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(event(0))
        stub.failure = None
        await asyncio.gather(*(door.send(event(number)) for number in range(1, 50)))
        await door.emptied()
        assert (await door.send(event(50))).json()["results"][0]["status"] == "accepted"
    assert stub.ids()[0] == "e0"
    assert sorted(stub.ids()) == sorted(f"e{number}" for number in range(51))


async def test_an_intake_that_does_not_answer(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "TAKE_SECONDS", 0.05)
    stub.open.clear()
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        stub.open.set()
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_a_crowd_does_not_wait_for_the_intake(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_WAITING", 0)
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_spooled_requests_are_judged_by_when_they_came(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(EVENT)
        arrival = delivery._decode((await door.spool.oldest(1))[0])
        assert arrival.received == NOW
        assert arrival.received_wall > NOW


async def test_no_secret_lies_on_the_disk(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await door.send(EVENT, Authorization="Bearer hunter2", Cookie="hunter2", X_Ringback_Key="hunter2")
    (file,) = (tmp_path / "spool").glob("*.spool")
    content = file.read_bytes()
    assert b"e1" in content
    assert b"hunter2" not in content
    assert SECRET.encode() not in content


# Bugs.


def broken(headers: Mapping[str, str], body: bytes, *, shop: Shop, now: float, limits: IngestSettings) -> Parsed:
    raise KeyError(body.decode())


async def test_a_parsers_bug_loses_nothing(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SOURCES, "native", replace(SOURCES["native"], parse=broken))
    async with Door(settings_for(tmp_path), stub) as door:
        answer = await door.send(b'{"name": "Ada Example"}')
        assert answer.status_code == 200
        assert answer.json()["results"][0]["reason"] == "unexpected"
        assert door.metrics.registry.get_sample_value("ringback_ingest_bugs_total") == 1
    (admitted,) = stub.taken
    (refused,) = admitted.parsed
    assert isinstance(refused, Refused)
    assert refused.raw == b'{"name": "Ada Example"}'
    assert "KeyError in broken" in caplog.text
    assert "Ada" not in caplog.text + answer.text


async def test_a_poisoned_request_does_not_block_those_behind_it(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_PAUSE", 0.001)
    stub.failure = Unavailable("away")
    stub.poison = "e1"
    async with Door(settings_for(tmp_path), stub) as door:
        for number in range(3):
            await door.send(event(number))
        await door.spool.append(b"not what was written")
        stub.failure = None
        await door.emptied()
    assert sorted(stub.ids()) == ["e0", "e2"]
    assert stub.reasons() == ["unexpected", "unexpected"]


async def test_a_bug_in_the_intake_is_kept_on_disk(stub: Stub, tmp_path: Path) -> None:
    stub.failure = ZeroDivisionError()
    async with Door(settings_for(tmp_path), stub) as door:
        assert (await door.send(EVENT)).json() == {"results": [{"status": "spooled"}]}
        stub.failure = None
        await door.emptied()
    assert stub.ids() == ["e1"]


async def test_a_shop_that_is_gone_from_the_settings(stub: Stub, tmp_path: Path) -> None:
    stub.failure = Unavailable("away")
    async with Door(settings_for(tmp_path), stub) as door:
        await post_cart(door, "shopify secret")
    stub.failure = None
    async with Door(settings_for(tmp_path, shops={}), stub) as door:
        await door.emptied()
    (admitted,) = stub.taken
    assert admitted.shop.source == "shopify/example"
    assert stub.reasons() == ["unexpected"]
