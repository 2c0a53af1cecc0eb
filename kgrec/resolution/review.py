"""The file of proposals: written for a person, whose decisions are read back and kept.

    left,right,label,score,method,accepted,decided_by,left_name,right_name,evidence

`accepted` is `yes`, `no`, or empty for what waits. kgrec writes only `yes`, and `threshold` in
`decided_by` beside it; any other `yes` or `no` is a person's. Such rows are never changed, left out
or decided again, whatever the scores say later.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from kgrec.data.cleaning.choices import LABELS
from kgrec.errors import DataError
from kgrec.files import atomic_file, read_text

COLUMNS = (
    "left", "right", "label", "score", "method", "accepted", "decided_by", "left_name",
    "right_name", "evidence",
)  # fmt: skip

#: What `decided_by` says.
THRESHOLD, PERSON = "threshold", "person"

_ANSWERS: Mapping[str, str] = {
    **dict.fromkeys(("yes", "y", "true", "t", "x", "1"), "yes"),
    **dict.fromkeys(("no", "n", "false", "f", "0"), "no"),
    "": "",
}


def no_decisions() -> pd.DataFrame:
    """Gives an empty frame of decisions."""
    return pd.DataFrame({name: pd.Series([], dtype=object) for name in COLUMNS})


def read_decisions(path: Path) -> pd.DataFrame:
    """Reads what people decided.

    Args:
        path: A file of proposals, or one with `left`, `right` and `accepted` alone; separated by
            commas, semicolons or tabs. A file that is not there holds no decisions.

    Returns:
        A frame with COLUMNS: `accepted` is "yes" or "no", `score` float64 (NaN if there is none),
        `decided_by` whoever the file names, else "person", all others str. Each pair once.

    Raises:
        DataError: If it is no such file, or decides one pair both ways; the message names the line.
    """
    try:
        text = read_text(path).removeprefix("\ufeff")
    except FileNotFoundError:
        return no_decisions()
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror}; give another file") from exc
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{path} is not UTF-8: {exc.reason} at byte {exc.start}; save it as UTF-8"
        ) from exc
    if not text.strip():
        return no_decisions()
    header = text.splitlines()[0]
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    if missing := [name for name in ("left", "right", "accepted") if name not in names]:
        raise DataError(
            f"{path}:1: no column {missing[0]!r} among {', '.join(names)}; expected a file that "
            f"kgrec resolve wrote; give another --out"
        )
    decisions: dict[tuple[str, str, str], dict[str, object]] = {}
    try:
        for row in rows:
            if decision := _decision(row, f"{path}:{rows.line_num}"):
                _keep(decisions, decision, f"{path}:{rows.line_num}")
    except csv.Error as exc:
        raise DataError(f"{path}:{rows.line_num}: {exc}; mend the quotes of that line") from exc
    if not decisions:
        return no_decisions()
    return pd.DataFrame(list(decisions.values()), columns=list(COLUMNS))


def write_proposals(path: Path, proposals: pd.DataFrame) -> None:
    """Writes a frame with COLUMNS, whole or not at all.

    Raises:
        DataError: If the file cannot be written.
    """
    cells = proposals[list(COLUMNS)].copy()
    score = cells["score"].astype(np.float64)
    cells["score"] = score.map("{:.4f}".format).where(score.notna(), "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_file(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(cells.itertuples(index=False, name=None))
    except OSError as exc:
        raise DataError(
            f"cannot write {path}: {exc.strerror}; give a folder that takes files with --out"
        ) from exc


def _decision(row: Mapping[str, str | None], place: str) -> dict[str, object] | None:
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    answer = _ANSWERS.get(cells["accepted"].casefold())
    if answer is None:
        raise DataError(
            f"{place}: accepted is {cells['accepted']!r}; expected yes, no or nothing; mend that "
            f"line"
        )
    if not answer or (answer == "yes" and cells["decided_by"] == THRESHOLD):
        return None
    if not cells["left"] or not cells["right"]:
        raise DataError(f"{place}: a decision needs both left and right; fill in the id")
    labels = {label.casefold(): label for label in ("Item", *LABELS)}
    label = labels.get(cells["label"].casefold() or "item")
    if label is None:
        raise DataError(
            f"{place}: label is {cells['label']!r}; expected one of {', '.join(LABELS)}; mend it"
        )
    try:
        score = float(cells["score"].replace(",", ".") or "nan")
    except ValueError as exc:
        raise DataError(f"{place}: score is {cells['score']!r}; expected a number") from exc
    person = cells["decided_by"]
    by = PERSON if person in ("", THRESHOLD) else person
    return {**cells, "accepted": answer, "label": label, "score": score, "decided_by": by}


def _keep(
    decisions: dict[tuple[str, str, str], dict[str, object]], row: dict[str, object], place: str
) -> None:
    left, right, label = (str(row[name]) for name in ("left", "right", "label"))
    if "/" not in label:
        left, right = sorted((left, right))
    before = decisions.setdefault((left, right, label), row)
    if before["accepted"] != row["accepted"]:
        raise DataError(
            f"{place}: {left!r} and {right!r} are accepted in one line and refused in another; "
            f"leave one of the two"
        )
