"""The public interface is exactly what kgrec says it is, and cheap to import."""

import subprocess
import sys

import kgrec


def test_every_public_name_is_there_and_no_other_is_listed() -> None:
    assert sorted(kgrec.__all__) == kgrec.__all__
    for name in kgrec.__all__:
        assert getattr(kgrec, name) is not None
    assert dir(kgrec) == kgrec.__all__


def test_functions_are_not_hidden_by_modules_of_their_name() -> None:
    for name in ("train", "evaluate", "ingest", "write_dataset", "open_store"):
        assert callable(getattr(kgrec, name))


def test_importing_kgrec_imports_nothing_heavy() -> None:
    heavy = {"torch", "transformers", "neo4j", "kglite", "pandas"}
    code = f"import kgrec, sys; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_refreshing_imports_no_more_than_it_needs() -> None:
    heavy = {"torch_geometric", "matplotlib", "transformers", "neo4j", "scipy.stats"}
    code = f"import kgrec.upkeep.watching, sys; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
