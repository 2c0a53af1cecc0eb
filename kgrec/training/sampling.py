"""Batches of positives and shared negatives, drawn from explicit generators."""

from collections.abc import Iterator

import torch
from torch import Tensor

from kgrec.model.incidence import Incidence
from kgrec.model.network import GraphTensors


def sample_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Gives the places 0 … count - 1 in random order, (batch_size,) int64 at a time."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, batch_size):
        yield order[start : start + batch_size]


def negative_probability(history: Incidence, exponent: float = 0.75) -> Tensor:
    """Gives the probability (num_items,) of drawing each item: (1 + popularity)^exponent.

    References:
        Mikolov et al., arXiv:1310.4546, section 2.2.
    """
    popularity = torch.bincount(history.columns, minlength=history.num_columns)
    weight = (1.0 + popularity.double()).pow(exponent)
    return (weight / weight.sum()).float()


def sample_negatives(
    probability: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draws items with replacement and gives each distinct one once.

    Args:
        probability: (num_items,), q.
        count: Number of draws n.
        generator: On the CPU.

    Returns:
        The items (m,) int64, ascending, and log(n q_j / times drawn) (m,): subtracting it from the
        scores makes the sum over the drawn items an unbiased estimate of the sum over all.
    """
    draws = torch.multinomial(probability, count, replacement=True, generator=generator)
    items, times = torch.unique(draws, return_counts=True)
    return items, torch.log(probability[items] * count / times)


def interaction_edges(graph: GraphTensors, history: Incidence) -> Tensor:
    """Finds the edges of each training interaction: int64 (2, n), places in edge_index.

    Args:
        graph: The graph that holds every interaction in both directions.
        history: The interactions, whose order the answer has; forward above reverse.
    """
    wanted = history.rows * graph.num_items + history.columns  # (n,) ascending
    out = []
    for name, (user, item) in (("INTERACTED", (0, 1)), ("rev_INTERACTED", (1, 0))):
        kind = graph.relation_names.index(name)
        places = torch.nonzero(graph.edge_type == kind).squeeze(1)
        edges = graph.edge_index[:, places]
        keys = edges[user] * graph.num_items + edges[item] - graph.num_users
        order = torch.argsort(keys)
        out.append(places[order[torch.searchsorted(keys[order], wanted)]])
    return torch.stack(out)


def known_pairs(history: Incidence, users: Tensor) -> Tensor:
    """Gives (row, item) of every training item of users (B,): int64 (2, m)."""
    items, lengths = history.take(users)
    rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), lengths)
    return torch.stack([rows, items])


def known_among(history: Incidence, users: Tensor, items: Tensor) -> Tensor:
    """Says which of the items (m,), distinct, are training items of users (B,): bool (B, m)."""
    place = torch.full((history.num_columns,), -1, device=items.device)
    place[items] = torch.arange(len(items), device=items.device)
    rows, known = known_pairs(history, users)
    columns = place[known]
    drawn = columns >= 0
    mask = torch.zeros(len(users), len(items), dtype=torch.bool, device=items.device)
    mask[rows[drawn], columns[drawn]] = True
    return mask
