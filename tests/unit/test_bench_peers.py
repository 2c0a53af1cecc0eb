"""Peers: each learns what can be seen by eye, and its parts are held against other ways."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from graphs import checkerboard, history_of, make_graph
from torch.nn import functional

from kgrec.bench import peers_factors
from kgrec.bench.peer import Job, PeerFit, count_parameters
from kgrec.bench.peers import PEERS, find_peer
from kgrec.bench.peers_factors import Bpr, als, fit_als, fit_bpr
from kgrec.bench.peers_items import (
    elastic_net,
    fit_ease,
    fit_itemknn,
    fit_popularity,
    fit_slim,
    slim,
)
from kgrec.bench.peers_kgrec import content_scorer
from kgrec.bench.peers_networks import (
    LightGcn,
    Negatives,
    Network,
    NeuMf,
    NeuMfScorer,
    _normalised,
    fit_lightgcn,
    fit_neumf,
)
from kgrec.bench.stopping import Stopping, train_until_best
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData
from kgrec.model.popularity import Popularity
from kgrec.schema import Split

GRAPH = checkerboard(48, 32)
CONFIG = Config.build({"data": {"interactions": "none.tsv"}})
SHORT = Stopping(every=5, patience=3, most=60, default=10)
IMPLICIT = pytest.mark.skipif(find_spec("implicit") is None, reason="implicit is not installed")


def job(graph: GraphData = GRAPH, **values: object) -> Job:
    return Job(graph, CONFIG, seed=3, **values)  # type: ignore[arg-type]


def quality(fitted: PeerFit, graph: GraphData = GRAPH) -> float:
    """NDCG@2 on valid: each user's two held-out items are the unseen ones of their own parity."""
    return float(RankingTask(graph, Split.VALID).run(fitted.scorer, (2,))["ndcg@2"].mean())


# --- all of them ---------------------------------------------------------------------------------


def test_popularity_cannot_see_the_checkerboard() -> None:
    assert quality(fit_popularity(job())) < 0.3


@pytest.mark.parametrize(
    "fit",
    [
        fit_itemknn,
        fit_ease,
        fit_slim,
        pytest.param(lambda j: fit_als(j, [(8, 1.0, 5.0)], (4, 8)), marks=IMPLICIT),
        pytest.param(lambda j: fit_bpr(j, [(16, 0.05, 0.01)], SHORT), marks=IMPLICIT),
        lambda j: fit_neumf(j, SHORT),
        lambda j: fit_lightgcn(j, SHORT),
    ],
    ids=["itemknn", "ease", "slim", "als", "bpr", "neumf", "lightgcn"],
)
def test_the_others_see_it(fit: object) -> None:
    assert quality(fit(job())) == pytest.approx(1.0)  # type: ignore[operator]


def test_names_are_those_of_the_peers() -> None:
    assert all(name == peer.name for name, peer in PEERS.items())
    with pytest.raises(ConfigError, match=r"no model 'eaze'; expected one of kgrec, .*ease"):
        find_peer("eaze")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_factors, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"implicit is not installed.*install kgrec\[bench\]"):
        fit_als(job())
    with pytest.raises(ConfigError, match="is not installed"):
        fit_bpr(job())


# --- refits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [fit_popularity, fit_itemknn, fit_ease])
def test_a_refit_learns_from_valid_with_the_choice_made_without_it(fit: object) -> None:
    alone, again = fit(job()), fit(job(refit=True))  # type: ignore[operator]
    assert alone.choices == again.choices
    valid = GRAPH.held_out[Split.VALID]
    pairs = set(zip(valid.user_index.tolist(), valid.item_index.tolist(), strict=True))
    own = {(user, item) for user, item in pairs if item in again.scorer.history.row(user).tolist()}
    assert own == pairs
    assert not any(item in alone.scorer.history.row(user).tolist() for user, item in pairs)


# --- early stopping ------------------------------------------------------------------------------


