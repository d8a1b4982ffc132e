"""The processes of a demo, and the environment that they get: nothing in it comes from the user's settings."""

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

from ringback import kafka
from ringback.calling_hours import DEFAULT_HOURS
from ringback.children import Child
from ringback.embedded import HOST, EmbeddedServer, free_port, start_kafka, start_redis
from ringback.errors import RingbackError
from ringback.scrape import Samples, fetch, is_ready
from ringback.settings import KafkaSettings

# A Tuesday afternoon in New York; the shop's day is the same in every demo.
OPENING = datetime(2026, 3, 3, 15, 0, tzinfo=ZoneInfo("America/New_York"))
PARTITIONS = 4
START_SECONDS = 40.0
LINES_AN_AGENT = 2

# What a process needs from the machine. Everything else of the user's environment stays outside, RINGBACK_* above all.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Say = Callable[[str], None]


class ProcessDied(RingbackError):
    """A process of the demo ended by itself; the message shows the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts of a demo find each other: all on 127.0.0.1."""

    kafka: str
    redis: str
    ami_port: int
    provider_port: int
    wall_origin: float


def environment(
    inherited: Mapping[str, str], folder: Path, addresses: Addresses, *, seed: int, agents: int, speed: float
) -> dict[str, str]:
    """The environment of every process, but for the admin port. It can reach 127.0.0.1 and no carrier."""
    passed_on = {name: inherited[name] for name in PASSED_ON if name in inherited}
    no_file = folder / "ringback.toml"
    no_file.touch()
    # An hour of the shop's day passes in half a minute: with the law's hours, a demo of some minutes would end the day.
    hours = {country: {"open": "00:00", "close": "24:00", "days": list(range(7))} for country in DEFAULT_HOURS}
    return passed_on | {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "PYTHONUNBUFFERED": "1",
        "RINGBACK_CONFIG": str(no_file),
        "RINGBACK_LOG_LEVEL": "INFO",
        "RINGBACK_KAFKA__BOOTSTRAP": addresses.kafka,
        "RINGBACK_KAFKA__PARTITIONS": str(PARTITIONS),
        "RINGBACK_KAFKA__REPLICATION": "1",
        "RINGBACK_REDIS__URL": f"redis://{addresses.redis}/0",
        "RINGBACK_AMI__HOST": HOST,
        "RINGBACK_AMI__PORT": str(addresses.ami_port),
        "RINGBACK_AMI__RECONNECT_MAX": "1",
        "RINGBACK_AMI__USER": "simulation",
        "RINGBACK_AMI__SECRET": secrets.token_hex(16),
        "RINGBACK_ADMIN__HOST": HOST,
        "RINGBACK_DIALER__CAMPAIGN": "simulation",
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_DIALER__LINES": str(agents * LINES_AN_AGENT),
        "RINGBACK_DIALER__WRAP_UP": "2",
        "RINGBACK_DIALER__RING_TIMEOUT": "15",
        "RINGBACK_DIALER__DRAIN": "4",
        "RINGBACK_OUTREACH__URL": f"http://{HOST}:{addresses.provider_port}/messages",
        "RINGBACK_OUTREACH__SHOP_NAME": "Simulated Outfitters",
        "RINGBACK_COMPLIANCE__HOURS": json.dumps(hours),
        # The people who are called here are invented: no country's list has their numbers.
        "RINGBACK_COMPLIANCE__SCRUBBED_ELSEWHERE": json.dumps(list(DEFAULT_HOURS)),
        # Twice the usual share, so that the lift has its interval after two minutes.
        "RINGBACK_DECIDE__HOLDOUT": "0.2",
        "RINGBACK_DECIDE__HOLDOUT_SALT": f"simulation-{seed}",
        # As in simulation/fates.py, which is the only floor that these decisions are for.
        "RINGBACK_DECIDE__ANSWER__RATE": "0.55",
        "RINGBACK_PRIVACY__PHONE_KEY": secrets.token_hex(16),
        "RINGBACK_STREAM__DATA_DIR": str(folder / "stream"),
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ANY_HOUR": "true",
        "RINGBACK_SIMULATION__ORIGIN": repr(OPENING.timestamp()),
        "RINGBACK_SIMULATION__WALL_ORIGIN": repr(addresses.wall_origin),
        "RINGBACK_SIMULATION__SPEED": repr(speed),
    }


