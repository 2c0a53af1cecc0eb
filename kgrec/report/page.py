"""The report as one HTML page that needs nothing else: no script, no font, no network."""

from pathlib import Path

from kgrec import __version__
from kgrec.data.card.card import Card
from kgrec.data.card.markup import shown
from kgrec.data.card.page import cautions_section
from kgrec.data.card.sections import degrees, graph, interactions, properties
from kgrec.data.card.style import CSS
from kgrec.errors import DataError
from kgrec.explore.svg import SUBGRAPH_CSS
from kgrec.files import write_text
from kgrec.report.gather import ReportData
from kgrec.report.plots import ReportFigures
from kgrec.report.sections import accuracy, audit, augmentation, cohorts, examples, model

#: Nothing is loaded, nothing runs: what a name in the data says, the browser only shows.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_CSS = (
    CSS
    + """\
h3 { font-size: 1rem; margin: 26px 0 4px; overflow-wrap: anywhere; }
section, article { min-width: 0; }
.data h2 { font-size: 1.02rem; margin-top: 26px; }
nav { margin-top: 18px; display: flex; flex-wrap: wrap; gap: 6px 16px; font-size: .9rem; }
a { color: var(--bar); }
code { font-size: .9em; overflow-wrap: anywhere; }
article figure { margin-top: 12px; }
article tbody th { min-width: 9em; }
.pair > .scroll { min-width: 0; margin-top: 0; }
svg .other { fill: var(--bar); opacity: .45; }
svg .curve { fill: none; stroke: var(--bar); stroke-width: 2; }
svg .plain .bar { opacity: .6; }
svg .strong { font-weight: 700; }
svg .name { font-size: 11px; }
svg text.name.plain { font-weight: 400; }
.keys { list-style: none; margin: 6px 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: 2px 14px; font-size: .8rem; color: var(--soft); }
.keys i { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
"""
    + SUBGRAPH_CSS
)


def write_report(data: ReportData, path: Path | str) -> None:
    """Writes the page; what was there before stays until the new one is whole.

    Raises:
        DataError: If it cannot be written.
    """
    path = Path(path)
    try:
        write_text(path, report_html(data), errors="replace")
    except OSError as exc:
        raise DataError(
            f"cannot write the report to {path}: {exc.strerror or exc}; give it a file in a "
            f"folder that exists and takes files"
        ) from exc


def report_html(data: ReportData) -> str:
    """Gives the page."""
    figures = ReportFigures()
    name = data.run.directory.resolve().name
    body = {
        "good": accuracy(data, figures),
        "cohorts": cohorts(data),
        "learned": model(data, figures),
        "graph": audit(data, figures),
        "synthetic": augmentation(data, figures),
        "examples": examples(data),
        "data": _data(data.card, figures),
    }
    sections = "\n".join(
        part.replace("<section", f'<section id="{key}"', 1) for key, part in body.items() if part
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>kgrec report: {shown(name)}</title><style>\n{_CSS}</style></head>\n<body><main>\n"
        f"{_head(data, name, [key for key, part in body.items() if part])}\n{sections}\n"
        f"<footer>Made by kgrec report, version {shown(__version__)}, of graph version "
        f"{shown(data.run.record['graph_version'])}. Times are UTC.</footer>\n"
        "</main></body></html>\n"
    )


_LINKS = {
    "good": "How good it is",
    "cohorts": "For whom",
    "learned": "What it learned",
    "graph": "The graph's worth",
    "synthetic": "Synthetic edges",
    "examples": "Recommendations",
    "data": "Data",
}


def _head(data: ReportData, name: str, keys: list[str]) -> str:
    k, metrics, measured = data.k, data.measured["metrics"], data.measured
    tiles = {
        f"NDCG@{k} on {measured['split']}": f"{metrics[f'ndcg@{k}']:.4f}",
        f"Recall@{k}": f"{metrics[f'recall@{k}']:.4f}",
        "judged users": f"{measured['num_users']:,}",
        "items": f"{data.card.items:,}",
        "interactions": f"{data.card.interactions:,}",
        "relation edges": f"{data.card.relation_edges:,}",
        "trained in": f"{measured['seconds']['train']:,.0f} s",
        "seed": f"{data.run.config.seed}",
    }
    cells = "".join(f"<div><dt>{shown(k)}</dt><dd>{shown(v)}</dd></div>" for k, v in tiles.items())
    links = "".join(f'<a href="#{key}">{_LINKS[key]}</a>' for key in keys)
    return (
        f'<header><h1>{shown(name)}</h1><p class="soft">What this recommender learned from, how '
        f"good it is, and why it recommends what it does.</p>"
        f'<dl class="tiles">{cells}</dl><nav aria-label="Sections">{links}</nav></header>'
    )


def _data(card: Card, figures: ReportFigures) -> str:
    """The parts of the data card; the graph in the store has no rows of files to tell of."""
    parts = (
        cautions_section(card.cautions),
        interactions(card, figures),
        degrees(card, figures),
        graph(card),
        properties(card),
    )
    return f'<section><h2>The data</h2><div class="data">{"".join(parts)}</div></section>'
