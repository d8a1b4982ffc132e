"""Sentences for agents: true plurals, checked once, never about what a call must not be about."""

import math
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import SettingsError
from ringback.records import Item
from scoring.features import FEATURES
from scoring.industry import INDUSTRIES
from scoring.reasons import SHIPPED, Basket, Phrases, load
from scoring.sentences import count, duration, ordinal, parse, times

PLACE = {feature.name: place for place, feature in enumerate(FEATURES)}
CATEGORY = {
    "electronics": "electronics.smartphone",
    "home_improvement": "furniture.sofa",
    "beauty_wellness": "beauty.skincare",
    "dtc_lifestyle": "apparel.shoes",
    "other": "food.grocery",
}
PROTECTED = re.compile(
    r"\b(gender|sex|woman|women|man|men|lady|ladies|gentleman|race|ethnic\w*|nation\w*|religio\w*|disab\w*|pregnan\w*|"
    r"age|old|young|elder\w*|senior|married|single|mother|father|ill|sick\w*|union|politic\w*)\b",
    re.IGNORECASE,
)


def held(*titles: str | None, price: int = 5_000, currency: str = "EUR", category: str = "shoes") -> Basket:
    lines = tuple(
        Item(product_id=str(number), unit_price=price, title=title, category=category)
        for number, title in enumerate(titles)
    )
    return Basket(lines, currency, "0" if lines else None)


def row(**values: float) -> list[float]:
    return [values.get(feature.name, 0.0) for feature in FEATURES]


def reasons(values: dict[str, float], parts: dict[str, float], basket: Basket | None = None) -> tuple[str, ...]:
    return load().reasons_for(row(**values), row(**parts), basket or held("Sofa"))


def points(basket: Basket, **values: float) -> tuple[str, ...]:
    return load().points_for(row(**values), basket)


def with_(tmp_path: Path, more: str = "", *, instead_of: str = "") -> Phrases:
    text = SHIPPED.read_text(encoding="utf-8")
    assert instead_of in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(instead_of, more, 1) if instead_of else text + more, encoding="utf-8")
    return load(file)


def test_interest_and_where_it_stopped() -> None:
    said = reasons({"most_cart_views": 3, "checkout_step": 2}, {"most_cart_views": 0.4, "checkout_step": 0.1})
    assert said == ("Looked at “Sofa” three times", "Left at shipping costs")


def test_what_argues_against_a_purchase_is_not_said() -> None:
    said = reasons({"most_cart_views": 3, "visit_number": 4}, {"most_cart_views": -0.4, "visit_number": 0.001})
    assert said == ("Filled the cart and left before the checkout",)


def test_a_group_speaks_once_and_as_strongly_as_its_features_together() -> None:
    values: dict[str, float] = {"most_cart_views": 2, "cart_views": 4, "dwell": 600}
    said = reasons(values, {"most_cart_views": -0.1, "cart_views": 0.5, "dwell": 0.3})
    assert said[:2] == ("Looked at “Sofa” twice", "Took ten minutes over this visit")
    assert reasons(values, {"most_cart_views": -0.5, "cart_views": 0.4, "dwell": 0.3})[0] == said[1]


def test_where_it_stopped_is_always_among_the_three() -> None:
    strong = {"most_cart_views": 3, "visit_number": 2, "past_purchases": 1, "dwell": 600}
    said = reasons({**strong, "payment_failures": 2, "checkout_step": 3}, dict.fromkeys(strong, 0.5))
    assert len(said) == 3
    assert said[-1] == "Wanted to pay, and the payment failed twice"


def test_levels_are_told_by_their_names() -> None:
    email = FEATURES[PLACE["traffic"]].levels.index("email")
    assert "Came by the shop's e-mail" in reasons({"traffic": email}, {"traffic": 0.3})
    assert "Came by the shop's e-mail" not in reasons({"traffic": email + 1.0}, {"traffic": 0.3})


@pytest.mark.parametrize("industry", INDUSTRIES)
def test_what_the_cart_holds_decides_on_the_words(industry: str) -> None:
    assert len(points(held("x", category=CATEGORY[industry]))) in (2, 3, 4)
    others = {points(held("x", category=CATEGORY[name])) for name in INDUSTRIES if name != industry}
    assert points(held("x", category=CATEGORY[industry])) not in others


