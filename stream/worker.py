"""``ringback stream``: one worker of the consumer group."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from functools import partial

from faust import Worker

from dialer.hopper import Hopper
from ringback import kafka, loop_lag
from ringback.admin import AdminServer
from ringback.metrics import StreamMetrics
from ringback.redis_client import connect
from ringback.settings import Settings
from scoring.drift.monitor import Monitor
from scoring.model import Served
from scoring.serving import Serving
from stream.app import create
from stream.following import CartFollowing
from stream.partition import Scorer
from stream.prices import Prices
from stream.shell import assemble

log = logging.getLogger(__name__)

STUCK_SECONDS = 30.0


def main(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM; waits for Kafka and Redis. Raises `RingbackError` for what can't ever work."""
    use_uvloop()
    metrics = StreamMetrics()
    models = Serving.start(settings.scoring, metrics)
    settings.stream.data_dir.mkdir(parents=True, exist_ok=True)
    stream_app = create(settings, metrics)
    clock = settings.simulation.clock()
    redis, app = connect(settings.redis), stream_app.app
    prices = Prices(settings, clock, metrics)
    monitor = Monitor(metrics, lambda: models.live.current.manifest, settings.decide.attribution_window)
    following = CartFollowing(settings, clock, TimedModels(models, metrics), metrics, prices, monitor)
    shell = assemble(settings, stream_app, following, Hopper.of(redis, settings), metrics)
    processor, flusher = shell.processor, shell.flusher
    alive = {"clock": lambda: _lately(processor.beat), "flush": lambda: _lately(flusher.busy_since)}
    ready = {
        "partitions": lambda: bool(processor.partitions) and not app.in_recovery,
        "hopper": lambda: flusher.hopper_up,
    }
    admin = AdminServer(settings.admin, "stream", metrics.registry, live=alive, ready=ready)
    admin.start()
    log.info("model %s, partitions of %d", models.live.current.version, settings.kafka.partitions)

    async def close(*_: object, **__: object) -> None:
        await shell.outputs.stop()
        await redis.aclose()

    app.on_before_shutdown.connect(close, weak=False)
    app.task(partial(loop_lag.watch, metrics.loop_lag))
    try:
        asyncio.run(kafka.create_topics(settings.kafka, patience=math.inf))
        if prices.wanted:
            asyncio.run(prices.begin())
            app.task(partial(prices.keep, redis))
        worker = Worker(app, loglevel=settings.log_level, quiet=True, redirect_stdouts=False, override_logging=False)
        worker.spinner = None  # it writes its escapes into logs too
        worker.execute_from_commandline()
    finally:
        admin.stop()
        models.stop()


def use_uvloop() -> None:
    """Have event loops made by uvloop, where it exists; it takes a third off what the loop itself costs."""
    try:
        import uvloop  # noqa: PLC0415 - not made for every platform
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def _lately(since: float | None) -> bool:
    return since is None or time.monotonic() - since < STUCK_SECONDS


class TimedModels:
    """Models whose calls are measured."""

    def __init__(self, models: Scorer, metrics: StreamMetrics) -> None:
        self._score, self._judge = models.score, models.judge
        self._observe = metrics.scoring.observe

    def score(self, row: Sequence[float]) -> float:
        """Score one row."""
        started = time.perf_counter()
        score = self._score(row)
        self._observe(time.perf_counter() - started)
        return score

    def judge(self, shopper_id: str, row: Sequence[float]) -> Served:
        """Score a due cart's row."""
        started = time.perf_counter()
        served = self._judge(shopper_id, row)
        self._observe(time.perf_counter() - started)
        return served
