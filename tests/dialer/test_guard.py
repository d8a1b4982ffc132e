"""What is kept of abandoned calls, and how it brakes."""

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from dialer.calls import Abandoned as AbandonedSignal
from dialer.calls import AmdVerdict, Answered, Call, Connected, Hangup, Signal, step
from dialer.guard import AbandonmentGuard
from dialer.pacing import Abandoned, Event, Floor
from dialer.pacing import Connected as ConnectedEvent
from dialer.tally import Tally
from ringback.metrics import DialerMetrics
from ringback.redis_client import connect
from ringback.settings import RedisSettings, Settings

NOW = time.time()


@pytest.fixture
async def redis(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    client = connect(redis_settings)
    await client.flushall()
    await client.set("ringback:campaign:main:leader", "mine")
    yield client
    await client.aclose()


def guard(redis: Redis, metrics: DialerMetrics | None = None, *rules: str) -> AbandonmentGuard:
    settings = Settings.model_validate({"dialer": {"abandonment_rules": rules or ("us", "strict")}})
    return AbandonmentGuard(settings, redis, metrics or DialerMetrics())


def room(one: AbandonmentGuard, *, idle: int = 0, server: str = "a", others: int = 0) -> int:
    floor = Floor(idle=idle, busy=[], in_flight=[], waiting=0, free_lines=100)
    return one.of(server, lambda _: others)(0.0, floor)


def over_limit(metrics: DialerMetrics) -> float | None:
    return metrics.registry.get_sample_value("ringback_never_events_total", {"event": "abandoned_over_limit"})


async def test_what_was_counted_survives_a_restart(redis: Redis) -> None:
    first = guard(redis)
    await first.load()
    first.record(NOW, answered=100)
    first.record(NOW, abandoned=2)
    assert room(first) == 1
    await first.save("mine")
    second = guard(redis)
    assert room(second) == 1  # the credit of a new campaign
    second.record(NOW, answered=50)
    await second.load()
    assert room(second) == 2  # 150 answers, 2 abandoned calls
    second.record(NOW, abandoned=2)
    assert room(second) == 0
    assert room(second, idle=3) == 3


async def test_only_who_holds_the_campaign_writes(redis: Redis) -> None:
    other = guard(redis)
    other.record(NOW, answered=1000)
    await other.save("another's")
    assert await redis.get("ringback:campaign:main:abandonment") is None


async def test_calls_of_other_servers_are_at_the_same_risk(redis: Redis) -> None:
    one = guard(redis)
    one.record(NOW, answered=200)
    assert room(one) == 6
    one.claim("b", 4)
    assert room(one) == 2
    assert room(one, others=-7) == 0
    assert room(one, others=-7, idle=2) == 2


async def test_a_broken_limit_is_a_never_event_once(redis: Redis) -> None:
    metrics = DialerMetrics()
    one = guard(redis, metrics, "strict")
    one.record(NOW, answered=1, abandoned=1)
    assert over_limit(metrics) == 0  # the credit
    for _ in range(3):
        one.record(NOW, answered=1, abandoned=1)
    assert over_limit(metrics) == 1
    await one.save("mine")
    again = DialerMetrics()
    restarted = guard(redis, again, "strict")
    await restarted.load()
    restarted.record(NOW, answered=1)
    assert over_limit(again) == 0
    one.show()
    assert metrics.registry.get_sample_value("ringback_abandoned_call_ratio", {"window": "today"}) == 1.0


async def test_of_the_calls_that_detection_ends_some_were_people(redis: Redis) -> None:
    settings = Settings.model_validate({"dialer": {"abandonment_rules": ("us",), "amd_mistaken": 0.25}})
    one = AbandonmentGuard(settings, redis, DialerMetrics())
    one.record(NOW, answered=100)
    assert room(one) == 3
    one.record(NOW, detected=8)
    assert room(one) == 1


class Learner:
    """A pacer that only listens."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def decide(self, now: float, floor: Floor) -> int:
        return 0

    def observe(self, event: Event) -> None:
        self.heard.append(event)


AT = NOW - 60


@pytest.mark.parametrize(
    ("signals", "answered", "abandoned"),
    [
        ([Answered(AT), Connected("7", AT + 0.5), Hangup(16, "Up", AT + 60)], 1, 0),
        ([Answered(AT), Connected("7", AT + 2.5), Hangup(16, "Up", AT + 60)], 1, 1),
        ([Answered(AT), AbandonedSignal(AT + 1.8), Hangup(16, "Up", AT + 12)], 1, 1),
        ([Answered(AT), AbandonedSignal(AT + 1.8), Connected("7", AT + 1.9), Hangup(16, "Up", AT + 9)], 1, 1),
        ([AbandonedSignal(AT + 1.8), Hangup(16, "Up", AT + 12)], 1, 1),
        ([Answered(AT), Hangup(16, "Up", AT + 1.0)], 1, 0),
        ([Answered(AT), Hangup(16, "Up", AT + 2.5)], 1, 1),
        ([Answered(AT, amd=True), AmdVerdict("HUMAN", "", AT + 1.5), Connected("7", AT + 3.0)], 1, 0),
        ([Hangup(17, "Down", AT)], 0, 0),
    ],
)
async def test_what_counts_as_abandoned_by_asterisks_clock(
    redis: Redis, signals: list[Signal], answered: int, abandoned: int
) -> None:
    one, pacer = guard(redis, None, "us"), Learner()
    tally = Tally(DialerMetrics(), {"a": pacer}, one)
    call = Call("0" * 32)
    for signal in signals:
        call, effects = step(call, signal)
        for effect in effects:
            match effect.value:
                case "find_agent":
                    tally.answered(call)
                case "tell_connected":
                    tally.connected(call, "a")
                case "tell_abandoned":
                    tally.abandoned(call, "a")
                case "end":
                    tally.ended(call, "a")
    [count] = one._ledger.state()["us"].values() if answered else [[0, 0, 0, 0]]
    assert count[:2] == [answered, abandoned]
    assert pacer.heard.count(Abandoned()) == abandoned
    assert pacer.heard.count(ConnectedEvent()) == (any(isinstance(one, Connected) for one in signals) and not abandoned)
