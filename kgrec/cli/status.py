"""`kgrec status`."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from kgrec.cli.options import AsJson, OptionalConfigFile, StoreUri, store_config
from kgrec.cli.output import Reporter


def status(
    store: StoreUri = None, config: OptionalConfigFile = None, as_json: AsJson = False
) -> None:
    """Say what is in a store."""
    settings = store_config(config, store)
    with Reporter(as_json) as reporter:
        from kgrec.graph.fetch import status
        from kgrec.store.connect import open_store

        with open_store(settings, read_only=True) as graph_store:
            summary = status(graph_store)
        loads = summary["loads"]
        reporter.answer(
            summary, _heading(summary), _counts(summary), *([_loads(loads)] if loads else [])
        )


def _heading(summary: dict[str, Any]) -> str:
    version = f", version {summary['version']}" if summary["version"] else ""
    return (
        f"[bold]{summary['uri']}[/bold]  {summary['engine']} {summary['engine_version']}\n"
        f"{summary['state']}{version}"
    )


def _counts(summary: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    behaviours = {key: behaviour["count"] for key, behaviour in summary["behaviours"].items()}
    for title, counts in (
        ("nodes", summary["nodes"]),
        ("interactions", summary["interactions"]),
        ("behaviours", behaviours),
        ("relations", summary["relations"]),
        ("identities", summary["identities"]),
    ):
        if counts:
            table.add_row(f"[bold]{title}[/bold]", "")
        for name, count in sorted(counts.items(), key=lambda item: -item[1]):
            table.add_row(f"  {escape(name)}", f"{count:,}")
    return table


def _loads(loads: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, title="loads", title_justify="left", title_style="bold")
    for name in ("", "source", "rows", "rejected", "when"):
        table.add_column(name, justify="left" if name in {"source", "when"} else "right")
    for load in loads:
        cells = (load["number"], load["source"], load["rows"], load["rejected"], load["loaded_at"])
        table.add_row(*(f"{x:,}" if isinstance(x, int) else escape(x) for x in cells))
    return table
