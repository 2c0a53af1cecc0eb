"""The floors as peers: popularity, ItemKNN and EASE, each searched and fitted alone."""

from kgrec.bench.peer import SEARCH_ITEMS, Job, PeerFit
from kgrec.evaluation.floors import (
    DEFAULT_NEIGHBOURHOOD,
    DEFAULT_RIDGE,
    NEIGHBOURHOODS,
    RIDGES,
    choose,
    most_popular,
    train_pairs,
)
from kgrec.graph.data import GraphData
from kgrec.model.ease import Ease
from kgrec.model.itemknn import ItemKNN
from kgrec.model.popularity import Popularity


def searched(graph: GraphData, num_items: int = SEARCH_ITEMS) -> GraphData:
    """Gives the graph, of a large catalogue only the most popular items, for searches."""
    return most_popular(graph, num_items) if graph.num_items > num_items else graph


def fit_popularity(job: Job) -> PeerFit:
    """Counts."""
    return PeerFit(Popularity.fit(*train_pairs(job.final)), parameters={"": job.graph.num_items})


def fit_itemknn(job: Job) -> PeerFit:
    """Chooses neighbours and shrink on valid."""

    def fit(graph: GraphData, neighbourhood: tuple[int, int]) -> ItemKNN:
        neighbours, shrink = neighbourhood
        return ItemKNN.fit(*train_pairs(graph), neighbours=neighbours, shrink=shrink)

    best = choose(searched(job.graph), NEIGHBOURHOODS, DEFAULT_NEIGHBOURHOOD, fit)
    return PeerFit(fit(job.final, best), choices={"neighbours": best[0], "shrink": best[1]})


def fit_ease(job: Job) -> PeerFit:
    """Chooses the ridge on valid."""

    def fit(graph: GraphData, ridge: float) -> Ease:
        return Ease.fit(*train_pairs(graph), ridge=ridge)

    ridge = choose(searched(job.graph), RIDGES, DEFAULT_RIDGE, fit)
    return PeerFit(fit(job.final, ridge), choices={"ridge": ridge})
