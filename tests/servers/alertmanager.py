"""Alertmanager and amtool: the machine's own, or the distribution's package unpacked, on a free port."""

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.apt import PrivateApt, loaded, run
from tests.servers.install import installed
from tests.servers.monitor import ANSWER_TIMEOUT_S, Monitor

# Debian's build looks for its templates in this folder, wherever it was unpacked: it is made to look where it is
# started, by a path of the same length.
TEMPLATES = "/usr/share/prometheus/alertmanager"
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
HERE = "./" * (len(TEMPLATES) // 2)


@dataclass(frozen=True)
class Installation:
    """The first words of the commands that run Alertmanager and amtool, and the templates that the former needs."""

    alertmanager: tuple[str, ...]
    amtool: tuple[str, ...]
    templates: tuple[Path, ...] = ()


def _unpack(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        PrivateApt(Path(folder) / "own").unpack("prometheus-alertmanager", root)
    binary = root / "usr" / "bin" / "prometheus-alertmanager"
    binary.write_bytes(binary.read_bytes().replace(TEMPLATES.encode(), HERE.encode()))


def install() -> Installation:
    """Find or unpack Alertmanager. Raises `UnavailableError`."""
    own = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"), shutil.which("amtool")
    if own[0] and own[1]:
        return Installation((own[0],), (own[1],))
    root = installed("alertmanager", _unpack)
    alertmanager, amtool = (tuple(loaded(root, f"usr/bin/{name}")) for name in ("prometheus-alertmanager", "amtool"))
    run([*amtool, "--version"])
    return Installation(alertmanager, amtool, tuple((root / TEMPLATES[1:]).glob("*.tmpl")))


class Alertmanager(Monitor):
    """A running Alertmanager with a configuration file of the caller's and data of its own."""

    name = "alertmanager"

    def __init__(self, configuration: Path = CONFIGURATION) -> None:
        found = install()
        self._alertmanager = found.alertmanager
        super().__init__(configuration)
        for template in found.templates:
            shutil.copy(template, self.directory)

    def command(self) -> Sequence[str]:
        return [
            *self._alertmanager,
            f"--config.file={self.configuration}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    @property
    def settings(self) -> dict[str, str]:
        return {"ALERTMANAGER_URL": self.url}

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it holds now, as its HTTP API tells them."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - loopback
            found: list[dict[str, Any]] = json.load(answer)
            return found
