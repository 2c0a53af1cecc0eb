"""Makes what is beside it, with kgrec 0.1: `python make.py FOLDER`, in an empty folder.

The shop has two groups of taste, sea and space. Even users buy even items, odd users odd ones; four
items and four users have no interaction, so that the run has completions for both. All parts weigh
something, so that the run holds every kind of scorer.
"""
# ruff: noqa: I001 - rooms that are gone since do not sort as kgrec's

import json
import shutil
import sys
from pathlib import Path

import numpy as np

from kgrec.config import Config
from kgrec.graph.fetch import fetch_graph
from kgrec.model.fusion import Fusion
from kgrec.recommend import Recommender
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.training import fit as fit_module
from kgrec.training.directory import Run, load_run
from kgrec.training.run import train
from kgrec.updates import update
from kgrec.upkeep.refresh import refresh

NUM_USERS, NUM_ITEMS, NUM_COLD, OWN = 44, 30, 4, 10

SETTINGS = """\
# As version 0.1 read it.
[store]
uri = "embedded:graph.kgl"

[text]
enabled = false

[model]
channels = 8

[training]
epochs = 3

[closed_form]
search_items = 30
search_steps = 4

[factors]
dimensions = 4

[cold]
keep_warm = 0.9

[augment]
source = "popularity"
use = "positives"
weights = "equal"
at_most = 7

[augment.gan]
loss = "wasserstein"

[data]
split = { kind = "temporal_user", valid = 0.1, test = 0.1 }

[data.behaviours.buy]

[data.behaviours.view]
role = "evidence"

[data.behaviours.dismiss]
role = "negative"

[[data.sources]]
name = "events"
kind = "interactions"
path = "events-*.csv"

[[data.sources]]
name = "people"
kind = "users"
path = "people.csv"
properties = { team = { as = "attribute", relation = "in_team" } }

[[data.sources]]
name = "catalogue"
kind = "items"
path = "items.csv"
properties = { genre = { as = "attribute", relation = "genre" } }
"""

#: A day later: more of known users and items, a new user, a new item.
DELIVERY = """\
user,item,behaviour,time
u0,i1,buy,90000
u1,i2,buy,90010
nova,i1,buy,90020
nova,i3,buy,90030
nova,i5,buy,90040
u4,novelty,buy,90050
u6,novelty,buy,90060
"""


def write_shop(folder: Path) -> None:
    rng = np.random.default_rng(1)
    events = ["user,item,behaviour,time"]
    for user in range(NUM_USERS):
        own, other = (np.arange((user + n) % 2, NUM_ITEMS, 2) for n in (0, 1))
        items = [*rng.choice(own, OWN if user % 4 else 6, replace=False), *rng.choice(other, 1)]
        events += [f"u{user},i{item},buy,{100 * user + 10 + n}" for n, item in enumerate(items)]
        events.append(f"u{user},i{rng.choice(own)},view,{100 * user}")
        events.append(f"u{user},i{rng.choice(other)},dismiss,{100 * user + 1}")
    team = ["id,team", *(f"u{n},{('sea', 'space')[n % 2]}" for n in range(NUM_USERS + NUM_COLD))]
    items = ["id,title,genre"]
    for n in range(NUM_ITEMS + NUM_COLD):
        group = ("sea", "space")[n % 2]
        items.append(f"i{n},The {group.title()} {n},{group} {n // 2 % 2}")
    for name, lines in (("events-1.csv", events), ("people.csv", team), ("items.csv", items)):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "shop.toml").write_text(SETTINGS, encoding="utf-8")


def answers(config: Config, run: Run) -> dict[str, list[list[object]]]:
    with open_store(config.store, read_only=True) as store:
        served = Recommender(run, store)
        return {
            user: [[place.item_id, place.score] for place in served.recommend(user, 10)]
            for user in run.vocabularies[NodeLabel.USER].ids
        }


def equal_weights(parts, task):
    del task
    return Fusion(parts, dict.fromkeys(parts, 1.0), {"closed_form": 0.5}), 0.5


def main(folder: Path) -> None:
    write_shop(folder)
    config = Config.load(folder / "shop.toml")
    update(config)
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    fit_module.search_fusion = equal_weights
    run = train(config, graph, folder / "run", progress=False)
    shutil.rmtree(run.directory / "tensorboard")
    for picture in run.directory.glob("*.png"):
        picture.unlink()
    before = answers(config, run)
    later = folder / "later"
    later.mkdir()
    for path in [x for x in folder.iterdir() if x != later]:
        (shutil.copytree if path.is_dir() else shutil.copy)(path, later / path.name)
    (later / "events-2.csv").write_text(DELIVERY, encoding="utf-8")
    config = Config.load(later / "shop.toml")
    update(config)
    with open_store(config.store, read_only=True) as store:
        refresh(load_run(later / "run"), store)
    refreshed = load_run(later / "run")
    after = answers(config, refreshed)
    shutil.rmtree(later)
    (folder / "events-2.csv").write_text(DELIVERY, encoding="utf-8")
    version = refreshed.record["graph_version"]
    text = json.dumps({"before": before, "after": after, "version after": version}, indent=1)
    (folder / "answers.json").write_text(text + "\n", encoding="utf-8")
    for lock in folder.rglob("*.lock*"):
        lock.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
