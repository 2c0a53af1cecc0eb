"""What is known beside the interactions: a knowledge graph, friends, and a partner's catalogue."""

import itertools
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from files import messy_rows, write_csv
from world import COUNTRIES, START_MS, Shop

_DAY_MS = 86_400_000


def knowledge(out: Path, shop: Shop, rng: np.random.Generator) -> None:
    """Writes a knowledge graph with ids of its own, its names, and which sku is which entity."""
    names: dict[str, str] = {}

    def entity(kind: str, name: str) -> str:
        key = f"kg:{kind}/{unicodedata.normalize('NFD', name).encode('ascii', 'ignore').decode()}"
        key = key.lower().replace(" ", "-").replace("&", "and")
        names[key] = name
        return key

    triples: list[tuple[str, str, str]] = []
    link = []
    by_taste: dict[int, list[str]] = {}
    for number, item in enumerate(shop.items):
        if number % 11 == 10:
            continue  # the graph does not know every product
        key = entity("product", f"p{number + 1}")
        names[key] = item.title
        link.append((item.sku, key))
        brand = entity("brand", item.brand)
        triples += [
            (key, "shop.product.brand", brand),
            (key, "shop.product.material", entity("material", item.material)),
            # Mess: this one is written from the other end.
            (entity("designer", item.designer), "shop.designer.designed", key),
            (brand, "shop.brand.country", entity("country", COUNTRIES[len(item.brand) % 6])),
        ]
        own = by_taste.setdefault(item.taste, [])
        if own and rng.random() < 0.4:
            triples.append((key, "shop.product.goes_with", str(rng.choice(own))))
        own.append(key)
    # Mess: facts about companies that have nothing to do with any product here.
    triples += [
        (entity("company", a), "shop.company.owns", entity("company", b))
        for a, b in (("Big Box", "Small Box"), ("Small Box", "Tiny Box"))
    ]
    write_csv(out / "kg.tsv", ("head", "relation", "tail"), messy_rows(triples, rng), "\t")
    write_csv(out / "link.tsv", ("sku", "entity"), link, "\t")
    write_csv(out / "entities.csv", ("id", "name"), sorted(names.items()))


def friends(shop: Shop, rng: np.random.Generator) -> list[tuple[str, str, str]]:
    """Gives friendships; mostly people of one taste."""
    rows = []
    for user in shop.users:
        alike = [u for u in shop.users if shop.taste_of(u) == shop.taste_of(user) and u != user]
        for _ in range(int(rng.integers(0, 4))):
            pool = alike if rng.random() < 0.6 else [u for u in shop.users if u != user]
            other = pool[int(rng.integers(len(pool)))]
            rows.append((user.id, other.id, str(max(user.joined, other.joined))))
    return rows


def also_bought(shop: Shop) -> list[tuple[str, str, int]]:
    """Counts what was put into one cart in January, and not what came later."""
    baskets: dict[str, set[str]] = {}
    for event in shop.events:
        if event.kind == "cart" and event.time < START_MS + 31 * _DAY_MS:
            baskets.setdefault(event.session, set()).add(event.item)
    pairs = Counter(
        pair for basket in baskets.values() for pair in itertools.combinations(sorted(basket), 2)
    )
    return sorted((left, right, times) for (left, right), times in pairs.items())


def partner(out: Path, shop: Shop, rng: np.random.Generator) -> None:
    """Writes another shop's catalogue of some of the same products, and which they are."""
    rows, truth = [], []
    for number, place in enumerate(rng.choice(len(shop.items), 60, replace=False)):
        item, pid = shop.items[place], f"PX-{1001 + number}"
        ways = (
            item.title.lower(),
            f"{item.brand} {item.title}",
            item.title.replace("No. ", "#"),
            item.title.replace(item.thing, f"{item.thing}s", 1),
        )
        rows.append(
            (pid, ways[number % 4], item.brand.upper() if number % 3 == 0 else item.brand,
             item.year, f"{item.price * float(rng.uniform(0.95, 1.05)):.2f}")
        )  # fmt: skip
        truth.append((item.sku, pid))
    rows += [
        (f"PX-{1061 + number}", f"Partner's own {thing}", "PartnerHaus", 2024, "19.90")
        for number, thing in enumerate(("candle", "mirror", "clock", "tray", "hook"))
    ]
    write_csv(out / "partner-catalogue.csv", ("pid", "name", "maker", "year", "price_eur"), rows)
    write_csv(out / "partner-truth.csv", ("left", "right"), truth)
