"""docs/extending.md does what it says, block by block, and there is no other way in."""

import importlib
import json
import logging
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_parts import MODULES, Registered, restored
from resealed import reseal
from tiny import NUM_ITEMS, build_tiny

from kgrec.cli import main
from kgrec.config import Config
from kgrec.errors import ConfigError, RunError
from kgrec.explanation.explainer import explain
from kgrec.graph.texts import text_features
from kgrec.model.incidence import Incidence
from kgrec.model.kinds import described, from_description
from kgrec.model.popularity import Popularity
from kgrec.model.scorer import Scorer
from kgrec.schema import NodeLabel
from kgrec.training.checkpoint import load_tensors, save_tensors
from kgrec.training.directory import Run, load_run
from kgrec.training.inner_split import history_of

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)

#: kgrec's own parts are weak here, so that those of the page are not left out as hardly missed.
SETTINGS = """
[model]
channels = 2

[training]
epochs = 1
ensemble = 1

[closed_form]
enabled = false

[user_side]
enabled = false

[factors]
enabled = false
"""


@dataclass(frozen=True)
class Page:
    """What is there when the page was run.

    Attributes:
        folder: The shop's.
        names: What the page's Python blocks bound.
        printed: What they and the commands printed.
        before: What was registered before.
    """

    folder: Path
    names: dict[str, Any]
    printed: str
    before: Registered


def run_block(language: str, title: str, text: str, names: dict[str, Any]) -> None:
    """Writes a block with a title into its file, and runs any other."""
    if title:
        with Path(title).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}")
        importlib.invalidate_caches()
    elif language == "python":
        exec(compile(text, "docs/extending.md", "exec"), names)
    elif language == "sh":
        for line in text.splitlines():
            if line == "export PYTHONPATH=.":
                continue  # the fixture did
            program, *arguments = shlex.split(line)
            assert program == "kgrec"
            if "refresh" in arguments:
                add_interactions(Path("interactions.tsv"))
            assert main(arguments) == 0, line
    else:
        assert language == "diff"


def add_interactions(path: Path) -> None:
    """A user and an item that training does not know."""
    with path.open("a", encoding="utf-8") as file:
        file.write("late\ti2\t5\t9000000\nlate\ti4\t5\t9000001\nu1\tnovel\t5\t9000002\n")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("extending")
    settings = build_tiny(folder).rename(folder / "kgrec.toml")
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text[: text.index("[model]")] + SETTINGS, encoding="utf-8")
    output = folder / "printed.txt"
    with pytest.MonkeyPatch.context() as patch, restored() as before, output.open("w") as file:
        patch.chdir(folder)
        patch.syspath_prepend(".")
        patch.setenv("KGREC_CACHE", str(folder / "cache"))
        patch.setattr("sys.stdout", file)
        names: dict[str, Any] = {"__name__": "page"}
        for language, title, code in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            run_block(language, title, code, names)
        file.flush()
        patch.undo()
        patch.syspath_prepend(folder)
        yield Page(folder, names, output.read_text(encoding="utf-8"), before)


def run_of(page: Page, name: str) -> Run:
    return load_run(page.folder / "runs" / name)


@pytest.fixture(params=["together", "autoencoder"])
def part(request: pytest.FixtureRequest, page: Page) -> Scorer:
    """A scorer of the page, as it is in a run that was saved and loaded."""
    return run_of(page, "third" if request.param == "autoencoder" else "first").scorer.parts[
        request.param
    ]


def test_the_parts_are_trained_beside_the_others(page: Page) -> None:
    first, third = run_of(page, "first"), run_of(page, "third")
    assert set(first.scorer.part_weights) >= {"network", "together"}
    assert first.scorer.part_weights["together"] > 0
    assert set(third.scorer.part_weights) >= {"together", "autoencoder"}
    assert {"together", "autoencoder"} <= third.record.seconds.keys()
    assert "together alone" in page.printed  # a row of `kgrec evaluate`
    settings = json.loads((first.directory / "config.json").read_text(encoding="utf-8"))
    assert settings["together"] == {"enabled": True, "shrink": 5.0}


def test_the_numbers_are_cosines(page: Page) -> None:
    together = run_of(page, "first").scorer.parts["together"]
    owned = together.history.dense().numpy()
    common = owned.T @ owned
    norm = np.sqrt(np.maximum(np.diag(common), 1))
    cosines = common / (np.outer(norm, norm) + 5)
    np.fill_diagonal(cosines, 0)
    scores = together.score(torch.arange(together.num_users)).numpy()
    np.testing.assert_allclose(scores, owned @ cosines, atol=1e-5)


