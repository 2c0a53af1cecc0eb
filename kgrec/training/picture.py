"""Pictures of a run: how it learned, and how a generator of synthetic edges did."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

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


_OWN, _OTHER, _REAL = "#4C72B0", "#B8BEC9", "#55A868"
_WARM, _HARM, _FAINT = "#DD8452", "#C44E52", "#8C8C8C"
#: In the order in which sources stand, from the top.
_ORDER = ("gan", "generator", "teacher", "factors", "knn", "popularity", "random")
_EDGES_ORDER = ("gan", "teacher", "knn")
_MOST_ROWS = 12
#: Distances beyond are cut off and told.
_FAR = 1.5


def draw_augment(path: Path, record: Mapping[str, Any]) -> None:
    """Draws what a record says under `augment`, or a generator's own, as PNG.

    Args:
        path: The file to write.
        record: `learned` of each generator; `sources`, `picked` and `proposals` where the gate
            was asked. What is not there leaves its panel empty, and says so.
    """
    figure = Figure(figsize=(14, 11), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.1))
    FigureCanvasAgg(figure)
    panels: dict[str, Callable[[Axes, Mapping[str, Any]], bool]] = {
        "P": _precision,
        "L": _losses,
        "D": _distances,
        "V": _variety,
        "G": _gate,
    }
    for name, axes in figure.subplot_mosaic("PL;DV;GG").items():
        draw = panels[name]
        axes.spines[["top", "right"]].set_visible(False)
        if not draw(axes, record):
            axes.set_axis_off()
            words = "the gate was not asked" if draw is _gate else "not measured here"
            axes.text(0.5, 0.5, words, ha="center", color=_FAINT, transform=axes.transAxes)
    figure.savefig(path, dpi=120)


def _masked(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What was measured on hidden edges, by source, in the order in which they are drawn."""
    learned = record.get("learned", {})
    rows: dict[str, Mapping[str, Any]] = dict(learned.get("generator", {}).get("sources", {}))
    if "sources" in learned.get("gan", {}):
        rows["gan"] = learned["gan"]["sources"]["generator"]
    order = [name for name in _ORDER if name in rows]
    rest = sorted(rows.keys() - set(order), key=lambda name: -rows[name]["precision"])
    return {name: rows[name] for name in [*order, *rest]}


def _precision(axes: Axes, record: Mapping[str, Any]) -> bool:
    axes.set_title("Precision on hidden edges of users nobody learned from", loc="left")
    rows = dict(list(_masked(record).items())[:_MOST_ROWS])
    if not rows:
        return False
    values = [row["precision"] for row in rows.values()]
    colours = [_OWN if name in ("gan", "generator") else _OTHER for name in rows]
    _bars(axes, list(rows), values, colours)
    report = record["learned"].get("gan") or record["learned"]["generator"]
    recall = report["candidate_recall"]
    axes.set_xlabel(f"share of proposals that are real; candidates hold {recall:.0%} of the hidden")
    return True


def _bars(axes: Axes, names: list[str], values: list[float], colours: list[str]) -> None:
    places = list(range(len(names)))
    axes.barh(places, values, 0.7, color=colours)
    for place, value in zip(places, values, strict=True):
        axes.text(value, place, f" {value:.3f}", va="center", fontsize=8)
    axes.set_yticks(places, names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(*values, 1e-9))


