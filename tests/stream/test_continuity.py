from collections.abc import Iterable
from dataclasses import dataclass, field

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream.continuity import Continuity

CARTS = TP("carts", 0)


@dataclass(frozen=True)
class Message:
    tp: TP
    offset: int


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