def test_scorers_of_others_keep_to_what_all_keep_to(part: Scorer) -> None:
    users = torch.arange(part.num_users)
    scores = part.score(users)
    assert scores.dtype == torch.float32
    assert scores.shape == (part.num_users, part.num_items)
    assert not scores.requires_grad
    for user in (0, part.num_users - 1):
        torch.testing.assert_close(part.score(users[user : user + 1])[0], scores[user])
    with pytest.raises(IndexError):
        part.score(torch.tensor([part.num_users]))

    items = torch.tensor([3, 0, 7])
    why = part.contributions(1, items)
    torch.testing.assert_close(why.score, scores[1][items])
    torch.testing.assert_close(why.by_item.sum(dim=1) + why.rest, why.score)
    torch.testing.assert_close(why.by_relation.sum(dim=1), why.score)

    own = part.history.row(1)
    history = Incidence(torch.tensor([0, len(own) - 1]), own[1:], part.num_items)
    expected = part.over(history).score(torch.tensor([0]))[0]
    torch.testing.assert_close(part.without(1, own[:1]), expected)

    tensors, values = described(part)
    again = from_description(tensors, json.loads(json.dumps(values)))
    assert type(again) is type(part)
    assert torch.equal(again.score(users), scores)


def test_an_explanation_has_the_parts_share(page: Page) -> None:
    run = run_of(page, "third")
    user, item = "u1", run.vocabularies[NodeLabel.ITEM].ids[0]
    why = explain(run, user, item)
    shares = {entry.name: entry.share for entry in why.parts}
    assert {"together", "autoencoder"} <= shares.keys()
    indices = [run.vocabularies[NodeLabel.USER].index(user), 0]
    score = float(run.scorer.score(torch.tensor(indices[:1]))[0, indices[1]])
    assert sum(shares.values()) == pytest.approx(score, abs=1e-4)
    assert why.own_items


def test_refresh_folded_it(page: Page) -> None:
    """As the page's command did, after rows that training had not seen."""
    run = run_of(page, "first")
    assert run.record.refreshed[0].nodes["User"]["new"] == 1
    together = run.scorer.parts["together"]
    user, items = run.vocabularies[NodeLabel.USER].index("late"), run.vocabularies[NodeLabel.ITEM]
    assert items.index("i2") in together.history.row(user).tolist()
    fresh = type(together)(together.history, 5.0)
    users = torch.arange(together.num_users)
    assert torch.equal(together.score(users), fresh.score(users))
    assert len(together.score(torch.tensor([user]))[0].nonzero()) > 0


def test_a_module_keeps_old_items_where_items_come(page: Page) -> None:
    scorer = run_of(page, "third").scorer.parts["autoencoder"]
    num_items = scorer.num_items
    # A new item comes first, and the last two change places.
    places = torch.tensor([-1, *range(num_items - 2), num_items - 1, num_items - 2])
    moved_to = {old: new for new, old in enumerate(places.tolist())}
    rows, columns = scorer.history.rows, scorer.history.columns
    history = Incidence.from_pairs(
        rows, torch.tensor([moved_to[old] for old in columns.tolist()]), scorer.num_users,
        len(places),
    )  # fmt: skip
    graph = type("Graph", (), {"items": places, "history": history})
    users = torch.arange(scorer.num_users)
    before, after = scorer.score(users), scorer.folded(graph).score(users)
    torch.testing.assert_close(after[:, 1:], before[:, places[1:]])
    assert bool((after[:, 0] == after[0, 0]).all())


def test_the_metric_is_right(page: Page) -> None:
    evaluation = page.names["evaluation"]
    values = evaluation.per_user["rbp@10"]
    assert values.shape == (evaluation.num_users,)
    assert evaluation.metrics["rbp@10"] == pytest.approx(values.mean())
    # One item is held out: .2 · .8 ** (rank - 1), where MRR is 1 / rank.
    reciprocal = evaluation.per_user["mrr@10"]
    ranks = np.divide(1, reciprocal, where=reciprocal > 0, out=np.full(len(values), np.inf))
    np.testing.assert_allclose(values, 0.2 * 0.8 ** (ranks - 1))


def test_the_encoder_is_right(page: Page) -> None:
    run, graph = run_of(page, "third"), page.names["graph"]
    assert run.config.text.model == "word-hashes"
    assert run.space is not None
    assert len(run.space.mean) == 256
    features, _ = text_features(graph, run.config.text, page.folder / "elsewhere", run.space)
    assert features[NodeLabel.ITEM].any(axis=1).sum() == NUM_ITEMS  # the novel one has no title


