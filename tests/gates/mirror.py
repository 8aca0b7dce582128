"""Which source modules have a test file that bears their name."""

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


def untested(modules: Collection[str], tests: Collection[str], excused: Collection[str]) -> list[str]:
    """Source files that are neither mirrored by a test file nor excused."""
    return [
        module
        for module in modules
        if module not in excused and not any(path in tests for path in places(module))
    ]


def stale_excuses(modules: Collection[str], tests: Collection[str], excused: Collection[str]) -> list[str]:
    """Excuses for files that do not exist or that do have their test."""
    needed = untested(modules, tests, excused=())
    return [entry for entry in excused if entry not in needed]
