"""Vectors of texts on disk, in shards that are written once and whole.

A shard is a safetensors file of `keys` uint8 (n, 32), the SHA-256 of the texts, and `vectors`
float16 (n, d). A killed process leaves no half of one, and several processes may write at once.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from kgrec.files import NOT_AS_WRITTEN, atomic_file

logger = logging.getLogger(__name__)


class VectorCache:
    """Vectors by text, for one way of encoding.

    Args:
        folder: Where the shards of all ways of encoding lie.
        space: Names the way of encoding (model fingerprint, pooling, token limit).
    """

    def __init__(self, folder: Path, space: Iterable[str]) -> None:
        digest = hashlib.sha256("\0".join(space).encode()).hexdigest()
        self.folder = folder / digest[:24]

    def load(self, texts: Sequence[str]) -> dict[str, npt.NDArray[np.float16]]:
        """Gives the float16 vectors (d,) of those texts that are cached."""
        text_of = {text_key(text): text for text in texts}
        vectors: dict[str, npt.NDArray[np.float16]] = {}
        for shard in sorted(self.folder.glob("*.safetensors")):
            try:
                keys, matrix = _read_shard(shard)
            except (OSError, SafetensorError, KeyError, ValueError) as exc:
                logger.warning("damaged=%s error=%s; its texts are encoded again", shard, exc)
                continue
            for position, key in enumerate(keys):
                text = text_of.get(key.tobytes())
                if text is not None:
                    vectors[text] = matrix[position]
        return vectors

    def save(self, texts: Sequence[str], vectors: npt.NDArray[np.float16]) -> None:
        """Writes one shard: vectors float16 (n, d) of n texts."""
        keys = np.frombuffer(b"".join(map(text_key, texts)), dtype=np.uint8).reshape(-1, 32)
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_shard(self.folder, keys, vectors)


def text_key(text: str) -> bytes:
    """Gives what a text's vector is kept under, 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def drop_texts(folder: Path, keys: frozenset[bytes]) -> tuple[int, int]:
    """Removes the vectors of some texts, however they were encoded.

    A shard that holds one is written anew without it before it is removed, so a killed process
    costs no other vector.

    Args:
        folder: Where the shards of all ways of encoding lie.
        keys: As `text_key` gives them.

    Returns:
        How many vectors are gone, and how many are left; these are in shards that cannot be read.

    Raises:
        OSError: If a shard cannot be written.
    """
    num_dropped = num_unreadable = 0
    for shard in sorted(folder.glob("*/*.safetensors")):
        try:
            stored, vectors = _read_shard(shard)
        except (OSError, SafetensorError, KeyError, ValueError):
            num_unreadable += 1
            continue
        keep = np.array([key.tobytes() not in keys for key in stored], dtype=bool)
        if keep.all():
            continue
        num_dropped += int((~keep).sum())
        if keep.any():
            _write_shard(shard.parent, stored[keep], vectors[keep])
        shard.unlink()
    return num_dropped, num_unreadable


def _write_shard(
    folder: Path, keys: npt.NDArray[np.uint8], vectors: npt.NDArray[np.float16]
) -> None:
    tensors = {"keys": np.ascontiguousarray(keys), "vectors": np.ascontiguousarray(vectors)}
    content = save(tensors)
    with atomic_file(folder / _name_of(content)) as temporary:
        temporary.write_bytes(content)


def _read_shard(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Gives keys and vectors; raises what reading raises, ValueError if a bit has flipped."""
    content = path.read_bytes()
    if path.name != _name_of(content):
        raise ValueError(NOT_AS_WRITTEN)
    tensors = load(content)
    return tensors["keys"], tensors["vectors"]


def _name_of(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:24]}.safetensors"
