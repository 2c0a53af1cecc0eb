"""A run from data to a directory and back, on the tiny data set."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from graphs import ENTITY, ITEM, USER, behaviour, columns, make_graph, relation
from tiny import build_tiny

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import ConfigError, DataError, RunError, TrainingDiverged
from kgrec.evaluation.evaluate import evaluate
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, Interactions
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.model.closed_form import Refinements
from kgrec.model.fusion import Fusion, standardise
from kgrec.model.kinds import described
from kgrec.model.popularity import Popularity
from kgrec.schema import NodeLabel, Role, Split
from kgrec.store.connect import open_store
from kgrec.training import augmentation, closed_form_search, loop, networks
from kgrec.training import fit as fit_module
from kgrec.training.checkpoint import load_tensors, save_tensors
from kgrec.training.choices import CHOICES, Choices
from kgrec.training.closed_form_search import ClosedFormSettings
from kgrec.training.directory import LAYOUT, Run, load_run, read_record
from kgrec.training.fit import choose_device, fit, train
from kgrec.training.networks import TRIAL_EPOCHS, TemperatureSettings
from kgrec.training.partial import open_partial, refuse_busy
from kgrec.training.parts import user_side
from kgrec.training.parts.directed import DirectedSettings
from kgrec.training.parts.user_side import UserSideSettings
from kgrec.training.picture import _by_relation
from kgrec.training.proposals import Proposals
from kgrec.training.relation_rows import items_per_entity

#: What a search could have found; no search over the tiny data set ends there.
CLOSED_FORM = ClosedFormSettings(
    12.5, {"genre": 0.7}, (0.125, 0.25), Refinements(0.2, 0.4, 10.0, 0.8, 15.0)
)
CHOSEN = Choices(
    {
        "closed_form": CLOSED_FORM,
        "user_side": UserSideSettings(77.0, 0.45, 0.21),
        "directed": DirectedSettings(333.0, 4.0, 9.0, 0.19),
        "temperature": TemperatureSettings(0.14, {"0.2": 0.1, "0.14": 0.125}),
    }
)


def as_found(choices: Choices) -> dict[str, object]:
    """What was found, as the dataclasses that were searched."""
    return {name: choices.get(name, type(value)) for name, value in CHOSEN.settings.items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, GraphData]:
    config = Config.load(build_tiny(tmp_path_factory.mktemp("tiny")))
    dataset = load_dataset(config.data, seed=config.seed)
    with open_store(config.store) as store:
        write_dataset(dataset, store)
        return config, fetch_graph(store)


@pytest.fixture(scope="module")
def trained(tiny: tuple[Config, GraphData], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(*tiny, tmp_path_factory.mktemp("runs") / "run", progress=False)


def changed(config: Config, **sections: dict[str, object]) -> Config:
    tree = config.model_dump()
    for section, values in sections.items():
        tree[section] |= values
    return Config.build(tree)


def scores(run: Run) -> torch.Tensor:
    return run.scorer.score(torch.arange(run.scorer.num_users))


def bits(run: Run) -> dict[str, torch.Tensor]:
    return run.scorer.state()[0]


def assert_same(one: Run, two: Run) -> None:
    mine, theirs = bits(one), bits(two)
    assert set(mine) == set(theirs)
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name
    assert one.scorer.part_weights == two.scorer.part_weights


def test_the_run_has_learned_and_says_what(trained: Run, tiny: tuple[Config, GraphData]) -> None:
    config, graph = tiny
    task = RankingTask(graph, Split.VALID)
    value = float(task.run(trained.scorer, k=(20,))["ndcg@20"].mean())
    assert value > 0.3
    record = trained.record
    assert record.fusion.valid_ndcg == pytest.approx(value, abs=1e-6)
    assert record.graph_version == graph.version
    assert record.network.epochs == 4
    assert record.network.best_epoch in (2, 4)
    assert [e["epoch"] for e in record.network.history] == [1, 2, 3, 4]
    assert record.fan_out["GENRE"] == 20
    assert record.fan_out["DIRECTED_BY"] == 8
    assert set(record.relation_weights) == {
        prefix + name
        for name in ("INTERACTED", "GENRE", "DIRECTED_BY", "SEQUEL")
        for prefix in ("", "rev_")
    }
    assert record.seconds["train"] > 0
    assert trained.config == config


def test_what_is_in_the_directory(trained: Run) -> None:
    assert {path.name for path in trained.directory.iterdir()} == {
        "config.json", "model.safetensors", "nodes.parquet", "record.json", "tensorboard",
        "training.png",
    }  # fmt: skip
    assert [path.name for path in trained.directory.parent.iterdir()] == ["run"]
    assert (trained.directory / "training.png").read_bytes()[:4] == b"\x89PNG"
    assert any((trained.directory / "tensorboard").iterdir())
    text = (trained.directory / "record.json").read_text()
    assert "Infinity" not in text
    assert "NaN" not in text
    tree = json.loads(text)
    assert set(tree.pop("digests")) == {"config.json", "nodes.parquet"}
    assert tree.pop("digest")
    assert tree == {"layout": LAYOUT, **trained.record.tree()}
    assert read_record(trained.directory) == trained.record


def test_loaded_it_is_the_same(trained: Run, tiny: tuple[Config, GraphData]) -> None:
    again = load_run(trained.directory)
    assert_same(again, trained)
    assert again.vocabularies == dict(tiny[1].vocabularies)
    item = again.vocabularies[NodeLabel.ITEM].index("i3")
    assert again.names[NodeLabel.ITEM][item] == "The space 3"
    assert torch.equal(scores(again), scores(trained))


def test_the_seed_gives_the_same_run(
    trained: Run, tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    assert_same(train(*tiny, tmp_path / "again", progress=False), trained)


def test_test_interactions_change_no_bit(
    trained: Run, tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    tell_tale = Interactions(*columns([(0, 0)]))
    planted = replace(graph, held_out=dict(graph.held_out) | {Split.TEST: tell_tale})
    assert_same(train(config, planted, tmp_path / "planted", progress=False), trained)


def test_valid_decides_only_when_to_stop_and_how_to_weigh(
    trained: Run, tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    user = int(graph.held_out[Split.VALID].user_index[0])
    item = int(graph.held_out[Split.TEST].item_index[0])
    fixed = changed(config, training={"evaluate_every": 9})
    other = replace(graph, held_out={Split.VALID: Interactions(*columns([(user, item)]))})
    one, two = (fit(fixed, each, progress=False).parts for each in (graph, other))
    everyone = torch.arange(graph.num_users)
    for name, part in one.items():
        assert torch.equal(part.score(everyone), two[name].score(everyone)), name


def test_without_valid_there_are_equal_weights(
    tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    run = train(config, replace(graph, held_out={}), tmp_path / "run", progress=False)
    assert run.scorer.part_weights == {"network": 1.0, "closed_form": 1.0, "popularity": 0.1}
    assert run.record.fusion.valid_ndcg is None
    assert run.record.network.valid_ndcg is None
    assert run.record.network.epochs == 4


def test_several_networks_are_averaged(tiny: tuple[Config, GraphData], tmp_path: Path) -> None:
    config, graph = tiny
    sections = {"training": {"ensemble": 2}, "closed_form": {"enabled": False}}
    sections["fusion"] = {"popularity": False}
    run = train(changed(config, **sections), graph, tmp_path / "run", progress=False)
    network = run.scorer.parts["network"]
    assert isinstance(network, Fusion)
    users = torch.arange(5)
    one, two = (standardise(part.score(users)) for part in network.parts.values())
    assert not torch.allclose(one, two)
    torch.testing.assert_close(network.score(users), (one + two) / 2)
    made = run.scorer.contributions(3, torch.arange(40))
    torch.testing.assert_close(made.by_item.sum(1) + made.rest, scores(run)[3])
    assert len(run.record.network.others) == 1


def test_refit_learns_from_valid_too(tiny: tuple[Config, GraphData]) -> None:
    config, graph = tiny
    plain = fit(changed(config, fusion={"network": False}), graph, progress=False)
    again = fit(
        changed(config, fusion={"network": False}, training={"refit": True}), graph, progress=False
    )
    both = len(graph.train) + len(graph.held_out[Split.VALID])
    assert len(plain.scorer.history.columns) == len(graph.train)
    assert len(again.scorer.history.columns) == both
    assert again.record.fusion == plain.record.fusion  # chosen before
    assert again.record.settings["closed_form"] == plain.record.settings["closed_form"]


def test_networks_go_on_when_valid_has_joined(
    tiny: tuple[Config, GraphData], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, graph = tiny
    starts, epochs, asked = [], [], []

    def watched(*args: Any, **options: Any) -> Any:
        if "start" in options or "checkpoint" in options:  # no trial of a temperature
            starts.append(options.get("start"))
            epochs.append(args[3].epochs)
            asked.append(options.get("validate") is not None)
        return loop.train_network(*args, **options)

    monkeypatch.setattr(networks, "train_network", watched)
    training = {"refit": True, "ensemble": 2, "epochs": 4}
    network = fit(changed(config, training=training), graph, progress=False).record.network
    best = network.best_epoch
    # The second learns as long as was best for the first; then both go on for three epochs.
    assert epochs == [4, best, 3, 3]
    assert asked == [True, False, False, False]
    assert starts[:2] == [None, None]
    assert [start.epochs for start in starts[2:]] == [best, best]


class TestSyntheticEdges:
    def test_the_gate_says_what_each_source_was_worth(self, tiny: tuple[Config, GraphData]) -> None:
        config, graph = tiny
        augment = {"source": "auto", "per_user": 2, "at_most": 12}
        sections = {"augment": augment, "training": {"ensemble": 2}}
        record = fit(changed(config, **sections), graph, progress=False).record.augment
        assert list(record.sources) == ["teacher", "knn"]
        assert record.source in {"none", *record.sources}
        items = np.bincount(graph.train.user_index)  # no pair occurs twice
        assert record.edges["users"] == ((items >= 1) & (items <= 12)).sum() > 0
        assert len(record.versus) == 2 * 1 / 2
        assert all(name in record.words for name in record.sources)

    def test_where_some_users_have_many_items_and_others_few_a_generator_learns(
        self, tiny: tuple[Config, GraphData]
    ) -> None:
        config, graph = tiny
        user = graph.train.user_index
        place = pd.Series(user).groupby(user).cumcount().to_numpy()
        thinned = replace(graph, train=graph.train.take((user % 3 > 0) | (place < 3)))
        augment = {"source": "auto", "per_user": 2, "at_most": 3, "gan": {"rounds": 2}}
        one, again = (
            fit(changed(config, augment=augment), thinned, progress=False).record.augment
            for _ in range(2)
        )
        assert list(one.sources) == ["teacher", "knn", "gan"]
        assert list(one.learned) == ["generator", "gan"]
        assert one.learned == again.learned
        assert one.source == again.source
        for found in one.learned.values():
            told = ["teacher", "knn", "factors", "popularity", "generator"]
            assert set(told) < set(found["precision"])
            assert all(0 <= value <= 1 for value in found["precision"].values())
            # Forty items, all of them candidates: everything hidden can be proposed.
            assert found["candidate_recall"] == 1.0
            # Two groups of taste are more than popularity knows.
            assert found["precision"]["generator"] > 1.2 * found["precision"]["popularity"]
        assert len(one.learned["gan"]["rounds"]) == 2

    def test_a_source_that_the_data_does_not_allow_is_refused_before_anything_is_trained(
        self, tiny: tuple[Config, GraphData]
    ) -> None:
        config, graph = tiny
        augment = {"source": "gan", "at_most": 30}
        with pytest.raises(ConfigError, match="2 users with more than 60 items"):
            fit(changed(config, augment=augment), graph, progress=False)

    def test_networks_stay_as_they_were_where_no_source_is_let_in(
        self, tiny: tuple[Config, GraphData], trained: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, graph = tiny
        real = augmentation.decide
        monkeypatch.setattr(
            augmentation, "decide", lambda *a, **o: replace(real(*a, **o), winner="none")
        )
        found = fit(
            changed(config, augment={"source": "auto", "at_most": 12}), graph, progress=False
        )
        assert torch.equal(scores(found), scores(trained))

    def test_a_given_source_is_learned_whatever_the_gate_says(
        self, tiny: tuple[Config, GraphData], trained: Run
    ) -> None:
        config, graph = tiny
        augment = {"source": "knn", "weight": 5.0, "per_user": 8, "epochs": 4, "at_most": 12}
        found = fit(changed(config, augment=augment), graph, progress=False)
        assert found.record.augment.source == "knn"
        assert list(found.record.augment.sources) == ["knn"]
        changed_most = (scores(found) - scores(trained)).abs().amax(dim=1)
        assert changed_most.max() > 1e-3
        assert found.record.relation_weights != trained.record.relation_weights

    def test_it_is_learned_where_the_gate_cannot_be_asked(
        self, tiny: tuple[Config, GraphData]
    ) -> None:
        config, graph = tiny
        augment = {"source": "knn", "weight": 5.0, "per_user": 8, "at_most": 12}
        blind = replace(graph, held_out={})
        given = fit(changed(config, augment=augment), blind, progress=False)
        plain = fit(config, blind, progress=False)
        assert given.record.augment.sources == {}
        assert given.record.augment.source == "knn"
        assert not torch.equal(scores(given), scores(plain))
        auto = fit(changed(config, augment={**augment, "source": "auto"}), blind, progress=False)
        assert auto.record.augment.source == "none"
        assert torch.equal(scores(auto), scores(plain))
        assert plain.record.settings["temperature"] == {"temperature": 0.2, "tried": {}}

    def test_when_valid_joins_the_source_proposes_again(
        self, tiny: tuple[Config, GraphData], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, graph = tiny
        asked, starts = [], []

        class Watched(Proposals):
            def of(self, name: str) -> Any:
                teacher: Any = self._parts["closed_form"]
                asked.append((name, len(self._fitting.history.columns), teacher.history))
                return super().of(name)

        def learned(*args: Any, **options: Any) -> Any:
            starts.append(options.get("start"))
            return loop.train_network(*args, **options)

        monkeypatch.setattr(networks, "Proposals", Watched)
        monkeypatch.setattr(networks, "train_network", learned)
        augment = {"source": "teacher", "at_most": 12, "epochs": 2}
        found = fit(
            changed(config, augment=augment, training={"refit": True}), graph, progress=False
        )
        assert [name for name, *_ in asked] == ["teacher"] * len(asked)
        (*_, (_, interactions, history)) = asked
        assert asked[0][1] == len(graph.train)
        assert interactions == len(graph.train) + len(graph.held_out[Split.VALID])
        assert len(history.columns) == interactions
        # It goes on from the network that learned the edges.
        assert starts[-1].epochs == found.record.network.best_epoch + 2

    @pytest.mark.parametrize(
        ("source", "sections", "said"),
        [
            ("teacher", {"closed_form": {"enabled": False}}, r"closed_form\.enabled"),
            ("gan", {"closed_form": {"enabled": False}}, r"closed_form\.enabled"),
            ("knn", {"fusion": {"network": False}}, r"fusion\.network"),
        ],
    )
    def test_what_cannot_learn_or_propose_is_refused(
        self, tiny: tuple[Config, GraphData], source: str, sections: Any, said: str
    ) -> None:
        with pytest.raises(ConfigError, match=said):
            changed(tiny[0], augment={"source": source}, **sections)


@pytest.mark.parametrize(
    ("sections", "parts"),
    [
        ({"fusion": {"popularity": False}, "closed_form": {"enabled": False}}, {"network"}),
        ({"fusion": {"network": False, "popularity": False}}, {"closed_form"}),
        ({"fusion": {"network": False}, "closed_form": {"enabled": False}}, {"popularity"}),
        ({"model": {"encoder": "attention", "num_layers": 1}, "training": {"epochs": 1}},
         {"network", "closed_form", "popularity"}),
        ({"model": {"use_graph": False}, "training": {"epochs": 0}},
         {"network", "closed_form", "popularity"}),
        ({"closed_form": {"max_items": 5}, "fusion": {"network": False}},
         {"closed_form", "popularity"}),
        ({"closed_form": {"enabled": False}, "fusion": {"network": False, "popularity": False},
          "user_side": {"enabled": True}}, {"user_side"}),
        ({"closed_form": {"enabled": False}, "fusion": {"network": False, "popularity": False},
          "factors": {"enabled": True, "dimensions": 8}}, {"factors"}),
    ],
)  # fmt: skip
def test_parts_may_be_left_out(
    tiny: tuple[Config, GraphData], tmp_path: Path, sections: dict, parts: set[str]
) -> None:
    config, graph = tiny
    run = train(changed(config, **sections), graph, tmp_path / "run", progress=False)
    assert set(run.record.fusion.weights) == parts
    used = {name for name, weight in run.record.fusion.weights.items() if weight}
    assert set(run.scorer.parts) == used  # what has no weight takes no room
    assert scores(run).isfinite().all()
    text = (run.directory / "record.json").read_text()
    assert "Infinity" not in text
    if "use_graph" in str(sections):
        assert set(run.record.relation_weights) == {"INTERACTED", "rev_INTERACTED"}


def test_behaviours_are_learned_from_and_served(
    tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    sea = [i for i, key in enumerate(graph.vocabularies[NodeLabel.ITEM].ids) if int(key[1:]) % 2]
    users = graph.vocabularies[NodeLabel.USER].ids
    group = [[i for i in range(40) if (i in sea) == (int(key[1:]) % 2)] for key in users]
    behaviours = (
        behaviour("view", [(u, i) for u in range(30) for i in group[u][::2]]),
        behaviour(
            "dismiss", [(u, i) for u in range(60) for i in range(4) if i not in group[u]],
            Role.NEGATIVE,
        ),
    )  # fmt: skip
    graph = replace(graph, relations=(*graph.relations, *behaviours))
    run = train(config, graph, tmp_path / "run", progress=False)
    weights = run.record.relation_weights
    assert {name for name, weight in weights.items() if weight < 0} == {"DISMISS", "rev_DISMISS"}
    assert weights["VIEW"] > 0
    assert run.behaviours.disliked.dense().nonzero().tolist() == sorted(
        [user, item] for user, item in zip(*graph.pairs_of(Role.NEGATIVE), strict=True)
    )
    assert run.behaviours.observed.tolist() == [True] * 30 + [False] * 30
    assert run.record.fan_out
    assert set(run.record.fan_out) == {"GENRE", "DIRECTED_BY"}
    assert _by_relation(weights)["DISMISS"] == (weights["DISMISS"], weights["rev_DISMISS"])
    control = changed(config, model={"use_graph": False}, closed_form={"enabled": False})
    bare = train(control, graph, tmp_path / "bare", progress=False)
    assert set(bare.record.relation_weights) == {
        f"{way}{name}" for name in ("INTERACTED", "VIEW", "DISMISS") for way in ("", "rev_")
    }


def test_the_picture_shows_the_heaviest_relations_of_either_sign() -> None:
    weights = {f"R{n}": 0.5 for n in range(25)} | {"DISLIKED": -2.0, "rev_DISLIKED": -0.1}
    shown = _by_relation(weights)
    assert next(iter(shown.items())) == ("DISLIKED", (-2.0, -0.1))
    assert len(shown) == 20


def test_items_per_entity_by_hand() -> None:
    graph = make_graph(
        (1, 4, 4),
        [(0, 0)],
        (
            relation("genre", [(0, 0), (1, 0), (2, 0), (3, 1)]),
            relation("led_to", [(2, 0), (2, 1)], ENTITY, ITEM),
            relation("about", [(0, 3), (1, 3), (2, 2)]),
            relation("country", [(0, 1)], USER, ENTITY),
            relation("sequel", [(0, 1)], ITEM, ITEM),
        ),
    )
    kinds = pd.DataFrame({"kind": [None, "person", "query", None], "text": ["a", "b", "c", "d"]})
    graph = replace(graph, properties={ENTITY: kinds})
    assert items_per_entity(graph) == {"GENRE": 2.0, "ABOUT": 2.0}


class TestChoices:
    @pytest.mark.parametrize(
        "choices",
        [
            CHOSEN,
            Choices(),
            Choices({"closed_form": ClosedFormSettings(3.0, {}, None)}),
            Choices({"user_side": UserSideSettings(50.0)}),
        ],
    )
    def test_what_was_saved_is_loaded(self, tmp_path: Path, choices: Choices) -> None:
        choices.save(tmp_path / CHOICES)
        loaded = Choices.load(tmp_path / CHOICES)
        assert as_found(loaded) == as_found(choices)
        loaded.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == (tmp_path / CHOICES).read_bytes()

    def test_whether_time_decides_is_not_saved(self, tmp_path: Path) -> None:
        replace(CHOSEN, temporal=True).save(tmp_path / CHOICES)
        assert not Choices.load(tmp_path / CHOICES).temporal
        assert Choices.load(tmp_path / "none.json") == Choices()


class TestFailures:
    def test_an_earlier_run_stays(
        self, tiny: tuple[Config, GraphData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, graph = tiny
        quick = changed(config, fusion={"network": False})
        first = train(quick, graph, tmp_path / "run", progress=False)

        def fail(*args: object) -> None:
            raise TrainingDiverged("on purpose")

        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "search_fusion", fail)
            with pytest.raises(TrainingDiverged, match="on purpose"):
                train(quick, graph, tmp_path / "run", progress=False)
        assert_same(load_run(tmp_path / "run"), first)
        other = train(
            changed(quick, closed_form={"ridge": 3.0}), graph, tmp_path / "run", progress=False
        )
        assert other.record.settings["closed_form"]["ridge"] == 3.0
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_a_killed_run_is_resumed(
        self,
        trained: Run,
        tiny: tuple[Config, GraphData],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        real, calls = loop.softmax_loss, []
        # One batch an epoch; first come the trials of temperatures.
        trials = TRIAL_EPOCHS * len(trained.record.settings["temperature"]["tried"])

        def counted(*args: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            if len(calls) == trials + 4:
                raise KeyboardInterrupt
            return real(*args)

        monkeypatch.setattr(loop, "softmax_loss", counted)
        with pytest.raises(KeyboardInterrupt):
            train(*tiny, tmp_path / "run", progress=False)
        assert not (tmp_path / "run").exists()
        assert (tmp_path / "run.partial" / "checkpoint-0.safetensors").is_file()
        assert (tmp_path / "run.partial" / "choices.json").is_file()
        resumed = train(*tiny, tmp_path / "run", progress=False)
        assert len(calls) == trials + 4 + 2  # epochs 3 and 4, no trial
        assert_same(resumed, trained)
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_a_resumed_run_does_not_search_again(
        self, tiny: tuple[Config, GraphData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = changed(tiny[0], fusion={"network": False}, user_side={"enabled": True})
        with open_partial(config, tiny[1], tmp_path / "run") as partial:
            CHOSEN.save(partial / CHOICES)

        def refuse(*args: object, **options: object) -> None:
            raise AssertionError("it was searched again")

        for module, name in (
            (closed_form_search, "search_closed_form"),
            (user_side, "search_user_side"),
        ):
            monkeypatch.setattr(module, name, refuse)
        run = train(config, tiny[1], tmp_path / "run", progress=False)
        assert run.record.settings["closed_form"] == {
            "ridge": 12.5,
            "relation_weights": {"genre": 0.7},
            "inner_ndcg": [0.125, 0.25],
            "refinements": {
                "dropout": 0.2, "user_exponent": 0.4,
                "bandwidth": 10.0, "kernel_share": 0.8, "recency": 15.0,
            },
        }  # fmt: skip
        assert run.record.settings["user_side"] == {
            "ridge": 77.0, "item_exponent": 0.45, "inner_ndcg": 0.21
        }  # fmt: skip
        part = run.scorer.parts["closed_form"]
        assert (part.ridge, part.relation_weights) == (12.5, {"genre": 0.7})
        assert part.refinements == CLOSED_FORM.refinements
        with pytest.raises(AssertionError, match="searched again"):  # where nothing was killed
            train(config, tiny[1], tmp_path / "other", progress=False)

    def test_other_settings_do_not_resume(
        self, tiny: tuple[Config, GraphData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, graph = tiny
        partial = tmp_path / "run.partial"
        partial.mkdir()
        (partial / "identity.json").write_text('{"config": {}, "graph_version": "other"}')
        (partial / "checkpoint-0.safetensors").write_text("of another run")
        run = train(
            changed(config, training={"epochs": 1}), graph, tmp_path / "run", progress=False
        )
        assert run.record.network.epochs == 1

    def test_what_is_not_a_run_is_not_touched(
        self, tiny: tuple[Config, GraphData], tmp_path: Path
    ) -> None:
        for name, run in (("thesis", "thesis"), ("thesis.partial", "thesis")):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "chapter.txt").write_text("precious")
            with pytest.raises(RunError, match="another --run"):
                train(*tiny, tmp_path / run, progress=False)
            assert (folder / "chapter.txt").read_text() == "precious"
            (folder / "chapter.txt").rename(tmp_path / f"{name}.txt")
            folder.rmdir()
        (tmp_path / "file").write_text("precious")
        with pytest.raises(RunError, match="is not a run"):
            train(*tiny, tmp_path / "file", progress=False)

    def test_one_process_at_a_time_trains_into_a_directory(
        self, tiny: tuple[Config, GraphData], tmp_path: Path
    ) -> None:
        config, graph = tiny
        quick = changed(config, fusion={"network": False}, closed_form={"enabled": False})
        with open_partial(quick, graph, tmp_path / "run") as partial:
            (partial / "checkpoint-0.safetensors").write_text("of the first")
            for other in (quick, config):  # a resume of the same, or another that would sweep it
                with pytest.raises(RunError, match=r"another process trains into .*another --run"):
                    train(other, graph, tmp_path / "run", progress=False)
            with pytest.raises(RunError, match="another process trains"):
                refuse_busy(tmp_path / "run")
            refuse_busy(tmp_path / "other")
            assert (partial / "checkpoint-0.safetensors").read_text() == "of the first"
        refuse_busy(tmp_path / "run")
        (partial / "checkpoint-0.safetensors").unlink()
        train(quick, graph, tmp_path / "run", progress=False)
        assert [path.name for path in tmp_path.iterdir()] == ["run"]
        assert not list((tmp_path / "run").glob("*.lock"))

    def test_a_link_as_run_directory_stays_one(
        self, tiny: tuple[Config, GraphData], tmp_path: Path
    ) -> None:
        config, graph = tiny
        quick = changed(config, fusion={"network": False}, closed_form={"enabled": False})
        link = tmp_path / "current"
        for target in ("there", "not-yet"):
            (tmp_path / "disk").mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(tmp_path / "disk" / target)
            if target == "there":
                link.resolve().mkdir()
            for _ in range(2):
                train(quick, graph, link, progress=False)
                assert link.is_symlink()
                assert load_run(link).record.graph_version == graph.version
                assert load_run(tmp_path / "disk" / target).record.graph_version == graph.version
        assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "disk"]
        assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["not-yet", "there"]

    def test_a_run_put_aside_by_hand_stays(
        self, tiny: tuple[Config, GraphData], tmp_path: Path
    ) -> None:
        config, graph = tiny
        quick = changed(config, fusion={"network": False}, closed_form={"enabled": False})
        train(quick, graph, tmp_path / "run", progress=False).directory.rename(tmp_path / "run.old")
        for _ in range(2):
            train(quick, graph, tmp_path / "run", progress=False)
        assert load_run(tmp_path / "run.old").record.graph_version == graph.version

    def test_cuda_is_refused_where_there_is_none(
        self, tiny: tuple[Config, GraphData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        config, graph = tiny
        with pytest.raises(ConfigError, match=r"training\.device is cuda, but torch sees no CUDA"):
            train(changed(config, training={"device": "cuda"}), graph, tmp_path / "run")
        assert not any(tmp_path.iterdir())
        assert choose_device("auto") == torch.device("cpu")

    def test_divergence_leaves_no_run(
        self, tiny: tuple[Config, GraphData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop, "softmax_loss", lambda scores, *_: scores.sum() * math.inf)
        with pytest.raises(TrainingDiverged):
            train(*tiny, tmp_path / "run", progress=False)
        with pytest.raises(RunError, match="no run in"):
            load_run(tmp_path / "run")


class TestLoading:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("model.safetensors", None), ("model.safetensors", b"x" * 99),
            ("config.json", b"{"), ("config.json", b'{"sed": 1}'),
            ("nodes.parquet", b"PAR1"), ("nodes.parquet", None), ("record.json", b"[]"),
            ("record.json", None), ("record.json", b'{"layout": 0}'),
            ("record.json", b'{"layout": 5}'),
        ],
    )  # fmt: skip
    def test_damage_is_told(
        self, trained: Run, tmp_path: Path, name: str, content: bytes | None
    ) -> None:
        for path in trained.directory.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        assert_same(load_run(tmp_path), trained)
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(RunError):
            load_run(tmp_path)

    def test_a_run_serves_any_scorer_of_a_known_kind(self, trained: Run, tmp_path: Path) -> None:
        for path in trained.directory.iterdir():
            if path.is_file():
                (tmp_path / path.name).write_bytes(path.read_bytes())
        tensors, _ = load_tensors(tmp_path / "model.safetensors")
        popularity = Popularity(trained.scorer.history)
        more, values = described(popularity)
        save_tensors(tmp_path / "model.safetensors", tensors | more, values)
        users = torch.arange(5)
        assert torch.equal(load_run(tmp_path).scorer.score(users), popularity.score(users))
        save_tensors(tmp_path / "model.safetensors", tensors | more, values | {"kind": "Oracle"})
        refusal = re.escape(
            f"run {tmp_path}: the run holds a scorer of kind 'Oracle', expected one of"
        )
        with pytest.raises(RunError, match=rf"^{refusal}.*train again"):
            load_run(tmp_path)

    def test_another_graph_version_is_refused(self, trained: Run) -> None:
        trained.check_version(trained.record.graph_version)
        with pytest.raises(
            RunError, match="the store holds other; fold it in with kgrec refresh, train again"
        ):
            trained.check_version("other")


def test_a_deployed_run_has_learned_everything_and_says_what_it_was_chosen_by(
    trained: Run, tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    deployed = train(
        changed(config, training={"deploy": True}), graph, tmp_path / "run", progress=False
    )
    parts = (graph.train, *graph.held_out.values())
    pairs = {
        pair
        for part in parts
        for pair in zip(part.user_index.tolist(), part.item_index.tolist(), strict=True)
    }
    history = deployed.scorer.history
    assert set(zip(history.rows.tolist(), history.columns.tolist(), strict=True)) == pairs
    assert deployed.behaviours.held_out is not None
    assert not len(deployed.behaviours.held_out.columns)
    # What was chosen is what a training without --deploy gives; the tiny set has no cold users.
    for split in (Split.VALID, Split.TEST):
        figures = RankingTask(graph, split).run(trained.scorer, config.evaluation.k)
        assert deployed.record.chosen_by[split] == {
            name: pytest.approx(float(values.mean()), abs=1e-6) for name, values in figures.items()
        }
        with pytest.raises(DataError, match=f"of split {split}.*chosen_by"):
            evaluate(deployed.scorer, graph, split)
    assert deployed.record.settings["closed_form"] == trained.record.settings["closed_form"]
    assert deployed.record.fusion == trained.record.fusion


def test_a_run_refitted_on_valid_is_judged_on_test_alone(
    tiny: tuple[Config, GraphData], tmp_path: Path
) -> None:
    config, graph = tiny
    run = train(changed(config, training={"refit": True}), graph, tmp_path / "run", progress=False)
    assert evaluate(run.scorer, graph, Split.TEST, k=(5,)).num_users
    with pytest.raises(DataError, match=r"has learned from \d+ of the \d+ pairs of split valid"):
        evaluate(run.scorer, graph, Split.VALID)