class Course:
    """A model whose quality on valid follows a given course; it remembers how far it was trained.

    At quality q, the share q of the users is given their own held-out items.
    """

    made: list["Course"]

    def __init__(self, graph: GraphData, course: list[float]) -> None:
        self.graph, self.course, self.epochs = graph, course, 0

    def train_epoch(self) -> None:
        self.epochs += 1

    def scorer(self) -> Popularity:
        right = Popularity(history_of(GRAPH))
        quality = self.course[self.epochs - 1]
        valid = GRAPH.held_out[Split.VALID]
        scores = torch.zeros(GRAPH.num_users, GRAPH.num_items)
        scores[valid.user_index, valid.item_index] = 1.0
        scores[int(quality * GRAPH.num_users) :] = 0.0
        right.score = lambda user: scores[user]  # type: ignore[method-assign]
        return right


def follow(course: list[float], stopping: Stopping, **values: object):
    made: list[Course] = []

    def make(graph: GraphData) -> Course:
        made.append(Course(graph, course))
        return made[-1]

    scorer, record = train_until_best(job(**values), make, stopping)
    return made, scorer, record


def test_training_stops_when_valid_no_longer_improves() -> None:
    course = [0.25, 0.5, 0.75, 0.5, 0.5, 1.0]
    made, scorer, record = follow(course, Stopping(every=1, patience=2, most=9, default=1))
    assert (record["epochs"], record["best_epoch"], record["stopped_by"]) == (5, 3, "patience")
    looks = [look["valid_ndcg@20"] for look in record["history"]]
    assert record["valid_ndcg@20"] == max(looks) == looks[2]
    assert [look["epoch"] for look in record["history"]] == [1, 2, 3, 4, 5]
    assert quality(PeerFit(scorer)) == pytest.approx(0.75)  # the best look's, not the last one's
    assert len(made) == 1


def test_training_stops_at_the_last_epoch_and_when_time_is_up() -> None:
    rising = [0.25, 0.5, 0.75, 1.0]
    _, _, record = follow(rising, Stopping(every=2, patience=2, most=3, default=1))
    assert (record["epochs"], record["best_epoch"], record["stopped_by"]) == (3, 3, "epochs")
    _, _, record = follow(rising, Stopping(1, 2, 4, 1), minutes=0.0)
    assert (record["epochs"], record["stopped_by"]) == (1, "minutes")


def test_a_refit_trains_anew_for_as_many_epochs() -> None:
    made, _, record = follow([0.25, 0.5, 0.25, 0.25], Stopping(1, 2, 9, 1), refit=True)
    assert record["best_epoch"] == 2
    first, second = made
    assert first.graph is GRAPH
    assert (len(second.graph.train), second.epochs) == (len(GRAPH.train) + 96, 2)


def test_without_valid_the_default_epochs_are_trained() -> None:
    graph = make_graph((2, 2, 0), [(0, 0), (1, 1)])
    made: list[Course] = []

    def make(given: GraphData) -> Course:
        made.append(Course(given, [0.0] * 9))
        return made[-1]

    _, record = train_until_best(job(graph), make, Stopping(1, 2, 9, default=4))
    assert (made[0].epochs, record["epochs"], record["valid_ndcg@20"]) == (4, 4, None)


# --- negatives -----------------------------------------------------------------------------------


def test_negatives_are_uniform_over_what_a_user_does_not_have() -> None:
    history = history_of(make_graph((2, 5, 0), [(0, 0), (0, 3), (1, 1)]))
    drawn = Negatives(history).draw(torch.zeros(3000, dtype=torch.long), torch.Generator())
    counts = torch.bincount(drawn, minlength=5)
    assert counts[[0, 3]].tolist() == [0, 0]
    assert counts[[1, 2, 4]].min() > 850  # a thousand each


def test_who_has_everything_gets_something() -> None:
    history = history_of(make_graph((1, 2, 0), [(0, 0), (0, 1)]))
    drawn = Negatives(history).draw(torch.zeros(4, dtype=torch.long), torch.Generator())
    assert drawn.shape == (4,)


