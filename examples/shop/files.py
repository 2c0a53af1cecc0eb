"""How the files are written, and the mess that is in all of them alike."""

import csv
import gzip
import io
import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from world import Event

Row = dict[str, object]


def messy_rows(
    rows: Iterable[Sequence[object]], rng: np.random.Generator
) -> list[Sequence[object]]:
    """Mess: some rows have blanks around their ids, some are there twice."""
    out: list[Sequence[object]] = []
    for row in rows:
        chance = rng.random()
        if chance < 0.03:
            row = (f"{row[0]} ", *row[1:])
        out += [row, row] if 0.03 <= chance < 0.05 else [row]
    return out


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], separator: str = ","
) -> None:
    """Writes delimited text, quoted where need be."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    """Writes JSON Lines, compressed if the name ends in .gz."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    data = text.encode("utf-8")
    if path.suffix == ".gz":
        packed = io.BytesIO()
        # Without a name and a time in its header, the file is the same each time.
        with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
            file.write(data)
        data = packed.getvalue()
    path.write_bytes(data)


def with_mess(events: Iterable[Event], rng: np.random.Generator) -> list[Row]:
    """Gives events as JSON rows, in the order in which the shop's servers sent them."""
    rows = []
    for event in events:
        row: Row = {
            "ts": event.time, "uid": event.user, "sku": event.item, "event": event.kind,
            "session": event.session,
        }  # fmt: skip
        chance = rng.random()
        if chance < 0.03:  # Mess: blanks around ids.
            row["uid"] = f" {event.user}"
            row["sku"] = f"{event.item}\t"
        elif chance < 0.08:  # Mess: é as e and an accent, as some systems write it.
            row["uid"] = unicodedata.normalize("NFD", event.user)
            row["sku"] = unicodedata.normalize("NFD", event.item)
        rows.append(row)
        if rng.random() < 0.015:  # Mess: sent twice.
            rows.append(dict(row))
    # Mess: some arrive late.
    late = [time_of(row) + (600_000 if rng.random() < 0.05 else 0) for row in rows]
    return [rows[place] for place in np.argsort(late, kind="stable")]


def write_events(out: Path, rows: Sequence[Row]) -> None:
    """Writes one file a month."""
    months = [f"{datetime.fromtimestamp(time_of(row) / 1000, UTC):%Y-%m}" for row in rows]
    for month in sorted(set(months)):
        own = [row for row, other in zip(rows, months, strict=True) if other == month]
        write_lines(out / f"events-{month}.jsonl.gz", own)


def time_of(row: Row) -> int:
    """Gives an event's milliseconds since 1970 UTC."""
    return int(str(row["ts"]))
