from hypothesis import given
from hypothesis import strategies as st

from stream.carts import ShopperState, decode_state, encode_state
from stream.shelf import MemoryShelf
from stream.states import CachedStates

CAPACITY = 4
KEYS = st.sampled_from([b"%d" % number for number in range(12)])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS),
        st.tuples(st.just("delete"), KEYS),
        st.just(("flush", b"")),
        st.just(("take", b"")),
    ),
    max_size=60,
)


@given(STEPS)
def test_a_state_is_what_was_put_last_wherever_it_lies(steps: list[tuple[str, bytes]]) -> None:
    shelf = MemoryShelf()
    states, expected = CachedStates(shelf, CAPACITY, decode_state), dict[bytes, ShopperState | None]()
    changed, under_way = dict[bytes, ShopperState | None](), dict[bytes, ShopperState | None]()
    for number, (step, key) in enumerate(steps):
        if step == "put":
            expected[key] = changed[key] = ShopperState(offset=number)
            states.put(key, ShopperState(offset=number))
        elif step == "delete":
            expected[key] = changed[key] = None
            states.delete(key)
        else:
            # One flush at a time: what is under way settles before more is taken.
            shelf.apply({key: None if s is None else encode_state(s) for key, s in under_way.items()}, number)
            states.settled()
            under_way = {}
            if step == "take":
                states.taken()
                under_way, changed = changed, {}
        for known, state in expected.items():
            assert states.peek(known) == state
            assert states.get(known) == state


def test_only_so_many_stay_decoded() -> None:
    shelf = MemoryShelf()
    shelf.apply({b"%d" % number: encode_state(ShopperState(offset=number)) for number in range(100)}, 0)
    states = CachedStates(shelf, CAPACITY, decode_state)
    for number in range(100):
        states.get(b"%d" % number)
    states.put(b"5", ShopperState(offset=1000))
    states.settled()
    assert len(states._held) <= CAPACITY
    assert states.get(b"5") == ShopperState(offset=1000)
