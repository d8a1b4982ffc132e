"""Pieces of a self-contained page. Everything that is put in as text is escaped here."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from scoring.judging.chart import Chart

PAGE = Path(__file__).parent / "report_page.html"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    """The value as it is to be read; `Markup` stays as it is."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def joined(parts: Iterable[Markup]) -> Markup:
    """One piece after the other."""
    return Markup("\n".join(parts))


def element(tag: str, content: object, kind: str = "") -> Markup:
    """An element of a class, around text or markup."""
    attribute = f' class="{escape(kind)}"' if kind else ""
    return Markup(f"<{tag}{attribute}>{text(content)}</{tag}>")


def section(title: str, note: str, *parts: Markup) -> Markup:
    """A part of the page with its heading and a sentence about it."""
    return Markup(f"<section>\n<h2>{text(title)}</h2>\n{element('p', note, 'note')}\n{joined(parts)}\n</section>")


def cards(numbers: Sequence[tuple[str, str, str]]) -> Markup:
    """Headline numbers: what it is, the number, what stands beside it."""
    inside = joined(
        element("div", Markup(element("dt", name) + element("dd", number, "number") + element("dd", beside, "beside")))
        for name, number, beside in numbers
    )
    return element("dl", inside, "cards")


def charts(drawn: Iterable[Chart], *, wide: bool = False) -> Markup:
    """Charts side by side, or each as wide as the page."""
    kind = ' class="wide"' if wide else ""
    return element("div", joined(_figure(one, kind) for one in drawn), "charts")


def table(head: Sequence[str], rows: Iterable[tuple[Sequence[object], str]]) -> Markup:
    """A table; each row is its cells and its class. A cell is text, or a ``td`` of its own as `Markup`."""
    titles = Markup("".join(f'<th scope="col">{text(title)}</th>' for title in head))
    body = joined(element("tr", Markup("".join(_cell(cell) for cell in cells)), kind) for cells, kind in rows)
    inside = Markup(f"<table><thead>{element('tr', titles)}</thead><tbody>\n{body}\n</tbody></table>")
    return element("div", inside, "scroll")


def facts(pairs: Mapping[str, object]) -> Markup:
    """Names and what they are."""
    return element(
        "dl", joined(Markup(element("dt", name) + element("dd", value)) for name, value in pairs.items()), "facts"
    )


def page(title: str, *parts: Markup) -> str:
    """The whole page."""
    return Template(PAGE.read_text(encoding="utf-8")).substitute(title=text(title), body=joined(parts))


def _figure(one: Chart, kind: str) -> Markup:
    caption = f"<figcaption>{element('h3', one.title)}{element('p', one.text)}</figcaption>"
    return Markup(f"<figure{kind}>{caption}\n{one.svg}</figure>")


def _cell(content: object) -> Markup:
    if isinstance(content, Markup) and content.startswith("<td"):
        return content
    return element("td", content)
