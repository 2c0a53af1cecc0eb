"""`kgrec status`."""

from typing import Any

from rich.table import Table

from kgrec.cli.options import AsJson, OptionalConfigFile, StoreUri, store_config
from kgrec.cli.output import Reporter


def status(
    store: StoreUri = None, config: OptionalConfigFile = None, as_json: AsJson = False
) -> None:
    """Say what is in a store."""
    settings = store_config(config, store)
    with Reporter(as_json) as reporter:
        from kgrec.graph.fetch import graph_summary
        from kgrec.store.connect import open_store

        with open_store(settings, read_only=True) as opened:
            summary = graph_summary(opened)
        reporter.answer(summary, _heading(summary), _counts(summary))


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
    for title in ("nodes", "interactions", "relations"):
        table.add_row(f"[bold]{title}[/bold]", "")
        for name, count in sorted(summary[title].items(), key=lambda item: -item[1]):
            table.add_row(f"  {name.replace('[', chr(92) + '[')}", f"{count:,}")
    return table
