"""The kernel's own count of services."""

from pathlib import Path

import pytest

from kernelbal.kernel.ipvs.status import StatusFile

TEXT = """Conns:\t7
Conn buckets:\t256 (8 bits, lfactor -4)
Services:\t10000
Service buckets:\t131072 (17 bits, lfactor -3)
"""


def test_services_are_counted_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "ip_vs_status"
    path.write_text(TEXT)
    status = StatusFile.open(str(path))
    assert status.services() == 10000
    path.write_text(TEXT.replace("10000", "3"))
    assert status.services() == 3
    status.close()


def test_file_without_that_line(tmp_path: Path) -> None:
    path = tmp_path / "ip_vs_status"
    path.write_text("Conns:\t7\n")
    status = StatusFile.open(str(path))
    assert status.services() is None
    status.close()


def test_kernel_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StatusFile.open(str(tmp_path / "ip_vs_status"))
