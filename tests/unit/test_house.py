"""The house rules that a machine can check: where SQL stands, how prose is written, how long things are."""

import ast
import io
import re
import statistics
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
SHIPPED = [*sorted((ROOT / "notifhist").rglob("*.py")), *sorted((ROOT / "schemas").rglob("*.py"))]
ALL = [*SHIPPED, *(path for part in ("bench", "fixtures", "tests") for path in sorted((ROOT / part).rglob("*.py")))]
FILE_LINES, FUNCTION_LINES, MEDIAN_FILE_LINES = 300, 40, 90
ANY_FILE_LINES = 350

SQL = re.compile(
    r"^\s*(SELECT|WITH)\s|\b(INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|PRAGMA \w|(CREATE|ALTER|DROP) [A-Z]+ \w)"
)
SLOWER = re.compile(r"\bt(akes|ook) longer\b")
REASON = re.compile(r"\d|docs/adr")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(parsed(path)))


def docstrings(path: Path) -> Iterator[ast.Constant]:
    """Yield the texts that stand alone: docstrings, and those below a constant."""
    for node in nodes_of(path):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def docstring_texts(path: Path) -> list[str]:
    return [text.value for text in docstrings(path) if isinstance(text.value, str)]


def comments(text: str) -> Iterator[str]:
    """Yield the comments of a source text, those on consecutive lines as one."""
    comment, line = "", 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != line + 1:
                yield comment
                comment = ""
            comment, line = f"{comment} {token.string.lstrip('# ')}", token.start[0]
    yield comment


def sentences(prose: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", " ".join(prose.split()))


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, and the names that it takes from them, wherever it does."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def told(findings: dict[Path, list[str]]) -> dict[str, list[str]]:
    """Return what was found in each file in which there is something."""
    return {str(path.relative_to(ROOT)): found for path, found in findings.items() if found}


def sql_texts(path: Path) -> list[str]:
    prose = {id(text) for text in docstrings(path)}
    nodes = [node for node in nodes_of(path) if isinstance(node, ast.Constant) and id(node) not in prose]
    return [node.value for node in nodes if isinstance(node.value, str) and SQL.search(node.value)]


def test_sql_stands_in_the_store_alone() -> None:
    found = told({path: sql_texts(path) for path in SHIPPED})
    assert {path: texts for path, texts in found.items() if not path.startswith("notifhist/store/")} == {}
    assert len(found) > 5  # so the pattern does find it


def test_no_docstring_opens_with_of() -> None:
    assert told({path: [each for each in docstring_texts(path) if each.startswith("Of ")] for path in ALL}) == {}


def test_what_takes_longer_is_told_with_a_figure_or_a_decision() -> None:
    def without_reason(path: Path) -> list[str]:
        text = path.read_text()
        prose = [*docstring_texts(path), *comments(text)] if "longer" in text else []
        slower = [sentence for each in prose for sentence in sentences(each) if SLOWER.search(sentence)]
        return [sentence for sentence in slower if not REASON.search(sentence)]

    assert told({path: without_reason(path) for path in ALL}) == {}


def longer_than(limit: int, paths: list[Path]) -> dict[str, list[str]]:
    lines = {path: len(path.read_text().splitlines()) for path in paths}
    return told({path: [f"{count} lines"] for path, count in lines.items() if count > limit})


def test_files_are_short() -> None:
    assert longer_than(FILE_LINES, SHIPPED) == {}


def test_no_file_of_tests_and_tools_is_much_longer() -> None:
    assert longer_than(ANY_FILE_LINES, [*ALL, *(ROOT / "fuzz").rglob("*.py"), *ROOT.glob("*.py")]) == {}


def test_the_median_file_is_short() -> None:
    assert statistics.median(len(path.read_text().splitlines()) for path in SHIPPED) <= MEDIAN_FILE_LINES


def test_functions_are_short() -> None:
    def long_functions(path: Path) -> list[str]:
        nodes = [n for n in nodes_of(path) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        lines = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in nodes]
        return [f"{name}: {count} lines" for name, count in lines if count > FUNCTION_LINES]

    assert told({path: long_functions(path) for path in SHIPPED}) == {}


def test_no_module_of_the_service_imports_in_a_circle() -> None:
    graph = grimp.build_graph("notifhist", cache_dir=None)
    assert "notifhist.schemas.fields" in graph.modules
    TopologicalSorter({each: graph.find_modules_directly_imported_by(each) for each in graph.modules}).prepare()


def test_no_module_of_the_benchmark_imports_in_a_circle() -> None:
    modules = {f"bench.{path.stem}": path for path in (ROOT / "bench").glob("*.py")}
    TopologicalSorter({name: imported(path) & modules.keys() for name, path in modules.items()}).prepare()


def test_schemas_are_imported_by_their_one_name() -> None:
    def top_level(path: Path) -> list[str]:
        return [name for name in imported(path) if name.partition(".")[0] == "schemas"]

    assert told({path: top_level(path) for path in ALL}) == {}


def test_the_wheel_has_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "notifhist").rglob("*.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert set(listed) == packages | {"notifhist.fixtures", "notifhist.schemas"}
    assert listed == sorted(listed)
