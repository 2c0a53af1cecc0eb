"""Getting data in at size: check, load, increments, files for Neo4j's offline importer.

    python benchmarks/ingest.py large                        20 M interactions from Parquet
    python benchmarks/ingest.py increment                    1,000 rows into 1.5 M, embedded
    python scripts/neo4j_server.py run -- python benchmarks/ingest.py increment --neo4j

Every step is one `kgrec` process; its wall time (start of Python included) and peak memory are
taken from outside. Prints one JSON object. `--work DIR` keeps the files.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CHUNK = 1_000_000


def write_events(path: Path, rows: int, users: int, items: int, seed: int) -> None:
    """Writes interactions whose users and items follow a heavy tail, as text ids."""
    rng = np.random.default_rng(seed)
    schema = pa.schema(
        [("user", "string"), ("item", "string"), ("rating", "float64"), ("time", "int64")]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, CHUNK):
            size = min(CHUNK, rows - start)
            user = (rng.beta(0.5, 3, size) * users).astype(np.int64)
            item = (rng.beta(0.3, 4, size) * items).astype(np.int64)
            columns = [
                np.char.add("u", user.astype(str)),
                np.char.add("i", item.astype(str)),
                rng.integers(1, 6, size).astype(np.float64),
                1_500_000_000 + rng.integers(0, 10**8, size),
            ]
            writer.write_table(pa.table([pa.array(x) for x in columns], schema=schema))


def write_config(path: Path, store: str, pattern: str) -> None:
    path.write_text(
        f"""\
[store]
uri = "{store}"
[data]
split = {{ kind = "temporal_user" }}
[[data.sources]]
name = "events"
kind = "interactions"
path = "{pattern}"
""",
        encoding="utf-8",
    )


def run(*arguments: str) -> tuple[dict[str, Any], dict[str, float]]:
    """Runs `kgrec` and gives its answer, its wall time and its peak memory."""
    started = time.perf_counter()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.close(reading)
        program = Path(sys.executable).with_name("kgrec")
        os.execv(program, [str(program), *arguments, "--json"])
    os.close(writing)
    with os.fdopen(reading, "rb") as out:
        answer = out.read()
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"kgrec {' '.join(arguments)} failed")
    seconds = time.perf_counter() - started
    return json.loads(answer), {"seconds": round(seconds, 2), "peak_mb": usage.ru_maxrss // 1024}


def large(work: Path, rows: int) -> dict[str, Any]:
    """Checks, loads and exports one large file."""
    work.joinpath("events").mkdir(parents=True, exist_ok=True)
    write_events(work / "events" / "1.parquet", rows, rows // 20, rows // 100, seed=0)
    write_config(work / "large.toml", "embedded:large.kgl", "events/*.parquet")
    config = str(work / "large.toml")
    result: dict[str, Any] = {"rows": rows}
    _, result["check"] = run("check", "--config", config)
    answer, result["load embedded"] = run("ingest", "--config", config)
    result["graph"] = {name: answer[name] for name in ("nodes", "edges")}
    _, result["again, unchanged"] = run("ingest", "--config", config)
    _, result["offline files"] = run(
        "ingest", "--config", config, "--offline", str(work / "offline"),
        "--store", f"embedded:{work / 'none.kgl'}",
    )  # fmt: skip
    return result


def increment(work: Path, rows: int, store: str) -> dict[str, Any]:
    """Loads, then brings 1,000 new rows."""
    work.joinpath("events").mkdir(parents=True, exist_ok=True)
    write_events(work / "events" / "1.parquet", rows, 50_000, 20_000, seed=0)
    write_config(work / "increment.toml", store, "events/*.parquet")
    config = str(work / "increment.toml")
    result: dict[str, Any] = {"rows": rows, "store": store}
    _, result["first load"] = run("ingest", "--config", config)
    result["1,000 rows"] = []
    for day in (2, 3, 4):
        write_events(work / "events" / f"{day}.parquet", 1_000, 50_000, 20_000, seed=day)
        answer, cost = run("ingest", "--config", config)
        cost["ingest_seconds"] = round(answer["seconds"]["ingest"], 2)
        result["1,000 rows"].append(cost)
    _, result["again, unchanged"] = run("ingest", "--config", config)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("large", "increment"))
    parser.add_argument("--rows", type=int)
    parser.add_argument("--work", type=Path, help="default: a scratch folder")
    parser.add_argument("--neo4j", action="store_true", help="take KGREC_TEST_NEO4J_URI")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        os.environ["KGREC_DATA"] = str(work / "data")
        if given.what == "large":
            result = large(work, given.rows or 20_000_000)
        else:
            store = os.environ["KGREC_TEST_NEO4J_URI"] if given.neo4j else "embedded:graph.kgl"
            result = increment(work, given.rows or 1_500_000, store)
    result["machine"] = {
        "cores": os.cpu_count(),
        "own_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
