"""Attacks, who looks made up, what the defence sets aside, and the table of all that."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import behaviour, history_of, make_graph

from kgrec.bench.attacks import Attack, attacked, with_noise
from kgrec.bench.pages import robustness_page
from kgrec.bench.robustness import _cases, exposure, run_robustness
from kgrec.config import Config, DefenceConfig
from kgrec.config.bench import BenchAttacksConfig, read_bench
from kgrec.errors import ConfigError, DataError
from kgrec.graph.data import GraphData
from kgrec.model.incidence import Incidence
from kgrec.model.item_to_item import Ease
from kgrec.model.suspicion import HistoryCore, alikeness, explain_users
from kgrec.schema import NodeLabel, Split
from kgrec.training.defence import _excess, _reach, _signs, defended, suspects
from kgrec.training.fit import fit

USERS, ITEMS = 600, 200


def communities(seed: int = 0) -> list[tuple[int, int]]:
    """600 users in four groups of taste, 12 of 200 items each, popularity falling off."""
    rng = np.random.default_rng(seed)
    pairs = []
    for user in range(USERS):
        items = np.arange(ITEMS)
        weight = 1 / (5 + items) * np.where(items % 4 == user % 4, 1.0, 0.05)
        chosen = rng.choice(ITEMS, 12, replace=False, p=weight / weight.sum())
        pairs += [(user, int(item)) for item in chosen]
    return pairs


def config_of(**sections: Any) -> Config:
    given: dict[str, Any] = {"data": {"train": "t.tsv"}, "store": {"uri": "embedded:g.kgl"}}
    return Config.build({**given, **sections}, base=Path(), source="a test")


@pytest.fixture(scope="module")
def clean() -> GraphData:
    pairs = communities()
    valid = [pair for number, pair in enumerate(pairs) if number % 12 == 3]
    test = [pair for number, pair in enumerate(pairs) if number % 12 == 7]
    train = [pair for number, pair in enumerate(pairs) if number % 12 not in (3, 7)]
    return make_graph((USERS, ITEMS, 0), train, valid=valid, test=test)


# --- who looks made up ---------------------------------------------------------------------------


def test_a_user_is_asked_of_a_model_that_never_saw_the_user(clean: GraphData) -> None:
    history = history_of(clean)
    judged = HistoryCore.of(history)
    assert judged.users.tolist() == list(range(USERS))
    assert judged.items.tolist() == list(range(ITEMS))  # so the two have one numbering
    found = explain_users(judged, ridge=20.0)
    user = 7
    # The slow way: fitted again without the user, asked item by item with that item left out.
    others = torch.nonzero(history.rows != user).squeeze(1)
    weights = Ease.fit(
        Incidence.from_pairs(history.rows[others], history.columns[others], USERS, ITEMS),
        ridge=20.0,
    ).weights.double()
    x = torch.zeros(ITEMS, dtype=torch.float64)
    own = history.row(user)
    x[own] = 1.0
    scores = x @ weights  # B's diagonal is 0: an own item's score is of the others alone
    unseen = scores[x == 0]
    place = torch.stack([(unseen < scores[item]).double().mean() for item in own])
    assert float(found.place[user]) == pytest.approx(float(place.mean()), abs=1e-4)
    error = place.std() / len(own) ** 0.5
    assert float(found.place_error[user]) == pytest.approx(float(error), abs=1e-4)


def test_who_and_what_cannot_be_judged() -> None:
    # Item 3 is user 2's alone; without it user 2 has one item, as user 0 has.
    pairs = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 3), (3, 0), (3, 1), (3, 2), (1, 2)]
    judged = HistoryCore.of(history_of(make_graph((5, 5, 0), pairs)))
    assert judged.users.tolist() == [1, 3]
    assert judged.items.tolist() == [0, 1, 2]
    assert judged.owners.tolist() == [3, 3, 2]
    assert judged.history.columns.tolist() == [0, 1, 2, 0, 1, 2]
    found = suspects(history_of(make_graph((3, 3, 0), [(0, 0), (1, 1)])), DefenceConfig())
    assert (found.suspicion.tolist(), found.users.tolist()) == ([0.0] * 3, [])


def test_users_of_one_item_count_for_its_popularity_alone() -> None:
    pairs = [(u, i) for u in range(6) for i in range(4) if (u + i) % 3]
    history = history_of(make_graph((6, 4, 0), pairs))
    more = history_of(make_graph((26, 4, 0), [*pairs, *((u, 0) for u in range(6, 26))]))
    alone, beside = HistoryCore.of(history), HistoryCore.of(more)
    assert beside.users.tolist() == alone.users.tolist()
    assert (beside.owners - alone.owners).tolist() == [20, 0, 0, 0]
    # Twenty more who have item 0, and nothing beside it, lower what it says of the others.
    gram = beside.history.gram(dtype=torch.float64)
    gram.diagonal().add_(5.0)
    gram[0, 0] += 20
    user, x = 1, beside.history.dense(torch.float64)[1]
    weights = torch.linalg.inv(gram - torch.outer(x, x))
    scores = x @ (torch.eye(4, dtype=torch.float64) - weights / weights.diagonal())
    unseen = scores[x == 0]
    place = [(unseen < score).double().mean() for score in scores[x > 0]]
    found = explain_users(beside, ridge=5.0)
    assert float(found.place[user]) == pytest.approx(float(torch.stack(place).mean()))


def test_alikeness_by_hand() -> None:
    graph = make_graph((4, 6, 0), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2), (2, 3), (2, 4)])
    one = alikeness(history_of(graph), neighbours=1, shrink=0.0)
    shared = 1 / (2 * 4) ** 0.5  # one common item, two and four items
    assert one.tolist() == pytest.approx([1.0, 1.0, shared, 0.0])
    two = alikeness(history_of(graph), neighbours=2, shrink=0.0)
    assert two.tolist() == pytest.approx([(1 + shared) / 2, (1 + shared) / 2, shared, 0.0])
    # Three more items each that nobody shares.
    shrunk = alikeness(history_of(graph), neighbours=1, shrink=3.0)
    assert shrunk.tolist() == pytest.approx([2 / 5, 2 / 5, 1 / (5 * 7) ** 0.5, 0.0])


def test_how_far_down_the_made_up_reach_by_hand() -> None:
    # Twenty fakes among the first half of all users, four real ones anywhere: one in the last
    # quarter, so with one more 0.8 are expected a tenth, and 1.6 would be half made up.
    places = [0.99 - 0.025 * n for n in range(20)] + [0.9, 0.7, 0.4, 0.1]
    assert _reach(np.array(places), 0.1) == pytest.approx(0.5)
    assert _reach(np.array(places), 0.2) == pytest.approx(0.5)
    # Forty fakes anywhere above the last quarter are followed to its edge, never into it.
    assert _reach(np.linspace(0.99, 0.26, 40), 0.4) == pytest.approx(0.7)
    # Real users alone, four in the last quarter: the first tenth is all that was flagged.
    assert _reach((np.arange(16) + 0.5) / 16, 0.1) == pytest.approx(0.1)


# --- attacks -------------------------------------------------------------------------------------


def test_fake_users_stand_behind_the_real_ones(clean: GraphData) -> None:
    popularity = np.bincount(clean.train.item_index, minlength=ITEMS)
    target = int(np.flatnonzero(popularity >= 3)[-1])
    for kind in ("random", "average", "bandwagon"):
        graph = attacked(clean, Attack(kind, 0.025, 15), target, seed=1)
        assert graph.num_users == USERS + 15
        assert graph.vocabularies[NodeLabel.USER].ids[:USERS] == (
            clean.vocabularies[NodeLabel.USER].ids
        )
        assert len(graph.properties[NodeLabel.USER]) == USERS + 15
        fake = graph.train.user_index >= USERS
        assert (~fake).sum() == len(clean.train)
        profiles = [graph.train.item_index[graph.train.user_index == USERS + n] for n in range(15)]
        assert all(len(set(items)) == 15 and target in items for items in profiles)
        top = set(np.argsort(-popularity, kind="stable")[:10].tolist())
        shared = set.intersection(*(set(items.tolist()) for items in profiles))
        assert (shared >= top) == (kind == "bandwagon")
        mean = popularity[graph.train.item_index[fake]].mean()
        if kind == "average":
            assert mean > popularity.mean() * 1.2
        again = attacked(clean, Attack(kind, 0.025, 15), target, seed=1)
        assert np.array_equal(again.train.item_index, graph.train.item_index)


def test_clones_have_all_but_the_target(clean: GraphData) -> None:
    target = 0
    graph = attacked(clean, Attack("clones", 0.03, 99), target, seed=0)
    real = {
        frozenset(clean.train.item_index[clean.train.user_index == u].tolist())
        for u in np.unique(clean.train.user_index[clean.train.item_index == target])
    }
    for number in range(9):
        items = set(graph.train.item_index[graph.train.user_index == USERS + number].tolist())
        assert frozenset(items | {target}) in real
        assert target not in items
    lonely = make_graph((2, 3, 0), [(0, 0)])
    with pytest.raises(DataError, match="no users to clone"):
        attacked(lonely, Attack("clones", 0.5, 2), 2, seed=0)


def test_noise_adds_pairs_that_nobody_has(clean: GraphData) -> None:
    noisy = with_noise(clean, 0.1, seed=3)
    assert len(noisy.train) == len(clean.train) + round(0.1 * len(clean.train))
    keys = noisy.train.user_index * ITEMS + noisy.train.item_index
    assert len(np.unique(keys)) == len(keys)
    for split in (Split.VALID, Split.TEST):
        part = clean.held_out[split]
        assert not np.isin(part.user_index * ITEMS + part.item_index, keys).any()
    assert noisy.num_users == USERS


def test_exposure_by_hand() -> None:
    graph = make_graph((3, 30, 0), [(0, 5), (2, 1)])

    class Scores:
        def score(self, users: torch.Tensor) -> torch.Tensor:
            scores = torch.arange(30.0).repeat(3, 1)
            scores[1, 5] = 100.0
            return scores[users]

    # User 0 has item 5; for user 1 it comes first, for user 2 it is the 25th.
    assert exposure(Scores(), graph, 5, 3) == 0.5  # type: ignore[arg-type]
    assert exposure(Scores(), graph, 10, 3) == pytest.approx(2 / 3)  # the 20th, for user 1 the 21st
    assert exposure(Scores(), graph, 9, 2) == pytest.approx(0.0)


# --- the defence ---------------------------------------------------------------------------------


def test_on_clean_data_nobody_is_set_aside(clean: GraphData) -> None:
    graph, told = defended(config_of(defence={"filter": True}), clean)
    assert told is not None
    assert graph is clean
    assert (told.users, told.targets, told.interactions) == ([], {}, 0)
    assert "nobody" in told.words
    assert defended(config_of(), clean) == (clean, None)


@pytest.mark.parametrize("kind", ["random", "average", "bandwagon"])
def test_an_attack_is_found_and_told(clean: GraphData, kind: Any) -> None:
    target = 150
    graph = attacked(clean, Attack(kind, 0.08, 12), target, seed=2)
    left, told = defended(config_of(defence={"filter": True}), graph)
    assert told is not None
    fakes = [name for name in told.users if name.startswith("fake")]
    assert len(fakes) >= 40  # of 48
    assert len(told.users) - len(fakes) <= 0.02 * USERS  # of 16 who have the target
    assert next(iter(told.targets)) == "i150"
    gone = len(graph.train) - len(left.train)
    assert gone == told.interactions > 0
    assert left.num_users == graph.num_users
    assert f"{len(told.users)} of {graph.num_users} users" in told.words
    # Whoever is real can be named, and stays.
    trusted = told.users[:2]
    again = config_of(defence={"filter": True, "trusted": trusted})
    _, second = defended(again, graph)
    assert second is not None
    assert set(told.users) - set(second.users) == set(trusted)


def test_valid_of_who_is_set_aside_chooses_nothing(clean: GraphData) -> None:
    graph = attacked(clean, Attack("bandwagon", 0.08, 15), 150, seed=2)
    valid = clean.held_out[Split.VALID]
    fake = np.full(3, USERS)
    more = type(valid)(
        np.concatenate([valid.user_index, fake]),
        np.concatenate([valid.item_index, [151, 152, 153]]),
    )
    known = graph.train.item_index[graph.train.user_index == USERS]
    assert not np.isin([151, 152, 153], known).all()
    from dataclasses import replace

    graph = replace(graph, held_out={**graph.held_out, Split.VALID: more})
    left, told = defended(config_of(defence={"filter": True}), graph)
    assert told is not None
    assert "fake 0" in told.users
    assert len(left.held_out[Split.VALID]) <= len(valid)
    assert USERS not in left.held_out[Split.VALID].user_index
    assert len(left.held_out[Split.TEST]) == len(graph.held_out[Split.TEST])


def test_the_record_of_a_training_names_them(clean: GraphData) -> None:
    sections: dict[str, Any] = {
        "text": {"enabled": False},
        "fusion": {"network": False},
        "user_side": {"enabled": False},
        "factors": {"enabled": False},
        "closed_form": {"ridge": 20.0, "relation_weights": {}},
        "cold": {"enabled": False},
    }
    graph = attacked(clean, Attack("bandwagon", 0.08, 15), 150, seed=2)
    plain = fit(config_of(**sections), graph, progress=False)
    assert plain.record.defence is None
    guarded = fit(config_of(defence={"filter": True}, **sections), graph, progress=False)
    assert len(guarded.record.defence.users) >= 12
    json.dumps(guarded.record.defence.tree())
    seen = [exposure(each.scorer, graph, 150, USERS) for each in (plain, guarded)]
    assert seen[1] <= 0.5 * seen[0]


def test_what_cannot_be_filtered_is_refused(clean: GraphData) -> None:
    with pytest.raises(ConfigError, match=r"at most closed_form\.max_items = 10"):
        defended(config_of(defence={"filter": True}, closed_form={"max_items": 10}), clean)
    with pytest.raises(ConfigError, match="'nobody'"):
        defended(config_of(defence={"filter": True, "trusted": ["nobody"]}), clean)


def test_views_of_who_is_set_aside_leave_too(clean: GraphData) -> None:
    from dataclasses import replace

    graph = attacked(clean, Attack("bandwagon", 0.08, 15), 150, seed=2)
    views = list(zip(graph.train.user_index.tolist(), graph.train.item_index.tolist(), strict=True))
    graph = replace(graph, relations=(behaviour("view", views),))
    left, told = defended(config_of(defence={"filter": True}), graph)
    assert told is not None
    assert len(left.relations[0]) == len(views) - told.interactions


def test_readers_of_one_book_and_of_a_series_are_no_attack() -> None:
    # 700 of 1,000 users have a single item, most of them the same, as where a book was given away;
    # twelve share a series of six. Neither is set aside, and 40 fakes with a target are.
    rng = np.random.default_rng(5)
    pairs = [(user, 0 if user % 3 else int(rng.integers(1, 400))) for user in range(700)]
    weight = 1 / (5 + np.arange(400))
    for user in range(700, 1000):
        taste = weight * np.where(np.arange(400) % 5 == user % 5, 1.0, 0.05)
        items = rng.choice(400, rng.integers(2, 30), replace=False, p=taste / taste.sum())
        pairs += [(user, int(item)) for item in items]
        if user < 712:
            pairs += [(user, item) for item in range(390, 396)]
    graph = make_graph((1000, 400, 0), sorted(set(pairs)))
    found = suspects(history_of(graph), DefenceConfig(filter=True))
    assert (len(found.users), len(found.targets)) == (0, 0)
    assert found.suspicion[:700].max() == 0.0  # of one item nobody can say anything
    for kind in ("average", "bandwagon"):
        pushed = attacked(graph, Attack(kind, 0.04, 12), 380, seed=1)  # type: ignore[arg-type]
        found = suspects(history_of(pushed), DefenceConfig(filter=True))
        assert found.targets[0] == 380 or found.excess[380] > 7
        assert (found.users >= 1000).sum() >= 36
        assert (found.users < 1000).sum() <= 3


def test_a_few_users_alike_are_less_striking_than_many() -> None:
    # Six of six and 29 of 100 in a group that a tenth belongs to; the plain score would find the
    # first at 7.3 deviations and the second at 6.3.
    item = np.repeat([0, 1, 2], [6, 100, 50])
    group = np.concatenate([np.ones(6), np.arange(100) < 29, np.arange(50) < 5]).astype(bool)
    six, many, chance = _excess(np.arange(156), item, 3, group, 0.1)
    assert six == pytest.approx((2 * 6 * np.log(10)) ** 0.5)
    divergence = 0.29 * np.log(2.9) + 0.71 * np.log(0.71 / 0.9)
    assert many == pytest.approx((200 * divergence) ** 0.5)
    assert many > six
    assert chance == 0.0


def test_where_most_are_alike_to_one_other_a_third_reader_is_not_too_alike() -> None:
    # A hundred couples with two books each; the last book has three more readers.
    pairs = [(user, 2 * (user // 2) + half) for user in range(200) for half in (0, 1)]
    pairs += [(user, 199) for user in (0, 2, 4)]
    _, alike = _signs(HistoryCore.of(history_of(make_graph((200, 200, 0), pairs))))
    # To ten: one couple's likeness, and two readers more; the middle user has the couple alone.
    couple, theirs, reader = 2 / 7, 2 / (7 * 8) ** 0.5, 1 / 8
    wanted = (theirs + 2 * reader + 1 / (7 * 8) ** 0.5 * 2 - couple) / 10 / 0.03
    assert alike[0] == pytest.approx(wanted)
    assert alike.max() < 3


def test_suspects_do_not_depend_on_the_order_of_users(clean: GraphData) -> None:
    graph = attacked(clean, Attack("random", 0.08, 12), 150, seed=2)
    history = history_of(graph)
    found = suspects(history, DefenceConfig(filter=True))
    order = torch.randperm(history.num_rows, generator=torch.Generator().manual_seed(0))
    from kgrec.model.incidence import Incidence

    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    moved = Incidence.from_pairs(
        place[history.rows], history.columns, history.num_rows, history.num_columns
    )
    again = suspects(moved, DefenceConfig(filter=True))
    assert len(found.users) >= 40
    assert set(order.numpy()[again.users].tolist()) == set(found.users.tolist())
    assert again.targets.tolist() == found.targets.tolist()


def test_more_targets_join_those_that_were_measured(clean: GraphData) -> None:
    two, three = (
        {case.key: case for case in _cases(clean, BenchAttacksConfig(targets=count), seed=0)}
        for count in (2, 3)
    )
    attacks = {key for key, case in two.items() if case.attack is not None}
    assert len(attacks) == 10
    assert attacks <= set(three)
    assert len(three) - len(two) == 5
    key = next(iter(attacks))
    same = [case.make(clean).train.item_index for case in (two[key], three[key])]
    assert np.array_equal(*same)
    # Without an attack all targets are asked for, so that is measured anew.
    others = {key for key in two if key not in attacks}
    assert len(others) == 5
    assert not others & set(three)
    longer = BenchAttacksConfig(targets=2, profile=20)
    assert not attacks & {case.key for case in _cases(clean, longer, seed=0)}


# --- the table -----------------------------------------------------------------------------------

SETTINGS = """\
[bench]
name = "attacked"
seeds = [0]

