"""A worker that is stuck says so at /livez, and one that only waits for a server does not."""

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

import pytest

from ringback import kafka as topics
from ringback.records import CartEvent, EventKind, Item, Topic, encode
from ringback.settings import Settings, load
from stream.worker import STUCK_SECONDS
from tests.integration.test_stream import until
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

# The real worker, in which one thing never returns; and so that the test is quick, it is called stuck after 2 seconds.
STUCK_WORKER = """
import asyncio, time
from dialer.hopper import Hopper
from ringback.logs import set_up
from ringback.settings import load
from stream import worker

def never(self, row):
    time.sleep(3600)

async def never_either(self, *args):
    await asyncio.sleep(3600)

worker.STUCK_SECONDS = 2.0
{fault}
settings = load()
set_up(settings.log_level)
worker.main(settings)
"""
FAULTS = {
    "clock": "worker.TimedModels.score = never",
    "flush": "Hopper.withdraw = never_either",
}


class StuckWorker(RingbackProcess):
    """A worker with a fault in it."""

    # It does not end when it is asked to.
    stop_deadline_s = 1.0

    def __init__(self, fault: str, settings: dict[str, str]) -> None:
        super().__init__("stream", settings)
        self._fault = fault

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", STUCK_WORKER.format(fault=self._fault)]

    def failing(self) -> list[str]:
        """The checks at /livez that do not hold."""
        try:
            urllib.request.urlopen(f"{self.url}/livez", timeout=2).close()  # noqa: S310 - its own http port
        except urllib.error.HTTPError as answer:
            with answer:
                return [name for name, holds in json.load(answer)["checks"].items() if not holds]
        return []


def test_half_a_minute_is_the_longest_that_a_stuck_worker_is_called_alive() -> None:
    assert STUCK_SECONDS <= 30


@pytest.mark.parametrize("check", ["clock", "flush"])
async def test_a_stuck_worker_says_so(check: str, broker: Kafka, redis_server: Redis) -> None:
    environment = {**broker.settings, **redis_server.settings}
    with StuckWorker(FAULTS[check], environment) as worker:
        # Without anything to do it is not stuck.
        assert worker.health("livez") is True
        await _publish(load({"kafka.bootstrap": broker.bootstrap}))
        await until(lambda: worker.health("livez") is False, f"the check {check} fails")
        assert worker.failing() == [check]


async def _publish(settings: Settings) -> None:
    """A cart, which is scored, and its order, which is withdrawn from the hopper."""
    producer = await topics.producer(settings.kafka)
    boots = (Item(product_id="boots", unit_price=10_000),)
    try:
        for number, kind in enumerate((EventKind.ITEM_ADDED, EventKind.ORDER_COMPLETED)):
            event = CartEvent(
                event_id=str(number),
                source="test",
                shopper_id="ada",
                kind=kind,
                time=1_790_000_000.0 + number,
                cart_id="c1",
                items=boots,
                currency="USD",
                replay=True,
            )
            await producer.send_and_wait(Topic.CART_EVENTS, encode(event), key=b"ada")
    finally:
        await producer.stop()
