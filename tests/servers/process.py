"""A server as a child process: where its files lie, how it is started, stopped and killed."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Self

TAIL_LINES = 15
# Below those from which connections are given theirs, on Linux (32768) and macOS (49152).
PORTS = range(20_000, 32_000)


def _own_ports() -> list[int]:
    """In random order, those ports that no other process of these tests gives away."""
    own = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(PORTS[own :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))])
    SystemRandom().shuffle(ports)
    return ports


_unused = _own_ports()


class UnavailableError(Exception):
    """A server cannot be installed or started on this machine; the message says why and what would help."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A TCP port (or UDP port: SOCK_DGRAM) on 127.0.0.1 that nobody has; the tests are given each port once."""
    while True:
        port = _unused.pop()
        if is_free(port, kind):
            return port


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether nobody has this port of 127.0.0.1 now."""
    with socket.socket(type=kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    """Whether 127.0.0.1 accepts a TCP connection on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def short_directory(prefix: str) -> Path:
    """A fresh private folder. Unix socket paths end at 104 characters, so a long TMPDIR is passed over for /tmp."""
    parent = tempfile.gettempdir()
    if len(parent) > 40:
        parent = "/tmp"  # noqa: S108 -- mkdtemp makes the folder private; only the parent is shared
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


class Server(ABC):
    """A child process with a folder of its own, which is removed by `close`.

    Subclasses say what to run (`command`) and when it is ready (`ready`). `stop` and `start` again keep data and ports.
    """

    name: str
    port: int
    start_deadline_s = 60.0
    stop_deadline_s = 30.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / f"{self.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The program and its arguments."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the started server answers."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The environment with which Ringback's processes reach this server."""

    def environment(self) -> Mapping[str, str]:
        return os.environ

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """The number of its process. Raises `RuntimeError` when it was not started."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child.pid

    def log_since_start(self) -> str:
        """What the server has written since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def launch(self) -> None:
        """Start the server without waiting for it."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            # A session of its own: Ctrl-C reaches the tests, which then stop the servers in order.
            self._child = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self.environment(),
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the server and wait until it is ready. Raises `UnavailableError` with the end of its log otherwise."""
        if self.running:
            return
        self.launch()
        deadline = time.monotonic() + self.start_deadline_s
        while not self.ready():
            if not self.running or time.monotonic() > deadline:
                why = f"not ready after {self.start_deadline_s:.0f} s" if self.running else "it ended"
                tail = "\n".join(self.log_since_start().splitlines()[-TAIL_LINES:])
                self.kill()
                raise UnavailableError(f"{self.name} did not start: {why}. The end of its log:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the server to end, and wait; after the deadline it is killed."""
        if self._child is None:
            return
        # A paused server would not hear of it.
        self._child.send_signal(signal.SIGCONT)
        self._child.terminate()
        try:
            self._child.wait(self.stop_deadline_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None

    def kill(self) -> None:
        """End the server at once, as a crash would (SIGKILL)."""
        if self._child is None:
            return
        self._child.kill()
        self._child.wait()
        self._child = None

    def pause(self) -> None:
        """Freeze the server: its connections stay open and nothing answers (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        self._child.send_signal(number)

    def restart(self) -> None:
        """Stop and start again, on the same ports and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_until(condition: Callable[[], bool], what: str, *, deadline_s: float = 10.0) -> None:
    """Return when the condition holds; raise `TimeoutError` naming what was awaited when the deadline passes."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.02)
