"""Subgraphs around nodes and around recommendations, and the pictures of them."""

import html
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from tiny import build_tiny, group_of

from kgrec.config import Config
from kgrec.data.load import load_dataset
from kgrec.errors import ConfigError, RunError, VocabularyError
from kgrec.exploration import (
    Subgraph,
    Trail,
    draw_subgraph,
    fetch_subgraph,
    node_key,
    recommendation_subgraph,
    subgraph_html,
    write_subgraph,
)
from kgrec.exploration.layout import SMALL, columns_of, lay_out, on_curve
from kgrec.exploration.look import fold, text_width, type_colours, widths
from kgrec.exploration.subgraph import TOGETHER, Builder, Part, learned_weight
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import write_dataset
from kgrec.recommender import Recommender
from kgrec.store.base import GraphStore
from kgrec.store.connect import open_store
from kgrec.training.directory import Run
from kgrec.training.fit import train

Site = tuple[GraphStore, Run]
HOSTILE = '</script><script>alert(1)</script> & "<b>" $x_1$ \x00 名前'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("tiny")
    config = Config.load(build_tiny(folder))
    with open_store(config.store) as store:
        write_dataset(load_dataset(config.data, seed=0), store)
        yield store, train(config, fetch_graph(store), folder / "run", progress=False)


@pytest.fixture(scope="module")
def why(site: Site) -> Subgraph:
    store, run = site
    best = [place.item_id for place in Recommender(run, store).recommend("u4", 2)]
    return recommendation_subgraph(run, store, "u4", best)


def hostile() -> Subgraph:
    builder = Builder()
    user = builder.node("User", HOSTILE, part=Part.USER)
    own = builder.node("Item", "a", HOSTILE, Part.OWN)
    entity = builder.node("Entity", "e", HOSTILE)
    item = builder.node("Item", "b", "", Part.RECOMMENDED)
    builder.edge(user, own, "INTERACTED")
    builder.edge(own, entity, "GENRE")
    builder.edge(item, entity, "GENRE", synthetic=True)
    trail = Trail((user, own, entity, item), ("INTERACTED", "GENRE", "GENRE"), 0.5, HOSTILE)
    return builder.finished(HOSTILE, [trail])


# --- around nodes --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["embedded"])
def test_what_lies_around_an_item_is_all_there(site: Site, engine: str) -> None:
    store, run = site
    found = fetch_subgraph(store, items=["i4"], run=run)
    rows = store.read("item_neighbourhood", item="i4", limit=1000)
    item = node_key("Item", "i4")
    expected = {(row["label"], row["id"], row["type"], row["outgoing"]) for row in rows}
    told = {(*tail, kind, True) for _, tail, kind in found.graph.out_edges(item, keys=True)}
    told |= {(*head, kind, False) for head, _, kind in found.graph.in_edges(item, keys=True)}
    assert {edge for edge in told if edge[0] != "User"} == expected
    takers = {row["id"] for row in store.read("export_nodes", label="User", low=0, high=100,
                                              properties=[])}  # fmt: skip
    users = {key[1] for key in found.graph if key[0] == "User"}
    assert users
    assert users <= takers
    assert found.complete
    assert found.graph.nodes[item]["part"] == Part.CENTER
    assert all(data["stored"] and not data["synthetic"] and not data["on_trail"]
               for *_, data in found.graph.edges(data=True))  # fmt: skip


def test_held_out_interactions_are_never_seen(site: Site) -> None:
    store, run = site
    graph = fetch_graph(store)
    users, items = (graph.vocabularies[label].ids for label in ("User", "Item"))
    held = {(users[u], items[i]) for each in graph.held_out.values()
            for u, i in zip(each.user_index, each.item_index, strict=True)}  # fmt: skip
    assert held
    found = fetch_subgraph(store, users=list(users), most_edges=5000, run=run)
    pairs = {(head[1], tail[1]) for head, tail in found.graph.edges() if head[0] == "User"}
    assert len(pairs) == len(graph.train)
    assert not pairs & held


def test_weights_are_those_the_network_learned(site: Site) -> None:
    store, run = site
    found = fetch_subgraph(store, items=["i4"], run=run)
    weights = run.record.relation_weights
    for *_, kind, data in found.graph.edges(keys=True, data=True):
        expected = (weights[kind] + weights[f"rev_{kind}"]) / 2
        assert data["weight"] == pytest.approx(expected)
    assert learned_weight({"GENRE": 0.5, "rev_GENRE": 1.0}, "GENRE") == 0.75
    assert learned_weight({}, "GENRE") != learned_weight({}, "GENRE")  # NaN: none was learned


def test_two_hops_hold_one_and_a_bound_is_kept_and_said(site: Site) -> None:
    store, _ = site
    one = fetch_subgraph(store, entities=["person_orbit"])
    two = fetch_subgraph(store, entities=["person_orbit"], hops=2, most_edges=2000)
    assert set(one.graph.edges(keys=True)) < set(two.graph.edges(keys=True))
    assert one.graph.nodes["Entity", "person_orbit"]["kind"] == "director"
    bounded = fetch_subgraph(store, entities=["genre_sea"], most_edges=5)
    assert bounded.graph.number_of_edges() == 5
    assert not bounded.complete


