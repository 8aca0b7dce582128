"""The wheel builds without a network, holds everything that the program reads, and is installed by hash."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly built wheel, with its `requirements.txt` beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([ROOT / "scripts/wheel", folder], check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("kernelbal-*-py3-none-any.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    """Names of the files in it."""
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


def install(requirements: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Install what is in the folder of a `requirements.txt`, as documented, but without a network."""
    own = requirements.with_name("own.txt")
    lines = requirements.read_text().splitlines(keepends=True)
    own.write_text("".join(line for line in lines if line.startswith(("--find-links", "kernelbal="))))
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--target", str(target)]
    return subprocess.run(
        [*command, "--require-hashes", "-r", str(own)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_wheel_is_installed_by_its_hash_and_a_changed_one_is_refused(wheel: Path, tmp_path: Path) -> None:
    requirements = wheel.with_name("requirements.txt")
    assert requirements.read_text().endswith((ROOT / "requirements.txt").read_text())
    done = install(requirements, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/kernelbal/py.typed").exists()
    folder = tmp_path / "changed"
    folder.mkdir()
    (folder / wheel.name).write_bytes(wheel.read_bytes() + b"!")
    (folder / requirements.name).write_text(requirements.read_text())
    refused = install(folder / requirements.name, tmp_path / "other")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
