"""Never events 1 and 2: under any interleaving no forbidden and no second call is reserved."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from dialer.compliance.attempts import Caps
from dialer.hopper import Hopper, Offer, Refused, Reserved, Settled
from ringback.decisions import Lead
from ringback.records import Outcome
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.dialer.leads import NOON, lead

CAPS = Caps(per_day=3, per_lead=2)
DAY = 86400.0
T = TypeVar("T")

SHOPPERS = st.integers(0, 3)
NUMBERS = st.integers(0, 2)
CAMPAIGNS = st.sampled_from(["one", "two"])
AGES = st.sampled_from([0.0, 0.5, 2.0])
OPENS = st.sampled_from([-1.0, -1.0, -0.5, 0.0, 0.5])


@dataclass
class Truth:
    """What has happened, written down independently of the hopper."""

    bought: dict[str, float] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    opted_out_phones: set[str] = field(default_factory=set)
    do_not_call: set[str] = field(default_factory=set)
    attempts: list[tuple[str, str, str, float]] = field(default_factory=list)  # campaign, lead, phone, time
    live: dict[str, tuple[str, Lead]] = field(default_factory=dict)
    leads: dict[tuple[str, str], Lead] = field(default_factory=dict)


class NeverEvents(RuleBasedStateMachine):
    redis_settings: RedisSettings

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.client: Redis = connect(self.redis_settings)
        self.runner.run(self.wipe())
        self.hoppers = {name: Hopper(self.client, name, CAPS) for name in ("one", "two")}
        self.holder: dict[str, str] = {}
        self.truth = Truth()
        self.now = NOON
        self.serial = 0
        self.misfortunes = 0
        for name in self.hoppers:
            self.take_over(name)

    async def wipe(self) -> None:
        await self.client.flushall()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.client.aclose())
            self.runner.close()

    @rule(seconds=st.sampled_from([1.0, 60.0, 60.0, 1800.0, 1800.0, 12 * 3600.0, DAY]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=CAMPAIGNS)
    def take_over(self, name: str) -> None:
        self.serial += 1
        if name in self.holder:
            self.run(self.hoppers[name].release_lease(self.holder[name]))
        self.holder[name] = f"token-{self.serial}"
        assert self.run(self.hoppers[name].acquire_lease(self.holder[name], 600))

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, age=AGES, opens=OPENS, priority=st.integers(1, 3))
    def offer(self, name: str, shopper: int, number: int, age: float, opens: float, priority: int) -> None:
        self.serial += 1
        offered = lead(
            shopper,
            lead_id=f"lead-{self.serial}",
            phone=lead(number).phone,
            last_activity=self.now - 3600 * age,
            callable_from=self.now + 3600 * opens,
            callable_until=self.now + 3600 * (opens + 26),
            priority=priority,
        )
        if self.run(self.hoppers[name].offer(offered, self.now)) is Offer.QUEUED:
            self.truth.leads[name, offered.lead_id] = offered

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, age=AGES)
    def buys(self, name: str, shopper: int, age: float) -> None:
        at, who = self.now - 3600 * age, f"shopper-{shopper}"
        self.run(self.hoppers[name].withdraw(who, "bought", at))
        self.truth.bought[who] = max(at, self.truth.bought.get(who, at))

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS)
    def opts_out(self, name: str, shopper: int, number: int) -> None:
        # For ever: were it as frequent as the rest, nobody would be left to call.
        self.misfortunes += 1
        if self.misfortunes % 4:
            return
        self.run(self.hoppers[name].withdraw(f"shopper-{shopper}", "opted_out", self.now, lead(number).phone_ref))
        self.truth.opted_out.add(f"shopper-{shopper}")
        self.truth.opted_out_phones.add(lead(number).phone_ref)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS)
    def changes_the_cart(self, name: str, shopper: int) -> None:
        self.run(self.hoppers[name].withdraw(f"shopper-{shopper}", "changed", self.now))

    @rule(name=CAMPAIGNS, number=NUMBERS)
    def is_put_on_the_list(self, name: str, number: int) -> None:
        self.misfortunes += 1
        if self.misfortunes % 4:
            return
        self.run(self.hoppers[name].suppress(lead(number).phone_ref))
        self.truth.do_not_call.add(lead(number).phone_ref)

    @rule(name=CAMPAIGNS, data=st.data(), stale=st.booleans())
    def reserve(self, name: str, data: st.DataObject, stale: bool) -> None:
        """Reserve any lead that was ever offered: the gate must not rely on `candidates`."""
        known = [lead_id for campaign, lead_id in self.truth.leads if campaign == name]
        if not known:
            return
        self._reserve(name, data.draw(st.sampled_from(known)), token="stale" if stale else self.holder[name])

    @rule(name=CAMPAIGNS, limit=st.integers(1, 3))
    def dial(self, name: str, limit: int) -> None:
        for best in self.run(self.hoppers[name].candidates(self.now, limit)):
            self._reserve(name, best.lead_id, self.holder[name])

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, opens=OPENS)
    def offer_and_dial(self, name: str, shopper: int, number: int, opens: float) -> None:
        self.offer(name, shopper, number, age=0.0, opens=opens, priority=2)
        self._reserve(name, f"lead-{self.serial}", self.holder[name])

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, times=st.integers(1, 4))
    def a_number_is_busy_again_and_again(self, name: str, shopper: int, number: int, times: int) -> None:
        self.offer(name, shopper, number, age=0.0, opens=0.0, priority=2)
        lead_id = f"lead-{self.serial}"
        for _ in range(times):
            call_id = self._reserve(name, lead_id, self.holder[name])
            if call_id is None:
                return
            self.truth.live.pop(call_id)
            self.run(self.hoppers[name].settle(call_id, Outcome.BUSY, self.now))

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, forbid=st.sampled_from(["buys", "list", "opts out"]))
    def something_comes_between(self, name: str, shopper: int, number: int, forbid: str) -> None:
        self.offer(name, shopper, number, age=0.5, opens=0.0, priority=3)
        match forbid:
            case "buys":
                self.buys("one", shopper, 0.0)
            case "list":
                self.is_put_on_the_list("one", number)
            case _:
                self.opts_out("one", shopper, number)
        self.dial(name, 3)

    def _reserve(self, name: str, lead_id: str, token: str) -> str | None:
        self.serial += 1
        call_id = f"call-{self.serial}"
        result = self.run(self.hoppers[name].reserve(lead_id, call_id, self.now, token))
        if isinstance(result, Refused):
            return None
        truth, held = self.truth, result.lead
        assert token != "stale"
        assert held == truth.leads[name, lead_id]
        assert truth.bought.get(held.shopper_id, float("-inf")) < held.last_activity
        assert held.shopper_id not in truth.opted_out
        assert held.phone_ref not in truth.opted_out_phones | truth.do_not_call
        assert held.callable_from <= self.now < held.callable_until
        day = [at for _, _, phone, at in truth.attempts if phone == held.phone_ref and at > self.now - DAY]
        assert len(day) < CAPS.per_day
        of_lead = [at for campaign, a_lead, _, at in truth.attempts if (campaign, a_lead) == (name, lead_id)]
        assert len(of_lead) < CAPS.per_lead
        for _, other in truth.live.values():
            assert other.phone_ref != held.phone_ref
            assert other.shopper_id != held.shopper_id
        truth.attempts.append((name, lead_id, held.phone_ref, self.now))
        truth.live[call_id] = (name, held)
        assert self.run(self.hoppers[name].reserve(lead_id, call_id, self.now, token)) == Reserved(
            held, call_id, len(of_lead) + 1
        )
        return call_id

    @rule(data=st.data())
    def launch(self, data: st.DataObject) -> None:
        if self.truth.live:
            call_id = data.draw(st.sampled_from(sorted(self.truth.live)))
            name, held = self.truth.live[call_id]
            if self.run(self.hoppers[name].launch(call_id, self.now, self.holder[name])) is None:
                assert self.truth.bought.get(held.shopper_id, float("-inf")) < held.last_activity
                assert held.shopper_id not in self.truth.opted_out
                assert held.phone_ref not in self.truth.opted_out_phones | self.truth.do_not_call

    @rule(data=st.data(), retry=st.none() | st.sampled_from([0.0, 1800.0]), placed=st.booleans())
    def ends(self, data: st.DataObject, retry: float | None, placed: bool) -> None:
        if not self.truth.live:
            return
        call_id = data.draw(st.sampled_from(sorted(self.truth.live)))
        name, held = self.truth.live.pop(call_id)
        if placed:
            again = None if retry is None else self.now + retry
            assert self.run(self.hoppers[name].settle(call_id, Outcome.BUSY, again)) is not Settled.UNKNOWN
        else:
            self.run(self.hoppers[name].unreserve(call_id, self.now))
            at = max(i for i, one in enumerate(self.truth.attempts) if one[:3] == (name, held.lead_id, held.phone_ref))
            del self.truth.attempts[at]

    @invariant()
    def all_live_calls_are_found_again(self) -> None:
        if hasattr(self, "hoppers"):
            for name, held in self.hoppers.items():
                found = {call.call_id: call.lead for call in self.run(held.in_progress())}
                assert found == {call: one for call, (campaign, one) in self.truth.live.items() if campaign == name}


@pytest.fixture
def machine(redis_settings: RedisSettings) -> type[NeverEvents]:
    NeverEvents.redis_settings = redis_settings
    return NeverEvents


def test_no_forbidden_and_no_second_call_is_ever_reserved(machine: type[NeverEvents]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
