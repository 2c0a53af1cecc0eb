"""What a view must make of events, rule by rule, in plain Python."""

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
from event_rows import Edges, Row, hashes

from kgrec.config import Behaviour, DataConfig, SplitConfig
from kgrec.data.fingerprint import mix
from kgrec.errors import ConfigError, DataError
from kgrec.schema import Split

DAY = 86_400


def oracle(
    rows: list[Row], config: DataConfig, seed: int, num_users: int = 8, num_items: int = 12
) -> tuple[dict[str, Edges], set[int], set[int]]:
    """Gives all edges by name, and the users and items of the graph."""
    user_hash = hashes("u", num_users).tolist()
    item_hash = hashes("i", num_items).tolist()
    cleaning, rules = config.cleaning, config.all_behaviours()
    users = {row.user for row in rows if not row.deleted}
    items = {row.item for row in rows if not row.deleted}

    rows = _taken_back(_once([row for row in rows if row.behaviour in rules]))
    if cleaning.max_per_day is not None:
        bots = {
            row.user
            for row in rows
            if row.time is not None
            and sum(
                o.user == row.user and o.time is not None and o.time // DAY == row.time // DAY
                for o in rows
            )
            > cleaning.max_per_day
        }
        users -= bots
        rows = [row for row in rows if row.user not in bots]
    if cleaning.max_per_user is not None:
        order = list(rules)
        rows.sort(
            key=lambda r: (
                *_age(r),
                _tie(user_hash[r.user], item_hash[r.item]),
                order.index(r.behaviour),
                _low(r.rating),
                _low(r.weight),
            ),
            reverse=True,
        )
        rows = [
            row
            for at, row in enumerate(rows)
            if sum(other.user == row.user for other in rows[:at]) < cleaning.max_per_user
        ]
    is_target = {name: rule.role == "target" for name, rule in rules.items()}
    given = any(row.split for row in rows if is_target[row.behaviour])
    rows = [r for r in rows if is_target[r.behaviour] or r.split not in ("valid", "test")]
    session = _sessions(rows, cleaning.session_gap)

    folded = {
        name: _folded(
            [row for row in rows if row.behaviour == name],
            rule,
            rule.duplicates or cleaning.duplicates,
            session,
        )
        for name, rule in rules.items()
    }
    targets, dislikes = _targets(folded, rules)
    if max(cleaning.user_core, cleaning.item_core) > 1:
        before = len(targets)
        while True:
            few = [
                pair
                for pair in targets
                if sum(pair[0] == u for u, _ in targets) < cleaning.user_core
                or sum(pair[1] == i for _, i in targets) < cleaning.item_core
            ]
            if not few:
                break
            targets = {pair: edge for pair, edge in targets.items() if pair not in few}
        if cleaning.user_core > 1:
            users &= {u for u, _ in targets}
        if cleaning.item_core > 1:
            items &= {i for _, i in targets}
        if before and not targets:
            raise DataError("nothing left")

    if given:
        part = {pair: edge["split"] for pair, edge in targets.items()}
        leaks = {pair for pair, split in part.items() if split != "train"}
        until: dict[int, float] = {}
    else:
        part, until = _split(targets, config.split or SplitConfig(), seed, user_hash, item_hash)
        leaks = {pair for pair, split in part.items() if split != "train"}

    def stays(pair: tuple[int, int], edge: dict[str, Any]) -> bool:
        if pair[0] not in users or pair[1] not in items or pair in leaks:
            return False
        if pair[0] not in until:
            return True
        return edge["time"] is not None and edge["time"] < until[pair[0]]

    found = {
        split.value: {p: _shown(e) for p, e in targets.items() if part[p] == split.value}
        for split in Split
    }
    for name in rules:
        if not is_target[name]:
            found[name] = {p: _shown(e) for p, e in folded[name].items() if stays(p, e)}
    if any(is_target[n] and rule.min_rating is not None for n, rule in rules.items()):
        found["disliked"] = {
            p: _shown(e)
            for p, e in dislikes.items()
            if stays(p, e) and e["split"] not in ("valid", "test")
        }
    return found, users, items


def _once(rows: list[Row]) -> list[Row]:
    first: dict[Row, int] = {}
    for row in rows:
        key = replace(row, load=0)
        first[key] = min(row.load, first.get(key, row.load))
    return [replace(row, load=load) for row, load in first.items()]


def _taken_back(rows: list[Row]) -> list[Row]:
    def gone(row: Row) -> bool:
        for other in rows:
            if not other.deleted or (other.user, other.item, other.behaviour) != (
                row.user,
                row.item,
                row.behaviour,
            ):
                continue
            if other.time is not None and row.time is not None:
                if row.time <= other.time:
                    return True
            elif row.load <= other.load:
                return True
        return False

    return [row for row in rows if not row.deleted and not gone(row)]


def _low(number: float | None) -> float:
    return -np.inf if number is None else number


def _tie(*hashes: int) -> int:
    return int(mix(*(np.array([number], np.uint64) for number in hashes))[0])


def _age(row: Row) -> tuple[float, float]:
    return (-np.inf, row.load) if row.time is None else (row.time, 0)


def _sessions(rows: list[Row], gap: float | None) -> dict[Row, int]:
    found: dict[Row, int] = {}
    if gap is None:
        return found
    for user in {row.user for row in rows}:
        number, last = 0, -np.inf
        dated = [row for row in rows if row.user == user and row.time is not None]
        for row in sorted(dated, key=lambda row: row.time or 0):
            assert row.time is not None
            number += row.time - last > gap * 60
            found[row], last = number, row.time
    return found


