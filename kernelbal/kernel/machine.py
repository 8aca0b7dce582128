"""The facts of a machine that a director's prerequisites depend on."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kernelbal.errors import KernelError, StateError
from kernelbal.kernel.modules import IPVS, ModuleIndex
from kernelbal.kernel.nftables import LIBRARY, Nftables
from kernelbal.kernel.prerequisites import MachineFacts
from kernelbal.store.boot import total_memory_bytes

_SYSCTL_PLACES: Final = ("etc/sysctl.conf", "etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d")
_FORWARDING_OFF: Final = re.compile(r"^\s*-?net[./]ipv4[./]ip_forward\s*=\s*0\s*$", re.MULTILINE)
_TABLE_SIZE: Final = re.compile(r"size=(\d+)")
_BOUNDING_SET: Final = re.compile(r"^CapBnd:\s*([0-9a-f]+)$", re.MULTILINE)


def read_machine_facts(program: Path, root: Path = Path("/")) -> MachineFacts:
    """Return what there is on this machine; what cannot be read counts as not there.

    Args:
        program: full path of the `kernelbal` command.
        root: where the file system is.
    """
    modules = ModuleIndex.read(root)
    return MachineFacts(
        ipvs=modules.presence(IPVS),
        nf_tables=modules.presence("nf_tables"),
        libnftables=_library_loads(),
        systemd=(root / "run/systemd/system").is_dir(),
        program_paths=_program_paths(program),
        capabilities=_bounding_set(root),
        table_buckets=_table_buckets(root),
        memory_bytes=_memory_bytes(root),
        processes=frozenset(_processes(root)),
        enabled=frozenset(_enabled(root)),
        devices=frozenset(path.name for path in _entries(root / "sys/class/net")),
        forwarding_off_in=tuple(_forwarding_off(root)),
        dropping_chains=_dropping_chains(),
    )


def _library_loads() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def _program_paths(program: Path) -> tuple[str, ...]:
    """The program as named and as found, this package, and both homes of the interpreter."""
    package = Path(__file__).parents[1]
    paths = (program, program.resolve(), package, Path(sys.prefix), Path(sys.base_prefix))
    return tuple(dict.fromkeys(map(str, paths)))


def _bounding_set(root: Path) -> int:
    found = _BOUNDING_SET.search(_text(root / "proc/self/status"))
    return int(found[1], 16) if found else 0


def _table_buckets(root: Path) -> int:
    with contextlib.suppress(OSError), (root / "proc/net/ip_vs").open(encoding="ascii") as table:
        found = _TABLE_SIZE.search(table.readline())
        return int(found[1]) if found else 0
    return 0


def _memory_bytes(root: Path) -> int:
    with contextlib.suppress(StateError):
        return total_memory_bytes(root / "proc")
    return 0


def _processes(root: Path) -> Iterator[str]:
    for path in _entries(root / "proc"):
        if path.name.isdecimal():
            yield _text(path / "comm").strip()


def _enabled(root: Path) -> Iterator[str]:
    for wants in _entries(root / "etc/systemd/system"):
        if wants.suffix == ".wants":
            yield from (unit.stem for unit in _entries(wants) if unit.suffix == ".service")


def _forwarding_off(root: Path) -> Iterator[str]:
    for name in _SYSCTL_PLACES:
        place = root / name
        for path in [place, *(entry for entry in _entries(place) if entry.suffix == ".conf")]:
            if path.is_file() and _FORWARDING_OFF.search(_text(path)):
                yield str(path)


def _dropping_chains() -> tuple[str, ...] | None:
    try:
        return Nftables.open().dropping_chains()
    except KernelError:
        return None  # no library, or not root: other findings report it


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # a process that ended meanwhile, or a file of others that only they may read


def _entries(path: Path) -> Iterable[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return ()
