"""Events as index arrays: what the journal gives and the view folds."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

NO_TIME = np.iinfo(np.int64).min
NO_SPLIT = -1


@dataclass(frozen=True)
class Events:
    """Cleaned interactions, one row an event; all arrays are (n,).

    Attributes:
        user: int32, the journal's code of the user.
        item: int32, the journal's code of the item.
        behaviour: int16, position in `behaviours`.
        time: int64 seconds since 1970 UTC; NO_TIME where unknown.
        rating: float64, NaN where unknown.
        weight: float64, NaN where unknown.
        split: int8, position in `Split` of a given split; NO_SPLIT.
        deleted: bool; the row takes back the events it names (those of its user, item and
            behaviour, up to its time where it has one).
        load: int32, number of the load that brought it; greater is later.
        behaviours: Names of the settings.
    """

    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    behaviour: npt.NDArray[np.int16]
    time: npt.NDArray[np.int64]
    rating: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]
    split: npt.NDArray[np.int8]
    deleted: npt.NDArray[np.bool_]
    load: npt.NDArray[np.int32]
    behaviours: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, where: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Events":
        """The events of a mask or of positions."""
        arrays = {
            f.name: getattr(self, f.name)[where] for f in fields(self) if f.name != "behaviours"
        }
        return Events(**arrays, behaviours=self.behaviours)
