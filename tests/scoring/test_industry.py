"""Categories in the words of shops, public logs and Google's taxonomy, and what a basket is by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.records import Item
from scoring.industry import INDUSTRIES, OTHER, STRONG, WEAK, basket, industry
from simulation.catalogue import PRODUCTS


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("electronics.smartphone", "electronics"),
        ("computers.peripherals.printer", "electronics"),
        ("appliances.kitchen.refrigerators", "home_improvement"),
        ("construction.tools.drill", "home_improvement"),
        ("furniture.living_room.sofa", "home_improvement"),
        ("medicine.tools.tonometer", "beauty_wellness"),
        ("apparel.shoes.keds", "dtc_lifestyle"),
        ("kids.toys", "dtc_lifestyle"),
        ("auto.accessories.player", OTHER),
        ("Home & Garden > Lighting > Lamps", "home_improvement"),
        ("Health & Beauty > Personal Care > Cosmetics", "beauty_wellness"),
        ("Apparel & Accessories > Jewelry", "dtc_lifestyle"),
        ("Vehicles & Parts > Vehicle Parts & Accessories", OTHER),
        ("Home > Electronics > Headphones", "electronics"),
        ("Women/Shoes/Boots", "dtc_lifestyle"),
        ("Computer desks", "home_improvement"),
        ("Car care", OTHER),
        ("Skin care", "beauty_wellness"),
        ("home", "home_improvement"),
        ("Sammlerstücke", OTHER),
    ],
)
def test_the_words_of_a_category_tell_its_industry(category: str, expected: str) -> None:
    assert industry(category) == expected


@pytest.mark.parametrize("category", [None, "", "2053013555631882655", " > "])
def test_a_category_without_words_tells_nothing_but_a_title_may(category: str | None) -> None:
    assert industry(category) is None
    assert industry(category, "Trail running shoes") == "dtc_lifestyle"
    assert industry(category, "Model 5") is None


def test_a_title_helps_where_the_category_says_nothing() -> None:
    assert industry("New arrivals", "Face serum and cream") == "beauty_wellness"
    assert industry("electronics", "Skin cream") == "electronics"


def test_a_basket_is_what_most_of_its_value_is() -> None:
    phone, socks, what = (
        Item(product_id="p", unit_price=50_000, category="electronics.smartphone"),
        Item(product_id="s", unit_price=900, quantity=10, category="apparel.socks"),
        Item(product_id="w", unit_price=90_000, category="2053"),
    )
    assert basket([socks, phone, what]) == "electronics"
    assert basket([socks]) == "dtc_lifestyle"
    assert basket([what]) is None
    assert basket([]) is None


def test_without_prices_pieces_count_and_of_equals_the_first() -> None:
    phone, socks = Item(product_id="p", category="phones"), Item(product_id="s", quantity=2, category="socks")
    assert basket([phone, socks]) == "dtc_lifestyle"
    assert basket([phone, Item(product_id="s", category="socks")]) == "electronics"


def test_every_word_belongs_to_one_industry() -> None:
    assert set(STRONG.values()) == set(INDUSTRIES)
    assert not set(STRONG) & set(WEAK)


def test_the_simulated_shop_sells_something_of_each_industry() -> None:
    assert {industry(product.category) for product in PRODUCTS} == set(INDUSTRIES) - {OTHER}


@given(st.none() | st.text(), st.none() | st.text())
def test_any_text_has_an_industry_or_none(category: str | None, title: str | None) -> None:
    assert industry(category, title) in {*INDUSTRIES, None}
