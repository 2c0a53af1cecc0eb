"""Writes the files of a small made-up shop, as messy as real ones.

    python examples/shop/make_shop.py --out shop --seed 0

The same seed gives the same bytes. What is wrong with the files is said where it is done: search
for "Mess:". kgrec mends all of it; only `bad-rows/` holds rows that nobody can mend.
"""

import argparse
import shutil
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from files import messy_rows, with_mess, write_csv, write_events, write_lines
from knowledge import also_bought, friends, knowledge, partner
from world import (
    DAYS,
    START_MS,
    TASTE_NAMES,
    TASTES,
    Event,
    Item,
    Shop,
    User,
    build_shop,
    make_item,
    make_user,
    visit,
)

HERE = Path(__file__).parent
_BERLIN = ZoneInfo("Europe/Berlin")
_DAY_MS = 86_400_000


def make_shop(out: Path, seed: int = 0) -> None:
    """Writes everything into a folder, which is made."""
    rng = np.random.default_rng(seed)
    shop = build_shop(rng)
    for folder in (out, out / "day2", out / "bad-rows"):
        folder.mkdir(parents=True, exist_ok=True)
    write_events(out, with_mess(shop.events + crawlers(shop, rng), rng))
    rated = ratings(shop, rng)
    write_csv(out / "ratings.csv", ("user", "item", "rating", "time"), messy_rows(rated, rng))
    write_csv(out / "catalogue.csv", CATALOGUE, catalogue(shop, shop.items, "2026-03-31", rng))
    write_users(out / "users.parquet", shop.users, rng)
    knowledge(out, shop, rng)
    write_csv(out / "friends.csv", ("user", "friend", "since"), friends(shop, rng))
    write_csv(out / "also_bought.csv", ("sku", "also", "times"), also_bought(shop))
    write_lines(out / "reviews.jsonl", reviews(shop, rated, rng))
    write_lines(out / "searches.jsonl", searches(shop, rng))
    partner(out, shop, rng)
    second_day(out / "day2", shop, rng)
    bad_rows(out / "bad-rows", shop)
    for name, place in (("shop.toml", out), ("bad-rows.toml", out / "bad-rows")):
        if (HERE / name).resolve() != (place / name).resolve():
            shutil.copyfile(HERE / name, place / name)


# --- what people did -----------------------------------------------------------------------------


def crawlers(shop: Shop, rng: np.random.Generator) -> list[Event]:
    """Mess: three programs look at everything within a few hours."""
    events = []
    for number in range(3):
        start = START_MS + (20 + 25 * number) * _DAY_MS + 3_600_000
        for place in range(300):
            item = shop.items[int(rng.integers(len(shop.items)))].sku
            time = start + 40_000 * place
            events.append(Event(f"crawler-{number + 1}", item, "view", time, f"bot/{number}"))
    return events


def ratings(shop: Shop, rng: np.random.Generator) -> list[tuple[str, str, int, str]]:
    """Two in five purchases are rated some days later, by the clock on the wall in Berlin."""
    tastes = {user.id: user.tastes for user in shop.users}
    kinds = {item.sku: item.taste for item in shop.items}
    rows = []
    for event in shop.events:
        if event.kind != "buy" or rng.random() >= 0.4:
            continue
        liked = tastes[event.user][kinds[event.item]] > 0.15
        rating = int(np.clip(np.rint(rng.normal(4.3 if liked else 2.6, 0.8)), 1, 5))
        moment = datetime.fromtimestamp(event.time / 1000 + rng.integers(1, 6) * 86_400, UTC)
        here = moment.astimezone(_BERLIN).replace(microsecond=0)
        # Mess: few times say their zone.
        named = here if rng.random() < 0.05 else here.replace(tzinfo=None)
        rows.append((event.user, event.item, rating, named.isoformat()))
    return rows


def reviews(
    shop: Shop, rated: Sequence[tuple[str, str, int, str]], rng: np.random.Generator
) -> list[dict[str, object]]:
    """A third of the ratings come with a text."""
    things = {item.sku: item for item in shop.items}
    rows: list[dict[str, object]] = []
    for user, sku, rating, time in rated:
        if rng.random() >= 0.33:
            continue
        item = things[sku]
        said = (
            f"Love this {item.thing}, the {item.material} feels right."
            if rating >= 4
            else f"The {item.thing} is not what I hoped for; {item.material} looks cheap."
        )
        rows.append(
            {"id": f"r{len(rows) + 1}", "user": user, "item": {"sku": sku, "stars": rating},
             "text": said, "at": time}
        )  # fmt: skip
    return rows


def searches(shop: Shop, rng: np.random.Generator) -> list[dict[str, object]]:
    """What people had typed before they clicked."""
    things = {item.sku: item for item in shop.items}
    rows: list[dict[str, object]] = []
    for event in shop.events:
        if event.kind != "search-click":
            continue
        item = things[event.item]
        words = TASTES[TASTE_NAMES[item.taste]][5]
        query = str(rng.choice([*words, f"{item.material} {item.thing}"]))
        # Mess: people type as they like.
        query = f"  {query.upper()} " if rng.random() < 0.1 else query
        rows.append(
            {"user": event.user, "query": query, "clicked": event.item, "ts": event.time - 5_000}
        )
    return rows


