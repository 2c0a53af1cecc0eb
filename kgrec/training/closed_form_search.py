"""Finds the closed form's ridge and relation weights on an inner split of train.

The fusion's weights are found on valid. A part whose own settings were chosen there too would look
better than it is and take all the weight, so this search never sees valid.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from kgrec.config import ClosedFormConfig
from kgrec.errors import ConfigError
from kgrec.evaluation.ranking import RankingTask
from kgrec.graph.data import GraphData, IndexArray, Interactions, RelationEdges
from kgrec.model.closed_form import ClosedForm, RelationRows
from kgrec.model.incidence import Incidence
from kgrec.schema import NodeLabel, Role, Split

logger = logging.getLogger(__name__)

_RIDGES = (20.0, 50.0, 100.0, 200.0, 400.0, 800.0)
_DEFAULT_RIDGE = 200.0
_START = 1.0
_STEP = 4.0
_MOST_STEPS = 4
_MOST_RELATIONS = 12
_MOST_USERS = 4_000


@dataclass(frozen=True)
class ClosedFormSettings:
    """What the search found.

    Attributes:
        ridge: λ.
        relation_weights: w_r by name; relations that did not help are absent.
        inner_ndcg: NDCG@20 on the inner split, before and after the relations; None if nothing
            was searched.
    """

    ridge: float
    relation_weights: dict[str, float]
    inner_ndcg: tuple[float, float] | None


def relation_rows(graph: GraphData) -> list[RelationRows]:
    """Gives each relation, and each behaviour that speaks for items, as rows over the items.

    An entity's row has the items it is connected to by the relation, in either direction; for a
    relation between items, an item's row has itself and its neighbours; for a behaviour, a user's
    row has the items of it. What users are told by (a country, whom they follow) has no items, and
    what they turned down does not say which items go together: neither gives rows. Nor does a
    relation without a row of two items (the reviews, each of one).

    A behaviour that is named like a relation gets its role behind its name.
    """
    parts: dict[tuple[str, Role], list[tuple[IndexArray, IndexArray, int]]] = {}
    for relation in graph.relations:
        entry = _rows_of(relation, graph)
        if entry is not None and len(relation):
            parts.setdefault((relation.name, relation.role), []).append(entry)
    names = {name for name, role in parts if role is Role.RELATION}
    out = []
    for (name, role), entries in sorted(parts.items()):
        offsets = np.cumsum([0, *(size for *_, size in entries)])
        owner = np.concatenate(
            [part[0] + offset for part, offset in zip(entries, offsets, strict=False)]
        )
        member = np.concatenate([part[1] for part in entries])
        by_user = role is Role.EVIDENCE
        if by_user:
            count = graph.num_users
        else:  # rows of no item say nothing; keeping them would only cost memory
            kept, owner = np.unique(owner, return_inverse=True)
            count = len(kept)
        rows = Incidence.from_pairs(
            torch.from_numpy(owner), torch.from_numpy(member), count, graph.num_items
        )
        if int(rows.lengths.max()) > 1:
            called = f"{name}_{role}" if by_user and name in names else name
            out.append(RelationRows(called, rows, by_user))
    return out


def _rows_of(edges: RelationEdges, graph: GraphData) -> tuple[IndexArray, IndexArray, int] | None:
    """Gives owners of rows (n,), items (n,) and the number of owners; None if there are none."""
    head, tail = edges.head_index, edges.tail_index
    ends = edges.key.head, edges.key.tail
    if edges.role is Role.EVIDENCE:
        return head, tail, graph.num_users
    if edges.role is not Role.RELATION:
        return None
    if ends == (NodeLabel.ITEM, NodeLabel.ITEM):
        every = np.unique(np.concatenate([head, tail]))
        both = np.concatenate([head, tail, every]), np.concatenate([tail, head, every])
        return *both, graph.num_items
    if ends == (NodeLabel.ITEM, NodeLabel.ENTITY):
        return tail, head, graph.num_entities
    if ends == (NodeLabel.ENTITY, NodeLabel.ITEM):
        return head, tail, graph.num_entities
    return None


def search_closed_form(
    graph: GraphData,
    config: ClosedFormConfig,
    *,
    seed: int,
    on_trial: Callable[[str], None] = lambda _: None,
) -> ClosedFormSettings:
    """Chooses λ from a grid, then climbs over the weights of the 12 largest rows in turn.

    Both on the most popular items only (`config.search_items`), with a tenth of their training
    interactions held out: the weights carry over to the whole catalogue, the cost does not.

    Args:
        graph: The graph; only its train interactions and relations are read.
        config: Given values are not searched.
        seed: Of the inner split.
        on_trial: Is told what is tried.

    Raises:
        ConfigError: If a given weight is negative or of a relation that has no rows over items.
    """
    relations = relation_rows(graph)
    _refuse_unknown(config.relation_weights or {}, {relation.name for relation in relations})
    if config.ridge is not None and config.relation_weights is not None:
        return ClosedFormSettings(config.ridge, dict(config.relation_weights), None)
    inner, rows = inner_graph(graph, relations, config.search_items, seed)
    if not len(inner.held_out[Split.VALID]):
        logger.warning("closed_form: no user has 3 training items, so nothing is searched")
        return ClosedFormSettings(
            config.ridge or _DEFAULT_RIDGE, dict(config.relation_weights or {}), None
        )
    task = RankingTask(inner, Split.VALID, max_users=_MOST_USERS, seed=seed)
    history = Incidence.from_pairs(
        torch.from_numpy(inner.train.user_index),
        torch.from_numpy(inner.train.item_index),
        inner.num_users,
        inner.num_items,
    )

    def judge(ridge: float, weights: Mapping[str, float]) -> float:
        scorer = ClosedForm.fit(history, rows, weights, ridge)
        value = float(task.run(scorer, k=(20,))["ndcg@20"].mean())
        logger.info("closed_form ridge=%g weights=%s inner_ndcg@20=%.4f", ridge, weights, value)
        return value

    on_trial("ridge")
    given = dict(config.relation_weights or {})
    ridges = _RIDGES if config.ridge is None else (config.ridge,)
    trials = {ridge: judge(ridge, given) for ridge in ridges}
    ridge = max(trials, key=lambda r: trials[r])
    plain = trials[ridge]
    if config.relation_weights is not None:
        return ClosedFormSettings(ridge, given, (plain, plain))
    best, weights = plain, given
    largest = sorted(rows, key=lambda r: (-len(r.rows.columns), r.name))[:_MOST_RELATIONS]
    for relation in largest:
        on_trial(relation.name)
        best, weights = _climb(relation.name, best, weights, lambda w: judge(ridge, w))
    return ClosedFormSettings(ridge, weights, (plain, best))


def _refuse_unknown(weights: Mapping[str, float], names: set[str]) -> None:
    for name, weight in weights.items():
        if name not in names:
            raise ConfigError(
                f"closed_form.relation_weights names {name!r}, expected one of {sorted(names)}; "
                f"check its spelling"
            )
        if weight < 0:
            raise ConfigError(
                f"closed_form.relation_weights.{name} is {weight}, expected 0 or more; "
                f"0 leaves the relation out"
            )


def _climb(
    name: str,
    best: float,
    weights: dict[str, float],
    judge: Callable[[Mapping[str, float]], float],
) -> tuple[float, dict[str, float]]:
    """Tries `name` at 1 and on up while that helps, else at 1/4 and on down."""
    for factor in (_STEP, 1 / _STEP):
        value = weights[name] * factor if name in weights else min(_START, _START * factor)
        for _ in range(_MOST_STEPS):
            trial = weights | {name: value}
            score = judge(trial)
            if score <= best:
                break
            best, weights, value = score, trial, value * factor
        if weights.get(name, 0.0) > _START:
            break  # upwards helped, so downwards cannot
    return best, weights


def inner_graph(
    graph: GraphData, relations: Sequence[RelationRows], most_items: int, seed: int
) -> tuple[GraphData, list[RelationRows]]:
    """Gives a smaller problem made of train alone: popular items, a tenth of each user held out.

    Users keep at least two items to learn from. Behaviours of the held-out pairs are left out, as
    those of valid and test are. Item indices are those of the kept items.
    """
    user, item = graph.train.user_index, graph.train.item_index
    popularity = np.bincount(item, minlength=graph.num_items)
    kept = np.sort(np.argsort(-popularity, kind="stable")[:most_items])
    place = np.full(graph.num_items, -1)
    place[kept] = np.arange(len(kept))
    inside = place[item] >= 0
    user, item = user[inside], place[item[inside]]
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(user)), user))
    user, item = user[order], item[order]
    count = np.bincount(user, minlength=graph.num_users)
    rank = np.arange(len(user)) - (np.cumsum(count) - count)[user]
    held = rank < np.where(count >= 3, np.maximum(count // 10, 1), 0)[user]
    ids = [graph.vocabularies[NodeLabel.ITEM].ids[i] for i in kept]
    vocabularies = dict(graph.vocabularies)
    vocabularies[NodeLabel.ITEM] = type(vocabularies[NodeLabel.ITEM])(ids, "Item")
    inner = GraphData(
        graph.version,
        vocabularies,
        {},
        Interactions(user[~held], item[~held]),
        {Split.VALID: Interactions(user[held], item[held])},
        (),
    )
    held_keys = torch.from_numpy(user[held] * len(kept) + item[held])
    rows = []
    for relation in relations:
        owner, member = relation.rows.rows, torch.from_numpy(place)[relation.rows.columns]
        there = member >= 0
        if relation.by_user:
            there &= ~torch.isin(owner * len(kept) + member, held_keys)
        smaller = Incidence.from_pairs(
            owner[there], member[there], relation.rows.num_rows, len(kept)
        )
        rows.append(replace(relation, rows=smaller))
    return inner, rows
