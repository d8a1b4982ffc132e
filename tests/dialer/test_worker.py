import asyncio
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import pytest

from dialer.worker import run
from ringback.errors import SettingsError
from ringback.records import ContactKind, Outcome
from ringback.settings import AdminSettings, RedisSettings, Settings
from tests.dialer.leads import lead
from tests.dialer.waiting import until
from tests.dialer.world import World
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import free_port


@pytest.fixture
async def world(redis_settings: RedisSettings, embedded_kafka: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, embedded_kafka)
    await made.redis.flushall()
    await made.pbx.start()
    yield made
    await made.close()


def with_admin(settings: Settings) -> tuple[Settings, str]:
    port = free_port()
    return settings.model_copy(update={"admin": AdminSettings(port=port)}), f"http://127.0.0.1:{port}"


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - a loopback URL
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


async def ready(admin: str) -> None:
    async with asyncio.timeout(20):
        while await asyncio.to_thread(status, f"{admin}/readyz") != 200:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def test_told_to_stop_it_lets_the_call_end(world: World) -> None:
    settings, admin = with_admin(world.settings())
    running = asyncio.create_task(run(settings))
    await ready(admin)
    assert await asyncio.to_thread(status, f"{admin}/livez") == 200
    await world.offer(lead(1), lead(2))
    await world.pbx.wait_for("CoreShowChannels")
    world.pbx.user_event("RingbackAgent", Agent="7", State="ready")
    call = await world.originated()
    world.response(call)
    world.stage(call, "answered")
    await world.pbx.wait_for("Redirect")
    world.stage(call, "connected", Agent="7")
    os.kill(os.getpid(), signal.SIGTERM)
    await world.contacts(ContactKind.CONNECTED)
    assert not running.done()
    world.hangup(call)
    async with asyncio.timeout(20):
        await running
    assert (await world.contacts(ContactKind.ENDED))[-1].outcome is Outcome.CONNECTED
    assert len(world.pbx.actions("Originate")) == 1
    assert await world.hopper.acquire_lease("the next one", 1)
    assert status(admin) == 0


async def test_a_second_signal_ends_at_once_and_the_call_can_be_found_again(world: World) -> None:
    settings, admin = with_admin(world.settings())
    running = asyncio.create_task(run(settings))
    await ready(admin)
    await world.offer(lead(1))
    await world.pbx.wait_for("CoreShowChannels")
    world.pbx.user_event("RingbackAgent", Agent="7", State="ready")
    call = await world.originated()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(20):
        await running
    assert [found.call_id for found in await world.hopper.in_progress()] == [call]


async def test_it_is_not_ready_without_asterisk(world: World) -> None:
    await world.pbx.stop()
    settings, admin = with_admin(world.settings())
    running = asyncio.create_task(run(settings))
    await until(lambda: status(admin) != 0, "the admin port is open")
    assert await asyncio.to_thread(status, f"{admin}/readyz") == 503
    await world.pbx.start()
    await ready(admin)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(20):
        await running


async def test_topics_of_another_shape_end_it_with_the_reason(world: World, embedded_kafka: EmbeddedKafka) -> None:
    settings, admin = with_admin(world.settings())
    running = asyncio.create_task(run(settings))
    await ready(admin)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    other = settings.model_copy(update={"kafka": embedded_kafka.kafka_settings(partitions=5)})
    with pytest.raises(SettingsError, match="partitions"):
        await run(other)
