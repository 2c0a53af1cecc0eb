"""A data set small enough to train on in a second, in which the right answer is visible by eye.

60 users and 40 items in two groups of taste, sea and space. A user of a group has 12 of its 20
items, and one of the other. Each item is of one genre of its group, is directed by one of its
group's directors, and even ones have a sequel. `.` and `'` occur in names on purpose.
"""

from pathlib import Path

import numpy as np

NUM_USERS, NUM_ITEMS, GROUPS = 60, 40, ("sea", "space")
_DIRECTORS = {"sea": ("Ada Brine", "J. O'Shore", "Marie Reef"), "space": ("Lem Orbit", "Vera Nova")}

CONFIG = """\
seed = {seed}

[store]
uri = "embedded:graph.kgl"

[data]
interactions = "interactions.tsv"
items = "items.tsv"
triples = "triples.tsv"
entities = "entities.tsv"

[text]
enabled = false

[model]
channels = 16

[training]
epochs = 4
learning_rate = 0.05
ensemble = 1

[closed_form]
search_items = 40
search_steps = 6

[user_side]
enabled = false

[factors]
enabled = false
"""


def group_of(item_or_user: str) -> str:
    """The group of an id: even numbers are sea, odd ones space."""
    return GROUPS[int(item_or_user[1:]) % 2]


def build_tiny(folder: Path, seed: int = 0) -> Path:
    """Writes the files and their settings into a folder; gives the settings' path."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    items = [f"i{number}" for number in range(NUM_ITEMS)]
    rows = ["user\titem\trating\ttime"]
    for number in range(NUM_USERS):
        own = [item for item in items if group_of(item) == group_of(f"u{number}")]
        other = [item for item in items if item not in own]
        chosen = [*rng.choice(own, 12, replace=False), rng.choice(other)]
        rows += [
            f"u{number}\t{item}\t{5 if item in own else 2}\t{1_000_000 + 100 * number + place}"
            for place, item in enumerate(chosen)
        ]
    _write(folder / "interactions.tsv", rows)
    _write(
        folder / "items.tsv",
        [
            "item_id\ttitle\tyear",
            *(f"{i}\tThe {group_of(i)} {i[1:]}\t{1960 + int(i[1:])}" for i in items),
        ],
    )
    _write(folder / "triples.tsv", ["head\trelation\ttail", *_facts(items)])
    names = [f"genre_{group}\t{group} story" for group in GROUPS]
    names += [f"{_id(name)}\t{name}" for group in GROUPS for name in _DIRECTORS[group]]
    _write(folder / "entities.tsv", ["entity_id\tname", *names])
    config = folder / "tiny.toml"
    config.write_text(CONFIG.format(seed=seed), encoding="utf-8")
    return config


def _facts(items: list[str]) -> list[str]:
    facts = []
    for number, item in enumerate(items):
        group = group_of(item)
        director = _DIRECTORS[group][number // 2 % len(_DIRECTORS[group])]
        facts += [f"{item}\tgenre\tgenre_{group}", f"{item}\tdirected_by\t{_id(director)}"]
        if number % 4 == 0:
            facts.append(f"{item}\tsequel\ti{number + 2}")
    return facts


def _id(name: str) -> str:
    return "person_" + name.split()[-1].lower().replace("'", "")


def _write(path: Path, rows: list[str]) -> None:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
