"""The dialer over a SIP trunk in simulated time: ``python -m tests.servers.dialer``.

Ringback's settings allow a clock that is not the real one only where calls can't leave Asterisk. That holds here too:
the carrier is on the loopback address.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence

from dialer import worker
from ringback.settings import Settings
from tests.servers.ringback import RingbackProcess

CHANNEL = "TEST_CHANNEL"


def through(settings: Settings, channel: str) -> Settings:
    """These settings, with calls placed as ``channel`` says."""
    return settings.model_copy(update={"dialer": settings.dialer.model_copy(update={"channel": channel})})


class DialerProcess(RingbackProcess):
    """``ringback dialer``, with calls placed as ``channel`` says."""

    def __init__(self, settings: Mapping[str, str], channel: str) -> None:
        super().__init__("dialer", settings)
        self._channel = channel

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "tests.servers.dialer"]

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), CHANNEL: self._channel}


if __name__ == "__main__":
    asyncio.run(worker.run(through(Settings(), os.environ[CHANNEL])))