class Fleet:
    """The embedded servers and Ringback's processes, from `start` to `stop`."""

    def __init__(self, folder: Path, *, seed: int, agents: int, speed: float) -> None:
        self.urls: dict[str, str] = {}
        self.wall_origin = 0.0
        self._folder = folder
        self._seed, self._agents, self._speed = seed, agents, speed
        self._servers: list[EmbeddedServer] = []
        self._children: list[Child] = []
        self._texts: dict[str, str] = {}

    def start(self, say: Say) -> None:
        """Start everything and wait until all processes answer. Raises `RingbackError`; call `stop` in any case."""
        say("starting a Kafka-protocol broker and a Redis-protocol server …")
        broker = self._serve(start_kafka(self._folder))
        redis = self._serve(start_redis(self._folder))
        bootstrap = KafkaSettings(bootstrap=broker.address, partitions=PARTITIONS, replication=1)
        asyncio.run(kafka.create_topics(bootstrap))
        self.wall_origin = time.time()
        addresses = Addresses(
            kafka=broker.address,
            redis=redis.address,
            ami_port=free_port(),
            provider_port=free_port(),
            wall_origin=self.wall_origin,
        )
        env = environment(os.environ, self._folder, addresses, seed=self._seed, agents=self._agents, speed=self._speed)
        say("starting the stream worker, the dialer and the outreach …")
        rooms = [room for room in ("stream", "dialer", "outreach") if find_spec(f"{room}.worker")]
        for room in rooms:
            self._run(room, ["ringback", room], env)
        # The shop opens when somebody watches: else the first latencies would be those of starting processes.
        self._wait_for("stream")
        say("opening the shop, the telephone network and the call floor …")
        world = ["--seed", str(self._seed), "--agents", str(self._agents)]
        self._run("world", ["simulation.world", *world, "--provider-port", str(addresses.provider_port)], env)
        for name in ("world", *rooms):
            self._wait_for(name)

    def check(self) -> None:
        """Raise `ProcessDied` when a process has ended by itself."""
        for child in [server.child for server in self._servers] + self._children:
            if child.exit_code is not None:
                raise ProcessDied(
                    f"{child.name} ended with exit code {child.exit_code}; its last lines:\n{child.tail()}"
                )

    def scrape(self) -> Samples:
        """What all processes say now; of one that does not answer, what it said last."""
        with ThreadPoolExecutor(len(self.urls) or 1) as pool:
            for name, text in zip(self.urls, pool.map(fetch, self.urls.values()), strict=True):
                if text is not None:
                    self._texts[name] = text
        return Samples(self._texts.values())

    def log_lines(self) -> list[str]:
        """Every line that Ringback's processes have logged."""
        return [line for child in self._children for line in child.log.read_text(errors="replace").splitlines()]

    @property
    def redis_address(self) -> str | None:
        """Where the Redis-protocol server listens, None before it was started."""
        return next((server.address for server in self._servers if server.child.name == "redis"), None)

    def stop(self) -> None:
        """Stop everything; nothing of it runs afterwards.

        The dialer stops calling, the world then ends the calls that live, so that the dialer learns how they ended.
        """
        by_name = {child.name: child for child in self._children}
        for name in ("dialer", "world"):
            if name in by_name:
                by_name[name].ask_to_stop()
        for name in ("dialer", "outreach", "stream", "world"):
            if name in by_name:
                by_name[name].stop()
        for server in self._servers:
            server.stop()

    def _wait_for(self, name: str) -> None:
        child = next(child for child in self._children if child.name == name)
        child.wait_until(partial(is_ready, self.urls[name]), START_SECONDS)

    def _serve(self, server: EmbeddedServer) -> EmbeddedServer:
        self._servers.append(server)
        return server

    def _run(self, name: str, module: list[str], env: Mapping[str, str]) -> None:
        port = free_port()
        self.urls[name] = f"http://{HOST}:{port}"
        command = [sys.executable, "-m", "ringback.embedded_client", *module]
        child = Child(name, command, folder=self._folder, env=dict(env) | {"RINGBACK_ADMIN__PORT": str(port)})
        self._children.append(child)
