"""Starts Kafka, Redis and Asterisk for work by hand, until Ctrl-C.

    python -m tests.servers.run

Prints the environment with which Ringback's processes reach them.
"""

import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack

from tests.servers.asterisk import Asterisk
from tests.servers.install import say
from tests.servers.kafka import Kafka
from tests.servers.process import Server, UnavailableError
from tests.servers.redis import Redis

SERVERS: tuple[Callable[[], Server], ...] = (Kafka, Redis, Asterisk)


def main() -> int:
    """Run the servers until SIGINT or SIGTERM; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            for make in SERVERS:
                server = stack.enter_context(make())
                say(f"{server.name}: 127.0.0.1:{server.port}, log {server.log}")
                for key, value in server.settings.items():
                    sys.stdout.write(f"export {key}={value}\n")
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
