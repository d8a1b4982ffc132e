"""What a dialer shows of itself while it works."""

from collections.abc import AsyncIterator, Iterator
from math import isnan

import pytest
from prometheus_client.exposition import choose_encoder

from dialer.do_not_call import replace_national
from dialer.gauges import Gauges
from ringback.metric_labels import AgentState, CallState, HopperBand
from ringback.metrics import DialerMetrics
from ringback.settings import RedisSettings, Settings
from tests.dialer.leads import KEY, NOON, fictional, lead
from tests.dialer.waiting import until
from tests.dialer.world import World
from tests.servers.embedded import EmbeddedKafka

DAY = 86400.0
LEFT = "national_list_remaining_seconds"


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as server:
        yield server


@pytest.fixture
async def world(redis_settings: RedisSettings, broker: EmbeddedKafka) -> AsyncIterator[World]:
    made = World(redis_settings, broker, lines=7)
    await made.open()
    yield made
    await made.close()


def shown(world: World, name: str, **labels: str) -> float | None:
    return world.metrics.registry.get_sample_value(f"ringback_{name}", labels)


async def test_a_call_from_the_hopper_to_the_talk(world: World) -> None:
    def waits(band: HopperBand) -> float | None:
        return shown(world, "hopper_leads", band=band)

    def calls(state: CallState) -> float | None:
        return shown(world, "calls_in_progress", state=state)

    await world.start()
    assert shown(world, "dialer_info", campaign=world.campaign, mode="progressive") == 1
    assert (shown(world, "lines_limit"), shown(world, "lines_in_use")) == (7, 0)
    assert shown(world, "contacts_blocked_total", channel="voice", rule="do_not_call") == 0
    assert shown(world, "spend_total", channel="voice", currency="USD") == 0

    await world.offer(lead(1, priority=100_000), lead(2, priority=10_000), lead(3, priority=9_000))
    # What was worth 10,000 half an hour ago is worth less now.
    await until(lambda: (waits(HopperBand.HIGH), waits(HopperBand.MIDDLE)) == (1, 1), "the leads are shown by worth")
    await until(lambda: waits(HopperBand.LOW) == 1, "the last one too")

    await world.agent("7")
    call = await world.originated()
    await until(lambda: calls(CallState.ORIGINATING) == shown(world, "lines_in_use") == 1, "a line is in use")
    await until(lambda: waits(HopperBand.HIGH) == 0, "the best one does not wait any more")
    assert shown(world, "pacing_calls_per_agent") == 1
    assert shown(world, "time_to_first_dial_seconds_count") == shown(world, "originate_seconds_count") == 1
    assert shown(world, "spend_total", channel="voice", currency="USD") == 0.03

    world.response(call)
    world.stage(call, "answered")
    await world.pbx.wait_for("Redirect")
    world.stage(call, "connected", Agent="7")
    await until(lambda: calls(CallState.CONNECTED) == 1, "they talk")
    await until(lambda: shown(world, "agents", state=AgentState.TALKING) == 1, "the agent talks")
    await until(lambda: shown(world, "agent_seconds_total", state=AgentState.TALKING), "that takes time")
    assert shown(world, "answer_to_agent_seconds_bucket", le="2.0") == 1
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    assert f'call_id="{call}"' in encode(world.metrics.registry).decode()


async def test_who_may_not_be_called_is_counted_by_rule(world: World) -> None:
    await world.offer(lead(1))
    await world.hopper.suppress(lead(1).phone_ref)
    await world.start()
    await world.agent("7")
    await until(lambda: shown(world, "contacts_blocked_total", channel="voice", rule="do_not_call") == 1, "one rule")
    assert shown(world, "calls_originated_total") == 0


async def test_a_standby_too_tells_when_a_list_ends(redis_settings: RedisSettings, broker: EmbeddedKafka) -> None:
    world = World(redis_settings, broker, scrubbed_elsewhere=("GB",))
    await world.open()
    try:
        assert await world.hopper.acquire_lease("another dialer", 60.0)
        await replace_national(world.redis, "US", [fictional(2)], KEY, NOON - 30 * DAY)
        await world.start()
        await until(lambda: shown(world, LEFT, country="CA") == 0, "there is no list of Canada")
        left = shown(world, LEFT, country="US")
        assert left is not None
        assert 0 < left <= DAY - world.settings().compliance.clock_skew
        await replace_national(world.redis, "US", [fictional(2)], KEY, NOON)
        await until(lambda: (shown(world, LEFT, country="US") or 0) > 30 * DAY, "the new list")
        assert shown(world, "dialer_leader") == 0
        assert shown(world, LEFT, country="GB") is None
    finally:
        await world.close()


def test_a_list_is_unknown_until_redis_is_asked() -> None:
    metrics = DialerMetrics()
    Gauges(Settings(), metrics, {})
    for country in ("CA", "GB", "US"):
        left = metrics.registry.get_sample_value(f"ringback_{LEFT}", {"country": country})
        assert left is not None
        assert isnan(left)
