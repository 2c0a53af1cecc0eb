"""What every query must answer on a dataset, in plain Python."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from kgrec.data.tables import Dataset
from kgrec.schema import EDGE_PROPERTIES, EdgeKey, NodeLabel, Role, Split

Row = dict[str, Any]
Node = tuple[NodeLabel, str]


@dataclass(frozen=True)
class Edge:
    """One edge that is no interaction."""

    name: str
    key: EdgeKey
    head: str
    tail: str
    role: Role

    @property
    def ends(self) -> tuple[Node, Node]:
        return (self.key.head, self.head), (self.key.tail, self.tail)


class Facts:
    """A dataset, so that questions are short."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.train = dataset.pairs(Split.TRAIN).rename(columns={"head": "user", "tail": "item"})
        self.items_of: dict[str, set[str]] = {x: set() for x in dataset.nodes[NodeLabel.USER]["id"]}
        self.users_of: dict[str, set[str]] = {x: set() for x in dataset.nodes[NodeLabel.ITEM]["id"]}
        for user, item in zip(self.train["user"], self.train["item"], strict=True):
            self.items_of[user].add(item)
            self.users_of[item].add(user)
        self.met = {user: set(items) for user, items in self.items_of.items()}
        for split in (Split.VALID, Split.TEST):
            for user, item in dataset.pairs(split)[["head", "tail"]].itertuples(index=False):
                self.met[user].add(item)
        self.edges = [
            Edge(table.name, table.key, head, tail, table.role)
            for table in dataset.relations
            for head, tail in dataset.pairs(table.key)[["head", "tail"]].itertuples(index=False)
        ]
        self._shown = {
            (label, key): None if pd.isna(value) else value
            for label, column in ((NodeLabel.ITEM, "title"), (NodeLabel.ENTITY, "name"))
            for key, value in zip(
                dataset.nodes[label]["id"], dataset.nodes[label][column], strict=True
            )
        }

    def title(self, item: str) -> str | None:
        return self._shown[NodeLabel.ITEM, item]

    def name(self, entity: str) -> str | None:
        return self._shown[NodeLabel.ENTITY, entity]

    def shown(self, node: Node) -> str | None:
        return self._shown.get(node)

    def interactions(self, node: Node) -> int:
        known = {NodeLabel.USER: self.items_of, NodeLabel.ITEM: self.users_of}
        return len(known[node[0]].get(node[1], ()))

    def degree(self, node: Node) -> int:
        if node[0] == NodeLabel.ENTITY:
            return len(list(self.relations_at(node)))
        return 1 + self.interactions(node)

    def relations_at(self, node: Node) -> Iterator[tuple[Edge, bool, Node]]:
        """The relation edges at a node: edge, whether it leaves the node, far end; loops once."""
        for edge in self.edges:
            if edge.role == Role.RELATION and node in edge.ends:
                outgoing = edge.ends[0] == node
                yield edge, outgoing, edge.ends[1 if outgoing else 0]

    def own_properties(self, label: NodeLabel, key: str) -> Row:
        frame = self.dataset.nodes[label]
        row = frame[frame["id"] == key].iloc[0].to_dict()
        hidden = {"id", "load", "title", "name"}
        return {k: v for k, v in row.items() if k not in hidden and not pd.isna(v)}


def weight_of(weights: Mapping[str, float], step: str) -> float:
    return weights.get(step, weights.get(step.removeprefix("rev_"), 1))


