import asyncio
import time

import pytest

from stream.membership import Membership


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


async def test_who_slept_is_in_doubt_until_kafka_knows_the_member(clock: Clock) -> None:
    answers = [False, True]

    async def is_member() -> bool:
        return answers.pop(0)

    membership = Membership(5.0, is_member)
    clock.now += 4.0
    await membership.beat()
    assert not membership.is_doubtful()
    clock.now += 6.0
    # Whoever asks first after the sleep, the beat or a writer: neither may go on.
    assert membership.is_doubtful()
    await membership.beat()
    assert membership.is_doubtful()
    await membership.beat()
    assert not membership.is_doubtful()
    assert not answers


async def test_a_beat_that_comes_first_does_not_hide_the_sleep(clock: Clock) -> None:
    async def is_member() -> bool:
        return False

    membership = Membership(5.0, is_member)
    clock.now += 6.0
    await membership.beat()
    assert membership.is_doubtful()


async def test_an_answer_from_before_another_sleep_ends_no_doubt(clock: Clock) -> None:
    sleeps = [7.0, 0.0]

    async def is_member() -> bool:
        clock.now += sleeps.pop(0)
        return True

    membership = Membership(5.0, is_member)
    clock.now += 6.0
    await membership.beat()
    assert membership.is_doubtful()
    await membership.beat()
    assert not membership.is_doubtful()


async def test_an_answer_that_takes_long_counts_when_nobody_slept(clock: Clock) -> None:
    async def is_member() -> bool:
        for _ in range(20):
            clock.now += 1.0
            await asyncio.sleep(0)
        return True

    membership = Membership(5.0, is_member)
    clock.now += 6.0
    await membership.beat()
    assert not membership.is_doubtful()
