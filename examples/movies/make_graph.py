"""Makes movies.cypher: a small graph of movies, people, genres and customers, as a shop has one.

    python examples/movies/make_graph.py --out movies.cypher --seed 0

Everything is generated. Customers like two genres and a few directors, so what they rated says what
they will rate. Names differ from kgrec's on purpose: nothing in it was made for kgrec.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

NUM_MOVIES, NUM_CUSTOMERS, NUM_DIRECTORS, NUM_ACTORS = 300, 400, 40, 120
GENRES = ("Comedy", "Crime", "Drama", "Science Fiction", "Thriller", "Western")
COUNTRIES = ("Denmark", "France", "Japan", "Kenya", "Mexico")
SYLLABLES = ("ba", "co", "da", "fe", "gi", "ho", "ka", "li", "mo", "na", "ra", "so", "ta", "vi")
FIRST = ("Ada", "Ben", "Chi", "Dora", "Emil", "Fay", "Goro", "Hana", "Ines", "Jon")
WORDS = ("River", "Night", "Garden", "Engine", "Harbour", "Winter", "Mirror", "Letter", "Orchard",
         "Signal", "Desert", "Station")  # fmt: skip
ADJECTIVES = ("Last", "Silent", "Golden", "Broken", "Distant", "Second", "Hidden", "Burning")
#: Rows a statement; a statement is a transaction.
BATCH = 2_000
FIRST_SECOND, LAST_SECOND = 1_640_995_200, 1_735_689_600  # the years 2022 to 2024


def statements(values: list[list[object]], then: str) -> list[str]:
    """Gives one statement a batch of rows.

    The rows are one text, which Neo4j takes apart: as lists of literals they would take it longer
    to read than to write.
    """
    found = []
    for start in range(0, len(values), BATCH):
        lines = "|\n".join(";".join(map(str, row)) for row in values[start : start + BATCH])
        found.append(
            f'UNWIND split("{lines}", "|\n") AS line\nWITH split(line, ";") AS row\n{then}'
        )
    return found


def person(rng: np.random.Generator) -> str:
    """Draws a name."""
    name = "".join(rng.choice(SYLLABLES, rng.integers(2, 4)))
    return f"{rng.choice(FIRST)} {name.capitalize()}"


def distinct(draw: Callable[[], str], count: int) -> list[str]:
    """Draws until there are so many different ones."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw()] = None
    return list(found)


def title(rng: np.random.Generator) -> str:
    """Draws a title."""
    words = f"{rng.choice(ADJECTIVES)} {rng.choice(WORDS)}"
    return f"The {words}" if rng.random() < 0.5 else f"{rng.choice(WORDS)} of the {words}"


def build(seed: int) -> list[str]:
    """Gives the statements of the graph."""
    rng = np.random.default_rng(seed)
    names = distinct(lambda: person(rng), NUM_DIRECTORS + NUM_ACTORS)
    directors, actors = names[:NUM_DIRECTORS], names[NUM_DIRECTORS:]
    genre_of_director = rng.integers(len(GENRES), size=NUM_DIRECTORS)
    of_movie = rng.integers(NUM_DIRECTORS, size=NUM_MOVIES)
    genre = np.where(rng.random(NUM_MOVIES) < 0.85, genre_of_director[of_movie],
                     rng.integers(len(GENRES), size=NUM_MOVIES))  # fmt: skip
    fame = rng.gamma(0.8, size=NUM_MOVIES)
    titles = distinct(lambda: title(rng), NUM_MOVIES)
    years = rng.integers(1985, 2025, size=NUM_MOVIES)
    movies = [[1001 + k, titles[k], int(years[k])] for k in range(NUM_MOVIES)]
    made = [[1001 + k, directors[of_movie[k]], GENRES[genre[k]], str(rng.choice(COUNTRIES))]
            for k in range(NUM_MOVIES)]  # fmt: skip
    cast = [[1001 + k, actors[a]] for k in range(NUM_MOVIES)
            for a in sorted(rng.choice(NUM_ACTORS, 3, replace=False))]  # fmt: skip
    customers, rated, viewed = [], [], []
    for number in range(NUM_CUSTOMERS):
        key = f"c{number:03d}"
        customers.append([key, int(rng.integers(18, 80))])
        liked = rng.choice(len(GENRES), 2, replace=False)
        taste = np.where(np.isin(genre, liked), 1.0, 0.06) * (0.3 + fame)
        seen = rng.choice(NUM_MOVIES, rng.integers(12, 30), replace=False, p=taste / taste.sum())
        times = np.sort(rng.integers(FIRST_SECOND, LAST_SECOND, size=len(seen)))
        for movie, time in zip(seen, times, strict=True):
            mean = 4.2 if genre[movie] in liked else 2.4
            stars = int(np.clip(round(rng.normal(mean, 0.8)), 1, 5))
            rated.append([key, 1001 + int(movie), stars, int(time)])
        for movie in rng.choice(NUM_MOVIES, 4, replace=False, p=taste / taste.sum()):
            viewed.append([key, 1001 + int(movie), int(rng.integers(FIRST_SECOND, LAST_SECOND))])
    return [
        "CREATE CONSTRAINT movie_id IF NOT EXISTS FOR (m:Movie) REQUIRE m.movieId IS UNIQUE",
        "CREATE CONSTRAINT customer_number IF NOT EXISTS "
        "FOR (c:Customer) REQUIRE c.number IS UNIQUE",
        *statements(
            movies,
            "MERGE (m:Movie {movieId: toInteger(row[0])})\n"
            "SET m.title = row[1], m.year = toInteger(row[2])",
        ),
        *statements([[name, int(rng.integers(1930, 2000))] for name in names],
                    "MERGE (p:Person {name: row[0]}) SET p.born = toInteger(row[1])"),
        *statements([[name] for name in GENRES], "MERGE (:Genre {name: row[0]})"),
        *statements([[name] for name in COUNTRIES], "MERGE (:Country {name: row[0]})"),
        *statements(customers, "MERGE (c:Customer {number: row[0]}) SET c.age = toInteger(row[1])"),
        *statements(
            made,
            "MATCH (m:Movie {movieId: toInteger(row[0])}), (p:Person {name: row[1]}),\n"
            "      (g:Genre {name: row[2]}), (c:Country {name: row[3]})\n"
            "MERGE (p)-[:DIRECTED]->(m) MERGE (m)-[:IN_GENRE]->(g) MERGE (m)-[:MADE_IN]->(c)",
        ),
        *statements(
            cast,
            "MATCH (m:Movie {movieId: toInteger(row[0])}), (p:Person {name: row[1]})\n"
            "MERGE (p)-[:ACTED_IN]->(m)",
        ),
        *statements(
            rated,
            "MATCH (c:Customer {number: row[0]}), (m:Movie {movieId: toInteger(row[1])})\n"
            "MERGE (c)-[r:RATED]->(m) SET r.stars = toInteger(row[2]), r.at = toInteger(row[3])",
        ),
        *statements(
            viewed,
            "MATCH (c:Customer {number: row[0]}), (m:Movie {movieId: toInteger(row[1])})\n"
            "MERGE (c)-[v:VIEWED]->(m) SET v.at = toInteger(row[2])",
        ),
    ]  # fmt: skip


def main() -> None:
    """Writes the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("movies.cypher"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head = "// Made by make_graph.py; all of it is generated. Loading it twice changes nothing.\n"
    options.out.write_text(head + ";\n".join(build(options.seed)) + ";\n", encoding="utf-8")


if __name__ == "__main__":
    main()
