"""Never events 1 and 2, and no lead lost: whatever is done in whatever order, and wherever the dialer dies.

A dialer is its steps: reserve, launch, originate, settle. It may die between any two of them, and in the middle of
one: the script has run and its answer is lost. It may also sleep through its lease and go on when it wakes up.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from dialer.do_not_call import replace_national
from dialer.hopper import Hopper, Offer, Refused, Reserved, Settled
from dialer.limits import Limits
from ringback.records import Outcome
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.dialer.leads import KEY, NOON, fictional, lead
from tests.dialer.truth import Truth

HOUR = 3600.0
DAY = 24 * HOUR
LIST_AGE = 2 * DAY
LIMITS = Limits(caps=((86400.0, 4),), per_lead=3, per_hour=20, lists={"US": LIST_AGE, "GB": HOUR})
CAPS = ((2 * HOUR, 2), (3 * DAY, 6))
LEASE = 60.0
LOCKOUT = 3 * DAY
PREFIX = "ringback:campaign:{}:"
T = TypeVar("T")

SHOPPERS = st.integers(0, 3)
NUMBERS = st.integers(0, 2)
CAMPAIGNS = st.sampled_from(["one", "two"])
AGES = st.sampled_from([0.0, 0.5, 2.0])
OPENS = st.sampled_from([-1.0, -1.0, -0.5, 0.0, 0.5])
AGENTS = st.lists(st.sampled_from(["7", "8"]), unique=True)


@dataclass
class Process:
    """A dialer: all that it knows. ``calls`` are those it has reserved, with whether they were launched.

    ``sure``: it has looked what lives.
    """

    token: str
    calls: dict[str, bool] = field(default_factory=dict)
    sure: bool = False


class NeverEvents(RuleBasedStateMachine):
    redis_settings: RedisSettings

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.client: Redis = connect(self.redis_settings)
        self.run(self._wipe())
        self.hoppers = {name: Hopper(self.client, name, LIMITS) for name in ("one", "two")}
        self.dialers: dict[str, Process] = {}
        self.asleep: list[tuple[str, Process]] = []
        self.truth = Truth()
        self.now = NOON
        self.serial = 0
        self.misfortunes = 0
        for name in self.hoppers:
            self.dies(name)
            self.looks(name)

    async def _wipe(self) -> None:
        await self.client.flushall()

    async def _locks(self, what: str) -> set[bytes]:
        held: Any = await self.client.hgetall(f"ringback:in-call:{what}")
        return set(held.values())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.client.aclose())
            self.runner.close()

    @rule(seconds=st.sampled_from([1.0, 70.0, 70.0, 1800.0, 1800.0, 12 * HOUR, DAY]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if seconds >= 12 * HOUR:
            self.asleep.clear()

    # The world outside.

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, age=AGES, opens=OPENS, priority=st.integers(1, 3))
    def offer(self, name: str, shopper: int, number: int, age: float, opens: float, priority: int) -> None:
        self.serial += 1
        offered = lead(
            shopper,
            lead_id=f"lead-{self.serial}",
            phone=lead(number).phone,
            last_activity=self.now - HOUR * age,
            callable_from=self.now + HOUR * opens,
            callable_until=self.now + HOUR * (opens + 26 if priority < 3 else opens + 100),
            priority=priority,
            caps=CAPS,
        )
        if self.run(self.hoppers[name].offer(offered, self.now)) is Offer.QUEUED:
            self.truth.leads[name, offered.lead_id] = offered

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, age=AGES)
    def buys(self, name: str, shopper: int, age: float) -> None:
        at, who = self.now - HOUR * age, f"shopper-{shopper}"
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

    @rule(late=st.sampled_from([0.0, 0.0, DAY, LIST_AGE]))
    def loads_the_national_list(self, late: float) -> None:
        self.truth.list_obtained = self.now - late
        self.run(replace_national(self.client, "US", [fictional(99)], KEY, self.now - late))

    # A dialer's steps. ``dies``: the script runs, and the dialer never learns its answer.

    @rule(name=CAMPAIGNS, count=st.integers(1, 3), agents=AGENTS, dies=st.booleans())
    def reserves(self, name: str, count: int, agents: list[str], dies: bool) -> None:
        self.serial += 1
        call_ids = [f"call-{self.serial}-{n}" for n in range(count)]
        process = self.dialers[name]
        if not process.sure:
            return
        reserve = (call_ids, self.now, process.token, LEASE, agents)
        taken = [row for row in self.run(self.hoppers[name].reserve(*reserve)) if isinstance(row, Reserved)]
        # Whoever did not get the answer asks again, and may get more where there are more by then.
        again = [row for row in self.run(self.hoppers[name].reserve(*reserve)) if isinstance(row, Reserved)]
        assert [(row.call_id, row.lead) for row in again[: len(taken)]] == [(row.call_id, row.lead) for row in taken]
        for row in again:
            in_hand = [call for other in self.dialers.values() for call in other.calls]
            self.truth.has_a_current_list(self.now, LIST_AGE)
            self.truth.reserved(name, row, self.now, (*LIMITS.caps, *row.lead.caps), in_hand)
        process.calls.update({row.call_id: False for row in again})
        if dies:
            self.dies(name)

    @rule(name=CAMPAIGNS, data=st.data(), dies=st.booleans())
    def launches(self, name: str, data: st.DataObject, dies: bool) -> None:
        process = self.dialers[name]
        waiting = sorted(call for call, launched in process.calls.items() if not launched)
        if not waiting:
            return
        self._launch(name, data.draw(st.sampled_from(waiting)), dies)

    def _launch(self, name: str, call_id: str, dies: bool) -> None:
        process = self.dialers[name]
        refusal = self.run(self.hoppers[name].launch(call_id, self.now, process.token))
        if refusal is None:
            self.truth.may_be_called(self.truth.booked[call_id][1])
            self.truth.has_a_current_list(self.now, LIST_AGE)
            process.calls[call_id] = True
        elif not dies:
            # As the dialer does: it was certainly not placed.
            del process.calls[call_id]
            if self.run(self.hoppers[name].unreserve(call_id, self.now)) is not Settled.UNKNOWN:
                del self.truth.booked[call_id]
        if dies:
            self.dies(name)

    @rule(name=CAMPAIGNS, data=st.data(), dies=st.booleans())
    def originates(self, name: str, data: st.DataObject, dies: bool) -> None:
        process = self.dialers[name]
        ready = sorted(
            call for call, launched in process.calls.items() if launched and call not in self.truth.originated
        )
        if ready:
            self.truth.rings(data.draw(st.sampled_from(ready)))
        if dies:
            self.dies(name)

    @rule(name=CAMPAIGNS, data=st.data(), retry=st.none() | st.sampled_from([0.0, 1800.0]), dies=st.booleans())
    def ends(self, name: str, data: st.DataObject, retry: float | None, dies: bool) -> None:
        process = self.dialers[name]
        ringing = sorted(process.calls.keys() & self.truth.ringing.keys())
        if not ringing:
            return
        self._end(name, data.draw(st.sampled_from(ringing)), retry, dies)

    def _end(self, name: str, call_id: str, retry: float | None, dies: bool) -> None:
        process = self.dialers[name]
        held = self.truth.ringing.pop(call_id)
        again = None if retry is None else self.now + retry
        for expected in (False, True):
            settled = self.run(self.hoppers[name].settle(call_id, Outcome.BUSY, again, talk_seconds=1.0))
            assert (settled is Settled.UNKNOWN) is expected
            if settled is Settled.FINISHED:
                self.truth.over.add((name, held.lead_id))
        del process.calls[call_id]
        if dies:
            self.dies(name)

    @rule(name=CAMPAIGNS, data=st.data(), agent=st.sampled_from(["7", None]), later=st.sampled_from([0.0, 600.0, HOUR]))
    def promises_a_callback(self, name: str, data: st.DataObject, agent: str | None, later: float) -> None:
        """Of any lead that was ever called: while the call lives, or long after."""
        called = sorted({one.lead_id for campaign, one, _ in self.truth.booked.values() if campaign == name})
        if not called:
            return
        before = self.truth.leads[name, data.draw(st.sampled_from(called))]
        window = {"callable_from": self.now + later, "callable_until": self.now + later + 4 * HOUR}
        again = msgspec.structs.replace(before, agent=agent, **window)
        if self.run(self.hoppers[name].promise(again, self.now)) in (Offer.QUEUED, Offer.CALLING):
            self.truth.leads[name, again.lead_id] = again
            self.truth.over.discard((name, again.lead_id))

    # Ways that are rare by chance.

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, count=st.integers(1, 3))
    def offers_and_reserves(self, name: str, shopper: int, number: int, count: int) -> None:
        self.looks(name)
        self.loads_the_national_list(0.0)
        self.offer(name, shopper, number, age=0.0, opens=-0.5, priority=3)
        self.reserves(name, count, [], dies=False)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, seconds=st.sampled_from([1.0, LEASE]))
    def is_slow_to_launch(self, name: str, shopper: int, number: int, seconds: float) -> None:
        self.offers_and_reserves(name, shopper, number, 2)
        self.time_passes(seconds)
        self.reclaims(name)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, numbers=st.lists(NUMBERS, min_size=1, max_size=5))
    def is_busy_again_and_again(self, name: str, shopper: int, numbers: list[int]) -> None:
        """At one number after the other."""
        for number in numbers:
            self.offers_and_reserves(name, shopper, number, 1)
            for call_id, launched in list(self.dialers[name].calls.items()):
                if not launched:
                    self._launch(name, call_id, dies=False)
                if self.dialers[name].calls.get(call_id) and call_id not in self.truth.originated:
                    self.truth.rings(call_id)
                    self._end(name, call_id, 0.0, dies=False)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, forbid=st.sampled_from(["buys", "list", "age", "opts out"]))
    def something_comes_between(self, name: str, shopper: int, number: int, forbid: str) -> None:
        """Reservation and launch; and another campaign learns of it."""
        self.offers_and_reserves(name, shopper, number, 3)
        match forbid:
            case "buys":
                self.buys("one", shopper, 0.0)
            case "list":
                self.is_put_on_the_list("one", number)
            case "age":
                self.loads_the_national_list(LIST_AGE)
            case _:
                self.opts_out("one", shopper, number)
        for call_id, launched in list(self.dialers[name].calls.items()):
            if not launched:
                self._launch(name, call_id, dies=False)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, other=CAMPAIGNS)
    def an_end_is_never_known(self, name: str, shopper: int, number: int, other: str) -> None:
        """And the same person, or somebody else at the number, fills another cart."""
        self.offers_and_reserves(name, shopper, number, 2)
        for call_id, launched in list(self.dialers[name].calls.items()):
            if not launched:
                self._launch(name, call_id, dies=False)
        self.dies(name)
        self.looks(name)
        self.time_passes(1800.0)
        self.offers_and_reserves(other, shopper, number, 3)

    @rule(name=CAMPAIGNS, shopper=SHOPPERS, number=NUMBERS, looked=st.booleans())
    def sleeps_before_the_launch(self, name: str, shopper: int, number: int, looked: bool) -> None:
        self.offers_and_reserves(name, shopper, number, 2)
        self.falls_asleep(name)
        if looked:
            self.looks(name)
        self._wake(-1)

    # Misfortunes of a dialer.

    @rule(name=CAMPAIGNS)
    def dies(self, name: str) -> None:
        """Another one takes over the campaign."""
        self.serial += 1
        if name in self.dialers:
            self.run(self.hoppers[name].release_lease(self.dialers[name].token))
        self.dialers[name] = Process(f"token-{self.serial}")
        assert self.run(self.hoppers[name].acquire_lease(self.dialers[name].token, 600))

    @rule(name=CAMPAIGNS)
    def falls_asleep(self, name: str) -> None:
        self.asleep.append((name, self.dialers[name]))
        self.dies(name)

    @rule(data=st.data())
    def wakes_up(self, data: st.DataObject) -> None:
        """It goes on where it was: what it had launched it originates, and all else it is refused."""
        if not self.asleep:
            return
        self._wake(data.draw(st.integers(0, len(self.asleep) - 1)))

    def _wake(self, which: int) -> None:
        name, process = self.asleep.pop(which)
        hopper = self.hoppers[name]
        for call_id, launched in process.calls.items():
            if not launched:
                assert self.run(hopper.launch(call_id, self.now, process.token)) is not None
            elif call_id not in self.truth.originated:
                self.truth.rings(call_id)
        answer = self.run(hopper.reserve(["late"], self.now, process.token, LEASE))
        assert [row.reason.value for row in answer if isinstance(row, Refused)] == ["not_leader"]
        assert self.run(hopper.reclaim(self.now, process.token)) == []

    @rule(name=CAMPAIGNS)
    def looks(self, name: str) -> None:
        """Whoever took over finds out what lives, as `dialer.reconcile` does, before it calls anybody."""
        hopper, truth, process = self.hoppers[name], self.truth, self.dialers[name]
        if process.sure:
            return
        process.sure = True
        for call in self.run(hopper.in_progress()):
            assert call.lead.lead_id == truth.booked[call.call_id][1].lead_id
            if not call.launched:
                self.run(hopper.unreserve(call.call_id, self.now))
                del truth.booked[call.call_id]
            elif call.call_id in truth.ringing:
                process.calls[call.call_id] = True
            else:
                # It may have rung, or may ring yet: whoever sleeps may originate it.
                lockout = self.now + LOCKOUT
                self.run(hopper.settle(call.call_id, Outcome.UNKNOWN, None, lockout_until=lockout))
                for key in (call.lead.phone_ref, call.lead.shopper_id):
                    truth.lockouts[key] = lockout
                truth.over.add((name, call.lead.lead_id))

    @rule(name=CAMPAIGNS)
    def reclaims(self, name: str) -> None:
        process = self.dialers[name]
        for call in self.run(self.hoppers[name].reclaim(self.now, process.token)):
            assert not call.launched
            assert self.truth.booked.pop(call.call_id)[2] <= self.now - LEASE
            process.calls.pop(call.call_id, None)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each lead is in one place, each call that may live is known, and each lock has a call."""
        if not hasattr(self, "hoppers"):
            return
        locks: set[bytes] = set()
        for name in self.hoppers:
            locks |= self.run(self._places(name))
        for what in ("phones", "shoppers"):
            assert self.run(self._locks(what)) == locks

    async def _places(self, name: str) -> set[bytes]:
        prefix, redis = PREFIX.format(name), self.client
        found = {call.call_id: call for call in await self.hoppers[name].in_progress()}
        if self.dialers[name].sure:
            assert found.keys() == self.dialers[name].calls.keys()
        leases: Any = await redis.zrange(prefix + "leases", 0, -1)
        assert {one.decode() for one in leases} == {call for call, known in found.items() if not known.launched}
        calling = {call.lead.lead_id for call in found.values()}
        sets = {key: set(await redis.zrange(prefix + key, 0, -1)) for key in ("waiting", "ready", "until", "own:7")}
        for (campaign, lead_id), held in self.truth.leads.items():
            if campaign != name:
                continue
            places = {key for key, members in sets.items() if lead_id.encode() in members}
            state: Any = await redis.hget(f"{prefix}lead:{lead_id}", "state")
            match state:
                case b"queued":
                    assert places in ({"waiting", "until"}, {"ready", "until"}, {"own:7", "waiting", "until"})
                    assert await redis.hget(prefix + "lead-of", held.shopper_id) == lead_id.encode()
                case b"calling":
                    assert not places
                    assert lead_id in calling
                case b"expired":
                    assert not places
                    assert held.callable_until <= self.now
                    assert await redis.zscore(prefix + "expired", lead_id) is not None
                case _:
                    assert state == b"done"
                    assert not places
            assert (state == b"done") is not bool(await redis.hexists(prefix + "bodies", lead_id))
        return {call.encode() for call in found}


@pytest.fixture
def machine(redis_settings: RedisSettings) -> type[NeverEvents]:
    NeverEvents.redis_settings = redis_settings
    return NeverEvents


def test_no_forbidden_and_no_second_call_and_no_lead_lost(machine: type[NeverEvents]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
