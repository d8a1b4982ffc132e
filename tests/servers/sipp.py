"""A carrier for the test Asterisk: SIPp as the far end of its SIP trunk, with shoppers as `shoppers` has them.

The machine's SIPp is used when there is one, else the distribution's package is unpacked.
"""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from socket import SOCK_DGRAM

from tests.servers.apt import PrivateApt, environment_of_unpacked, loaded
from tests.servers.asterisk import Asterisk
from tests.servers.carrier_scenario import scenario
from tests.servers.install import installed
from tests.servers.process import Server, free_port, is_free, short_directory
from tests.servers.voices import GREETINGS, write_ulaw

_LOGGED = re.compile(r"\b(INVITE|ANSWERED|BYE|CANCEL) (\d+) ")


def _unpack(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        PrivateApt(Path(folder)).unpack("sip-tester", root)


def install() -> list[str]:
    """Find or unpack SIPp: the command's first words. Raises `UnavailableError`."""
    own = shutil.which("sipp")
    return [own] if own else loaded(installed("sipp", _unpack), "usr/bin/sipp")


def _free_media_port() -> int:
    """An even port with three free ones after it: for audio and video, RTP and RTCP."""
    while True:
        first = free_port(SOCK_DGRAM) & ~1
        if first + 3 < 1 << 16 and all(is_free(first + n, SOCK_DGRAM) for n in range(4)):
            return first


class Carrier(Server):
    """The far end of PJSIP/<number>@carrier of one Asterisk. It outlives Asterisk's restarts, and keeps count."""

    name = "carrier"

    def __init__(self, asterisk: Asterisk) -> None:
        self._command = install()
        super().__init__(short_directory("rb-sipp-"))
        self.port = asterisk.carrier_port
        self._media_port = _free_media_port()
        (self.directory / "carrier.xml").write_text(scenario())
        for greeting in GREETINGS:
            write_ulaw(greeting, self.directory)

    def command(self) -> Sequence[str]:
        place = ["-i", "127.0.0.1", "-p", str(self.port), "-mp", str(self._media_port)]
        logs = ["-trace_logs", "-log_file", "calls.log", "-trace_err", "-error_file", "errors.log"]
        return [*self._command, "-sf", "carrier.xml", *place, *logs, "-nostdin", "-skip_rlimit"]

    def environment(self) -> Mapping[str, str]:
        return {**environment_of_unpacked(), "TERM": "dumb"}

    def ready(self) -> bool:
        # It listens for SIP only when it has its ports for media.
        return (self.directory / "calls.log").exists() and not is_free(self.port, SOCK_DGRAM)

    def seen(self, what: str) -> Counter[str]:
        """How often something happened to a call to each number: INVITE, ANSWERED, BYE (its own), CANCEL."""
        log = self.directory / "calls.log"
        found = _LOGGED.findall(log.read_text() if log.exists() else "")
        return Counter(number for happened, number in found if happened == what)

    @property
    def settings(self) -> dict[str, str]:
        return {"RINGBACK_DIALER__CHANNEL": "PJSIP/{number}@carrier"}
