"""What ranking by worth earns, beside ranking by expected value and the best that could have been done.

A day of the simulated shop, scored by the default model, and a floor with too few agents, some and plenty. Each
policy sends carts to a call, an SMS or nobody as they become due; waiting leads are called once, best first, until they
are too old. What a contact really adds is known here, because the shop's laws can be played out with and without it
(`simulation.persuasion`); the policies know the model's score, and of all contacts together what they added on another
day, as a holdout would have shown. The best is the greedy knapsack in hindsight over that truth, with no regard to when
carts came: nobody can earn more. "Best known" is the same by what the model expects. "Tuned" is the threshold on
expected value that was the best in hindsight. The last line is one JSON object.
"""

import argparse
import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.table import Table

from ringback.capacity import Capacity
from ringback.clock import Clock
from ringback.decide_settings import DecideSettings
from ringback.decisions import Decision, Worth
from ringback.records import Channel, encode
from ringback.settings import Settings, load
from scoring.model import Model, default_model_folder
from simulation.persuasion import probability
from simulation.shop import Shop
from stream.carts import ShopperState
from stream.partition import Partition, Scorer
from stream.price import Arrival, Market, arrival, free_seconds, in_force, price
from stream.worth import from_common, is_worth_it, prior, to_common

MINUTE, HOUR = 60.0, 3600.0
# A Tuesday, from nine to eight in New York.
OPENS = datetime(2026, 3, 3, 9, 0, tzinfo=ZoneInfo("America/New_York")).timestamp()
CLOSES = OPENS + 11 * HOUR
HEAD_START = 6 * HOUR
AHEAD = 15.0
# Who answers is the share of the simulated network (`simulation.fates`); the margins are usual ones of retail.
LAWS = {
    "decide.holdout": 0.0,
    "stream.lateness": 0.0,
    "decide.answer.rate": 0.55,
    "decide.margins": {
        "electronics": 0.12,
        "home_improvement": 0.3,
        "beauty_wellness": 0.55,
        "dtc_lifestyle": 0.45,
    },
}
AGENTS = (1, 2, 4)
# The thresholds on expected value, score x cart value, that Ringback once had, hundredths of a dollar.
EXPECTED_FOR_CALL, EXPECTED_FOR_MESSAGE = 2500, 600
MOST_LIFT = 20.0
HINDSIGHT = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


@dataclass(frozen=True, slots=True)
class Case:
    """A cart that may be contacted: what is decided by, and what a call that is answered and an SMS really add.

    Amounts are hundredths of a dollar; ``common`` is what a minor unit of the cart's currency is in them. ``call``
    counts the chance of an answer and the cost; ``answers`` is drawn.
    """

    decision: Decision
    common: float
    voice: Worth | None
    sms: Worth | None
    call: float
    text: float
    answers: bool
    until: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Where a case goes, and how a call ranks."""

    channel: Channel | None
    rank: float = 0.0


Policy = Callable[[Case, int | None], Choice]


@dataclass(slots=True)
class Day:
    """What a policy did in a day; ``earned`` in hundredths of a dollar, ``busy`` in agent-seconds."""

    earned: float = 0.0
    calls: int = 0
    messages: int = 0
    leads: int = 0
    busy: float = 0.0


class States(dict[bytes, ShopperState]):
    """All states in memory."""

    def peek(self, key: bytes) -> ShopperState | None:
        """A shopper's state."""
        return self.get(key)

    def put(self, key: bytes, state: ShopperState) -> None:
        """Set a shopper's state."""
        self[key] = state

    def delete(self, key: bytes) -> None:
        """Forget a shopper."""
        self.pop(key, None)


def cases(seed: int, settings: Settings, model: Scorer, visits_per_hour: float, rounds: int) -> Iterator[Case]:
    """The carts of a day that may be contacted."""
    rules = settings.decide
    shop = Shop(seed, visits_per_hour=visits_per_hour, shoppers=20_000, start=OPENS - HEAD_START)
    part = Partition(0, settings, Clock(), model, States())
    offset = 0
    for minute in range(round((CLOSES - OPENS + HEAD_START) / MINUTE)):
        for event in shop.events_until(OPENS - HEAD_START + (minute + 1) * MINUTE):
            part.records(event.shopper_id.encode(), encode(event), offset, event.time)
            offset += 1
        for decision in part.take_effects().decisions:
            if decision.worth and decision.time >= OPENS:
                yield _case(decision, shop, seed, rounds, rules)


