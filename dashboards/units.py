"""Values as Grafana writes them, for the units that the dashboards use."""

import math

_SCALES = {
    "s": ((1e-6, 1e6, "µs"), (1e-3, 1e3, "ms"), (1.0, 1.0, "s"), (60.0, 1 / 60, "min"), (3600.0, 1 / 3600, "h")),
    "bytes": ((0.0, 1.0, "B"), (2.0**10, 2.0**-10, "KiB"), (2.0**20, 2.0**-20, "MiB"), (2.0**30, 2.0**-30, "GiB")),
    "short": ((0.0, 1.0, ""), (1e3, 1e-3, "K"), (1e6, 1e-6, "M")),
}
_ZERO = {"s": "s", "bytes": "B", "short": ""}
_RATES = {"cps": "/s", "reqps": "req/s", "cpm": "/min"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit: ``written(0.0042, "s")`` is ``4.2 ms``."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞"
    if unit == "percentunit":
        return f"{_rounded(100 * value, decimals)} %"
    if unit in _RATES:
        return f"{_rounded(value, decimals)} {_RATES[unit]}"
    if unit == "locale":
        return f"{value:,.{0 if decimals is None else decimals}f}"
    if unit not in _SCALES:
        return _rounded(value, decimals)
    if value == 0:
        return f"0 {_ZERO[unit]}".rstrip()
    fitting = [scale for scale in _SCALES[unit] if abs(value) >= scale[0]]
    _, factor, name = fitting[-1] if fitting else _SCALES[unit][0]
    return f"{_rounded(value * factor, decimals)} {name}".rstrip()


def _rounded(value: float, decimals: int | None) -> str:
    """With these decimals, else with three digits."""
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 100 or value == round(value) else 1 if size >= 10 else 2
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".") if decimals else f"{value:.0f}"
    return f"{value:.{decimals}f}"
