"""What a running server costs: its processor time and its memory; see proc(5). NaN where there is no /proc."""

import os
from pathlib import Path

from tests.servers.process import Server

MB = 1e6
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(server: Server) -> float:
    """User and system time since the process began."""
    try:
        # After the name in parentheses: state is field 3, utime 14 and stime 15.
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(server: Server) -> float:
    """Memory that the process holds now."""
    try:
        lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), float("nan"))
