"""What contacts are worth: the formula by hand, and what must hold whatever the numbers are."""

from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.decide_settings import DecideSettings
from ringback.decisions import Decision, Lead, Reason, Route
from ringback.errors import SettingsError
from ringback.records import Channel, Consent
from ringback.settings import load
from scoring.industry import INDUSTRIES
from stream import worth
from stream.decide import Scored, decide
from stream.worth import Prospect
from tests.stream.shop import ADA, NOON, added, feed, held, partition, settings

NEW_YORK, CHICAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Chicago")
EVENING = NOON + 8 * 3600  # 18:13 in New York
SHARES = st.decimals(0, 1, places=3)
INTENTS = st.floats(0, 1)
VALUES = st.integers(0, 10**9)
COSTS = st.integers(0, 10_000)


def rules(**changes: object) -> DecideSettings:
    """Round numbers: margin 1/2, lift 1/2 of who answers, a quarter answers, 200 s or 20 s of an agent."""
    fields: dict[str, object] = {
        "margin": "0.5",
        "lift": {"voice": "0.5", "sms": "0.1", "chat": "0.2"},
        "answer": {"rate": "0.25", "by_hour": ["1"] * 24, "by_attempt": ["1", "0.5"]},
        "handling": {"connected": 200.0, "unanswered": 20.0},
        "voice_from": {"USD": 60, "JPY": 60},
        "message_from": {"USD": 5, "JPY": 5},
        "cost": {name: {"USD": 3, "JPY": 3} for name in ("voice", "sms", "chat")},
        "exchange": {"USD": "1", "JPY": "0.01"},
    }
    return DecideSettings.model_validate(fields | changes)


def prospect(**changes: object) -> Prospect:
    fields: dict[str, object] = {"intent": 0.4, "value": 10_000, "currency": "USD", "at": NOON, "zones": [NEW_YORK]}
    return Prospect(**fields | changes)  # type: ignore[arg-type]  # the names are those of Prospect


def test_a_call_by_hand() -> None:
    found = worth.of_call(prospect(), rules(), None)
    # Odds of 2 to 3 become 3 to 3: 0.1 more of those who answer; x 5,000 of margin x 1/4 - 3 = 122,
    # in 1/4 x 200 + 3/4 x 20 = 65 s.
    assert (found.lift, found.lift_source) == (0.1, "prior")
    assert (found.margin, found.answer, found.cost, found.value, found.handling) == (5_000, 0.25, 3, 122, 65.0)
    assert (found.per_minute, found.threshold, found.threshold_source) == (113, 60, "fixed")
    assert worth.is_worth_it(found)


def test_a_message_by_hand() -> None:
    found = worth.of_message(Channel.CHAT, prospect(), rules())
    # 0.2 x 0.4 x 0.6 / 1.08 = 2/45.
    assert found.lift == pytest.approx(2 / 45)
    assert (found.value, found.answer) == (219, 1.0)
    assert (found.per_minute, found.handling, found.threshold) == (None, 0.0, 5)


def test_a_proven_uplift_takes_the_place_of_the_prior() -> None:
    # 2.5 points of all who are called are 10 of those who answer.
    found = worth.of_call(prospect(intent=0.9, uplift=0.025), rules(), None)
    assert (found.lift, found.lift_source, found.value) == (0.1, "uplift", 122)
    assert worth.of_message(Channel.SMS, prospect(uplift=0.025), rules()).lift_source == "prior"


@pytest.mark.parametrize("uplift", [-0.02, 0.0])
def test_whom_a_call_puts_off_is_not_called_however_low_the_threshold(uplift: float) -> None:
    found = worth.of_call(prospect(uplift=uplift), rules(voice_from={"USD": 0}), None)
    assert not worth.is_worth_it(found)


def test_the_price_takes_the_place_of_the_fixed_threshold_in_the_currency_of_the_cart() -> None:
    found = worth.of_call(prospect(), rules(), 500)
    assert (found.threshold, found.threshold_source) == (500, "shadow_price")
    assert not worth.is_worth_it(found)
    # 5 dollars are 500 yen, which have no cents.
    assert worth.of_call(prospect(currency="JPY"), rules(), 500).threshold == 500


def test_ranks_compare_currencies_and_fall_with_each_attempt() -> None:
    dollars = worth.priorities(prospect(), rules(), 3)
    yen = worth.priorities(prospect(currency="JPY", value=10_000), rules(), 3)
    # 59.5 cents in 42.5 seconds, once the chance of an answer has halved.
    assert dollars == (6757, 5040, 5040)
    assert yen == dollars


