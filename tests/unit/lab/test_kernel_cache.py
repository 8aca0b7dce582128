"""Which kernel the lab boots."""

from pathlib import Path

import pytest

from kernelbal.lab import kernel_cache
from kernelbal.lab.errors import LabError
from kernelbal.lab.kernel_cache import built_kernel, cache_directory, find_kernel, kernel_directory


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KERNELBAL_LAB_KERNEL", raising=False)


def make(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    return path


def test_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_directory() == tmp_path / "cache" / "kernelbal"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/kernelbal")


def test_nothing_built_nothing_found() -> None:
    assert find_kernel() is None


def test_built_kernel_is_found() -> None:
    kernel = make(kernel_directory("7.3") / "linux")
    assert find_kernel() == kernel


def test_kernel_of_another_configuration_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    make(kernel_directory("7.3") / "linux")
    monkeypatch.setattr(kernel_cache, "config_fragment", lambda: "CONFIG_IP_VS=y\n")
    assert built_kernel() is None


def test_named_kernel_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make(kernel_directory("7.3") / "linux")
    named = make(tmp_path / "my-linux")
    monkeypatch.setenv("KERNELBAL_LAB_KERNEL", str(named))
    assert find_kernel() == named


@pytest.mark.parametrize("mode", [None, 0o644])
def test_named_kernel_must_be_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None
) -> None:
    if mode is not None:
        make(tmp_path / "my-linux", mode)
    monkeypatch.setenv("KERNELBAL_LAB_KERNEL", str(tmp_path / "my-linux"))
    with pytest.raises(LabError, match="is not an executable file"):
        find_kernel()
