"""What can go wrong, as one tree.

    KgrecError
    ├── ConfigError         (ValueError)    a setting is missing, unknown or out of range
    ├── DataError           (ValueError)    an input file or table cannot be used as it is
    ├── SchemaError         (ValueError)    a label, relation or statement the schema does not know
    ├── VocabularyError     (KeyError)      an external id that no node has
    ├── ShapeError          (ValueError)    a tensor of another shape or dtype than documented
    ├── StoreError                          the graph store refused
    │   ├── StoreUnavailable (ConnectionError)   nothing answers, or it refuses the credentials
    │   ├── StoreBusy                            another process holds the writer's lease
    │   └── QueryFailed                          a statement failed
    │       └── QueryTimedOut (TimeoutError)     it took longer than it was given
    ├── RunError                            a run directory is damaged or of another graph
    ├── PartFailed                          a part that is not kgrec's own fails, or is no part
    ├── NotFittedError      (RuntimeError)  a scorer is asked before it was fitted
    └── TrainingDiverged    (ArithmeticError)  the loss is no longer finite

Every message says what happened, what was expected, what was got, and the next step.
"""


class KgrecError(Exception):
    """Base of everything kgrec raises on purpose."""

    def __str__(self) -> str:
        # KeyError would show the message with quotes around it.
        return str(self.args[0]) if self.args else ""


class ConfigError(KgrecError, ValueError):
    """A setting is missing, unknown or out of range."""


class DataError(KgrecError, ValueError):
    """An input file or table cannot be used as it is."""


class SchemaError(KgrecError, ValueError):
    """A label, relation or statement that the schema does not know."""


class VocabularyError(KgrecError, KeyError):
    """An external id that no node of the label has."""


class ShapeError(KgrecError, ValueError):
    """A tensor has another shape or dtype than documented."""


class StoreError(KgrecError):
    """The graph store refused."""


class StoreUnavailable(StoreError, ConnectionError):  # noqa: N818 - reads as the condition it names
    """Nothing answers at the address, or it refuses the credentials."""


class StoreBusy(StoreError):  # noqa: N818
    """Another process holds the writer's lease of an embedded store."""


class QueryFailed(StoreError):  # noqa: N818
    """A statement failed in the store."""


class QueryTimedOut(QueryFailed, TimeoutError):  # noqa: N818
    """A query took longer than it was given."""


class RunError(KgrecError):
    """A run directory is incomplete, damaged, or made for another graph version."""


class PartFailed(KgrecError):  # noqa: N818
    """A part that is not kgrec's own raises an error, or gives what cannot be scores."""


class NotFittedError(KgrecError, RuntimeError):
    """A scorer is asked for scores before it was fitted."""


class TrainingDiverged(KgrecError, ArithmeticError):  # noqa: N818
    """The loss is no longer finite."""
