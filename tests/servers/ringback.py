"""Ringback's own processes, started as an operator would: by the command line, with settings in the environment."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from ringback.scrape import Samples, fetch
from tests.servers.process import Server, free_port, short_directory


class RingbackProcess(Server):
    """One ``ringback`` command that runs until it is stopped, with its admin listener on a free port."""

    start_deadline_s = 60.0

    def __init__(self, command: str, settings: Mapping[str, str]) -> None:
        self.name = command
        super().__init__(short_directory(f"rb-{command}-"))
        self.port = free_port()
        self._settings = dict(settings)

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "ringback", self.name]

    def environment(self) -> Mapping[str, str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RINGBACK_")}
        own = {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "RINGBACK_ADMIN__PORT": str(self.port),
            "RINGBACK_STREAM__DATA_DIR": str(self.directory / "data"),
        }
        return inherited | self._settings | own

    def ready(self) -> bool:
        return self.health("readyz") is True

    def health(self, endpoint: str) -> bool | None:
        """What /livez or /readyz says; None while nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/{endpoint}", timeout=2) as answer:  # noqa: S310 - its own http port
                return bool(json.load(answer)["ok"])
        except urllib.error.HTTPError as answer:
            with answer:
                return bool(json.load(answer)["ok"])
        except OSError:
            return None

    @property
    def url(self) -> str:
        """Where its admin listener is."""
        return f"http://127.0.0.1:{self.port}"

    def metrics(self) -> Samples:
        """What it says of itself; empty while nothing answers."""
        text = fetch(self.url)
        return Samples([text] if text else [])

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 while nothing answers."""
        return self.metrics().value(name, **labels)

    @property
    def settings(self) -> dict[str, str]:
        return self._settings