# --- what is known of things and people ----------------------------------------------------------

CATALOGUE = (
    "sku", "title", "brand", "categories", "year", "price", "description", "sold_total", "updated",
)  # fmt: skip


def catalogue(
    shop: Shop, items: Sequence[Item], updated: str, rng: np.random.Generator
) -> list[tuple[object, ...]]:
    """Gives the catalogue's rows as they were on a day.

    `sold_total` was counted when the file was written, after everything that one would like to
    predict: the data card warns of it.
    """
    sold = Counter(event.item for event in shop.events if event.kind == "buy")
    rows: list[tuple[object, ...]] = []
    for item in items:
        chance = rng.random()
        title = unicodedata.normalize("NFD", item.title) if chance < 0.1 else item.title
        # Mess: prices and years are missing, and a description may have a line break and quotes.
        price = "" if rng.random() < 0.12 else f"{item.price:.2f}"
        year = "" if rng.random() < 0.05 else str(item.year)
        text = f'{item.title} by {item.designer}, made of {item.material}. "{item.brand}", 2 years'
        text += ",\nthen some." if chance > 0.9 else "."
        categories = f"{TASTE_NAMES[item.taste]}|{item.thing}|{item.material}"
        sku = f" {item.sku} " if chance < 0.03 else item.sku
        row = (sku, title, item.brand, categories, year, price, text, sold[item.sku], updated)
        rows += [row, row] if chance < 0.02 else [row]  # Mess: rows are there twice.
    return rows


def write_users(path: Path, users: Sequence[User], rng: np.random.Generator) -> None:
    """Writes the customers; not everybody tells their age."""
    pq.write_table(
        pa.table(
            {
                "id": pa.array([user.id for user in users]),
                "age": pa.array([None if rng.random() < 0.2 else u.age for u in users], pa.int32()),
                "country": pa.array([user.country for user in users]),
                "joined": pa.array([user.joined for user in users], pa.date32()),
            }
        ),
        path,
    )


# --- what comes later, and what is broken --------------------------------------------------------


def second_day(out: Path, shop: Shop, rng: np.random.Generator) -> None:
    """Writes the next delivery: new users, items and events, some sent again, some taken back."""
    items = [make_item(len(shop.items) + number, rng) for number in range(4)]
    users = [make_user(len(shop.users) + number, rng) for number in range(5)]
    for place, user in enumerate(users):
        users[place] = User(
            user.id, user.age, user.country, date(2026, 4, 1), user.tastes, user.sessions
        )
    grown = Shop(shop.items + items, shop.users + users, shop.events)
    regulars = [shop.users[int(place)] for place in rng.choice(len(shop.users), 60, replace=False)]
    events = [
        event
        for user in [*users, *regulars]
        for event in visit(grown, user, DAYS, f"{user.id}/apr", rng)
    ]
    again = [shop.events[-1 - place] for place in range(40)]
    back = [event for event in shop.events if event.kind == "buy"][-6:]
    rows = with_mess(sorted([*again, *events], key=lambda event: event.time), rng)
    rows += [
        {"ts": e.time, "uid": e.user, "sku": e.item, "event": e.kind, "session": e.session,
         "deleted": True}
        for e in back
    ]  # fmt: skip
    write_lines(out / "events-2026-04.jsonl.gz", rows)
    dearer = [
        Item(**{**vars(item), "price": round(item.price * 1.1, 2)}) for item in shop.items[:3]
    ]
    write_csv(
        out / "catalogue-2026-04.csv",
        CATALOGUE,
        catalogue(grown, [*dearer, *items], "2026-04-01", rng),
    )
    write_users(out / "users-2026-04.parquet", users, rng)


def bad_rows(out: Path, shop: Shop) -> None:
    """Writes ratings of which four rows cannot be used."""
    user, other = shop.users[0].id, shop.users[1].id
    skus = [item.sku for item in shop.items]
    good = [(user, sku, 4, f"2026-02-0{day + 1}T10:00:00") for day, sku in enumerate(skus[:6])]
    good += [(other, sku, 5, f"2026-02-1{day}T10:00:00") for day, sku in enumerate(skus[3:9])]
    bad = [
        (user, skus[6], 3, "yesterday"),
        ("", skus[7], 5, "2026-02-08T10:00:00"),
        (other, skus[1], "inf", "2026-02-20T10:00:00"),
        (other, skus[2], "4,5", "2026-02-21T10:00:00"),
    ]
    rows: list[Sequence[object]] = [*good[:4], bad[0], *good[4:8], *bad[1:3], *good[8:], bad[3]]
    write_csv(out / "ratings.csv", ("user", "item", "rating", "time"), rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the files of a made-up shop.")
    parser.add_argument("--out", type=Path, default=Path("shop"), help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another shop")
    given = parser.parse_args()
    make_shop(given.out, given.seed)
    print(f"wrote {given.out}; next: kgrec check --config {given.out / 'shop.toml'}")
