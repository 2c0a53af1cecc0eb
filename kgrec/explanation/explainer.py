"""Explanations of pairs, one after the other."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from kgrec.explanation.counterfactual import carried, counterfactuals, renormalised_drop
from kgrec.explanation.pair import (
    AttributeShare,
    LayerShare,
    NodeSpace,
    PairExplanation,
    PartShare,
    PathShare,
    PathStep,
    Served,
)
from kgrec.explanation.paths import Paths, Route, find_paths
from kgrec.explanation.reasons import by_kind, own_items
from kgrec.explanation.sentences import language_of, path_text
from kgrec.explanation.walks import Ends, Floats, Member, Networks, Walks, same_graph
from kgrec.model.graph_scorer import PropagationScorer
from kgrec.model.linear_network import LinearNetwork
from kgrec.model.scorer import Contributions, Leaf
from kgrec.schema import NodeLabel
from kgrec.vocabulary import NodeId, id_text

#: Walks of one length, and pairs of messages, that are looked at.
_WALKS, _PRODUCTS = 400_000, 2_000_000


class Explainer:
    """Explains scores of one scorer; what all pairs need is made once.

    Args:
        served: A scorer with the names of its nodes, such as a run.
        language: Of the paths' words.

    Raises:
        ConfigError: If the language is unknown.
    """

    def __init__(self, served: Served, *, language: str = "en") -> None:
        self.scorer = served.scorer
        self.nodes = NodeSpace(served.vocabularies, served.names)
        language_of(language)  # refuse an unknown one before any work
        self.language = language
        self._users = served.vocabularies[NodeLabel.USER]
        self._items = served.vocabularies[NodeLabel.ITEM]
        self._names = served.names
        self._networks: dict[tuple[int, ...], Networks] = {}

    def pair(
        self,
        user_id: NodeId,
        item_id: NodeId,
        num_paths: int = 5,
        *,
        renormalise: bool = False,
        num_counterfactuals: int = 3,
    ) -> PairExplanation:
        """Explains one score.

        Args:
            user_id: A user the scorer knows.
            item_id: An item the scorer knows.
            num_paths: At most so many paths.
            renormalise: Whether each path's drop in a renormalised graph is computed as well.
            num_counterfactuals: At most so many.

        Raises:
            VocabularyError: If the user or the item is unknown.
        """
        user_id, item_id = id_text(user_id), id_text(item_id)
        user, item = self._users.index(user_id), self._items.index(item_id)
        leaves, constant = self.scorer.leaves(user, item)
        contributions = [leaf.scorer.contributions(user, torch.tensor([item])) for leaf in leaves]
        parts = _parts(leaves, contributions, constant)
        score = sum(part.share for part in parts)
        own = own_items(self._items, self._names, _own_shares(leaves, contributions))
        ends = self.ends(leaves, user, item)
        return PairExplanation(
            user_id=user_id,
            item_id=item_id,
            item_name=self._names[NodeLabel.ITEM][item],
            score=score,
            parts=parts,
            own_items=own,
            rest=score - sum(own_item.share for own_item in own),
            relations=by_kind(_relation_shares(leaves, contributions, constant)),
            own_items_exact=all(part.own_items_exact for part in parts),
            relations_exact=all(part.relations_exact for part in parts),
            counterfactuals=counterfactuals(
                self.scorer, self.nodes, ends, (user, item),
                [(self._items.index(own_item.item_id), own_item.share) for own_item in own],
                num_counterfactuals, self.language,
            ),
            **self._of_graph(ends, score, num_paths, renormalise),
        )  # fmt: skip

    def degrees(self) -> Floats | None:
        """How many edges arrive at each node, (N,); None if no network was explained yet."""
        networks = next(iter(self._networks.values()), None)
        return None if networks is None else np.diff(networks.pointer).astype(np.float64)

    def ends(self, leaves: Sequence[Leaf], user: int, item: int) -> Ends | None:
        """The linear networks among the leaves with the walks of a pair; None if there are none."""
        linear = [leaf for leaf in leaves if isinstance(leaf.scorer, PropagationScorer)]
        networks = [leaf for leaf in linear if same_graph(_network(leaf), _network(linear[0]))]
        if not networks:
            return None
        key = tuple(id(leaf.scorer) for leaf in networks)
        if key not in self._networks:
            self._networks[key] = Networks([leaf.scorer for leaf in networks])  # type: ignore[misc]
        walked = self._networks[key]
        node = walked.num_users + item
        scales = np.array([leaf.scale for leaf in networks])
        return Ends(
            walked, scales, user, node, walked.walk(user, _WALKS), walked.walk(node, _WALKS)
        )

    def _of_graph(
        self, ends: Ends | None, score: float, num_paths: int, renormalise: bool
    ) -> dict[str, Any]:
        """What is told of the networks' part of a score."""
        if ends is None:
            return {"beside_layers": score}
        layers = _layers(ends)
        of_layers = sum(layer.share for layer in layers)
        paths = find_paths(ends, num_paths, _PRODUCTS)
        return {
            "layers": layers,
            "beside_layers": score - of_layers,
            "attributes": self._attributes(ends),
            "paths": self._paths(paths, ends, renormalise),
            "linked": paths.linked,
            "apart": of_layers - paths.linked,
            "paths_complete": paths.complete,
            "path_bound": paths.bound,
        }

    def _paths(self, paths: Paths, ends: Ends, renormalise: bool) -> tuple[PathShare, ...]:
        return tuple(
            PathShare(
                nodes=(nodes := tuple(self.nodes.node(number) for number in route.nodes)),
                relations=(steps := _steps(route, ends.networks)),
                share=route.share,
                carried=carried(ends, route.edges),
                text=path_text(nodes, steps, self.language),
                drop_renormalised=renormalised_drop(ends, route.edges) if renormalise else None,
            )
            for route in paths.routes
        )

    def _attributes(self, ends: Ends) -> tuple[AttributeShare, ...]:
        """What each neighbour of the item that is no user brings, the two norms held."""
        into = ends.networks.into(ends.item)
        source, kind = ends.networks.source[into], ends.networks.kind[into]
        edges = np.flatnonzero(source >= ends.networks.num_users)
        shares = np.zeros(len(edges))
        for member in ends.members:
            weight = ends.networks.relation_weight[member.number, kind[edges]]
            message = member.scorer.message[torch.from_numpy(source[edges])].double().numpy()
            norm = ends.networks.norm[into][edges]
            shares += member.factor * weight * norm * (message @ member.z_u)
        order = np.lexsort((source[edges], -np.abs(shares)))
        names = ends.networks.relation_names
        return tuple(
            AttributeShare(
                names[int(kind[edges[row]])].removeprefix("rev_"),
                self.nodes.node(int(source[edges[row]])),
                float(shares[row]),
            )
            for row in order.tolist()
        )


