"""Starts Kafka, Redis, Asterisk, Prometheus and Alertmanager for work by hand, until Ctrl-C.

    python -m tests.servers.run

Prints the environment with which Ringback's processes reach them. Prometheus looks for those at their usual ports.
"""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from ringback.admin import USUAL_PORTS
from tests.servers.alertmanager import Alertmanager
from tests.servers.asterisk import Asterisk
from tests.servers.install import say
from tests.servers.kafka import Kafka
from tests.servers.process import Server, UnavailableError
from tests.servers.prometheus import Prometheus, write_configuration
from tests.servers.redis import Redis

SERVERS: tuple[Callable[[], Server], ...] = (Kafka, Redis, Asterisk)


def _show(server: Server) -> None:
    say(f"{server.name}: 127.0.0.1:{server.port}, log {server.log}")
    for key, value in server.settings.items():
        sys.stdout.write(f"export {key}={value}\n")


def main() -> int:
    """Run the servers until SIGINT or SIGTERM; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            for make in SERVERS:
                _show(stack.enter_context(make()))
            alertmanager = stack.enter_context(Alertmanager())
            _show(alertmanager)
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="rb-monitoring-")))
            urls = {process: f"http://127.0.0.1:{port}" for process, port in USUAL_PORTS.items()}
            _show(stack.enter_context(Prometheus(write_configuration(folder, urls, alertmanager.url))))
            sys.stdout.flush()
            say("shoppers are dialled as Local/<number>@shoppers; Ctrl-C stops the servers")
            while True:
                signal.pause()
    except UnavailableError as reason:
        say(str(reason))
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 0


if __name__ == "__main__":
    sys.exit(main())
