"""The graphs of the benchmark sets, for the measurements beside `kgrec bench`."""

from pathlib import Path

import kgrec
from kgrec.bench.sets import fill
from kgrec.config.bench import read_bench
from kgrec.graph.data import GraphData


def graph_of(name: str, data: Path | None, work: Path) -> GraphData:
    """Gives the first split of benchmarks/NAME.toml; its store is kept in `work`."""
    bench, rest = read_bench(Path(__file__).with_name(f"{name}.toml"))
    split = fill(bench, rest, data, work, bench.seeds[0])
    with kgrec.open_store(split.config.store, read_only=True) as store:
        return kgrec.fetch_graph(store)
