"""The card of a data set small enough to count by hand, and how it is shown."""

import html.parser
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from card_cases import ENTITY, ITEM, USER, frame, relation
from rich.console import Console

from kgrec.config import Config
from kgrec.data.card.build import build_card
from kgrec.data.card.card import Card, Caution
from kgrec.data.card.page import card_html, write_card
from kgrec.data.card.statistics import EventStatistics
from kgrec.data.card.terminal import card_tables, spark
from kgrec.data.cleaning.report import Report
from kgrec.data.journal.events import NO_TIME
from kgrec.data.tables import Dataset
from kgrec.errors import DataError
from kgrec.pages.numbers import day, moment, number, percent, share, short_number
from kgrec.pages.text import escaped
from kgrec.schema import Role, Split

DAY = 86_400
NASTY = '<script>alert("1")</script>&\x00\ud800'


@pytest.fixture
def card() -> Card:
    return build_card(dataset(), report(), config(), None, name="five users")


def config() -> Config:
    return Config.build(
        {
            "data": {
                "sources": [{"name": "log", "kind": "interactions", "path": "log.csv"}],
                "behaviours": {"buy": {}, "view": {"role": "evidence"}},
                "split": {"kind": "random"},
            }
        }
    ).data


def dataset() -> Dataset:
    nodes = {
        USER: pd.DataFrame({"id": list("abcde"), "age": [30, 20, np.nan, np.nan, 40]}),
        ITEM: pd.DataFrame(
            {"id": list("wxyz"), "title": ["W", None, "Y", "Y"], "year": [1999, 2000, 2001, 2005],
             "load": [1, 1, 1, 2]}
        ),
        ENTITY: pd.DataFrame({"id": ["p", "q", "r"]}),
    }  # fmt: skip
    return Dataset(
        nodes,
        {
            Split.TRAIN: frame(
                [(0, 0), (0, 1), (1, 0), (2, 0)], time=[0, 1 * DAY, 2 * DAY, np.nan],
                rating=[5.0, 3.0, np.nan, 4.0],
            ),
            Split.VALID: frame([(0, 2)], time=[9 * DAY]),
            Split.TEST: frame([(1, 2), (3, 1)], time=[-1 * DAY, 5 * DAY]),
        },
        (
            relation("made_by", ITEM, ENTITY, [(0, 0), (0, 1), (1, 0)]),
            relation("view", USER, ITEM, [(4, 3)], Role.EVIDENCE),
            relation("same", ENTITY, ENTITY, [(0, 1)], Role.IDENTITY),
        ),
    )  # fmt: skip


def report() -> Report:
    found = Report()
    found.read("log", 12)
    found.add("log", "bad time", "rejected", 2, "rows have a time that is none", ["log.csv:3:time"])
    return found


# --- the numbers ---------------------------------------------------------------------------------


def test_sizes(card: Card) -> None:
    assert (card.users, card.items, card.entities) == (5, 4, 3)
    assert (card.interactions, card.density) == (7, 7 / 20)
    assert (card.relation_edges, card.items_with_edges) == (4, 2)
    assert card.split_kind == "random"
    assert card.folded


def test_splits(card: Card) -> None:
    train, valid, test = card.splits
    assert (train.interactions, train.users, train.items) == (4, 3, 2)
    assert (train.new_users, train.new_items, train.without_time) == (0, 0, 1)
    assert (train.first, train.last) == ("1970-01-01T00:00:00Z", "1970-01-03T00:00:00Z")
    # 5 % and 95 % of the way from the first of three to the last.
    assert (train.early, train.late) == ("1970-01-01T02:24:00Z", "1970-01-02T21:36:00Z")
    assert (valid.new_users, valid.new_items) == (0, 1)
    assert (test.users, test.items, test.new_users, test.new_items) == (2, 2, 1, 1)
    assert test.first == "1969-12-31T00:00:00Z"


def test_degrees(card: Card) -> None:
    users, items = card.user_degrees, card.item_degrees  # 2 1 1 0 0 and 3 1 0 0
    assert (users.without, users.few, users.max, users.mean) == (2, 3, 2, 0.8)
    assert (items.without, items.max, items.top_1) == (2, 3, 0.75)
    assert [(b.low, b.count) for b in items.bins] == [(0, 2), (1, 1), (2, 1)]


def test_behaviours_are_counted_after_folding_where_nobody_counted_before(card: Card) -> None:
    buy, view = card.behaviours
    assert (buy.name, buy.role, buy.events, buy.edges) == ("buy", "target", 7, None)
    assert (buy.without_time, buy.without_rating, buy.mean_rating) == (1, 4, 4.0)
    assert buy.ratings == {3.0: 1, 4.0: 1, 5.0: 1}
    assert (view.name, view.role, view.events, view.edges) == ("view", "evidence", 1, 1)
    assert card.timeline is not None
    assert card.timeline.starts[0] == "1969-12-31"
    assert card.timeline.counts == {"buy": (1, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1)}