def test_the_hour_counts_where_the_shopper_is() -> None:
    hours = [Decimal(hour) / 24 for hour in range(24)]
    answers = rules(answer={"rate": "0.5", "by_hour": hours, "by_attempt": ["1"]}).answer
    assert worth.answer(EVENING, [NEW_YORK], 1, answers) == Decimal("0.5") * Decimal(18) / 24
    mean = worth.answer(EVENING, [NEW_YORK, CHICAGO], 1, answers)
    assert mean == Decimal("0.5") * (Decimal(18) / 24 + Decimal(17) / 24) / 2
    assert worth.answer(EVENING, [], 1, answers) == Decimal("0.5")


def test_the_margin_is_that_of_the_industry() -> None:
    held_ = rules(margins={"electronics": "0.1"})
    assert worth.margin(prospect(industry="electronics"), held_) == 1_000
    assert worth.margin(prospect(industry="other"), held_) == 5_000
    DecideSettings(margins=dict.fromkeys(INDUSTRIES, Decimal("0.2")))


@given(INTENTS, st.decimals(0, 100, places=3))
def test_the_prior_adds_nothing_to_the_certain_and_never_more_than_is_left(intent: float, lift: Decimal) -> None:
    added_ = worth.prior(intent, lift)
    assert added_ >= 0
    assert Decimal(intent) + added_ <= 1 + Decimal("1e-27")
    assert worth.prior(0.0, lift) == worth.prior(1.0, lift) == 0
    assert added_ <= lift * Decimal(intent)
    assert worth.prior(intent, lift + 1) >= added_


def ranks(case: Prospect, held_: DecideSettings) -> tuple[int, int, int]:
    call, sms = worth.of_call(case, held_, None), worth.of_message(Channel.SMS, case, held_)
    return worth.priorities(case, held_, 1)[0], call.per_minute or 0, sms.value


@given(INTENTS, VALUES, st.tuples(SHARES, SHARES), COSTS)
def test_more_margin_never_ranks_lower(intent: float, value: int, margins: tuple[Decimal, Decimal], cost: int) -> None:
    costs = {name: {"USD": cost, "JPY": cost} for name in ("voice", "sms", "chat")}
    low, high = (ranks(prospect(intent=intent, value=value), rules(margin=one, cost=costs)) for one in sorted(margins))
    assert all(a <= b for a, b in zip(low, high, strict=True))
    dear = ranks(prospect(intent=intent, value=value + 1), rules(margin=min(margins), cost=costs))
    assert all(a <= b for a, b in zip(low, dear, strict=True))


@given(INTENTS, VALUES, st.tuples(SHARES, SHARES).filter(all), COSTS)
def test_a_better_chance_of_an_answer_never_ranks_lower(
    intent: float, value: int, rates: tuple[Decimal, Decimal], cost: int
) -> None:
    costs = {name: {"USD": cost, "JPY": cost} for name in ("voice", "sms", "chat")}
    low, high = (
        ranks(
            prospect(intent=intent, value=value),
            rules(cost=costs, answer={"rate": rate, "by_hour": ["1"] * 24, "by_attempt": ["1"]}),
        )
        for rate in sorted(rates)
    )
    assert all(a <= b for a, b in zip(low, high, strict=True))


@given(INTENTS, VALUES, st.tuples(COSTS, COSTS), st.none() | st.floats(-1, 1))
def test_less_cost_never_ranks_lower(intent: float, value: int, costs: tuple[int, int], uplift: float | None) -> None:
    cheap, dear = (
        ranks(
            prospect(intent=intent, value=value, uplift=uplift),
            rules(cost={name: {"USD": cost, "JPY": cost} for name in ("voice", "sms", "chat")}),
        )
        for cost in sorted(costs)
    )
    assert all(a >= b for a, b in zip(cheap, dear, strict=True))


@given(INTENTS, VALUES)
def test_money_is_exact_to_the_minor_unit(intent: float, value: int) -> None:
    found = worth.of_message(Channel.SMS, prospect(intent=intent, value=2 * value), rules())
    p, lift = Fraction(intent), Fraction(1, 10)
    exact = lift * p * (1 - p) / (1 + lift * p) * value - 3
    assert abs(found.value - exact) <= Fraction(1, 2) + Fraction(1, 10**15)


def judged(price: int | None = None, intent: float = 0.5, uplift: float | None = None, **changes: object) -> Decision:
    """The decision on a cart of 100 USD that was left half an hour before."""
    config = settings(**changes)
    part = partition(config)
    feed(part, [added(0)])
    state = held(part)[b"ada"]
    assert state.cart is not None
    scored = Scored((), intent, "even", uplift=uplift)
    return decide("ada", state, state.cart, NOON + 1800, scored, config, price)[0]


