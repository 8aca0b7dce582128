"""Which source modules have a test file that bears their name."""

import ast
import fnmatch
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

MODULE = re.compile(r"[a-z_]+(\.[a-z_]+)+")
KINDS = ("unit", "property", "contract", "lab")


def places(module: str) -> list[str]:
    """The places where a test file of a source file's own name may stand.

    `kernelbal/plan/diff.py` is tested by `tests/KIND/plan/test_diff.py`, and where a kind keeps its files
    flat, by `tests/KIND/test_diff.py` or `tests/KIND/test_plan_diff.py`. Files of `bench/` and of
    `tests/support/` keep the name of that folder: `tests/unit/bench/test_outside.py`.
    """
    path = PurePosixPath(module)
    folders = folders_of(path)
    names = {"/".join((*folders, f"test_{path.stem}.py")), f"test_{path.stem}.py"}
    names.add("_".join(("test", *folders, path.stem)) + ".py")
    return [f"tests/{kind}/{name}" for kind in KINDS for name in sorted(names)]


def package_places(module: str) -> list[str]:
    """The places where one test file may stand for the package of a source file.

    For `kernelbal/plan/explain/match.py`: `tests/KIND/plan/explain/test_explain.py`, or
    `tests/KIND/test_plan_explain.py`. It counts for those modules of the package that it imports.
    """
    folders = folders_of(PurePosixPath(module))
    names = (
        {"/".join((*folders, f"test_{folders[-1]}.py")), "_".join(("test", *folders)) + ".py"}
        if folders
        else ()
    )
    return [f"tests/{kind}/{name}" for kind in KINDS for name in sorted(names)]


def folders_of(path: PurePosixPath) -> tuple[str, ...]:
    """The folders that tests mirror: `kernelbal` is not named, `bench` is, `support` of the tests too."""
    return path.parts[1:-1] if path.parts[0] in ("kernelbal", "tests") else path.parts[:-1]


def imported(tree: ast.Module) -> set[str]:
    """Source files that a test file may mean with its imports, `from a import b` as `a.py` and `a/b.py`.

    A name that is passed to `python -m` counts as well.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            names.add(node.value)
    return {name.replace(".", "/") + ".py" for name in names}


def has_behaviour(tree: ast.Module) -> bool:
    """Whether a module does anything: a function whose body is more than its docstring or a placeholder.

    Values and interfaces have nothing of their own to test; their users' tests read them.
    """
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(not all(map(is_placeholder, function.body)) for function in functions)


def is_placeholder(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, `...` or `pass`."""
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


Tests = Mapping[str, Collection[str]]
"""Test files, and the source files that each imports."""


def untested(modules: Collection[str], tests: Tests, excused: Collection[str]) -> list[str]:
    """Source files that are neither mirrored by a test file nor excused (`*` and `?` are wildcards)."""
    return [
        module
        for module in modules
        if not any(path in tests for path in places(module))
        and not any(module in tests.get(path, ()) for path in package_places(module))
        and not any(fnmatch.fnmatchcase(module, pattern) for pattern in excused)
    ]


def stale_excuses(modules: Collection[str], tests: Tests, excused: Collection[str]) -> list[str]:
    """Excuses for files that do not exist or that do have their test."""
    return [pattern for pattern in excused if not fnmatch.filter(untested(modules, tests, ()), pattern)]
