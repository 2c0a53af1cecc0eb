"""kgrec itself, the same without knowledge, and with attention in its networks."""

from dataclasses import replace

from kgrec.bench.peer import Job, PeerFit
from kgrec.training.fit import fit


def fit_kgrec(job: Job) -> PeerFit:
    """Fits the settings' recommender; its parts get rows of their own."""
    training = job.config.training.model_copy(update={"refit": job.refit})
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
