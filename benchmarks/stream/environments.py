"""Python environments for engines whose packages do not go with Ringback's, made once under `.tools/`."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.stream.catalogue import Engine

ROOT = Path(__file__).resolve().parents[2]
# What the job itself imports: the same versions everywhere, so that all do the same work.
SHARED = ("lightgbm", "msgspec", "numpy", "scipy")


class NotInstalledError(Exception):
    """An engine's packages can't be installed; the message says why."""


def python_of(engine: Engine) -> Path:
    """The interpreter that runs an engine, with its packages installed. Raises `NotInstalledError`."""
    if not engine.own:
        return Path(sys.executable)
    folder = ROOT / ".tools" / f"bench-{engine.name}"
    python, done = folder / "bin" / "python", folder / "installed.json"
    wanted = [*engine.own, *(f"{name}=={version(name)}" for name in SHARED)]
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted])
        done.write_text(json.dumps(wanted))
    return python


def version_in(python: Path, package: str) -> str:
    """The version of a package in an environment."""
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    return _run([str(python), "-c", asked]).strip()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise NotInstalledError(f"{' '.join(command[:5])} … failed: {' '.join(last)}")
    return done.stdout