def explain(
    served: Served | Any,
    user_id: NodeId,
    item_id: NodeId,
    num_paths: int = 5,
    *,
    language: str = "en",
    renormalise: bool = False,
    num_counterfactuals: int = 3,
) -> PairExplanation:
    """Explains the score of one user and one item.

    Args:
        served: A run, a `Recommender`, or anything with a scorer, vocabularies and names.
        user_id: A user the scorer knows.
        item_id: An item the scorer knows.
        num_paths: At most so many paths.
        language: Of the paths' words: "en" or "zh".
        renormalise: Whether each path's drop in a renormalised graph is computed as well.
        num_counterfactuals: At most so many.

    Raises:
        VocabularyError: If the user or the item is unknown.
        ConfigError: If the language is unknown.
    """
    return Explainer(getattr(served, "run", served), language=language).pair(
        user_id,
        item_id,
        num_paths,
        renormalise=renormalise,
        num_counterfactuals=num_counterfactuals,
    )


def _network(leaf: Leaf) -> LinearNetwork:
    assert isinstance(leaf.scorer, PropagationScorer)
    return leaf.scorer.network


def _parts(
    leaves: Sequence[Leaf], contributions: Sequence[Contributions], constant: float
) -> tuple[PartShare, ...]:
    parts = [
        PartShare(
            name=leaf.name,
            kind=type(leaf.scorer).__name__,
            share=leaf.scale * (float(part.score[0]) - leaf.shift),
            scale=leaf.scale,
            own_score=float(part.score[0]),
            own_items_exact=part.exact,
            relations_exact=part.relations_exact,
        )
        for leaf, part in zip(leaves, contributions, strict=True)
    ]
    if constant:
        parts.append(PartShare("centring", "constant", constant))
    return tuple(parts)


def _own_shares(
    leaves: Sequence[Leaf], contributions: Sequence[Contributions]
) -> Iterator[tuple[int, float]]:
    for leaf, part in zip(leaves, contributions, strict=True):
        shares = (leaf.scale * part.by_item[0].double()).tolist()
        yield from zip(part.own_items.tolist(), shares, strict=True)


def _relation_shares(
    leaves: Sequence[Leaf], contributions: Sequence[Contributions], constant: float
) -> Iterator[tuple[str, float]]:
    yield "self", constant
    for leaf, part in zip(leaves, contributions, strict=True):
        yield "self", -leaf.scale * leaf.shift
        for name, share in zip(
            part.relation_names, part.by_relation[0].double().tolist(), strict=True
        ):
            yield name, leaf.scale * share


def _layers(ends: Ends) -> tuple[LayerShare, ...]:
    """The product of every layer of the user with every layer of the item, of all networks."""
    count = ends.networks.num_layers + 1
    total = np.zeros((count, count))
    for member in ends.members:
        user = _rows(member, ends.user_reach.levels, member.z_u)
        item = _rows(member, ends.item_reach.levels, member.z_i)
        total += member.factor * (user @ item.T)
    return tuple(LayerShare(a, b, float(total[a, b])) for a in range(count) for b in range(count))


def _rows(member: Member, levels: Sequence[Walks], z: Floats) -> Floats:
    """A node's rows of X, P X, …, P^L X over L + 1; the last is what is left of z, (L + 1, d)."""
    rows = []
    for level in levels[:-1]:
        x = member.scorer.network.x[torch.from_numpy(level.ends)].double().numpy()
        rows.append(level.weights[member.number] @ x / len(levels))
    rows.append(z - sum(rows) if rows else z)
    return np.stack(rows)


def _steps(route: Route, networks: Networks) -> tuple[PathStep, ...]:
    """A message named `rev_X` to the node before runs against a fact X that leads onwards."""
    names = [networks.relation_names[kind] for kind in route.kinds]
    return tuple(PathStep(name.removeprefix("rev_"), name.startswith("rev_")) for name in names)
