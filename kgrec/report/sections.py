"""The report's sections, as HTML; the data card has its own."""

from collections.abc import Mapping

from kgrec.auditing.trials import ALL
from kgrec.data.card.markup import Column, figure, shown, table
from kgrec.evaluation.bootstrap import Interval
from kgrec.explore.svg import legend, subgraph_svg
from kgrec.recommend import Recommendation
from kgrec.report.gather import Example, ReportData
from kgrec.report.plots import ReportFigures

_METRICS = ("recall", "ndcg", "precision", "mrr", "map", "hit_rate", "coverage", "novelty")
_MOST_RELATIONS = 24


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def _difference(found: Mapping[str, float]) -> str:
    return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"


def accuracy(data: ReportData, figures: ReportFigures) -> str:
    """Gives the metrics beside the floors, and how sure the differences are."""
    measured, k = data.measured, data.k
    best = max(data.measured["floors"].items(), key=lambda f: f[1][f"ndcg@{k}"], default=None)
    pictures = "".join(
        figure(
            f"{name.upper() if name == 'ndcg' else name.capitalize()}@{k}, mean over users with "
            f"its 95 % interval",
            figures.intervals(
                {model: found[name] for model, found in data.intervals.items()},
                f"{name}@{k} of each model", strong="this run",
            ),
            table("", [Column("model", "name"), Column("mean"), Column("low"), Column("high")],
                  ((model, *(f"{x:.4f}" for x in (each.difference, each.low, each.high)))
                   for model, each in ((m, f[name]) for m, f in data.intervals.items()))),
        )
        for name in ("ndcg", "recall")
    )  # fmt: skip
    rows = {**measured["floors"], "this run": measured["metrics"]}
    names = [n for n in (f"{m}@{k}" for m in _METRICS) if n in measured["metrics"]] + ["roc_auc"]
    told = table(
        f"{measured['split']}: {measured['num_users']:,} users, all items ranked, lists of {k}",
        [Column("model", "name"), *(Column(n.partition("@")[0].replace("_", " ")) for n in names)],
        ((model, *(_number(metrics.get(name)) for name in names))
         for model, metrics in rows.items()),
    )  # fmt: skip
    sure = ""
    if measured["differences"]:
        sure = table(
            "This run minus each floor, the same users: 95 % interval of the paired bootstrap",
            [Column("floor", "name"), Column(f"NDCG@{k}"), Column(f"Recall@{k}")],
            ((floor, _difference(found[f"ndcg@{k}"]), _difference(found[f"recall@{k}"]))
             for floor, found in measured["differences"].items()),
        )  # fmt: skip
    return (
        f"<section><h2>How good it is</h2>{_verdict(data, best)}"
        f'<div class="pair">{pictures}</div>{told}{sure}</section>'
    )


def _verdict(data: ReportData, best: tuple[str, Mapping[str, float]] | None) -> str:
    if best is None:
        return ""
    name, k = best[0], data.k
    found = data.measured["differences"][name][f"ndcg@{k}"]
    surely = (
        "surely better than" if found["low"] > 0
        else "surely worse than" if found["high"] < 0
        else "not to be told from"
    )  # fmt: skip
    return (
        f"<p>By NDCG@{k} this run is <b>{surely}</b> the best floor, {shown(name)}: "
        f"{_difference(found)}.</p>"
    )


def cohorts(data: ReportData) -> str:
    """Gives for whom, and for which items, it works."""
    found, k = data.measured["cohorts"], data.k

    def rows(kind: str) -> list[tuple[str, ...]]:
        return [
            (name.removeprefix(f"{kind}/"), f"{c['num_users']:,}", _number(c[f"ndcg@{k}"]),
             _number(c[f"recall@{k}"]))
            for name, c in found.items() if name.startswith(f"{kind}/")
        ]  # fmt: skip

    columns = [Column("users"), Column(f"NDCG@{k}"), Column(f"Recall@{k}")]
    users = table(
        "Users, by how many training items they have",
        [Column("training items", "name"), *columns], rows("users"),
    )  # fmt: skip
    items = table(
        "Items, by how popular they are in training (decile-10: most); only they count as right",
        [Column("items", "name"), *columns], rows("items"),
    )  # fmt: skip
    return f'<section><h2>For whom it works</h2><div class="pair">{users}{items}</div></section>'


def model(data: ReportData, figures: ReportFigures) -> str:
    """Gives what the run is made of, how it was trained, and what relations weigh."""
    record = data.run.record
    parts = record["fusion"]["weights"]
    told = table(
        "What the scores are made of: weights found on valid",
        [Column("part", "name"), Column("weight")],
        ((name, f"{weight:.2f}") for name, weight in parts.items()),
    )
    pictures = []
    history = record.get("network", {}).get("history", [])
    if history:
        loss = [epoch["loss"] for epoch in history]
        valid = {int(e["epoch"]): e["valid"] for e in history if "valid" in e}
        numbers = table(
            "",
            [Column("epoch", "name"), Column("loss"), Column("valid NDCG@20")],
            ((f"{e['epoch']}", f"{e['loss']:.4f}", _number(e.get("valid"))) for e in history),
        )
        drawn = figures.curves(loss, valid, "Training curves")
        pictures.append(figure("Training of the network", drawn, numbers))
    weights = _by_relation(record.get("relation_weights", {}))
    if weights:
        numbers = table(
            "",
            [Column("relation", "name"), Column("along"), Column("against")],
            ((name, f"{a:.3f}", f"{b:.3f}") for name, (a, b) in weights.items()),
        )
        caption = "Learned weight of each relation, along its edges (dark) and against (light)"
        drawn = figures.pairs(weights, "Learned relation weights")
        pictures.append(figure(caption, drawn, numbers))
    drawn = f'<div class="pair">{"".join(pictures)}</div>' if pictures else ""
    return f"<section><h2>What it learned</h2>{drawn}{told}</section>"


