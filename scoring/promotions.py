"""What the model registry writes down: which versions serve, and every change of it with who, when and why."""

import os
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Literal

import msgspec

from ringback.errors import NotPromoted
from ringback.metrics import ModelRole
from ringback.records import Record

HISTORY = "history.jsonl"


class Canary(Record, frozen=True, kw_only=True):
    """A model that scores for a ``share`` of the shoppers, over 0 and under 1."""

    version: str
    share: float


class Standing(Record, frozen=True, kw_only=True):
    """Which versions serve, by the names of their folders; ``current`` None is the default model."""

    current: str | None = None
    shadow: str | None = None
    canary: Canary | None = None
    uplift: str | None = None


class Comparison(Record, frozen=True, kw_only=True):
    """How a challenger did beside a champion on the same rows.

    ``better_by`` is by how much its log-loss was less, nats a row, and the ends of the 95 % interval before and after
    it, by paired bootstrap over shoppers.
    """

    challenger: str
    champion: str
    data: str
    rows: int
    better_by: tuple[float, float, float]

    @property
    def is_better(self) -> bool:
        """Whether the whole interval says so."""
        return self.better_by[0] > 0.0


class Entry(Record, frozen=True, kw_only=True):
    """A line of the history. ``at`` is RFC 3339; ``forced`` is the reason why no evidence was asked for."""

    at: str
    by: str
    action: Literal["promote", "rollback"]
    role: ModelRole
    version: str | None
    before: Standing
    after: Standing
    forced: str | None = None
    evidence: Comparison | None = None


_decoder = msgspec.json.Decoder(Entry)


def history(root: Path) -> list[Entry]:
    """All changes of a registry, oldest first. Raises `NotPromoted` where a line is none."""
    file = root / HISTORY
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return []
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise NotPromoted(f"{file}, line {number} is no entry ({error}): mend or delete that line") from None
    return entries


def note(root: Path, entry: Entry) -> None:
    """Add to the history."""
    write(root / HISTORY, b"".join(msgspec.json.encode(one) + b"\n" for one in (*history(root), entry)))


def write(file: Path, content: bytes) -> None:
    """Put a whole file in place by one rename."""
    unfinished = file.with_name(f".{file.name}.new")
    with unfinished.open("wb") as new:
        new.write(content)
        new.flush()
        os.fsync(new.fileno())
    unfinished.replace(file)


def now() -> str:
    """The moment, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def who() -> str:
    """The user of this process, by name where there is one."""
    try:
        return getuser()
    except (KeyError, OSError):  # a container's user may have none
        return f"uid {os.getuid()}"