def test_tables_hold_what_the_graph_holds(site: Site, why: Subgraph) -> None:
    nodes, edges = why.nodes(), why.edges()
    assert len(nodes) == len(why.graph)
    assert len(edges) == why.graph.number_of_edges()
    assert set(edges["head"]) | set(edges["tail"]) <= set(nodes["id"])
    assert isinstance(why.graph, nx.MultiDiGraph)


def test_what_cannot_be_looked_at_is_refused(site: Site) -> None:
    store, _ = site
    with pytest.raises(VocabularyError, match="no Item has the id 'i999'"):
        fetch_subgraph(store, items=["i4", "i999"])
    with pytest.raises(ConfigError, match="nothing to look at"):
        fetch_subgraph(store)
    with pytest.raises(ConfigError, match="1 to 3 hops"):
        fetch_subgraph(store, items=["i4"], hops=4)


# --- around a recommendation ---------------------------------------------------------------------


def test_trails_are_paths_of_the_subgraph_and_of_the_store(site: Site, why: Subgraph) -> None:
    store, _ = site
    assert why.trails
    facts = {
        (row["type"], *sorted(((row["head_label"], row["head"]), (row["tail_label"], row["tail"]))))
        for key in {node for trail in why.trails for node in trail.nodes}
        for row in store.read("subgraph", nodes=[list(key)], per_node=1000, limit=5000)
    }
    for trail in why.trails:
        assert trail.nodes[0] == ("User", "u4")
        assert why.graph.nodes[trail.nodes[-1]]["part"] == Part.RECOMMENDED
        for kind, one, other in zip(trail.types, trail.nodes, trail.nodes[1:], strict=False):
            assert why.graph.has_edge(one, other, kind) or why.graph.has_edge(other, one, kind)
            if kind != TOGETHER:
                assert (kind, *sorted((one, other))) in facts


def test_shares_are_those_of_the_explanation(site: Site, why: Subgraph) -> None:
    store, run = site
    item = why.trails[0].nodes[-1][1]
    (told,) = Recommender(run, store).contributions("u4", [item])
    shares = {own.item_id: own.share for own in told.own_items}
    for trail in why.trails:
        if trail.nodes[-1][1] == item:
            assert trail.own_share == pytest.approx(shares[trail.nodes[1][1]])
    assert all(group_of(t.nodes[1][1]) == group_of(t.nodes[-1][1]) for t in why.trails[:2])


def test_a_run_of_another_graph_explains_nothing(site: Site, tmp_path: Path) -> None:
    _, run = site
    config = Config.load(build_tiny(tmp_path, seed=1))
    with open_store(config.store) as other:
        write_dataset(load_dataset(config.data, seed=1), other)
        with pytest.raises(RunError, match="trained on graph version"):
            recommendation_subgraph(run, other, "u4", ["i4"])


# --- layout --------------------------------------------------------------------------------------


def test_boxes_do_not_overlap_and_stand_from_user_to_item(why: Subgraph) -> None:
    drawing = lay_out(why)
    assert {box.key for box in drawing.boxes} == set(why.graph)
    for one, other in combinations(drawing.boxes, 2):
        apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2
        apart_y = abs(one.y - other.y) >= (one.height + other.height) / 2
        assert apart_x or apart_y, (one.key, other.key)
    for box in drawing.boxes:
        assert 0 <= box.x - box.width / 2 <= box.x + box.width / 2 <= drawing.width
        assert 0 <= box.y - box.height / 2 <= box.y + box.height / 2 <= drawing.height
    column = columns_of(why)
    for trail in why.trails:
        places = [column[key] for key in trail.nodes]
        assert places == sorted(places)
        assert places[0] == 0
        assert places[-1] == max(column.values())


def test_a_node_of_two_paths_stands_behind_all_that_lead_to_it() -> None:
    builder = Builder()
    user = builder.node("User", "u", part=Part.USER)
    a, b = (builder.node("Item", name, part=Part.OWN) for name in "ab")
    e, item = builder.node("Entity", "e"), builder.node("Item", "i", part=Part.RECOMMENDED)
    builder.edge(user, a, "LIKE")
    builder.edge(user, a, "INTERACTED")
    builder.edge(a, b, "GOES_WITH")
    builder.edge(user, b, "INTERACTED")
    builder.edge(b, e, "GENRE")
    builder.edge(item, e, "GENRE")
    builder.edge(b, item, "GOES_WITH")
    trails = [
        Trail((user, a, b, item), ("LIKE", "GOES_WITH", "GOES_WITH"), 0.5, "one"),
        Trail((user, b, e, item), ("INTERACTED", "GENRE", "GENRE"), 0.4, "two"),
    ]
    found = builder.finished("x", trails)
    assert columns_of(found) == {user: 0, a: 1, b: 2, e: 3, item: 4}
    lines = lay_out(found).lines
    assert all(line.start[0] < line.end[0] for line in lines)
    first = [line for line in lines if line.start[0] == min(x.start[0] for x in lines)]
    assert len({line.end[1] for line in first}) == len(first)  # LIKE and INTERACTED side by side


