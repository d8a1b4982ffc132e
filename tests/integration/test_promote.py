"""A model promoted while a worker is at it: on Apache Kafka, as an operator would do it."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path

from ringback import kafka
from ringback.decisions import Decision
from ringback.metrics import ModelRole
from ringback.records import CartEvent, EventKind, Item, Topic, encode
from ringback.settings import Settings, load
from scoring.model import Model
from scoring.registry import Registry
from scoring.serving import in_canary
from tests.integration import topics
from tests.integration.test_stream import until
from tests.scoring.models import make, spoil
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

START = 1_790_000_000.0
STEP = 10.0
ABANDON_AFTER = 180.0
MOST = 100_000
SOME = 60
REACHED_WITHIN = 2.0
DECIDED = "ringback_decisions_total"
INFO = "ringback_stream_model_info"
REFUSED = "ringback_stream_model_refused_total"


class Shop:
    """Sends a cart of another shopper every hundredth of a second: each event makes an earlier cart due."""

    def __init__(self, settings: Settings) -> None:
        self.sent = 0
        self._settings = settings
        self._closing = asyncio.Event()

    async def run(self) -> None:
        producer = await kafka.producer(self._settings.kafka)
        try:
            while not self._closing.is_set():
                shopper = f"shopper-{self.sent}"
                event = CartEvent(
                    event_id=shopper,
                    source="test",
                    shopper_id=shopper,
                    kind=EventKind.ITEM_ADDED,
                    time=START + self.sent * STEP,
                    cart_id=shopper,
                    items=(Item(product_id="boots", unit_price=5_000 + self.sent),),
                    currency="USD",
                )
                await producer.send_and_wait(Topic.CART_EVENTS, encode(event), key=shopper.encode())
                self.sent += 1
                await asyncio.sleep(0.01)
        finally:
            await producer.stop()

    def close(self) -> None:
        self._closing.set()


async def test_models_come_and_go_under_a_worker_and_no_score_is_lost(
    broker: Kafka, redis_server: Redis, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    first, second, third = (make(registry.root, seed) for seed in (1, 2, 3))
    registry.promote(first, forced="a test")
    environment = {
        **broker.settings,
        **redis_server.settings,
        "RINGBACK_KAFKA__PARTITIONS": "1",
        "RINGBACK_SCORING__MODELS": str(registry.root),
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(START + MOST * STEP),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(time.time()),
        "RINGBACK_INGEST__MAX_AGE": str(2 * MOST * STEP),
        "RINGBACK_STREAM__FORGET_AFTER": str(3 * MOST * STEP),
        "RINGBACK_STREAM__ABANDON_AFTER": str(ABANDON_AFTER),
        "RINGBACK_STREAM__LATENESS": "0",
        "RINGBACK_STREAM__IDLE_AFTER": "3600",
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
    }
    with RingbackProcess("stream", environment) as worker:
        shop = Shop(load({"kafka.bootstrap": broker.bootstrap, "kafka.partitions": 1}))

        async def more(condition: Callable[[], bool], what: str) -> None:
            await until(condition, what)
            decided = worker.total(DECIDED)
            await until(lambda: worker.total(DECIDED) > decided + SOME, f"decisions after {what}")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shop.run())
            await more(lambda: worker.total(INFO, role="current", version=first) == 1, "the first champion")
            before = time.time()
            registry.promote(second, forced="a test")
            promoted = time.time()
            await more(lambda: worker.total(INFO, role="current", version=second) == 1, "the second champion")
            registry.promote(third, ModelRole.CANARY, share=0.5, forced="a test")
            registry.promote(first, ModelRole.SHADOW)
            await more(lambda: worker.total(INFO, role="canary", version=third) == 1, "the canary")
            spoil(registry.root / second)
            await more(lambda: worker.total(REFUSED, reason="changed") == 1, "a refusal")
            assert worker.total(INFO, role="current", version=second) == 1
            registry.rollback()
            registry.root.joinpath(third, "model.txt").unlink()
            await more(lambda: worker.total(REFUSED, reason="unreadable") == 1, "another refusal")
            shop.close()
        due = shop.sent - math.ceil(ABANDON_AFTER / STEP)
        await until(lambda: worker.total(DECIDED) == due, "all decisions")
        assert worker.total("ringback_stream_dead_letters_total") == 0
        said = worker.log.read_text()

    made = await topics.read(broker.bootstrap, Topic.DECISIONS, Decision)
    assert [decision.shopper_id for decision in made] == [f"shopper-{number}" for number in range(due)]
    for decision in made:
        if decision.decided_wall < before:
            assert decision.model_version == first
        elif decision.decided_wall > promoted + REACHED_WITHIN:
            assert decision.model_version != first
    assert {decision.model_version for decision in made} == {first, second, third}
    assert all(in_canary(decision.shopper_id, 0.5) for decision in made if decision.model_version == third)
    assert {decision.shadow_version for decision in made} == {None, first}
    # The files of two of them are spoilt by now; what they are made of is not.
    again = Registry(tmp_path / "again")
    models = {(version := make(again.root, seed)): Model.load(again.folder(version)) for seed in (1, 2, 3)}
    for decision in made:
        row = [math.nan if number is None else number for number in decision.features]
        assert decision.score == models[decision.model_version].score(row)
        if decision.shadow_version is not None:
            assert decision.shadow_score == models[decision.shadow_version].score(row)
    assert "model.txt has sha256" in said
    assert f"{second} goes on as current model" in said