# --- SLIM ----------------------------------------------------------------------------------------


def test_elastic_net_meets_its_conditions() -> None:
    rng = np.random.default_rng(0)
    rows = (rng.random((60, 6)) < 0.4).astype(float)
    gram, target = rows.T @ rows, rows.T @ (rows[:, 0] * (rng.random(60) < 0.8))
    l1, l2 = 3.0, 2.0
    w = elastic_net(gram, target, l1, l2)
    slope = gram @ w - target + l2 * w + l1  # of the objective, over w >= 0
    assert (w >= 0).all()
    assert (w > 0).any()
    assert (w == 0).any()
    assert np.abs(slope[w > 0]).max() < 1e-10
    assert slope[w == 0].min() > -1e-10


def test_slim_of_one_candidate_by_hand() -> None:
    # Items 0 and 1 share 3 users, 0 and 2 one; item 0 has 4 users, 1 has 3, 2 has 1.
    pairs = [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (2, 1), (3, 2)]
    scorer = slim(history_of(make_graph((4, 3, 0), pairs)), l1=1.0, l2=1.0, candidates=1)
    scores = scorer.score(torch.tensor([3]))[0]
    # w = max(0, c - l1) / (g + l2) from the nearest item: 0 <- 1: (3 - 1) / (3 + 1); 1 <- 0:
    # (3 - 1) / (4 + 1); 2 <- 0: (1 - 1) / 5 = 0. User 3 has 0 and 2.
    assert scores.tolist() == pytest.approx([0.0, 0.4, 0.0])
    assert scorer.score(torch.tensor([0]))[0].tolist() == pytest.approx([0.5, 0.4, 0.0])
    with pytest.raises(ConfigError, match="l2 > 0"):
        slim(history_of(GRAPH), 1.0, 0.0)


# --- factors -------------------------------------------------------------------------------------


@IMPLICIT
def test_als_solves_its_normal_equations() -> None:
    history = history_of(GRAPH)
    alpha, ridge = 4.0, 0.5
    scorer = als(history, 4, ridge, alpha, seed=0)
    P, Q = scorer.user_embedding.double(), scorer.item_embedding.double()
    # Items are solved last: Q_i = (PᵀP + Pᵀ(C_i - I)P + ridge I)⁻¹ Pᵀ C_i x_i, c = alpha at x = 1.
    X = history.dense(torch.float64)
    for item in (0, 7):
        c = 1 + (alpha - 1) * X[:, item]
        A = P.T @ (c[:, None] * P) + ridge * torch.eye(4, dtype=torch.float64)
        exact = torch.linalg.solve(A, P.T @ (alpha * X[:, item]))
        torch.testing.assert_close(Q[item], exact, rtol=0.05, atol=0.02)  # by three CG steps


@IMPLICIT
def test_equal_seeds_give_equal_factors() -> None:
    def trained(seed: int) -> torch.Tensor:
        model = Bpr(GRAPH, (8, 0.05, 0.01), seed)
        for _ in range(2):
            model.train_epoch()
        return model.scorer().item_embedding

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
    history = history_of(GRAPH)
    first, again = (als(history, 4, 1.0, 1.0, seed=5).user_embedding for _ in range(2))
    assert torch.equal(first, again)


@IMPLICIT
def test_bpr_goes_on_with_new_draws_and_its_snapshots_stay() -> None:
    model = Bpr(GRAPH, (8, 0.05, 0.0), 0)
    model.train_epoch()
    early = model.scorer()
    kept = early.item_embedding.clone()
    model.train_epoch()
    assert torch.equal(early.item_embedding, kept)
    assert not torch.equal(model.scorer().item_embedding, kept)


# --- NeuMF ---------------------------------------------------------------------------------------


