"""Vectors of texts on disk, in shards that are written once and whole.

A shard is a safetensors file of `keys` uint8 (n, 32), the SHA-256 of the texts, and `vectors`
float16 (n, d). It gets its name by a rename, so a killed process leaves no half of one, and several
processes may write at once.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

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
        wanted = {_key(text): text for text in texts}
        found: dict[str, npt.NDArray[np.float16]] = {}
        for shard in sorted(self.folder.glob("*.safetensors")):
            try:
                tensors = load_file(shard)
                keys, vectors = tensors["keys"], tensors["vectors"]
            except (OSError, SafetensorError, KeyError) as exc:
                logger.warning("damaged=%s error=%s; its texts are encoded again", shard, exc)
                continue
            for position, key in enumerate(keys):
                text = wanted.get(key.tobytes())
                if text is not None:
                    found[text] = vectors[position]
        return found

    def save(self, texts: Sequence[str], vectors: npt.NDArray[np.float16]) -> None:
        """Writes one shard: vectors float16 (n, d) of n texts."""
        keys = np.frombuffer(b"".join(map(_key, texts)), dtype=np.uint8).reshape(-1, 32)
        content = save({"keys": keys, "vectors": np.ascontiguousarray(vectors)})
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{hashlib.sha256(content).hexdigest()[:24]}.safetensors"
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self.folder / name)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
