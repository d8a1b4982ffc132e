"""The shadow price: what clears, what moves it, and that all workers have the same one for the same cart."""

import asyncio
import math
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from ringback import capacity
from ringback.capacity import Capacity
from ringback.clock import Clock
from ringback.decide_settings import DecideSettings
from ringback.decisions import Decision
from ringback.metrics import StreamMetrics
from ringback.redis_client import connect
from ringback.settings import RedisSettings, Settings
from stream.price import (
    BAND,
    HOLD,
    HOUR,
    PATIENCE,
    RATIO,
    WARM_UP,
    Arrival,
    Market,
    Step,
    arrival,
    bin_of,
    clearing_price,
    free_seconds,
    in_force,
    price,
)
from stream.prices import AHEAD_SECONDS, Prices
from tests.stream.shop import NOON, added, feed, partition, settings

AHEAD = 10.0
MINUTE = 60.0
OFFERS = st.dictionaries(st.integers(0, 150), st.floats(1, 10_000), max_size=20)


def run(market: Market, begin: float, minutes: int, free: float | None, worths: list[float]) -> Market:
    """A look each minute; in each of them carts of these worths come, 60 agent-seconds each."""
    for minute in range(minutes):
        now = begin + minute * MINUTE
        market = price(now, market, [Arrival(now, worth, 60.0) for worth in worths], free, AHEAD)
    return market


def steady(free: float, *worths: float) -> int | None:
    """The price after six hours of the same."""
    return run(Market(), NOON, 360, free, list(worths)).steps[-1].price


def test_where_all_fits_the_time_costs_nothing() -> None:
    assert steady(HOUR * 10, 50, 100) == 0


def test_where_a_part_fits_the_price_is_the_worth_of_the_last_that_does() -> None:
    # A minute is offered of each worth a minute, and there is time for one and a fifth.
    found = steady(1.2 * HOUR, 50, 100)
    assert found is not None
    assert 50 / RATIO <= found <= 50 * RATIO
    scarce = steady(0.8 * HOUR, 50, 100)
    assert scarce is not None
    assert 100 / RATIO <= scarce <= 100 * RATIO


def test_without_an_agent_nothing_is_cheap_enough() -> None:
    found = steady(0.0, 50, 100)
    assert found is not None
    assert found >= 100


@given(OFFERS, st.floats(0, 50_000), st.floats(0, 50_000))
def test_more_free_time_never_makes_it_dearer(offered: dict[int, float], free: float, more: float) -> None:
    assert clearing_price(offered, free + more) <= clearing_price(offered, free)


@given(OFFERS, st.floats(0, 50_000), st.integers(0, 150), st.floats(1, 10_000))
def test_another_offer_never_makes_it_cheaper(
    offered: dict[int, float], free: float, bin_: int, seconds: float
) -> None:
    more = offered | {bin_: offered.get(bin_, 0.0) + seconds}
    assert clearing_price(more, free) >= clearing_price(offered, free) * (1 - 1e-9)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(1, 1000)), max_size=40), st.floats(0, 20_000))
def test_what_the_price_lets_through_fits_but_for_a_bin(offers: list[tuple[float, float]], free: float) -> None:
    offered: dict[int, float] = {}
    for worth, seconds in offers:
        offered[bin_of(worth)] = offered.get(bin_of(worth), 0.0) + seconds
    clears = clearing_price(offered, free)
    surely = sum(seconds for worth, seconds in offers if worth > clears * RATIO)
    perhaps = sum(seconds for worth, seconds in offers if worth >= clears / RATIO)
    assert surely <= free * (1 + 1e-9)
    assert perhaps >= min(free, sum(offered.values())) * (1 - 1e-9)


@given(st.floats(0, 1e8))
def test_every_worth_has_a_bin(worth: float) -> None:
    bin_ = bin_of(worth)
    assert 0 <= bin_ <= 192
    if bin_:
        assert RATIO ** (bin_ - 1) <= worth * (1 + 1e-9)


def test_there_is_no_price_before_enough_was_seen() -> None:
    early = run(Market(), NOON, int(WARM_UP / MINUTE), HOUR, [50, 100])
    assert early.steps == ()
    later = run(early, NOON + WARM_UP, 2, HOUR, [50, 100])
    assert [step.at for step in later.steps] == [NOON + WARM_UP + AHEAD]


def test_a_short_or_small_move_is_none() -> None:
    calm = run(Market(), NOON, 360, 1.2 * HOUR, [50, 100])
    now = NOON + 360 * MINUTE
    # Somebody goes on a break, for less than the price waits.
    broken = price(now, calm, [], 0.0, AHEAD)
    assert broken.outside == now
    healed = run(broken, now + MINUTE, 30, 1.2 * HOUR, [50, 100])
    assert healed.steps == calm.steps