def test_where_it_stopped_decides_on_the_first_talking_point() -> None:
    assert "payment failed" in points(held("x"), payment_failures=1)[0]
    assert "delivery to the room" in points(held("x", category="sofa", currency="XXX"), checkout_step=2)[0]
    assert "coupon was refused" in points(held("x"), coupon_failures=2)[0]
    assert "free shipping" in points(held("x", price=1_000), checkout_step=2)[0]


def test_instalments_are_for_dear_carts_of_known_currencies() -> None:
    def instalments(price: int, currency: str) -> bool:
        return "instalments" in " ".join(points(held("x", price=price, currency=currency)))

    assert instalments(50_000, "EUR")
    assert not instalments(49_999, "EUR")
    assert not instalments(59_999, "JPY")
    assert instalments(60_000, "JPY")
    assert not instalments(10**9, "CLF")


@pytest.mark.parametrize(
    ("basket", "name"),
    [
        (held("Oslo\n sofa\x00"), "“Oslo sofa”"),
        (held(None), "the product"),
        (held("\x07"), "the product"),
        (held("Oslo", "Bergen"), "“Oslo”"),
        (Basket(held("Oslo", "Bergen").lines, "EUR", None), "the same product"),
        (held("x" * 100), f"“{'x' * 59}…”"),
        (held("{count}"), "“{count}”"),
    ],
)
def test_a_product_is_called_by_its_title(basket: Basket, name: str) -> None:
    assert reasons({"most_cart_views": 2}, {"most_cart_views": 1.0}, basket)[0] == f"Looked at {name} twice"


@given(
    values=st.lists(
        st.floats(-1e12, 1e12) | st.just(math.nan) | st.integers(0, 5).map(float),
        min_size=len(FEATURES),
        max_size=len(FEATURES),
    ),
    parts=st.lists(st.floats(-5, 5), min_size=len(FEATURES) + 1, max_size=len(FEATURES) + 1),
    basket=st.builds(
        held,
        st.none() | st.text(max_size=80),
        price=st.integers(0, 10**9),
        currency=st.sampled_from(("EUR", "JPY", "???")),
        category=st.sampled_from(sorted(CATEGORY.values())),
    ),
)
def test_any_row_gives_few_sentences_and_two_to_four_points(
    values: list[float], parts: list[float], basket: Basket
) -> None:
    phrases = load()
    said, to_say = phrases.reasons_for(values, parts, basket), phrases.points_for(values, basket)
    assert len(said) <= 3
    assert 2 <= len(to_say) <= 4
    assert len(set(said)) == len(said)
    assert all(sentence.isprintable() and sentence[0] == sentence[0].upper() for sentence in (*said, *to_say))


