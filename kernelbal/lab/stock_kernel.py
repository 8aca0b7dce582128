"""A distribution's stock kernel for QEMU: fetched and unpacked in the cache, never installed."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kernelbal.lab import process
from kernelbal.lab.errors import LabError
from kernelbal.lab.initramfs import build_initramfs
from kernelbal.lab.kernel_cache import cache_directory
from kernelbal.lab.private_apt import PrivateApt

if TYPE_CHECKING:
    from kernelbal.lab.progress import Progress

IMAGE_PACKAGE: Final = "linux-image-amd64"
OTHER_SUITE: Final = "trixie"
"""The Debian release whose kernel is taken where the distribution is not Debian."""


class StockKernel(NamedTuple):
    """What QEMU boots.

    Attributes:
        image: the kernel.
        initramfs: its initial RAM disk.
        modules: the directory that belongs at `/lib/modules`.
    """

    image: Path
    initramfs: Path
    modules: Path


def qemu_directory() -> Path:
    """Return where kernels for QEMU are kept."""
    return cache_directory() / "qemu"


def own_suite() -> str:
    """Return the Debian suite to take a kernel from: this machine's own where it is Debian."""
    release = platform.freedesktop_os_release()
    return release.get("VERSION_CODENAME", OTHER_SUITE) if release.get("ID") == "debian" else OTHER_SUITE


def stock_kernel(progress: Progress) -> StockKernel:
    """Return the kernel, fetched unless that has been done.

    Raises:
        LabError: it cannot be fetched or unpacked.
    """
    target = qemu_directory() / own_suite()
    if not target.exists():
        _fetch(target, progress)
    modules = next(target.glob("tree/**/lib/modules"))
    return StockKernel(target / "image", target / "initramfs", modules)


def _fetch(target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="new-") as staging:
        work = Path(staging) / target.name
        tree = work / "tree"
        tree.mkdir(parents=True)
        apt = PrivateApt(qemu_directory() / "apt", own_suite())
        progress.stage(f"looking for the kernel of Debian {own_suite()}")
        apt.update()
        package = apt.dependency(IMAGE_PACKAGE)
        progress.stage(f"fetching {package.name} (about 70 MB)")
        archive = apt.download(package, work)
        progress.stage("unpacking it and packing its initial RAM disk")
        process.run(["dpkg-deb", "--extract", str(archive), str(tree)])
        archive.unlink()
        _prepare(work, tree)
        work.rename(target)


def _prepare(work: Path, tree: Path) -> None:
    """Index the modules, pack the RAM disk, and keep the kernel where it is found without its version."""
    versions = [path for path in tree.glob("**/lib/modules/*") if path.is_dir()]
    if len(versions) != 1:
        raise LabError("the kernel package does not hold the modules of exactly one kernel")
    modules = versions[0]
    process.run(["depmod", "--basedir", str(modules.parents[2]), modules.name])
    build_initramfs(modules, work / "initramfs")
    shutil.move(next(tree.glob("boot/vmlinuz-*")), work / "image")