def test_neumf_scores_rows_as_it_scores_pairs() -> None:
    torch.manual_seed(0)
    network = Network(5, 7, 3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    users, items = torch.meshgrid(torch.arange(5), torch.arange(7), indexing="ij")
    pairs = network(users.flatten(), items.flatten()).view(5, 7)
    torch.testing.assert_close(network.rows(torch.arange(5)), pairs, rtol=1e-4, atol=1e-5)
    # And both are the paper's formula.
    p, q = network.user_deep.weight[2], network.item_deep.weight[4]
    hidden = functional.relu(network.second(functional.relu(network.first(torch.cat([p, q])))))
    both = torch.cat([network.user.weight[2] * network.item.weight[4], hidden])
    torch.testing.assert_close(pairs[2, 4], network.output(both)[0], rtol=1e-4, atol=1e-5)


def test_neumf_is_a_scorer() -> None:
    model = NeuMf(GRAPH, seed=1)
    model.train_epoch()
    scorer = model.scorer()
    users = torch.tensor([3, 0, 3])
    scores = scorer.score(users)
    torch.testing.assert_close(scores[0], scorer.score(torch.tensor([3]))[0])
    again = NeuMfScorer.from_state(*scorer.state())
    assert torch.equal(again.score(users), scores)
    items = torch.tensor([5, 1])
    parts = scorer.contributions(3, items)
    torch.testing.assert_close(parts.score, scores[0, items], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parts.by_item.sum(1) + parts.rest, parts.score)
    model.train_epoch()
    assert torch.equal(scorer.score(users), scores)  # later epochs do not change it
    # 48 users and 32 items with 32 + 64 numbers each, and the layers 128 → 64 → 32 → 1.
    assert count_parameters(scorer) == 80 * 96 + 129 * 64 + 65 * 32 + 65


# --- LightGCN ------------------------------------------------------------------------------------


def test_adjacency_is_normalised_on_both_sides() -> None:
    history = history_of(make_graph((2, 2, 0), [(0, 0), (0, 1), (1, 1)]))
    half = 0.5**0.5
    expected = torch.zeros(4, 4)
    expected[0, 2] = expected[2, 0] = half  # degrees 2 and 1
    expected[0, 3] = expected[3, 0] = 0.5  # 2 and 2
    expected[1, 3] = expected[3, 1] = half  # 1 and 2
    torch.testing.assert_close(_normalised(history).to_dense(), expected)


def test_lightgcn_gives_the_mean_of_its_layers() -> None:
    model = LightGcn(GRAPH, seed=2)
    x = model._model.embedding.weight.detach()
    A = _normalised(history_of(GRAPH)).to_dense()
    layers = [x, A @ x, A @ A @ x, A @ A @ A @ x]
    scorer = model.scorer()
    z = torch.cat([scorer.user_embedding, scorer.item_embedding])
    torch.testing.assert_close(z, sum(layers) / 4, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [LightGcn, NeuMf])
def test_equal_seeds_train_equal_models(kind: type[LightGcn] | type[NeuMf]) -> None:
    def trained(seed: int) -> torch.Tensor:
        model = kind(GRAPH, seed)
        state = torch.random.get_rng_state()
        model.train_epoch()
        assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's draws are used
        return model.scorer().score(torch.arange(3))

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


# --- texts ---------------------------------------------------------------------------------------


def test_content_knn_by_hand() -> None:
    # Around their mean (1, 0), items 0 and 1 point up, 2 and 3 down; item 4 has no text.
    vectors = np.array([[1, 1], [1, 2], [1, -1], [1, -2], [0, 0]], dtype=np.float32)
    history = history_of(make_graph((3, 5, 0), [(0, 0), (1, 0), (1, 3), (1, 2)]))
    scorer = content_scorer(vectors, history)
    scores = scorer.score(torch.arange(3))
    torch.testing.assert_close(scores[0], torch.tensor([1.0, 1, -1, -1, 0]))
    torch.testing.assert_close(scores[1], torch.tensor([-1.0, -1, 1, 1, 0]))  # one up, two down
    torch.testing.assert_close(scores[2], torch.zeros(5))  # a user without items
