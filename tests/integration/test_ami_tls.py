"""The dialer's link over TLS, to a real Asterisk set up as manager_tls.conf.example says."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dialer.ami import Ami
from ringback.dialer_settings import AmiSettings
from tests.dialer.waiting import until
from tests.servers.asterisk import CONFIGURATION, Asterisk
from tests.servers.process import free_port

DEADLINE_S = 10.0


class TlsAsterisk(Asterisk):
    """Asterisk whose manager speaks TLS as well, with a certificate of its own making."""

    def _render(self) -> None:
        super()._render()
        self.tls_port = free_port()
        self.certificate = self.directory / "ami.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        files = ["-keyout", str(self.directory / "ami.key"), "-out", str(self.certificate)]
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
        example = (CONFIGURATION / "manager_tls.conf.example").read_text()
        (self.directory / "etc" / "manager_tls.conf").write_text(
            re.sub(r"\npermit.*", "", example)
            .replace("0.0.0.0:5039", f"127.0.0.1:{self.tls_port}")
            .replace("/etc/asterisk/keys", str(self.directory))
        )

    def link(self, ca: Path | None) -> Ami:
        """The dialer's link to it, up when `up` is set."""
        self.up = asyncio.Event()
        values = {"host": "127.0.0.1", "port": self.tls_port, "user": self.user, "secret": self.secret, "tls": True}
        return Ami(AmiSettings.model_validate({**values, "ca": ca}), lambda _: None, self.up.set, self.up.clear)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_the_link_speaks_tls_to_whom_it_trusts_only(asterisk: Asterisk, caplog: pytest.LogCaptureFixture) -> None:
    with TlsAsterisk() as own:
        trusting = asyncio.create_task(own.link(own.certificate).run())
        async with asyncio.timeout(DEADLINE_S):
            await own.up.wait()
        trusting.cancel()
        await asyncio.gather(trusting, return_exceptions=True)

        doubting = asyncio.create_task(own.link(None).run())
        await until(lambda: "certificate" in caplog.text.lower(), "the link complains of the certificate")
        assert not own.up.is_set()
        doubting.cancel()
        await asyncio.gather(doubting, return_exceptions=True)
