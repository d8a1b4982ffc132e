import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.decisions import Decision, Lead, Message, Reason, Route
from ringback.records import CartEvent, Channel, Consent, ContactEvent, ContactKind, EventKind, Outcome, Shopper, encode
from stream.partition import Partition, Withdrawal
from tests.stream import shop
from tests.stream.shop import ADA, NOON, added, essence, feed, held, ordered, partition, take_over, viewed

HALF_AN_HOUR = 1800.0


def decisions(part: Partition) -> list[Decision]:
    return part.take_effects().decisions


def connected(at: float, shopper_id: str = "ada") -> ContactEvent:
    return ContactEvent(
        contact_id="call-1",
        lead_id="lead-1",
        shopper_id=shopper_id,
        cart_id="cart-1",
        channel=Channel.VOICE,
        kind=ContactKind.CONNECTED,
        outcome=Outcome.CONNECTED,
        time=NOON + at,
    )


def test_a_cart_left_for_half_an_hour_becomes_a_lead() -> None:
    part = partition()
    feed(part, [added(0), viewed(60, shopper_id="eve"), viewed(61 + HALF_AN_HOUR, shopper_id="eve")])
    effects = part.take_effects()
    (decision,) = effects.decisions
    assert decision.time == NOON + HALF_AN_HOUR
    assert (decision.route, decision.reason, decision.arm) == (Route.VOICE, Reason.HIGH_VALUE, "treated")
    assert (decision.value, decision.expected_value) == (10_000, 5_000)
    (lead,) = effects.hopper
    assert isinstance(lead, Lead)
    assert lead.lead_id == decision.decision_id
    assert lead.phone == ADA.phone
    assert lead.phone not in (lead.phone_ref, lead.lead_id)


def test_any_activity_of_the_shopper_puts_it_off() -> None:
    part = partition()
    feed(part, [added(0), viewed(1000), viewed(1000 + HALF_AN_HOUR, shopper_id="eve")])
    assert [decision.time for decision in decisions(part)] == [NOON + 1000 + HALF_AN_HOUR]


def test_a_purchase_before_it_is_due_leaves_nothing_to_decide() -> None:
    part = partition()
    feed(part, [added(0), ordered(100), viewed(10_000, shopper_id="eve")])
    effects = part.take_effects()
    assert effects.decisions == []
    assert effects.hopper == [Withdrawal("ada", "bought", NOON + 100)]


def test_a_purchase_afterwards_withdraws_the_lead_in_that_order() -> None:
    part = partition()
    feed(part, [added(0), ordered(HALF_AN_HOUR + 1)])
    lead, withdrawal = part.take_effects().hopper
    assert isinstance(lead, Lead)
    assert withdrawal == Withdrawal("ada", "bought", NOON + HALF_AN_HOUR + 1)


def test_a_shopper_who_comes_back_is_not_called_and_judged_anew() -> None:
    part = partition()
    feed(part, [added(0), viewed(4000), viewed(4100 + HALF_AN_HOUR, shopper_id="eve")])
    effects = part.take_effects()
    first, second = effects.decisions
    assert first.cart_id == second.cart_id
    assert first.decision_id != second.decision_id
    assert Withdrawal("ada", "changed", NOON + 4000) in effects.hopper


def test_the_clock_judges_where_no_events_arrive() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR - 1)
    assert decisions(part) == []
    part.tick(NOON + HALF_AN_HOUR)
    assert [decision.time for decision in decisions(part)] == [NOON + HALF_AN_HOUR]
    part.tick(NOON + 10 * HALF_AN_HOUR)
    assert decisions(part) == []


def test_after_a_recovery_the_clock_goes_on_from_what_the_states_remember() -> None:
    before = partition()
    feed(before, [added(0)])
    after = partition()
    take_over(after, held(before))
    after.tick(NOON + HALF_AN_HOUR)
    before.tick(NOON + HALF_AN_HOUR)
    assert len(after.effects.decisions) == 1
    assert essence(decisions(after)) == essence(decisions(before))


