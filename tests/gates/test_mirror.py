"""Every source module that does something has a test file of its name, or a reason why not."""

import ast
from pathlib import Path

import pytest

from tests.gates.mirror import has_behaviour, imported, stale_excuses, untested
from tests.reasons import read_reasons

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    file.relative_to(ROOT).as_posix()
    for top, pattern in (("kernelbal", "*.py"), ("bench", "*.py"), ("tests/support", "fake_*.py"))
    for file in (ROOT / top).rglob(pattern)
    if file.name not in {"__init__.py", "__main__.py"} and has_behaviour(ast.parse(file.read_text()))
)
TESTS = {
    file.relative_to(ROOT).as_posix(): imported(ast.parse(file.read_text()))
    for file in (ROOT / "tests").rglob("test_*.py")
}
EXCUSED = read_reasons(Path(__file__).with_name("unmirrored.txt"))


def test_sweep_is_not_empty() -> None:
    assert {"kernelbal/errors.py", "bench/outside.py", "tests/support/fake_kernel.py"} <= set(MODULES)
    assert TESTS


def test_every_module_is_mirrored() -> None:
    assert untested(MODULES, TESTS, EXCUSED) == []


def test_no_excuse_outlives_its_cause() -> None:
    assert stale_excuses(MODULES, TESTS, EXCUSED) == []


def test_module_without_test_is_found() -> None:
    names = ("tests/unit/plan/test_order.py", "tests/unit/test_diffs.py", "tests/gates/test_diff.py")
    tests = dict.fromkeys(names, ("kernelbal/plan/diff.py",))
    assert untested(["kernelbal/plan/diff.py"], tests, excused=()) == ["kernelbal/plan/diff.py"]


def test_each_kind_of_test_file_counts() -> None:
    for test in ("unit/plan/test_diff.py", "property/test_diff.py", "lab/test_plan_diff.py"):
        assert untested(["kernelbal/plan/diff.py"], {f"tests/{test}": ()}, excused=()) == []
    for test in ("unit/bench/test_outside.py", "lab/test_bench_outside.py"):
        assert untested(["bench/outside.py"], {f"tests/{test}": ()}, excused=()) == []


def test_one_file_may_specify_what_it_imports_of_its_package() -> None:
    package = ["kernelbal/plan/explain/match.py", "kernelbal/plan/explain/path.py"]
    for test in ("unit/plan/explain/test_explain.py", "lab/test_plan_explain.py"):
        assert untested(package, {f"tests/{test}": package[:1]}, excused=()) == package[1:]
    for test in ("unit/plan/test_plan.py", "unit/explain/test_explain.py"):
        assert untested(package, {f"tests/{test}": package}, excused=()) == package


def test_imports_are_found_in_each_form() -> None:
    text = "import a.b\nfrom a.c import d\ndef test() -> None:\n    from e import f\n    run('-m', 'g.h')\n"
    assert imported(ast.parse(text)) == {"a/b.py", "a/c.py", "a/c/d.py", "e.py", "e/f.py", "g/h.py"}


def test_excuse_may_be_a_pattern() -> None:
    modules = ["kernelbal/lab/a.py", "kernelbal/plan/a.py"]
    assert untested(modules, {}, excused=["kernelbal/lab/*"]) == ["kernelbal/plan/a.py"]


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
    modules, tests = ["kernelbal/errors.py"], {"tests/unit/test_errors.py": ()}
    excused = ("kernelbal/errors.py", "kernelbal/gone/*")
    assert stale_excuses(modules, tests, excused) == list(excused)
