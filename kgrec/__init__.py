"""kgrec recommends items from a knowledge graph and says why.

The names below are the whole public interface; everything heavy is imported when first used. A
function has the name of its command: `kgrec.train` does what `kgrec train` does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kgrec.config import Config
from kgrec.config.base import PartConfig
from kgrec.errors import KgrecError
from kgrec.schema import NodeLabel, Split

if TYPE_CHECKING:
    from kgrec import queries
    from kgrec.adopt import Naming
    from kgrec.adopt.propose import inspect
    from kgrec.auditing.audit import audit
    from kgrec.auditing.likeness import relation_likeness
    from kgrec.data.card.page import write_card
    from kgrec.data.load import Intake, load_dataset
    from kgrec.data.movielens import demo_config
    from kgrec.evaluation.evaluate import evaluate
    from kgrec.evaluation.floors import fit_floors
    from kgrec.evaluation.report import compare
    from kgrec.explanation.explainer import Explainer, explain
    from kgrec.explanation.gradients import integrated_gradients
    from kgrec.exploration import (
        Subgraph,
        draw_subgraph,
        explore,
        visualize_subgraph,
        write_subgraph,
    )
    from kgrec.graph.data import GraphData
    from kgrec.graph.fetch import fetch_graph, status
    from kgrec.ingestion import Marks, check, ingest, write_dataset
    from kgrec.model.incidence import Incidence
    from kgrec.model.scorer import FromHistory, Scorer
    from kgrec.publication import current_publication, publications, publish, retire
    from kgrec.recommender import Recommendation, Recommender
    from kgrec.reporting import report, write_report
    from kgrec.resolution.resolve import resolve
    from kgrec.store.base import GraphStore
    from kgrec.store.connect import open_store
    from kgrec.store.cypher import get_statement
    from kgrec.store.synthetic import purge_synthetic, synthetic_runs
    from kgrec.text.encoder import register_encoder
    from kgrec.training.augmenter import GanAugmenter
    from kgrec.training.directory import Run, load_run
    from kgrec.training.fit import train
    from kgrec.training.part import Part, register_part
    from kgrec.upkeep.forget import forget, readmit
    from kgrec.upkeep.refresh import refresh
    from kgrec.upkeep.watching import watch

__version__ = "0.2.0"

__all__ = [
    "Config",
    "Explainer",
    "FromHistory",
    "GanAugmenter",
    "GraphData",
    "GraphStore",
    "Incidence",
    "Intake",
    "KgrecError",
    "Marks",
    "Naming",
    "NodeLabel",
    "Part",
    "PartConfig",
    "Recommendation",
    "Recommender",
    "Run",
    "Scorer",
    "Split",
    "Subgraph",
    "__version__",
    "audit",
    "check",
    "compare",
    "current_publication",
    "demo_config",
    "draw_subgraph",
    "evaluate",
    "explain",
    "explore",
    "fetch_graph",
    "fit_floors",
    "forget",
    "get_statement",
    "ingest",
    "inspect",
    "integrated_gradients",
    "load_dataset",
    "load_run",
    "open_store",
    "publications",
    "publish",
    "purge_synthetic",
    "queries",
    "readmit",
    "refresh",
    "register_encoder",
    "register_part",
    "relation_likeness",
    "report",
    "resolve",
    "retire",
    "status",
    "synthetic_runs",
    "train",
    "visualize_subgraph",
    "watch",
    "write_card",
    "write_dataset",
    "write_report",
    "write_subgraph",
]

_LAZY = {
    "Explainer": "kgrec.explanation.explainer",
    "FromHistory": "kgrec.model.scorer",
    "GanAugmenter": "kgrec.training.augmenter",
    "GraphData": "kgrec.graph.data",
    "GraphStore": "kgrec.store.base",
    "Incidence": "kgrec.model.incidence",
    "Intake": "kgrec.data.load",
    "Marks": "kgrec.ingestion",
    "Naming": "kgrec.adopt",
    "Part": "kgrec.training.part",
    "Recommendation": "kgrec.recommender",
    "Recommender": "kgrec.recommender",
    "Run": "kgrec.training.directory",
    "Scorer": "kgrec.model.scorer",
    "Subgraph": "kgrec.exploration",
    "audit": "kgrec.auditing.audit",
    "check": "kgrec.ingestion",
    "compare": "kgrec.evaluation.report",
    "current_publication": "kgrec.publication",
    "demo_config": "kgrec.data.movielens",
    "draw_subgraph": "kgrec.exploration",
    "evaluate": "kgrec.evaluation.evaluate",
    "explain": "kgrec.explanation.explainer",
    "explore": "kgrec.exploration",
    "fetch_graph": "kgrec.graph.fetch",
    "fit_floors": "kgrec.evaluation.floors",
    "forget": "kgrec.upkeep.forget",
    "get_statement": "kgrec.store.cypher",
    "ingest": "kgrec.ingestion",
    "inspect": "kgrec.adopt.propose",
    "integrated_gradients": "kgrec.explanation.gradients",
    "load_dataset": "kgrec.data.load",
    "load_run": "kgrec.training.directory",
    "open_store": "kgrec.store.connect",
    "publications": "kgrec.publication",
    "publish": "kgrec.publication",
    "purge_synthetic": "kgrec.store.synthetic",
    "readmit": "kgrec.upkeep.forget",
    "refresh": "kgrec.upkeep.refresh",
    "register_encoder": "kgrec.text.encoder",
    "register_part": "kgrec.training.part",
    "relation_likeness": "kgrec.auditing.likeness",
    "report": "kgrec.reporting",
    "resolve": "kgrec.resolution.resolve",
    "retire": "kgrec.publication",
    "status": "kgrec.graph.fetch",
    "synthetic_runs": "kgrec.store.synthetic",
    "train": "kgrec.training.fit",
    "visualize_subgraph": "kgrec.exploration",
    "watch": "kgrec.upkeep.watching",
    "write_card": "kgrec.data.card.page",
    "write_dataset": "kgrec.ingestion",
    "write_report": "kgrec.reporting",
    "write_subgraph": "kgrec.exploration",
}


def __getattr__(name: str) -> Any:
    if name == "queries":  # a room of functions, called as kgrec.queries.popular(store)
        return import_module("kgrec.queries")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kgrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