class Oracle(Facts):
    """Answers the queries that ask one statement."""

    def user_history(self, user: str, skip: int, limit: int) -> list[Row]:
        rows = [
            {
                "id": row["item"],
                "title": self.title(row["item"]),
                "rating": row.get("rating"),
                "time": row.get("time"),
                "split": str(split),
            }
            for split in Split
            for row in self.dataset.pairs(split).rename(columns={"tail": "item"}).to_dict("records")
            if row["head"] == user
        ]
        return sorted(rows, key=lambda row: (-(row["time"] or 0), row["id"]))[skip:][:limit]

    def user_profile(self, user: str, limit: int) -> list[Row]:
        if user not in self.items_of:
            return []
        own = self.train[self.train["user"] == user]
        values = {name: own[name].tolist() if name in own else [] for name in ("time", "rating")}
        ratings, times = values["rating"], values["time"]
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self.items_of[user]:
            found = {(e.key.type, far) for e, _, far in self.relations_at((NodeLabel.ITEM, item))}
            for kind, (label, key) in found:
                if label == NodeLabel.ENTITY:
                    counts[kind][key] += 1
        behaviours = Counter(
            edge.key.type
            for edge in self.edges
            if edge.role in {Role.EVIDENCE, Role.NEGATIVE} and edge.head == user
        )
        return [
            {
                "id": user,
                "interactions": len(own),
                "first": min(times, default=None),
                "last": max(times, default=None),
                "rating": sum(ratings) / len(ratings) if ratings else None,
                "behaviours": [{"type": k, "edges": n} for k, n in sorted(behaviours.items())],
                "properties": self.own_properties(NodeLabel.USER, user),
                "attributes": [
                    {"type": kind, "id": key, "name": self.name(key), "items": number}
                    for kind in sorted(counts)
                    for key, number in sorted(counts[kind].items(), key=lambda x: (-x[1], x[0]))[
                        :limit
                    ]
                ],
            }
        ]

    def popular(self, since: float | None, until: float | None, skip: int, limit: int) -> list[Row]:
        counts = Counter(self._between(since, until))
        rows = [{"id": x, "title": self.title(x), "users": n} for x, n in counts.items()]
        return sorted(rows, key=lambda row: (-row["users"], row["id"]))[skip:][:limit]

    def trending(self, since: float, until: float, skip: int, limit: int) -> list[Row]:
        recent = Counter(self._between(since, until))
        before = Counter(self._between(since - (until - since), since))
        rows = [
            {
                "id": item,
                "title": self.title(item),
                "recent": count,
                "earlier": before[item],
                "score": (count - before[item]) / math.sqrt(count + before[item]),
            }
            for item, count in recent.items()
            if count > before[item]
        ]
        return sorted(rows, key=lambda row: (-row["score"], -row["recent"], row["id"]))[skip:][
            :limit
        ]

    def _between(self, since: float | None, until: float | None) -> list[str]:
        if since is None and until is None:
            return self.train["item"].tolist()
        if "time" not in self.train:
            return []
        time = self.train["time"]
        low, high = -math.inf if since is None else since, math.inf if until is None else until
        return self.train["item"][(time >= low) & (time < high)].tolist()

    def similar_items(self, item: str, skip: int, limit: int) -> list[Row]:
        own = self.users_of[item]
        rows = [
            {
                "id": other,
                "title": self.title(other),
                "shared": len(own & users),
                "cosine": len(own & users) / math.sqrt(len(own) * len(users)),
            }
            for other, users in self.users_of.items()
            if other != item and own & users
        ]
        return sorted(rows, key=lambda row: (-row["cosine"], row["id"]))[skip:][:limit]

    def similar_by_attributes(
        self, item: str, weights: Mapping[str, float], max_degree: int, skip: int, limit: int
    ) -> list[Row]:
        here, to = (NodeLabel.ITEM, item), Counter[Node]()
        for edge, outgoing, far in self.relations_at(here):
            if far[0] == NodeLabel.ENTITY and self.degree(far) <= max_degree:
                to[far] += weight_of(weights, edge.key.type if outgoing else f"rev_{edge.key.type}")
        scores, shared = Counter[str](), defaultdict[str, set[Node]](set)
        for entity, weight in to.items():
            for edge, outgoing, far in self.relations_at(entity):
                if far[0] == NodeLabel.ITEM and far != here:
                    step = edge.key.type if outgoing else f"rev_{edge.key.type}"
                    scores[far[1]] += weight / self.degree(entity) * weight_of(weights, step)
                    shared[far[1]].add(entity)
        rows = [
            {"id": x, "title": self.title(x), "shared": len(shared[x]), "score": round(score, 9)}
            for x, score in scores.items()
            if round(score, 9) > 0
        ]
        return sorted(rows, key=lambda row: (-row["score"], row["id"]))[skip:][:limit]

    def candidates(
        self,
        attributes: Mapping[str, Sequence[str]],
        ranges: Mapping[str, tuple[float | None, float | None]],
        available: str | None,
        user: str | None,
        unseen: bool,
        undisliked: bool,
        skip: int,
        limit: int,
    ) -> list[Row]:
        if user is not None and user not in self.items_of:
            return []
        disliked = {e.tail for e in self.edges if e.role == Role.NEGATIVE and e.head == user}
        rows = []
        for item, users in self.users_of.items():
            own = self.own_properties(NodeLabel.ITEM, item)
            has = {(e.key.type, far) for e, _, far in self.relations_at((NodeLabel.ITEM, item))}
            fits = all(
                any((kind.upper(), (NodeLabel.ENTITY, key)) in has for key in keys)
                for kind, keys in attributes.items()
            ) and all(
                name in own and (low or -math.inf) <= own[name] <= (high or math.inf)
                for name, (low, high) in ranges.items()
            )
            if available is not None:
                fits &= own.get(available, 0) > 0
            if user is not None:
                fits &= not (unseen and item in self.met[user])
                fits &= not (undisliked and item in disliked)
            if fits:
                rows.append({"id": item, "title": self.title(item), "users": len(users)})
        return sorted(rows, key=lambda row: (-row["users"], row["id"]))[skip:][:limit]

    def co_interacted(self, user: str, neighbours: int, skip: int, limit: int) -> list[Row]:
        own = self.items_of[user]
        overlap = {
            other: len(own & items)
            for other, items in self.items_of.items()
            if other != user and own & items
        }
        nearest = sorted(overlap, key=lambda other: (-overlap[other], other))[:neighbours]
        weights: Counter[str] = Counter()
        for other in nearest:
            for item in self.items_of[other] - self.met[user]:
                weights[item] += overlap[other]
        rows = [{"id": x, "title": self.title(x), "weight": w} for x, w in weights.items()]
        return sorted(rows, key=lambda row: (-row["weight"], row["id"]))[skip:][:limit]

    def item_neighbourhood(
        self, item: str, relations: Sequence[str], skip: int, limit: int
    ) -> list[Row]:
        rows = []
        for edge in self.edges:
            for outgoing, (near, far) in ((True, edge.ends), (False, edge.ends[::-1])):
                if near == (NodeLabel.ITEM, item) and far[0] != NodeLabel.USER:
                    rows.append(
                        {
                            "relation": edge.name,
                            "type": edge.key.type,
                            "outgoing": outgoing or edge.ends[0] == edge.ends[1],
                            "label": far[0].value,
                            "id": far[1],
                            "name": self.shown(far),
                        }
                    )
        unique = {tuple(row.items()): row for row in rows}.values()
        kept = [row for row in unique if not relations or row["type"] in relations]
        return sorted(kept, key=lambda row: (*_order(row), row["label"], row["id"]))[skip:][:limit]

    def shared_entities(self, own: list[str], item: str, skip: int, limit: int) -> list[Row]:
        found = set()
        for type_in, label, entity in self._steps(item):
            if label == NodeLabel.ITEM and entity in own and entity != item:
                found.add((entity, type_in, None, None, type_in))
            if label == NodeLabel.ENTITY:
                for other in own:
                    for type_own, kind, end in self._steps(other):
                        if (kind, end) == (label, entity) and other != item:
                            found.add((other, type_own, entity, self.name(entity), type_in))
        columns = ("own", "type_in", "entity", "name", "type_out")
        rows = [dict(zip(columns, row, strict=True)) for row in found]
        return sorted(
            rows,
            key=lambda row: (row["own"], row["entity"] or "", row["type_in"], row["type_out"]),
        )[skip:][:limit]

    def _steps(self, item: str) -> set[tuple[str, NodeLabel, str]]:
        """Edges at an item, either way round: type, label and id of the far end."""
        here = (NodeLabel.ITEM, item)
        return {
            (edge.key.type, *far)
            for edge in self.edges
            for near, far in (edge.ends, edge.ends[::-1])
            if near == here and edge.role != Role.IDENTITY
        }

    def attribute_statistics(self, relations: Sequence[str], skip: int, limit: int) -> list[Row]:
        items: dict[tuple[str, str], set[str]] = defaultdict(set)
        for item in self.users_of:
            for edge, _, (label, key) in self.relations_at((NodeLabel.ITEM, item)):
                if label == NodeLabel.ENTITY and (not relations or edge.key.type in relations):
                    items[edge.key.type, key].add(item)
        rows = [
            {
                "type": kind,
                "id": key,
                "name": self.name(key),
                "items": len(own),
                "share": len(own) / len(self.users_of),
                "interactions": sum(len(self.users_of[item]) for item in own),
            }
            for (kind, key), own in items.items()
        ]
        return sorted(rows, key=lambda row: (-row["items"], row["type"], row["id"]))[skip:][:limit]

    def sparse_nodes(self, label: str, at_most: int, skip: int, limit: int) -> list[Row]:
        rows = [row for row in self._quiet(label) if 0 < row["interactions"] <= at_most]
        return sorted(rows, key=lambda row: (row["interactions"], row["id"]))[skip:][:limit]

    def cold_nodes(self, label: str, skip: int, limit: int) -> list[Row]:
        rows = [row for row in self._quiet(label) if not row["interactions"]]
        return sorted(rows, key=lambda row: (-row["relations"], row["id"]))[skip:][:limit]

    def _quiet(self, label: str) -> Iterator[Row]:
        for key in self.dataset.nodes[NodeLabel(label)]["id"]:
            node = (NodeLabel(label), key)
            yield {
                "label": label,
                "id": key,
                "name": self.shown(node),
                "interactions": self.interactions(node),
                "relations": len(list(self.relations_at(node))),
            }

    def schema_summary(self, skip: int, limit: int) -> list[Row]:
        counts = Counter(edge.key.type for edge in self.edges if edge.role != Role.IDENTITY)
        counts["INTERACTED"] += len(self.train)
        ends: dict[str, list[str]] = {"INTERACTED": ["User->Item"]}
        for table in sorted(self.dataset.relations, key=lambda table: table.key):
            key = table.key
            ends.setdefault(key.type, []).append(f"{key.head.value}->{key.tail.value}")
        rows = [
            {"type": kind, "edges": count, "connects": ends[kind]}
            for kind, count in counts.items()
            if count
        ]
        return sorted(rows, key=lambda row: (-row["edges"], row["type"]))[skip:][:limit]

    def relations(self) -> list[Row]:
        rows = [
            {
                "name": table.name,
                "type": table.key.type,
                "head": table.key.head.value,
                "tail": table.key.tail.value,
                "role": table.role.value,
                "properties": [
                    name
                    for name in EDGE_PROPERTIES
                    if name in table.edges and table.edges[name].notna().any()
                ],
            }
            for table in self.dataset.relations
        ]
        return sorted(rows, key=lambda row: (row["type"], row["head"], row["tail"]))

    def loads(self) -> list[Row]:
        return [{**asdict(load), "files": list(load.files)} for load in self.dataset.loads]


def _order(row: Row) -> tuple[Any, ...]:
    return row["relation"], row["type"], not row["outgoing"]
