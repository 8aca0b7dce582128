"""Style rules hold in every Python file; each rule goes red on a planted violation."""

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gates.rules import (
    SourceFile,
    clock_uses,
    long_functions,
    long_modules,
    undocumented_names,
    unexplained_suppressions,
)

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(PURE_MODULES,) = (
    each["source_modules"] for each in CONTRACTS if each["name"].startswith("The core is pure")
)
PURE = tuple(
    path + ("/" if (ROOT / path).is_dir() else ".py")
    for path in (name.replace(".", "/") for name in PURE_MODULES)
)
EVERYWHERE = ("kernelbal/", "bench/", "tests/")


class Gate(NamedTuple):
    """A rule, the path prefixes where it holds, and files that it must refuse."""

    rule: Callable[[SourceFile], Iterator[str]]
    where: tuple[str, ...]
    planted: tuple[str, ...]

    @property
    def name(self) -> str:
        """The rule's name, for test ids."""
        return self.rule.__name__


GATES = [
    Gate(
        long_functions,
        EVERYWHERE,
        ("def long():\n" + "    pass\n" * 50, "class A:\n async def long():\n" + "  1\n" * 50),
    ),
    Gate(long_modules, EVERYWHERE, ("pass\n" * 501,)),
    Gate(
        unexplained_suppressions,
        EVERYWHERE,
        (
            "x = 1  # noqa\n",
            "x = 1  # noqa: F401\n",
            "x = 1  # type: ignore\n",
            "x = 1  # type: ignore[attr-defined]\n",
            "x = 1  # type: ignore # it has no type at all\n",
            "x = 1  # type: ignore[misc]  # a good reason  # noqa\n",
            "# ruff: noqa: F401 for a good reason\n",
            "# mypy: ignore-errors\n",
        ),
    ),
    Gate(
        undocumented_names,
        PURE,
        (
            "x = 1\n",
            '"""Module."""\ndef public(): ...\n',
            '"""Module."""\nclass Public:\n    """Class."""\n    def method(self): ...\n',
        ),
    ),
    Gate(
        clock_uses,
        PURE,
        (
            "import time\n",
            "from time import monotonic\n",
            "import datetime\nnow = datetime.datetime.now()\n",
            "from datetime import date\ntoday = date.today\n",
            "import random\nx = random.choice([1])\n",
        ),
    ),
]
PLANTED = [pytest.param(gate, text, id=gate.name) for gate in GATES for text in gate.planted]
BY_NAME = [pytest.param(gate, id=gate.name) for gate in GATES]

ACCEPTED = '''"""A module that breaks no rule."""
import random
from dataclasses import dataclass

x = 1  # noqa: S104 - the lab listens on every address
y = 2  # type: ignore[misc]  # the library ships no types
z = 3  # type: ignore[misc]  # the library ships no types  # noqa: E501 - a long reason

@dataclass(frozen=True, slots=True)
class Value:
    """A value."""

    def _private(self): ...

def draw(generator: random.Random) -> float:
    """Draws from the generator that it was given."""
    return generator.random()
'''


def files_below(where: tuple[str, ...]) -> list[Path]:
    """Python files whose path starts with one of the prefixes."""
    return sorted(
        file
        for top in ("kernelbal", "bench", "tests")
        for file in (ROOT / top).rglob("*.py")
        if file.relative_to(ROOT).as_posix().startswith(where)
    )


@pytest.mark.parametrize(("gate", "planted"), PLANTED)
def test_planted_violation_is_found(gate: Gate, planted: str) -> None:
    assert list(gate.rule(SourceFile.parse("kernelbal/planted.py", planted)))


@pytest.mark.parametrize("gate", BY_NAME)
def test_clean_module_is_accepted(gate: Gate) -> None:
    assert list(gate.rule(SourceFile.parse("kernelbal/clean.py", ACCEPTED))) == []


@pytest.mark.parametrize("gate", BY_NAME)
def test_rule_holds(gate: Gate) -> None:
    files = files_below(gate.where)
    assert files, "the sweep found no file"
    violations = [line for file in files for line in gate.rule(SourceFile.read(ROOT, file))]
    assert not violations, "\n".join(violations)


def test_every_pure_prefix_names_something() -> None:
    assert [prefix for prefix in PURE if not files_below((prefix,))] == []
