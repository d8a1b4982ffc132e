"""Shows the effective settings: TOML that could be read again, with where each value came from and no secret."""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from ringback.settings import CONFIG_FILE_VARIABLE, DEFAULT_CONFIG_FILE, Settings

MASK = "***"
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")

Table = Mapping[str, Any]


def show(settings: Settings, flags: Table) -> str:
    """The settings as TOML. ``flags`` has the dotted keys that were given on the command line."""
    file = Path(os.environ.get(CONFIG_FILE_VARIABLE, DEFAULT_CONFIG_FILE))
    written = tomllib.loads(file.read_text()) if file.is_file() else {}
    given = {key for key, value in flags.items() if value is not None}

    def origin(key: str) -> str:
        if any(f"{key}.".startswith(f"{flag}.") for flag in given):
            return "flag"
        variable = f"RINGBACK_{key.replace('.', '__')}".upper()
        parts = variable.split("__")
        present = {name.upper() for name in os.environ}
        if any("__".join(parts[:depth]) in present for depth in range(1, len(parts) + 1)):
            return "environment"
        return str(file) if _holds(written, key.split(".")) else ""

    return "\n".join(_lines("", _plain(settings), origin)).strip() + "\n"


def _plain(model: BaseModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def _holds(table: Any, path: list[str]) -> bool:
    for part in path:
        if not isinstance(table, dict) or part not in table:
            return False
        table = table[part]
    return True


def _lines(name: str, table: Table, origin: Callable[[str], str], above: str = "") -> Iterator[str]:
    inner = {}
    for key, value in table.items():
        if isinstance(value, BaseModel):
            inner[key] = _plain(value)
        elif isinstance(value, dict):
            inner[key] = value
        else:
            dotted = f"{name}.{key}" if name else key
            source = origin(dotted)
            comment = f"  # {source}" if source else ""
            yield f"{_key(key)} = {_scalar(value)}{comment}" if value is not None else f"# {key} is not set"
    for key, sub in inner.items():
        dotted = f"{name}.{key}" if name else key
        header = f"{above}.{_key(key)}" if above else _key(key)
        yield ""
        yield f"[{header}]"
        yield from _lines(dotted, sub, origin, header)


def _key(key: str) -> str:
    """A key as TOML writes it: in quotes where it is not plain, such as shopify:example."""
    return key if _PLAIN.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _scalar(value: Any) -> str:
    if isinstance(value, SecretStr):
        return json.dumps(MASK if value.get_secret_value() else "")
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(part) for part in value)}]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return json.dumps(value if isinstance(value, bool | int | float) else str(value), ensure_ascii=False)
