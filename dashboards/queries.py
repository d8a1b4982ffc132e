"""What a committed dashboard asks of Prometheus, read from its JSON, and which metrics a query of PromQL names."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "grafana"
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_IN_BRACKETS = re.compile(r"\[[^]]*\]|\{[^}]*\}")
_LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w.:])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = frozenset(
    {"and", "or", "unless", "offset", "bool", "by", "without", "inf", "nan", "group_left", "group_right"}
)
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), *(?P<label>\w+)\)")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of a dashboard: where it is and what it asks, with the variables as they stand in the file."""

    board: str
    panel: str
    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class LabelValues:
    """The query of a template variable: the values of a label among the series of a selector."""

    board: str
    name: str
    selector: str
    label: str


def boards(folder: Path = FOLDER) -> dict[str, Json]:
    """Every committed dashboard by its uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def panels(board: Json) -> list[Json]:
    """The panels of a dashboard without the headings of its rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def asked(board: Json) -> Iterator[Asked]:
    """Every query of the panels and annotations."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield Asked(board["uid"], panel["title"], target["expr"], target.get("legendFormat", ""))
    for annotation in board["annotations"]["list"]:
        yield Asked(board["uid"], f"annotation {annotation['name']}", annotation["expr"])


def label_values(board: Json) -> Iterator[LabelValues]:
    """The queries of the template variables."""
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            if found is None:
                raise ValueError(f"{board['uid']}: variable {variable['name']} is no label_values(selector, label)")
            yield LabelValues(board["uid"], variable["name"], found["selector"], found["label"])


def substituted(expr: str, values: Mapping[str, str]) -> str:
    """The query with ``$name`` and ``${name}`` replaced. Raises `KeyError` for a variable without a value."""
    return _VARIABLE.sub(lambda found: values[found[1]], expr)


def metric_names(expr: str) -> set[str]:
    """The names of the metrics and recorded series in a query."""
    bare = _IN_BRACKETS.sub(" ", _STRING.sub('""', _VARIABLE.sub("x", expr)))
    bare = _LABEL_LIST.sub(" ", bare)
    return {name for name in _NAME.findall(bare) if name.lower() not in _WORDS}
