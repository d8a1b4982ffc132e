"""Installs the servers of the integration tests, once, into ${XDG_CACHE_HOME:-~/.cache}/ringback.

    python -m tests.servers.install

Prints what it does. What cannot be installed is named with the reason; the exit status is then 1 only when
RINGBACK_REQUIRE_SERVICES=1.
"""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import UnavailableError


def services_required() -> bool:
    """Whether a missing server is a failure instead of a skipped test."""
    return os.environ.get("RINGBACK_REQUIRE_SERVICES") == "1"


def cache_directory() -> Path:
    """Where installed servers are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ringback"


def say(text: str) -> None:
    """Report progress on standard error, where pytest shows it only when asked."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def _only_one(name: str) -> Iterator[None]:
    """Hold the lock of one server's installation, so that two runs do not install it at once."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; made by `install(folder)` when it is not there, whole or not at all."""
    target = cache_directory() / name
    if target.exists():
        return target
    with _only_one(name):
        if target.exists():
            return target
        say(f"installing {name} ...")
        begin = time.monotonic()
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache_directory()))
        try:
            install(unfinished)
            unfinished.rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        say(f"installed {name} in {time.monotonic() - begin:.0f} s: {target}")
    return target


def main() -> int:
    """Install all servers; the exit status."""
    from tests.servers import alertmanager, asterisk, kafka, kafka_commands, prometheus, redis, sipp  # noqa: PLC0415 -- they import `installed` from here

    installers: dict[str, Callable[[], object]] = {
        "Apache Kafka": kafka.install,
        "Kafka's commands": kafka_commands.install,
        "Redis": redis.install,
        "Asterisk": asterisk.install,
        "Prometheus": prometheus.install,
        "Alertmanager": alertmanager.install,
        "SIPp": sipp.install,
    }
    missing = 0
    for name, install in installers.items():
        try:
            install()
            say(f"{name}: ready")
        except UnavailableError as reason:
            missing += 1
            say(f"{name}: NOT installed, its tests will be skipped. {reason}")
    return 1 if missing and services_required() else 0


if __name__ == "__main__":
    sys.exit(main())
