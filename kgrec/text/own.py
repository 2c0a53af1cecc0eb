"""Text encoders of one's own, by the names that `text.model` may have for them.

Settings only name an encoder; its code is what the caller imported and registered, and no file on
disk can bring any.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgrec.errors import ConfigError, ShapeError

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

    @property
    def space(self) -> tuple[str, str, str]:
        """What its vectors are cached under; nothing of kgrec's own encoders begins like this."""
        return ("own", self.name, self.version)

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


def own_encoder(name: str | None) -> OwnEncoder | None:
    """Gives the encoder that was registered under a name; None if there is none."""
    return None if name is None else _ENCODERS.get(name)
