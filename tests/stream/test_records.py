"""Records of a partition: packed ones, broken ones, those that come again, and shoppers long gone."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.envelope import MOST_PACKED_BYTES, pack, partition_of
from ringback.records import CartEvent, Channel, ContactEvent, ContactKind, EventKind, encode
from scoring.model import Served
from stream import carts
from stream.carts import ShopperState, Waiting
from stream.partition import Partition, Withdrawal
from tests.stream import shop
from tests.stream.shop import NOON, added, essence, event, feed, held, ordered, partition, take_over, viewed

HALF_AN_HOUR = 1800.0
DAY = 86400.0
ALONE = shop.settings(kafka__partitions=1)


def packed(events: Sequence[CartEvent]) -> bytes:
    (record,) = pack(encode(one) for one in events)
    return record


def test_a_packed_record_is_as_good_as_its_events_one_by_one() -> None:
    log = [added(0), viewed(1, shopper_id="eve"), added(2, shopper_id="eve"), ordered(3), viewed(4000)]
    single, together = partition(ALONE), partition(ALONE)
    feed(single, log)
    arrivals = together.records(None, packed(log), 0, NOON + 4000)
    assert arrivals == [NOON + 4000] * 2
    assert {k: s.history for k, s in held(single).items()} == {k: s.history for k, s in held(together).items()}
    assert essence(single.take_effects().decisions) == essence(together.take_effects().decisions)
    assert (held(together)[b"ada"].offset, held(together)[b"ada"].index) == (0, 4)
    assert together.records(None, packed(log), 0, NOON + 4001) == []
    assert together.take_effects().repeated == len(log)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{}", "wrong_type"),
        (encode(added(0, price=-1)), "negative_price"),
        (encode(added(1e6)), "from_the_future"),
        (encode(added(0)).replace(b'"ada"', b'""'), "wrong_type"),
        (encode(added(0)).replace(b'"ada"', b'"","refs":{"cart":"c1"}'), "no_shopper"),
    ],
)
def test_a_bad_event_leaves_the_others_of_its_record_alone(bad: bytes, reason: str) -> None:
    part = partition(ALONE)
    raw = b"[" + b",".join([encode(added(0)), bad, encode(added(2, shopper_id="eve"))]) + b"]"
    assert len(part.records(None, raw, 7, NOON + 10)) == 2
    (letter,) = part.take_effects().dead_letters
    assert (letter.reason, letter.offset) == (reason, 7)
    assert msgspec.json.decode(letter.payload).get("event_id") == msgspec.json.decode(bad).get("event_id")
    assert held(part).keys() == {b"ada", b"eve"}


@pytest.mark.parametrize("raw", [b"[", b"[1,", b"[\xff]", b"[" * 100_000, b""])
def test_a_record_that_can_not_be_taken_apart_is_one_dead_letter(raw: bytes) -> None:
    part = partition(ALONE)
    assert part.records(None, raw, 0, NOON) == []
    (letter,) = part.take_effects().dead_letters
    assert letter.reason in ("malformed", "wrong_type")


def test_a_record_of_more_bytes_than_one_event_may_have_is_taken() -> None:
    part = partition(shop.settings(kafka__partitions=1, ingest__max_event_bytes=1024))
    log = [added(number, shopper_id=f"s{number}") for number in range(50)]
    raw = packed(log)
    assert 1024 < len(raw) < MOST_PACKED_BYTES
    assert len(part.records(None, raw, 0, NOON + 50)) == 50


def test_a_stop_in_a_bad_event_of_a_packed_record_counts() -> None:
    part = partition(ALONE)
    raw = packed([added(0), ordered(10, value=-5, currency="USD")])
    part.records(None, raw, 0, NOON + 10)
    effects = part.take_effects()
    assert [letter.reason for letter in effects.dead_letters] == ["negative_price"]
    assert effects.hopper == [Withdrawal("ada", "bought", NOON + 10)]
    assert held(part)[b"ada"].cart is None


def test_a_shopper_of_another_partition_is_refused() -> None:
    config = shop.settings(kafka__partitions=6)
    shoppers = [f"s{number}" for number in range(30)]
    mine = {who for who in shoppers if partition_of(who, 6) == 0}
    assert 0 < len(mine) < len(shoppers)
    part = partition(config)
    part.records(None, packed([added(0, shopper_id=who) for who in shoppers]), 0, NOON)
    assert {key.decode() for key in held(part)} == mine
    letters = part.take_effects().dead_letters
    assert [letter.reason for letter in letters] == ["wrong_key"] * (len(shoppers) - len(mine))


class Broken:
    """A model that fails for every cart."""

    def score(self, row: Sequence[float]) -> float:
        raise ZeroDivisionError("+442079460123")

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        raise ZeroDivisionError("+442079460123")


def test_a_fault_of_ours_is_a_dead_letter_and_stops_nothing() -> None:
    part = partition(ALONE)
    feed(part, [added(0)])
    before = held(part)[b"ada"]
    part.take_effects()
    good, part.model = part.model, Broken()
    raw = packed([added(10), viewed(11, shopper_id="eve"), event(EventKind.OPTED_OUT, 12)])
    assert part.records(None, raw, 1, NOON + 12) == []
    effects = part.take_effects()
    assert [letter.reason for letter in effects.dead_letters] == ["unexpected"] * 2
    assert all("ZeroDivisionError in test_records.py" in letter.detail for letter in effects.dead_letters)
    assert not any("+44" in letter.detail for letter in effects.dead_letters)
    assert effects.hopper == [Withdrawal("ada", "opted_out", NOON + 12)]
    assert effects.events == {EventKind.PRODUCT_VIEWED: 1}
    assert effects.states.keys() == {b"eve"}
    assert held(part)[b"ada"] == before
    part.model = good
    feed(part, [added(20, product="hat")], first_offset=2)
    assert len(part.take_effects().states) == 1


def test_a_cart_that_can_not_be_judged_does_not_take_others_with_it() -> None:
    part = partition(ALONE)
    feed(part, [added(0), added(1, shopper_id="bob")])
    part.take_effects()
    good, part.model = part.model, Broken()
    part.tick(NOON + HALF_AN_HOUR)
    assert [letter.reason for letter in part.take_effects().dead_letters] == ["unexpected"]
    part.model = good
    feed(part, [viewed(HALF_AN_HOUR + 2, shopper_id="eve")], first_offset=2)
    assert [decision.shopper_id for decision in part.take_effects().decisions] == ["bob"]


def test_an_opt_out_in_a_call_is_kept_whatever_fails() -> None:
    part = partition()

    class Lost(shop.HeldStates):
        def get(self, key: bytes) -> ShopperState | None:
            raise ValueError("not to be read")

    part.states = Lost()
    contact = ContactEvent(
        contact_id="call-1",
        lead_id="lead-1",
        shopper_id="ada",
        cart_id="c1",
        channel=Channel.VOICE,
        kind=ContactKind.OPTED_OUT,
        time=NOON,
    )
    part.contact(b"ada", encode(contact), 0)
    effects = part.take_effects()
    assert effects.hopper == [Withdrawal("ada", "opted_out", NOON)]
    assert [letter.reason for letter in effects.dead_letters] == ["unexpected"]


def sweep(part: Partition, committed: int) -> None:
    part.sweep(len(held(part)) + 1, committed)


def test_who_was_silent_for_long_is_forgotten() -> None:
    part = partition()
    feed(part, [added(0), event(EventKind.OPTED_OUT, 1, shopper_id="eve"), added(2, shopper_id="eve")])
    feed(part, [viewed(29 * DAY, shopper_id="bob"), viewed(31 * DAY, shopper_id="cid")], first_offset=3)
    part.take_effects()
    sweep(part, committed=0)
    assert part.take_effects().forgotten == set()
    sweep(part, committed=5)
    effects = part.take_effects()
    assert effects.forgotten == {b"ada"}
    assert held(part).keys() == {b"bob", b"cid", b"eve"}
    assert held(part)[b"eve"] == carts.emptied(held(part)[b"eve"])
    assert held(part)[b"eve"].opted_out
    assert effects.states.keys() == {b"eve"}
    sweep(part, committed=5)
    assert part.take_effects().states == {}


def test_a_sweep_goes_on_where_the_last_one_ended() -> None:
    part = partition()
    feed(part, [viewed(0, shopper_id=f"s{number}") for number in range(10)])
    feed(part, [viewed(31 * DAY)], first_offset=10)
    part.take_effects()
    gone = []
    for _ in range(6):
        part.sweep(2, 11)
        gone.append(len(part.take_effects().forgotten))
    assert gone == [2, 2, 2, 2, 2, 0]


def test_a_shopper_who_comes_back_after_long_is_new() -> None:
    part = partition()
    feed(part, [event(EventKind.OPTED_OUT, 0), added(1), added(40 * DAY, product="hat")])
    state = held(part)[b"ada"]
    assert state.cart is not None
    assert [line.product_id for line in state.cart.lines] == ["hat"]
    assert state.features.visits == 1
    assert state.opted_out


def test_a_forgotten_shopper_who_comes_back_is_no_longer_forgotten() -> None:
    part = partition()
    feed(part, [added(0), viewed(31 * DAY, shopper_id="bob")])
    sweep(part, committed=2)
    feed(part, [viewed(31 * DAY)], first_offset=2)
    effects = part.take_effects()
    assert effects.forgotten == set()
    assert b"ada" in effects.states


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["ada", "bob", "eve"]), st.sampled_from([1.0, 1000.0, DAY, 40 * DAY]))),
    st.data(),
)
def test_sweeping_decides_nothing(gaps: list[tuple[str, float]], data: st.DataObject) -> None:
    at, log = 0.0, []
    for number, (shopper_id, gap) in enumerate(gaps):
        at += gap
        log.append(added(at, shopper_id=shopper_id, event_id=f"e{number}"))
    swept, left = partition(), partition()
    for offset, one in enumerate(log):
        feed(left, [one], first_offset=offset)
        feed(swept, [one], first_offset=offset)
        swept.sweep(data.draw(st.integers(0, 3)), offset + 1)
    assert essence(swept.take_effects().decisions) == essence(left.take_effects().decisions)
    for key, state in held(swept).items():
        assert state.history == held(left)[key].history


def test_what_is_stored_is_read_again() -> None:
    part = partition()
    feed(part, [added(0), viewed(10), ordered(20, order_id="o1", value=5, currency="USD"), added(30, product="hat")])
    state = held(part)[b"ada"]
    encoded = carts.encode_state(state, (7, 9))
    assert carts.decode_state(encoded) == state
    assert carts.decode_marks(encoded) == (7, 9)
    assert carts.decode_waiting(encoded) == Waiting(waiting_since=NOON + 30, last_time=NOON + 30, lag=0.0)


@pytest.mark.parametrize("raw", [b"", b'{"offset":1}' * 9, b"\x02" + bytes(40)])
def test_a_state_of_another_version_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="another version"):
        carts.decode_state(raw)


def test_what_was_loaded_is_due_in_its_order() -> None:
    before = partition()
    feed(before, [added(number % 7, shopper_id=f"s{number}") for number in range(50)])
    after = partition()
    take_over(after, held(before))
    assert after.waiting() == 50
    for part in (before, after):
        part.tick(NOON + 10 * HALF_AN_HOUR)
    made = after.take_effects().decisions
    assert [decision.time for decision in made] == sorted(decision.time for decision in made)
    assert essence(made) == essence(before.take_effects().decisions)