def test_lines_begin_and_end_at_boxes(why: Subgraph) -> None:
    drawing = lay_out(why)
    sides = {(round(b.x + s * b.width / 2, 3), round(b.y, 3)) for b in drawing.boxes
             for s in (-1, 1)}  # fmt: skip
    ends = {tuple(round(x, 3) for x in end) for line in drawing.lines
            for end in (line.start, line.end)}  # fmt: skip
    assert sides & ends
    assert all(line.start[0] <= line.at[0] <= line.end[0] for line in drawing.lines if line.label)
    line = drawing.lines[0]
    assert on_curve(line, 0.0) == pytest.approx(line.start)
    assert on_curve(line, 1.0) == pytest.approx(line.end)


def test_labels_stand_clear_of_their_lines(why: Subgraph) -> None:
    labelled = [line for line in lay_out(why).lines if line.label]
    assert any(re.fullmatch(r"[+-]\d+\.\d\d( / .*)?", line.label) for line in labelled)
    for line in labelled:
        half = text_width(line.label) * SMALL / 2
        points = [on_curve(line, place / 200) for place in range(201)]
        beside = [y for x, y in points if abs(x - line.at[0]) <= half]
        assert beside
        gap = min(abs(y - line.at[1]) for y in beside)
        assert gap >= SMALL / 2 + line.width / 2, line.label


def test_pages_show_shares_and_names_in_full(why: Subgraph) -> None:
    page = html.unescape(subgraph_html(why))
    assert f">{why.title}</h1>" in page
    for trail in why.trails:
        share = f"{trail.own_share:+.2f}"
        assert f"<b>{share}</b>{trail.text}" in page
        assert re.search(rf'"caption": "[^"]*{re.escape(share)}[^"]*"', page)
    for name in {name for _, name in why.graph.nodes(data="name")}:
        assert f"<li>{name}</li>" in page


def test_widths_follow_weights_and_synthetic_edges_are_dashed() -> None:
    builder = Builder(weights={"GENRE": 2.0, "rev_GENRE": 2.0, "SEQUEL": -1.0, "rev_SEQUEL": -1.0})
    a, b = builder.node("Item", "a"), builder.node("Item", "b")
    builder.edge(a, b, "GENRE")
    builder.edge(a, b, "SEQUEL")
    builder.edge(b, a, "OTHER", synthetic=True)
    graph = builder.finished("x").graph
    assert widths(graph, 1.0, 5.0) == {"GENRE": 5.0, "SEQUEL": 3.0, "OTHER": 1.0}
    assert len(set(type_colours(graph).values())) == 3
    dashed = [line.dashed for line in lay_out(hostile()).lines]
    assert dashed.count(True) == 1


def test_names_are_folded() -> None:
    assert fold("Heat") == ("Heat",)
    assert fold("  a\x00\tb ") == ("a b",)
    assert fold("") == ("?",)
    lines = fold("The Good, the Bad and the Ugly, the longest cut of all", 20, 2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert max(map(len, fold("名" * 40, 20, 2))) <= 10


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_pictures_are_written(kind: str, why: Subgraph, site: Site, tmp_path: Path) -> None:
    store, run = site
    signs = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for name, subgraph in (("why", why), ("hostile", hostile()),
                           ("around", fetch_subgraph(store, items=["i4"], hops=2, run=run)),
                           ("many", fetch_subgraph(store, items=["i4", "i7"]))):  # fmt: skip
        path = tmp_path / f"{name}.{kind}"
        draw_subgraph(subgraph, path)
        assert path.read_bytes().startswith(signs[kind])


def test_svg_holds_every_name_as_text_and_is_the_same_again(why: Subgraph, tmp_path: Path) -> None:
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in files:
        draw_subgraph(why, path)
    assert files[0].read_bytes() == files[1].read_bytes()
    root = ElementTree.fromstring(files[0].read_text(encoding="utf-8"))
    told = " ".join(root.itertext())
    for _, data in why.graph.nodes(data=True):
        assert data["name"] in told


def test_pages_need_nothing_else_and_hostile_names_stay_names(tmp_path: Path) -> None:
    page = subgraph_html(hostile())
    assert "<script>alert" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    write_subgraph(hostile(), tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_what_cannot_be_written_is_said(why: Subgraph, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.png"):
        draw_subgraph(why, tmp_path / "why.gif")
    for write in (draw_subgraph, write_subgraph):
        with pytest.raises(ConfigError, match="folder that exists"):
            write(why, tmp_path / "none" / "why.png")
