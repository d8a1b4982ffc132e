"""``make fuzz``: every source under atheris where it can be installed, and else under `fuzz.mutations` alone."""

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz import envelopes
from fuzz.campaign import kept, packed, run, unpacked
from fuzz.mutations import fixtures, requests
from fuzz.promises import LIMITS, keep
from ingest.sources import SOURCES

ATHERIS = "atheris==3.0.0"
ROOT = Path(__file__).resolve().parent.parent
# Not in the lock file: it has no wheel for every system, and nothing else needs it. Wheels are for one Python each.
INSTALLED = ROOT / ".tools" / "fuzz" / f"{sys.version_info.major}.{sys.version_info.minor}"
FOUND = ROOT / ".ringback" / "fuzz"
SHARE_OF_BIG = 0.001
LONGEST_INPUT = 65536  # larger bodies are the mutator's: libFuzzer would try little else
SECONDS_FOR_ONE = 25


def main() -> int:
    """Returns 1 when something was found."""
    told = _arguments()
    if told.again is not None:
        return _again(told.platform or list(SOURCES), told.again)
    platforms = told.platform or list(SOURCES)
    share = told.seconds / len(platforms)
    with_atheris = told.bodies is None and _has_atheris()
    found = 0
    for platform in platforms:
        if with_atheris:
            found += _under_atheris(platform, told.seed, share)
        else:
            found += _mutated(platform, told.seed, told.bodies, share)
    found += _envelopes(told.seed, told.bodies, share)
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all platforms together")
    parser.add_argument("--bodies", type=int, help="so many for each platform instead, without atheris")
    parser.add_argument("--platform", action="append", choices=list(SOURCES), help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, help="give a request that was found before to --platform")
    return parser.parse_args()


def _has_atheris() -> bool:
    if not (INSTALLED / f"{ATHERIS.replace('==', '-')}.dist-info").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = ["--upgrade", "--only-binary", ":all:", "--target", str(INSTALLED), ATHERIS]
        if subprocess.run([*command, *wanted], check=False).returncode:
            print(f"{ATHERIS} can't be installed here (it is for Linux, Python 3.11 to 3.13): mutated requests only")
            return False
    return True


def _under_atheris(platform: str, seed: int, seconds: float) -> int:
    FOUND.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as corpus:
        for number, one in enumerate(fixtures(platform)):
            (Path(corpus) / str(number)).write_bytes(packed(one))
        limits = [f"-max_total_time={max(1, round(seconds))}", f"-timeout={SECONDS_FOR_ONE}", f"-seed={seed}"]
        rest = [f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={FOUND}/{platform}-", "-print_final_stats=1", corpus]
        ended = subprocess.run(
            [sys.executable, "-m", "fuzz.parsers", platform, *limits, *rest],
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(INSTALLED), str(ROOT)))},
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    runs = next((line for line in ended.stderr.splitlines() if "number_of_executed_units" in line), "")
    print(f"{platform:<12} {int(runs.rpartition(':')[2] or 0):>9,} requests under atheris")
    if ended.returncode:
        print(ended.stderr[-4000:])
        print(f"found: python -m fuzz --platform {platform} --again FILE, for each file in {FOUND}")
    return ended.returncode


def _mutated(platform: str, seed: int, bodies: int | None, seconds: float) -> int:
    given = itertools.islice(requests(platform, seed, LIMITS.max_body_bytes, SHARE_OF_BIG), bodies)
    report = run(SOURCES[platform], given, seconds=seconds if bodies is None else float("inf"))
    print(report.line(platform), flush=True)
    for what, request in report.findings.items():
        print(f"  {what}\n  make fuzz ARGS='--platform {platform} --again {kept(FOUND, platform, request)}'")
    return len(report.findings)


def _envelopes(seed: int, records: int | None, seconds: float) -> int:
    report = envelopes.run(seed, records, seconds if records is None else float("inf"))
    print(report.line(), flush=True)
    for what in report.findings:
        print(f"  {what}")
    return len(report.findings)


def _again(platforms: Sequence[str], file: Path) -> int:
    for platform in platforms:
        for one in keep(SOURCES[platform], unpacked(file.read_bytes())):
            print(f"{platform}: {one}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