def test_a_lasting_move_is_followed_once_it_has_lasted() -> None:
    calm = run(Market(), NOON, 360, HOUR, [50, 100])
    now = NOON + 360 * MINUTE
    moved = run(calm, now, 3, 10 * HOUR, [50, 100])
    assert moved.steps == (*calm.steps, Step(at=now + HOLD + AHEAD, price=0))


@given(st.lists(st.floats(0, 30_000), min_size=10, max_size=100), st.integers(1, 10_000))
def test_the_price_never_moves_twice_within_the_hold_nor_within_the_band(frees: list[float], worth: int) -> None:
    market = run(Market(), NOON, 60, HOUR, [worth, worth * 2])
    for number, free in enumerate(frees):
        now = NOON + HOUR + number * 30.0
        market = price(now, market, [Arrival(now, worth, 60.0)], free, AHEAD)
    for one, other in zip(market.steps, market.steps[1:], strict=False):
        assert other.at - one.at >= HOLD
        assert one.price is not None
        assert other.price is not None
        low, high = sorted((one.price, other.price))
        assert high > low * (1 + BAND)


def test_while_nobody_tells_of_the_agents_the_last_price_holds_and_then_none() -> None:
    known = run(Market(), NOON, 60, HOUR, [50, 100])
    now = NOON + 59 * MINUTE
    assert run(known, now + MINUTE, 5, None, [1e6]).steps == known.steps
    lost = price(now + PATIENCE + 1, known, [], None, AHEAD)
    assert lost.steps[-1] == Step(at=now + PATIENCE + 1 + AHEAD, price=None)
    back = price(now + PATIENCE + 60, lost, [], HOUR, AHEAD)
    assert back.steps[-1].price is not None


def test_never_told_of_agents_there_is_never_a_price() -> None:
    assert run(Market(), NOON, 200, None, [50]).steps == ()


def test_a_cart_is_judged_by_the_price_of_when_it_became_due() -> None:
    market = Market(steps=(Step(at=100.0, price=7), Step(at=200.0, price=None), Step(at=300.0, price=9)))
    assert [in_force(market, due) for due in (99.9, 100.0, 250.0, 300.0)] == [None, 7, None, 9]


@given(st.lists(st.floats(0, 30_000), min_size=5, max_size=60))
def test_what_has_held_is_never_rewritten(frees: list[float]) -> None:
    market = run(Market(), NOON, 60, HOUR, [50, 100])
    for number, free in enumerate(frees):
        now = NOON + HOUR + number * MINUTE
        after = price(now, market, [Arrival(now, 80.0, 60.0)], free, AHEAD)
        for due in (now - HOUR, now - MINUTE, now, now + AHEAD - 1):
            assert in_force(after, due) == in_force(market, due)
        market = after


def test_steps_of_long_ago_are_dropped_but_for_the_one_that_still_held() -> None:
    market = run(Market(), NOON, 60, HOUR, [50, 100])
    for hour in range(2, 40):
        now = NOON + hour * HOUR
        market = run(market, now, 10, 1e6 * (hour % 2), [50, 100])
    assert 2 < len(market.steps) < 20
    assert in_force(market, NOON + 35 * HOUR) is not None


def test_an_old_arrival_counts_as_little_as_if_it_had_been_told_then() -> None:
    now = NOON + HOUR
    late = price(now, Market(time=NOON, since=NOON), [Arrival(NOON, 50.0, 600.0)], HOUR, AHEAD)
    assert late.offered[bin_of(50.0)] == pytest.approx(600 / math.e, abs=0.001)


def test_agents_who_talk_and_leads_that_wait_are_not_free() -> None:
    rules = DecideSettings.model_validate({"answer": {"rate": 0.5}, "handling": {"connected": 200, "unanswered": 20}})
    told = Capacity(agents=3, working=1, queued=10, wall=0.0)
    assert free_seconds(told, rules) == 3 * 3600 - 100 - 10 * 110
    assert free_seconds(Capacity(agents=0, working=0, queued=5, wall=0.0), rules) == 0.0


def decision(**flags: object) -> Decision:
    part = partition(settings(**flags))
    feed(part, [added(0)])
    part.tick(NOON + 1800)
    (made,) = part.take_effects().decisions
    return made