def _case(decision: Decision, shop: Shop, seed: int, rounds: int, rules: DecideSettings) -> Case:
    who = shop.shopper(decision.shopper_id)
    by_channel = {worth.channel: worth for worth in decision.worth}
    alone = probability(who, None, seed, rounds)

    common = float(to_common(1, decision.currency, rules))

    def added(worth: Worth | None) -> float:
        if worth is None:
            return 0.0
        gain = probability(who, worth.channel, seed, rounds) - alone
        return common * (gain * worth.margin * worth.answer - worth.cost)

    voice, sms = by_channel.get(Channel.VOICE), by_channel.get(Channel.SMS)
    draw = Random(f"{seed}/{decision.decision_id}").random()  # noqa: S311 - a simulated network
    return Case(
        decision=decision,
        common=common,
        voice=voice,
        sms=sms,
        call=added(voice),
        text=added(sms),
        answers=voice is not None and draw < voice.answer,
        until=decision.last_activity + rules.max_age,
    )


def by_expected_value(times: float) -> Policy:
    """Call the dearest: by score x cart value, with thresholds of old or so many times them."""

    def choose(case: Case, _price: int | None) -> Choice:
        worth = case.common * case.decision.expected_value
        if case.voice and worth >= EXPECTED_FOR_CALL * times:
            return Choice(Channel.VOICE, worth)
        return Choice(Channel.SMS if case.sms and worth >= EXPECTED_FOR_MESSAGE else None)

    return choose


def by_worth(rules: DecideSettings) -> Policy:
    """As `stream.decide` chooses: by worth, against the price where there is one, else the fixed threshold."""

    def choose(case: Case, price_: int | None) -> Choice:
        voice = case.voice
        if voice and price_ is not None:
            voice = msgspec.structs.replace(voice, threshold=from_common(price_, case.decision.currency, rules))
        good = [worth for worth in (voice, case.sms) if worth and is_worth_it(worth)]
        best = max(good, key=lambda worth: worth.value, default=None)
        if best is None:
            return Choice(None)
        return Choice(best.channel, case.common * (best.per_minute or 0))

    return choose


class Floor:
    """Agents who call the best lead as soon as they are free, and what that earned."""

    def __init__(self, agents: int, rules: DecideSettings) -> None:
        self.day = Day()
        self._rules = rules
        self._free_at = [OPENS] * agents
        self._later: list[tuple[float, int, float, Case]] = []
        self._ready: list[tuple[float, int, Case]] = []
        self._offers = 0

    def capacity(self, now: float) -> Capacity:
        """What the dialer would tell."""
        working = sum(at > now for at in self._free_at)
        queued = len(self._ready) + sum(at < now + HOUR for at, *_ in self._later)
        return Capacity(agents=len(self._free_at), working=working, queued=queued, wall=now)

    def offer(self, case: Case, rank: float) -> None:
        """Put a lead into the hopper."""
        self._offers += 1
        at = case.voice.at if case.voice else OPENS
        heapq.heappush(self._later, (at, self._offers, rank, case))

    def work(self, until: float) -> None:
        """Let the agents call until then."""
        while self._later and self._later[0][0] <= until:
            _, number, rank, case = heapq.heappop(self._later)
            heapq.heappush(self._ready, (-rank, number, case))
        while self._ready and min(self._free_at) < until:
            self._call(heapq.heappop(self._ready)[2])

    def _call(self, case: Case) -> None:
        agent = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        begins = max(self._free_at[agent], case.decision.time)
        if begins >= case.until:
            return
        handling = self._rules.handling
        seconds = handling.connected if case.answers else handling.unanswered
        self._free_at[agent] = begins + seconds
        self.day.calls += 1
        self.day.busy += seconds
        self.day.earned += case.call


def play(found: Sequence[Case], policy: Policy, agents: int, rules: DecideSettings, *, auto: bool = False) -> Day:
    """A day of the floor under a policy."""
    floor = Floor(agents, rules)
    market = Market(time=OPENS - HEAD_START, since=OPENS - HEAD_START)
    left = list(reversed(found))
    for minute in range(round((CLOSES - OPENS) / MINUTE)):
        now = OPENS + (minute + 1) * MINUTE
        offers: list[Arrival] = []
        while left and left[-1].decision.time < now:
            case = left.pop()
            choice = policy(case, in_force(market, case.decision.time) if auto else None)
            if choice.channel is Channel.VOICE:
                floor.offer(case, choice.rank)
                floor.day.leads += 1
            elif choice.channel is Channel.SMS:
                floor.day.messages += 1
                floor.day.earned += case.text
            offer = arrival(case.decision, rules)
            offers += [offer] if offer else []
        floor.work(now)
        market = price(now, market, offers, free_seconds(floor.capacity(now), rules), AHEAD)
    return floor.day


