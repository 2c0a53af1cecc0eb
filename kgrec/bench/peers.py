"""The peers by name."""

from collections.abc import Callable
from functools import partial

from kgrec.bench import peers_factors, peers_floors, peers_slim
from kgrec.bench.peer import Job, Peer, PeerFit
from kgrec.errors import ConfigError
from kgrec.evaluation.floors import NEIGHBOURHOODS, RIDGES

# Fits are imported when they are called: torch-geometric takes seconds and 400 MB, which should
# not count as ItemKNN's.

#: The peer that the others are compared with.
REFERENCE = "kgrec"


def _kgrec(job: Job) -> PeerFit:
    from kgrec.bench.peers_kgrec import fit_kgrec

    return fit_kgrec(job)


def _kgrec_no_graph(job: Job) -> PeerFit:
    from kgrec.bench.peers_kgrec import fit_kgrec_no_graph

    return fit_kgrec_no_graph(job)


def _kgrec_attention(job: Job) -> PeerFit:
    from kgrec.bench.peers_kgrec import fit_kgrec_attention

    return fit_kgrec_attention(job)


def _content_knn(job: Job) -> PeerFit:
    from kgrec.bench.peers_content import fit_content_knn

    return fit_content_knn(job)


def _neumf(job: Job) -> PeerFit:
    from kgrec.bench.peers_neumf import fit_neumf

    return fit_neumf(job)


def _lightgcn(job: Job) -> PeerFit:
    from kgrec.bench.peers_lightgcn import fit_lightgcn

    return fit_lightgcn(job)


def _hopwise(model: str, job: Job) -> PeerFit:
    from kgrec.bench.hopwise.fit import fit_hopwise_peer

    return fit_hopwise_peer(model, job)


_SEARCHED = "chosen on valid from"

_OWN = (
    Peer(REFERENCE, "searches its settings itself", _kgrec, sections=None),
    Peer(
        "kgrec-no-graph",
        "as kgrec, on the graph without relations",
        _kgrec_no_graph,
        sections=None,
    ),
    Peer(
        "kgrec-attention",
        "as kgrec, its networks with the attention encoder",
        _kgrec_attention,
        sections=None,
    ),
    Peer("popularity", "nothing to choose", peers_floors.fit_popularity, seeded=False),
    Peer(
        "itemknn",
        f"(neighbours, shrink) {_SEARCHED} {NEIGHBOURHOODS}",
        peers_floors.fit_itemknn,
        seeded=False,
    ),
    Peer("ease", f"ridge {_SEARCHED} {RIDGES}", peers_floors.fit_ease, seeded=False),
    Peer(
        "slim",
        f"an exact non-negative elastic net an item, among the {peers_slim.CANDIDATES} items "
        f"most often taken together; (l1, l2) {_SEARCHED} {peers_slim.PENALTIES}",
        peers_slim.fit_slim,
        seeded=False,
    ),
    Peer(
        "als",
        f"implicit's AlternatingLeastSquares, {peers_factors.ALS_ITERATIONS} iterations; "
        f"regularisation 1, 10, 30 or 100 and alpha 1, 5, 10 or 20 {_SEARCHED} all combinations at "
        f"64 factors, then factors {_SEARCHED} {peers_factors.ALS_FACTORS}",
        peers_factors.fit_als,
    ),
    Peer(
        "bpr",
        f"implicit's BayesianPersonalizedRanking on one thread; (factors, learning rate, "
        f"regularisation) {_SEARCHED} {peers_factors.BPR_GRID}, each stopped early on valid",
        peers_factors.fit_bpr,
    ),
    Peer(
        "neumf",
        "He et al. 2017: 32 predictive factors, perceptron 128-64-32, log loss, 4 negatives, Adam "
        "0.001, batches of 1,024, no pretraining, stopped early on valid",
        _neumf,
    ),
    Peer(
        "lightgcn",
        "torch-geometric's LightGCN as published: 64 dimensions, 3 layers, BPR, Adam 0.001, L2 "
        "1e-4, batches of 2,048, stopped early on valid",
        _lightgcn,
    ),
    Peer(
        "content-knn",
        "sum of the cosines of centred text vectors to the user's items",
        _content_knn,
        seeded=False,
        sections=("text",),
    ),
)

#: hopwise's models by the name of their peer.
HOPWISE = {
    f"hopwise-{model.lower()}": model
    for model in ("LightGCN", "KGIN", "KGRec", "MCCLK", "CFKG", "RippleNet")
}


def _hopwise_peer(name: str, model: str) -> Peer:
    fit: Callable[[Job], PeerFit] = partial(_hopwise, model)
    settings = (
        f"hopwise's {model} in an environment of its own, on the same split and graph; published "
        f"or hopwise's default settings, stopped early on valid"
    )
    return Peer(name, settings, fit)


#: Every peer by name.
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (*_OWN, *(_hopwise_peer(name, model) for name, model in HOPWISE.items()))
}


def find_peer(name: str) -> Peer:
    """Gives a peer; raises ConfigError if there is none of that name."""
    if name not in PEERS:
        raise ConfigError(f"no model {name!r}; expected one of {', '.join(PEERS)}")
    return PEERS[name]
