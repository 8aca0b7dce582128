"""Which source modules have a test file that bears their name."""

import ast
import fnmatch
from collections.abc import Collection
from pathlib import PurePosixPath

KINDS = ("unit", "property", "contract", "lab")


def places(module: str) -> list[str]:
    """The places where the test of a source file may stand.

    `kernelbal/plan/diff.py` is tested by `tests/KIND/plan/test_diff.py`, and where a kind keeps its files
    flat, by `tests/KIND/test_diff.py` or `tests/KIND/test_plan_diff.py`.
    """
    path = PurePosixPath(module)
    folders = path.parts[1:-1]
    names = {"/".join((*folders, f"test_{path.stem}.py")), f"test_{path.stem}.py"}
    names.add("test_" + "_".join((*folders, path.stem)) + ".py")
    return [f"tests/{kind}/{name}" for kind in KINDS for name in sorted(names)]


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


def untested(modules: Collection[str], tests: Collection[str], excused: Collection[str]) -> list[str]:
    """Source files that are neither mirrored by a test file nor excused (`*` and `?` are wildcards)."""
    return [
        module
        for module in modules
        if not any(path in tests for path in places(module))
        and not any(fnmatch.fnmatchcase(module, pattern) for pattern in excused)
    ]


def stale_excuses(modules: Collection[str], tests: Collection[str], excused: Collection[str]) -> list[str]:
    """Excuses for files that do not exist or that do have their test."""
    return [pattern for pattern in excused if not fnmatch.filter(untested(modules, tests, ()), pattern)]
