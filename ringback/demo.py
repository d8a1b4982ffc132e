"""``ringback demo``: the whole of Ringback on this machine, with a simulated shop, network and call floor."""

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from ringback import demo_report, demo_view
from ringback.demo_fleet import OPENING, Fleet
from ringback.errors import RingbackError, SettingsError
from ringback.metrics import NeverEvent
from ringback.scrape import Samples
from ringback.settings import StreamSettings

SCRAPE_EVERY = 1.0
PLAIN_EVERY = 5.0
# How long the stream may take for what was published before the end, until it counts as lost.
CATCH_UP_SECONDS = 10.0
MOST_AGENTS = 200
MOST_SPEED = 3600.0
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo is started with. ``seconds``: how long it runs, None until Ctrl-C. Raises `SettingsError`."""

    seconds: float | None = None
    report: Path | None = None
    seed: int = 1
    agents: int = 6
    speed: float = 120.0

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0:
            raise SettingsError(f"--for: expected seconds above 0, came {self.seconds!r}")
        if not 1 <= self.agents <= MOST_AGENTS:
            raise SettingsError(f"--agents: expected 1 to {MOST_AGENTS}, came {self.agents!r}")
        if not 1 <= self.speed <= MOST_SPEED:
            raise SettingsError(f"--speed: expected 1 to {MOST_SPEED:g} shop seconds a second, came {self.speed!r}")
        if self.seed < 0:
            raise SettingsError(f"--seed: expected a whole number from 0 on, came {self.seed!r}")
        if self.report is not None and (self.report.is_dir() or not self.report.parent.is_dir()):
            raise SettingsError(f"--report: expected a file in a folder that exists, came {str(self.report)!r}")


def main(options: DemoOptions) -> int:
    """Run a demo. Returns the exit code: 0; 1 when a part did not start or died, or a never event happened."""
    console = Console()
    with _signals(), TemporaryDirectory(prefix="ringback-demo-", ignore_cleanup_errors=True) as folder:
        fleet = Fleet(Path(folder), seed=options.seed, agents=options.agents, speed=options.speed)
        demo = Demo(options, fleet, console)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                demo.run()
            _ignore_signals()
            return demo.close()
        except RingbackError as error:
            console.print(str(error), style="bold red", markup=False, highlight=False, soft_wrap=True)
            return 1
        finally:
            _ignore_signals()
            fleet.stop()


class Demo:
    """One demo: `run` shows it until its time is over, `close` sums it up."""

    def __init__(self, options: DemoOptions, fleet: Fleet, console: Console) -> None:
        self._options = options
        self._fleet = fleet
        self._console = console
        self._samples = Samples()
        self._started = False

    def run(self) -> None:
        """Start everything and show it. Raises `RingbackError` when a part does not start, or dies."""
        self._console.print(demo_view.BANNER, style="bold white on red", end=" ")
        self._console.print(demo_view.SAFE, style="red")
        self._fleet.start(lambda text: self._console.print(text, style="dim"))
        self._started = True
        for name, url in self._fleet.urls.items():
            self._console.print(f"{name:>9} {url}/metrics", style="dim", highlight=False)
        if self._console.is_terminal:
            self._watch_live()
        else:
            self._watch_plain()

    def close(self) -> int:
        """Sum up, write the report and return the exit code."""
        if not self._started:
            return 0
        self._console.print("stopping …", style="dim")
        found = {NeverEvent.CART_LOST: self._catch_up()}
        keys = _redis_keys(self._fleet.redis_address)
        self._fleet.stop()
        texts = [*self._fleet.log_lines(), *keys, *self._samples.label_values()]
        found[NeverEvent.PERSONAL_DATA_LEAKED] = demo_report.leaks(texts)
        report = demo_report.build(self._samples, found)
        never: dict[str, int] = report["never_events"]
        self._console.print(demo_view.summary(self._samples, never))
        if self._options.report is not None:
            demo_report.write(report, self._options.report)
            self._console.print(f"report written to {self._options.report}", highlight=False, soft_wrap=True)
        return 1 if any(never.values()) else 0

    def _watch_live(self) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as view:
            for picture in self._pictures():
                view.update(demo_view.live(picture, self._console.width), refresh=True)

    def _watch_plain(self) -> None:
        self._console.print(demo_view.COMPLIANCE, soft_wrap=True)
        told, shown = "", float("-inf")
        for picture in self._pictures():
            if (news := demo_view.coming(picture)) != told:
                told = news
                self._console.print(news, highlight=False, soft_wrap=True)
            if picture.running - shown >= PLAIN_EVERY:
                shown = picture.running
                self._console.print(demo_view.plain(picture), highlight=False, soft_wrap=True)

    def _pictures(self) -> Iterator[demo_view.Picture]:
        """A picture each second until the time is over, or for ever."""
        ends = time.monotonic() + (self._options.seconds or float("inf"))
        taken, moment = 0.0, time.monotonic()
        while time.monotonic() < ends:
            self._fleet.check()
            self._samples = self._fleet.scrape()
            before, moment = moment, time.monotonic()
            taken_before, taken = taken, demo_report.events_taken(self._samples)
            running = time.time() - self._fleet.wall_origin
            yield demo_view.Picture(
                samples=self._samples,
                rate=(taken - taken_before) / max(moment - before, SCRAPE_EVERY / 2),
                running=running,
                shop_time=self._shop_time(running),
                speed=self._options.speed,
                abandon_after=StreamSettings().abandon_after,
                urls=self._fleet.urls,
            )
            time.sleep(max(0.0, min(SCRAPE_EVERY, ends - time.monotonic())))

    def _shop_time(self, running: float) -> datetime:
        return OPENING + timedelta(seconds=running * self._options.speed)

    def _catch_up(self) -> int:
        """How many events that were published by now the stream does not deal with in time: lost."""
        self._samples = self._fleet.scrape()
        published = self._samples.value("ringback_simulation_events_total")
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while demo_report.events_taken(self._samples) < published and time.monotonic() < deadline:
            self._fleet.check()
            time.sleep(SCRAPE_EVERY / 5)
            self._samples = self._fleet.scrape()
        return max(0, round(published - demo_report.events_taken(self._samples)))


def _redis_keys(address: str | None) -> list[str]:
    if address is None:
        return []
    try:
        with Redis.from_url(f"redis://{address}/0", decode_responses=True) as client:
            return [str(key) for key in client.scan_iter(count=1000)]
    except RedisError:
        return []


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end a demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """What is being stopped is stopped to the end."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
