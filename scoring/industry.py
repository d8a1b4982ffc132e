"""What kind of goods a basket holds, by the words with which its shop names their categories. Pure.

Categories come as paths of any form (``electronics.smartphone``, ``Home & Garden > Lighting``, ``women/shoes``), from
the widest to the narrowest, in English. The first part of the path that says something decides, and in it the last
word: a computer desk is a desk. Where the category says nothing, the product's title does.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from ringback.records import Item
from scoring.words import table, words

LONGEST = 200
OTHER = "other"
INDUSTRIES = ("electronics", "home_improvement", "beauty_wellness", "dtc_lifestyle", OTHER)

# Top levels of Google's product taxonomy, of REES46's category codes, and what shops usually write instead of them.
WORDS = {
    "electronics": """
        electronics computer laptop notebook desktop tablet phone smartphone telephone mobile cellphone audio headphone
        headset earphone earbud loudspeaker speaker soundbar turntable hifi stereo camera photo photography lens video
        tv television projector monitor printer scanner keyboard router networking ssd cpu gpu console gaming
        gamer playstation xbox nintendo wearable smartwatch drone gadget software charger battery
    """,
    "home_improvement": """
        appliance furniture furnishing kitchen kitchenware cookware dining tableware bedding bedroom bathroom bath decor
        lighting lamp garden gardening yard lawn patio parasol construction hardware tool diy building plumbing
        faucet toilet flooring tile carpet rug curtain paint sofa couch bed mattress pillow blanket chair table desk
        shelf bookshelf wardrobe cabinet household houseware refrigerator fridge freezer washer dishwasher oven
        microwave vacuum machine kettle mixer blender espresso grill heater conditioner
    """,
    "beauty_wellness": """
        beauty cosmetic makeup skincare skin haircare hair fragrance perfume cologne nail lipstick mascara cream serum
        shampoo soap personal grooming shaving spa wellness health healthcare medicine medical pharmacy vitamin
        supplement nutrition protein massage aromatherapy sunscreen
    """,
    "dtc_lifestyle": """
        apparel clothing clothes fashion women woman men man dress skirt shirt tshirt tee blouse jeans trousers pants
        shorts jacket coat vest fleece hoodie sweater knitwear suit sock underwear lingerie swimwear activewear shoe
        footwear sneaker boot sandal jewelry jewellery necklace earring bracelet ring watch bag handbag backpack wallet
        luggage suitcase sunglasses eyewear hat scarf glove belt umbrella sport sporting fitness yoga cycling bicycle
        bike helmet camping tent outdoor hiking ski snowboard skate toy doll game puzzle kid baby toddler infant pet dog
        cat gift candle
    """,
    OTHER: """
        auto automotive car vehicle motorcycle tyre tire food grocery beverage drink wine coffee tea book ebook magazine
        stationery office industrial business service ticket voucher
    """,
}
# Words that decide only where no other does: nearly everything has accessories, and a path often begins at home.
WEAK_WORDS = {
    "home_improvement": "home house living",
    "beauty_wellness": "care body face",
    "dtc_lifestyle": "accessory accessories lifestyle",
}
STRONG, WEAK = table(WORDS), table(WEAK_WORDS)
_PART = re.compile(r"[.>/|:»\\]+")


def basket(lines: Iterable[Item]) -> str | None:
    """The industry of most of a basket's value, one of `INDUSTRIES`; None where no line tells its own.

    Lines without a price count by their pieces, far less than any price. Of equals the first line's holds.
    """
    held: dict[str, float] = {}
    for line in lines:
        found = industry(line.category, line.title)
        if found is not None:
            held[found] = held.get(found, 0.0) + line.quantity * (line.unit_price or 1e-3)
    return max(held, key=held.__getitem__, default=None)


def industry(category: str | None, title: str | None = None) -> str | None:
    """The industry of a product, one of `INDUSTRIES`; `OTHER` where the category is none that is known here.

    None where there is neither a category in words nor a telling title.
    """
    return _industry((category or "")[:LONGEST], (title or "")[:LONGEST])


@lru_cache(maxsize=8192)
def _industry(category: str, title: str) -> str | None:
    parts = [found for part in _PART.split(category) if (found := words(part))]
    for known in (STRONG, WEAK):
        for part in parts:
            for word in reversed(part):
                if word in known:
                    return known[word]
    for word in reversed(words(title)):
        if word in STRONG:
            return STRONG[word]
    return OTHER if parts else None
