"""Synthetic edges as a relation of their own that passes messages."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from kgrec.graph.synthetic import SyntheticEdges
from kgrec.model.network import GraphTensors
from kgrec.schema import SYNTHETIC
from kgrec.training.resume import Trained

_WEIGHT = "encoder.weight"


def with_synthetic(graph: GraphTensors, edges: SyntheticEdges) -> GraphTensors:
    """Gives the graph with proposed pairs as one more relation, and its reverse.

    They are no interactions: popularity does not count them, no batch hides them, and they have a
    name by which whoever explains a score knows what they are.

    Args:
        graph: Without them.
        edges: Proposed pairs.
    """
    device, count = graph.edge_index.device, len(graph.relation_names)
    users = torch.from_numpy(edges.user_index).to(device)
    items = torch.from_numpy(edges.item_index).to(device) + graph.num_users
    forward = torch.stack([users, items])
    kinds = torch.arange(count, count + 2, device=device).repeat_interleave(len(edges))
    return replace(
        graph,
        edge_index=torch.cat([graph.edge_index, forward, forward.flip(0)], dim=1),
        edge_type=torch.cat([graph.edge_type, kinds]),
        relation_names=(*graph.relation_names, SYNTHETIC, f"rev_{SYNTHETIC}"),
        relation_signs=(*graph.relation_signs, 1, 1),
    )


def extended(start: Trained, graph: GraphTensors, weight: float) -> Trained:
    """Gives a trained network's state a weight for relations that it has not met.

    Args:
        start: Of linear propagation.
        graph: What it goes on with; its new relations are the last.
        weight: Where they begin; every relation of an untrained network begins at 1.
    """
    known: Tensor = start.state[_WEIGHT]
    missing = len(graph.relation_names) - len(known)
    if not missing:  # it went on with them before
        return start
    first = math.log(math.expm1(weight))  # softplus gives the weight
    longer = torch.cat([known, known.new_full((missing,), first)])
    return Trained({**start.state, _WEIGHT: longer}, start.epochs)
