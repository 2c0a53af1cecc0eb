"""Imports run one way, rooms keep to themselves, and nothing grows too long.

The syntax trees are read, not the modules, so a lazy import inside a function counts as well.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from offenders import on_every

from kgrec.bench import fits

PACKAGE = Path(__file__).parents[2] / "kgrec"
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60

_BASE = {
    "errors",
    "files",
    "schema",
    "config",
    "vocabulary",
    "progress",
    "registry",
    "addresses",
    "terminal",
}
_BELOW_FACADE = _BASE | {
    "pages", "data", "store", "ingestion", "text", "resolution", "graph", "model",
    "evaluation", "augment", "training", "explanation", "auditing", "bench",
}  # fmt: skip

_ALL = _BELOW_FACADE | {
    "queries", "exploration", "recommender", "adopt", "publication", "upkeep", "reporting",
}  # fmt: skip

#: What each room may import of kgrec besides itself; docs/architecture.md says it in words.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "schema": {"errors"},
    "vocabulary": {"errors"},
    "registry": set(),
    "config": {"errors", "files", "schema", "registry", "addresses"},
    "addresses": set(),
    "terminal": set(),
    "pages": set(),
    "data": _BASE | {"pages"},
    "store": _BASE,
    "ingestion": _BASE | {"data", "store"},
    "text": _BASE,
    "resolution": _BASE | {"data", "text"},
    "graph": _BASE | {"data", "store", "text"},
    "model": {"errors"},
    "evaluation": _BASE | {"graph", "model"},
    "augment": _BASE | {"graph", "model", "evaluation"},
    "training": _BASE | {"graph", "model", "evaluation", "augment"},
    "auditing": _BASE | {"graph", "model", "evaluation", "training"},
    "bench": _BASE
    | {
        "pages",
        "data",
        "store",
        "ingestion",
        "text",
        "graph",
        "model",
        "evaluation",
        "augment",
        "training",
        "auditing",
    },
    "explanation": _BASE | {"graph", "model", "store", "text"},
    "queries": _BELOW_FACADE,
    "exploration": _BELOW_FACADE | {"recommender"},
    "recommender": _BELOW_FACADE | {"queries"},
    "adopt": _BASE | {"data", "store"},
    "publication": _BELOW_FACADE | {"adopt", "queries", "recommender"},
    "upkeep": _BELOW_FACADE | {"adopt", "queries", "recommender", "publication"},
    "reporting": _BELOW_FACADE | {"queries", "exploration", "recommender"},
    "progress": {"terminal"},
    "__init__": _ALL,
    "cli": _ALL | {"__init__"},
    "__main__": {"cli"},
}

#: Third-party packages that only some files may import (paths relative to the package).
ONLY_IN: dict[str, tuple[str, ...]] = {
    "neo4j": ("store/neo4j.py",),
    "kglite": ("store/embedded.py",),
    "transformers": ("text/",),
    "typer": ("cli/",),
    "implicit": ("bench/",),
    "jinja2": ("pages/",),
    "markupsafe": ("pages/",),
}

#: Rooms that must do without a package.
NEVER_IN: dict[str, tuple[str, ...]] = {
    "store": ("torch", "torch_geometric", "transformers"),
    "data": ("torch", "torch_geometric", "transformers"),
}

#: All that model/ may import besides the standard library.
MODEL_MAY_IMPORT = {"torch", "torch_geometric", "kgrec"}

#: Bare participles and pronouns say what happened to a value, not what it holds.
BARE_NAMES = {
    "found", "told", "made", "said", "given", "kept", "each", "shown", "asked", "took", "drawn",
    "meant", "gone", "got", "done", "wanted", "picked", "met", "tried", "taken", "chosen",
    "judged", "brought", "named", "held", "who", "what",
}  # fmt: skip

#: Fields that are keys of configs and saved files, which stay as version 0.1 wrote them.
SAVED_KEYS: dict[str, set[str]] = {
    "config/sections.py": {"drawn"},
    "training/networks.py": {"tried"},
}

#: How often code outside of a scorer's own module may ask for its class.
MAX_SCORERS_ASKED_FOR = 5

FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def nodes_of(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Every imported module by its full dotted name, with the line."""
    modules: list[tuple[int, str]] = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            modules += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            module = node.module or ""
            if module == "kgrec":  # from kgrec import schema
                modules += [(node.lineno, f"kgrec.{alias.name}") for alias in node.names]
            else:
                modules.append((node.lineno, module))
    return modules


