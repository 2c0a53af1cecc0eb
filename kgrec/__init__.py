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

#: Where each name comes from.
_LAZY = {
    name: module
    for module, names in {
        "kgrec.adopt": ("Naming",),
        "kgrec.adopt.propose": ("inspect",),
        "kgrec.auditing.audit": ("audit",),
        "kgrec.auditing.likeness": ("relation_likeness",),
        "kgrec.data.card.page": ("write_card",),
        "kgrec.data.load": ("Intake", "load_dataset"),
        "kgrec.data.movielens": ("demo_config",),
        "kgrec.evaluation.evaluate": ("evaluate",),
        "kgrec.evaluation.floors": ("fit_floors",),
        "kgrec.evaluation.report": ("compare",),
        "kgrec.explanation.explainer": ("Explainer", "explain"),
        "kgrec.explanation.gradients": ("integrated_gradients",),
        "kgrec.exploration": (
            "Subgraph",
            "draw_subgraph",
            "explore",
            "visualize_subgraph",
            "write_subgraph",
        ),
        "kgrec.graph.data": ("GraphData",),
        "kgrec.graph.fetch": ("fetch_graph", "status"),
        "kgrec.ingestion": ("Marks", "check", "ingest", "write_dataset"),
        "kgrec.model.incidence": ("Incidence",),
        "kgrec.model.scorer": ("FromHistory", "Scorer"),
        "kgrec.publication": ("current_publication", "publications", "publish", "retire"),
        "kgrec.recommender": ("Recommendation", "Recommender"),
        "kgrec.reporting": ("report", "write_report"),
        "kgrec.resolution.resolve": ("resolve",),
        "kgrec.store.base": ("GraphStore",),
        "kgrec.store.connect": ("open_store",),
        "kgrec.store.cypher": ("get_statement",),
        "kgrec.store.synthetic": ("purge_synthetic", "synthetic_runs"),
        "kgrec.text.encoder": ("register_encoder",),
        "kgrec.training.augmenter": ("GanAugmenter",),
        "kgrec.training.directory": ("Run", "load_run"),
        "kgrec.training.fit": ("train",),
        "kgrec.training.part": ("Part", "register_part"),
        "kgrec.upkeep.forget": ("forget", "readmit"),
        "kgrec.upkeep.refresh": ("refresh",),
        "kgrec.upkeep.watching": ("watch",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name == "queries":  # a room of functions, called as kgrec.queries.popular(store)
        return import_module("kgrec.queries")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kgrec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