def test_no_sentence_is_about_a_protected_attribute() -> None:
    text = "\n".join(line for line in SHIPPED.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    said = re.findall(r'"([^"]{12,})"', text)
    assert len(said) > 40
    assert [sentence for sentence in said if PROTECTED.search(sentence)] == []


def test_all_placeholders_are_of_the_cart() -> None:
    fields = {
        name for _, name, _, _ in string.Formatter().parse(SHIPPED.read_text("utf-8").split("[groups]")[1]) if name
    }
    assert {name for name in fields if name.isidentifier()} <= {
        "product",
        "times",
        "ordinal",
        "count",
        "duration",
        "step",
    }


def test_the_words_of_a_shop_replace_ours(tmp_path: Path) -> None:
    mine = with_(tmp_path, '2 = "customs"', instead_of='2 = "shipping costs"')
    assert mine.reasons_for(row(checkout_step=2), row(), held()) == ("Left at customs",)


REASON = '\n[[reason]]\nfeature = "{feature}"\nshows = "for"\n{condition}\nsentence = "{sentence}"\n'


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"feature": "shoe_size"}, "there is no feature 'shoe_size'; there are cart_value_log"),
        ({"sentence": "for {name}"}, "there is no {name} for a feature in count, only {product}, {times}"),
        ({"sentence": "{duration}"}, "there is no {duration} for a feature in count"),
        ({"sentence": "{count}"}, "{count} needs singular and plural"),
        ({"sentence": "{count:view}"}, "{count} needs singular and plural"),
        ({"sentence": "{times!r}"}, "{times} takes nothing behind its name"),
        ({"sentence": "{product.__class__}"}, "there is no {product.__class__}"),
        ({"sentence": "{}"}, "there is no {}"),
        ({"sentence": "{times"}, "write {{ for a brace"),
        ({"condition": ""}, "views needs either at_least or at_most or both, or equals"),
        ({"condition": 'equals = "many"'}, "views has no level 'many'; there are none"),
        ({"condition": "at_least = 3\nat_most = 2"}, "views can't be at least 3 and at most 2"),
        ({"condition": "at_least = 1\nat_leats = 2"}, "unknown field `at_leats`"),
        ({"condition": 'at_least = "2"'}, "Expected `float"),
        ({"feature": "traffic", "sentence": "x", "condition": 'equals = "fax"'}, "there are direct, search"),
        ({"feature": "traffic", "sentence": "x"}, "traffic is a level: use equals"),
        ({"condition": 'at_least = 1\nin = { retail = "x" }'}, "there is no industry 'retail'"),
    ],
)
def test_a_wrong_reason_is_named(tmp_path: Path, entry: dict[str, str], complaint: str) -> None:
    given = {"feature": "views", "condition": "at_least = 1", "sentence": "looked {times}", **entry}
    text = REASON
    for name, value in given.items():
        text = text.replace(f"{{{name}}}", value, 1)
    with pytest.raises(SettingsError, match=rf"scoring\.reasons: .*mine\.toml.*{re.escape(complaint)}"):
        with_(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[", "mine.toml: "),
        ('[[talking_point]]\nobjection = "x"\nsay = "y"\nindustries = ["retail"]', "there is no industry 'retail'"),
        ('[[talking_point]]\nobjection = "x"\nsay = "y"\nwhen = { luck = { at_least = 1 } }', "no feature 'luck'"),
        ('[[talking_point]]\nobjection = "x"\nsay = "y"\nwhen = { views = {} }', "views needs either"),
        ('[[talking_point]]\nobjection = "x"\nsay = "y"\nprice = "fair"', "Invalid enum value 'fair'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)):
        with_(tmp_path, f"\n{text}\n")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            'attention = ["dwell", "pace"]',
            'attention = ["dwell", "views"]',
            "feature views is in group comparing already",
        ),
        (
            'attention = ["dwell", "pace"]',
            'attention = ["dwell", "peace"]',
            "group attention: there is no feature 'peace'",
        ),
        ('1 = "the start of the checkout"', 'first = "the start"', "needed by number, from 1"),
        ("EUR = 500", "EUR = -1", "Expected `float` >= 0"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)):
        with_(tmp_path, new, instead_of=old)


def test_every_industry_needs_talking_points_for_any_cart(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    (tmp_path / "few.toml").write_text(text[: text.index("# For all.")], encoding="utf-8")
    with pytest.raises(SettingsError, match="industry other: 0 objections have a talking point without conditions"):
        load(tmp_path / "few.toml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml can't be read \(No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (times(0), "no times"),
        (times(1), "once"),
        (times(2), "twice"),
        (times(12), "twelve times"),
        (times(1300), "1,300 times"),
        (ordinal(2), "second"),
        (ordinal(13), "13th"),
        (ordinal(21), "21st"),
        (ordinal(111), "111th"),
        (count(1, "product", "products"), "one product"),
        (count(13, "product", "products"), "13 products"),
        (duration(0), "one minute"),
        (duration(89), "one minute"),
        (duration(5_399), "90 minutes"),
        (duration(5_400), "two hours"),
        (duration(86_400), "24 hours"),
        (duration(3 * 86_400), "three days"),
        (duration(400 * 86_400), "13 months"),
    ],
)
def test_numbers_are_said_as_people_do(said: str, expected: str) -> None:
    assert said == expected


def test_days_and_seconds_are_told_apart() -> None:
    nothing: dict[Any, Any] = {1: "x"}
    assert parse("{duration}", "days").say(3.0, "", nothing) == "Three days"
    assert parse("{duration}", "seconds").say(180.0, "", nothing) == "Three minutes"


def test_a_step_without_a_name_is_called_like_the_one_before() -> None:
    assert reasons({"checkout_step": 9}, {}) == ("Left at payment",)