def best(found: Sequence[Case], agents: int) -> float:
    """The most that can be earned with so many agent-seconds: an upper bound, by the greedy rule of the knapsack.

    Each cart has a message or nothing, and a call adds what it brings beyond that: the dearest of these a second first.
    """
    free = agents * (CLOSES - OPENS)
    earned = sum(max(0.0, case.text) for case in found)
    steps = [(case.call - max(0.0, case.text), case.voice.handling) for case in found if case.voice]
    for gain, seconds in sorted(steps, key=lambda step: step[0] / step[1], reverse=True):
        if gain <= 0 or free <= 0:
            break
        earned += gain * min(1.0, free / seconds)
        free -= seconds
    return earned


def best_known(found: Sequence[Case], agents: int) -> float:
    """The same by what the model expects, in hindsight only of which carts came; what it earned is the truth."""
    free = agents * (CLOSES - OPENS)
    earned, steps = 0.0, []
    for case in found:
        text = max(0, case.sms.value) if case.sms else 0
        earned += case.text if text else 0.0
        if case.voice:
            gain = case.common * (case.voice.value - text)
            steps.append((gain, case.call - (case.text if text else 0.0), case.voice.handling))
    for gain, truth, seconds in sorted(steps, key=lambda step: step[0] / step[2], reverse=True):
        if gain <= 0 or free <= 0:
            break
        earned += truth * min(1.0, free / seconds)
        free -= seconds
    return earned


def lifts(found: Sequence[Case]) -> dict[str, float]:
    """The lifts by which all contacts of a day together would have been expected to add what they did, as settings."""

    def fitted(pairs: Sequence[tuple[Case, Worth, float]]) -> float:
        added = sum(truth + case.common * worth.cost for case, worth, truth in pairs)

        def expected(lift: float) -> float:
            return sum(
                float(prior(case.decision.score, Decimal(lift))) * case.common * worth.margin * worth.answer
                for case, worth, _ in pairs
            )

        low, high = 0.0, MOST_LIFT
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if expected(middle) < added else (low, middle)
        return round(low, 3)

    return {
        "decide.lift.voice": fitted([(case, case.voice, case.call) for case in found if case.voice]),
        "decide.lift.sms": fitted([(case, case.sms, case.text) for case in found if case.sms]),
    }


def compare(found: Sequence[Case], agents: int, rules: DecideSettings) -> dict[str, Day]:
    """What each policy does in a day."""
    tuned = [play(found, by_expected_value(times), agents, rules) for times in HINDSIGHT]
    return {
        "expected value": play(found, by_expected_value(1.0), agents, rules),
        "expected value, tuned": max(tuned, key=lambda day: day.earned),
        "worth": play(found, by_worth(rules), agents, rules),
        "worth, auto": play(found, by_worth(rules), agents, rules, auto=True),
        "best known": Day(earned=best_known(found, agents)),
        "best": Day(earned=best(found, agents)),
    }


def main() -> None:
    """Play the days and print what they came to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worth", description=__doc__)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--visits", type=float, default=400.0, help="visits of the shop an hour")
    parser.add_argument("--rounds", type=int, default=10, help="visits by which each truth is counted")
    flags = parser.parse_args()
    console, model = Console(), Model.load(default_model_folder())
    pilot = lifts(list(cases(flags.seed + 1, load(LAWS), model, flags.visits, flags.rounds)))
    settings = load(LAWS | pilot)
    found = list(cases(flags.seed, settings, model, flags.visits, flags.rounds))
    asked = sum(case.voice.handling for case in found if case.voice) / (CLOSES - OPENS)
    console.print(f"{len(found)} carts that may be contacted; calling all of them takes {asked:.1f} agents")
    console.print("lifts of the other day: " + ", ".join(f"{name} {share:.2f}" for name, share in pilot.items()))
    results: dict[str, dict[str, dict[str, float]]] = {}
    for agents in AGENTS:
        days = compare(found, agents, settings.decide)
        console.print(shown(days, agents))
        top = days["best"].earned
        results[str(agents)] = {
            name: {"margin": round(day.earned / 100, 2), "regret": round(1 - day.earned / top, 4)}
            for name, day in days.items()
        }
    console.print(json.dumps({"agents": results}), soft_wrap=True, highlight=False)


def shown(days: Mapping[str, Day], agents: int) -> Table:
    """A table of what policies did."""
    table = Table(title=f"{agents} agents, 11 hours")
    for name in ("policy", "incremental margin, USD", "regret", "leads", "called", "agents busy", "messages"):
        table.add_column(name, justify="left" if name == "policy" else "right")
    for name, day in days.items():
        did = (
            [f"{day.leads}", f"{day.calls}", f"{day.busy / agents / (CLOSES - OPENS):.0%}", f"{day.messages}"]
            if day.leads
            else [""] * 4
        )
        table.add_row(name, f"{day.earned / 100:,.0f}", f"{1 - day.earned / days['best'].earned:.0%}", *did)
    return table


if __name__ == "__main__":
    main()
