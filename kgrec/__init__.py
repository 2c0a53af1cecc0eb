"""kgrec recommends items from a knowledge graph and says why.

The names below are the whole public interface; everything heavy is imported when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kgrec.config import Config
from kgrec.config.base import PartConfig
from kgrec.errors import KgrecError
from kgrec.schema import NodeLabel, Split

if TYPE_CHECKING:
    from kgrec import queries
    from kgrec.data.intake import Intake
    from kgrec.data.load import load_dataset
    from kgrec.data.movielens import demo_config
    from kgrec.evaluation.evaluate import evaluate
    from kgrec.evaluation.floors import fit_floors
    from kgrec.graph.fetch import fetch_graph
    from kgrec.ingestion import ingest, write_dataset
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import FromHistory, Scorer
    from kgrec.recommend import Recommendation, Recommender
    from kgrec.store.connect import open_store
    from kgrec.text.own import register_encoder
    from kgrec.training.augmenter import GanAugmenter
    from kgrec.training.directory import load_run
    from kgrec.training.part import Part, register_part
    from kgrec.training.run import train

__version__ = "0.1.0"

__all__ = [
    "Config",
    "FromHistory",
    "GanAugmenter",
    "Incidence",
    "Intake",
    "KgrecError",
    "NodeLabel",
    "Part",
    "PartConfig",
    "Recommendation",
    "Recommender",
    "Scorer",
    "Split",
    "__version__",
    "demo_config",
    "evaluate",
    "fetch_graph",
    "fit_floors",
    "ingest",
    "load_dataset",
    "load_run",
    "open_store",
    "queries",
    "register_encoder",
    "register_part",
    "train",
    "write_dataset",
]

_LAZY = {
    "FromHistory": "kgrec.model.scorer",
    "GanAugmenter": "kgrec.training.augmenter",
    "Incidence": "kgrec.model.incidence",
    "Intake": "kgrec.data.intake",
    "Part": "kgrec.training.part",
    "Recommendation": "kgrec.recommend",
    "Recommender": "kgrec.recommend",
    "Scorer": "kgrec.model.scorer",
    "demo_config": "kgrec.data.movielens",
    "evaluate": "kgrec.evaluation.evaluate",
    "fetch_graph": "kgrec.graph.fetch",
    "fit_floors": "kgrec.evaluation.floors",
    "ingest": "kgrec.ingestion",
    "load_dataset": "kgrec.data.load",
    "load_run": "kgrec.training.directory",
    "open_store": "kgrec.store.connect",
    "register_encoder": "kgrec.text.own",
    "register_part": "kgrec.training.part",
    "train": "kgrec.training.run",
    "write_dataset": "kgrec.ingestion",
}


def __getattr__(name: str) -> Any:
    if name == "queries":  # a room of functions, called as kgrec.queries.popular(store)
        return import_module("kgrec.queries")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kgrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
