"""The import contracts of pyproject.toml go red on a forbidden import, in a skeleton of the package."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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
        ("realserver/plan", "import socket", "The core is pure"),
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