def test_what_is_offered_is_every_call_that_may_be_made_and_no_other() -> None:
    rules = settings().decide
    taken = decision()
    call = taken.worth[0]
    assert arrival(taken, rules) == Arrival(NOON + 1800, call.per_minute or 0, call.handling)
    left = decision(decide__voice_from={"USD": 10**6})
    assert arrival(left, rules) == arrival(taken, rules)
    for out in (
        msgspec.structs.replace(taken, arm="holdout"),
        msgspec.structs.replace(taken, replay=True),
        msgspec.structs.replace(taken, worth=taken.worth[1:]),
        msgspec.structs.replace(taken, worth=()),
        msgspec.structs.replace(taken, worth=(msgspec.structs.replace(call, at=taken.time + 3601),)),
    ):
        assert arrival(out, rules) is None


# With a server: two workers, one price.


class Shift:
    """Two workers of a campaign whose clock is moved by hand."""

    def __init__(self, redis: Redis, redis_settings: RedisSettings, **flags: object) -> None:
        base: Settings = settings(decide__voice_from="auto", dialer__campaign="shift", **flags)
        self.config = base.model_copy(update={"redis": redis_settings})
        self.redis = redis
        self.now = NOON
        self.workers = [Prices(self.config, HandClock(self), StreamMetrics()) for _ in range(2)]

    async def tell(self, agents: int, wall: float | None = None) -> None:
        told = Capacity(agents=agents, working=0, queued=0, wall=time.time() if wall is None else wall)
        fields: Any = msgspec.structs.asdict(told)
        await self.redis.hset(capacity.key("shift"), mapping=fields)

    async def play(self, minutes: int, made: Decision) -> None:
        for minute in range(minutes):
            self.now += MINUTE
            here = msgspec.structs.replace(made, time=self.now)
            self.workers[minute % 2].offered([here])
            for worker in self.workers:
                await worker.look(self.redis)


class HandClock(Clock):
    def __init__(self, shift: Shift) -> None:
        super().__init__()
        object.__setattr__(self, "shift", shift)

    def now(self) -> float:
        shift = self.__dict__["shift"]
        assert isinstance(shift, Shift)
        return shift.now


async def test_workers_agree_on_a_price_that_fills_the_agents(redis: Redis, redis_settings: RedisSettings) -> None:
    shift = Shift(redis, redis_settings)
    made = decision()
    # A cart a minute, 58 seconds each: one agent has hardly time for all, half of one has not.
    await shift.tell(agents=5)
    await shift.play(60, made)
    for worker in shift.workers:
        await worker.look(redis)
    first, second = (worker.at(shift.now) for worker in shift.workers)
    assert first == second == 0
    await shift.tell(agents=0)
    await shift.play(10, made)
    for worker in shift.workers:
        await worker.look(redis)
    first, second = (worker.at(shift.now) for worker in shift.workers)
    assert first == second
    assert first is not None
    assert made.worth[0].per_minute is not None
    assert first > made.worth[0].per_minute
    # What was judged before is judged the same by a worker that starts now.
    late = Prices(shift.config, HandClock(shift), StreamMetrics())
    await late.begin()
    assert late.at(shift.now - 30 * MINUTE) == shift.workers[0].at(shift.now - 30 * MINUTE) == 0


async def test_workers_who_tell_at_once_lose_nothing(redis: Redis, redis_settings: RedisSettings) -> None:
    shift = Shift(redis, redis_settings)
    made = decision()
    for worker in shift.workers:
        worker.offered([msgspec.structs.replace(made, time=NOON)] * 50)
    clients = [connect(redis_settings) for _ in shift.workers]
    try:
        for _ in range(3):
            both = zip(shift.workers, clients, strict=True)
            await asyncio.gather(*(worker.look(client) for worker, client in both))
    finally:
        for client in clients:
            await client.aclose()
    offered = sum(shift.workers[0]._market.offered.values())
    assert offered == pytest.approx(100 * made.worth[0].handling, abs=1.0)


async def test_a_word_of_the_agents_that_is_old_is_none(redis: Redis, redis_settings: RedisSettings) -> None:
    shift = Shift(redis, redis_settings)
    await shift.tell(agents=5, wall=time.time() - 60)
    await shift.play(30, decision())
    assert shift.workers[0].at(shift.now) is None


async def test_with_fixed_thresholds_redis_is_not_asked() -> None:
    fixed = Prices(settings(redis__url="redis://127.0.0.1:1/0"), Clock(), StreamMetrics())
    assert not fixed.wanted
    fixed.offered([decision()])
    assert fixed._arrivals == []
    assert fixed.at(NOON) is None
    assert AHEAD_SECONDS > 0
