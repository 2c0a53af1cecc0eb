"""The demo data: MovieLens-100k with its Freebase graph, fetched, verified and cached.

GroupLens does not allow the ratings to be passed on, so they are never in the package: they come
from the wheel of RecBole 1.2.1, by pip, with whatever index and proxy pip is set up for. The link
from films to Freebase in that wheel is wrong (its ids are those of MovieLens-20M); the corrected
one and the names of entities are in `kgrec/data/resources`.
"""

import csv
import hashlib
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

from kgrec.config import Config
from kgrec.data.cache import user_cache
from kgrec.errors import DataError

logger = logging.getLogger(__name__)

WHEEL_VARIABLE = "KGREC_ML100K_WHEEL"
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
_REQUIREMENT = "recbole==1.2.1"
_WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
_IN_WHEEL = "recbole/dataset_example/ml-100k/"
_EXTRACTED = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    "ml-100k.kg": "200a0636fa07c218119a42e5bac7aa3e26e3665a6f919c1b22909bd412b14779",
}
_DERIVED = {"items.tsv": "140df5d78b7117935f38648f059a59d13c5302518349d768ec3a2bd2781ca147"}
_PACKAGED = ("ml-100k-link.tsv.gz", "ml-100k-entity-names.tsv.gz")

# "Usual Suspects, The" and "Postino, Il (The Postman)" as they are said.
_ARTICLE = re.compile(
    r"^(?P<title>[^()]+), (?P<article>The|An?|L[ae]s?|L'|Il|El|Los|Das|Der|Die|Det|O)"
    r"(?P<rest>$| \(.*\)$)"
)


def fetch_movielens(cache: Path | None = None) -> Path:
    """Gives the folder that holds the demo's files, fetching them the first time.

    Args:
        cache: Cache folder; None is `kgrec.data.cache.user_cache()`.

    Raises:
        DataError: If the wheel can neither be found nor fetched, or is not the expected one, or
            the cache cannot be written.
    """
    cache = user_cache() if cache is None else cache
    folder = cache / "ml-100k"
    if _intact(folder):
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ml-100k-", dir=cache) as scratch:
            complete = Path(scratch) / "ml-100k"
            complete.mkdir()
            _fill(complete, _wheel(cache, Path(scratch)))
            _install(complete, folder)
    except OSError as exc:
        raise DataError(
            f"cannot write the cache {cache}: {exc}; set KGREC_CACHE to a folder that takes files"
        ) from exc
    return folder


def demo_config(cache: Path | None = None) -> Config:
    """Gives the demo's settings, with paths into the cache; fetches the data if needed.

    Raises:
        DataError: As `fetch_movielens`.
    """
    folder = fetch_movielens(cache)
    tree = tomllib.loads(_resource("ml-100k.toml").decode())
    data = tree["data"]
    for key in ("interactions", "items", "users", "triples", "link", "entities"):
        data[key] = folder / data[key]
    return Config.build(tree, source="ml-100k.toml")


def _intact(folder: Path) -> bool:
    """Tells whether all files are there with their checksums."""
    try:
        return all(
            _sha256((folder / name).read_bytes()) == sha for name, sha in _checksums().items()
        )
    except OSError:
        return False


def _wheel(cache: Path, scratch: Path) -> Path:
    """Finds the wheel, or fetches it into `scratch`, and verifies it."""
    override = os.environ.get(WHEEL_VARIABLE)
    wheel = Path(override) if override else cache / _WHEEL
    if not wheel.is_file():
        if override:
            raise DataError(
                f"{WHEEL_VARIABLE} names {wheel}, where no file is; expected {_WHEEL}; correct "
                f"the path or unset the variable"
            )
        wheel = _downloaded(scratch, wheel)
    digest = _sha256(wheel.read_bytes())
    if digest != _WHEEL_SHA256:
        raise DataError(
            f"{wheel} is not the wheel of {_REQUIREMENT}: expected SHA-256 {_WHEEL_SHA256}, got "
            f"{digest}; remove it and fetch it again"
        )
    return wheel


def _downloaded(scratch: Path, by_hand: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "-d", str(scratch), _REQUIREMENT]
    logger.info("fetching=%s to=%s", _REQUIREMENT, by_hand.parent)
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        problem = process.stderr.strip().splitlines()[-1:] if process.returncode else []
    except subprocess.TimeoutExpired:
        problem = ["no answer within 300 s"]
    wheel = scratch / _WHEEL
    if problem or not wheel.is_file():
        raise DataError(
            f"cannot fetch MovieLens-100k, which comes inside {_REQUIREMENT}: "
            f"{problem[0] if problem else 'pip brought another file'}; set up pip for your proxy "
            f"or index (pip config set global.proxy …), or fetch the wheel elsewhere (pip download "
            f"--no-deps {_REQUIREMENT}) and put it at {by_hand}, or let {WHEEL_VARIABLE} name it"
        )
    return wheel


def _fill(folder: Path, wheel: Path) -> None:
    """Writes all files of the demo and verifies them."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            contents = {name: archive.read(_IN_WHEEL + name) for name in _EXTRACTED}
    except (zipfile.BadZipFile, KeyError) as exc:
        raise DataError(f"{wheel} is damaged: {exc}; remove it and fetch it again") from exc
    contents |= {name: _resource(name) for name in _PACKAGED}
    contents["items.tsv"] = _items(contents["ml-100k.item"].decode())
    for name, sha in _checksums().items():
        if _sha256(contents[name]) != sha:
            raise DataError(
                f"{name} is not what was expected (SHA-256 {_sha256(contents[name])}, not {sha}); "
                f"install kgrec again"
            )
        (folder / name).write_bytes(contents[name])


def _install(complete: Path, folder: Path) -> None:
    """Moves a complete folder to its place, whatever is there and whoever does the same."""
    try:
        complete.replace(folder)
    except OSError:
        if _intact(folder):  # another process was faster
            return
        shutil.rmtree(folder)
        complete.replace(folder)


def _items(text: str) -> bytes:
    """Makes the item table: titles as they are said, years as numbers, unknown cells empty."""
    rows = csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    next(rows)
    lines = ["item_id\ttitle\tyear\tclass"]
    for item, title, year, classes in rows:
        dated = re.fullmatch(r"(.*) \((\d{4})\)", title)
        if dated is not None and not year.isdigit():  # one film's year is in its title
            title, year = dated[1], dated[2]
        year = year if year.isdigit() else ""
        classes = "" if classes == "unknown" else classes
        lines.append(f"{item}\t{spoken_title(title)}\t{year}\t{classes}")
    return ("\n".join(lines) + "\n").encode()


def spoken_title(title: str) -> str:
    """Moves a trailing article to the front: "Net, The" becomes "The Net"."""
    match = _ARTICLE.match(title)
    if match is None:
        return "unknown" if title == "unkonwn" else title
    space = "" if match["article"].endswith("'") else " "
    return f"{match['article']}{space}{match['title']}{match['rest']}"


def _checksums() -> dict[str, str]:
    return {**_EXTRACTED, **_DERIVED, **{name: _sha256(_resource(name)) for name in _PACKAGED}}


def _resource(name: str) -> bytes:
    return (files("kgrec.data") / "resources" / name).read_bytes()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
