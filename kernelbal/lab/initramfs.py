"""The initial RAM disk of a QEMU guest: just enough to mount the host's root file system over 9p."""

from __future__ import annotations

import lzma
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import process
from kernelbal.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT_TAG: Final = "root"
"""9p mount tag of the host's root file system."""
PROBE_WORD: Final = "lab.probe"
"""On the kernel command line: switch off at once, to see whether a guest boots at all."""
NEEDED_MODULES: Final = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
"""What the guest needs before it can read modules from the host; whatever is built in is skipped."""

_INIT: Final = f"""\
#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t devtmpfs devtmpfs /dev
if busybox grep -qw {PROBE_WORD} /proc/cmdline; then busybox poweroff -f; fi
for module in /modules/*; do busybox insmod "$module"; done
options=ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose
busybox mount -t 9p -o $options {ROOT_TAG} /root || busybox poweroff -f
script=$(busybox sed -n 's/.*lab.init=\\([^ ]*\\).*/\\1/p' /proc/cmdline)
busybox umount /proc
exec busybox switch_root /root /bin/sh "$script"
"""


def dependencies(modules_dep: str) -> dict[str, list[str]]:
    """Return module file -> files that it needs, from the text of `modules.dep` (depmod(8))."""
    lines = (line.partition(":") for line in modules_dep.splitlines() if ":" in line)
    return {name: needed.split() for name, _, needed in lines}


def load_order(names: Iterable[str], files: Mapping[str, list[str]]) -> list[str]:
    """Return the files of modules and of all that they need, each after what it needs.

    A name without a file is built into the kernel.
    """
    by_name = {_module_name(file): file for file in files}
    ordered: dict[str, None] = {}

    def add(file: str) -> None:
        for needed in files[file]:
            if needed not in ordered:
                add(needed)
        ordered[file] = None

    for name in names:
        if name in by_name and by_name[name] not in ordered:
            add(by_name[name])
    return list(ordered)


def _module_name(file: str) -> str:
    return Path(file).name.split(".ko", 1)[0].replace("-", "_")


def build_initramfs(modules: Path, target: Path) -> None:
    """Write the RAM disk for the kernel whose modules are in `modules`.

    Raises:
        LabError: busybox or cpio is missing, or a module is packed in a way that is not known.
    """
    tree = target.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    for directory in ("bin", "dev", "modules", "proc", "root"):
        (tree / directory).mkdir(parents=True)
    shutil.copy(busybox(), tree / "bin" / "busybox")
    files = dependencies((modules / "modules.dep").read_text(encoding="utf-8"))
    for number, file in enumerate(load_order(NEEDED_MODULES, files)):
        unpacked = tree / "modules" / f"{number:02}-{_module_name(file)}.ko"
        unpacked.write_bytes(_module_bytes(modules / file))
    init = tree / "init"
    init.write_text(_INIT, encoding="ascii")
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    process.run(["cpio", "--quiet", "-o", "-H", "newc", "-F", str(target)], stdin=names, cwd=tree)
    shutil.rmtree(tree)


def _module_bytes(path: Path) -> bytes:
    match path.suffix:
        case ".ko":
            return path.read_bytes()
        case ".xz":
            return lzma.decompress(path.read_bytes())
        case other:
            raise LabError(f"{path.name}: modules packed as {other} are not supported")


def busybox() -> Path:
    """Return the statically linked busybox.

    Raises:
        LabError: it is not installed.
    """
    found = shutil.which("busybox")
    if found is None:
        raise LabError("busybox is not installed", "apt-get install busybox-static")
    return Path(found)
