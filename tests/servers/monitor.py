"""What Prometheus and Alertmanager have in common as servers."""

import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.servers.apt import environment_of_unpacked
from tests.servers.process import Server, free_port, short_directory

ANSWER_TIMEOUT_S = 10


class Monitor(Server):
    """A server that is asked over HTTP, with a configuration file of the caller's and data of its own."""

    def __init__(self, configuration: Path) -> None:
        super().__init__(short_directory(f"rb-{self.name}-"))
        self.configuration = configuration
        self.port = free_port()

    def environment(self) -> Mapping[str, str]:
        return environment_of_unpacked()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> bool:
        return answers(f"{self.url}/-/ready")


def answers(url: str) -> bool:
    """Whether an HTTP server on loopback answers 200 at this address."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except OSError:
        return False
