"""The initial RAM disk: which modules, in which order."""

import gzip
import lzma
from pathlib import Path

import pytest

from kernelbal.lab.errors import LabError
from kernelbal.lab.initramfs import _module_bytes, dependencies, load_order

MODULES_DEP = """\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio-ring.ko
kernel/fs/netfs/netfs.ko:
kernel/drivers/virtio/virtio-ring.ko:
"""


def test_modules_come_after_what_they_need() -> None:
    order = load_order(["9p", "9pnet_virtio"], dependencies(MODULES_DEP))
    names = [Path(file).name.split(".")[0] for file in order]
    assert names == ["9pnet", "netfs", "9p", "virtio-ring", "9pnet_virtio"]


def test_module_is_found_by_either_spelling() -> None:
    assert load_order(["virtio_ring"], dependencies(MODULES_DEP)) == ["kernel/drivers/virtio/virtio-ring.ko"]


def test_builtin_module_is_skipped() -> None:
    assert load_order(["overlay"], dependencies(MODULES_DEP)) == []


def test_packed_module_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(b"elf")
    (tmp_path / "b.ko.xz").write_bytes(lzma.compress(b"elf"))
    assert _module_bytes(tmp_path / "a.ko") == _module_bytes(tmp_path / "b.ko.xz") == b"elf"


def test_unknown_packing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ko.gz").write_bytes(gzip.compress(b"elf"))
    with pytest.raises(LabError, match=r"packed as \.gz"):
        _module_bytes(tmp_path / "a.ko.gz")
