"""The house keeps its order: what each room may import, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# docs/architecture.md has the same table. A name with a dot allows that module (and what is in it) only.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "ringback": frozenset(),
    "ingest": frozenset({"ringback"}),
    "stream": frozenset({"ringback", "scoring", "dialer.hopper", "dialer.compliance"}),
    "scoring": frozenset({"ringback"}),
    "dialer": frozenset({"ringback"}),
    "outreach": frozenset({"ringback"}),
    "console": frozenset({"ringback", "dialer"}),
    "simulation": frozenset({"ringback", "dialer.pacing"}),
    "fuzz": frozenset({"ringback", "ingest", "stream"}),
    "dashboards": frozenset(),
}
MAY_IMPORT_EVERYTHING = frozenset({"ringback/cli.py", "ringback/demo.py"})
LONGEST_FILE = 400

ROOMS = sorted(room for room in MAY_IMPORT if (ROOT / room).is_dir())


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it; ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level:
                home = file.relative_to(ROOT).parts[: -node.level]
                package = ".".join((*home, *package.split("."))) if package else ".".join(home)
            yield from (f"{package}.{alias.name}" for alias in node.names)


def forbidden(file: Path, room: str) -> list[str]:
    if file.relative_to(ROOT).as_posix() in MAY_IMPORT_EVERYTHING:
        return []
    if file.is_relative_to(ROOT / "ringback" / "commands"):
        return []
    allowed = MAY_IMPORT[room] | {room}
    rooms = set(MAY_IMPORT) | {"benchmarks", "tests"}
    return [
        name
        for name in imported(file)
        if name.partition(".")[0] in rooms and not any(f"{name}.".startswith(f"{open_}.") for open_ in allowed)
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    found = {file.relative_to(ROOT).as_posix(): forbidden(file, room) for file in files(room)}
    assert not {file: names for file, names in found.items() if names}


def test_the_contract_is_enforced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.test_house.ROOT", tmp_path)
    file = tmp_path / "simulation" / "deep" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import ringback.records, scoring\n"
        "from dialer import pacing, calls\n"
        "from ..people import person\n"
        "def f():\n    from dialer.pacing import Pacer\n    import stream.app\n"
    )
    assert forbidden(file, "simulation") == ["scoring", "dialer.calls", "stream.app"]


def test_every_room_is_under_the_contract() -> None:
    rooms = {file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert rooms <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", ROOMS)
def test_files_are_short(room: str) -> None:
    lines = {file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines()) for file in files(room)}
    assert not {file: count for file, count in lines.items() if count >= LONGEST_FILE}
