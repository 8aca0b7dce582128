"""Every source module that does something has a test file of its name, or a reason why not."""

import ast
from pathlib import Path

import pytest

from tests.gates.mirror import has_behaviour, stale_excuses, untested
from tests.reasons import read_reasons

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    file.relative_to(ROOT).as_posix()
    for file in (ROOT / "kernelbal").rglob("*.py")
    if file.name not in {"__init__.py", "__main__.py"} and has_behaviour(ast.parse(file.read_text()))
)
TESTS = {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
EXCUSED = read_reasons(Path(__file__).with_name("unmirrored.txt"))


def test_sweep_is_not_empty() -> None:
    assert "kernelbal/errors.py" in MODULES
    assert TESTS


def test_every_module_is_mirrored() -> None:
    assert untested(MODULES, TESTS, EXCUSED) == []


def test_no_excuse_outlives_its_cause() -> None:
    assert stale_excuses(MODULES, TESTS, EXCUSED) == []


def test_module_without_test_is_found() -> None:
    tests = {"tests/unit/plan/test_order.py", "tests/unit/test_diffs.py", "tests/gates/test_diff.py"}
    assert untested(["kernelbal/plan/diff.py"], tests, excused=()) == ["kernelbal/plan/diff.py"]


def test_each_kind_of_test_file_counts() -> None:
    for test in ("unit/plan/test_diff.py", "property/test_diff.py", "lab/test_plan_diff.py"):
        assert untested(["kernelbal/plan/diff.py"], {f"tests/{test}"}, excused=()) == []


def test_excuse_may_be_a_pattern() -> None:
    modules = ["kernelbal/lab/a.py", "kernelbal/plan/a.py"]
    assert untested(modules, set(), excused=["kernelbal/lab/*"]) == ["kernelbal/plan/a.py"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    return 1\n", True),
        ("class A:\n    async def f(self):\n        pass\n        self.x = 1\n", True),
        ("LIMIT = 1\nclass A:\n    x: int\n    def f(self):\n        'What.'\n    def g(self): ...\n", False),
    ],
)
def test_values_and_interfaces_need_no_test(text: str, expected: bool) -> None:
    assert has_behaviour(ast.parse(text)) is expected


def test_stale_excuse_is_found() -> None:
    modules, tests = ["kernelbal/errors.py"], {"tests/unit/test_errors.py"}
    excused = ("kernelbal/errors.py", "kernelbal/gone/*")
    assert stale_excuses(modules, tests, excused) == list(excused)
