import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream.continuity import DROPPED_SECONDS, Continuity

CARTS = TP("carts", 0)


@dataclass(frozen=True)
class Message:
    tp: TP
    offset: int


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time, in a list so that a test can set it."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@dataclass
class Consumer:
    unacked: set[Message] = field(default_factory=set)
    sought: list[tuple[TP, int]] = field(default_factory=list)

    async def seek(self, partition: TP, offset: int) -> None:
        self.sought.append((partition, offset))


def at(start: int) -> Continuity:
    async def starts(partitions: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(partitions, start)

    return Continuity(starts)


@given(st.integers(0, 5), st.lists(st.integers(0, 12), max_size=40))
async def test_nothing_is_taken_before_all_that_comes_before_it(start: int, delivered: list[int]) -> None:
    continuity = at(start)
    await continuity.begin([CARTS])
    taken = set(range(start))
    for offset in delivered:
        if continuity.admits(CARTS, offset):
            taken.add(offset)
        assert taken == set(range(len(taken)))


async def test_what_was_passed_over_is_gone_back_for_and_not_waited_for() -> None:
    continuity, consumer, message = at(3), Consumer(), Message(CARTS, 7)
    await continuity.begin([CARTS])
    consumer.unacked.add(message)
    assert not continuity.admits(CARTS, 7)
    await continuity.go_back(consumer, message)
    await continuity.go_back(consumer, Message(CARTS, 8))
    assert consumer.sought == [(CARTS, 3)]
    assert not consumer.unacked


async def test_what_was_dropped_at_the_end_is_gone_back_for_when_nothing_is_on_its_way(now: list[float]) -> None:
    continuity, consumer = at(3), Consumer()
    await continuity.begin([CARTS])
    for on_its_way, position in ((False, 3), (True, 9), (True, 9)):
        now[0] += 10 * DROPPED_SECONDS
        await continuity.look(consumer, CARTS, position, on_its_way=on_its_way)
        assert not continuity.has_taken(CARTS, 9)
    await continuity.look(consumer, CARTS, 9, on_its_way=False)
    now[0] += DROPPED_SECONDS / 2
    await continuity.look(consumer, CARTS, 9, on_its_way=False)
    assert not consumer.sought

    now[0] += DROPPED_SECONDS / 2
    await continuity.look(consumer, CARTS, 9, on_its_way=False)
    assert consumer.sought == [(CARTS, 3)]
    for offset in range(3, 9):
        assert continuity.admits(CARTS, offset)
    assert continuity.has_taken(CARTS, 9)
    now[0] += 10 * DROPPED_SECONDS
    await continuity.look(consumer, CARTS, 9, on_its_way=False)
    assert len(consumer.sought) == 1


@given(st.lists(st.sampled_from(["take", "again", "durable", "commit", "failed commit", "new deal"]), max_size=60))
async def test_what_is_committed_is_what_is_durable_and_all_of_it_is_in_the_end(steps: list[str]) -> None:
    kafka = {CARTS: 0}

    async def starts(_: Iterable[TP]) -> dict[TP, int]:
        return dict(kafka)

    continuity = Continuity(starts)
    await continuity.begin([CARTS])
    taken = durable = 0
    for step in steps:
        if step == "take":
            assert continuity.admits(CARTS, taken)
            taken += 1
        elif step == "again" and taken:
            assert continuity.admits(CARTS, taken - 1)
        elif step == "durable" and durable < taken:
            continuity.durable(CARTS, durable)
            durable += 1
        elif step in ("commit", "failed commit"):
            offsets = continuity.to_commit()
            assert offsets == ({} if durable == kafka[CARTS] else {CARTS: durable})
            if step == "commit":
                kafka |= offsets
                continuity.has_committed(offsets)
        elif step == "new deal":
            await continuity.begin([CARTS])
            taken = durable = kafka[CARTS]
        assert continuity.committed == kafka


async def test_where_the_log_has_lost_its_beginning_it_goes_on_from_there() -> None:
    begins = iter([3, 9])

    async def starts(partitions: Iterable[TP]) -> dict[TP, int]:
        return dict.fromkeys(partitions, next(begins))

    continuity, consumer = Continuity(starts), Consumer()
    await continuity.begin([CARTS])
    await continuity.go_back(consumer, Message(CARTS, 9))
    assert consumer.sought == [(CARTS, 9)]
    assert continuity.admits(CARTS, 9)


async def test_nothing_is_taken_of_a_partition_that_was_not_dealt() -> None:
    continuity = at(0)
    await continuity.begin([CARTS])
    assert not continuity.admits(TP("carts", 1), 0)