def _losses(axes: Axes, record: Mapping[str, Any]) -> bool:
    axes.set_title("Learning: cross-entropy, then against the discriminator", loc="left")
    learned = record.get("learned", {})
    entropy = list(learned.get("generator", {}).get("cross_entropy", []))
    rounds = learned.get("gan", {}).get("rounds", [])
    if not entropy and not rounds:
        return False
    start = len(entropy)
    epochs = list(range(1, start + len(rounds) + 1))
    whole = entropy + [report["cross_entropy"] for report in rounds]
    _from_first(axes, epochs, whole, _OWN, "cross-entropy")
    for name, colour in (("generator", _WARM), ("discriminator", _HARM)):
        values = [report[name] for report in rounds]
        if values:
            _from_first(axes, epochs[start:], values, colour, f"{name}, in the play")
    if rounds:
        axes.axvline(start + 0.5, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.set_ylabel("loss, less its first")
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    bests = []
    for name, first in (("generator", 0), ("gan", start)):
        looks = learned.get(name, {}).get("looks", [])
        if looks:
            best = looks.index(max(looks))
            places = [first + number for number in range(len(looks))]
            right.plot(places, looks, color=_REAL, linestyle="--")
            right.plot(places[best], looks[best], "o", color=_REAL)
            bests.append(f"{name} after {best}" if best else f"{name} as it began")
    right.set_ylabel("precision, dashed", color=_REAL)
    axes.set_xlabel(f"epoch; kept at its best: {', '.join(bests)}")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return True


def _from_first(
    axes: Axes, epochs: list[int], values: list[float], colour: str, label: str
) -> None:
    """Losses of several sizes on one axis: what each has lost."""
    lost = [value - values[0] for value in values]
    axes.plot(epochs, lost, color=colour, marker=".", label=f"{label} (from {values[0]:.2f})")


def _distances(axes: Axes, record: Mapping[str, Any]) -> bool:
    axes.set_title("How unlike proposals are to what was hidden", loc="left")
    rows = {name: row for name, row in _masked(record).items() if name in _ORDER}
    if not rows:
        return False
    measures = (
        ("popularity_distance", "popularity, log", _OWN),
        ("degree_distance", "times proposed, log", _WARM),
        ("auc", "told apart: 2 AUC - 1", _FAINT),
    )
    for number, (key, label, colour) in enumerate(measures):
        values = [row[key] or 0.0 for row in rows.values()]
        if key == "auc":
            values = [max(0.0, 2 * value - 1) for value in values]
        places = [place + 0.26 * (number - 1) for place in range(len(rows))]
        axes.barh(places, [min(value, _FAR) for value in values], 0.24, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            if value > _FAR:
                axes.text(_FAR, place, f" {value:.1f} »", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * _FAR)
    axes.set_xlabel("Wasserstein's distance; 0 is alike")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return True


def _variety(axes: Axes, record: Mapping[str, Any]) -> bool:
    axes.set_title("Variety: items as many as if proposed alike often (exp of entropy)", loc="left")
    rows = {name: row for name, row in _masked(record).items() if name in _ORDER}
    if not rows:
        return False
    learned = record["learned"]
    hidden = learned.get("generator", learned.get("gan", {}))["variety"]["hidden"]
    names = ["hidden ones", *rows]
    values = [hidden, *(row["effective"] for row in rows.values())]
    places = list(range(len(names)))
    colours = [_REAL, *(_OWN if name in ("gan", "generator") else _OTHER for name in rows)]
    axes.barh(places, values, 0.7, color=colours)
    proposals = record.get("proposals", {})
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        note = f" {value:,.0f}"
        if name in rows:
            note += f" of {rows[name]['distinct']:,}"
        proposal = proposals.get(name)
        if proposal is not None and proposal["edges"]:
            note += f"; tail {proposal['tail']:.0%}, {proposal['novelty']:.1f} bits"
            if proposal["proven"] is not None:
                note += f", {proposal['proven']:.1%} in valid"
        axes.text(value, place, note, va="center", fontsize=8)
    axes.set_yticks(places, names, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 2 * max(*values, 1e-9))
    collapsed = [name for name in ("generator", "gan") if learned.get(name, {}).get("collapsed")]
    words = f"collapsed: {', '.join(collapsed)}" if collapsed else "items"
    axes.set_xlabel(words, color=_HARM if collapsed else "black")
    return True


def _gate(axes: Axes, record: Mapping[str, Any]) -> bool:
    axes.set_title("The gate: sparse users' NDCG@20 against learning on without", loc="left")
    sources = record.get("sources", {})
    rows = [name for name in _EDGES_ORDER if name in sources]
    if not rows:
        return False
    for place, name in enumerate(rows):
        verdict = sources[name]
        intervals = (("sparse", 0.0, verdict["cohorts"]["sparse"]), ("tail", 0.28, verdict["tail"]))
        for kind, shift, interval in intervals:
            if interval is None:
                continue
            colour = _OWN if kind == "sparse" else _FAINT
            if interval["high"] < 0:
                colour = _HARM
            filled = kind == "sparse" and record.get("picked") == name
            axes.plot([interval["low"], interval["high"]], [place + shift] * 2, color=colour)
            axes.plot(
                interval["difference"], place + shift, "o" if kind == "sparse" else "D",
                color=colour, markersize=6 if kind == "sparse" else 4,
                markerfacecolor=colour if filled or kind == "tail" else "white",
            )  # fmt: skip
    axes.axvline(0, color=_FAINT, linewidth=0.8)
    harms = [", ".join(sources[name]["harmed"]) for name in rows]
    ticks = [
        f"{name}\nharms {harm}" if harm else name for name, harm in zip(rows, harms, strict=True)
    ]
    axes.set_yticks(range(len(rows)), ticks, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(
        f"difference, 95 % interval (diamonds: tail Recall@20; red: harm); "
        f"let in: {record.get('picked')}",
        fontsize=8,
    )
    return True