# --- nothing comes in by a file ------------------------------------------------------------------


@pytest.fixture
def bare(page: Page, tmp_path: Path) -> Iterator[Path]:
    """A copy of a run, where nothing of the page is registered or imported, but all is in reach."""
    with restored(page.before):
        for module in MODULES:
            assert module not in sys.modules
            assert importlib.util.find_spec(module) is not None
        yield Path(shutil.copytree(page.folder / "runs" / "third", tmp_path / "run"))
        for module in MODULES:
            assert module not in sys.modules, f"{module} was imported because a file names it"


def edit(path: Path, **changes: Any) -> None:
    """Changes top-level values of a JSON file; None takes one out."""
    tree = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    tree = {name: value for name, value in tree.items() if value is not None}
    path.write_text(json.dumps(tree), encoding="utf-8")


def set_weights(run_dir: Path, **weights: float) -> None:
    """Changes what the record says of the fusion."""
    fusion = json.loads((run_dir / "record.json").read_text(encoding="utf-8"))["fusion"]
    reseal(run_dir, fusion={**fusion, "weights": {**fusion["weights"], **weights}})


def test_a_run_with_an_unknown_part_says_what_to_import(bare: Path) -> None:
    with pytest.raises(RunError, match=r"part 'together', which is not registered here.*--import"):
        load_run(bare)


def test_an_unknown_part_that_weighs_nothing_is_left_out(
    bare: Path, page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    stored, _ = load_tensors(bare / "model.safetensors")
    tensors, values = described(Popularity(history_of(page.names["graph"])))
    save_tensors(bare / "model.safetensors", {**stored, **tensors}, values)
    set_weights(bare, together=0.0, autoencoder=0.0)
    with caplog.at_level(logging.WARNING, logger="kgrec"):
        run = load_run(bare)
    assert isinstance(run.scorer, Popularity)
    notes = [record.getMessage() for record in caplog.records]
    assert [note.partition(" ")[0] for note in notes] == ["part=together", "part=autoencoder"]


@pytest.mark.parametrize("kind", ["Together", "together.Together", "together", "word_hashes"])
def test_an_unknown_kind_says_what_to_import(bare: Path, kind: str) -> None:
    edit(bare / "config.json", together=None, autoencoder=None)
    reseal(bare)
    tensors, _ = load_tensors(bare / "model.safetensors")
    save_tensors(bare / "model.safetensors", tensors, {"kind": kind, "values": {}})
    with pytest.raises(RunError, match=f"kind '{kind}', expected one of .*import the module"):
        load_run(bare)


def test_a_settings_file_with_an_unknown_section_is_refused(bare: Path, page: Page) -> None:
    with pytest.raises(ConfigError, match=r"together: unknown key.*, or import the module"):
        Config.load(page.folder / "kgrec.toml")


def test_an_encoder_that_is_not_registered_is_a_model(
    bare: Path, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoConfig

    def missing(name: str, **options: object) -> None:
        assert options == {"trust_remote_code": False}
        raise OSError(f"no model {name}")

    monkeypatch.setattr(AutoConfig, "from_pretrained", missing)
    settings = Config.build({"data": {"interactions": "x"}, "text": {"model": "word_hashes"}})
    with pytest.raises(ConfigError, match="registers an encoder of your own"):
        text_features(page.names["graph"], settings.text)


def test_the_command_line_imports_what_it_is_told_to(
    bare: Path, page: Page, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--run", str(bare)]
    assert main(command) == 1
    assert "import the module that registers it first" in capsys.readouterr().err
    with restored():
        assert main(["--import", "together", "--import", "autoencoder", *command]) == 0


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("not_there", None, "No module named 'not_there'; expected the dotted name"),
        ("together.py", None, "expected the dotted name"),
        ("./together", None, "expected the dotted name"),
        (".together", None, "expected the dotted name"),
        ("broken_1", "1 / 0", "ZeroDivisionError: division by zero; mend the module"),
        ("broken_2", "def", "SyntaxError"),
        ("broken_3", "import not_there", "No module named 'not_there'; mend the module"),
        (
            "broken_4",
            "import kgrec\nclass Mine(kgrec.Part):\n    name = title = 'network'\n"
            "    def fit(self, fitting, settings, advance): ...\nkgrec.register_part(Mine())",
            "kgrec has a part called 'network'",
        ),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    module: str,
    source: str | None,
    message: str,
    bare: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    if source is not None:
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
    with restored():
        assert main(["--import", module, "evaluate", "--run", str(bare)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert f"--import {module}" in error
