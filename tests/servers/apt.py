"""Debian packages unpacked into a private folder and run through their own loader: no root, nothing installed."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.process import UnavailableError

ARCHIVE_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMMAND_TIMEOUT_S = 600
COMPLAINT_LINES = 4
# of apt and of Maven
ERROR_LINE = re.compile(r"(E:|\[ERROR\]) \S")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Come along as dependencies of maintainer scripts, which are never run.
NOT_NEEDED = (
    *("adduser", "bash", "coreutils", "dash", "debconf", "dirmngr", "dpkg", "gnupg", "gpg", "init-system", "login"),
    *("mount", "passwd", "perl", "pinentry", "systemd", "sysvinit", "tzdata", "util-linux"),
)


class PrivateApt:
    """apt as if nothing were installed, with a state of its own: for a Debian suite, else for the machine's sources."""

    def __init__(self, state: Path, suite: str | None = None) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise UnavailableError("there is no apt-get here: packages are unpacked on Debian and its kin only")
        self._cache = state / "cache"
        self._options = self._prepare(state, suite)
        self._apt("update")

    def _prepare(self, state: Path, suite: str | None) -> list[str]:
        for folder in ("etc", "lists/partial", "cache/archives/partial", "log"):
            (state / folder).mkdir(parents=True)
        (state / "status").touch()
        options = {
            "Dir::State": state,
            "Dir::State::status": state / "status",
            "Dir::Cache": self._cache,
            "Dir::Log": state / "log",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "true",
        }
        if suite is not None:
            source = state / "etc" / "sources.list"
            source.write_text(f"deb [signed-by={ARCHIVE_KEYS}] {debian_archive()} {suite} main\n")
            options |= {
                "Dir::Etc::sourcelist": source,
                "Dir::Etc::sourceparts": state / "etc",
                "Dir::Etc::preferences": state / "none",
                "Dir::Etc::preferencesparts": state / "etc",
            }
        return [part for key, value in options.items() for part in ("-o", f"{key}={value}")]

    def _apt(self, *arguments: str, tool: str = "apt-get") -> str:
        return run([tool, *self._options, "-q", *arguments])

    def candidate(self, package: str) -> str | None:
        """The version that would be installed, None when the sources have none."""
        for line in self._apt("policy", package, tool="apt-cache").splitlines():
            key, _, version = line.strip().partition(": ")
            if key == "Candidate":
                return None if version == "(none)" else version
        return None

    def unpack(self, package: str, root: Path) -> None:
        """Download the package and all it needs, down to the C library, and unpack them under `root`."""
        self._apt("-y", "--download-only", "install", package)
        for archive in sorted((self._cache / "archives").glob("*.deb")):
            if not archive.name.startswith(NOT_NEEDED):
                run(["dpkg-deb", "-x", str(archive), str(root)])
        for unread in ("doc", "man", "locale", "info", "lintian", "bug"):
            shutil.rmtree(root / "usr" / "share" / unread, ignore_errors=True)


def run(command: Sequence[str]) -> str:
    """Run a command and return what it printed; `UnavailableError` with the end of its complaint when it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{command[0]} failed: {error}") from error
    if done.returncode != 0:
        said = COLOUR.sub("", f"{done.stderr}\n{done.stdout}").strip().splitlines()
        complaint = [line for line in said if ERROR_LINE.match(line)] or said
        raise UnavailableError(f"{command[0]} failed:\n" + "\n".join(complaint[:COMPLAINT_LINES]))
    return done.stdout


def debian_archive() -> str:
    """The address of the Debian archive that this machine uses, from its own apt configuration."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if not ARCHIVE_KEYS.exists():
        raise UnavailableError(f"no Debian archive keys at {ARCHIVE_KEYS}: install debian-archive-keyring")
    listing = run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    )
    for line in listing.splitlines():
        release, component, address = line.split(maxsplit=2)
        if (release, component) == (codename, "main"):
            return address
    raise UnavailableError(f"apt knows no Debian archive for {codename!r}")


def loaded(root: Path, binary: str, *library_folders: Path) -> list[str]:
    """The command that runs a binary unpacked under `root` with the libraries beside it, through their own loader."""
    loaders = [
        path for folder in ("usr/lib*", "usr/lib/*", "lib*", "lib/*") for path in root.glob(f"{folder}/ld-linux-*")
    ]
    loader = next((path for path in loaders if path.resolve().is_relative_to(root.resolve()) and path.exists()), None)
    if loader is None:
        raise UnavailableError(f"no program loader under {root}")
    libraries = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*"), *library_folders]
    return [str(loader), "--library-path", ":".join(map(str, libraries)), str(root / binary)]


def environment_of_unpacked() -> Mapping[str, str]:
    """The environment without variables that would make the unpacked programs load the machine's libraries."""
    return {key: value for key, value in os.environ.items() if key not in {"LD_PRELOAD", "LD_LIBRARY_PATH"}}