def _folded(
    rows: list[Row], rule: Behaviour, policy: str, session: dict[Row, int]
) -> dict[tuple[int, int], dict[str, Any]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row.user, row.item].append(row)

    def weight(row: Row) -> float:
        return rule.weight if row.weight is None else row.weight

    def merit(row: Row) -> tuple[float, ...]:
        if policy == "max":
            return (weight(row), _low(row.rating), *_age(row), -row.load)
        age = tuple(-part for part in _age(row)) if policy == "first" else _age(row)
        return (*age, _low(row.rating), weight(row), -row.load)

    found = {}
    for pair, group in groups.items():
        best = max(group, key=merit)
        found[pair] = {
            "rating": best.rating,
            "time": best.time,
            "weight": sum(map(weight, group)) if policy == "sum" else weight(best),
            "count": len(group),
            "session": session.get(best),
            "split": best.split,
            "load": best.load,
        }
    return found


def _shown(edge: dict[str, Any]) -> dict[str, float]:
    shown = {k: v for k, v in edge.items() if v is not None and k != "split"}
    return {k: v for k, v in shown.items() if not (k in ("weight", "count") and v == 1)}


def _targets(
    folded: dict[str, dict[tuple[int, int], dict[str, Any]]], rules: dict[str, Behaviour]
) -> tuple[dict[tuple[int, int], dict[str, Any]], dict[tuple[int, int], dict[str, Any]]]:
    liked: dict[tuple[int, int], dict[str, Any]] = {}
    disliked: dict[tuple[int, int], dict[str, Any]] = {}
    for name, rule in rules.items():
        if rule.role != "target":
            continue
        least = rule.min_rating
        ratings = [e["rating"] for e in folded[name].values() if e["rating"] is not None]
        if least is not None and folded[name]:
            if not ratings:
                raise ConfigError("no ratings")
            if max(ratings) < least:
                raise DataError("all too low")
        for pair, edge in folded[name].items():
            low = least is not None and edge["rating"] is not None and edge["rating"] < least
            into = disliked if low else liked
            if pair not in into:
                into[pair] = dict(edge)
            else:
                times = [t for t in (into[pair]["time"], edge["time"]) if t is not None]
                into[pair]["time"] = max(times, default=None)
    for pair in liked.keys() & disliked.keys():
        was, then = liked[pair]["time"], disliked[pair]["time"]
        loser = liked if None not in (was, then) and then > was else disliked
        del loser[pair]
    return liked, disliked


def _split(
    targets: dict[tuple[int, int], dict[str, Any]],
    config: SplitConfig,
    seed: int,
    user_hash: list[int],
    item_hash: list[int],
) -> tuple[dict[tuple[int, int], str], dict[int, float]]:
    """Gives the part of each pair, and per user until when other edges may be known."""
    if config.kind.startswith("cold"):
        end, of = (1, item_hash) if config.kind == "cold_item" else (0, user_hash)

        def drawn(test: float, valid: float, *ids: int) -> str:
            words = (np.array([number], np.uint64) for number in ids)
            number = int(mix(np.uint64(seed), *words)[0]) / 2**64
            return "test" if number < test else "valid" if number < test + valid else "train"

        part = {pair: drawn(config.test, config.valid, of[pair[end]]) for pair in targets}
        for user, item in (pair for pair, name in part.items() if name == "train"):
            ids = user_hash[user], item_hash[item]
            part[user, item] = drawn(config.warm, config.warm, *ids)
        return part, {}
    temporal = config.kind != "random"
    if temporal and any(edge["time"] is None for edge in targets.values()):
        raise ConfigError("no times")
    if config.kind == "temporal_global":
        assert config.valid_from is not None
        assert config.test_from is not None
        part = {
            pair: "test"
            if edge["time"] >= config.test_from
            else "valid"
            if edge["time"] >= config.valid_from
            else "train"
            for pair, edge in targets.items()
        }
        return part, dict.fromkeys(range(len(user_hash)), config.valid_from)

    def rank(pair: tuple[int, int]) -> tuple[float, ...]:
        ends = user_hash[pair[0]], item_hash[pair[1]]
        if temporal:
            return targets[pair]["time"], _tie(*ends)
        return (_tie(seed, *ends),)

    part, until = {}, {}
    for user in {user for user, _ in targets}:
        own = sorted((pair for pair in targets if pair[0] == user), key=rank, reverse=True)
        least = [1, 1] if config.kind == "leave_last_out" else [config.valid > 0, config.test > 0]
        valid, test = int(least[0]), int(least[1])
        if config.kind != "leave_last_out":
            valid = max(valid, int(len(own) * config.valid + 0.5))
            test = max(test, int(len(own) * config.test + 0.5))
        while valid + test >= len(own) and valid > least[0]:
            valid -= 1
        while valid + test >= len(own) and test > least[1]:
            test -= 1
        if len(own) < max(config.min_interactions, 1 + sum(least)):
            valid = test = 0
        for at, pair in enumerate(own):
            part[pair] = "test" if at < test else "valid" if at < test + valid else "train"
        if temporal and valid + test:
            until[user] = min(targets[pair]["time"] for pair in own[: valid + test])
    return part, until
