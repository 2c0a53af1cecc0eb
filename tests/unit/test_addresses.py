"""No message, not even a traceback, shows a user, a password or a value of an address."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kgrec.addresses import holds_secrets, shown_address, without_secrets
from kgrec.cli import main
from kgrec.config import Config
from kgrec.errors import ConfigError
from kgrec.store.connect import open_store

SECRET = "s3cr3t"
#: Addresses that hold it, as people write them.
SECRETIVE = [
    f"bolt://neo4j:{SECRET}@127.0.0.1:7687",
    f"bolt://neo4j:a/b/{SECRET}@127.0.0.1:7687",
    f"neo4j+s://neo4j:p@ss{SECRET}@host.example",
    f"neo4j://{SECRET}%40127.0.0.1",
    f"bolt://127.0.0.1:7687?password={SECRET}",
    f"bolt://127.0.0.1:7687/?database=x&user=me&password={SECRET}",
    f"neo4j://neo4j:with space {SECRET}@127.0.0.1",
    f"bolt://neo4j:'\"{SECRET}@127.0.0.1",
]
OPEN = ["bolt://127.0.0.1:7687", "neo4j://host/?policy=eu", "embedded:/a@b/graph.kgl"]


@pytest.mark.parametrize("uri", SECRETIVE)
def test_addresses_with_secrets_are_masked_and_refused(uri: str) -> None:
    assert holds_secrets(uri)
    assert SECRET not in without_secrets(f"the store {uri} does not answer; start it")
    with pytest.raises(ConfigError, match="holds credentials") as refusal:
        open_store(uri)
    assert SECRET not in str(refusal.value)


def test_masks_leave_the_rest() -> None:
    assert without_secrets("no Neo4j at bolt://h:7687; start it") == (
        "no Neo4j at bolt://h:7687; start it"
    )
    assert without_secrets("neo4j://u:p@h/?a=1&b=2 and more") == "neo4j://…@h/?a=…&b=… and more"
    assert without_secrets("ndcg@20 of ann@example.org") == "ndcg@20 of ann@example.org"
    for uri in OPEN:
        assert not holds_secrets(uri)
        assert shown_address(uri) == uri or "policy" in uri
    assert shown_address("neo4j:s3cr3t@host") == "…@host"  # the scheme was forgotten


@pytest.mark.parametrize("uri", SECRETIVE[1::2])
@pytest.mark.parametrize("debug", [False, True])
def test_no_command_shows_them(
    uri: str, debug: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(uri)
    settings = {
        "store": f"[store]\nuri = {text}",
        "a string for a table": f"store = {text}",
        "wrong scheme": f"[store]\nuri = {text.replace('bolt', 'http').replace('neo4j', 'ftp', 1)}",
        "source": '[[data.sources]]\nname = "a"\nkind = "items"\ncypher = "RETURN 1"\n'
        f"uri = {text}",
        "adopt": f"[adopt]\nuri = {text}",
        "number": f"seed = {text}",
        "list": f"[training]\nepochs = [{text}]",
    }
    for name, section in settings.items():
        path = tmp_path / f"{name}.toml"
        path.write_text(f"{section}\n" + ("" if "data" in section else '[data]\ntrain = "t.tsv"\n'))
        flags = ["--debug"] if debug else []
        assert main(["ingest", "--config", str(path), *flags]) in (1, 2), name
        assert SECRET not in "".join(capfd.readouterr()), name
    for command in (
        ["status", "--store", uri],
        ["inspect", "--store", uri],
        ["query", "popular", "--store", uri],
        ["recommend", "--run", uri, "--user", "u"],
        ["train", "--config", "none.toml", "--set", f"store.uri={uri}"],
    ):
        assert main([*command, *(["--debug"] if debug else [])]) in (1, 2), command
        assert SECRET not in "".join(capfd.readouterr()), command


def test_pydantic_tells_no_values() -> None:
    with pytest.raises(ConfigError) as refusal:
        Config.build({"store": {"uri": [SECRET]}, "data": {"train": "t.tsv"}})
    assert SECRET not in repr(refusal.value.__cause__)


def test_a_traceback_outside_of_the_command_line_has_none(tmp_path: Path) -> None:
    program = f"import kgrec; kgrec.Config.build({{'adopt': {{'uri': {SECRETIVE[1]!r}}}}})"
    child = subprocess.run(
        [sys.executable, "-c", program.replace(SECRET, "' + 's3c' + 'r3t")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert child.returncode
    assert SECRET not in child.stderr
