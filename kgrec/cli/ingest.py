"""`kgrec ingest`."""

from kgrec.cli.options import AsJson, ConfigFile, Overrides, StoreUri, load_config
from kgrec.cli.output import Reporter


def ingest(
    config: ConfigFile, store: StoreUri = None, overrides: Overrides = None, as_json: AsJson = False
) -> None:
    """Fill a store from the input files, or bring it up to date."""
    settings = load_config(config, store, overrides)
    with Reporter(as_json) as reporter:
        from kgrec.cli.steps import load_and_ingest

        report, notes = load_and_ingest(settings, reporter)
        reporter.answer(
            {
                "store": settings.store.uri,
                "version": report.version,
                "nodes": report.nodes,
                "edges": report.edges,
                "changed": report.changed,
                "notes": list(notes),
                "seconds": reporter.seconds,
            },
            *(f"note: {note}" for note in notes),
            f"{report.nodes:,} nodes, {report.edges:,} edges, version {report.version}",
        )