def rooms_imported(path: Path) -> Iterator[tuple[int, str]]:
    for line, module in imports(path):
        top, _, rest = module.partition(".")
        if top == "kgrec" and rest != "__version__":
            room = rest.partition(".")[0]
            yield line, room if room in ALLOWED else "__init__"


def test_the_package_is_found() -> None:
    assert {"errors", "model", "store"} <= {room_of(path) for path in FILES}


@on_every(FILES, PACKAGE)
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    assert room in ALLOWED, f"{name_of(path)} is in no room of docs/architecture.md"
    allowed = ALLOWED[room] | {room}
    wrong = [
        f"{line}: kgrec.{other}" for line, other in rooms_imported(path) if other not in allowed
    ]
    assert not wrong, f"{name_of(path)} imports upwards: {wrong}; allowed: {sorted(allowed)}"


@on_every(FILES, PACKAGE)
def test_packages_stay_in_their_rooms(path: Path) -> None:
    name = name_of(path)
    for line, module in imports(path):
        package = module.partition(".")[0]
        homes = ONLY_IN.get(package, ("",))
        assert name.startswith(homes), f"{name}:{line}: {package} belongs in {homes}"
        banned = NEVER_IN.get(room_of(path), ())
        assert package not in banned, f"{name}:{line}: no {package} in {room_of(path)}/"


@on_every([path for path in FILES if room_of(path) == "model"], PACKAGE)
def test_models_know_tensors_only(path: Path) -> None:
    import sys

    packages = {module.partition(".")[0] for _, module in imports(path)}
    strangers = packages - MODEL_MAY_IMPORT - set(sys.stdlib_module_names)
    assert not strangers, f"{name_of(path)} imports {sorted(strangers)}"


@on_every(FILES, PACKAGE)
def test_only_the_command_line_prints(path: Path) -> None:
    if room_of(path) == "cli":
        return
    for node in nodes_of(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{name_of(path)}:{node.lineno}: print"


@on_every(FILES, PACKAGE)
def test_nothing_is_pickled(path: Path) -> None:
    modules = {module.partition(".")[0] for _, module in imports(path)}
    assert not modules & {"pickle", "shelve", "dill", "joblib", "marshal"}


@on_every(FILES, PACKAGE)
def test_files_and_functions_stay_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{name_of(path)} has {lines} lines, at most {MAX_FILE_LINES}"
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = code_lines(node)
            assert length <= MAX_FUNCTION_LINES, (
                f"{name_of(path)}:{node.lineno}: {node.name} has {length} lines of code, "
                f"at most {MAX_FUNCTION_LINES}"
            )


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    assert node.end_lineno is not None
    length = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        assert first.end_lineno is not None
        length -= first.end_lineno - first.lineno + 1
    return length


_NAMING = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs


def bindings(path: Path) -> Iterator[tuple[int, str]]:
    """A file's own name and every name it gives: variables, arguments, attributes, functions."""
    yield 1, path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, _NAMING) and node.name:
            yield node.lineno, node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, alias.asname) for alias in node.names if alias.asname)


def bare_names(path: Path) -> list[str]:
    """The bare names a file binds, each with its place."""
    banned = BARE_NAMES - SAVED_KEYS.get(name_of(path), set())
    return [
        f"{name_of(path)}:{line}: {name}"
        for line, name in bindings(path)
        if name.strip("_").lower() in banned
    ]


def test_names_say_what_they_hold() -> None:
    wrong = [name for path in FILES for name in bare_names(path)]
    assert not wrong, f"name what is held (settings, mask, rows), not what happened to it: {wrong}"


def test_bare_names_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(
        "import json as kept\n"
        "class Found:\n    def said(self, each, *, shown=0):\n        self._taken = each\n"
        "for _what, (got, fine) in []:\n    pass\n"
        "try:\n    pass\nexcept ValueError as done:\n    print(f'{done}')\n",
        encoding="utf-8",
    )
    names = [name.strip("_").lower() for _, name in bindings(tmp_path / "told.py")]
    assert sorted(BARE_NAMES.intersection(names)) == [
        "done", "each", "found", "got", "kept", "said", "shown", "taken", "told", "what"
    ]  # fmt: skip


