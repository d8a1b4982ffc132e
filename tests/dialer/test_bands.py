"""What waits in the hopper, by what it is worth."""

from decimal import Decimal

import pytest
from redis.asyncio import Redis

from dialer.bands import edges
from dialer.hopper import Hopper, Look
from dialer.limits import Limits
from ringback.decide_settings import DecideSettings
from ringback.records import Outcome
from tests.dialer.leads import NOON, lead

DECAY = 7200.0
TOKEN = "token-1"


@pytest.fixture
def hopper(redis: Redis) -> Hopper:
    return Hopper(redis, "main", Limits(decay=DECAY, spend_a_day=1_000_000, price_of_call=100_000))


async def test_leads_are_counted_by_what_their_call_is_worth_now(hopper: Hopper) -> None:
    assert await hopper.look(NOON, [100, 200]) == Look((0, 0, 0), 0, 0.0)
    for number, priority in enumerate((50, 99, 100, 199, 200, 5000)):
        await hopper.offer(lead(number, priority=priority, last_activity=NOON), NOON)
    await hopper.offer(lead(7, priority=5000, callable_from=NOON + 600), NOON)
    assert await hopper.look(NOON, [100, 200]) == Look((2, 2, 2), 1, 0.0)
    # Worth falls with age: what was just worth 100, or 200, is not any more.
    assert await hopper.look(NOON + 600, [100, 200]) == Look((3, 2, 2), 0, 0.0)


async def test_what_is_called_does_not_wait_and_costs(hopper: Hopper) -> None:
    assert await hopper.acquire_lease(TOKEN, 60)
    for number in range(3):
        await hopper.offer(lead(number), NOON)
    await hopper.reserve(["call-1", "call-2"], NOON, TOKEN, 30.0, ())
    assert await hopper.look(NOON, [1, 2]) == Look((0, 0, 1), 0, 0.2)
    await hopper.settle("call-1", Outcome.NO_ANSWER, NOON + 600)
    assert await hopper.look(NOON, [1, 2]) == Look((0, 0, 1), 1, 0.2)


async def test_without_a_budget_nothing_is_used_up(redis: Redis) -> None:
    assert (await Hopper(redis, "main").look(NOON, [1, 2])).spent == 0.0


async def test_many_that_become_due_at_once_are_all_counted(hopper: Hopper) -> None:
    for number in range(450):
        await hopper.offer(lead(number, phone_ref=f"{number:032x}", callable_from=NOON + 60), NOON)
    for _ in range(4):
        seen = await hopper.look(NOON + 60, [1, 2])
        assert (sum(seen.ready), seen.later) == (450, 0)
    assert seen.ready == (0, 0, 450)


def test_bands_begin_at_multiples_of_what_an_agents_hour_costs() -> None:
    rules = DecideSettings(voice_from={"USD": 60, "EUR": 55}, exchange={"USD": Decimal(1), "EUR": Decimal("1.09")})
    assert edges(rules) == (2 * 3597, 4 * 3597)
