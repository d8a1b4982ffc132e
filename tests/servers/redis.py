"""Redis with an append-only file: the machine's own, or the distribution's package unpacked, on a free port."""

import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.apt import PrivateApt, environment_of_unpacked, loaded, run
from tests.servers.install import installed
from tests.servers.process import Server, free_port, short_directory


def _unpack(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        PrivateApt(Path(folder) / "own").unpack("redis-server", root)


def install() -> list[str]:
    """The first words of the command that runs redis-server. Raises `UnavailableError`."""
    own = shutil.which("redis-server")
    command = [own] if own else loaded(installed("redis", _unpack), "usr/bin/redis-server")
    run([*command, "--version"])
    return command


class Redis(Server):
    """A running Redis whose every write is on disk before it is acknowledged."""

    name = "redis"

    def __init__(self) -> None:
        self._redis = install()
        super().__init__(short_directory("rb-redis-"))
        self.port = free_port()

    def command(self) -> Sequence[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        return [*self._redis, *(word for key, value in options.items() for word in (f"--{key}", value))]

    def environment(self) -> Mapping[str, str]:
        return environment_of_unpacked()

    def ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def settings(self) -> dict[str, str]:
        return {"RINGBACK_REDIS__URL": self.url}
