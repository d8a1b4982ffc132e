"""The demo with an ingest beside it, watched by Prometheus and Alertmanager with the rules of dashboards/.

    python -m tests.servers.monitored

Runs until Ctrl-C and prints where Prometheus and Alertmanager are; dashboards/preview.py draws from the former.
"""

import asyncio
import json
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dialer.do_not_call import replace_national
from ingest.send_fixture import sign
from ringback.calling_hours import DEFAULT_HOURS
from ringback.children import Child
from ringback.demo_fleet import OPENING, Fleet
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.servers.alertmanager import Alertmanager
from tests.servers.install import say
from tests.servers.process import UnavailableError, free_port, short_directory, wait_until
from tests.servers.prometheus import Prometheus, write_configuration
from tests.whole_way.requests import NOON, Sent, segment_added

SECRET = "the tracking's secret"
SPEED = 120.0
# The country whose national do-not-call list is looked after here, and a number on it that is kept for fiction.
LISTED, LISTED_NUMBER = "CA", "+18005550199"


class Watched(Fleet):
    """The demo's processes and an ingest; ``child`` gives each of them, to be ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, seed=1, agents=6, speed=SPEED)
        self.ingest_port = free_port()
        self.folder = folder
        self.environment: Mapping[str, str] = {}

    def start(self, say: Callable[[str], None]) -> None:
        super().start(say)
        self.load_list(OPENING.timestamp())
        shops = {"segment:example": {"secrets": [SECRET], "currency": "USD", "country": "US"}}
        own = {
            "RINGBACK_INGEST__PORT": str(self.ingest_port),
            "RINGBACK_INGEST__SHOPS": json.dumps(shops),
            "RINGBACK_INGEST__SPOOL_DIR": str(self._folder / "spool"),
        }
        self._run("ingest", ["ringback", "ingest"], {**self.environment, **own})
        self._wait_for("ingest")

    def stop(self) -> None:
        for child in self._children:
            if child.name == "ingest":
                child.stop()
        super().stop()

    def _run(self, name: str, module: list[str], env: Mapping[str, str]) -> None:
        elsewhere = [country for country in DEFAULT_HOURS if country != LISTED]
        self.environment = {**env, "RINGBACK_COMPLIANCE__SCRUBBED_ELSEWHERE": json.dumps(elsewhere)}
        super()._run(name, module, self.environment)

    def load_list(self, obtained: float) -> None:
        """Load the national do-not-call list that is looked after, as one of this time of the shop."""
        asyncio.run(self._load_list(obtained))

    async def _load_list(self, obtained: float) -> None:
        redis = connect(RedisSettings.model_validate({"url": self.environment["RINGBACK_REDIS__URL"]}))
        try:
            key = self.environment["RINGBACK_PRIVACY__PHONE_KEY"]
            await replace_national(redis, LISTED, [LISTED_NUMBER], key, obtained)
        finally:
            await redis.aclose()

    def child(self, name: str) -> Child:
        children = [*self._children, *(server.child for server in self._servers)]
        return next(child for child in children if child.name == name)

    @property
    def bootstrap(self) -> str:
        """Where the broker is."""
        return self.environment["RINGBACK_KAFKA__BOOTSTRAP"]

    def shop_time(self) -> float:
        """The time that the processes believe it is."""
        return OPENING.timestamp() + (time.time() - self.wall_origin) * SPEED

    def send(self, sent: Sent) -> int:
        """Send a signed request to ingest; the status of the answer."""
        signature = sign(sent.platform, sent.headers, sent.body, SECRET.encode(), time.time())
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ingest_port}/v1/{sent.platform}/example",
            sent.body,
            {"Content-Type": "application/json", **sent.headers, **signature},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return int(answer.status)

    def browse(self, count: int) -> None:
        """As many shoppers put something into their carts, and one says so in a way that cannot be used."""
        for number in range(count):
            self.send(segment_added(self.shop_time() - NOON - 60, "boots", anonymousId=f"visitor-{number}"))
        added = json.loads(segment_added(self.shop_time() - NOON, "boots", anonymousId="visitor-0").body)
        added["properties"]["price"] = -1.0
        added["messageId"] = "unusable"
        self.send(Sent("segment", {}, json.dumps(added).encode()))


class Monitored:
    """The fleet, Prometheus and Alertmanager, from ``with`` to its end."""

    fleet: Watched
    prometheus: Prometheus
    alertmanager: Alertmanager

    def __init__(self, *, hurry: bool = True) -> None:
        self._hurry = hurry
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        folder = short_directory("rb-monitored-")
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.alertmanager = Alertmanager()
            stack.enter_context(self.alertmanager)
            self.fleet = Watched(folder)
            stack.callback(self.fleet.stop)
            self.fleet.start(lambda _: None)
            urls = self.fleet.urls
            self.prometheus = Prometheus(
                write_configuration(folder, urls, self.alertmanager.url, seconds=1, hurry=self._hurry)
            )
            stack.enter_context(self.prometheus)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def wait_for_alert(self, name: str, *, deadline_s: float = 30.0) -> dict[str, Any]:
        """The alert of this name that reached Alertmanager."""

        def arrived() -> list[dict[str, Any]]:
            return [alert for alert in self.alertmanager.alerts() if alert["labels"]["alertname"] == name]

        wait_until(lambda: bool(arrived()), f"{name} reaches Alertmanager", deadline_s=deadline_s)
        return arrived()[0]


def main() -> int:
    """Run and be looked at, until SIGINT or SIGTERM; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Monitored(hurry=False) as monitored:
            sys.stdout.write(f"{monitored.prometheus.url} Prometheus\n{monitored.alertmanager.url} Alertmanager\n")
            sys.stdout.flush()
            while True:
                monitored.fleet.check()
                monitored.fleet.browse(3)
                time.sleep(1)
    except UnavailableError as reason:
        say(str(reason))
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
