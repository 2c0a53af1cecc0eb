"""A benchmark in one picture: accuracy against the time it took."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kgrec.bench.markdown import longest
from kgrec.bench.peers import REFERENCE

_OWN, _OTHER = "#C44E52", "#4C72B0"
#: Shorter trainings are drawn here: a logarithm has no zero.
_LEAST_SECONDS = 0.01


def draw_bench(path: Path, report: dict[str, Any]) -> None:
    """Draws NDCG at the longest list against seconds to train as PNG.

    Bars are the standard deviation over seeds. Parts, which were not trained alone, and models
    without a result are left out.

    Args:
        path: The file to write.
        report: The report.
    """
    metric = f"ndcg@{longest(report)}"
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in report["rows"]:
        seconds = row.get("seconds", {}).get("train")
        accuracy = row.get("metrics", {}).get(metric)
        if seconds is None or accuracy is None or accuracy["mean"] is None:
            continue
        x, y = max(seconds["mean"], _LEAST_SECONDS), accuracy["mean"]
        own = row["model"].startswith(REFERENCE)
        axes.errorbar(
            x, y, yerr=accuracy["sd"], fmt="s" if own else "o", color=_OWN if own else _OTHER
        )
        axes.annotate(row["model"], (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("seconds to train, search included")
    axes.set_ylabel(f"test NDCG@{longest(report)}")
    axes.set_title(report["name"])
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
