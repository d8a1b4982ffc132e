"""Child processes of the demo: each in a process group of its own, with a log file, and gone when it is stopped."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ringback.errors import Unavailable


class Child:
    """A running process. Its output goes to ``<folder>/<name>.log``; what it starts itself ends with it."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._asked = False
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the commands are our own
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        with self.log.open(errors="replace") as file:
            return "".join(deque(file, lines)).rstrip()

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until ``ready`` holds. Raises `Unavailable`, with the end of the log, when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.exit_code is not None:
                raise Unavailable(f"{self.name} ended at start with exit code {self.exit_code}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.name} did not answer within {seconds:g} s:\n{self.tail()}")
            time.sleep(0.02)

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process, once; `stop` waits for its end."""
        if self.exit_code is None and not self._asked:
            self._asked = True
            self._process.terminate()

    def stop(self, grace: float = 8.0) -> None:
        """SIGTERM, then SIGKILL for the whole group after ``grace`` seconds. Nothing of it runs afterwards."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        # The group may hold processes that the child started and left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
