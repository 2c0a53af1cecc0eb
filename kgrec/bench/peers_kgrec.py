"""kgrec itself, without knowledge, with attention, and what is made of texts alone."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from kgrec.bench.peer import Job, PeerFit
from kgrec.errors import DataError
from kgrec.graph.texts import text_features
from kgrec.model.graph_scorer import EmbeddingScorer
from kgrec.model.incidence import Incidence
from kgrec.schema import NodeLabel
from kgrec.training.fit import fit
from kgrec.training.inner_split import history_of


def fit_kgrec(job: Job) -> PeerFit:
    """Fits the settings' recommender; its parts get rows of their own."""
    training = job.config.training.model_copy(update={"refit": job.refit, "deploy": False})
    config = job.config.model_copy(update={"seed": job.seed, "training": training})
    # No checkpoints: a resumed fit would not know how long it took.
    recommender = fit(config, job.graph, progress=False)
    parts = dict(recommender.parts)
    if recommender.scorer.innermost is not recommender.scorer:
        # What warm items lose to completed ones is seen beside it.
        parts["without_cold"] = recommender.scorer.innermost
    return PeerFit(recommender.scorer, parts=parts, choices=recommender.record.tree())


def fit_kgrec_no_graph(job: Job) -> PeerFit:
    """Fits the same on the graph without relations; texts then tell names and properties only."""
    peer_fit = fit_kgrec(replace(job, graph=job.graph.without_graph()))
    return replace(peer_fit, parts={})


def fit_kgrec_attention(job: Job) -> PeerFit:
    """Fits the same with the attention encoder; its networks get a row of their own."""
    model = job.config.model.model_copy(update={"encoder": "attention"})
    config = job.config.model_copy(update={"model": model})
    peer_fit = fit_kgrec(replace(job, config=config))
    return replace(peer_fit, parts={"network": peer_fit.parts["network"]})


def fit_content_knn(job: Job) -> PeerFit:
    """Sums the cosines of item texts."""
    vectors = text_features(job.graph, job.config.text)[0][NodeLabel.ITEM]
    if not vectors.any():
        raise DataError(
            "no item has a text, so content-knn has nothing to compare; give [data] items with a "
            "title, or leave content-knn out of [bench] models"
        )
    scorer = content_scorer(vectors, history_of(job.final))
    return PeerFit(scorer, parameters={"": 0})


def content_scorer(vectors: npt.NDArray[np.float32], history: Incidence) -> EmbeddingScorer:
    """Scores an item by the sum of its cosines to the user's items.

    Args:
        vectors: (num_items, d), one text vector an item, zeros without a text. They are centred
            first: raw text vectors all point one way.
        history: The training items of each user.
    """
    has_text = torch.from_numpy(vectors.any(axis=1))
    centred = torch.from_numpy(vectors).clone()
    centred[has_text] -= centred[has_text].mean(dim=0)
    item = functional.normalize(centred, dim=1)  # (num_items, d)
    offsets = history.pointer[:-1]
    user = functional.embedding_bag(history.columns, item, offsets, mode="sum")  # (num_users, d)
    return EmbeddingScorer(user, item, torch.zeros(len(item)), history)
