from collections.abc import Sequence

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from ringback.envelope import MOST_PACKED_BYTES, is_packed, pack, pack_by_partition, partition_of, unpack
from ringback.records import CartEvent, EventKind, decoder, encode


def event(number: int, shopper_id: str) -> CartEvent:
    return CartEvent(
        event_id=str(number), source="test", shopper_id=shopper_id, kind=EventKind.OTHER, time=float(number)
    )


@given(st.lists(st.text(max_size=3), max_size=40), st.integers(1, 7))
def test_a_shoppers_events_come_out_in_their_order_of_their_partition(shoppers: Sequence[str], partitions: int) -> None:
    events = [event(number, shopper) for number, shopper in enumerate(shoppers)]
    records = pack_by_partition(events, partitions)
    assert all(is_packed(value) for _, value in records)
    found = [(number, decoder(CartEvent).decode(raw)) for number, value in records for raw in unpack(value)]
    assert all(partition_of(one.shopper_id, partitions) == number for number, one in found)
    assert sorted((one for _, one in found), key=lambda one: one.time) == events
    for shopper in set(shoppers):
        times = [one.time for _, one in found if one.shopper_id == shopper]
        assert times == sorted(times)


@given(st.text(min_size=1), st.integers(1, 64))
def test_the_partition_is_kafkas_own(shopper_id: str, partitions: int) -> None:
    numbers = list(range(partitions))
    assert partition_of(shopper_id, partitions) == DefaultPartitioner()(shopper_id.encode(), numbers, numbers)


def test_records_stay_small_and_an_event_alone_is_not_packed() -> None:
    events = [b'{"a":"' + b"x" * size + b'"}' for size in (10, MOST_PACKED_BYTES, 20, 30)]
    records = pack(events)
    assert [unpack(record) for record in records] == [[events[0]], [events[1]], events[2:]]
    assert not is_packed(encode(event(1, "a")))


def test_what_is_no_array_can_not_be_unpacked() -> None:
    with pytest.raises(ValueError, match="truncated"):
        unpack(b"[1,")
