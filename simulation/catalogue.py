"""What the simulated shop sells."""

from dataclasses import dataclass
from itertools import accumulate

from ringback.records import Item

# Dollars in whole currency units; a price list, not an exchange rate.
PRICE_FACTOR = {"USD": 1.0, "GBP": 0.8, "EUR": 0.92, "CAD": 1.36}
CURRENCY = {"US": "USD", "GB": "GBP", "CA": "CAD", "FR": "EUR", "DE": "EUR"}

_DOLLARS: dict[str, dict[str, int]] = {
    "camping": {"Two-person tent": 240, "Sleeping bag": 120, "Gas stove": 65, "Head torch": 38, "Cool box": 85},
    "footwear": {"Walking boots": 155, "Trail shoes": 110, "Sandals": 55, "Wellingtons": 60, "Gaiters": 34},
    "clothing": {"Rain jacket": 180, "Down vest": 140, "Fleece": 70, "Base layer": 45, "Wool socks": 18},
    "cycling": {"City bicycle": 690, "Helmet": 80, "Pannier bag": 75, "Floor pump": 42, "Lock": 58},
    "kitchen": {"Espresso machine": 460, "Stand mixer": 380, "Chef's knife": 95, "Cast-iron pan": 60, "Kettle": 48},
    "audio": {"Headphones": 210, "Loudspeaker": 320, "Turntable": 270, "Earbuds": 90, "Cable set": 22},
    "home": {"Desk lamp": 75, "Wool blanket": 110, "Office chair": 340, "Bookshelf": 190, "Storage box": 26},
    "garden": {"Lawn mower": 420, "Hedge shears": 50, "Watering can": 28, "Parasol": 130, "Raised bed": 115},
    "beauty": {"Hair dryer": 130, "Face serum": 62, "Eau de parfum": 98, "Massage gun": 165, "Hand cream": 19},
}
_VARIANTS = {"classic": 1.0, "light": 1.25, "pro": 1.7}
_BRANDS = ("Alder", "Brightwater", "Copse", "Dunlin", "Everholt", "Fernway")


@dataclass(frozen=True, slots=True)
class Product:
    """A product; ``dollars`` is its price in the United States."""

    product_id: str
    title: str
    category: str
    brand: str
    dollars: float

    def item(self, currency: str, quantity: int = 1) -> Item:
        """A line of a cart, at the price of a currency: whole units less five cents."""
        return Item(
            product_id=self.product_id,
            quantity=quantity,
            unit_price=round(self.dollars * PRICE_FACTOR[currency]) * 100 - 5,
            category=self.category,
            brand=self.brand,
            title=self.title,
        )


def _products() -> tuple[Product, ...]:
    found: list[Product] = []
    for category, nouns in _DOLLARS.items():
        for noun, dollars in nouns.items():
            for variant, factor in _VARIANTS.items():
                number = len(found)
                found.append(
                    Product(
                        product_id=f"p{number:03d}",
                        title=f"{noun}, {variant}",
                        category=category,
                        brand=_BRANDS[number % len(_BRANDS)],
                        dollars=dollars * factor,
                    )
                )
    return tuple(found)


PRODUCTS = _products()
BY_ID = {product.product_id: product for product in PRODUCTS}
BY_CATEGORY = {
    category: tuple(product for product in PRODUCTS if product.category == category) for category in _DOLLARS
}
# Cheap things are looked at more often than dear ones.
POPULARITY = tuple(accumulate(product.dollars**-0.3 for product in PRODUCTS))
