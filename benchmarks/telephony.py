"""What one Asterisk carries for the dialer: originates a second, calls at once, and how soon an answer has its agent.

A real Asterisk with Ringback's dialplan, and the dialer's own link, actions and signals. Shoppers are Local channels
that answer and stay silent; agents are nailed up. Calls leave when they are due, whether or not those before them have
ended. Each answered shopper is handed to the agent who has been idle longest, and hung up after a while.

    load      so many originates a second, and so many conversations at once, as the two options say
    connect   20 originates a second with agents to spare: from the answer to shopper and agent in one bridge

Times are Asterisk's: an event's age is from its stamp to its arrival; the bridge's time is told by a second manager
user who sees nothing else. Processor time is Asterisk's own, all agents and the shoppers' ends included: they live in
it too; what the agents cost without calls is told apart. The last line is one JSON object.

    python -m benchmarks.telephony [--quick] [--rate 40] [--concurrent 200]
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from panoramisk.message import Message
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_seconds
from dialer import actions, calls, signals
from dialer.ami import Ami
from ringback.dialer_settings import AmiSettings, DialerSettings
from tests.dialer.leads import lead
from tests.servers.ami import ami_session
from tests.servers.asterisk import Asterisk

# Rings for 200 ms, answers, and stays for longer than any call here.
SHOPPER = "+19075550100"
FIRST_AGENT = 2000
SPARE_AGENTS = 30
CONNECT_RATE = 20.0
CONNECT_HOLD_SECONDS = 1.0
LINK_SECONDS = 10.0
IDLE_SECONDS = 5.0
PATIENCE_SECONDS = 30.0
OBSERVER = "observer"
CHANNEL = "Local/{number}@shoppers"
MS = 1000.0


class WatchedAsterisk(Asterisk):
    """Asterisk with a manager user who sees the second channel of each bridge, and nothing else."""

    def _render(self) -> None:
        super()._render()
        with (self.directory / "etc" / "local" / "manager.conf").open("a") as manager:
            manager.write(
                f"\n[{OBSERVER}]\nsecret = {self.secret}\nread = system,call\nwrite = system\nwritetimeout = 5000\n"
                "deny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.1/255.255.255.255\n"
                "eventfilter(action(include),name(FullyBooted)) =\n"
                "eventfilter(action(include),name(BridgeEnter),header(BridgeNumChannels),method(exact)) = 2\n"
            )

    def ami_settings(self, user: str) -> AmiSettings:
        """How the dialer's link logs in."""
        return AmiSettings.model_validate(
            {"host": self.host, "port": self.port, "user": user, "secret": self.secret, "ping_interval": 60.0}
        )


@dataclass
class Seen:
    """What was seen of a phase. Stamps are Asterisk's, by call id."""

    events: int = 0
    ages: list[float] = field(default_factory=list)
    answered: dict[str, float] = field(default_factory=dict)
    bridged: dict[str, float] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    abandoned: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    most_at_once: int = 0


class Phase(NamedTuple):
    """The figures of a phase; times in ms, processor time in ms of one core a call."""

    originates_per_s: float
    concurrent: int
    calls: int
    connected: int
    abandoned: int
    event_age_p50: float
    event_age_p99: float
    events_per_connected_call: float
    bridged_p50: float
    bridged_p99: float
    bridged_max: float
    asterisk_cpu_ms_per_call: float
    dialer_cpu_ms_per_call: float