@pytest.mark.parametrize(
    ("shopper", "price", "route", "reason"),
    [
        (ADA, 1_000, Route.NONE, Reason.LOW_VALUE),
        (ADA, 3_000, Route.SMS, Reason.MID_VALUE),
        (ADA, 10_000, Route.VOICE, Reason.HIGH_VALUE),
        (msgspec.structs.replace(ADA, consent=None), 10_000, Route.NONE, Reason.NO_CONSENT),
        (msgspec.structs.replace(ADA, consent=Consent(voice=False, chat=True)), 10_000, Route.CHAT, Reason.MID_VALUE),
        (msgspec.structs.replace(ADA, phone=None), 10_000, Route.NONE, Reason.NO_PHONE),
        (msgspec.structs.replace(ADA, country="AQ"), 10_000, Route.NONE, Reason.UNKNOWN_REGION),
        (msgspec.structs.replace(ADA, timezone="Pacific/Auckland"), 10_000, Route.NONE, Reason.OUTSIDE_HOURS),
        (msgspec.structs.replace(ADA, phone="+18765550123"), 10_000, Route.NONE, Reason.NUMBER_NOT_ALLOWED),
        (Shopper(), 10_000, Route.NONE, Reason.NO_PHONE),
    ],
)
def test_the_first_rule_that_applies_gives_route_and_reason(
    shopper: Shopper, price: int, route: Route, reason: Reason
) -> None:
    part = partition()
    feed(part, [added(0, price, shopper=shopper)])
    part.tick(NOON + HALF_AN_HOUR)
    effects = part.take_effects()
    (decision,) = effects.decisions
    assert (decision.route, decision.reason) == (route, reason)
    assert len(effects.hopper) == (route is Route.VOICE)
    assert [type(message) for message in effects.messages] == [Message] * (route in (Route.SMS, Route.CHAT))


def test_an_opt_out_is_for_ever() -> None:
    part = partition()
    feed(part, [shop.event(EventKind.OPTED_OUT, 0), added(10)])
    part.tick(NOON + 10 + HALF_AN_HOUR)
    effects = part.take_effects()
    assert effects.hopper == [Withdrawal("ada", "opted_out", NOON)]
    assert [decision.reason for decision in effects.decisions] == [Reason.OPTED_OUT]


def test_the_holdout_is_never_contacted_and_always_the_same() -> None:
    config = shop.settings(decide__holdout=0.5)
    arms: dict[str, set[str]] = {}
    for _ in range(2):
        part = partition(config)
        feed(part, [added(n / 100, shopper_id=f"s{n}") for n in range(200)])
        part.tick(NOON + HALF_AN_HOUR + 10)
        effects = part.take_effects()
        for decision in effects.decisions:
            arms.setdefault(decision.shopper_id, set()).add(decision.arm)
        called = {lead.shopper_id for lead in effects.hopper if isinstance(lead, Lead)}
        assert called == {d.shopper_id for d in effects.decisions if d.arm == "treated"}
    assert all(len(seen) == 1 for seen in arms.values())
    assert 60 < sum(seen == {"holdout"} for seen in arms.values()) < 140


def test_an_order_after_a_call_is_the_calls() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    part.contact(b"ada", encode(connected(2000)), 0)
    feed(part, [ordered(3000, value=12_000, currency="USD", order_id="o1")], first_offset=1)
    (conversion,) = part.take_effects().conversions
    assert (conversion.order_id, conversion.channel, conversion.contact_id) == ("o1", Channel.VOICE, "call-1")
    assert (conversion.value, conversion.currency, conversion.arm) == (12_000, "USD", "treated")


def test_an_order_is_counted_once_even_when_its_call_is_learnt_late() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    feed(part, [ordered(3000, order_id="o1"), ordered(3000, order_id="o1")], first_offset=1)
    part.contact(b"ada", encode(connected(2000)), 0)
    part.contact(b"ada", encode(connected(2000)), 0)
    effects = part.take_effects()
    assert [conversion.channel for conversion in effects.conversions] == [None, Channel.VOICE]
    assert effects.ordered == ["treated"]


def test_an_order_outside_the_window_is_nobodys() -> None:
    part = partition()
    feed(part, [added(0)])
    part.tick(NOON + HALF_AN_HOUR)
    feed(part, [ordered(HALF_AN_HOUR + 73 * 3600)], first_offset=1)
    assert part.take_effects().conversions == []


def test_a_bought_cart_stays_bought() -> None:
    part = partition()
    feed(part, [added(0, cart_id="c1"), ordered(10, cart_id="c1"), added(20, cart_id="c1"), added(5)])
    effects = part.take_effects()
    assert [letter.reason for letter in effects.dead_letters] == ["cart_already_bought"]
    assert held(part)[b"ada"].cart is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "malformed"),
        (b"\xff\x00", "malformed"),
        (
            encode(added(0))
            .replace(b'"quantity":1', b'"quantity":"x"')
            .replace(b'"unit_price":10000', b'"unit_price":"x"'),
            "wrong_type",
        ),
        (encode(added(0, price=-1)), "negative_price"),
        (encode(added(0)).replace(b"USD", b"XXQ"), "unknown_currency"),
        (encode(added(1e6)), "from_the_future"),
        (encode(added(-2 * 365 * 86400)), "too_old"),
        (encode(added(0, session_id="x" * 5_000_000)), "too_large"),
        (encode(added(0, shopper_id="eve")), "wrong_key"),
    ],
)
def test_what_can_not_be_used_is_a_dead_letter_and_changes_nothing(raw: bytes, reason: str) -> None:
    part = partition()
    feed(part, [added(0)])
    before = held(part)[b"ada"]
    part.records(b"ada", raw, 1, NOON)
    (letter,) = part.take_effects().dead_letters
    assert (letter.reason, letter.offset, letter.stage) == (reason, 1, "stream")
    assert held(part)[b"ada"] == before