def test_the_decision_says_why() -> None:
    called = judged()
    assert called.route is Route.VOICE
    assert [one.channel for one in called.worth] == [Channel.VOICE, Channel.SMS, Channel.CHAT]
    written = judged(price=10_000)
    assert (written.route, written.reason) == (Route.SMS, Reason.MID_VALUE)
    assert (written.worth[0].threshold, written.worth[0].threshold_source) == (10_000, "shadow_price")
    assert judged(intent=0.001).reason is Reason.LOW_VALUE
    assert judged(uplift=-0.1).worth[0].lift_source == "uplift"
    assert judged(uplift=-0.1).route is Route.SMS
    out = judged(decide__holdout=0.5, decide__holdout_salt="a")
    assert out.route in (Route.HOLDOUT, Route.VOICE)
    assert len(out.worth) == 3


@given(INTENTS, st.integers(0, 10**8), st.none() | st.floats(-1, 1), st.none() | st.integers(0, 10**6))
def test_no_worth_outweighs_consent_or_a_rule(
    intent: float, value: int, uplift: float | None, price: int | None
) -> None:
    config = settings()
    for shopper, reason in (
        (None, Reason.NO_PHONE),
        (ADA.__class__(phone=ADA.phone, country="US"), Reason.NO_CONSENT),
        (ADA.__class__(phone=ADA.phone, country="AQ", consent=ADA.consent), Reason.UNKNOWN_REGION),
        (ADA.__class__(phone="+18765550123", country="US", consent=ADA.consent), Reason.NUMBER_NOT_ALLOWED),
    ):
        part = partition(config)
        feed(part, [added(0, price=value, shopper=shopper)])
        state = held(part)[b"ada"]
        assert state.cart is not None
        decision, _ = decide("ada", state, state.cart, NOON + 1800, Scored((), intent, "m", uplift), config, price)
        assert (decision.route, decision.reason, decision.worth) == (Route.NONE, reason, ())


@given(INTENTS, st.integers(0, 10**8), st.booleans(), st.booleans(), st.booleans())
def test_only_channels_that_were_agreed_to_are_weighed(
    intent: float, value: int, voice: bool, sms: bool, chat: bool
) -> None:
    consent = Consent(voice=voice, sms=sms, chat=chat, evidence="checkout")
    config = settings()
    part = partition(config)
    feed(part, [added(0, price=value, shopper=ADA.__class__(phone=ADA.phone, country="US", consent=consent))])
    state = held(part)[b"ada"]
    assert state.cart is not None
    decision, _ = decide("ada", state, state.cart, NOON + 1800, Scored((), intent, "m"), config)
    assert {one.channel for one in decision.worth} == {one for one in Channel if consent.to(one)}
    assert decision.route is Route.NONE or consent.to(Channel(decision.route.value))


def test_a_lead_carries_the_ranks_of_all_its_attempts() -> None:
    part = partition(settings(compliance__max_attempts_per_lead=3))
    feed(part, [added(0)])
    part.tick(NOON + 1800)
    effects = part.take_effects()
    (lead,) = effects.hopper
    assert isinstance(lead, Lead)
    assert len(lead.retry_priorities) == 2
    assert lead.priority > lead.retry_priorities[0] > lead.retry_priorities[1] > 0
    call = effects.decisions[0].worth[0]
    assert call.per_minute is not None
    assert lead.priority == pytest.approx(call.per_minute * 60, rel=0.01)


def test_a_call_that_can_only_be_made_later_is_judged_by_the_fixed_threshold() -> None:
    # It is 10:43 where the shopper is.
    hours = {"US": {"open": "14:00", "close": "20:00", "timezones": ["America/New_York"]}}
    decision = judged(price=10_000, compliance__hours=hours)
    assert decision.worth[0].at - decision.time > 3600
    assert (decision.worth[0].threshold_source, decision.route) == ("fixed", Route.VOICE)


def test_several_currencies_need_rates_and_costs() -> None:
    with pytest.raises(SettingsError, match="exchange has no SEK"):
        load({"decide.voice_from": {"SEK": 1, "USD": 1}, "decide.message_from": {"SEK": 1, "USD": 1}, **costs("SEK")})
    with pytest.raises(SettingsError, match=r"cost\.voice has no SEK"):
        load({"decide.voice_from": {"SEK": 1}, "decide.message_from": {"SEK": 1}})
    alone = load({"decide.voice_from": {"SEK": 1}, "decide.message_from": {"SEK": 1}, **costs("SEK")})
    assert worth.to_common(100, "SEK", alone.decide) == 100


def costs(*currencies: str) -> dict[str, object]:
    table = dict.fromkeys((*currencies, "USD"), 1)
    return {f"decide.cost.{name}": table for name in ("voice", "sms", "chat")}
