"""An audit on a terminal."""

import io

from rich.console import Console, RenderableType

from kgrec.auditing.audit import Audit
from kgrec.auditing.likeness import Likeness
from kgrec.auditing.trials import ALL_USERS
from kgrec.auditing.verdict import Verdict
from kgrec.bench.pages import audit_section
from kgrec.cli.output import to_json
from kgrec.cli.tables import audit_view
from kgrec.evaluation.bootstrap import Interval
from kgrec.schema import Split

GAIN, CHANCE = Interval(0.0123, 0.0103, 0.0143), Interval(-0.0002, -0.001, 0.0006)


def audit(*, alarm: bool, edges: dict[str, int] | None = None) -> Audit:
    edges = {"rating": 40, "author": 900, "[year]": 7} if edges is None else edges
    both = {metric: {ALL_USERS: GAIN, "users/1-5": GAIN} for metric in ("ndcg@20", "recall@20")}
    none = {metric: {ALL_USERS: CHANCE, "users/1-5": CHANCE} for metric in ("ndcg@20", "recall@20")}
    differences = {"no graph": both, "permuted": both} if edges else {}
    if edges:
        differences |= {"without author": both, "without rating": none}
    return Audit(
        split=Split.VALID,
        seed=0,
        whole=False,
        folds=3,
        permutations=2,
        fits=18,
        edges=edges,
        users={ALL_USERS: 1234, "users/1-5": 234},
        means={"graph": {"ndcg@20": 0.3}},
        differences=differences,
        unused=("[year]",),
        skipped=(),
        likeness={
            "author": Likeness(800, 0.02, 0.002, 0.001),
            "rating": Likeness(800, 0.002, 0.002, 0.001),
        },
        verdict=Verdict(alarm, ("ALARM: look." if alarm else "The graph adds [much].",)),
        seconds=61.2,
    )


def shown(view: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(view)
    return stream.getvalue()


def rows(text: str) -> dict[str, str]:
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


def test_the_alarm_stands_first_and_the_best_relation_above_the_others() -> None:
    text = shown(audit_view(audit(alarm=True)))
    assert "graph audit: ALARM" in text.splitlines()[0]
    assert "ALARM: look." in text
    lines = rows(text)
    assert "+0.0123 ± 0.0020" in lines["author"]
    assert "× 10.0, z 18.0" in lines["author"]
    assert "-0.0002 ± 0.0008" in lines["rating"]
    assert "no weight" in lines["[year]"]
    assert "too few" in lines["[year]"]
    order = [name for name in lines if name in ("author", "rating", "[year]")]
    assert order == ["author", "rating", "[year]"]
    assert "1-5" in lines
    assert "closed form, 18 fits on 3 folds (valid and parts of train), 2 shuffles" in text


def test_a_benchmarks_page_has_the_same_rows_in_the_same_order() -> None:
    lines = audit_section(audit(alarm=True).to_dict())
    assert lines[0] == "- ALARM: look."
    assert "18 fits of the closed form, judged on valid and parts of train (3 in all)" in lines[1]
    gain, chance = "+0.0123 [+0.0103, +0.0143]", "-0.0002 [-0.0010, +0.0006]"
    assert f"| all users | 1,234 | {gain} | {gain} | {gain} | {gain} |" in lines
    assert lines[-3:] == [
        f"| author | 900 | {gain} | × 10.0, z 18.0 |",
        f"| rating | 40 | {chance} | × 1.0, z 0.0 |",
        "| [year] | 7 | no weight | too few |",
    ]
    assert len(audit_section(audit(alarm=False, edges={}).to_dict())) == 2


def test_without_a_graph_there_are_words_only() -> None:
    text = shown(audit_view(audit(alarm=False, edges={})))
    assert "ALARM" not in text
    assert "The graph adds [much]." in text
    assert "Relations" not in text


def test_it_is_plain_json() -> None:
    text = to_json(audit(alarm=True).to_dict())
    assert '"alarm": true' in text
    assert '"low": 0.0103' in text