[bench.attacks]
noise = [0.1]
kinds = ["bandwagon", "clones"]
share = 0.08
profile = 15
targets = 2

[data]
interactions = "interactions.tsv"
split = { kind = "random", valid = 0.1, test = 0.1 }

[text]
enabled = false

[model]
channels = 8
temperature = 0.2

[training]
epochs = 2

[closed_form]
search_steps = 2
search_pairs = 200
"""


def test_the_table_of_attacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["user\titem", *(f"u{user}\ti{item}" for user, item in communities())]
    (tmp_path / "interactions.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "attacked.toml").write_text(SETTINGS)
    bench, settings = read_bench(tmp_path / "attacked.toml")

    def run() -> dict[str, Any]:
        return run_robustness(
            bench, settings, data=tmp_path, work=tmp_path / "work", command="kgrec", tell=str
        )

    report = run()
    names = ["clean", "noise 10%", "bandwagon push", "clones nuke"]
    assert list(dict.fromkeys(row["case"] for row in report["rows"])) == names
    rows_of = {(r["case"], r["model"], r["defence"]): r for r in report["rows"]}
    assert len(rows_of) == 16
    push, guarded = (rows_of["bandwagon push", "closed form", d] for d in (False, True))
    assert push["exposure"] == pytest.approx(np.mean(push["exposures"]))
    assert push["exposure"] > push["before"]
    assert guarded["exposure"] <= 0.5 * push["exposure"]
    assert guarded["fakes_found"] > 0.8
    nuked = rows_of["clones nuke", "closed form", False]
    assert nuked["exposure"] < nuked["before"]
    clean = [rows_of["clean", "network", d] for d in (False, True)]
    assert clean[0]["ndcg"] == clean[1]["ndcg"]  # nobody was set aside
    assert clean[0]["fakes_found"] is None
    page = robustness_page(report)
    assert f"| {push['exposure']:.4f} | {guarded['exposure']:.4f} |" in page

    # What was measured is not measured again.
    def never(*_: Any) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("kgrec.bench.robustness.fit_closed_form_alone", never)
    assert run()["rows"] == report["rows"]
