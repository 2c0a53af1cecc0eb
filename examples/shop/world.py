"""The shop behind the files: who likes what, and what they did in the first months of 2026.

Six tastes; a user has one and a half of them. Nothing here is messy yet: `make_shop.py` writes the
files, and makes the mess.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

#: Per taste: prefix of its skus, brands, designers, materials, things, search words.
TASTES = {
    "lighting": (
        "LUM", ("Lumen & Co", "Nordlys", "Halo Works"), ("Ada Kern", "Jun Ito"),
        ("brass", "opal glass"), ("lamp", "pendant", "lantern", "spotlight"),
        ("warm light", "reading lamp", "dimmable"),
    ),
    "ceramics": (
        "CAFÉ", ("Tonwerk", "Café Søren", "Kiln 9"), ("Marie Lefèvre", "Otto Brandt"),
        ("stoneware", "porcelain"), ("cup", "bowl", "teapot", "vase"),
        ("espresso cup", "hand thrown", "blue glaze"),
    ),
    "textiles": (
        "TEX", ("Weft", "Mañana Textil", "Loom & Sons"), ("Inés Ortega", "Ruth Ames"),
        ("linen", "wool"), ("blanket", "cushion", "curtain", "rug"),
        ("soft throw", "washable", "striped"),
    ),
    "furniture": (
        "MÖB", ("Möbelei", "Plank", "Sit Still"), ("Jürgen Voss", "Ada Kern"),
        ("oak", "ash"), ("chair", "table", "shelf", "stool"),
        ("small desk", "solid wood", "stackable"),
    ),
    "audio": (
        "AUD", ("Ohm Sweet Ohm", "Klang", "Decibel"), ("Vera Lind", "Jun Ito"),
        ("walnut", "aluminium"), ("speaker", "turntable", "radio", "headphones"),
        ("vinyl", "bluetooth speaker", "hifi"),
    ),
    "outdoor": (
        "OUT", ("Fjell", "Basecamp", "Drizzle"), ("Tove Dahl", "Ruth Ames"),
        ("canvas", "steel"), ("tent", "stove", "flask", "backpack"),
        ("light tent", "camping stove", "waterproof"),
    ),
}  # fmt: skip

TASTE_NAMES = tuple(TASTES)
_FIRST_NAMES = (
    "anna", "ben", "chloe", "dmitri", "elif", "farid", "greta", "hugo", "ines", "jürgen", "kofi",
    "lena", "mei", "noah", "olga", "pavel", "renée", "sara", "tom", "zoë",
)  # fmt: skip
_MOODS = ("Little", "Slow", "Morning", "North", "Quiet", "Round", "Second", "Tall", "Warm", "Wild")
COUNTRIES = ("DE", "FR", "NL", "AT", "ES", "DK")

_DAY_MS = 86_400_000
START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
DAYS = 90


@dataclass(frozen=True)
class Item:
    """One product; `taste` is a position in TASTE_NAMES, `since` a day from the start."""

    sku: str
    title: str
    taste: int
    brand: str
    designer: str
    material: str
    thing: str
    year: int
    price: float
    appeal: float
    since: int


@dataclass(frozen=True)
class User:
    """One customer; `tastes` are the chances of each taste, summing to 1."""

    id: str
    age: int
    country: str
    joined: date
    tastes: np.ndarray
    sessions: int


@dataclass(frozen=True)
class Event:
    """Something that a user did to an item, at so many milliseconds since 1970 UTC."""

    user: str
    item: str
    kind: str
    time: int
    session: str


@dataclass
class Shop:
    """Everything that is true of the shop."""

    items: list[Item]
    users: list[User]
    events: list[Event] = field(default_factory=list)

    def taste_of(self, user: User) -> int:
        """Gives a user's main taste."""
        return int(user.tastes.argmax())


def build_shop(rng: np.random.Generator, *, users: int = 300, items: int = 200) -> Shop:
    """Makes a shop of so many users and items, with three months of events."""
    shop = Shop(
        [make_item(number, rng) for number in range(items)],
        [make_user(number, rng) for number in range(users)],
    )
    for user in shop.users:
        for number in range(user.sessions):
            day = min(int(DAYS * rng.beta(1.1, 0.9)), DAYS - 1)
            shop.events += visit(shop, user, day, f"{user.id}/{number}", rng)
    shop.events.sort(key=lambda event: (event.time, event.user, event.item, event.kind))
    return shop


def make_item(number: int, rng: np.random.Generator) -> Item:
    """Makes the product of a number; its taste goes by the number."""
    taste = number % len(TASTE_NAMES)
    prefix, brands, designers, materials, things, _ = TASTES[TASTE_NAMES[taste]]
    thing, material = str(rng.choice(things)), str(rng.choice(materials))
    rank = number // len(TASTE_NAMES)
    return Item(
        sku=f"{prefix}-{number + 1:04d}",
        title=f"{rng.choice(_MOODS)} {material} {thing} No. {number + 1}",
        taste=taste,
        brand=str(rng.choice(brands)),
        designer=str(rng.choice(designers)),
        material=material,
        thing=thing,
        year=int(rng.integers(1998, 2026)),
        price=float(np.round(rng.lognormal(3.8, 0.7), 2)),
        appeal=float((rank + 1) ** -0.7),
        since=60 if number % 17 == 16 else 0,
    )


def make_user(number: int, rng: np.random.Generator) -> User:
    """Makes the customer of a number: one main taste, a second one, and a little of all."""
    main, second = rng.choice(len(TASTE_NAMES), 2, replace=False)
    tastes = np.full(len(TASTE_NAMES), 0.08 / len(TASTE_NAMES))
    tastes[main] += 0.72
    tastes[second] += 0.20
    joined = date.fromordinal(date(2024, 1, 1).toordinal() + int(rng.integers(0, 720)))
    return User(
        id=f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]}.{number + 1:03d}",
        age=int(np.clip(rng.normal(38, 12), 18, 80)),
        country=str(rng.choice(COUNTRIES, p=(0.4, 0.2, 0.15, 0.1, 0.1, 0.05))),
        joined=joined,
        tastes=tastes,
        sessions=int(np.clip(rng.lognormal(1.5, 0.5), 2, 25)),
    )


def visit(shop: Shop, user: User, day: int, session: str, rng: np.random.Generator) -> list[Event]:
    """Makes what a user does in one session: looks, and now and then more."""
    time = START_MS + day * _DAY_MS + int(rng.integers(6 * 3_600_000, 22 * 3_600_000))
    events = []
    for _ in range(int(rng.integers(1, 5))):
        item = choose(shop, user, day, rng)
        searched = rng.random() < 0.2
        kinds = ["search-click" if searched else "view"]
        if rng.random() < 0.52:
            kinds += ["cart"] + ["buy"] * bool(rng.random() < 0.8)
        elif rng.random() < 0.12:
            kinds.append("like")
        elif user.tastes[item.taste] < 0.1 and rng.random() < 0.5:
            kinds.append("dismiss")
        for kind in kinds:
            events.append(Event(user.id, item.sku, kind, time, session))
            time += int(rng.integers(4_000, 180_000))
    return events


def choose(shop: Shop, user: User, day: int, rng: np.random.Generator) -> Item:
    """Draws an item that is sold on a day, by the user's taste and the item's appeal."""
    taste = int(rng.choice(len(TASTE_NAMES), p=user.tastes))
    open_ = [item for item in shop.items if item.taste == taste and item.since <= day]
    weights = np.array([item.appeal for item in open_])
    return open_[int(rng.choice(len(open_), p=weights / weights.sum()))]
