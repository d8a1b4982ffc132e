from dialer.compliance.book import book
from dialer.compliance.page import text
from tests.conftest import ROOT


def test_the_page_is_fresh() -> None:
    file = ROOT / "docs" / "compliance.md"
    assert file.read_text() == text(), "run: python -m dialer.compliance.page > docs/compliance.md"


def test_every_rule_is_on_the_page_with_its_source_and_file() -> None:
    page = text()
    for jurisdiction in book().jurisdictions.values():
        assert f"dialer/compliance/data/{jurisdiction.code}.toml" in page
        for rule in jurisdiction.rules:
            assert f"`{rule.id}`" in page
            assert rule.source in page


def test_every_file_that_the_page_names_is_there() -> None:
    words = text().replace("`", " ").replace(",", " ").replace(":", " ").split()
    named = {word for word in words if "/" in word and word.endswith((".py", ".toml", ".conf", ".lua"))}
    assert len(named) > 30
    assert not [name for name in named if not (ROOT / name).is_file()]
