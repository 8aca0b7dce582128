"""Every file in examples/ is a valid document that a user can copy, and short."""

from pathlib import Path

import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kinds.services import SERVICES

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples").rglob("*.yaml"))
NODES = [file for file in FILES if file.name.startswith("node-")]
SITES = [file for file in FILES if file not in NODES]
MAX_LINES = 30
"""Lines that are neither empty nor a comment alone."""


def by_name(files: list[Path]) -> list[object]:
    """Parameters with the file's name as their id."""
    return [pytest.param(file, id=file.name) for file in files]


def test_sweep_is_not_empty() -> None:
    assert {file.name for file in SITES} >= {
        "nat.yaml",
        "one-armed-nat.yaml",
        "dsr.yaml",
        "tunnel.yaml",
        "health.yaml",
    }
    assert {file.name for file in NODES} >= {"node-two-arm.yaml", "node-one-arm.yaml"}


@pytest.mark.parametrize("file", by_name(SITES))
def test_site_is_valid(file: Path) -> None:
    assert load_site(file.read_bytes(), file.name).virtual_services


@pytest.mark.parametrize("file", by_name(NODES))
def test_node_is_valid(file: Path) -> None:
    assert load_node(file.read_bytes(), file.name).interfaces


@pytest.mark.parametrize("file", by_name(SITES))
def test_site_fits_a_node(file: Path) -> None:
    node = load_node((ROOT / "examples/node-two-arm.yaml").read_bytes(), "node-two-arm.yaml")
    assert desired_state(load_site(file.read_bytes(), file.name), node).of(SERVICES).table


@pytest.mark.parametrize("file", by_name(FILES))
def test_file_is_short_and_says_what_it_is_for(file: Path) -> None:
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    assert lines[0].startswith("# ")
    assert len([line for line in lines if line and not line.startswith("#")]) <= MAX_LINES
