"""The wheel builds without a network and holds everything that the program reads at run time."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("kernelbal-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def absent(folder: Path, names: set[str]) -> list[str]:
    """Files below `folder` that no entry of the wheel ends with; caches do not count."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    relative = [path.relative_to(folder).as_posix() for path in files]
    return [name for name in relative if not any(entry.endswith(f"/{name}") for entry in names)]


def test_wheel_holds_the_whole_package(wheel_names: set[str]) -> None:
    assert "kernelbal/py.typed" in wheel_names
    assert absent(ROOT / "kernelbal", wheel_names) == []


@pytest.mark.parametrize("folder", ["templates", "systemd"])
def test_wheel_holds_the_data_files(wheel_names: set[str], folder: str) -> None:
    assert absent(ROOT / folder, wheel_names) == []


def test_wheel_holds_licence_and_entry_point_but_no_tests(wheel_names: set[str]) -> None:
    endings = {name.partition(".dist-info/")[2] for name in wheel_names}
    assert {"licenses/LICENSE", "entry_points.txt"} <= endings
    assert {name.partition("/")[0] for name in wheel_names if ".dist-info/" not in name} == {"kernelbal"}


def not_for_users(names: set[str]) -> list[str]:
    """Entries of the wheel that only tests and benchmarks need."""
    folders = {"bench", "testing", "support", "tests"}
    return sorted(name for name in names if folders & set(name.split("/")) or "/fake_" in name)


def test_wheel_holds_no_benchmark_and_no_test_double(wheel_names: set[str]) -> None:
    assert not_for_users(wheel_names) == []


def test_benchmark_and_test_double_are_found() -> None:
    planted = {"kernelbal/lab/bench/outside.py", "kernelbal/kernel/fake_kernel.py", "tests/support/desk.py"}
    assert not_for_users({"kernelbal/lab/traffic.py", *planted}) == sorted(planted)


def test_absent_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web/unit.j2").touch()
    assert absent(tmp_path, {"kernelbal/_templates/dns/unit.j2"}) == ["web/unit.j2"]
    assert absent(tmp_path, {"kernelbal/_templates/web/unit.j2"}) == []