def test_events_are_preferred_where_somebody_counted_them() -> None:
    events = EventStatistics()
    events.count("buy", np.arange(4), np.full(4, NO_TIME), np.full(4, np.nan))
    counted = build_card(dataset(), report(), config(), events)
    assert not counted.folded
    assert [(b.name, b.events, b.edges) for b in counted.behaviours] == [
        ("buy", 4, None), ("view", None, 1),
    ]  # fmt: skip
    assert counted.timeline is None
    assert counted.events_per_user == 1


def test_relations_the_largest_first(card: Card) -> None:
    made, same = card.relations
    assert (made.name, made.type, made.head, made.tail) == ("made_by", "MADE_BY", "Item", "Entity")
    assert (made.edges, made.heads, made.tails) == (3, 2, 2)
    assert (made.mean_out, made.max_out, made.mean_in, made.max_in) == (1.5, 2, 1.5, 2)
    assert (same.role, same.edges) == ("identity", 1)


def test_properties_without_what_kgrec_keeps_for_itself(card: Card) -> None:
    told = {(p.label, p.name): p for p in card.properties}
    assert list(told) == [("User", "age"), ("Item", "title"), ("Item", "year")]
    age, title, year = told.values()
    assert (age.kind, age.missing, age.low, age.median, age.high) == ("number", 2, 20, 30, 40)
    assert (title.kind, title.missing, title.distinct, title.low) == ("text", 1, 2, None)
    assert (year.missing, year.median) == (0, 2000.5)


def test_cleaning_is_told(card: Card) -> None:
    (source,) = card.sources
    assert (source.name, source.kind, source.rows, source.rejected) == (
        "log", "interactions", 12, 2,
    )  # fmt: skip
    (finding,) = card.findings
    assert (finding.rule, finding.count, finding.examples) == ("bad time", 2, ["log.csv:3:time"])


def test_new_users_and_times_that_run_backwards_are_cautions(card: Card) -> None:
    assert [(c.level, c.subject) for c in card.cautions] == [
        ("note", "split"), ("note", "items of valid"), ("note", "users of test"),
        ("note", "items of test"),
    ]  # fmt: skip
    # User b bought y before w; user d has no train, the valid pair of user a is later.
    assert card.cautions[0].numbers == {"earlier": 1, "of": 2}


def test_json_is_strict_and_whole(card: Card) -> None:
    told = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert told["relation_edges"] == 4
    assert told["behaviours"][0]["ratings"] == {"3": 1, "4": 1, "5": 1}
    assert told["splits"][0]["interactions"] == 4
    assert set(told) == {*Card.__dataclass_fields__, "relation_edges"}


def test_an_empty_graph_has_a_card() -> None:
    nobody = Dataset(
        {label: pd.DataFrame({"id": pd.Series([], dtype=str)}) for label in (USER, ITEM, ENTITY)},
        {split: frame([]) for split in Split},
    )
    found = build_card(nobody, Report(), config(), EventStatistics())
    assert (found.density, found.interactions, found.cautions) == (0, 0, ())
    assert "There are no relations" in card_html(found)
    assert len(card_tables(found)) >= 3


# --- numbers as texts ----------------------------------------------------------------------------


def test_numbers_are_written_for_people() -> None:
    assert [short_number(n) for n in (0, 7, 950, 1200, 34_567, 5e6, 2.5e9)] == [
        "0", "7", "950", "1.2k", "35k", "5M", "2.5G",
    ]  # fmt: skip
    assert [percent(x) for x in (0, 1, 0.5, 0.0123, 0.0004, 0.9999, 1e-7)] == [
        "0%", "100%", "50%", "1.2%", "0.04%", "99.9%", "1e-05%",
    ]  # fmt: skip
    assert (share(1, 4), share(1, 0)) == ("25%", "–")
    assert [number(x) for x in (None, 3.0, 1234567, 0.123456, 98765.4)] == [
        "–", "3", "1,234,567", "0.1235", "98,765",
    ]  # fmt: skip
    assert (moment("2026-01-02T03:04:05Z"), day("2026-01-02T03:04:05Z"), moment(None)) == (
        "2026-01-02 03:04", "2026-01-02", "–",
    )  # fmt: skip


def test_spark_tells_nothing_from_little() -> None:
    assert spark([0, 1, 4, 8]) == " ▁▄█"
    assert spark([0, 1, 1000]) == " ▁█"
    assert spark([]) == ""
    assert len(spark([1] * 100)) == 24
    assert spark([1] * 48 + [0] * 48, 4) == "██  "