class Router:
    """As much of the dialer as the telephone sees: answers go to the agent who is idle longest."""

    def __init__(self, agents: list[str], hold: float, calls_to_come: int) -> None:
        self.seen = Seen()
        self.over = asyncio.Event()
        self._calls_to_come = calls_to_come
        self.link: Ami | None = None
        self._idle = deque(agents)
        self._waiting: deque[str] = deque()
        self._talks: dict[str, str] = {}
        self._hold = hold
        self._tasks: set[asyncio.Task[None]] = set()

    def on_event(self, message: Message) -> None:
        """An event of the dialer's link."""
        received = time.time()
        seen = self.seen
        seen.events += 1
        stamp = signals.stamp(message, received)
        seen.ages.append(received - stamp)
        match signals.read(message, received):
            case signals.OfCall(call_id, calls.Answered()):
                seen.answered[call_id] = stamp
                self._waiting.append(call_id)
                self._match()
            case signals.OfCall(call_id, calls.Connected()):
                seen.connected.add(call_id)
                seen.most_at_once = max(seen.most_at_once, len(seen.connected - seen.ended))
                asyncio.get_running_loop().call_later(self._hold, self._do, actions.hang_up(call_id))
            case signals.OfCall(call_id, calls.Abandoned()):
                seen.abandoned.add(call_id)
            case signals.OfCall(call_id, calls.Hangup()):
                seen.ended.add(call_id)
                if len(seen.ended) == self._calls_to_come:
                    self.over.set()
                if agent := self._talks.pop(call_id, None):
                    self._idle.append(agent)
                    self._match()

    def on_bridge(self, message: Message) -> None:
        """An event of the observer's link."""
        self.seen.bridged[message.get("Uniqueid", "")] = signals.stamp(message, time.time())

    def dial(self, call_id: str) -> None:
        """Place a call."""
        headers = actions.originate(call_id, lead(phone=SHOPPER), DialerSettings(), CHANNEL)
        self._do(actions.Action("Originate", headers))

    def _match(self) -> None:
        while self._waiting and self._idle:
            call_id, agent = self._waiting.popleft(), self._idle.popleft()
            self._talks[call_id] = agent
            self._do(actions.connect(call_id, agent))

    def _do(self, action: actions.Action) -> None:
        if self.link is None:
            raise RuntimeError("there is no link")
        task = asyncio.create_task(_sent(self.link.send(action.name, **action.headers)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _sent(answer: Coroutine[Any, Any, Message]) -> None:
    await answer


def main() -> None:
    """Run both phases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telephony", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 s of each phase instead of 30")
    parser.add_argument("--rate", type=float, default=40.0, help="originates a second under load")
    parser.add_argument("--concurrent", type=int, default=200, help="conversations at once under load")
    options = parser.parse_args()
    seconds = 10.0 if options.quick else 30.0
    idle, phases = asyncio.run(_measure(options.rate, options.concurrent, seconds))
    _show(phases)
    sys.stdout.write(f"an idle agent takes {idle:.2f} % of a core\n")
    result = {name: phase._asdict() for name, phase in phases.items()}
    sys.stdout.write(json.dumps({**result, "idle_agent_cpu_percent": idle}) + "\n")


async def _measure(rate: float, concurrent: int, seconds: float) -> tuple[float, dict[str, Phase]]:
    agents = [str(FIRST_AGENT + n) for n in range(concurrent + SPARE_AGENTS)]
    with WatchedAsterisk() as asterisk:
        async with ami_session(asterisk) as session:
            for agent in agents:
                await session.log_in_agent(agent)
        cpu = cpu_seconds(asterisk)
        await asyncio.sleep(IDLE_SECONDS)
        idle = (cpu_seconds(asterisk) - cpu) / IDLE_SECONDS / len(agents) * 100
        hold = concurrent / rate
        return idle, {
            "load": await _phase(asterisk, agents, rate, hold, max(seconds, 2 * hold)),
            "connect": await _phase(asterisk, agents, CONNECT_RATE, CONNECT_HOLD_SECONDS, seconds),
        }


async def _phase(asterisk: WatchedAsterisk, agents: list[str], rate: float, hold: float, seconds: float) -> Phase:
    placed = round(rate * seconds)
    router = Router(agents, hold, placed)
    async with (
        _link(asterisk, Asterisk.user, router.on_event) as link,
        _link(asterisk, OBSERVER, router.on_bridge),
    ):
        router.link = link
        seen = router.seen = Seen()
        cpu, own = cpu_seconds(asterisk), time.process_time()
        began = time.monotonic()
        for n in range(placed):
            await asyncio.sleep(began + n / rate - time.monotonic())
            router.dial(calls.new_call_id())
        lasted = time.monotonic() - began
        async with asyncio.timeout(hold + PATIENCE_SECONDS):
            await router.over.wait()
        cpu, own = cpu_seconds(asterisk) - cpu, time.process_time() - own
    waits = sorted(seen.bridged[call] - seen.answered[call] for call in seen.connected)
    ages = sorted(seen.ages)
    return Phase(
        originates_per_s=placed / lasted,
        concurrent=seen.most_at_once,
        calls=placed,
        connected=len(seen.connected),
        abandoned=len(seen.abandoned),
        event_age_p50=_quantile(ages, 0.5) * MS,
        event_age_p99=_quantile(ages, 0.99) * MS,
        events_per_connected_call=seen.events / len(seen.connected),
        bridged_p50=_quantile(waits, 0.5) * MS,
        bridged_p99=_quantile(waits, 0.99) * MS,
        bridged_max=waits[-1] * MS,
        asterisk_cpu_ms_per_call=cpu / placed * MS,
        dialer_cpu_ms_per_call=own / placed * MS,
    )


@asynccontextmanager
async def _link(asterisk: WatchedAsterisk, user: str, on_event: Callable[[Message], None]) -> AsyncIterator[Ami]:
    up = asyncio.Event()
    link = Ami(asterisk.ami_settings(user), on_event, up.set, up.clear)
    task = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(LINK_SECONDS):
            await up.wait()
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _show(phases: dict[str, Phase]) -> None:
    table = Table("", *phases)
    for n, name in enumerate(Phase._fields):
        table.add_row(name.replace("_", " "), *(f"{phase[n]:,.1f}" for phase in phases.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
