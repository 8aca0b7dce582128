"""The import contracts of pyproject.toml go red on a forbidden import, and no modules import each other."""

import graphlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A project with the real contracts, where everything that they name is an empty package."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    named = {name for contract in CONTRACTS for name in contract.get("source_modules", ())}
    named |= {name.rpartition(".")[0] for name in named}
    for package in ("kernelbal", *LAYERS, *sorted(named)):
        folder = tmp_path
        for part in package.split("."):
            folder /= part
            folder.mkdir(exist_ok=True)
            (folder / "__init__.py").touch()
    return tmp_path


def broken_contracts(project: Path) -> set[str]:
    """Names of the contracts that do not hold in the project."""
    command = [str(LINT_IMPORTS), "--no-cache"]
    done = subprocess.run(command, cwd=project, text=True, capture_output=True, check=False, timeout=60)
    broken = {line.removesuffix(" BROKEN") for line in done.stdout.splitlines() if line.endswith(" BROKEN")}
    assert (done.returncode != 0) == bool(broken), done.stdout + done.stderr
    return broken


def test_empty_skeleton_is_accepted(skeleton: Path) -> None:
    assert broken_contracts(skeleton) == set()


@pytest.mark.parametrize(
    ("package", "planted", "contract"),
    [
        ("model", "import kernelbal.plan", "Imports go one way"),
        ("lab", "from kernelbal import cli", "Imports go one way"),
        ("plan", "import socket", "The core is pure"),
        ("errors", "import time", "The core is pure"),
        ("realserver/desired", "import socket", "The core is pure"),
        ("cli", "import bench.outside", "The program knows nothing of its tests and benchmarks"),
        (
            "lab",
            "from tests.support import fake_kernel",
            "The program knows nothing of its tests and benchmarks",
        ),
        ("cli", "from pyroute2 import IPRoute", "pyroute2 and nftables stay in kernel/ and lab/"),
    ],
)
def test_planted_import_breaks_its_contract(
    skeleton: Path, package: str, planted: str, contract: str
) -> None:
    (skeleton / "kernelbal" / package / "planted.py").write_text(planted + "\n")
    (name,) = broken_contracts(skeleton)
    assert name.startswith(contract)


def test_every_package_has_a_layer() -> None:
    packages = {path.parent.name for path in (ROOT / "kernelbal").glob("*/__init__.py")}
    assert packages
    assert packages <= {layer.rpartition(".")[2] for line in LAYERS for layer in line.split(" | ")}


def import_circle(package: str) -> list[str]:
    """One circle of modules that import each other, be it for type checkers alone or in a function."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize(
    "back",
    [
        "from circular.first import FIRST",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import circular.first",
        "def late() -> None:\n    from circular import first",
    ],
)
def test_planted_circle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: str) -> None:
    package = tmp_path / "circular"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "first.py").write_text("FIRST = 1\nfrom circular import second\n")
    (package / "second.py").write_text("import circular.third\n")
    (package / "third.py").write_text(back + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = {"circular.first", "circular.second", "circular.third"}
    assert set(import_circle("circular")) == names


def test_no_modules_import_each_other() -> None:
    assert import_circle("kernelbal") == []