def _by_relation(weights: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    pairs = {
        name.lower(): (weight, weights.get(f"rev_{name}", 0.0))
        for name, weight in weights.items()
        if not name.startswith("rev_")
    }
    order = sorted(pairs, key=lambda name: (-max(map(abs, pairs[name])), name))
    return {name: pairs[name] for name in order[:_MOST_RELATIONS]}


def audit(data: ReportData, figures: ReportFigures) -> str:
    """Gives the verdict on the graph."""
    found = data.audit
    if found is None:
        return (
            "<section><h2>What the graph is worth</h2><p>Not measured: "
            "<code>kgrec train --audit</code> compares the model with itself without the graph, "
            "and with the graph's edges shuffled.</p></section>"
        )
    alarm = bool(found["verdict"]["alarm"])
    words = "".join(f"<p>{shown(s, 2000)}</p>" for s in found["verdict"]["sentences"])
    level = "leak" if alarm else "note"
    heading = "alarm" if alarm else "no alarm"
    told = (
        f'<ul class="cautions"><li class="{level}"><span class="level">{heading}</span>{words}'
        f"</li></ul>"
    )
    worth = {
        name: _interval(found["differences"][f"without {name}"]["ndcg@20"][ALL])
        for name in found["edges"]
        if f"without {name}" in found["differences"]
    }
    whole = {
        f"against {other}": _interval(found["differences"][variant]["ndcg@20"][ALL])
        for variant, other in (("no graph", "no graph"), ("permuted", "shuffled edges"))
        if variant in found["differences"]
    }
    pictures = [
        figure(caption, figures.intervals(some, caption, zero=True), _interval_table(some))
        for caption, some in (
            ("What the graph adds in NDCG@20", whole),
            ("What each relation adds that the others do not, in NDCG@20",
             dict(sorted(worth.items(), key=lambda e: -e[1].difference))),
        )
        if some
    ]  # fmt: skip
    drawn = f'<div class="pair">{"".join(pictures)}</div>' if pictures else ""
    return f"<section><h2>What the graph is worth</h2>{told}{drawn}</section>"


def augmentation(data: ReportData, figures: ReportFigures) -> str:
    """Gives the gate's words and numbers on synthetic edges; "" if the run has none."""
    found = data.run.record.get("augment")
    if not found:
        return ""
    gains = {
        source: _interval(verdict["cohorts"]["sparse"])
        for source, verdict in found.get("sources", {}).items()
        if "sparse" in verdict["cohorts"]
    }
    drawn = ""
    if gains:
        caption = "NDCG@20 of sparse users with each source's edges, minus without any"
        picture = figures.intervals(gains, caption, zero=True, strong=found["picked"])
        drawn = f'<div class="pair">{figure(caption, picture, _interval_table(gains))}</div>'
    return (
        f'<section><h2>Synthetic edges</h2><ul class="cautions"><li class="note">'
        f'<span class="level">gate</span><p>{shown(found["words"], 4000)}</p></li></ul>{drawn}'
        f'<p class="soft">Synthetic edges are further positives in training: they are no facts, '
        f"pass no messages and are never given as reasons.</p></section>"
    )


def _interval(found: Mapping[str, float]) -> Interval:
    return Interval(found["difference"], found["low"], found["high"])


def _interval_table(found: Mapping[str, Interval]) -> str:
    return table(
        "",
        [Column("", "name"), Column("difference"), Column("low"), Column("high")],
        ((name, *(f"{x:+.4f}" for x in (each.difference, each.low, each.high)))
         for name, each in found.items()),
    )  # fmt: skip


def examples(data: ReportData) -> str:
    """Gives what some users are recommended, and why."""
    told = "".join(_example(one, number) for number, one in enumerate(data.examples, start=1))
    return (
        "<section><h2>What it recommends, and why</h2><p>The shares of all own items and the rest "
        "add up to the score; the pictures show what connects the largest of them with the first "
        f"item.</p>{told}</section>"
    )


def _example(one: Example, number: int) -> str:
    items = f"{one.num_history:,} training item{'s' if one.num_history != 1 else ''}"
    latest = ", ".join(one.history)
    more = " …" if one.num_history > len(one.history) else ""
    listed = table(
        "",
        [Column("item", "name"), Column("score"), Column("because", "wide")],
        ((each.name, f"{each.score:.2f}", _because(each)) for each in one.found),
    )
    drawn = "" if one.why is None else _picture(one, number)
    return (
        f"<article><h3>User {shown(one.user_id)}, {items}</h3>"
        f'<p class="soft">{shown(latest)}{more}</p>{listed}{drawn}</article>'
    )


def _because(each: Recommendation) -> str:
    return "; ".join(
        reason.text if each.cold or not reason.share else f"{reason.share:+.2f} {reason.text}"
        for reason in each.reasons
    )


def _picture(one: Example, number: int) -> str:
    assert one.why is not None
    numbers = table(
        "",
        [Column("path", "wide"), Column("own item's share"), Column("carried by its edges")],
        (
            (
                trail.text,
                f"{trail.own_share:+.3f}",
                "–" if trail.carried is None else f"{trail.carried:+.4f}",
            )
            for trail in one.why.trails
        ),
    )
    return figure(one.why.title, subgraph_svg(one.why, number) + legend(one.why), numbers)
