"""One flipped bit in any file that kgrec keeps: the same answers, or one message that names it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import build_tiny

from kgrec.config import Config
from kgrec.data.journal.forgotten import Forgotten, read_forgotten, write_forgotten
from kgrec.data.journal.manifest import journal_folder
from kgrec.errors import KgrecError
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import ingest
from kgrec.schema import NodeLabel
from kgrec.store.connect import open_store
from kgrec.text.cache import VectorCache
from kgrec.training.augmenter import GanAugmenter
from kgrec.training.directory import load_run
from kgrec.training.fit import train

FEW, MANY = 60, 500

SETTINGS = [
    "augment.gan.pretrain_epochs=1", "augment.gan.rounds=1", "augment.at_most=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a journal, a run and a generator."""
    folder = tmp_path_factory.mktemp("kept")
    config = Config.load(build_tiny(folder), SETTINGS)
    ingest(config)
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    train(config, graph, folder / "run", progress=False)
    GanAugmenter.fit(graph, config, folder / "generator")
    write_forgotten(journal_folder(config), Forgotten().with_ids({NodeLabel.USER: ["u99"]}))
    return folder


def answers_of_run(folder: Path) -> Any:
    run = load_run(folder / "run")
    scores = run.scorer.score(torch.arange(60))
    held_out = run.behaviours.held_out
    assert held_out is not None
    masks = held_out.dense().tolist(), run.behaviours.disliked.dense().tolist()
    ids = {label: vocabulary.ids for label, vocabulary in run.vocabularies.items()}
    record = run.record.tree()
    return scores.tolist(), masks, ids, run.names, record, run.config.model_dump()


def answers_of_generator(folder: Path) -> Any:
    config = Config.load(folder / "tiny.toml", SETTINGS)
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    edges = GanAugmenter.load(folder / "generator", graph).sample()
    return edges.user_index.tolist(), edges.item_index.tolist(), edges.weight.tolist()


def answers_of_journal(folder: Path) -> Any:
    config = Config.load(folder / "tiny.toml", SETTINGS)
    forgotten = read_forgotten(journal_folder(config))
    (folder / "graph.kgl").unlink(missing_ok=True)
    ingest(config, progress=False)
    with open_store(config.store, read_only=True) as store:
        graph = fetch_graph(store)
    return graph.version, graph.num_users, forgotten.salt, forgotten.hashes


ARTEFACTS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "run": ("run/*.*", answers_of_run),
    "generator": ("generator/*.*", answers_of_generator),
    "journal": ("graph.kgl.loads/*.*", answers_of_journal),
}


def flip(path: Path, rng: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


@pytest.mark.parametrize("flips", [FEW, pytest.param(MANY, marks=pytest.mark.prove)])
@pytest.mark.parametrize("name", ARTEFACTS)
def test_a_flipped_bit_changes_no_answer(
    kept: Path, tmp_path: Path, name: str, flips: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGREC_CACHE", str(tmp_path / "cache"))
    pattern, answers = ARTEFACTS[name]
    folder = tmp_path / "copy"
    shutil.copytree(kept, folder)
    expected = answers(folder)
    paths = sorted(
        path for path in kept.glob(pattern) if path.suffix in {".json", ".parquet", ".safetensors"}
    )
    assert len(paths) >= 4
    rng = np.random.default_rng(0)
    num_refused = 0
    for number in range(flips):
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        path = folder / paths[number % len(paths)].relative_to(kept)
        flip(path, rng)
        refusal = None
        try:
            assert answers(folder) == expected, path
        except KgrecError as error:
            refusal = str(error)
        if refusal is not None:
            num_refused += 1
            assert path.name in refusal
            assert ";" in refusal  # what to do
    assert num_refused > flips / 2


@pytest.mark.parametrize("flips", [FEW, pytest.param(MANY, marks=pytest.mark.prove)])
def test_a_flipped_bit_in_the_text_cache_costs_the_vectors_and_no_more(
    tmp_path: Path, flips: int
) -> None:
    rng = np.random.default_rng(1)
    cache = VectorCache(tmp_path, ["model"])
    vectors = rng.normal(size=(6, 8)).astype(np.float16)
    texts = [f"text {n}" for n in range(6)]
    cache.save(texts, vectors)
    (shard,) = cache.folder.iterdir()
    content = shard.read_bytes()
    for _ in range(flips):
        flip(shard, rng)
        assert cache.load(texts) == {}
        shard.write_bytes(content)
    assert set(cache.load(texts)) == set(texts)


def test_settings_that_were_edited_by_hand_are_refused(kept: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(kept / "run", run)
    path = run / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(KgrecError, match=r"config.json is damaged: .*digest"):
        load_run(run)
