"""One picture of a run: loss, valid metric, learned relation weights."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kgrec.training.record import FitRecord

_LOSS, _VALID, _FORWARD, _BACKWARD = "#4C72B0", "#DD8452", "#55A868", "#8C8C8C"
_MOST_RELATIONS = 20


def draw_training(path: Path, record: FitRecord) -> None:
    """Draws a run's record as PNG.

    Args:
        path: The file to write.
        record: The run's record; parts that were not trained leave their panel empty.
    """
    relations = _by_relation(record.relation_weights)
    height = max(3.2, 0.28 * len(relations) + 1.2)
    figure = Figure(figsize=(11, height), layout="constrained")
    FigureCanvasAgg(figure)
    curves, bars = figure.subplots(1, 2)
    numbers = [epoch["epoch"] for epoch in record.epochs]
    curves.plot(numbers, [epoch["loss"] for epoch in record.epochs], color=_LOSS)
    curves.set_xlabel("epoch")
    curves.set_ylabel("training loss", color=_LOSS)
    evaluations = [epoch for epoch in record.epochs if "valid" in epoch]
    right = curves.twinx()
    right.plot(
        [epoch["epoch"] for epoch in evaluations],
        [epoch["valid"] for epoch in evaluations],
        color=_VALID,
        marker="o",
        markersize=3,
    )
    right.set_ylabel("valid NDCG@20 (network alone)", color=_VALID)
    curves.set_title("Training")
    names = list(relations)
    places = range(len(names))
    for side, (label, colour) in enumerate((("forward", _FORWARD), ("reverse", _BACKWARD))):
        shifted = [y - 0.2 + 0.4 * side for y in places]
        widths = [relations[name][side] for name in names]
        bars.barh(shifted, widths, 0.4, color=colour, label=label)
    bars.set_yticks(list(places), [name.lower() for name in names], fontsize=8)
    bars.invert_yaxis()
    bars.set_xlabel("learned weight; 1 at the start, dislikes -1")
    if names:
        bars.legend(frameon=False, loc="lower right")
    bars.set_title("Relations")
    for axes in (curves, right, bars):
        axes.spines["top"].set_visible(False)
    figure.savefig(path, dpi=120)


def _by_relation(weights: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Pairs each relation's weight with its reverse's, heaviest first, whatever their sign."""
    pairs = {
        name: (weight, weights.get(f"rev_{name}", 0.0))
        for name, weight in weights.items()
        if not name.startswith("rev_")
    }
    order = sorted(pairs, key=lambda name: -max(map(abs, pairs[name])))[:_MOST_RELATIONS]
    return {name: pairs[name] for name in order}
