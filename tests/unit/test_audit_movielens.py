"""The two verdicts that the audit is for: MovieLens-100k under the wrong link and the right one.

RecBole's wheel ships a link from films to Freebase whose item ids are those of MovieLens-20M; the
demo's link is the corrected one. All else is the demo's. The weights are given, so that no fit
searches; with a search the gains are larger (docs/audit.md has the numbers).
"""

import zipfile
from pathlib import Path

import pytest

from kgrec.auditing.audit import Audit, audit
from kgrec.auditing.trials import ALL_USERS
from kgrec.auditing.variants import relation_sizes
from kgrec.config import Config, FusionConfig, StoreConfig
from kgrec.data import movielens
from kgrec.errors import DataError
from kgrec.graph.data import GraphData
from kgrec.graph.fetch import fetch_graph
from kgrec.ingestion import ingest
from kgrec.store.connect import open_store
from kgrec.training.parts.closed_form import ClosedFormConfig


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    try:
        return movielens._wheel(folder, folder)
    except DataError as exc:
        if "cannot fetch" in str(exc):
            pytest.skip(f"no package index, so no MovieLens-100k: {exc}")
        raise


def graph_under(link: str, wheel: Path, folder: Path) -> tuple[Config, GraphData]:
    """The demo's graph, under the wheel's own link if `link` is "shipped"."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(movielens.WHEEL_VARIABLE, str(wheel))
        config = movielens.demo_config(folder / "cache")
    data = config.data
    if link == "shipped":
        with zipfile.ZipFile(wheel) as archive:
            shipped = archive.read("recbole/dataset_example/ml-100k/ml-100k.link")
        (folder / "ml-100k.link").write_bytes(shipped)
        data = data.model_copy(update={"link": folder / "ml-100k.link"})
    store = StoreConfig(uri=f"embedded:{folder / 'graph.kgl'}")
    config = config.model_copy(update={"data": data, "store": store})
    ingest(config, progress=False)
    with open_store(store, read_only=True) as opened:
        return config, fetch_graph(opened)


def audited(link: str, wheel: Path, folder: Path) -> Audit:
    config, graph = graph_under(link, wheel, folder)
    closed = ClosedFormConfig(
        ridge=400.0, relation_weights=dict.fromkeys(relation_sizes(graph), 0.5)
    )
    changes = {"closed_form": closed, "fusion": FusionConfig(network=False)}
    return audit(
        config.model_copy(update=changes),
        graph,
        permutations=1,
        inner_folds=1,
        most_relations=0,
        progress=False,
    )


def test_under_the_shipped_wrong_link_the_alarm_sounds(wheel: Path, tmp_path: Path) -> None:
    audit = audited("shipped", wheel, tmp_path)
    assert audit.verdict.alarm
    assert audit.verdict.sentences[0].startswith("ALARM")
    assert "right?" in audit.verdict.sentences[0]
    # Genres come from the films' own table as well, which no link can spoil.
    assert audit.likeness["genre"].alike
    assert not audit.likeness["directed_by"].alike
    assert abs(audit.likeness["directed_by"].z) < 4


def test_under_the_corrected_link_it_does_not(wheel: Path, tmp_path: Path) -> None:
    audit = audited("corrected", wheel, tmp_path)
    assert not audit.verdict.alarm, audit.verdict.sentences
    assert audit.differences["permuted"]["ndcg@20"][ALL_USERS].low > 0
    assert len(audit.likeness) == 14
    assert all(found.alike for found in audit.likeness.values())
    assert audit.likeness["directed_by"].z > 10
