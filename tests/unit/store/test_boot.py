"""Facts about the running system."""

from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.store.boot import boot_clock_s, boot_id, total_memory_bytes


def test_boot_id_has_no_end_of_line(tmp_path: Path) -> None:
    directory = tmp_path / "sys/kernel/random"
    directory.mkdir(parents=True)
    (directory / "boot_id").write_text("3f2c1a\n")
    assert boot_id(tmp_path) == "3f2c1a"


def test_memory_is_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:        2048 kB\nMemFree:          100 kB\n")
    assert total_memory_bytes(tmp_path) == 2 * 1024 * 1024


@pytest.mark.parametrize("read", [boot_id, total_memory_bytes])
def test_missing_proc_is_named(tmp_path: Path, read: object) -> None:
    with pytest.raises(StateError, match="cannot read") as caught:
        read(tmp_path)  # type: ignore[operator]  # both take the directory
    assert caught.value.hint == "mount /proc"


def test_memory_file_without_a_total_is_refused(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\n")
    with pytest.raises(StateError, match="no MemTotal"):
        total_memory_bytes(tmp_path)


def test_this_machine() -> None:
    assert len(boot_id()) == 36
    assert total_memory_bytes() > 1 << 20
    assert 0 < boot_clock_s() <= boot_clock_s()
