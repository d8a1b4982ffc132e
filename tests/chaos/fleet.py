"""The workers of one run: launched, killed, frozen, sent away; and watched, whatever happens to them."""

import asyncio
import os
import signal
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ringback.metrics import NeverEvent
from tests.servers.ringback import RingbackProcess

CLOCK_FOLDER = Path(__file__).parent / "clock"
WATCH_SECONDS = 0.5
LEAVE_SECONDS = 30.0
MIB = 1024 * 1024


class Worker(RingbackProcess):
    """A stream worker whose wall clock can be set off. ``alive`` is whether it ought to be running.

    ``by`` are arguments of Python that run the module ``ringback``.
    """

    def __init__(self, name: str, settings: Mapping[str, str], by: Sequence[str] = ()) -> None:
        super().__init__("stream", settings)
        self.label = name
        self._by = by
        self.alive = False
        self.frozen = False
        self.launches = 0
        self._clock = self.directory / "clock"
        self.set_clock(0.0)

    def environment(self) -> Mapping[str, str]:
        inherited = dict(super().environment())
        path = os.pathsep.join((str(CLOCK_FOLDER), inherited["PYTHONPATH"]))
        return inherited | {"PYTHONPATH": path, "CHAOS_CLOCK": str(self._clock)}

    def command(self) -> Sequence[str]:
        program, *arguments = super().command()
        return [program, *self._by, *(arguments[1:] if self._by else arguments)]

    def set_clock(self, offset: float) -> None:
        """Put its wall clock off by so many seconds, at once."""
        if not self._clock.exists():
            self._clock.write_bytes(bytes(8))
        with self._clock.open("r+b") as file:
            file.write(struct.pack("<d", offset))

    def launch(self) -> None:
        super().launch()
        self.alive = True
        self.launches += 1

    def kill(self) -> None:
        self.alive = self.frozen = False
        super().kill()

    def pause(self) -> None:
        self.frozen = True
        super().pause()

    def resume(self) -> None:
        super().resume()
        self.frozen = False

    async def leave(self) -> str | None:
        """SIGTERM; what is wrong with its end, None when it ended well."""
        child = self._child
        if child is None:
            return None
        self.alive = False
        child.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.to_thread(child.wait, LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"{self.label} did not end within {LEAVE_SECONDS:.0f} s of SIGTERM"
        self._child = None
        return None if code == 0 else f"{self.label} ended with {code} after SIGTERM"

    @property
    def returned(self) -> int | None:
        """How it ended, None while it runs."""
        return None if self._child is None else self._child.poll()

    def resident(self) -> int:
        """Bytes of memory, 0 when it is not running."""
        if self._child is None:
            return 0
        try:
            pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


class Fleet:
    """The workers. ``faults`` are what none of them may do: end by itself, count a never event, not end when told."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.faults: list[str] = []
        self.largest = 0

    def add(self, name: str, settings: Mapping[str, str], by: Sequence[str] = ()) -> Worker:
        worker = Worker(name, settings, by)
        self.workers.append(worker)
        return worker

    async def ready(self) -> list[Worker]:
        """Those that say they can work."""
        asked = [worker for worker in self.workers if worker.alive and not worker.frozen]
        answers = await asyncio.gather(*(asyncio.to_thread(worker.health, "readyz") for worker in asked))
        return [worker for worker, answer in zip(asked, answers, strict=True) if answer]

    async def total(self, metric: str, **labels: str) -> float:
        """The sum of a metric over those that answer."""
        asked = [worker for worker in self.workers if worker.alive and not worker.frozen]
        return sum(await asyncio.gather(*(asyncio.to_thread(worker.total, metric, **labels) for worker in asked)))

    async def watch(self) -> None:
        """Look after the workers until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for worker in self.workers:
                self._look_at(worker)
            if never := await self.total("ringback_never_events_total"):
                self._fault(f"{never:.0f} never events of {', '.join(NeverEvent)}")

    def _look_at(self, worker: Worker) -> None:
        self.largest = max(self.largest, worker.resident())
        if worker.alive and worker.returned is not None:
            worker.alive = False
            tail = "\n    ".join(worker.log_since_start().splitlines()[-12:])
            self._fault(f"{worker.label} ended by itself with {worker.returned}:\n    {tail}")
            worker.launch()

    def _fault(self, fault: str) -> None:
        if fault not in self.faults:
            self.faults.append(fault)

    def tracebacks(self) -> list[str]:
        """What the logs should not hold."""
        found = []
        for worker in self.workers:
            lines = worker.log.read_text(errors="replace").splitlines() if worker.log.exists() else []
            for at, line in enumerate(lines):
                if "Traceback" in line:
                    found.append(f"{worker.label}, line {at}:\n    " + "\n    ".join(lines[max(0, at - 2) : at + 40]))
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
