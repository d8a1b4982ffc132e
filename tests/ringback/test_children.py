"""Child processes: nothing of them is left."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ringback.children import Child
from ringback.errors import Unavailable

DEADLINE = 10.0


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie whose parent has not yet read its exit code does not run.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_a_child_that_ends_when_asked_is_not_killed(tmp_path: Path) -> None:
    child = Child("sleeper", python("import time; print('up', flush=True); time.sleep(60)"), folder=tmp_path)
    child.wait_until(lambda: child.tail() == "up", DEADLINE)
    assert child.exit_code is None
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_stubborn_child_and_what_it_started_are_killed(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(grandchild.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = Child("stubborn", python(code), folder=tmp_path)
    child.wait_until(lambda: child.tail().isdigit(), DEADLINE)
    grandchild = int(child.tail())
    child.stop(grace=0.2)
    assert child.exit_code == -signal.SIGKILL
    wait_until_gone(grandchild)


def test_what_a_child_left_behind_is_killed_though_the_child_ended_before(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(left.pid, flush=True)\n"
    )
    child = Child("careless", python(code), folder=tmp_path)
    child.wait_until(lambda: child.tail().isdigit(), DEADLINE)
    left = int(child.tail())
    child.stop()
    wait_until_gone(left)


def test_a_child_that_dies_at_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = Child("broken", python("import sys; sys.exit('no such luck')"), folder=tmp_path)
    with pytest.raises(Unavailable, match=r"(?s)broken ended at start with exit code 1.*no such luck"):
        child.wait_until(lambda: False, DEADLINE)


def test_a_child_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    child = Child("slow", python("import time; time.sleep(60)"), folder=tmp_path)
    try:
        with pytest.raises(Unavailable, match="slow did not answer within"):
            child.wait_until(lambda: False, 0.1)
    finally:
        child.stop()


def test_the_tail_is_the_end(tmp_path: Path) -> None:
    child = Child("talker", python("print('\\n'.join(str(n) for n in range(100)))"), folder=tmp_path)
    child.wait_until(lambda: child.tail(2) == "98\n99", DEADLINE)
    child.stop()
