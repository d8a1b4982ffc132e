"""The secrets that sign a shop's requests: several may live at once, so that they can be changed without a gap."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from ringback.errors import SettingsError

log = logging.getLogger(__name__)


class Secrets:
    """Secrets from the settings and from a file, one a line, which is read again whenever it changes.

    Replace the file by a rename, so that no request meets it half written. While it can't be read, what it held last
    stays in force. Raises `SettingsError` when it can't be read at the start.
    """

    def __init__(self, fixed: Sequence[SecretStr], file: Path | None = None) -> None:
        self._fixed = tuple(secret.get_secret_value().encode() for secret in fixed if secret.get_secret_value())
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._live = self._fixed
        if file is not None:
            try:
                self._refresh(file)
            except (OSError, UnicodeError) as error:
                raise SettingsError(f"{file}: can't read secrets: {error}; expected one a line, in UTF-8") from None

    def live(self) -> tuple[bytes, ...]:
        """All secrets that are in force now; none means that the endpoint is off."""
        if self._file is not None:
            try:
                self._refresh(self._file)
            except (OSError, UnicodeError) as error:
                if self._stamp is not None:
                    log.warning("secrets of %s can't be read, the last ones stay in force: %s", self._file, error)
                self._stamp = None
        return self._live

    def _refresh(self, file: Path) -> None:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        self._live = (*self._fixed, *(line.encode() for line in lines if line))
        self._stamp = stamp
