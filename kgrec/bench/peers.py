"""The peers by name."""

from functools import partial

from kgrec.bench import peers_factors, peers_items, peers_kgrec, peers_networks
from kgrec.bench.hopwise.fit import fit_hopwise_peer
from kgrec.bench.peer import Peer
from kgrec.errors import ConfigError
from kgrec.evaluation.floors import NEIGHBOURHOODS, RIDGES

#: The peer that the others are compared with.
REFERENCE = "kgrec"

_SEARCHED = "chosen on valid from"

_OWN = (
    Peer(REFERENCE, "searches its settings itself", peers_kgrec.fit_kgrec, sections=None),
    Peer(
        "kgrec-no-graph",
        "as kgrec, on the graph without relations",
        peers_kgrec.fit_kgrec_no_graph,
        sections=None,
    ),
    Peer(
        "kgrec-attention",
        "as kgrec, its networks with the attention encoder",
        peers_kgrec.fit_kgrec_attention,
        sections=None,
    ),
    Peer("popularity", "nothing to choose", peers_items.fit_popularity, seeded=False),
    Peer(
        "itemknn",
        f"(neighbours, shrink) {_SEARCHED} {NEIGHBOURHOODS}",
        peers_items.fit_itemknn,
        seeded=False,
    ),
    Peer("ease", f"ridge {_SEARCHED} {RIDGES}", peers_items.fit_ease, seeded=False),
    Peer(
        "slim",
        f"an exact non-negative elastic net an item, among the {peers_items.CANDIDATES} items "
        f"most often taken together; (l1, l2) {_SEARCHED} {peers_items.PENALTIES}",
        peers_items.fit_slim,
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
        peers_networks.fit_neumf,
    ),
    Peer(
        "lightgcn",
        "torch-geometric's LightGCN as published: 64 dimensions, 3 layers, BPR, Adam 0.001, L2 "
        "1e-4, batches of 2,048, stopped early on valid",
        peers_networks.fit_lightgcn,
    ),
    Peer(
        "content-knn",
        "sum of the cosines of centred text vectors to the user's items",
        peers_kgrec.fit_content_knn,
        seeded=False,
        sections=("text",),
    ),
)

_HOPWISE = tuple(
    Peer(
        f"hopwise-{model.lower()}",
        f"hopwise's {model} in an environment of its own, on the same split and graph; published "
        f"or hopwise's default settings, stopped early on valid",
        partial(fit_hopwise_peer, model),
    )
    for model in ("LightGCN", "KGIN", "KGRec", "MCCLK", "CFKG", "RippleNet")
)

#: Every peer by name.
PEERS: dict[str, Peer] = {peer.name: peer for peer in (*_OWN, *_HOPWISE)}


def find_peer(name: str) -> Peer:
    """Gives a peer; raises ConfigError if there is none of that name."""
    if name not in PEERS:
        raise ConfigError(f"no model {name!r}; expected one of {', '.join(PEERS)}")
    return PEERS[name]