def test_an_order_with_a_nonsensical_total_still_stops_the_call() -> None:
    part = partition()
    feed(part, [added(0)])
    part.records(b"ada", encode(ordered(10, value=-5, currency="USD")), 1, NOON + 10)
    effects = part.take_effects()
    assert [letter.reason for letter in effects.dead_letters] == ["negative_price"]
    assert effects.hopper == [Withdrawal("ada", "bought", NOON + 10)]


KINDS = [
    EventKind.PRODUCT_VIEWED,
    EventKind.ITEM_ADDED,
    EventKind.ITEM_REMOVED,
    EventKind.CHECKOUT_STARTED,
    EventKind.ORDER_COMPLETED,
]


@st.composite
def logs(draw: st.DrawFn) -> list[CartEvent]:
    """A log in order of time, of a few shoppers with gaps around the half hour."""
    at, log = 0.0, []
    for number in range(draw(st.integers(1, 30))):
        at += draw(st.sampled_from([0.0, 1.0, 600.0, HALF_AN_HOUR - 1, HALF_AN_HOUR, 5000.0]))
        shopper_id = draw(st.sampled_from(["ada", "bob", "eve"]))
        kind = draw(st.sampled_from(KINDS))
        one = added(at, shopper_id=shopper_id, event_id=f"e{number}")
        log.append(msgspec.structs.replace(one, kind=kind))
    return log


def take(part: Partition, records: list[list[CartEvent]], first: int, end: int) -> None:
    for offset in range(first, end):
        one = records[offset]
        part.records(None, b"[" + b",".join(map(encode, one)) + b"]", offset, one[-1].time)


@settings(max_examples=200, deadline=None)
@given(logs(), st.data())
def test_a_worker_that_dies_anywhere_comes_to_the_same_decisions(log: list[CartEvent], data: st.DataObject) -> None:
    alone = shop.settings(kafka__partitions=1)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(log))), label="records end") | {len(log)})
    records = [log[begin:end] for begin, end in itertools.pairwise([0, *cuts])]
    whole = partition(alone)
    take(whole, records, 0, len(records))
    expected = whole.take_effects()

    crash = data.draw(st.integers(0, len(records)), label="crash after")
    committed = data.draw(st.integers(0, crash), label="offsets committed")
    durable = data.draw(st.sets(st.sampled_from([b"ada", b"bob", b"eve"])), label="states written in the last batch")
    dead = partition(alone)
    take(dead, records, 0, committed)
    written = dict(held(dead))
    made = dead.take_effects().decisions
    take(dead, records, committed, crash)
    made += dead.take_effects().decisions
    written |= {key: state for key, state in held(dead).items() if key in durable}
    successor = partition(alone)
    take_over(successor, written)
    take(successor, records, committed, len(records))
    made += successor.take_effects().decisions

    assert {one.decision_id: one for one in essence(made)} == {d.decision_id: d for d in essence(expected.decisions)}
    assert {key: state.history.head for key, state in held(successor).items()} == {
        key: state.history.head for key, state in held(whole).items()
    }


@settings(max_examples=100, deadline=None)
@given(logs(), st.data())
def test_repeated_events_change_nothing(log: list[CartEvent], data: st.DataObject) -> None:
    clean = partition()
    feed(clean, log)
    doubled = [one for event in log for one in [event] * data.draw(st.integers(1, 3))]
    other = partition()
    feed(other, doubled)
    assert essence(other.take_effects().decisions) == essence(clean.take_effects().decisions)
    assert {k: s.cart for k, s in held(other).items()} == {k: s.cart for k, s in held(clean).items()}


@settings(max_examples=100, deadline=None)
@given(logs())
def test_nobody_is_offered_for_a_call_after_buying(log: list[CartEvent]) -> None:
    part = partition()
    feed(part, log)
    part.tick(log[-1].time + 10 * HALF_AN_HOUR)
    bought: dict[str, float] = {}
    for change in part.take_effects().hopper:
        if isinstance(change, Withdrawal):
            if change.reason == "bought":
                bought[change.shopper_id] = change.at
        else:
            assert bought.get(change.shopper_id, -1.0) <= change.last_activity
