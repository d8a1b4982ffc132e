"""An engine as a process pinned to a core, and the CPU time it takes."""

import os
import signal
import subprocess
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stream.engine import readiness

START_SECONDS = 60.0
STOP_SECONDS = 60.0
TAIL_LINES = 3
_TICKS = os.sysconf("SC_CLK_TCK")


class EngineError(Exception):
    """An engine did not start; the message has the end of its log."""


def split_cores() -> tuple[set[int], set[int]]:
    """The core of the engine, and those of the broker and the feeder; the same ones where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[-1]}, set(cores[:-1]) or set(cores)


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Processes started within run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class EngineProcess:
    """A started engine, which has said that it is ready. Raises `EngineError`."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str], cores: set[int]) -> None:
        self._said, self._log = folder / "said.txt", folder / "log.txt"
        with self._said.open("wb") as said, self._log.open("wb") as log, on_cores(cores):
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=log, cwd=folder, env=environment
            )
        self.cpu = CpuTime()
        self.changelog = self._await_ready()

    def sample(self) -> None:
        """Note how much CPU time it has taken. Raises `EngineError` when it has ended."""
        if self._child.poll() is not None:
            raise EngineError(self._ended(self._child.returncode))
        # After the name in parentheses: state is field 3 of proc(5), utime 14 and stime 15.
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        self.cpu.note(time.time(), (int(fields[11]) + int(fields[12])) / _TICKS)

    def stop(self) -> str | None:
        """Ask it to end; what was wrong with how it ended, if anything."""
        self._child.send_signal(signal.SIGTERM)
        try:
            status = self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return f"did not end within {STOP_SECONDS:.0f} s of SIGTERM"
        return None if status in {0, -signal.SIGTERM} else self._ended(status)

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()
        self._child.wait()

    def _await_ready(self) -> str | None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            for line in self._said.read_text(errors="replace").splitlines():
                is_ready, changelog = readiness(line)
                if is_ready:
                    return changelog
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise EngineError(f"did not get ready: {self._tail()}")
            time.sleep(0.02)

    def _ended(self, status: int) -> str:
        return f"ended with status {status}: {self._tail()}"

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return " / ".join([line.strip() for line in lines if line.strip()][-TAIL_LINES:])


class CpuTime:
    """A process's CPU seconds over wall time, from samples."""

    def __init__(self) -> None:
        self._walls: list[float] = []
        self._seconds: list[float] = []

    def note(self, wall: float, seconds: float) -> None:
        """Add a sample; walls rise."""
        self._walls.append(wall)
        self._seconds.append(seconds)

    def at(self, wall: float) -> float:
        """CPU seconds at a wall time, on the line between the samples around it."""
        after = bisect_left(self._walls, wall)
        if after == 0:
            return self._seconds[0]
        if after == len(self._walls):
            return self._seconds[-1]
        begin, end = self._walls[after - 1], self._walls[after]
        part = (wall - begin) / (end - begin)
        return self._seconds[after - 1] + part * (self._seconds[after] - self._seconds[after - 1])
