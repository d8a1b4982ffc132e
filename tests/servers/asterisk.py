"""Asterisk with Ringback's own configuration, in a private folder, on free ports, with shoppers to call.

The machine's Asterisk is used when it is 20 or newer, else the distribution's package is unpacked, else that of Debian
testing. Nothing is installed and no root is needed.
"""

import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.apt import PrivateApt, environment_of_unpacked, loaded, run
from tests.servers.install import installed
from tests.servers.process import Server, UnavailableError, free_port, listens, short_directory
from tests.servers.voices import GREETINGS, write_wav

OLDEST = 20
NEWER_SUITE = "testing"
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "asterisk"
SHOPPERS = Path(__file__).parent / "asterisk" / "extensions_shoppers.conf"


@dataclass(frozen=True)
class Installation:
    """How to run Asterisk: the command's first words, and the modules' folder and data when they are not built in."""

    command: tuple[str, ...]
    directories: Mapping[str, Path]

    def __str__(self) -> str:
        return self.command[-1]


def _major(version: str) -> int:
    """The major version in `asterisk -V`'s answer or in a package's version; 0 when there is none."""
    found = re.search(r"(?:^|Asterisk |\d:)(\d+)\.", version)
    return int(found[1]) if found else 0


def _unpack(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        apt = PrivateApt(Path(folder) / "own")
        if _major(apt.candidate("asterisk") or "") < OLDEST:
            apt = PrivateApt(Path(folder) / NEWER_SUITE, NEWER_SUITE)
            if _major(apt.candidate("asterisk") or "") < OLDEST:
                raise UnavailableError(f"neither this distribution nor Debian {NEWER_SUITE} has Asterisk {OLDEST}")
        apt.unpack("asterisk", root)


def install() -> Installation:
    """Find or unpack an Asterisk. Raises `UnavailableError`."""
    own = shutil.which("asterisk")
    if own and _major(run([own, "-V"])) >= OLDEST:
        return Installation((own,), {})
    root = installed("asterisk", _unpack)
    modules = next(root.glob("usr/lib/*/asterisk/modules"), None)
    if modules is None:
        raise UnavailableError(f"no Asterisk modules under {root}: remove that folder and install again")
    command = loaded(root, "usr/sbin/asterisk", modules.parent)
    run([*command, "-V"])
    return Installation(tuple(command), {"astmoddir": modules, "astdatadir": root / "usr" / "share" / "asterisk"})


class Asterisk(Server):
    """A running Asterisk. AMI users: `ringback` (the dialer's, least rights) and `tester` (all rights).

    Shoppers are called as Local/<number>@shoppers, or over SIP as PJSIP/<number>@carrier where a `Carrier` runs.
    """

    name = "asterisk"
    host = "127.0.0.1"
    user = "ringback"
    tester = "tester"

    def __init__(self) -> None:
        self._installation = install()
        super().__init__(short_directory("rb-ast-"))
        self.port = free_port()
        self.sip_port = free_port(socket.SOCK_DGRAM)
        self.carrier_port = free_port(socket.SOCK_DGRAM)
        self.secret = secrets.token_hex(16)
        self.tester_secret = secrets.token_hex(16)
        self._render()

    def _render(self) -> None:
        etc = self.directory / "etc"
        shutil.copytree(CONFIGURATION, etc, ignore=shutil.ignore_patterns("local", "*.example", "Dockerfile", "*.sh"))
        (etc / "local").mkdir()
        shutil.copy(SHOPPERS, etc)
        folders = {f"ast{name}dir": self.directory / name for name in ("varlib", "db", "key", "spool", "run", "log")}
        for folder in folders.values():
            folder.mkdir()
        (folders["astkeydir"] / "keys").mkdir()
        directories = {"astetcdir": etc, **folders, **self._installation.directories}
        listed = "".join(f"{key} => {path}\n" for key, path in directories.items())
        options = (CONFIGURATION / "asterisk.conf").read_text()
        (etc / "asterisk.conf").write_text(f"[directories]\n{listed}\n{options}")
        (etc / "local" / "manager.conf").write_text(
            f"[general](+)\nport = {self.port}\n\n"
            f"[{self.user}](+)\nsecret = {self.secret}\n\n"
            f"[{self.tester}]\nsecret = {self.tester_secret}\nread = all\nwrite = all\nwritetimeout = 5000\n"
            "deny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.1/255.255.255.255\n"
        )
        (etc / "local" / "extensions.conf").write_text(
            f"[globals](+)\nRINGBACK_SAFE_HARBOUR = {etc}/sounds/safe-harbour\nVOICES = {self.directory}\n"
            f"#include {SHOPPERS.name}\n"
        )
        with (etc / "modules.conf").open("a") as modules:
            modules.write("load = app_senddtmf.so\n")
        for greeting in GREETINGS:
            write_wav(greeting, self.directory)
        # No telephony leaves the machine: SIP listens on the loopback address, and the only carrier is there too.
        (etc / "local" / "pjsip.conf").write_text(
            f"[transport-udp](+)\nbind = 127.0.0.1:{self.sip_port}\n\n"
            "[carrier]\ntype = endpoint\ncontext = ringback-inbound\ntransport = transport-udp\naors = carrier\n"
            "disallow = all\nallow = ulaw\ndirect_media = no\n\n"
            f"[carrier]\ntype = aor\ncontact = sip:127.0.0.1:{self.carrier_port}\n"
        )

    def command(self) -> Sequence[str]:
        return [*self._installation.command, "-f", "-n", "-C", str(self.directory / "etc" / "asterisk.conf")]

    def environment(self) -> Mapping[str, str]:
        return environment_of_unpacked()

    def ready(self) -> bool:
        return listens(self.port) and "fully booted" in self.cli("core waitfullybooted")

    def cli(self, command: str) -> str:
        """What the console answers to a command; empty when Asterisk is not there."""
        done = subprocess.run(
            [*self._installation.command, "-C", str(self.directory / "etc" / "asterisk.conf"), "-rx", command],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        return done.stdout

    def secret_of(self, user: str) -> str:
        """The AMI secret of `ringback` or `tester`."""
        return {self.user: self.secret, self.tester: self.tester_secret}[user]

    @property
    def settings(self) -> dict[str, str]:
        return {
            "RINGBACK_AMI__HOST": self.host,
            "RINGBACK_AMI__PORT": str(self.port),
            "RINGBACK_AMI__USER": self.user,
            "RINGBACK_AMI__SECRET": self.secret,
        }
