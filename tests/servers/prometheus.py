"""Prometheus and promtool: the machine's own, or the distribution's package unpacked, on a free port."""

import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from tests.servers.apt import PrivateApt, environment_of_unpacked, loaded, run
from tests.servers.install import installed
from tests.servers.monitor import ANSWER_TIMEOUT_S, Monitor

ROOT = Path(__file__).parents[2]
RULES = ROOT / "dashboards" / "prometheus"
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
WAITS = re.compile(r"^( *)(for|interval): .+$", re.MULTILINE)
TOOL_TIMEOUT_S = 60


@dataclass(frozen=True)
class Installation:
    """The first words of the commands that run Prometheus and promtool."""

    prometheus: tuple[str, ...]
    promtool: tuple[str, ...]


def _unpack(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        PrivateApt(Path(folder) / "own").unpack("prometheus", root)


def install() -> Installation:
    """Find or unpack Prometheus. Raises `UnavailableError`."""
    own = shutil.which("prometheus"), shutil.which("promtool")
    if own[0] and own[1]:
        return Installation((own[0],), (own[1],))
    root = installed("prometheus", _unpack)
    found = Installation(*(tuple(loaded(root, f"usr/bin/{name}")) for name in ("prometheus", "promtool")))
    run([*found.promtool, "--version"])
    return found


def tool(command: Sequence[str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool, whatever it answers: the exit status, and what it printed."""
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        check=False,
        env=environment_of_unpacked(),
    )


class Prometheus(Monitor):
    """A running Prometheus with a configuration file of the caller's, see `write_configuration`, and its own data."""

    name = "prometheus"

    def __init__(self, configuration: Path) -> None:
        self._prometheus = install().prometheus
        super().__init__(configuration)

    def command(self) -> Sequence[str]:
        return [
            *self._prometheus,
            f"--config.file={self.configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            "--enable-feature=exemplar-storage",
        ]

    @property
    def settings(self) -> dict[str, str]:
        return {"PROMETHEUS_URL": self.url}

    def ask(self, endpoint: str, **parameters: str | float) -> Any:
        """The `data` that /api/v1/<endpoint> answers. Raises `PromqlError` with Prometheus' own words."""
        return ask(self.url, endpoint, **parameters)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query, as the HTTP API tells them."""
        result: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return result


def write_configuration(
    folder: Path, urls: Mapping[str, str], alertmanager: str, *, seconds: int = 5, hurry: bool = False
) -> Path:
    """Ringback's own configuration and rules, for admin addresses by job and for intervals of the caller's; its path.

    ``hurry``: alerts do not wait for minutes until they fire, and groups of rules have no interval of their own.
    """
    (folder / "rules").mkdir()
    for rule in RULES.glob("*.yml"):
        text = rule.read_text()
        (folder / "rules" / rule.name).write_text(WAITS.sub(r"\1\2: 1s", text) if hurry else text)
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": f"{seconds}s", "evaluation_interval": f"{seconds}s"}
    configuration["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [urlsplit(alertmanager).netloc]
    configuration["scrape_configs"] = [
        {"job_name": job, "static_configs": [{"targets": [urlsplit(url).netloc]}]} for job, url in sorted(urls.items())
    ]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    return path


class PromqlError(Exception):
    """Prometheus refused a query; the message is its own."""


def ask(url: str, endpoint: str, **parameters: str | float) -> Any:
    """The `data` of a Prometheus server's answer at /api/v1/<endpoint>. Raises `PromqlError`."""
    try:
        address = f"{url}/api/v1/{endpoint}?{urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - loopback
            return json.load(answer)["data"]
    except urllib.error.HTTPError as refusal:
        with refusal:
            raise PromqlError(refusal.read().decode(errors="replace")) from None