def test_a_kept_fit_knows_all_code_that_it_came_from() -> None:
    """Else a benchmark would take results of other code for its own."""
    assert set(fits._ROOMS) >= {"training", "text"} | ALLOWED["training"] - _BASE


def class_bases() -> dict[str, set[str]]:
    """The names of each class's bases, for every class of the package."""
    bases: dict[str, set[str]] = {}
    for path in FILES:
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                names = {base.id for base in node.bases if isinstance(base, ast.Name)}
                bases.setdefault(node.name, set()).update(names)
    return bases


def scorers() -> set[str]:
    """The names of all scorers but `Scorer` itself."""
    bases, known = class_bases(), {"Scorer"}
    while more := {name for name, above in bases.items() if above & known} - known:
        known |= more
    return known - {"Scorer"}


def classes_asked_for(path: Path) -> Iterator[tuple[int, str]]:
    """Every class that a file asks for by isinstance, issubclass, a match, or type()."""
    for node in nodes_of(path):
        classes: list[ast.AST] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("isinstance", "issubclass") and len(node.args) == 2:
                classes = [node.args[1]]
        elif isinstance(node, ast.MatchClass):
            classes = [node.cls]
        elif isinstance(node, ast.Compare) and any(
            isinstance(side, ast.Call)
            and isinstance(side.func, ast.Name)
            and side.func.id == "type"
            for side in (node.left, *node.comparators)
        ):
            classes = [node]
        for tree in classes:
            for name in ast.walk(tree):
                if isinstance(name, ast.Name | ast.Attribute):
                    yield node.lineno, name.id if isinstance(name, ast.Name) else name.attr


def own_classes(path: Path) -> set[str]:
    return {node.name for node in nodes_of(path) if isinstance(node, ast.ClassDef)}


def test_scorers_are_hardly_told_apart_outside_their_modules() -> None:
    """What a scorer must know of itself stands in its own file; nobody asks which one it is."""
    known = scorers()
    assert {"ClosedForm", "Fusion", "PropagationScorer", "ColdUsers", "Wrapping"} <= known
    places = [
        f"{name_of(path)}:{line}: {name}"
        for path in FILES
        for line, name in classes_asked_for(path)
        if name in known - own_classes(path)
    ]
    assert len(places) <= MAX_SCORERS_ASKED_FOR, f"give Scorer a method instead: {places}"


def scorer_attributes() -> set[str]:
    """All that `Scorer` and the scorers have, by name."""
    known = scorers() | {"Scorer"}
    classes = (
        node
        for path in FILES
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef) and node.name in known
    )
    names: set[str] = set()
    for inner in (inner for node in classes for inner in ast.walk(node)):
        if isinstance(inner, ast.FunctionDef):
            names.add(inner.name)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            names.add(inner.attr)
        elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
            names.add(inner.target.id)
    return names


SCORER_ATTRIBUTES = scorer_attributes()


@on_every(FILES, PACKAGE)
def test_attributes_of_scorers_are_typed(path: Path) -> None:
    """No getattr for what a scorer has, and no comment that hides that it may not have it."""
    text = path.read_text(encoding="utf-8")
    assert "type: ignore[attr-defined" not in text
    for node in nodes_of(path):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in ("getattr", "hasattr", "setattr") or len(node.args) < 2:
            continue
        thing, attribute = node.args[:2]
        subject = thing.attr if isinstance(thing, ast.Attribute) else ast.unparse(thing)
        assert not subject.strip("_").endswith(("scorer", "leaf")), f"{node.lineno}: {subject}"
        if isinstance(attribute, ast.Constant):
            assert attribute.value not in SCORER_ATTRIBUTES, f"{node.lineno}: {attribute.value}"


def test_questions_about_scorers_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(
        "isinstance(x, (Ease, int))\nissubclass(y, model.Fusion)\n"
        "match x:\n    case Popularity():\n        pass\n"
        "type(x) is UserSide\nx == ItemKNN\n",
        encoding="utf-8",
    )
    names = {name for _, name in classes_asked_for(tmp_path / "new.py")} & scorers()
    assert names == {"Ease", "Fusion", "Popularity", "UserSide"}
    assert {"score", "history", "weights", "state", "relation_weights"} <= SCORER_ATTRIBUTES