# --- the terminal --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 100, 150])
def test_tables_fit_the_terminal(card: Card, width: int) -> None:
    wide = replace(card, cautions=(*card.cautions, leak("[bold]x[/bold]")))
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        for part in card_tables(wide):
            console.print(part)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(line.rstrip() for line in lines)
    assert "5 users, 4 items, 3 entities; 7 interactions (35% of all pairs)" in text
    assert re.search(r"made_by +Item → Entity +3 +2 +2 +1\.5 +2 +1\.5 +2", text)
    assert re.search(r"rejected +log +2 +rows have a time that is none", text)
    assert "leak: [bold]x[/bold]" in text  # no markup of the data's is obeyed


def leak(subject: str) -> Caution:
    return Caution("leak", subject, "Measured.", "Do.", {})


# --- the page ------------------------------------------------------------------------------------

_VOID = {"meta", "br"}


class Outline(html.parser.HTMLParser):
    """Checks that tags nest, and keeps what stands where."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def nasty(card: Card) -> Card:
    """The card with a text in every place that the data names."""
    return replace(
        card,
        name=NASTY,
        behaviours=tuple(replace(b, name=NASTY) for b in card.behaviours),
        timeline=replace(card.timeline, counts={NASTY: card.timeline.counts["buy"]}),  # type: ignore[union-attr, type-var]
        relations=tuple(replace(r, name=NASTY) for r in card.relations),
        properties=tuple(replace(p, name=NASTY) for p in card.properties),
        sources=tuple(replace(s, name=NASTY) for s in card.sources),
        findings=tuple(replace(f, text=NASTY, examples=(NASTY,)) for f in card.findings),
        cautions=(leak(NASTY), Caution("note", NASTY, NASTY, NASTY, {})),
    )


def test_no_text_of_the_data_becomes_markup(card: Card) -> None:
    page = Outline(card_html(nasty(card)))
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    told = "".join(page.text)
    assert told.count('<script>alert("1")</script>&\ufffd\ufffd') >= 15
    assert "\x00" not in told


def test_the_page_needs_nothing_else(card: Card) -> None:
    text = card_html(card)
    page = Outline(text)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base"}
        assert not {"src", "href", "srcset", "onload", "onclick"} & set(attributes)
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        page.tags
    )


def test_pictures_say_what_they_show_and_have_their_numbers_beside(card: Card) -> None:
    text = card_html(card)
    pictures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    ids = []
    for picture in pictures:
        drawn = ElementTree.fromstring(picture)
        assert drawn.get("role") == "img"
        title, desc, *_ = drawn
        assert (title.tag, desc.tag) == ("title", "desc")
        assert title.text
        assert desc.text
        assert drawn.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        ids += [title.get("id"), desc.get("id")]
    # Splits, timeline, ratings, users, items.
    assert len(pictures) == text.count("<details>") == 5
    assert len(set(ids)) == len(ids)
    described = [re.search(r"<desc[^>]*>([^<]*)", picture) for picture in pictures]
    assert any("0 interactions: 2 items; 1 interactions: 1 items" in d[1] for d in described if d)


def test_bars_are_as_high_as_what_they_count(card: Card) -> None:
    text = card_html(card)
    (picture,) = [p for p in re.findall(r"<svg.*?</svg>", text, re.DOTALL) if "Items by train" in p]
    heights = [float(bar.get("height", "")) for bar in ElementTree.fromstring(picture).iter("rect")]
    assert heights == [150.0, 75.0, 75.0]  # 2, 1 and 1 items


def test_thousands_of_rows_leave_the_page_small(card: Card) -> None:
    many = replace(
        card,
        relations=tuple(replace(card.relations[0], name="r" * 5000) for _ in range(5000)),
        findings=tuple(replace(card.findings[0], text="t" * 5000) for _ in range(5000)),
        cautions=tuple(leak("s" * 5000) for _ in range(5000)),
        properties=tuple(replace(card.properties[0], name="p" * 5000) for _ in range(5000)),
    )
    text = card_html(many)
    assert len(text.encode()) < 1_000_000
    assert "and 4,800 more" in text
    Outline(text)


def test_a_text_is_cut_before_it_is_escaped() -> None:
    assert escaped("&" * 10, most=3) == "&amp;&amp;…"
    assert escaped('"') == "&quot;"


def test_the_page_is_written_whole_or_not_at_all(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "card.html"
    write_card(card, path)
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    assert "five users" in before

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left"):
        write_card(replace(card, name="other"), path)
    assert path.read_text(encoding="utf-8") == before
    assert [p.name for p in tmp_path.iterdir()] == ["card.html"]


def test_a_folder_that_is_not_there_is_named(card: Card, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/card\.html: No such file"):
        write_card(card, tmp_path / "none" / "card.html")
